/* tcpfloor: what the kernel alone needs for what a gRPC server does with thousands of connections; the figure that pushes
 * and health checks are to be compared with, in the same run on the same machine. The server's side runs on core 0, the
 * clients' side, a process of its own, on core 1; both do nothing but read and write as many bytes as the real ones.
 *   tcpfloor push CONNECTIONS [BYTES=3700] [ROUNDS=5]     one write to each: ms until the last client has all of it
 *   tcpfloor echo CONNECTIONS [RATE=4000] [SECONDS=5]     150 bytes in, 180 out, RATE a second: CPU of the server's side
 * It prints one line of key=value figures. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { EVENTS_MAX = 256, READ_LEN = 65536, ASKED = 150, ANSWERED = 180, ACKED = 120, SOURCES = 8, REST_NS = 250000 };

/* Between the two processes. */
struct shared {
	_Atomic bool connected, over;
	_Atomic unsigned round, heard; /* of push: begun; its last client has all of it */
	_Atomic uint64_t last_ns;      /* when that was */
};

struct floor {
	struct shared *shared;
	struct sockaddr_in to;
	int listener, epoll;
	int *fds;
	unsigned count, bytes, rounds, rate, seconds;
	char *buf;
};

static uint64_t clock_ns(clockid_t clock)
{
	struct timespec t;
	clock_gettime(clock, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void rest(long ns)
{
	nanosleep(&(struct timespec){ .tv_nsec = ns }, NULL);
}

static void must(bool well, const char *what)
{
	if (well)
		return;
	perror(what);
	_exit(1);
}

static void run_on(size_t core)
{
	cpu_set_t set;
	CPU_ZERO(&set);
	CPU_SET(core, &set);
	must(sched_setaffinity(0, sizeof(set), &set) == 0, "sched_setaffinity");
}

static void watch(struct floor *f, unsigned i)
{
	struct epoll_event e = { .events = EPOLLIN, .data.u32 = i };
	int on = 1;
	must(f->fds[i] >= 0, "a connection (see ulimit -n)");
	setsockopt(f->fds[i], IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	must(epoll_ctl(f->epoll, EPOLL_CTL_ADD, f->fds[i], &e) == 0, "epoll_ctl");
}

static void send_to(const struct floor *f, unsigned i, size_t len)
{
	must(send(f->fds[i], f->buf, len, MSG_NOSIGNAL) == (ssize_t)len, "send");
}

static unsigned wait_for(const struct floor *f, struct epoll_event *events, int timeout_ms)
{
	int n = epoll_wait(f->epoll, events, EVENTS_MAX, timeout_ms);
	return n > 0 ? (unsigned)n : 0;
}

static ssize_t read_from(const struct floor *f, unsigned i)
{
	return recv(f->fds[i], f->buf, READ_LEN, MSG_DONTWAIT);
}

/* ---- the clients' side */

static void connect_all(struct floor *f)
{
	for (unsigned i = 0; i < f->count; i++) {
		struct sockaddr_in from = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(0x7f000001 + i % SOURCES) };
		f->fds[i] = socket(AF_INET, SOCK_STREAM, 0);
		must(bind(f->fds[i], (struct sockaddr *)&from, sizeof(from)) == 0, "bind");
		must(connect(f->fds[i], (struct sockaddr *)&f->to, sizeof(f->to)) == 0, "connect");
		watch(f, i);
	}
	f->shared->connected = true;
}

/* As nacosblast does: everything is read before anything is acknowledged. */
static void hear_round(struct floor *f, size_t *got)
{
	struct epoll_event events[EVENTS_MAX];
	uint64_t last_ns = 0;
	memset(got, 0, f->count * sizeof(*got));
	for (unsigned left = f->count; left > 0;) {
		unsigned n = wait_for(f, events, 0);
		uint64_t now_ns = clock_ns(CLOCK_MONOTONIC);
		for (unsigned k = 0; k < n; k++) {
			unsigned i = events[k].data.u32;
			ssize_t len = read_from(f, i);
			got[i] += len > 0 ? (size_t)len : 0;
			if (len > 0 && got[i] == f->bytes)
				left--, last_ns = now_ns;
		}
		if (n < EVENTS_MAX / 4)
			rest(REST_NS);
	}
	f->shared->last_ns = last_ns;
	f->shared->heard++;
	for (unsigned i = 0; i < f->count; i++)
		send_to(f, i, ACKED);
}

static void clients_of_push(struct floor *f)
{
	size_t *got = calloc(f->count, sizeof(*got));
	must(got != NULL, "calloc");
	for (unsigned r = 0; r < f->rounds; r++)
		hear_round(f, got);
	free(got);
}

static void clients_of_echo(struct floor *f)
{
	struct epoll_event events[EVENTS_MAX];
	uint64_t begun_ns = clock_ns(CLOCK_MONOTONIC), asked = 0;
	while (!f->shared->over) {
		uint64_t due = (clock_ns(CLOCK_MONOTONIC) - begun_ns) / 1000 * f->rate / 1000000;
		for (; asked < due; asked++)
			send_to(f, (unsigned)(asked % f->count), ASKED);
		for (unsigned k = 0, n = wait_for(f, events, 0); k < n; k++)
			read_from(f, events[k].data.u32);
		rest(REST_NS);
	}
}

/* ---- the server's side */

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}

static double push_round(struct floor *f)
{
	struct epoll_event events[EVENTS_MAX];
	uint64_t begun_ns = clock_ns(CLOCK_MONOTONIC);
	unsigned before = f->shared->heard;
	for (unsigned i = 0; i < f->count; i++)
		send_to(f, i, f->bytes);
	for (unsigned acked = 0; acked < f->count;)
		for (unsigned k = 0, n = wait_for(f, events, 1000); k < n; k++)
			acked += read_from(f, events[k].data.u32) > 0;
	must(f->shared->heard == before + 1, "a round that is not over");
	return (double)(f->shared->last_ns - begun_ns) / 1e6;
}

static void serve_push(struct floor *f)
{
	double *ms = calloc(f->rounds, sizeof(*ms));
	must(ms != NULL, "calloc");
	for (unsigned r = 0; r < f->rounds; r++) {
		rest(500000000);
		ms[r] = push_round(f);
	}
	qsort(ms, f->rounds, sizeof(*ms), compare);
	printf("mode=push connections=%u bytes=%u rounds=%u last_p50_ms=%.1f last_min_ms=%.1f last_max_ms=%.1f\n", f->count,
	       f->bytes, f->rounds, ms[f->rounds / 2], ms[0], ms[f->rounds - 1]);
	free(ms);
}

static void serve_echo(struct floor *f)
{
	struct epoll_event events[EVENTS_MAX];
	uint64_t begun_ns = clock_ns(CLOCK_MONOTONIC), end_ns = begun_ns + f->seconds * 1000000000ull, answered = 0;
	uint64_t cpu_ns = clock_ns(CLOCK_PROCESS_CPUTIME_ID);
	while (clock_ns(CLOCK_MONOTONIC) < end_ns)
		for (unsigned k = 0, n = wait_for(f, events, 100); k < n; k++)
			if (read_from(f, events[k].data.u32) > 0) {
				send_to(f, events[k].data.u32, ANSWERED);
				answered++;
			}
	cpu_ns = clock_ns(CLOCK_PROCESS_CPUTIME_ID) - cpu_ns;
	f->shared->over = true;
	printf("mode=echo connections=%u per_s=%.0f cpu_us_per_echo=%.2f cpu_pct=%.1f\n", f->count,
	       (double)answered / f->seconds, answered ? (double)cpu_ns / 1e3 / (double)answered : 0,
	       (double)cpu_ns / 1e7 / f->seconds);
}

/* ---- */

static void listen_on_loopback(struct floor *f)
{
	socklen_t len = sizeof(f->to);
	f->to = (struct sockaddr_in){ .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	f->listener = socket(AF_INET, SOCK_STREAM, 0);
	must(bind(f->listener, (struct sockaddr *)&f->to, len) == 0 && listen(f->listener, 4096) == 0, "listen");
	getsockname(f->listener, (struct sockaddr *)&f->to, &len);
}

/* Each process has all of it, with descriptors of its own. */
static void floor_init(struct floor *f)
{
	f->fds = calloc(f->count, sizeof(*f->fds));
	f->buf = calloc(1, READ_LEN);
	f->epoll = epoll_create1(0);
	must(f->fds != NULL && f->buf != NULL && f->epoll >= 0, "no memory");
}

static void run(struct floor *f, void (*serve)(struct floor *f), void (*clients)(struct floor *f))
{
	listen_on_loopback(f);
	pid_t child = fork();
	must(child >= 0, "fork");
	floor_init(f);
	run_on(child == 0);
	if (child == 0) {
		close(f->listener);
		connect_all(f);
		clients(f);
		_exit(0);
	}
	for (unsigned i = 0; i < f->count; i++) {
		f->fds[i] = accept(f->listener, NULL, NULL);
		watch(f, i);
	}
	while (!f->shared->connected)
		rest(REST_NS);
	serve(f);
	waitpid(child, NULL, 0);
}

int main(int argc, char **argv)
{
	bool push = argc > 2 && strcmp(argv[1], "push") == 0, echo = argc > 2 && strcmp(argv[1], "echo") == 0;
	unsigned a = argc > 3 ? (unsigned)atoi(argv[3]) : 0, b = argc > 4 ? (unsigned)atoi(argv[4]) : 5;
	struct floor f = { .count = argc > 2 ? (unsigned)atoi(argv[2]) : 0, .rounds = b, .seconds = b };
	struct rlimit files;
	f.bytes = a > 0 ? a : 3700;
	f.rate = a > 0 ? a : 4000;
	if ((!push && !echo) || f.count == 0 || b == 0 || f.bytes > READ_LEN) {
		fputs("usage: tcpfloor push CONNECTIONS [BYTES=3700] [ROUNDS=5]\n"
		      "       tcpfloor echo CONNECTIONS [RATE=4000] [SECONDS=5]\n",
		      stderr);
		return 2;
	}
	getrlimit(RLIMIT_NOFILE, &files);
	files.rlim_cur = files.rlim_max;
	setrlimit(RLIMIT_NOFILE, &files);
	f.shared = mmap(NULL, sizeof(*f.shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	must(f.shared != MAP_FAILED, "mmap");
	run(&f, push ? serve_push : serve_echo, push ? clients_of_push : clients_of_echo);
	return 0;
}
