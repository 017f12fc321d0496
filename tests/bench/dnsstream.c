/* dnsstream.c - DNS load over many pipelined TCP or TLS connections, for one core.
 *
 *   dnsstream [-t] [-r] [-e] [-n CONNECTIONS=100] [-w WINDOW=16] [-p PIDS] HOST PORT QUESTIONS SECONDS
 *
 * Closed loop: every connection keeps up to WINDOW questions on their way and sends the next ones, in one write, when
 * half of them are answered. -t speaks TLS (RFC 7858), in one record a write; with -r each question has a record of its
 * own, still in one write. -e adds an OPT record. PIDS, "12" or "12+34", are the server's
 * processes: the line then has its processor time per answer and the answers per second of processor. A connection that
 * the server closes ends the program: none may under a load like this. So does a second in which nobody is answered
 * anything. Prints one line of key=value figures. */
#include "meter.h"
#include "questions.h"
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { CONNECTIONS_MAX = 1000, WINDOW_MAX = 256, BUFFER = 65536 + 2 };

struct connection {
	int fd;
	SSL *tls; /* NULL: plain */
	int waiting;
	size_t have; /* octets of @in */
	uint8_t in[BUFFER];
};

struct stream_run {
	struct questions questions;
	size_t next;
	int connections, window, epoll;
	bool records; /* one for each question */
	double seconds;
	const char *pids;
	SSL_CTX *context;
	struct connection *list;
	struct tally tally;
};

static void die(const char *what)
{
	if (ERR_peek_error() != 0)
		ERR_print_errors_fp(stderr);
	perror(what);
	exit(1);
}

static void stalled(void)
{
	fprintf(stderr, "dnsstream: the server has stalled: questions are there and nothing is answered\n");
	exit(1);
}

/* What is sealed is gathered, and written by one flush. */
static bool gather(struct connection *c)
{
	BIO *socket = BIO_new_socket(c->fd, BIO_NOCLOSE), *buffer = BIO_new(BIO_f_buffer());

	if (socket == NULL || buffer == NULL || BIO_set_write_buffer_size(buffer, BUFFER) != 1)
		return false;
	SSL_set0_wbio(c->tls, BIO_push(buffer, socket));
	return true;
}

static void send_all(struct connection *c, const uint8_t *at, size_t len)
{
	while (len > 0) {
		ssize_t n = c->tls != NULL ? SSL_write(c->tls, at, (int)len) : send(c->fd, at, len, MSG_NOSIGNAL);

		if (n <= 0)
			die("send");
		at += n;
		len -= (size_t)n;
	}
}

/* The next question, behind its length. */
static size_t put_question(struct stream_run *r, uint8_t *out)
{
	struct question *q = &r->questions.list[r->next];

	r->next = r->next + 1 < r->questions.count ? r->next + 1 : 0;
	q->message[0] = (uint8_t)(r->tally.sent >> 8);
	q->message[1] = (uint8_t)r->tally.sent++;
	out[0] = (uint8_t)(q->len >> 8);
	out[1] = (uint8_t)q->len;
	memcpy(out + 2, q->message, q->len);
	return 2 + q->len;
}

/* So that @window of them wait for answers. */
static void top_up(struct stream_run *r, struct connection *c, int window)
{
	uint8_t out[WINDOW_MAX * (sizeof(struct question) + 2)];
	size_t len = 0;

	for (; c->waiting < window; c->waiting++) {
		len += put_question(r, out + len);
		if (r->records) {
			send_all(c, out, len);
			len = 0;
		}
	}
	send_all(c, out, len);
	if (c->tls != NULL && BIO_flush(SSL_get_wbio(c->tls)) != 1)
		die("send");
}

static size_t receive(struct connection *c)
{
	size_t room = BUFFER - c->have;
	ssize_t n = c->tls != NULL ? SSL_read(c->tls, c->in + c->have, (int)room) :
				     recv(c->fd, c->in + c->have, room, 0);

	if (n < 0 && errno == EAGAIN)
		stalled();
	if (n <= 0)
		die("the server closed a connection");
	c->have += (size_t)n;
	return c->have;
}

static void take_answers(struct stream_run *r, struct connection *c)
{
	size_t at = 0;

	while (c->have - at >= 2) {
		size_t len = (size_t)c->in[at] << 8 | c->in[at + 1];

		if (c->have - at < 2 + len)
			break;
		tally_add(&r->tally, c->in + at + 2, (unsigned)len);
		c->waiting--;
		at += 2 + len;
	}
	memmove(c->in, c->in + at, c->have - at);
	c->have -= at;
}

/* And a first question: Knot 3.4's only worker of TLS waits for it behind a handshake, for half a second, and then
 * ends the connection. */
static void open_connection(struct stream_run *r, struct connection *c, const struct sockaddr_in *server)
{
	struct epoll_event event = { .events = EPOLLIN, .data.ptr = c };
	struct timeval patience = { .tv_sec = 5 };
	int one = 1;

	c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (c->fd < 0 || connect(c->fd, (const struct sockaddr *)server, sizeof(*server)) < 0)
		die("connect");
	setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	setsockopt(c->fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	if (r->context != NULL) {
		c->tls = SSL_new(r->context);
		if (c->tls == NULL || !SSL_set_fd(c->tls, c->fd) || !gather(c) || SSL_connect(c->tls) != 1)
			die("TLS handshake");
	}
	if (epoll_ctl(r->epoll, EPOLL_CTL_ADD, c->fd, &event) < 0)
		die("epoll_ctl");
	top_up(r, c, 1);
}

/* All of them, and the answers to their first questions: that each is waited for 40 ms, where a server has not switched off
 * Nagle's algorithm, happens side by side. */
static void open_all(struct stream_run *r, const struct sockaddr_in *server)
{
	for (int i = 0; i < r->connections; i++)
		open_connection(r, &r->list[i], server);
	for (int i = 0; i < r->connections; i++)
		while (r->list[i].waiting > 0) {
			receive(&r->list[i]);
			take_answers(r, &r->list[i]);
		}
	r->tally = (struct tally){ 0 };
}

static double run(struct stream_run *r, double start)
{
	double now = start;

	for (int i = 0; i < r->connections; i++)
		top_up(r, &r->list[i], r->window);
	while ((now = meter_now()) - start < r->seconds) {
		struct epoll_event events[64];
		int n = epoll_wait(r->epoll, events, 64, 1000);

		if (n == 0)
			stalled();
		for (int i = 0; i < n; i++) {
			struct connection *c = events[i].data.ptr;

			do {
				receive(c);
				take_answers(r, c);
			} while (c->tls != NULL && SSL_pending(c->tls) > 0);
			if (c->waiting <= r->window / 2)
				top_up(r, c, r->window);
		}
	}
	return now - start;
}

static SSL_CTX *client_context(void)
{
	static const unsigned char alpn[] = { 3, 'd', 'o', 't' };
	SSL_CTX *context = SSL_CTX_new(TLS_client_method());

	if (context == NULL || SSL_CTX_set_alpn_protos(context, alpn, sizeof(alpn)) != 0)
		die("SSL_CTX_new");
	SSL_CTX_set_verify(context, SSL_VERIFY_NONE, NULL); /* of a server that the benchmark started itself */
	return context;
}

static enum edns options(struct stream_run *r, int argc, char **argv)
{
	enum edns edns = EDNS_NONE;
	int option;

	r->connections = 100;
	r->window = 16;
	while ((option = getopt(argc, argv, "tren:w:p:")) != -1) {
		switch (option) {
		case 't': r->context = client_context(); break;
		case 'r': r->records = true; break;
		case 'e': edns = EDNS_PLAIN; break;
		case 'n': r->connections = atoi(optarg); break;
		case 'w': r->window = atoi(optarg); break;
		case 'p': r->pids = optarg; break;
		default: exit(2);
		}
	}
	if (argc - optind != 4 || r->connections < 1 || r->connections > CONNECTIONS_MAX || r->window < 1 ||
	    r->window > WINDOW_MAX) {
		fprintf(stderr, "usage: dnsstream [-t] [-r] [-e] [-n CONNECTIONS] [-w WINDOW] [-p PIDS] HOST PORT QUESTIONS "
				"SECONDS\n");
		exit(2);
	}
	return edns;
}

int main(int argc, char **argv)
{
	static struct stream_run r;
	enum edns edns = options(&r, argc, argv);
	struct sockaddr_in server = { .sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(argv[optind + 1])) };
	double start, server_start, took;

	signal(SIGPIPE, SIG_IGN);
	inet_pton(AF_INET, argv[optind], &server.sin_addr);
	r.seconds = atof(argv[optind + 3]);
	questions_read(&r.questions, argv[optind + 2], edns);
	r.epoll = epoll_create1(EPOLL_CLOEXEC);
	r.list = calloc((size_t)r.connections, sizeof(*r.list));
	if (r.epoll < 0 || r.list == NULL)
		die("start");
	open_all(&r, &server);
	start = meter_now();
	server_start = r.pids != NULL ? meter_cpu(r.pids) : 0;
	took = run(&r, start);
	tally_print(&r.tally, took);
	if (r.pids != NULL) {
		double cpu = meter_cpu(r.pids) - server_start;

		printf(" server_cpu_s=%.2f server_us_per_query=%.3f per_cpu_second=%.0f", cpu,
		       r.tally.got > 0 ? cpu * 1e6 / (double)r.tally.got : 0,
		       cpu > 0 ? (double)r.tally.got / cpu : 0);
	}
	printf("\n");
	return 0;
}
