/* worker.c - happy path: worker_start makes the loop and puts everything on it, on the caller's thread > the thread
 * runs the loop > worker_stop wakes it by the async > every handle is closed, the loop runs out, the thread ends >
 * worker_free joins it. A start that fails closes what it has by running the loop out itself. */
#include "dnsd/worker.h"
#include "base/log.h"
#include "base/loop_watch.h"
#include "base/mem.h"
#include "base/metrics.h"
#include "base/rcu.h"
#include "base/thread.h"
#include "dnsd/tcp.h"
#include "dnsd/udp.h"
#include <assert.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { PLACES_MAX = 64 };

/* One address, as this worker serves it. */
struct place {
	struct udp_socket udp; /* first: the close callback frees the place by it */
	bool secure;	       /* @udp is not open */
	struct listening *tcp; /* NULL: none */
};

struct worker {
	uv_loop_t loop;
	uv_async_t stop;
	struct inbox *inbox; /* struct worker_news */
	struct forwarding forwarding;
	bool closing;
	uv_thread_t thread;
	unsigned number;
	struct loop_watch watch;
	struct responder responder;
	struct udp_batch *batch;
	struct transfers *transfers;
	struct tcp_front *tcp;
	size_t place_count;
	struct place *places[PLACES_MAX];
};

static void on_place_closed(struct udp_socket *udp)
{
	mem_free(udp); /* its place */
}

static void place_close(struct place *p)
{
	if (p->secure)
		mem_free(p);
	else
		udp_socket_close(&p->udp, on_place_closed);
}

static void close_all(struct worker *w)
{
	forwarding_close(&w->forwarding);
	uv_close((uv_handle_t *)&w->stop, NULL);
	if (w->inbox != NULL)
		inbox_close(w->inbox, NULL, NULL);
	for (size_t i = 0; i < w->place_count; i++)
		place_close(w->places[i]);
	loop_watch_close(&w->watch);
	if (w->tcp != NULL)
		tcp_front_close(w->tcp);
	if (w->transfers != NULL)
		transfers_close(w->transfers);
}

/* Questions that are out come back at once: the forwarder was drained before. */
static void on_stop(uv_async_t *async)
{
	struct worker *w = async->data;
	w->closing = true;
	if (w->forwarding.out == 0)
		close_all(w);
}

static void on_questions_back(void *arg)
{
	struct worker *w = arg;
	if (w->closing && w->forwarding.out == 0)
		close_all(w);
}

static void thread_main(void *arg)
{
	struct worker *w = arg;
	char name[16];
	snprintf(name, sizeof name, "dns-%u", w->number % 1000);
	thread_begin(name, THREAD_QUICK);
	rcu_thread_start();
	metrics_thread_start();
	uv_run(&w->loop, UV_RUN_DEFAULT);
	metrics_thread_stop();
	rcu_thread_stop();
}

/* Signals are the control thread's. */
static int thread_start(struct worker *w)
{
	sigset_t all, before;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	int rc = uv_thread_create(&w->thread, thread_main, w);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return rc;
}

static void worker_done(struct worker *w)
{
	int rc = uv_loop_close(&w->loop);
	assert(rc == 0);
	(void)rc;
	if (w->tcp != NULL)
		tcp_front_free(w->tcp);
	if (w->transfers != NULL)
		transfers_free(w->transfers);
	udp_batch_free(w->batch);
	forwarding_done(&w->forwarding);
	mem_free(w);
}

static void descriptors_close(const struct worker_socket *sockets, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (!sockets[i].secure)
			close(sockets[i].pair.udp);
		close(sockets[i].pair.tcp);
	}
}

/* One address onto the loop. Its descriptors are taken in any case. NULL: nothing of it is left. */
static struct place *place_open(struct worker *w, const struct worker_socket *s, struct error *err)
{
	struct place *p = mem_zalloc(1, sizeof(*p));
	if (p == NULL) {
		descriptors_close(s, 1);
		error_set(err, E_NOMEM, "no memory for a DNS address");
		return NULL;
	}
	p->secure = s->secure;
	if (!p->secure &&
	    udp_socket_open(&p->udp, &w->loop, s->pair.udp, &s->addr, &s->place, w->batch, &w->responder, err) < 0) {
		close(s->pair.tcp);
		mem_free(p);
		return NULL;
	}
	if (tcp_front_listen(w->tcp, s->pair.tcp, &s->place, s->secure, &p->tcp, err) < 0) {
		place_close(p);
		return NULL;
	}
	return p;
}

/* ---- other addresses, while it runs */

static void news_discard(struct worker_news *news)
{
	for (size_t i = 0; i < news->count; i++)
		if (news->at[i].kept < 0)
			descriptors_close(&news->at[i].socket, 1);
	mem_free(news);
}

/* What is new is served before what is gone is closed, so that an address in both never goes without. */
static void take_news(struct worker *w, struct worker_news *news)
{
	struct place *before[PLACES_MAX], *fresh[PLACES_MAX];
	size_t before_count = w->place_count, count = 0;
	struct error err;
	w->responder.forwards |= news->forwards;
	memcpy(before, w->places, sizeof(before));
	for (size_t i = 0; i < news->count; i++) {
		int kept = news->at[i].kept;
		struct place *p = kept >= 0 ? before[kept] : place_open(w, &news->at[i].socket, &err);
		if (kept >= 0)
			before[kept] = NULL;
		if (p == NULL)
			log_error("dns", "an address is not served: %s", err.text);
		else
			fresh[count++] = p;
	}
	for (size_t i = 0; i < before_count; i++) {
		if (before[i] == NULL)
			continue;
		if (!before[i]->secure)
			udp_socket_drain(&before[i]->udp);
		tcp_front_unlisten(w->tcp, before[i]->tcp);
		place_close(before[i]);
	}
	memcpy(w->places, fresh, count * sizeof(fresh[0]));
	w->place_count = count;
	mem_free(news);
}

static void on_inbox(void *arg, struct inbox_message *first, unsigned count)
{
	struct worker *w = arg;
	(void)count;
	for (struct inbox_message *m = first, *next; m != NULL; m = next) {
		next = m->next;
		if (w->closing)
			news_discard((struct worker_news *)m);
		else
			take_news(w, (struct worker_news *)m);
	}
}

void worker_tell(struct worker *w, struct worker_news *news)
{
	inbox_post(w->inbox, &news->message);
}

/* ---- start and end */

static int worker_fill(struct worker *w, const struct dns_server_conf *conf, const struct worker_socket *sockets,
		       size_t count, struct error *err)
{
	struct tcp_conf tcp = { .idle_ms = conf->tcp_idle_ms, .message_ms = conf->tcp_message_ms, .max = conf->tcp_max,
				.per_prefix = conf->tcp_per_prefix, .tls = conf->tls_slot };
	const struct transfers_conf out = { conf->transfers, conf->transfer_ms };
	int rc = E_OK;
	size_t i = 0;
	w->batch = udp_batch_new(conf->udp_gso);
	if (w->batch == NULL || inbox_open(&w->inbox, &w->loop, on_inbox, w) < 0)
		rc = error_set(err, E_NOMEM, "no memory for DNS buffers");
	if (rc == E_OK && transfers_open(&w->transfers, &w->loop, &out, &w->responder) < 0)
		rc = error_set(err, E_NOMEM, "no memory for DNS transfers");
	tcp.transfers = w->transfers;
	if (rc == E_OK)
		rc = forwarding_open(&w->forwarding, &w->loop, conf->forward, on_questions_back, w, err);
	w->responder.forwarding = &w->forwarding;
	w->responder.forwards = conf->forwards;
	if (rc == E_OK)
		rc = tcp_front_open(&w->tcp, &w->loop, &tcp, &w->responder, err);
	for (; rc == E_OK && i < count; i++) {
		struct place *p = place_open(w, &sockets[i], err);
		if (p == NULL)
			rc = err->code;
		else
			w->places[w->place_count++] = p;
	}
	descriptors_close(sockets + i, count - i);
	if (rc == E_OK && thread_start(w) != 0)
		rc = error_set(err, E_IO, "start a DNS thread");
	return rc;
}

int worker_start(struct worker **ret, unsigned number, const struct dns_server_conf *conf,
		 const struct dns_counters *counters, const struct worker_socket *sockets, size_t count,
		 struct error *err)
{
	struct worker *w = mem_zalloc(1, sizeof *w);
	if (w == NULL || uv_loop_init(&w->loop) != 0) {
		mem_free(w);
		descriptors_close(sockets, count);
		return error_set(err, E_NOMEM, "no memory for a DNS worker");
	}
	w->number = number;
	w->stop.data = w;
	const struct responder_conf answers = { .udp_size = conf->udp_size, .udp_size_lan = conf->udp_size_lan,
						.keepalive_ms = conf->tcp_idle_ms, .identity = conf->identity,
						.cookies = conf->cookies, .rates = conf->limiter };
	responder_init(&w->responder, conf->zones, counters, &answers);
	uv_async_init(&w->loop, &w->stop, on_stop);
	loop_watch_open(&w->watch, &w->loop, "dns");
	int rc = worker_fill(w, conf, sockets, count, err);
	if (rc < 0) {
		close_all(w);
		uv_run(&w->loop, UV_RUN_DEFAULT);
		worker_done(w);
		return rc;
	}
	*ret = w;
	return E_OK;
}

void worker_stop(struct worker *w)
{
	uv_async_send(&w->stop);
}

void worker_free(struct worker *w)
{
	uv_thread_join(&w->thread);
	worker_done(w);
}
