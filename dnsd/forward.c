/* forward.c - happy path: forward_start, or the first upstreams later, make libunbound's context and the thread > a worker
 * posts a question > it is given to libunbound and stands in the list of waiting ones > libunbound's descriptor is
 * readable > its callback fills the answer in > the question goes back to its worker. Ends otherwise: its time is over,
 * libunbound takes no more, the upstreams lead back here, the server stops. forward_drain sends everything back; forward_free closes the handles and
 * joins. libunbound resolves on a thread of its own, which sees nothing of ours. */
#include "dnsd/forward.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/metrics.h"
#include "base/random.h"
#include "base/thread.h"
#include "dnsd/forward_answer.h"
#include <arpa/inet.h>
#include <ldns/ldns.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	TYPE_HINFO = 13, /* asked for by nobody: of the name that finds loops */
	SWEEP_MS = 100,
	PORTS_MAX = 512, /* questions that are with the upstreams at a time, a socket each; the library's own limit is 16 */
	LOOP_AGAIN_MS = 30 * 1000, /* while there is one, or no answer tells */
	LOOP_FIRST_MS = 1000,	   /* no answer told, for the first time; then twice that */
	LOOP_CHECK_MS = 600 * 1000,
	LOOP_LABEL = 16, /* hexadecimal digits of a number, twice */
};
enum outcome { ANSWERED, FAILED, TIMED_OUT, LOOPED };

/* A question that libunbound has. */
struct waiting {
	struct forward *f;
	struct forward_query *query;
	struct question asked;
	struct waiting *next, *prev; /* oldest first */
	int64_t since_ms;
	int id; /* libunbound's, to take it back */
};

struct forward {
	uv_loop_t loop;
	uv_thread_t thread;
	bool running; /* control's: @thread. Away from the flags of the thread, which are read together */
	uv_poll_t *answers; /* of @context */
	uv_timer_t sweep;
	uv_timer_t probing;
	uv_async_t drain, change, end;
	struct inbox *inbox; /* struct forward_query */
	struct ub_ctx *context;
	_Atomic(struct forward_change *) next; /* to be taken over by the thread */
	struct waiting *first, *last;
	bool draining, probe_seen, probe_asked;
	bool looped;
	unsigned untold; /* probes in a row whose answer does not tell */
	uint8_t probe[2 * (1 + LOOP_LABEL) + 13 + 1]; /* wire, folded */
	struct rng rng;
	int64_t timeout_ms;
	_Atomic unsigned pending_max;
	_Atomic unsigned pending; /* questions that exist */
	_Atomic(struct ranges *) allow;
	struct forward_cells cells;
};

/* Who may ask; immutable. */
struct ranges {
	struct ranges *before; /* what it replaced: kept to the end, since it is looked at outside of RCU sections */
	size_t count;
	struct cidr at[];
};

struct forward_change {
	struct ub_ctx *context; /* NULL: the old one stays */
	struct ranges *allow;
	int64_t timeout_ms;
	unsigned pending_max;
};

/* ---- a question's way back */

static void give_back(struct forward *f, struct forward_query *q, enum outcome outcome)
{
	metrics_add(f->cells.outcomes[outcome], 1);
	inbox_post(q->home, &q->message);
}

static void refuse(struct forward *f, struct forward_query *q, uint16_t rcode, int ede, const char *text,
		   enum outcome outcome)
{
	forward_answer_fail(q, rcode, ede, text);
	give_back(f, q, outcome);
}

static void waiting_remove(struct waiting *w)
{
	struct forward *f = w->f;
	*(w->prev != NULL ? &w->prev->next : &f->first) = w->next;
	*(w->next != NULL ? &w->next->prev : &f->last) = w->prev;
	mem_free(w);
}

static void on_answer(void *arg, int error, struct ub_result *result)
{
	struct waiting *w = arg;
	struct forward_query *q = w->query;
	struct forward *f = w->f;
	if (error != 0)
		forward_answer_fail(q, RCODE_SERVFAIL, EDE_NO_REACHABLE_AUTHORITY, "no upstream gave an answer");
	else
		forward_answer_fill(q, &w->asked, result);
	ub_resolve_free(result);
	waiting_remove(w);
	give_back(f, q, q->rcode == RCODE_SERVFAIL ? FAILED : ANSWERED);
}

static void take_back_all(struct forward *f)
{
	for (struct waiting *w = f->first, *next; w != NULL; w = next) {
		next = w->next;
		ub_cancel(f->context, w->id);
		refuse(f, w->query, RCODE_SERVFAIL, EDE_OTHER, "the server is stopping", FAILED);
		waiting_remove(w);
	}
}

static void on_sweep(uv_timer_t *timer)
{
	struct forward *f = timer->data;
	int64_t now = (int64_t)uv_now(&f->loop);
	while (f->first != NULL && now - f->first->since_ms >= f->timeout_ms) {
		struct waiting *w = f->first;
		ub_cancel(f->context, w->id);
		refuse(f, w->query, RCODE_SERVFAIL, EDE_NO_REACHABLE_AUTHORITY, "no upstream answered in time", TIMED_OUT);
		waiting_remove(w);
	}
	if (f->first == NULL)
		uv_timer_stop(timer); /* an idle forwarder sleeps */
}

/* ---- loops */

static bool is_probe(const struct forward *f, const struct question *asked)
{
	return asked->query.qtype == TYPE_HINFO && asked->query.qname_len == sizeof(f->probe) &&
	       memcmp(asked->query.name, f->probe, sizeof(f->probe)) == 0;
}

static void set_looped(struct forward *f, bool looped)
{
	if (looped && !f->looped)
		log_error("forward", "the upstreams of forward.upstreams ask this server again: names outside of its zones are refused");
	else if (!looped && f->looped)
		log_info("forward", "the upstreams no longer ask this server: names outside of its zones are forwarded");
	f->looped = looped;
	metrics_set(f->cells.looped, looped);
}

static void probe_later(struct forward *f);

static void on_probe_answer(void *arg, int error, struct ub_result *result)
{
	struct forward *f = arg;
	bool told = error == 0 && (result->rcode == RCODE_NOERROR || result->rcode == RCODE_NXDOMAIN);
	ub_resolve_free(result);
	f->probe_asked = false;
	f->untold = told ? 0 : f->untold + 1;
	set_looped(f, f->probe_seen);
	probe_later(f);
}

/* A name that no one else asks for: who asks it of us got it from us. */
static void probe_name(struct forward *f, char *text, size_t cap)
{
	char digits[2 * LOOP_LABEL + 1];
	snprintf(digits, sizeof(digits), "%016llx%016llx", (unsigned long long)rng_next(&f->rng),
		 (unsigned long long)rng_next(&f->rng));
	f->probe[0] = f->probe[1 + LOOP_LABEL] = LOOP_LABEL;
	memcpy(f->probe + 1, digits, LOOP_LABEL);
	memcpy(f->probe + 2 + LOOP_LABEL, digits + LOOP_LABEL, LOOP_LABEL);
	memcpy(f->probe + 2 + 2 * LOOP_LABEL, "\014muster-probe", 14);
	snprintf(text, cap, "%.16s.%.16s.muster-probe.", digits, digits + LOOP_LABEL);
}

static void on_probe_due(uv_timer_t *timer)
{
	struct forward *f = timer->data;
	char name[64];
	if (f->probe_asked || f->draining || f->context == NULL)
		return;
	probe_name(f, name, sizeof(name));
	f->probe_seen = false;
	f->probe_asked = ub_resolve_async(f->context, name, TYPE_HINFO, QCLASS_IN, f, on_probe_answer, NULL) == 0;
	if (!f->probe_asked) {
		f->untold++;
		probe_later(f);
	}
}

static void probe_later(struct forward *f)
{
	uint64_t rest = f->looped ? LOOP_AGAIN_MS : LOOP_CHECK_MS;
	if (f->untold > 0 && !f->looped)
		rest = f->untold > 5 ? LOOP_AGAIN_MS : (uint64_t)LOOP_FIRST_MS << (f->untold - 1);
	if (!f->draining)
		uv_timer_start(&f->probing, on_probe_due, rest, 0);
}

/* ---- a question's way out */

static bool name_text(char **ret, const uint8_t *wire)
{
	ldns_rdf *name = NULL;
	size_t at = 0;
	*ret = NULL;
	if (ldns_wire2dname(&name, wire, DNS_NAME_MAX, &at) == LDNS_STATUS_OK)
		*ret = ldns_rdf2str(name);
	ldns_rdf_deep_free(name);
	return *ret != NULL;
}

static int waiting_start(struct forward *f, struct waiting *w)
{
	char *name;
	if (f->context == NULL || !name_text(&name, w->query->target != NULL ? w->query->target : w->asked.query.qname))
		return -1;
	int rc = ub_resolve_async(f->context, name, w->asked.query.qtype, w->asked.query.qclass, w, on_answer, &w->id);
	free(name); /* ldns took it from malloc */
	return rc;
}

static void waiting_append(struct forward *f, struct waiting *w)
{
	w->prev = f->last;
	w->next = NULL;
	*(f->last != NULL ? &f->last->next : &f->first) = w;
	f->last = w;
	w->since_ms = (int64_t)uv_now(&f->loop);
	if (!uv_is_active((uv_handle_t *)&f->sweep))
		uv_timer_start(&f->sweep, on_sweep, SWEEP_MS, SWEEP_MS);
}

static void take(struct forward *f, struct forward_query *q)
{
	struct waiting *w = f->draining ? NULL : mem_zalloc(1, sizeof(*w));
	if (w == NULL)
		return refuse(f, q, RCODE_SERVFAIL, EDE_OTHER, "the server is stopping, or out of memory", FAILED);
	w->f = f;
	w->query = q;
	question_decode(&w->asked, q->msg, q->len, true); /* a second time: the worker has found it whole */
	if (is_probe(f, &w->asked)) {
		f->probe_seen = true;
		set_looped(f, true);
	}
	if (f->looped) {
		mem_free(w);
		return refuse(f, q, RCODE_REFUSED, EDE_OTHER, "the upstreams ask this server again: a loop", LOOPED);
	}
	if (waiting_start(f, w) != 0) {
		mem_free(w);
		return refuse(f, q, RCODE_SERVFAIL, EDE_OTHER, "libunbound takes no more questions", FAILED);
	}
	waiting_append(f, w);
}

static void on_inbox(void *arg, struct inbox_message *first, unsigned count)
{
	(void)count;
	for (struct inbox_message *m = first, *next; m != NULL; m = next) {
		next = m->next;
		take(arg, (struct forward_query *)m);
	}
}

static void on_readable(uv_poll_t *poll, int status, int events)
{
	struct forward *f = poll->data;
	(void)status;
	(void)events;
	ub_process(f->context);
}

/* ---- any thread */

bool forward_allows(const struct forward *f, const struct sockaddr *peer)
{
	const struct ranges *r = atomic_load_explicit(&((struct forward *)(uintptr_t)f)->allow, memory_order_acquire);
	return cidr_match_any(r->at, r->count, peer);
}

struct forward_query *forward_query_new(struct forward *f, const uint8_t *msg, size_t len, const uint8_t *target,
					size_t target_len)
{
	struct forward_query *q = NULL;
	if (atomic_fetch_add(&f->pending, 1) < f->pending_max)
		q = mem_zalloc(1, sizeof(*q) + len + target_len);
	if (q == NULL) {
		atomic_fetch_sub(&f->pending, 1);
		return NULL;
	}
	memcpy(q->msg, msg, len);
	q->len = len;
	if (target != NULL)
		q->target = memcpy(q->msg + len, target, target_len);
	q->ede = EDE_NONE;
	metrics_shift(f->cells.pending, 1);
	return q;
}

void forward_query_free(struct forward *f, struct forward_query *q)
{
	atomic_fetch_sub(&f->pending, 1);
	metrics_shift(f->cells.pending, -1);
	mem_free(q->extra);
	mem_free(q->body);
	mem_free(q);
}

void forward_ask(struct forward *f, struct forward_query *q)
{
	inbox_post(f->inbox, &q->message);
}

/* ---- metrics, and libunbound with its settings */

void forward_declare(struct forward_cells *ret)
{
	static const char *const labels[FORWARD_OUTCOMES] = { "result=\"answered\"", "result=\"failed\"",
							      "result=\"timeout\"", "result=\"loop\"" };
	for (int i = 0; i < FORWARD_OUTCOMES; i++)
		ret->outcomes[i] = metrics_counter("dns_forwarded_total", "Questions asked of the upstreams.", labels[i]);
	ret->pending = metrics_gauge("dns_forward_pending", "Questions that wait for an upstream.", NULL);
	ret->looped = metrics_gauge("dns_forward_loop", "1: the upstreams ask this server again.", NULL);
}

static int set_option(struct ub_ctx *context, const char *name, const char *value, struct error *err)
{
	int rc = ub_ctx_set_option(context, name, value);
	return rc == 0 ? E_OK : error_set(err, E_INVALID, "libunbound: %s %s: %s", name, value, ub_strerror(rc));
}

static int set_options(struct ub_ctx *context, const struct forward_conf *conf, struct error *err)
{
	char messages[32], records[32], ports[32];
	snprintf(messages, sizeof(messages), "%zu", conf->cache_bytes / 3);
	snprintf(records, sizeof(records), "%zu", conf->cache_bytes - conf->cache_bytes / 3);
	snprintf(ports, sizeof(ports), "%u", conf->pending_max < PORTS_MAX ? conf->pending_max : PORTS_MAX);
	const char *const options[][2] = {
		{ "module-config:", conf->trust_anchor != NULL ? "validator iterator" : "iterator" },
		{ "msg-cache-size:", messages },
		{ "rrset-cache-size:", records },
		{ "do-not-query-localhost:", "no" }, /* an upstream may live there */
		{ "unblock-lan-zones:", "yes" },     /* it may know 10.in-addr.arpa */
		{ "insecure-lan-zones:", "yes" },
		{ "infra-keep-probing:", "yes" },
		{ "edns-buffer-size:", "1232" },
		{ "outgoing-range:", ports },
		{ "outgoing-num-tcp:", "32" },
		{ "serve-expired:", "yes" }, /* while no upstream answers */
		{ "serve-expired-ttl:", "3600" },
		{ "serve-expired-client-timeout:", "1800" },
	};
	int rc = E_OK;
	for (size_t i = 0; rc == E_OK && i < sizeof(options) / sizeof(*options); i++)
		rc = set_option(context, options[i][0], options[i][1], err);
	return rc;
}

static int add_upstream(struct ub_ctx *context, const struct sockaddr_storage *at, struct error *err)
{
	char host[INET6_ADDRSTRLEN], text[INET6_ADDRSTRLEN + 8];
	const struct sockaddr_in *in4 = (const void *)at;
	const struct sockaddr_in6 *in6 = (const void *)at;
	bool v4 = at->ss_family == AF_INET;
	inet_ntop(at->ss_family, v4 ? (const void *)&in4->sin_addr : &in6->sin6_addr, host, sizeof(host));
	snprintf(text, sizeof(text), "%s@%u", host, ntohs(v4 ? in4->sin_port : in6->sin6_port));
	int rc = ub_ctx_set_fwd(context, text);
	return rc == 0 ? E_OK : error_set(err, E_INVALID, "forward.upstreams %s: %s", text, ub_strerror(rc));
}

static int context_open(struct ub_ctx **ret, const struct forward_conf *conf, struct error *err)
{
	if (unbound_load(err) < 0)
		return err->code;
	struct ub_ctx *context = ub_ctx_create();
	if (context == NULL)
		return error_set(err, E_NOMEM, "no memory for libunbound");
	int rc = set_options(context, conf, err);
	for (size_t i = 0; rc == E_OK && i < conf->upstream_count; i++)
		rc = add_upstream(context, &conf->upstreams[i], err);
	if (rc == E_OK && conf->trust_anchor != NULL) {
		int bad = ub_ctx_add_ta_file(context, conf->trust_anchor);
		if (bad != 0)
			rc = error_set(err, E_INVALID, "forward.trust_anchor %s: %s", conf->trust_anchor, ub_strerror(bad));
	}
	if (rc == E_OK && ub_ctx_async(context, 1) != 0)
		rc = error_set(err, E_IO, "libunbound makes no thread");
	if (rc < 0)
		ub_ctx_delete(context);
	else
		*ret = context;
	return rc;
}

static struct ranges *ranges_new(const struct forward_conf *conf)
{
	size_t n = conf->upstream_count == 0 ? 0 : conf->allow_count;
	struct ranges *r = mem_zalloc(1, sizeof(*r) + n * sizeof(r->at[0]));
	if (r == NULL)
		return NULL;
	r->count = n;
	if (n > 0)
		memcpy(r->at, conf->allow, n * sizeof(r->at[0]));
	return r;
}

/* ---- the thread: it begins with the first upstreams */

static void thread_main(void *arg)
{
	struct forward *f = arg;
	thread_begin("forward", THREAD_PLAIN);
	metrics_thread_start();
	uv_timer_start(&f->probing, on_probe_due, 0, 0);
	uv_run(&f->loop, UV_RUN_DEFAULT);
	metrics_thread_stop();
}

/* Signals are the control thread's, in libunbound's thread too, which inherits. */
static int thread_start(struct forward *f, struct error *err)
{
	sigset_t all, before;
	if (f->running)
		return E_OK;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	int rc = uv_thread_create(&f->thread, thread_main, f);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	f->running = rc == 0;
	return rc == 0 ? E_OK : error_set(err, E_IO, "start the thread of the forwarder: %s", uv_strerror(rc));
}

/* ---- other settings, while it runs */

static void on_answers_closed(uv_handle_t *handle)
{
	mem_free(handle);
}

static void answers_close(struct forward *f)
{
	if (f->answers != NULL)
		uv_close((uv_handle_t *)f->answers, on_answers_closed);
	f->answers = NULL;
}

static int answers_open(struct forward *f)
{
	if (f->context == NULL)
		return E_OK;
	f->answers = mem_zalloc(1, sizeof(*f->answers));
	if (f->answers == NULL)
		return E_NOMEM;
	f->answers->data = f;
	uv_poll_init(&f->loop, f->answers, ub_fd(f->context));
	uv_poll_start(f->answers, UV_READABLE, on_readable);
	return E_OK;
}

/* All that waits is asked again. */
static void ask_again(struct forward *f)
{
	for (struct waiting *w = f->first, *next; w != NULL; w = next) {
		next = w->next;
		if (waiting_start(f, w) == 0)
			continue;
		refuse(f, w->query, RCODE_SERVFAIL, EDE_OTHER, "libunbound takes no more questions", FAILED);
		waiting_remove(w);
	}
}

static void context_swap(struct forward *f, struct ub_ctx *fresh)
{
	struct ub_ctx *old = f->context;
	if (old != NULL)
		ub_process(old); /* what it has by now */
	for (struct waiting *w = f->first; w != NULL; w = w->next)
		ub_cancel(old, w->id);
	answers_close(f);
	f->context = fresh;
	if (answers_open(f) < 0) {
		log_error("forward", "no memory for other upstreams: names outside of the zones are not answered");
		take_back_all(f);
	} else {
		ask_again(f);
	}
	if (old != NULL)
		ub_ctx_delete(old); /* joins its thread */
	f->probe_asked = false;
	f->untold = 0;
	set_looped(f, false);
	uv_timer_start(&f->probing, on_probe_due, 0, 0);
}

static void on_change(uv_async_t *async)
{
	struct forward *f = async->data;
	struct forward_change *c = atomic_exchange(&f->next, NULL);
	if (c == NULL)
		return;
	f->timeout_ms = c->timeout_ms;
	if (c->context != NULL && !f->draining) {
		context_swap(f, c->context);
		c->context = NULL;
	}
	forward_abandon(c);
}

int forward_prepare(struct forward_change **ret, struct forward *f, const struct forward_conf *conf, struct error *err)
{
	struct forward_change *c = mem_zalloc(1, sizeof(*c));
	if (c == NULL || (c->allow = ranges_new(conf)) == NULL) {
		mem_free(c);
		return error_set(err, E_NOMEM, "no memory for the forwarder");
	}
	c->timeout_ms = conf->timeout_ms;
	c->pending_max = conf->pending_max;
	if (conf->upstream_count > 0 && (context_open(&c->context, conf, err) < 0 || thread_start(f, err) < 0)) {
		forward_abandon(c);
		return err->code;
	}
	*ret = c;
	return E_OK;
}

void forward_commit(struct forward *f, struct forward_change *c)
{
	c->allow->before = atomic_load(&f->allow);
	atomic_store_explicit(&f->allow, c->allow, memory_order_release);
	c->allow = NULL;
	atomic_store(&f->pending_max, c->pending_max);
	if (!f->running) { /* nobody could ask, nobody can */
		f->timeout_ms = c->timeout_ms;
		forward_abandon(c);
		return;
	}
	forward_abandon(atomic_exchange(&f->next, c)); /* one that was not taken over yet */
	uv_async_send(&f->change);
}

void forward_abandon(struct forward_change *c)
{
	if (c == NULL)
		return;
	if (c->context != NULL)
		ub_ctx_delete(c->context);
	mem_free(c->allow);
	mem_free(c);
}

/* ---- start and end */

static void on_drain(uv_async_t *async)
{
	struct forward *f = async->data;
	f->draining = true;
	uv_timer_stop(&f->probing);
	take_back_all(f);
}

static void close_all(struct forward *f)
{
	inbox_close(f->inbox, NULL, NULL);
	answers_close(f);
	uv_close((uv_handle_t *)&f->sweep, NULL);
	uv_close((uv_handle_t *)&f->probing, NULL);
	uv_close((uv_handle_t *)&f->drain, NULL);
	uv_close((uv_handle_t *)&f->change, NULL);
	uv_close((uv_handle_t *)&f->end, NULL);
}

static void on_end(uv_async_t *async)
{
	close_all(async->data);
}

static int handles_open(struct forward *f, struct error *err)
{
	if (inbox_open(&f->inbox, &f->loop, on_inbox, f) < 0)
		return error_set(err, E_NOMEM, "no memory for the forwarder");
	f->sweep.data = f->probing.data = f->drain.data = f->change.data = f->end.data = f;
	uv_timer_init(&f->loop, &f->sweep);
	uv_timer_init(&f->loop, &f->probing);
	uv_async_init(&f->loop, &f->drain, on_drain);
	uv_async_init(&f->loop, &f->change, on_change);
	uv_async_init(&f->loop, &f->end, on_end);
	if (answers_open(f) == E_OK)
		return E_OK;
	close_all(f);
	uv_run(&f->loop, UV_RUN_DEFAULT);
	return error_set(err, E_NOMEM, "no memory for the forwarder");
}

static void forward_done(struct forward *f)
{
	if (f->context != NULL)
		ub_ctx_delete(f->context);
	forward_abandon(atomic_load(&f->next));
	uv_loop_close(&f->loop);
	for (struct ranges *r = atomic_load(&f->allow), *before; r != NULL; r = before) {
		before = r->before;
		mem_free(r);
	}
	mem_free(f);
}

int forward_start(struct forward **ret, const struct forward_conf *conf, const struct forward_cells *cells, struct error *err)
{
	struct forward *f = mem_zalloc(1, sizeof(*f));
	if (f == NULL || uv_loop_init(&f->loop) != 0) {
		mem_free(f);
		return error_set(err, E_NOMEM, "no memory for the forwarder");
	}
	f->timeout_ms = conf->timeout_ms;
	atomic_init(&f->pending_max, conf->pending_max);
	struct ranges *allow = ranges_new(conf);
	atomic_init(&f->allow, allow);
	rng_seed_system(&f->rng);
	f->cells = *cells;
	bool on = conf->upstream_count > 0;
	int rc = allow == NULL ? error_set(err, E_NOMEM, "no memory for the forwarder") : E_OK;
	if (rc == E_OK && on)
		rc = context_open(&f->context, conf, err);
	if (rc == E_OK)
		rc = handles_open(f, err);
	if (rc == E_OK && on && (rc = thread_start(f, err)) < 0) {
		close_all(f);
		uv_run(&f->loop, UV_RUN_DEFAULT);
	}
	if (rc < 0) {
		forward_done(f);
		return rc;
	}
	*ret = f;
	return E_OK;
}

void forward_drain(struct forward *f)
{
	uv_async_send(&f->drain);
}

void forward_free(struct forward *f)
{
	if (f == NULL)
		return;
	if (f->running) {
		uv_async_send(&f->end);
		uv_thread_join(&f->thread);
	} else {
		close_all(f);
		uv_run(&f->loop, UV_RUN_DEFAULT);
	}
	forward_done(f);
}
