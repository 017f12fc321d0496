/* http1.c - the server: its listeners, its pool of connections, its time. One coarse timer looks
 * over all connections; nothing is armed per request. http_server_drain() and http_server_close()
 * end by counting: listeners, connections, handles, unanswered calls. */
#include "net/http_cells.h"
#include "net/http1.h"
#include "base/mem.h"
#include "net/http_internal.h"
#include <assert.h>
#include <string.h>

enum { SWEEP_MIN_MS = 5, SWEEP_MAX_MS = 1000 };

/* ---- time */

/* A peer that takes no byte of what waits for it. */
static void sweep_output(struct http_conn *c, uint64_t now)
{
	size_t unsent = stream_unsent(&c->stream);
	if (unsent == 0 || c->unsent == 0 || unsent < c->unsent)
		c->stalled_ms = now;
	c->unsent = unsent;
	if (now - c->stalled_ms < c->server->conf.write_ms)
		return;
	c->server->counts.timeouts++;
	http_conn_close(c);
}

static void sweep_input(struct http_conn *c, uint64_t now)
{
	struct http_server *s = c->server;
	uint64_t age = now - c->since_ms;
	if (c->phase == PHASE_HEAD && age >= s->conf.head_ms) {
		s->counts.timeouts++;
		http_conn_refuse(c, 408, "the request head took too long");
	} else if (c->phase == PHASE_BODY && age >= s->conf.body_ms) {
		s->counts.timeouts++;
		http_conn_refuse(c, 408, "the request body took too long");
	} else if (c->phase == PHASE_IDLE && c->first == NULL && c->stream.queued == 0 &&
		   age >= s->conf.idle_ms) {
		s->counts.timeouts++;
		http_conn_close(c);
	}
}

/* A body that comes in pieces, or waits for its turn to, and is not through in time, however steadily it is taken. */
static bool stream_is_late(const struct http_conn *c, uint64_t now)
{
	for (const struct call *call = c->first; call != NULL; call = call->next)
		if ((call->more != NULL || (call->held != NULL && call->held->more != NULL)) &&
		    now - call->stream_since_ms >= c->server->conf.stream_ms)
			return true;
	return false;
}

static void sweep_conn(struct http_conn *c, uint64_t now)
{
	struct http_server *s = c->server;
	if (c->state >= CONN_CLOSING)
		return;
	if (s->draining && now >= s->drain_by_ms) {
		http_conn_close(c);
		return;
	}
	if (stream_is_late(c, now)) {
		s->counts.timeouts++;
		http_conn_close(c);
		return;
	}
	if (c->stream.queued > 0 || c->unsent > 0)
		sweep_output(c, now);
	if (c->state == CONN_LINGER && c->stream.queued == 0 &&
	    now - c->since_ms >= s->conf.linger_ms)
		http_conn_close(c);
	else if (c->state == CONN_OPEN && !c->paused)
		sweep_input(c, now);
}

static void on_sweep(uv_timer_t *timer)
{
	struct http_server *s = timer->data;
	uint64_t now = http_now(s);
	for (struct http_conn *c = s->conns, *next; c != NULL; c = next) {
		next = c->next; /* closing is asynchronous: the list does not change under us */
		sweep_conn(c, now);
	}
	if (s->conns == NULL)
		uv_timer_stop(timer); /* an idle server sleeps */
}

static uint32_t sweep_period(const struct http_server_conf *conf)
{
	const uint32_t times[] = { conf->idle_ms, conf->head_ms, conf->body_ms, conf->write_ms,
				   conf->stream_ms, conf->linger_ms };
	uint32_t least = SWEEP_MAX_MS * 4;
	for (unsigned i = 0; i < sizeof(times) / sizeof(*times); i++)
		if (times[i] < least)
			least = times[i];
	return least / 4 < SWEEP_MIN_MS ? SWEEP_MIN_MS : least / 4;
}

/* ---- connections */

static struct stream *conn_place(void *arg)
{
	struct http_listen *l = arg;
	struct http_server *s = l->server;
	struct http_conn *c = s->spare_conns;
	if (s->closing || s->draining ||
	    (s->conf.conns_max > 0 && s->counts.connections - s->counts.lent >= s->conf.conns_max))
		return NULL;
	if (c != NULL) {
		s->spare_conns = c->next;
		s->spare_conn_count--;
	} else {
		c = mem_alloc(sizeof(*c));
		if (c == NULL)
			return NULL;
	}
	memset(c, 0, sizeof(*c));
	c->server = s;
	c->listener_tag = l->tag;
	s->counts.connections++;
	return &c->stream;
}

static void conn_give_back(void *arg, struct stream *stream)
{
	struct http_conn *c = (struct http_conn *)stream;
	struct http_server *s = c->server;
	(void)arg;
	s->counts.connections--;
	if (s->spare_conn_count < HTTP_SPARE_MAX) {
		c->next = s->spare_conns;
		s->spare_conns = c;
		s->spare_conn_count++;
	} else {
		mem_free(c);
	}
	if (s->draining || s->closing)
		http_later(s);
}

static void conn_accepted(void *arg, struct listener *l, struct stream *stream)
{
	struct http_conn *c = (struct http_conn *)stream;
	struct http_server *s = c->server;
	(void)arg;
	(void)l;
	c->next = s->conns;
	if (s->conns != NULL)
		s->conns->prev = c;
	s->conns = c;
	if (!uv_is_active((uv_handle_t *)&s->sweep))
		uv_timer_start(&s->sweep, on_sweep, s->sweep_ms, s->sweep_ms);
	http_conn_start(c);
}

void http_conn_unlink(struct http_conn *c)
{
	if (c->next != NULL)
		c->next->prev = c->prev;
	if (c->prev != NULL)
		c->prev->next = c->next;
	else
		c->server->conns = c->next;
}

void http_conn_recycle(struct http_conn *c)
{
	struct http_server *s = c->server;
	if (c->state != CONN_LENT)
		http_conn_unlink(c);
	for (struct http_conn **at = &s->resume; c->resuming && *at != NULL;
	     at = &(*at)->resume_next)
		if (*at == c) {
			*at = c->resume_next;
			break;
		}
	conn_give_back(NULL, &c->stream);
}

/* ---- the end */

static void server_free(struct http_server *s)
{
	for (struct http_conn *c; (c = s->spare_conns) != NULL; mem_free(c))
		s->spare_conns = c->next;
	for (struct call *call; (call = s->spare_calls) != NULL; mem_free(call))
		s->spare_calls = call->next;
	for (char *b; (b = s->spare_buffers) != NULL; mem_free(b))
		memcpy(&s->spare_buffers, b, sizeof(char *));
	stream_loop_done(&s->streams);
	mem_free(s->out);
	mem_free(s);
}

static void on_handle_closed(uv_handle_t *handle)
{
	struct http_server *s = handle->data;
	if (--s->handles > 0)
		return;
	void (*done)(void *) = s->on_closed;
	void *arg = s->closed_arg;
	server_free(s);
	if (done != NULL)
		done(arg);
}

static void on_listener_closed(void *arg)
{
	struct http_listen *l = arg, **at;
	struct http_server *s = l->server;
	for (at = &s->listens; *at != l;)
		at = &(*at)->next;
	*at = l->next;
	mem_free(l);
	http_later(s);
}

static void listen_stop(struct http_listen *l)
{
	struct listener *listener = l->listener;
	l->listener = NULL;
	if (listener != NULL)
		listener_close(listener, on_listener_closed, l);
}

static void check_ends(struct http_server *s)
{
	if (s->counts.connections > 0)
		return;
	if (s->closing) {
		if (s->listens != NULL || s->counts.calls > 0 ||
		    uv_is_closing((uv_handle_t *)&s->later))
			return;
		uv_close((uv_handle_t *)&s->sweep, on_handle_closed);
		uv_close((uv_handle_t *)&s->later, on_handle_closed);
		return;
	}
	void (*drained)(void *) = s->on_drained;
	s->on_drained = NULL;
	if (s->draining && drained != NULL)
		drained(s->drained_arg);
}

static void on_later(uv_idle_t *idle)
{
	struct http_server *s = idle->data;
	struct http_conn *list = s->resume;
	uv_idle_stop(idle);
	s->resume = NULL;
	for (struct http_conn *next; list != NULL; list = next) {
		next = list->resume_next;
		http_conn_resume(list);
	}
	if (s->draining || s->closing)
		check_ends(s);
}

void http_later(struct http_server *s)
{
	if (!uv_is_closing((uv_handle_t *)&s->later))
		uv_idle_start(&s->later, on_later);
}

void http_server_drain(struct http_server *s, uint32_t grace_ms, void (*on_drained)(void *arg),
		       void *arg)
{
	assert(!s->draining && !s->closing);
	s->draining = true;
	s->on_drained = on_drained;
	s->drained_arg = arg;
	uv_update_time(s->streams.loop);
	s->drain_by_ms = http_now(s) + grace_ms;
	for (struct http_listen *l = s->listens; l != NULL; l = l->next)
		listen_stop(l);
	for (struct http_conn *c = s->conns; c != NULL; c = c->next)
		if (c->state == CONN_OPEN && c->reading == NULL && c->first == NULL) {
			c->clean = true;
			http_conn_finish(c);
		}
	http_later(s);
}

void http_server_close(struct http_server *s, void (*on_closed)(void *arg), void *arg)
{
	assert(!s->closing);
	s->closing = true;
	s->on_closed = on_closed;
	s->closed_arg = arg;
	for (struct http_listen *l = s->listens; l != NULL; l = l->next)
		listen_stop(l);
	for (struct http_conn *c = s->conns; c != NULL; c = c->next)
		http_conn_close(c);
	http_later(s);
}

/* ---- the beginning */

#define OR_DEFAULT(field, value) ((field) = (field) ? (field) : (value))

static int conf_fill(struct http_server_conf *conf, struct error *err)
{
	OR_DEFAULT(conf->head_max, 65536);
	OR_DEFAULT(conf->url_max, 32768);
	OR_DEFAULT(conf->headers_max, HTTP_HEADERS_MAX);
	OR_DEFAULT(conf->body_max, 1u << 20);
	OR_DEFAULT(conf->pipeline_max, 32);
	OR_DEFAULT(conf->out_max, 16u << 20);
	OR_DEFAULT(conf->idle_ms, 75000);
	OR_DEFAULT(conf->head_ms, 10000);
	OR_DEFAULT(conf->body_ms, 30000);
	OR_DEFAULT(conf->write_ms, 30000);
	OR_DEFAULT(conf->stream_ms, 600000);
	OR_DEFAULT(conf->linger_ms, 1000);
	if (conf->head_max > 65536)
		return error_set(err, E_RANGE, "HTTP head limit %u is over 65536", conf->head_max);
	if (conf->headers_max > HTTP_HEADERS_MAX)
		return error_set(err, E_RANGE, "HTTP header count limit %u is over %d",
				 conf->headers_max, HTTP_HEADERS_MAX);
	return E_OK;
}

int http_server_open(struct http_server **ret, uv_loop_t *loop, const struct http_server_conf *conf,
		     struct error *err)
{
	struct http_server *s = mem_zalloc(1, sizeof(*s));
	if (s == NULL)
		return error_set(err, E_NOMEM, "HTTP server: no memory");
	s->conf = *conf;
	int rc = conf_fill(&s->conf, err);
	if (rc < 0)
		goto failed;
	s->out = mem_alloc(HTTP_OUT_LEN);
	rc = stream_loop_init(&s->streams, loop);
	if (s->out == NULL || rc < 0) {
		rc = error_set(err, E_NOMEM, "HTTP server: no memory");
		goto failed;
	}
	http_parse_init(&s->parse);
	http_refusals_declare();
	s->sweep_ms = sweep_period(&s->conf);
	uv_timer_init(loop, &s->sweep); /* these two cannot fail */
	uv_idle_init(loop, &s->later);
	s->handles = 2;
	s->sweep.data = s->later.data = s;
	*ret = s;
	return E_OK;
failed:
	server_free(s);
	return rc;
}

int http_server_listen(struct http_server *s, const struct sockaddr *at,
		       const struct listener_conf *conf, int listener_tag,
		       struct listener **ret_listener, struct error *err)
{
	struct http_listen *l = mem_zalloc(1, sizeof(*l));
	if (l == NULL)
		return error_set(err, E_NOMEM, "HTTP server: no memory");
	l->server = s;
	l->tag = listener_tag;
	struct listener_owner owner = { conn_place, conn_accepted, conn_give_back, l };
	int rc = listener_open(&l->listener, s->streams.loop, at, conf, &owner, err);
	if (rc < 0) {
		mem_free(l);
		return rc;
	}
	l->next = s->listens;
	s->listens = l;
	if (ret_listener != NULL)
		*ret_listener = l->listener;
	return E_OK;
}

int http_server_set_limits(struct http_server *s, const struct http_server_conf *conf, struct error *err)
{
	struct http_server_conf fresh = *conf;
	int rc = conf_fill(&fresh, err);
	if (rc < 0)
		return rc;
	fresh.server_name = s->conf.server_name;
	fresh.on_request = s->conf.on_request;
	fresh.on_body_limit = s->conf.on_body_limit;
	fresh.arg = s->conf.arg;
	s->conf = fresh;
	s->sweep_ms = sweep_period(&fresh);
	if (uv_is_active((uv_handle_t *)&s->sweep))
		uv_timer_start(&s->sweep, on_sweep, s->sweep_ms, s->sweep_ms);
	return E_OK;
}

void http_server_unlisten(struct http_server *s, struct listener *listener)
{
	for (struct http_listen *l = s->listens; l != NULL; l = l->next)
		if (l->listener == listener)
			listen_stop(l);
}

const struct http_server_counts *http_server_counts(const struct http_server *s)
{
	return &s->counts;
}
