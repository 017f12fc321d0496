/* http_pool.c - see http_pool.h. */
#include "http_pool.h"
#include "clock.h"
#include "die.h"
#include "text.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

struct http_slot {
	uint64_t op, begun;
};

/* A keep-alive connection. Happy path: connect, requests and answers in order. A server that closes
 * in good order (Connection: close) gets what is unanswered once more on the next connection; one
 * that closes without a word costs an error for each request in flight. */
struct http_conn {
	struct sock sock; /* first: on_events casts */
	struct http_pool *pool;
	enum conn_state state;
	uint64_t retry_at;
	uint64_t taken; /* operations of this phase */
	struct buf in, out;
	struct http_slot *slots; /* a ring of the pool's depth */
	unsigned first, count;
};

static void http_conn_write(struct http_conn *c, uint64_t op)
{
	struct http_pool *p = c->pool;
	buf_clear(&p->query);
	buf_clear(&p->body);
	p->op->write(p->load, op, &p->query, &p->body);
	buf_text(&c->out, p->op->method);
	buf_byte(&c->out, ' ');
	buf_text(&c->out, p->opt->context);
	buf_text(&c->out, p->op->path);
	if (buf_left(&p->query) > 0) {
		buf_byte(&c->out, '?');
		buf_put(&c->out, buf_head(&p->query), buf_left(&p->query));
	}
	buf_put(&c->out, buf_head(&p->head), buf_left(&p->head));
	buf_number(&c->out, buf_left(&p->body));
	buf_text(&c->out, "\r\n\r\n");
	buf_put(&c->out, buf_head(&p->body), buf_left(&p->body));
}

static void http_conn_open(struct http_conn *c)
{
	struct http_pool *p = c->pool;
	buf_clear(&c->in);
	buf_clear(&c->out);
	if (sock_connect(p->loop, &c->sock, p->opt->host, p->opt->http_port, 0)) {
		c->state = CONN_CONNECTING;
		return;
	}
	c->state = CONN_DOWN;
	c->retry_at = p->loop->now + RETRY_MS * MS;
}

/* The connection has gone. @orderly: its requests are sent again, else they have failed. */
static void http_conn_lost(struct http_conn *c, bool orderly, enum error_kind kind,
			   const char *what)
{
	struct http_pool *p = c->pool;
	sock_close(&c->sock);
	c->state = CONN_DOWN;
	c->retry_at = p->loop->now + (orderly ? 0 : RETRY_MS * MS);
	if (p->phase.tally && (orderly || c->count > 0))
		p->phase.tally->reconnects++;
	if (orderly)
		return;
	for (; c->count > 0; c->count--) {
		tally_error(p->phase.tally, kind, what, NULL, 0);
		p->phase.in_flight--;
	}
}

static void http_conn_flush(struct http_conn *c)
{
	if (c->state == CONN_UP && !sock_flush(c->pool->loop, &c->sock, &c->out))
		http_conn_lost(c, false, ERR_CLOSED, "send failed");
}

/* Put as many operations in flight as there is room for. */
static void http_conn_fill(struct http_conn *c)
{
	struct http_pool *p = c->pool;
	uint64_t op;
	if (c->state != CONN_UP)
		return;
	while (c->count < p->depth && phase_take(&p->phase, &c->taken, &op)) {
		c->slots[(c->first + c->count++) % p->depth] =
		    (struct http_slot){ op, p->loop->now };
		http_conn_write(c, op);
	}
	http_conn_flush(c);
}

static void http_conn_up(struct http_conn *c)
{
	int err = sock_error(&c->sock);
	if (err != 0) {
		if (c->pool->phase.tally && c->count == 0)
			tally_error(c->pool->phase.tally, ERR_CONNECT, strerror(err), NULL, 0);
		http_conn_lost(c, false, ERR_CONNECT, strerror(err));
		return;
	}
	c->state = CONN_UP;
	for (unsigned i = 0; i < c->count; i++)
		http_conn_write(c, c->slots[(c->first + i) % c->pool->depth].op);
	http_conn_fill(c);
}

static void http_conn_answer(struct http_conn *c, const struct http_response *r)
{
	struct http_pool *p = c->pool;
	struct tally *t = p->phase.tally;
	struct http_slot *slot = &c->slots[c->first];
	c->first = (c->first + 1) % p->depth;
	c->count--;
	p->phase.in_flight--;
	enum error_kind kind = r->status != 200 ? ERR_STATUS : p->op->judge(p->opt, r);
	if (kind != ERR_KINDS) {
		char what[32];
		snprintf(what, sizeof(what), "HTTP %d", r->status);
		tally_error(t, kind, what, r->body, r->body_len);
		return;
	}
	t->ops++;
	t->bytes += r->body_len;
	if (t->ops % SAMPLE_EVERY == 1) {
		t->sampled++;
		t->hosts += text_count(r->body, r->body_len, "\"ip\":");
	}
	hist_add(&t->latency, p->loop->now - slot->begun);
}

/* What came is not an answer: one error with the bytes, one more for each other request in flight.
 */
static void http_conn_garbled(struct http_conn *c)
{
	struct http_pool *p = c->pool;
	if (p->phase.tally)
		tally_error(p->phase.tally, ERR_PROTOCOL, "unexpected bytes", buf_head(&c->in),
			    buf_left(&c->in));
	if (c->count > 0) {
		c->count--;
		p->phase.in_flight--;
	}
	http_conn_lost(c, false, ERR_PROTOCOL, "unanswered after unexpected bytes");
}

/* Take the answers that have arrived. False: the connection is no more. */
static bool http_conn_take(struct http_conn *c)
{
	while (buf_left(&c->in) > 0) {
		struct http_response r;
		int rc = http_response_parse(&c->in, &c->pool->chunks, &r);
		if (rc == PARSE_MORE)
			return true;
		if (rc == PARSE_BAD || c->count == 0) {
			http_conn_garbled(c);
			return false;
		}
		if (c->pool->phase.tally)
			http_conn_answer(c, &r);
		c->in.head += r.total;
		if (r.close) {
			http_conn_lost(c, true, ERR_CLOSED, "");
			http_conn_open(c);
			return false;
		}
	}
	return true;
}

static void http_conn_on_events(struct sock *s, uint32_t events)
{
	struct http_conn *c = (struct http_conn *)s;
	if (c->state == CONN_CONNECTING) {
		http_conn_up(c);
		return;
	}
	if (events & (EPOLLIN | EPOLLHUP | EPOLLERR)) {
		buf_reserve(&c->in, 16384);
		ssize_t n = recv(s->fd, c->in.at + c->in.len, c->in.cap - c->in.len, 0);
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		if (n <= 0) {
			http_conn_lost(c, false, ERR_CLOSED, "closed by the server");
			return;
		}
		c->in.len += (size_t)n;
		if (!http_conn_take(c))
			return;
	}
	http_conn_fill(c);
}

/* Bring back what is down and due; called every few milliseconds. */
static void http_pool_tick(void *arg)
{
	struct http_pool *p = arg;
	for (unsigned i = 0; i < p->n; i++) {
		struct http_conn *c = &p->conns[i];
		if (c->state == CONN_DOWN && c->retry_at <= p->loop->now &&
		    (c->count > 0 || p->phase.open))
			http_conn_open(c);
	}
}

void http_pool_init(struct http_pool *p, struct loop *loop, const struct load *load, unsigned n,
		    unsigned depth)
{
	const struct options *opt = load->opt;
	*p = (struct http_pool){ .loop = loop, .opt = opt, .load = load, .n = n, .depth = depth };
	char head[1024];
	snprintf(
	    head, sizeof(head),
	    " HTTP/1.1\r\nHost: %s:%u\r\nUser-Agent: Nacos-Java-Client:v1.4.8\r\n"
	    "Client-Version: Nacos-Java-Client:v1.4.8\r\nConnection: Keep-Alive\r\n"
	    "Request-Module: Naming\r\n%s%s%s"
	    "Content-Type: application/x-www-form-urlencoded;charset=UTF-8\r\nContent-Length: ",
	    opt->host_text, opt->http_port, opt->token ? "Authorization: Bearer " : "",
	    opt->token ? opt->token : "", opt->token ? "\r\n" : "");
	buf_text(&p->head, head);
	p->conns = must_alloc(n, sizeof(*p->conns));
	for (unsigned i = 0; i < n; i++) {
		p->conns[i].sock = (struct sock){ .fd = -1, .on_events = http_conn_on_events };
		p->conns[i].pool = p;
		p->conns[i].slots = must_alloc(depth, sizeof(struct http_slot));
	}
}

void http_pool_done(struct http_pool *p)
{
	for (unsigned i = 0; i < p->n; i++) {
		sock_close(&p->conns[i].sock);
		buf_done(&p->conns[i].in);
		buf_done(&p->conns[i].out);
		free(p->conns[i].slots);
	}
	free(p->conns);
	buf_done(&p->head);
	buf_done(&p->query);
	buf_done(&p->body);
	buf_done(&p->chunks);
}

void http_pool_run(struct http_pool *p, enum http_op_name op, uint64_t limit, double warmup,
		   double seconds, struct tally *tally, struct cost *cost)
{
	p->op = &http_ops[op];
	p->phase = (struct phase){ .tally = tally, .limit = limit, .open = true };
	p->loop->now = now_ns();
	for (unsigned i = 0; i < p->n; i++) {
		p->conns[i].taken = 0;
		http_conn_fill(&p->conns[i]);
	}
	http_pool_tick(p);
	phase_drive(&p->phase, p->loop, p->opt, warmup, seconds, http_pool_tick, p, cost);
	for (unsigned i = 0; i < p->n;
	     i++) { /* what was never answered must not answer the next phase */
		struct http_conn *c = &p->conns[i];
		if (c->count == 0)
			continue;
		c->count = 0;
		sock_close(&c->sock);
		c->state = CONN_DOWN;
	}
	p->phase.tally = NULL;
}
