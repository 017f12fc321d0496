/* udp_push.c - the push mode of 1.x: subscribers are UDP sockets, all else goes over HTTP. */
#include "clock.h"
#include "die.h"
#include "http_pool.h"
#include "mode.h"
#include "process.h"
#include "push_watch.h"
#include "text.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <zlib.h>

struct udp_run;

/* A subscriber of 1.x: a socket whose port is given with the list request. */
struct udp_sub {
	struct sock sock; /* first: on_events casts */
	struct udp_run *run;
	unsigned number;
};

struct udp_run {
	struct loop loop;
	struct http_pool pool;
	struct push_watch watch;
	struct udp_sub *subs;
	uint16_t *ports;
	struct tally *tally;
	uint64_t renew_at;
	struct buf plain; /* a datagram, unpacked */
};

/* The datagram's text in run->plain, gunzipped if need be. False: not readable. */
static bool udp_unpack(struct udp_run *run, const uint8_t *from, size_t len)
{
	struct buf *b = &run->plain;
	buf_clear(b);
	if (len < 2 || from[0] != 0x1f || from[1] != 0x8b) {
		buf_put(b, from, len);
		return true;
	}
	z_stream z = { .next_in = (Bytef *)(uintptr_t)from, .avail_in = (uInt)len };
	if (inflateInit2(&z, 15 + 16) != Z_OK)
		return false;
	int rc = Z_OK;
	while (rc == Z_OK && b->len < MESSAGE_MAX) {
		buf_reserve(b, 65536);
		z.next_out = b->at + b->len;
		z.avail_out = (uInt)(b->cap - b->len);
		rc = inflate(&z, Z_NO_FLUSH);
		b->len = (size_t)(z.next_out - b->at);
	}
	inflateEnd(&z);
	return rc == Z_STREAM_END;
}

/* Takes the backslashes before quotes away: the ServiceInfo is JSON inside a JSON string. */
static void unescape(struct buf *b)
{
	size_t to = b->head;
	for (size_t at = b->head; at < b->len; at++)
		if (b->at[at] != '\\' || at + 1 == b->len || b->at[at + 1] != '"')
			b->at[to++] = b->at[at];
	b->len = to;
}

static void udp_sub_take(struct udp_sub *u, const uint8_t *from, size_t len,
			 const struct sockaddr_in *server)
{
	struct udp_run *run = u->run;
	char ack[128];
	if (!udp_unpack(run, from, len)) {
		run->watch.unreadable++;
		return;
	}
	/* The inner lastRefTime's closing quote is escaped, so this finds the packet's own. */
	const char *text = (const char *)buf_head(&run->plain);
	const char *at = text_after(text, buf_left(&run->plain), "lastRefTime\":");
	const char *end = text + buf_left(&run->plain);
	while (at != NULL && at < end && (*at == ' ' || *at == '"'))
		at++;
	size_t digits = 0;
	while (at != NULL && at + digits < end && isdigit((unsigned char)at[digits]))
		digits++;
	if (digits == 0 || digits > 20) {
		run->watch.unreadable++;
		return;
	}
	int n = snprintf(ack, sizeof(ack),
			 "{\"type\":\"push-ack\",\"lastRefTime\":\"%.*s\",\"data\":\"\"}",
			 (int)digits, at);
	sendto(u->sock.fd, ack, (size_t)n, 0, (const struct sockaddr *)server, sizeof(*server));
	unescape(&run->plain);
	push_watch_take(&run->watch, u->number, (const char *)buf_head(&run->plain),
			buf_left(&run->plain));
}

static void udp_sub_on_events(struct sock *s, uint32_t events)
{
	struct udp_sub *u = (struct udp_sub *)s;
	(void)events;
	for (;;) {
		struct sockaddr_in from;
		socklen_t from_len = sizeof(from);
		ssize_t n = recvfrom(s->fd, u->run->loop.chunk, READ_CHUNK, MSG_DONTWAIT,
				     (struct sockaddr *)&from, &from_len);
		if (n < 0)
			return;
		udp_sub_take(u, u->run->loop.chunk, (size_t)n, &from);
	}
}

static void udp_sub_open(struct udp_run *run, unsigned number)
{
	struct udp_sub *u = &run->subs[number];
	struct sockaddr_in at = { .sin_family = AF_INET,
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(at);
	int room = 1 << 20;
	*u = (struct udp_sub){ .run = run, .number = number };
	u->sock.on_events = udp_sub_on_events;
	u->sock.fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (u->sock.fd < 0 || bind(u->sock.fd, (struct sockaddr *)&at, sizeof(at)) < 0 ||
	    getsockname(u->sock.fd, (struct sockaddr *)&at, &len) < 0)
		die("UDP socket %u: %s", number, strerror(errno));
	setsockopt(u->sock.fd, SOL_SOCKET, SO_RCVBUF, &room, sizeof(room));
	run->ports[number] = ntohs(at.sin_port);
	sock_watch(&run->loop, &u->sock, EPOLL_CTL_ADD, false);
}

/* Subscriptions and instances live by being renewed. */
static void udp_run_renew(void *arg)
{
	struct udp_run *run = arg;
	if (run->loop.now < run->renew_at)
		return;
	run->renew_at = run->loop.now + 5 * SEC;
	http_pool_run(&run->pool, HTTP_PUSH_BEAT, run->watch.instances, 0, 10, run->tally, NULL);
	http_pool_run(&run->pool, HTTP_UDP_SUBSCRIBE, run->watch.subscribers, 0, 10, run->tally,
		      NULL);
}

static void udp_run_changes(struct udp_run *run, struct load *load, const struct options *opt)
{
	struct push_watch *w = &run->watch;
	for (load->change = 1; load->change <= opt->changes; load->change++) {
		w->sent[load->change] = now_ns();
		http_pool_run(&run->pool, HTTP_PUSH_REGISTER, 1, 0, 10, run->tally, NULL);
		w->acked[load->change] = run->loop.now;
		loop_run_until(&run->loop, w->sent[load->change] + opt->pause_ms * MS,
			       udp_run_renew, run);
	}
	load->change = opt->changes;
	push_settle(w, 12000, udp_run_renew, run); /* a retransmission comes after 10 s */
}

int run_http_push(const struct mode *mode, const struct options *opt)
{
	struct udp_run run = { .tally = must_alloc(1, sizeof(struct tally)) };
	struct load load = { .opt = opt, .workers = opt->conns };
	uint64_t rss_before = process_rss_kb(opt->pid);
	loop_init(&run.loop);
	push_watch_init(&run.watch, &run.loop, opt);
	run.subs = must_alloc(opt->conns, sizeof(*run.subs));
	run.ports = must_alloc(opt->conns, sizeof(*run.ports));
	load.ports = run.ports;
	for (unsigned i = 0; i < opt->conns; i++)
		udp_sub_open(&run, i);
	http_pool_init(&run.pool, &run.loop, &load, 4, 1);
	http_pool_run(&run.pool, HTTP_PUSH_REGISTER, opt->instances, 0, PREPARE_SEC, run.tally,
		      NULL);
	check_prepared(run.tally, opt->instances);
	loop_run_until(&run.loop, now_ns() + SEC, NULL, NULL);
	udp_run_renew(&run);
	loop_run_until(&run.loop, now_ns() + 2 * SEC, udp_run_renew, &run);
	run.watch.counting = true;
	uint64_t cpu = process_cpu_ns(opt->pid);
	udp_run_changes(&run, &load, opt);
	cpu = process_cpu_since(opt->pid, cpu);
	int status = push_watch_print(&run.watch, mode, opt, run.tally, cpu, rss_before);
	if (!opt->keep)
		http_pool_run(&run.pool, HTTP_PUSH_DEREGISTER, opt->instances, 0, 10, run.tally,
			      NULL);
	for (unsigned i = 0; i < opt->conns; i++)
		sock_close(&run.subs[i].sock);
	http_pool_done(&run.pool);
	push_watch_done(&run.watch);
	loop_done(&run.loop);
	buf_done(&run.plain);
	free(run.subs);
	free(run.ports);
	free(run.tally);
	return status;
}
