/* port_holder.c - see port_holder.h. Reads /proc/net/{udp,tcp}{,6} for the socket's inode and /proc/PID/fd for its
 * owner; what may not be read stays unknown. */
#include "musterd/port_holder.h"

#include <ctype.h>
#include <dirent.h>
#include <netinet/in.h>
#include <pwd.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { TCP_LISTENING = 0x0A, UDP_BOUND = 0x07 };

struct holder {
	long pid; /* 0: it is another user's, and @name is that user */
	char name[64];
};

static unsigned port_of(const struct sockaddr_storage *a)
{
	return a->ss_family == AF_INET6 ? ntohs(((const struct sockaddr_in6 *)a)->sin6_port)
					: ntohs(((const struct sockaddr_in *)a)->sin_port);
}

/* The inode of a socket bound to @port in one of the tables; 0: none. */
static unsigned long bound_inode(const char *table, unsigned port, unsigned state, unsigned *uid)
{
	char line[512];
	unsigned long inode = 0;
	FILE *f = fopen(table, "re");

	while (inode == 0 && f != NULL && fgets(line, sizeof(line), f) != NULL) {
		unsigned local, seen, owner;
		unsigned long found;
		if (sscanf(line, " %*d: %*[0-9A-Fa-f]:%x %*[0-9A-Fa-f]:%*x %x %*s %*s %*s %u %*u %lu",
			   &local, &seen, &owner, &found) == 4 &&
		    local == port && seen == state)
			inode = found, *uid = owner;
	}
	if (f != NULL)
		fclose(f);
	return inode;
}

static bool has_socket(const char *pid, unsigned long inode)
{
	char path[400], want[64], link[64];
	bool found = false;
	struct dirent *e;
	DIR *d;

	snprintf(want, sizeof(want), "socket:[%lu]", inode);
	snprintf(path, sizeof(path), "/proc/%s/fd", pid);
	d = opendir(path);
	while (!found && d != NULL && (e = readdir(d)) != NULL) {
		snprintf(path, sizeof(path), "/proc/%s/fd/%.40s", pid, e->d_name);
		ssize_t n = readlink(path, link, sizeof(link) - 1);
		if (n > 0) {
			link[n] = 0;
			found = strcmp(link, want) == 0;
		}
	}
	if (d != NULL)
		closedir(d);
	return found;
}

static bool find_owner(unsigned long inode, struct holder *ret)
{
	bool found = false;
	struct dirent *e;
	DIR *d = opendir("/proc");

	while (!found && d != NULL && (e = readdir(d)) != NULL) {
		char path[400];
		FILE *f;
		if (!isdigit((unsigned char)e->d_name[0]) || !has_socket(e->d_name, inode))
			continue;
		found = true;
		ret->pid = strtol(e->d_name, NULL, 10);
		snprintf(ret->name, sizeof(ret->name), "a process");
		snprintf(path, sizeof(path), "/proc/%s/comm", e->d_name);
		f = fopen(path, "re");
		if (f != NULL && fgets(ret->name, sizeof(ret->name), f) != NULL)
			ret->name[strcspn(ret->name, "\n")] = 0;
		if (f != NULL)
			fclose(f);
	}
	if (d != NULL)
		closedir(d);
	return found;
}

/* Whose processes may not be looked into, is named by its user: often that says enough (systemd-resolve). */
static void name_user(struct holder *h, unsigned uid)
{
	const struct passwd *p = getpwuid(uid);

	h->pid = 0;
	if (p != NULL)
		snprintf(h->name, sizeof(h->name), "%.60s", p->pw_name);
	else
		snprintf(h->name, sizeof(h->name), "%u", uid);
}

static bool find_holder(unsigned port, struct holder *ret)
{
	static const struct {
		const char *path;
		unsigned state;
	} tables[] = { { "/proc/net/udp", UDP_BOUND },
		       { "/proc/net/udp6", UDP_BOUND },
		       { "/proc/net/tcp", TCP_LISTENING },
		       { "/proc/net/tcp6", TCP_LISTENING } };

	for (size_t i = 0; i < sizeof(tables) / sizeof(*tables); i++) {
		unsigned uid = 0;
		unsigned long inode = bound_inode(tables[i].path, port, tables[i].state, &uid);
		if (inode == 0)
			continue;
		if (!find_owner(inode, ret))
			name_user(ret, uid);
		return true;
	}
	return false;
}

static const char *cure(const struct holder *h)
{
	if (strncmp(h->name, "systemd-resolve", 15) == 0)
		return "; set DNSStubListener=no in /etc/systemd/resolved.conf and restart it, or "
		       "listen on another address";
	if (strcmp(h->name, "musterd") == 0)
		return "; another Muster runs already";
	return "; stop it or listen on another address or port";
}

int port_holder_explain(struct error *err, int rc, const struct sockaddr_storage *wanted, size_t n)
{
	struct holder h;

	if (rc != E_CONFLICT)
		return rc;
	for (size_t i = 0; i < n; i++) {
		unsigned port = port_of(&wanted[i]);
		if (port == 0 || !find_holder(port, &h))
			continue;
		size_t len = strlen(err->text);
		if (h.pid > 0)
			snprintf(err->text + len, sizeof(err->text) - len, ": port %u is held by %s (pid %ld)%s",
				 port, h.name, h.pid, cure(&h));
		else
			snprintf(err->text + len, sizeof(err->text) - len,
				 ": port %u is held by a process of user %s%s", port, h.name, cure(&h));
		break;
	}
	return rc;
}
