/* inbox.c - see inbox.h. A lock-free stack that any thread pushes to and the loop takes whole and
 * turns round. Happy path: post > (first of a batch) uv_async_send > on_async > deliver. End:
 * inbox_close > uv_close > on_handle_closed delivers what is left, frees, calls on_closed. */
#include "base/inbox.h"
#include "base/error.h"
#include "base/mem.h"
#include <assert.h>
#include <stdatomic.h>
#include <stddef.h>

struct inbox {
	_Atomic(struct inbox_message *) newest;
	_Atomic unsigned depth;
	uv_async_t async;
	inbox_deliver_fn *deliver;
	void *arg;
	void (*on_closed)(void *arg);
	void *closed_arg;
};

static void drain(struct inbox *i)
{
	struct inbox_message *m =
	    atomic_exchange_explicit(&i->newest, NULL, memory_order_acquire);
	struct inbox_message *first = NULL;
	unsigned count = 0;
	while (m != NULL) {
		struct inbox_message *older = m->next;
		m->next = first;
		first = m;
		m = older;
		count++;
	}
	if (count == 0)
		return;
	atomic_fetch_sub_explicit(&i->depth, count, memory_order_relaxed);
	i->deliver(i->arg, first, count);
}

static void on_async(uv_async_t *async)
{
	drain(async->data);
}

int inbox_open(struct inbox **ret, uv_loop_t *loop, inbox_deliver_fn *deliver, void *arg)
{
	struct inbox *i = mem_zalloc(1, sizeof(*i));
	if (i == NULL)
		return E_NOMEM;
	i->deliver = deliver;
	i->arg = arg;
	if (uv_async_init(loop, &i->async, on_async) != 0) {
		mem_free(i);
		return E_IO;
	}
	i->async.data = i;
	*ret = i;
	return E_OK;
}

/* @newest..@oldest linked by next. Only who finds the stack empty wakes the loop. */
static void push(struct inbox *i, struct inbox_message *newest, struct inbox_message *oldest,
		 unsigned count)
{
	atomic_fetch_add_explicit(&i->depth, count, memory_order_relaxed);
	struct inbox_message *old = atomic_load_explicit(&i->newest, memory_order_relaxed);
	do
		oldest->next = old;
	while (!atomic_compare_exchange_weak_explicit(&i->newest, &old, newest,
						      memory_order_release, memory_order_relaxed));
	if (old == NULL)
		uv_async_send(&i->async);
}

void inbox_post(struct inbox *i, struct inbox_message *m)
{
	push(i, m, m, 1);
}

void inbox_post_list(struct inbox *i, struct inbox_message *first, struct inbox_message *last)
{
	struct inbox_message *turned = NULL, *m = first;
	unsigned count = 0;
	last->next = NULL;
	while (m != NULL) {
		struct inbox_message *next = m->next;
		m->next = turned;
		turned = m;
		m = next;
		count++;
	}
	push(i, turned, first, count);
}

unsigned inbox_depth(const struct inbox *i)
{
	return atomic_load_explicit(&i->depth, memory_order_relaxed);
}

static void on_handle_closed(uv_handle_t *handle)
{
	struct inbox *i = handle->data;
	while (atomic_load_explicit(&i->newest, memory_order_relaxed) != NULL)
		drain(i);
	void (*on_closed)(void *) = i->on_closed;
	void *arg = i->closed_arg;
	mem_free(i);
	if (on_closed != NULL)
		on_closed(arg);
}

void inbox_close(struct inbox *i, void (*on_closed)(void *arg), void *arg)
{
	assert(!uv_is_closing((uv_handle_t *)&i->async));
	i->on_closed = on_closed;
	i->closed_arg = arg;
	uv_close((uv_handle_t *)&i->async, on_handle_closed);
}

uv_loop_t *inbox_loop(const struct inbox *i)
{
	return i->async.loop;
}
