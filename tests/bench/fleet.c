/* fleet.c - a fleet of instances over HTTP: registers them, registers them again, lists their services.
 *
 *   fleet PORT register|persistent|deregister|beat|list [-s SERVICES=10000] [-i INSTANCES=4] [-f FIRST=0] [-c CONNECTIONS=32]
 *         [-d DEPTH=16] [-g GENERATION=0] [-m] [-x] [-r RATE=0] [-t SECONDS=0] [-q]
 *
 * Instance n of SERVICES * INSTANCES is 10.x.y.z:8080 of service sNNNNN, n / INSTANCES its number. -m gives it two metadata
 * pairs with values of its own, which name the GENERATION too. -x scatters the order, as a fleet would. One loop, DEPTH requests
 * on the way on each connection. With RATE it is paced: request n is due at start + n/RATE whatever the server does; with
 * SECONDS the fleet goes round, a generation more each time. An answer other than 200 ends the run, with -q it is counted.
 * Prints one line of key=value figures; latencies from the moment a request was due (paced) or sent. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { CONNS_MAX = 1024, DEPTH_MAX = 256, IN_SIZE = 1 << 20, OUT_SIZE = 1 << 18, REQUEST_MAX = 640, LATENCIES = 1 << 22 };

struct conn {
	int fd;
	char *in, *out;
	size_t in_len, out_len, out_at, skip; /* skip: body bytes that are still to come */
	unsigned waiting, head;
	double due[DEPTH_MAX];
};

static struct {
	int port;
	const char *mode;
	uint64_t services, instances, first, generation, conns, depth;
	bool metadata, scatter, quiet;
	double rate, seconds;
} o = { .services = 10000, .instances = 4, .conns = 32, .depth = 16 };
static struct conn conns[CONNS_MAX];
static uint64_t total, sent, done, refused, latency_count;
static float latencies[LATENCIES];
static double start;

static double now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void die(const char *what)
{
	fprintf(stderr, "fleet: %s\n", what);
	exit(1);
}

/* ---- requests */

static uint64_t stride(void) /* prime to @total */
{
	static const uint64_t primes[] = { 7368787, 1299709, 104729 };
	for (size_t i = 0; i < 3; i++)
		if (total % primes[i] != 0)
			return primes[i];
	return 1;
}

static size_t request(char *to, uint64_t k)
{
	uint64_t round = k / total, n = k % total;
	if (o.scatter)
		n = (uint64_t)((__uint128_t)n * stride() % total);
	if (strcmp(o.mode, "list") == 0)
		return (size_t)sprintf(to, "GET /nacos/v1/ns/instance/list?serviceName=s%05llu HTTP/1.1\r\nHost: f\r\n\r\n",
				       (unsigned long long)(n + o.first));
	uint64_t service = o.first + n / o.instances, host = service * o.instances + n % o.instances + 1;
	char metadata[160] = "";
	if (o.metadata)
		sprintf(metadata, "&metadata=node%%3Dn%llu-%llu%%2Crelease%%3D1.%llu.%llu", (unsigned long long)host,
			(unsigned long long)(o.generation + round), (unsigned long long)(o.generation + round),
			(unsigned long long)host);
	const char *method = "POST", *path = "instance", *persistent = "true";
	if (strcmp(o.mode, "persistent") == 0)
		persistent = "false";
	else if (strcmp(o.mode, "deregister") == 0)
		method = "DELETE";
	else if (strcmp(o.mode, "beat") == 0) {
		method = "PUT";
		path = "instance/beat";
	}
	return (size_t)sprintf(to,
			       "%s /nacos/v1/ns/%s?serviceName=s%05llu&ip=10.%llu.%llu.%llu&port=8080&ephemeral=%s%s "
			       "HTTP/1.1\r\nHost: f\r\nContent-Length: 0\r\n\r\n",
			       method, path, (unsigned long long)service, (unsigned long long)(host >> 16 & 255),
			       (unsigned long long)(host >> 8 & 255), (unsigned long long)(host & 255), persistent,
			       metadata);
}

static bool may_send(void)
{
	double t = now() - start;
	if (o.seconds > 0 ? t >= o.seconds : sent == total)
		return false;
	return o.rate <= 0 || (double)sent / o.rate <= t;
}

static void push(struct conn *c)
{
	while (c->out_at < c->out_len) {
		ssize_t n = send(c->fd, c->out + c->out_at, c->out_len - c->out_at, MSG_NOSIGNAL);
		if (n < 0 && errno == EAGAIN)
			return;
		if (n < 0)
			die("the server closed a connection");
		c->out_at += (size_t)n;
	}
	c->out_at = c->out_len = 0;
}

static void fill(struct conn *c)
{
	if (c->out_at > 0)
		return;
	while (c->waiting < o.depth && c->out_len + REQUEST_MAX < OUT_SIZE && may_send()) {
		c->due[(c->head + c->waiting++) % DEPTH_MAX] = o.rate > 0 ? start + (double)sent / o.rate : now();
		c->out_len += request(c->out + c->out_len, sent++);
	}
	push(c);
}

/* ---- answers */

static void answered(struct conn *c, const char *status, size_t len)
{
	if (memcmp(status + 9, "200", 3) != 0) {
		if (!o.quiet) {
			fprintf(stderr, "fleet: %.*s\n", (int)(len < 600 ? len : 600), status);
			exit(1);
		}
		refused++;
	}
	float latency = (float)(now() - c->due[c->head]);
	if (latency_count < LATENCIES)
		latencies[latency_count++] = latency;
	c->head = (c->head + 1) % DEPTH_MAX;
	c->waiting--;
	done++;
}

/* The length of the head at @at with its empty line; 0: not whole. */
static size_t head_len(const char *at, size_t len, size_t *body)
{
	const char *end = memmem(at, len, "\r\n\r\n", 4);
	if (end == NULL)
		return 0;
	const char *field = memmem(at, (size_t)(end - at), "ontent-", 7);
	for (; field != NULL && strncasecmp(field, "ontent-length:", 14) != 0;
	     field = memmem(field + 1, (size_t)(end - field - 1), "ontent-", 7))
		;
	if (field == NULL)
		die("an answer without Content-Length");
	*body = strtoull(field + 14, NULL, 10);
	return (size_t)(end - at) + 4;
}

static void take(struct conn *c)
{
	ssize_t n = recv(c->fd, c->in + c->in_len, IN_SIZE - c->in_len, 0);
	if (n < 0 && errno == EAGAIN)
		return;
	if (n <= 0)
		die("the server closed a connection");
	c->in_len += (size_t)n;
	size_t at = 0;
	for (;;) {
		size_t some = c->skip < c->in_len - at ? c->skip : c->in_len - at, body, head;
		at += some;
		c->skip -= some;
		if (c->skip > 0 || at == c->in_len || (head = head_len(c->in + at, c->in_len - at, &body)) == 0)
			break;
		answered(c, c->in + at, c->in_len - at);
		at += head;
		c->skip = body;
	}
	memmove(c->in, c->in + at, c->in_len - at);
	c->in_len -= at;
}

/* ---- life */

static void connect_all(int epoll)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons((uint16_t)o.port),
				 .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	for (uint64_t i = 0; i < o.conns; i++) {
		struct conn *c = &conns[i];
		struct epoll_event e = { .events = EPOLLIN, .data.ptr = c };
		int one = 1;
		c->fd = socket(AF_INET, SOCK_STREAM, 0);
		c->in = malloc(IN_SIZE);
		c->out = malloc(OUT_SIZE);
		if (c->in == NULL || c->out == NULL || connect(c->fd, (struct sockaddr *)&a, sizeof(a)) < 0)
			die("cannot connect");
		setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
		fcntl(c->fd, F_SETFL, O_NONBLOCK);
		epoll_ctl(epoll, EPOLL_CTL_ADD, c->fd, &e);
	}
}

static int compare(const void *a, const void *b)
{
	float x = *(const float *)a, y = *(const float *)b;
	return x < y ? -1 : x > y;
}

static bool options(int argc, char **argv)
{
	int c;
	if (argc < 3)
		return false;
	o.port = atoi(argv[1]);
	o.mode = argv[2];
	optind = 3;
	while ((c = getopt(argc, argv, "s:i:f:c:d:g:mxr:t:q")) != -1) {
		uint64_t value = optarg == NULL ? 0 : strtoull(optarg, NULL, 10);
		switch (c) {
		case 's': o.services = value; break;
		case 'i': o.instances = value; break;
		case 'f': o.first = value; break;
		case 'c': o.conns = value; break;
		case 'd': o.depth = value; break;
		case 'g': o.generation = value; break;
		case 'm': o.metadata = true; break;
		case 'x': o.scatter = true; break;
		case 'r': o.rate = strtod(optarg, NULL); break;
		case 't': o.seconds = strtod(optarg, NULL); break;
		case 'q': o.quiet = true; break;
		default: return false;
		}
	}
	total = strcmp(o.mode, "list") == 0 ? o.services : o.services * o.instances;
	return total > 0 && o.conns > 0 && o.conns <= CONNS_MAX && o.depth > 0 && o.depth <= DEPTH_MAX;
}

int main(int argc, char **argv)
{
	struct epoll_event events[64];
	int epoll = epoll_create1(0);
	if (!options(argc, argv)) {
		fprintf(stderr, "usage: see the head of fleet.c\n");
		return 2;
	}
	connect_all(epoll);
	start = now();
	for (uint64_t turn = 0;; turn++) {
		bool more = o.seconds > 0 ? now() - start < o.seconds : sent < total;
		if (!more && done == sent)
			break;
		/* paced: what is due goes to the connections in turn */
		for (uint64_t i = 0; i < o.conns && (o.rate <= 0 || may_send()); i++)
			fill(&conns[(turn + i) % o.conns]);
		int n = epoll_wait(epoll, events, 64, o.rate > 0 ? 1 : 100);
		for (int i = 0; i < n; i++)
			take(events[i].data.ptr);
		for (uint64_t i = 0; i < o.conns; i++)
			if (conns[i].out_len > 0)
				push(&conns[i]);
	}
	double took = now() - start;
	qsort(latencies, latency_count, sizeof(latencies[0]), compare);
	printf("mode=%s done=%llu refused=%llu seconds=%.2f per_s=%.0f p50_ms=%.2f p99_ms=%.2f max_ms=%.2f\n", o.mode,
	       (unsigned long long)done, (unsigned long long)refused, took, (double)done / took,
	       (double)latencies[latency_count / 2] * 1e3, (double)latencies[latency_count * 99 / 100] * 1e3,
	       latency_count == 0 ? 0 : (double)latencies[latency_count - 1] * 1e3);
	return 0;
}
