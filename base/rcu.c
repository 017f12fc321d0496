/* rcu.c - see rcu.h. A reaper's happy path: objects gather in @waiting > rcu_reaper_turn hands them
 * over as @batch (at most every HANDOVER_MS, since each hand-over wakes liburcu's thread; a timer
 * comes back for what is left when the loop goes quiet) > after a grace period on_grace, on liburcu's
 * thread, sends the async > on_batch_back frees on the loop. End: rcu_reaper_close hands over until
 * nothing is left, then closes both handles; the last one frees the reaper.
 *
 * The batch is touched by on_grace in no way; the async is sent last, and libuv lets the loop see it
 * only when the send is over, so the reaper may be freed from there on. */
#include "base/rcu.h"
#include "base/error.h"
#include "base/mem.h"
#include <assert.h>

#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define RCU_IS_A_LOCK 1
#endif
#endif
#ifdef __SANITIZE_THREAD__
#define RCU_IS_A_LOCK 1
#endif

#ifdef RCU_IS_A_LOCK
#include <pthread.h>
#else
#define rcu_head liburcu_head /* the same name for another thing */
#include <urcu.h>
#undef rcu_head
#endif

enum { HANDOVER_MS = 10 };

struct rcu_reaper {
	uv_async_t async;
	uv_timer_t timer;
	unsigned handles;	 /* not yet closed */
	struct rcu_head *waiting; /* newest first */
	struct rcu_head *batch;	 /* waits for its grace period */
	size_t waiting_count, batch_count;
	uint64_t handed_over_ms; /* by the loop's clock */
	void *arg;
	void (*on_closed)(void *arg);
	void *closed_arg;
	bool in_flight, closing;
#ifndef RCU_IS_A_LOCK
	struct liburcu_head grace;
#endif
};

#ifdef RCU_IS_A_LOCK
/* A base singleton. It prefers the writer, whom readers that follow each other closely would starve;
 * so that sections may nest, only the outermost one locks. */
static pthread_rwlock_t readers = PTHREAD_RWLOCK_WRITER_NONRECURSIVE_INITIALIZER_NP;
static _Thread_local unsigned depth;

void rcu_thread_start(void)
{
}

void rcu_thread_stop(void)
{
}

void rcu_begin(void)
{
	if (depth++ == 0)
		pthread_rwlock_rdlock(&readers);
}

void rcu_end(void)
{
	if (--depth == 0)
		pthread_rwlock_unlock(&readers);
}

static void wait_for_grace(struct rcu_reaper *r)
{
	pthread_rwlock_wrlock(&readers);
	pthread_rwlock_unlock(&readers);
	uv_async_send(&r->async);
}
#else
void rcu_thread_start(void)
{
	rcu_register_thread();
}

void rcu_thread_stop(void)
{
	rcu_unregister_thread();
}

void rcu_begin(void)
{
	rcu_read_lock();
}

void rcu_end(void)
{
	rcu_read_unlock();
}

static void on_grace(struct liburcu_head *head)
{
	struct rcu_reaper *r = caa_container_of(head, struct rcu_reaper, grace);
	uv_async_send(&r->async);
}

static void wait_for_grace(struct rcu_reaper *r)
{
	call_rcu(&r->grace, on_grace);
}
#endif

static void on_handle_closed(uv_handle_t *handle)
{
	struct rcu_reaper *r = handle->data;
	if (--r->handles > 0)
		return;
	void (*on_closed)(void *) = r->on_closed;
	void *arg = r->closed_arg;
	mem_free(r);
	if (on_closed != NULL)
		on_closed(arg);
}

static void hand_over(struct rcu_reaper *r)
{
	r->batch = r->waiting;
	r->batch_count = r->waiting_count;
	r->waiting = NULL;
	r->waiting_count = 0;
	r->in_flight = true;
	r->handed_over_ms = uv_now(r->async.loop);
	uv_timer_stop(&r->timer);
	wait_for_grace(r);
}

static void end(struct rcu_reaper *r)
{
	uv_close((uv_handle_t *)&r->async, on_handle_closed);
	uv_close((uv_handle_t *)&r->timer, on_handle_closed);
}

static void on_timer(uv_timer_t *timer)
{
	struct rcu_reaper *r = timer->data;
	if (!r->in_flight && r->waiting != NULL)
		hand_over(r);
}

void rcu_reaper_turn(struct rcu_reaper *r)
{
	if (r->in_flight || r->waiting == NULL || r->closing)
		return;
	uint64_t since_ms = uv_now(r->async.loop) - r->handed_over_ms;
	if (since_ms >= HANDOVER_MS)
		hand_over(r);
	else if (!uv_is_active((uv_handle_t *)&r->timer))
		uv_timer_start(&r->timer, on_timer, HANDOVER_MS - since_ms, 0);
}

static void on_batch_back(uv_async_t *async)
{
	struct rcu_reaper *r = async->data;
	if (!r->in_flight)
		return;
	struct rcu_head *at = r->batch;
	r->batch = NULL;
	r->batch_count = 0;
	while (at != NULL) { /* what is freed may bring more garbage: that waits its turn */
		struct rcu_head *next = at->next;
		at->free(r->arg, at);
		at = next;
	}
	r->in_flight = false;
	if (!r->closing)
		rcu_reaper_turn(r);
	else if (r->waiting != NULL)
		hand_over(r);
	else
		end(r);
}

/* The handles are unreferenced: garbage alone keeps no loop running; closing does. */
int rcu_reaper_start(struct rcu_reaper **ret, uv_loop_t *loop, void *arg)
{
	struct rcu_reaper *r = mem_zalloc(1, sizeof(*r));
	if (r == NULL)
		return E_NOMEM;
	if (uv_async_init(loop, &r->async, on_batch_back) != 0) {
		mem_free(r);
		return E_IO;
	}
	uv_timer_init(loop, &r->timer); /* cannot fail */
	r->async.data = r->timer.data = r;
	r->handles = 2;
	r->arg = arg;
	uv_unref((uv_handle_t *)&r->async);
	uv_unref((uv_handle_t *)&r->timer);
	*ret = r;
	return E_OK;
}

void rcu_reaper_add(struct rcu_reaper *r, struct rcu_head *head,
		    void (*free_fn)(void *arg, struct rcu_head *head))
{
	head->free = free_fn;
	head->next = r->waiting;
	r->waiting = head;
	r->waiting_count++;
}

size_t rcu_reaper_backlog(const struct rcu_reaper *r)
{
	return r->waiting_count + r->batch_count;
}

void rcu_reaper_close(struct rcu_reaper *r, void (*on_closed)(void *arg), void *arg)
{
	assert(!r->closing);
	r->closing = true;
	r->on_closed = on_closed;
	r->closed_arg = arg;
	uv_ref((uv_handle_t *)&r->async);
	if (r->in_flight)
		return; /* on_batch_back goes on */
	if (r->waiting != NULL)
		hand_over(r);
	else
		end(r);
}
