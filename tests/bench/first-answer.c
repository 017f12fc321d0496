/* first-answer.c - milliseconds from exec of musterd to its first DNS answer and its first HTTP answer.
 * usage: first-answer MUSTERD DATA_DIR [NAME COUNT]: with a NAME the DNS answer counts once it has COUNT addresses. Takes two free ports, starts the server, asks every 200 us. */
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static double now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec * 1e-6;
}

static struct sockaddr_in loopback(int port)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };

	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	return a;
}

static int free_port(int type)
{
	struct sockaddr_in a = loopback(0);
	socklen_t len = sizeof(a);
	int fd = socket(AF_INET, type, 0);

	if (bind(fd, (struct sockaddr *)&a, len) < 0 || getsockname(fd, (struct sockaddr *)&a, &len) < 0)
		exit(2);
	close(fd);
	return ntohs(a.sin_port);
}

static size_t question(unsigned char *q, const char *name, int type)
{
	unsigned char *at = q + 12;

	memcpy(q, "\0\1\0\0\0\1\0\0\0\0\0", 12);
	for (const char *s = name; *s != '\0';) {
		size_t n = strcspn(s, ".");
		*at++ = (unsigned char)n;
		memcpy(at, s, n);
		at += n;
		s += n + (s[n] == '.');
	}
	memcpy(at, "\0\0\0\0\1", 5);
	at[2] = (unsigned char)type;
	return (size_t)(at + 5 - q);
}

/* @count: addresses of @name; without one the SOA of the default zone will do. */
static int dns_answers(int port, const char *name, int count)
{
	unsigned char a[4096], q[512];
	size_t len = name == NULL ? question(q, "muster.internal", 6) : question(q, name, 1);
	struct timeval limit = { 0, 2000 };
	struct sockaddr_in to = loopback(port);
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	int ok = connect(fd, (struct sockaddr *)&to, sizeof(to)) == 0 &&
		 send(fd, q, len, 0) > 0 && recv(fd, a, sizeof(a), 0) > 12 && (a[3] & 15) == 0 &&
		 (name == NULL || (a[6] << 8 | a[7]) == count);
	close(fd);
	return ok;
}

static int http_answers(int port)
{
	char a[512] = "";
	struct sockaddr_in to = loopback(port);
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	int ok = connect(fd, (struct sockaddr *)&to, sizeof(to)) == 0 &&
		 send(fd, "GET /health HTTP/1.1\r\nHost: a\r\n\r\n", 33, MSG_NOSIGNAL) > 0 &&
		 recv(fd, a, sizeof(a) - 1, 0) > 12 && strncmp(a + 9, "200", 3) == 0;

	close(fd);
	return ok;
}

int main(int argc, char **argv)
{
	char dir[4200], http[64], dns[64];

	if (argc < 3)
		return 2;
	const char *name = argc > 4 ? argv[3] : NULL;
	int count = argc > 4 ? atoi(argv[4]) : 0;
	mkdir(argv[2], 0755);
	int http_port = free_port(SOCK_STREAM), dns_port = free_port(SOCK_DGRAM), status;
	snprintf(dir, sizeof(dir), "--server.data_dir=%s", argv[2]);
	snprintf(http, sizeof(http), "--http.listen=127.0.0.1:%d", http_port);
	snprintf(dns, sizeof(dns), "--dns.listen=127.0.0.1:%d", dns_port);
	double begun = now_ms(), dns_ms = 0, http_ms = 0;
	pid_t pid = fork();
	if (pid == 0) {
		int null = open("/dev/null", O_RDWR);
		dup2(null, 1);
		dup2(null, 2);
		execl(argv[1], argv[1], dir, http, dns, "--zone.test.layout=full", (char *)NULL);
		_exit(127);
	}
	while ((dns_ms == 0 || http_ms == 0) && now_ms() - begun < 60000) {
		if (dns_ms == 0 && dns_answers(dns_port, name, count))
			dns_ms = now_ms() - begun;
		if (http_ms == 0 && http_answers(http_port))
			http_ms = now_ms() - begun;
		usleep(now_ms() - begun < 200 ? 200 : 5000);
	}
	kill(pid, SIGTERM);
	waitpid(pid, &status, 0);
	printf("dns_ms=%.1f http_ms=%.1f exit=%d\n", dns_ms, http_ms, WEXITSTATUS(status));
	return dns_ms == 0 || http_ms == 0;
}
