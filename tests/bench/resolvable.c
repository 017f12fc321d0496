/* resolvable.c - is an acknowledged change in the very next DNS answer?
 *
 *   resolvable HTTPPORT DNSPORT OPERATIONS [CHURN=5000] [SEED=0] [GRPCPORT=0]
 *
 * One client changes services of 1 to 16 instances (register, deregister, weight, enabled) and asks DNS at once after
 * each acknowledgement, from one of 64 source ports in turn; the answer must be exactly the model's set. It speaks HTTP,
 * or with GRPCPORT gRPC over 16 connections, since a connection publishes one instance of a service: an operator's edits
 * come over HTTP even then.
 * Meanwhile another thread registers other instances at CHURN a second, and a third asks as fast as it gets answers.
 * Talks to 127.0.0.1 only; ends by itself. Prints one line of figures; exit status 1 on a wrong answer. */
#include "sdkline.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { SERVICES = 200, SLOTS = 16, SOCKETS = 64, ANSWER_MAX = 4096 };

/* @silent: registered without a weight, or not enabled. What the operator's overlay says once it was set wins and stays. */
struct slot {
	bool registered, silent, overlaid, enabled, weighted;
};

struct run {
	uint16_t http_port, dns_port;
	unsigned churn;
	struct slot slots[SERVICES][SLOTS];
	struct sdkline *lines[SLOTS]; /* NULL: over HTTP */
	int udp[SOCKETS];
	atomic_bool over;
	_Atomic uint64_t churned, asked, churn_errors;
	uint64_t seed;
};

static double now_sec(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static uint32_t draw(uint64_t *seed, uint32_t n)
{
	*seed = *seed * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)((*seed >> 33) % n);
}

static void die(const char *what)
{
	perror(what);
	exit(2);
}

static struct sockaddr_in loopback(uint16_t port)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons(port) };

	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	return a;
}

static int connected(int type, uint16_t port)
{
	struct sockaddr_in a = loopback(port);
	struct timeval limit = { 60, 0 };
	int one = 1, fd = socket(AF_INET, type | SOCK_CLOEXEC, 0);

	if (fd < 0 || connect(fd, (struct sockaddr *)&a, sizeof(a)) < 0)
		die("connect");
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	if (type == SOCK_STREAM)
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	return fd;
}

/* One request and its answer; true when it is 200 with the body "ok". */
static bool http_ok(int fd, const char *method, const char *query)
{
	char text[2048];
	size_t len = 0;
	int n = snprintf(text, sizeof(text),
			 "%s /nacos/v1/ns/%s HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n",
			 method, query);

	if (send(fd, text, (size_t)n, MSG_NOSIGNAL) != n)
		return false;
	for (;;) {
		ssize_t got = recv(fd, text + len, sizeof(text) - 1 - len, 0);
		if (got <= 0) {
			fprintf(stderr, "resolvable: %s %s: %s\n", method, query, got == 0 ? "closed" : strerror(errno));
			return false;
		}
		len += (size_t)got;
		text[len] = 0;
		const char *body = strstr(text, "\r\n\r\n");
		if (body != NULL && strlen(body + 4) >= 2) {
			bool ok = strncmp(text, "HTTP/1.1 200", 12) == 0 && strcmp(body + 4, "ok") == 0;
			if (!ok)
				fprintf(stderr, "resolvable: %s %s: %s\n", method, query, text);
			return ok;
		}
	}
}

static size_t question(uint8_t *to, uint16_t id, unsigned service)
{
	char name[16];
	size_t at = 12, n;

	memset(to, 0, 12);
	to[0] = (uint8_t)(id >> 8);
	to[1] = (uint8_t)id;
	to[5] = 1;
	n = (size_t)snprintf(name, sizeof(name), "r%u", service);
	const char *labels[] = { name, "svc", "muster", "internal" };
	for (size_t i = 0; i < 4; i++) {
		n = strlen(labels[i]);
		to[at++] = (uint8_t)n;
		memcpy(to + at, labels[i], n);
		at += n;
	}
	memcpy(to + at, "\0\0\1\0\1", 5);
	return at + 5;
}

/* Bit set of the last octets (1..16) of the A records in @msg; -1: not a clean answer. */
static int answer_set(const uint8_t *msg, size_t len, size_t question_len)
{
	int set = 0, count = len < 12 ? 0 : msg[6] << 8 | msg[7];
	size_t at = question_len;

	if (len < question_len || (msg[2] & 2) != 0 || ((msg[3] & 15) != 0 && (msg[3] & 15) != 3))
		return -1;
	for (int i = 0; i < count; i++, at += 16) {
		if (at + 16 > len || msg[at] != 0xC0 || msg[at + 3] != 1 || msg[at + 15] == 0 ||
		    msg[at + 15] > SLOTS)
			return -1;
		set |= 1 << (msg[at + 15] - 1);
	}
	return set;
}

static int ask(int fd, uint16_t id, unsigned service)
{
	uint8_t q[512], a[ANSWER_MAX];
	size_t len = question(q, id, service);

	if (send(fd, q, len, 0) != (ssize_t)len)
		return -1;
	for (;;) {
		ssize_t n = recv(fd, a, sizeof(a), 0);
		if (n < 2)
			return -1;
		if ((a[0] << 8 | a[1]) == id)
			return answer_set(a, (size_t)n, len);
	}
}

static int wanted(const struct run *r, unsigned service)
{
	int set = 0;

	for (unsigned i = 0; i < SLOTS; i++) {
		const struct slot *s = &r->slots[service][i];
		if (s->registered && (s->overlaid ? s->enabled && s->weighted : !s->silent))
			set |= 1 << i;
	}
	return set;
}

/* @after says what the slot's own client now publishes, or that it no longer does. */
static bool publish(struct run *r, uint64_t *seed, unsigned service, unsigned at, const struct slot *after)
{
	unsigned how = draw(seed, 2); /* silent: without a weight, or not enabled */
	char body[512];

	snprintf(body, sizeof(body),
		 "{\"namespace\":\"public\",\"serviceName\":\"r%u\",\"groupName\":\"DEFAULT_GROUP\",\"module\":\"naming\","
		 "\"type\":\"%s\",\"instance\":{\"ip\":\"10.1.%u.%u\",\"port\":8080,\"weight\":%u.0,\"healthy\":true,"
		 "\"enabled\":%s,\"ephemeral\":true,\"clusterName\":\"DEFAULT\",\"metadata\":{}}}",
		 service, after->registered ? "registerInstance" : "deregisterInstance", service, at + 1,
		 after->silent && how == 0 ? 0 : 1 + draw(seed, 5), after->silent && how == 1 ? "false" : "true");
	return sdkline_ask(r->lines[at], "InstanceRequest", body);
}

/* One change of one slot; the model moves only when it is acknowledged. */
static bool change(struct run *r, int fd, uint64_t *seed, unsigned *ret_service)
{
	unsigned service = draw(seed, SERVICES), at = draw(seed, SLOTS), kind = draw(seed, 8);
	struct slot *s = &r->slots[service][at], after = *s;
	char query[256];
	const char *method = "POST";
	int n = snprintf(query, sizeof(query), "instance?serviceName=r%u&ip=10.1.%u.%u&port=8080", service,
			 service, at + 1);

	*ret_service = service;
	if (kind == 7 && s->registered) {
		method = "PUT";
		after.overlaid = true;
		after.enabled = draw(seed, 3) != 0;
		after.weighted = draw(seed, 3) != 0;
		snprintf(query + n, sizeof(query) - (size_t)n, "&enabled=%s&weight=%s",
			 after.enabled ? "true" : "false", after.weighted ? "2" : "0");
	} else if (s->registered && (r->lines[0] == NULL || kind % 2 == 0)) {
		method = "DELETE";
		after.registered = false;
	} else {
		after.registered = true;
		after.silent = r->lines[0] != NULL && draw(seed, 4) == 0;
		snprintf(query + n, sizeof(query) - (size_t)n, "&weight=%u", 1 + draw(seed, 5));
	}
	bool grpc = r->lines[0] != NULL && strcmp(method, "PUT") != 0;

	if (grpc ? !publish(r, seed, service, at, &after) : !http_ok(fd, method, query))
		return false;
	*s = after;
	return true;
}

static void *churn(void *arg)
{
	struct run *r = arg;
	int fd = connected(SOCK_STREAM, r->http_port);
	double begun = now_sec();
	char query[256];

	for (uint64_t i = 0; !atomic_load(&r->over) && r->churn > 0; i++) {
		double due = begun + (double)i / r->churn, left = due - now_sec();
		if (left > 0) {
			struct timespec t = { 0, (long)(left * 1e9) };
			nanosleep(&t, NULL);
		}
		snprintf(query, sizeof(query),
			 "instance?serviceName=churn%u&ip=10.2.0.%u&port=80&metadata=n%%3D%llu", (unsigned)(i % 97),
			 (unsigned)(1 + i % 16), (unsigned long long)i);
		if (http_ok(fd, "POST", query))
			atomic_fetch_add(&r->churned, 1);
		else if (!atomic_load(&r->over))
			atomic_fetch_add(&r->churn_errors, 1);
	}
	close(fd);
	return NULL;
}

static void *flood(void *arg)
{
	struct run *r = arg;
	int fd = connected(SOCK_DGRAM, r->dns_port);

	for (uint16_t id = 1; !atomic_load(&r->over); id++)
		if (ask(fd, id, id % SERVICES) >= 0)
			atomic_fetch_add(&r->asked, 1);
	close(fd);
	return NULL;
}

int main(int argc, char **argv)
{
	static struct run r;
	pthread_t threads[2];
	uint64_t wrong = 0, done = 0;
	double slowest = 0; /* change and question together */

	if (argc < 4) {
		fputs("usage: resolvable HTTPPORT DNSPORT OPERATIONS [CHURN=5000] [SEED=0] [GRPCPORT=0]\n", stderr);
		return 2;
	}
	r.http_port = (uint16_t)atoi(argv[1]);
	r.dns_port = (uint16_t)atoi(argv[2]);
	uint64_t operations = strtoull(argv[3], NULL, 10);
	r.churn = argc > 4 ? (unsigned)atoi(argv[4]) : 5000;
	r.seed = argc > 5 ? strtoull(argv[5], NULL, 10) : 0;
	if (r.seed == 0)
		r.seed = (uint64_t)(now_sec() * 1e6);
	uint64_t seed = r.seed;
	int fd = connected(SOCK_STREAM, r.http_port);
	/* Nothing here beats: on a slow machine the run outlasts the heartbeat time-out of 15 s. */
	if (!http_ok(fd, "PUT", "operator/switches?entry=check&value=false"))
		die("switching the checks off");
	for (int i = 0; i < SLOTS && argc > 6 && atoi(argv[6]) > 0; i++)
		if ((r.lines[i] = sdkline_new((uint16_t)atoi(argv[6]))) == NULL)
			die("a gRPC connection");
	for (int i = 0; i < SOCKETS; i++)
		r.udp[i] = connected(SOCK_DGRAM, r.dns_port);
	pthread_create(&threads[0], NULL, churn, &r);
	pthread_create(&threads[1], NULL, flood, &r);
	double begun = now_sec();
	while (done < operations) {
		unsigned service;
		double begin = now_sec();
		if (!change(&r, fd, &seed, &service)) {
			wrong++;
			break;
		}
		int set = ask(r.udp[done % SOCKETS], (uint16_t)(done * 7 + 1), service);
		done++;
		if (now_sec() - begin > slowest)
			slowest = now_sec() - begin;
		if (set != wanted(&r, service) && wrong++ < 5)
			fprintf(stderr, "resolvable: operation %llu: r%u answers %04x, acknowledged %04x\n",
				(unsigned long long)done, service, (unsigned)set,
				(unsigned)wanted(&r, service));
	}
	double sec = now_sec() - begun;
	atomic_store(&r.over, true);
	for (int i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	for (int i = 0; i < SLOTS; i++)
		if (r.lines[i] != NULL)
			sdkline_free(r.lines[i]);
	printf("operations=%llu wrong=%llu seconds=%.1f churn_per_s=%.0f churn_errors=%llu queries_per_s=%.0f slowest_ms=%.0f seed=%llu\n",
	       (unsigned long long)done, (unsigned long long)wrong, sec, (double)r.churned / sec,
	       (unsigned long long)r.churn_errors, (double)r.asked / sec, slowest * 1e3,
	       (unsigned long long)r.seed);
	return wrong > 0 || r.churn_errors > 0;
}
