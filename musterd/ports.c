/* ports.c - see ports.h. */
#include "musterd/ports.h"

#include "base/text.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <unistd.h>

void bound_format(char *to, size_t cap, const struct sockaddr_storage *address)
{
	char host[INET6_ADDRSTRLEN] = "?";

	if (address->ss_family == AF_INET6) {
		const struct sockaddr_in6 *a = (const struct sockaddr_in6 *)address;
		inet_ntop(AF_INET6, &a->sin6_addr, host, sizeof(host));
		snprintf(to, cap, "[%s]:%u", host, ntohs(a->sin6_port));
	} else {
		const struct sockaddr_in *a = (const struct sockaddr_in *)address;
		inet_ntop(AF_INET, &a->sin_addr, host, sizeof(host));
		snprintf(to, cap, "%s:%u", host, ntohs(a->sin_port));
	}
}

static void put_addresses(struct text *t, const char *key, const struct sockaddr_storage *at,
			  size_t n)
{
	char text[INET6_ADDRSTRLEN + 9];

	json_key(t, key);
	json_open(t, '[');
	for (size_t i = 0; i < n; i++) {
		bound_format(text, sizeof(text), &at[i]);
		json_str(t, text);
	}
	json_close(t, ']');
}

static int write_whole(const char *path, const struct text *t)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	if (fd < 0)
		return -errno;
	ssize_t n = write(fd, t->at, t->len);
	int rc = n == (ssize_t)t->len ? 0 : n < 0 ? -errno : -ENOSPC;
	if (close(fd) < 0 && rc == 0)
		rc = -errno;
	return rc;
}

int ports_write(const char *data_dir, const struct bound_addresses *bound, struct error *err)
{
	char path[4096], fresh[4096 + 8];
	struct text t;
	int rc;

	snprintf(path, sizeof(path), "%s/ports.json", data_dir);
	snprintf(fresh, sizeof(fresh), "%s.new", path);
	text_init(&t);
	json_open(&t, '{');
	json_kv_i64(&t, "pid", getpid());
	put_addresses(&t, "http", bound->http, bound->http_count);
	put_addresses(&t, "grpc", bound->grpc, bound->grpc_count);
	put_addresses(&t, "dns", bound->dns, bound->dns_count);
	if (bound->dns_tls_count > 0)
		put_addresses(&t, "dns_tls", bound->dns_tls, bound->dns_tls_count);
	put_addresses(&t, "push", bound->push, bound->push_count);
	if (bound->operator_count > 0)
		put_addresses(&t, "operator", bound->operator, bound->operator_count);
	json_close(&t, '}');
	text_char(&t, '\n');
	rc = t.failed ? -ENOMEM : write_whole(fresh, &t);
	text_done(&t);
	if (rc == 0 && rename(fresh, path) < 0)
		rc = -errno;
	return rc == 0 ? E_OK : error_set_errno(err, -rc, "%s", path);
}

void ports_remove(const char *data_dir)
{
	char path[4096];

	snprintf(path, sizeof(path), "%s/ports.json", data_dir);
	unlink(path);
}
