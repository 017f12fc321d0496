/* worker.c - happy path: worker_start makes the loop and puts everything on it, on the caller's thread > the thread
 * runs the loop > worker_stop wakes it by the async > every handle is closed, the loop runs out, the thread ends >
 * worker_free joins it. A start that fails closes what it has by running the loop out itself. */
#include "dnsd/worker.h"
#include "base/mem.h"
#include "base/metrics.h"
#include "base/rcu.h"
#include "dnsd/tcp.h"
#include "dnsd/udp.h"
#include <assert.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

struct worker {
	uv_loop_t loop;
	uv_async_t stop;
	uv_thread_t thread;
	unsigned number;
	struct responder responder;
	struct udp_batch *batch;
	struct tcp_front *tcp;
	size_t udp_count;
	struct udp_socket udp[];
};

static void close_all(struct worker *w)
{
	uv_close((uv_handle_t *)&w->stop, NULL);
	for (size_t i = 0; i < w->udp_count; i++)
		udp_socket_close(&w->udp[i]);
	if (w->tcp != NULL)
		tcp_front_close(w->tcp);
}

static void on_stop(uv_async_t *async)
{
	close_all(async->data);
}

static void thread_main(void *arg)
{
	struct worker *w = arg;
	char name[16];
	snprintf(name, sizeof name, "dns-%u", w->number % 1000);
	pthread_setname_np(pthread_self(), name);
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
	udp_batch_free(w->batch);
	mem_free(w);
}

/* One address onto the loop. Its descriptors are taken in any case. */
static int socket_open(struct worker *w, const struct worker_socket *s, struct error *err)
{
	struct udp_socket *udp = &w->udp[w->udp_count];
	int rc = udp_socket_open(udp, &w->loop, s->pair.udp, &s->addr, w->batch, &w->responder, err);
	if (rc < 0) {
		close(s->pair.tcp);
		return rc;
	}
	w->udp_count++;
	return tcp_front_listen(w->tcp, s->pair.tcp, err);
}

static void descriptors_close(const struct worker_socket *sockets, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		close(sockets[i].pair.udp);
		close(sockets[i].pair.tcp);
	}
}

static int worker_fill(struct worker *w, const struct dns_server_conf *conf, const struct worker_socket *sockets,
		       size_t count, struct error *err)
{
	struct tcp_conf tcp = { conf->tcp_idle_ms, conf->tcp_message_ms, conf->tcp_max, conf->tcp_per_prefix };
	int rc = E_OK;
	size_t i = 0;
	w->batch = udp_batch_new();
	if (w->batch == NULL)
		rc = error_set(err, E_NOMEM, "no memory for DNS buffers");
	if (rc == E_OK)
		rc = tcp_front_open(&w->tcp, &w->loop, &tcp, &w->responder, err);
	while (rc == E_OK && i < count)
		rc = socket_open(w, &sockets[i++], err);
	descriptors_close(sockets + i, count - i);
	if (rc == E_OK && thread_start(w) != 0)
		rc = error_set(err, E_IO, "start a DNS thread");
	return rc;
}

int worker_start(struct worker **ret, unsigned number, const struct dns_server_conf *conf,
		 const struct dns_counters *counters, const struct worker_socket *sockets, size_t count,
		 struct error *err)
{
	struct worker *w = mem_zalloc(1, sizeof *w + count * sizeof w->udp[0]);
	if (w == NULL || uv_loop_init(&w->loop) != 0) {
		mem_free(w);
		descriptors_close(sockets, count);
		return error_set(err, E_NOMEM, "no memory for a DNS worker");
	}
	w->number = number;
	w->stop.data = w;
	responder_init(&w->responder, conf->zones, counters, conf->udp_size, conf->tcp_idle_ms);
	uv_async_init(&w->loop, &w->stop, on_stop);
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
