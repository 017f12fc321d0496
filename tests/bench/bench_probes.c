/* bench_probes.c - how many probes a second one core carries: `bench_probes [SECONDS]`. The prober is asked for more
 * than it can do against a local server on the other core; what counts is probes by the CPU time of this process,
 * in which nothing else runs. For each kind a line: probes, wall rate, CPU time, rate of one full core. First comes
 * what the kernel alone takes: socket, connect and reset in a bare loop. */
#include "base/clock.h"
#include "base/metrics.h"
#include "health/prober.h"
#include "tests/health/fake_desk.h"
#include <arpa/inet.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum { TARGETS = 2000, INTERVAL_MS = 20, EVENTS = 256, WARM_US = 3000000 };

static void pin(int cpu)
{
	cpu_set_t set;
	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	sched_setaffinity(0, sizeof(set), &set);
}

static void serve_one(int fd)
{
	static const char answer[] = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
	char request[2048];
	ssize_t n = recv(fd, request, sizeof(request), 0);
	if (n > 0)
		send(fd, answer, sizeof(answer) - 1, MSG_NOSIGNAL);
	else
		close(fd);
}

/* Answers whatever is sent; closes when the other side has. */
static void serve(int listener)
{
	struct epoll_event events[EVENTS], one = { .events = EPOLLIN, .data.fd = listener };
	int epoll = epoll_create1(0);
	epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &one);
	for (;;) {
		int n = epoll_wait(epoll, events, EVENTS, -1);
		for (int i = 0; i < n; i++) {
			if (events[i].data.fd != listener) {
				serve_one(events[i].data.fd);
				continue;
			}
			for (int fd; (fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0;) {
				one.data.fd = fd;
				epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &one);
			}
		}
	}
}

static pid_t start_server(uint16_t *ret_port)
{
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_ANY) };
	socklen_t len = sizeof(in);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	if (bind(fd, (struct sockaddr *)&in, len) < 0 || listen(fd, 4096) < 0)
		exit(1);
	getsockname(fd, (struct sockaddr *)&in, &len);
	*ret_port = ntohs(in.sin_port);
	pid_t pid = fork();
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		pin(1);
		serve(fd);
	}
	close(fd);
	return pid;
}

static double cpu_seconds(void)
{
	struct rusage u;
	getrusage(RUSAGE_SELF, &u);
	return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
	       (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) * 1e-6;
}

static uint64_t ended(const char *kind, const char *result)
{
	char labels[64];
	snprintf(labels, sizeof(labels), "kind=\"%s\",result=\"%s\"", kind, result);
	return metrics_value(metrics_counter("probes_total", "Probes that ended.", labels));
}

static void measure(enum checker_kind checker, const char *kind, unsigned seconds)
{
	uint16_t port;
	pid_t server = start_server(&port);
	struct desk *desk = fake_desk_new();
	struct switches *s = fake_switches(desk);
	struct prober *prober;
	s->tcp = s->http = (struct check_params){ INTERVAL_MS, INTERVAL_MS, 0.5 };
	fake_publish(desk, s);
	if (prober_start(&prober, desk, &(struct prober_conf){ 1000000, 512 }, NULL) < 0)
		exit(1);
	fake_watch(desk, prober_watcher(prober));
	struct service *service = fake_service(desk, "bench", false);
	fake_checker(desk, service,
		     &(struct checker){ .kind = checker, .path = "/health", .expected_code = 200 }, 80, true);
	for (unsigned k = 0; k < TARGETS; k++) {
		char ip[32];
		snprintf(ip, sizeof(ip), "127.0.%u.%u", k / 250, k % 250 + 1);
		fake_add(desk, service, ip, port);
	}
	usleep(WARM_US);
	uint64_t ok = ended(kind, "ok"), bad = ended(kind, "failure") + ended(kind, "void");
	double cpu = cpu_seconds();
	uint64_t from_ns = clock_ns();
	sleep(seconds);
	ok = ended(kind, "ok") - ok;
	bad = ended(kind, "failure") + ended(kind, "void") - bad;
	cpu = cpu_seconds() - cpu;
	double wall = (double)(clock_ns() - from_ns) * 1e-9;
	printf("%s: %llu probes in %.2f s (%.0f/s), %llu failed or void; CPU %.2f s: %.1f us each, %.0f/s on one core\n",
	       kind, (unsigned long long)ok, wall, (double)ok / wall, (unsigned long long)bad, cpu,
	       cpu * 1e6 / (double)ok, (double)ok / cpu);
	prober_stop(prober);
	fake_desk_free(desk);
	prober_free(prober);
	kill(server, SIGKILL);
	waitpid(server, NULL, 0);
}

static void measure_bare(void)
{
	static const struct linger reset = { .l_onoff = 1, .l_linger = 0 };
	enum { ROUNDS = 40000 };
	uint16_t port;
	pid_t server = start_server(&port);
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_port = htons(port),
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	double cpu = cpu_seconds();
	for (unsigned n = 0; n < ROUNDS; n++) {
		int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
		setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
		(void)!connect(fd, (struct sockaddr *)&in, sizeof(in));
		close(fd);
	}
	cpu = cpu_seconds() - cpu;
	printf("bare connects: %.1f us each, %.0f/s on one core\n", cpu * 1e6 / ROUNDS, ROUNDS / cpu);
	kill(server, SIGKILL);
	waitpid(server, NULL, 0);
}

int main(int argc, char **argv)
{
	unsigned seconds = argc > 1 ? (unsigned)atoi(argv[1]) : 3;
	rcu_thread_start();
	pin(0);
	measure_bare();
	measure(CHECKER_TCP, "tcp", seconds > 0 ? seconds : 1);
	measure(CHECKER_HTTP, "http", seconds > 0 ? seconds : 1);
	rcu_thread_stop();
	return 0;
}
