/* mariadb.c - see mariadb.h. The server is killed when the test dies; its data are thrown away, so it is never
 * asked to stop in order. */
#include "tests/support/mariadb.h"
#include "base/clock.h"
#include <arpa/inet.h>
#include <fcntl.h>
#include <ftw.h>
#include <mysql.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum { START_MAX_MS = 60000, LOOK_US = 20000 };

struct mariadb {
	char dir[64];
	uint16_t port;
	pid_t pid;
};

static const char *program(const char *name)
{
	static const char *const places[] = { "/usr/sbin/", "/usr/bin/", "/usr/local/sbin/", "/usr/local/bin/" };
	static char path[128];
	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		snprintf(path, sizeof(path), "%s%s", places[i], name);
		if (access(path, X_OK) == 0)
			return path;
	}
	return NULL;
}

static uint16_t free_port(void)
{
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(in);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (bind(fd, (struct sockaddr *)&in, len) == 0)
		getsockname(fd, (struct sockaddr *)&in, &len);
	close(fd);
	return ntohs(in.sin_port);
}

static pid_t run(const struct mariadb *m, char *const argv[])
{
	char log[96];
	snprintf(log, sizeof(log), "%s/log", m->dir);
	pid_t pid = fork();
	if (pid != 0)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	int fd = open(log, O_WRONLY | O_CREAT | O_APPEND, 0600);
	dup2(fd, 1);
	dup2(fd, 2);
	execv(argv[0], argv);
	_exit(127);
}

static bool install(const struct mariadb *m)
{
	const char *path = program("mariadb-install-db");
	char data[96], installer[128];
	if (path == NULL)
		return false;
	snprintf(installer, sizeof(installer), "%s", path);
	snprintf(data, sizeof(data), "--datadir=%s/data", m->dir);
	char *argv[] = { installer, (char[]){ "--no-defaults" }, data,
			 (char[]){ "--auth-root-authentication-method=normal" }, (char[]){ "--skip-test-db" },
			 geteuid() == 0 ? (char[]){ "--user=root" } : NULL, NULL };
	int status;
	pid_t pid = run(m, argv);
	return pid > 0 && waitpid(pid, &status, 0) == pid && status == 0;
}

bool mariadb_sql(struct mariadb *m, const char *statement)
{
	char socket_path[96];
	snprintf(socket_path, sizeof(socket_path), "%s/s", m->dir);
	MYSQL *c = mysql_init(NULL);
	bool good = mysql_real_connect(c, NULL, "root", "", NULL, 0, socket_path, 0) != NULL &&
		    mysql_query(c, statement) == 0;
	mysql_close(c);
	return good;
}

bool mariadb_resume(struct mariadb *m)
{
	char server[128], data[96], socket_path[96], port[32], pid_file[96];
	snprintf(server, sizeof(server), "%s", program("mariadbd"));
	snprintf(data, sizeof(data), "--datadir=%s/data", m->dir);
	snprintf(socket_path, sizeof(socket_path), "--socket=%s/s", m->dir);
	snprintf(pid_file, sizeof(pid_file), "--pid-file=%s/pid", m->dir);
	snprintf(port, sizeof(port), "--port=%u", m->port);
	char *argv[] = { server, (char[]){ "--no-defaults" }, data, socket_path, pid_file, port,
			 (char[]){ "--bind-address=127.0.0.1" }, (char[]){ "--skip-name-resolve" },
			 (char[]){ "--innodb-buffer-pool-size=8M" }, (char[]){ "--skip-log-bin" },
			 geteuid() == 0 ? (char[]){ "--user=root" } : NULL, NULL };
	m->pid = run(m, argv);
	for (int64_t until = clock_ms() + START_MAX_MS; clock_ms() < until; usleep(LOOK_US)) {
		if (mariadb_sql(m, "select 1"))
			return true;
		if (waitpid(m->pid, NULL, WNOHANG) == m->pid)
			break;
	}
	return false;
}

struct mariadb *mariadb_start(const char **why)
{
	if (program("mariadbd") == NULL || program("mariadb-install-db") == NULL) {
		*why = "mariadbd is missing: install mariadb-server";
		return NULL;
	}
	struct mariadb *m = calloc(1, sizeof(*m));
	snprintf(m->dir, sizeof(m->dir), "/tmp/muster-mariadb-XXXXXX");
	*why = "mariadb-install-db failed";
	if (mkdtemp(m->dir) != NULL && install(m)) {
		*why = "mariadbd did not come up";
		for (int attempt = 0; attempt < 3; attempt++) { /* the port may be lost to another */
			m->port = free_port();
			if (mariadb_resume(m))
				return m;
			mariadb_halt(m);
		}
	}
	mariadb_free(m);
	return NULL;
}

uint16_t mariadb_port(const struct mariadb *m)
{
	return m->port;
}

void mariadb_halt(struct mariadb *m)
{
	if (m->pid > 0 && kill(m->pid, SIGKILL) == 0)
		waitpid(m->pid, NULL, 0);
	m->pid = 0;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

void mariadb_free(struct mariadb *m)
{
	if (m == NULL)
		return;
	mariadb_halt(m);
	nftw(m->dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	free(m);
}
