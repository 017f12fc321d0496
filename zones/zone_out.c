/* zone_out.c - happy path: an ask comes in > an image is begun > slices of it, one a turn of the loop, until it is whole >
 * streams are made of it and handed out > streams come back > the last one that does ends the image, in slices too. The
 * newest image is kept for a while, as long as nothing has changed, since several servers ask at about the same time.
 * The end: nothing is taken in any more > streams that come back are waited for > images are ended > handles closed. */
#include "zones/zone_out.h"
#include "base/mem.h"
#include "zones/zone_stream_in.h"
#include <assert.h>

enum {
	SLICE = 1024,	 /* services, or rows given back, in one turn of the loop: some 0.3 ms */
	IMAGES_MAX = 6,	 /* alive, more than are read over HTTP; beyond it the newest one is handed out, though it has aged */
	KEEP_MS = 10000, /* an image that nobody reads, in case that another server asks */
};

struct ask_list {
	struct zone_ask *first, *last;
};

struct zone_out {
	struct zone_set *zs;
	struct inbox *asks, *returns;
	uv_idle_t idle; /* runs while there is a slice to do */
	uv_timer_t timer;
	struct ask_list waiting, served; /* for the next image; for the one that is taken */
	struct image *taking, *newest;
	struct image *ending[IMAGES_MAX + 1];
	unsigned images, ending_count; /* alive in all; of them being ended */
	struct zone_out *heir; /* who is asked now; NULL: this one */
	bool closing;
	unsigned handles;
	void (*on_closed)(void *arg);
	void *arg;
};

static void slices_start(struct zone_out *o);

/* ---- asks */

static void list_add(struct ask_list *l, struct zone_ask *ask)
{
	ask->message.next = NULL;
	if (l->last != NULL)
		l->last->message.next = &ask->message;
	else
		l->first = ask;
	l->last = ask;
}

static void ask_answer(struct zone_ask *ask, int code, struct zone_stream *stream)
{
	ask->code = code;
	ask->stream = stream;
	ask->on_done(ask);
}

static struct zone_stream *stream_of(struct zone_out *o, struct image *im, const struct zone_ask *ask)
{
	for (size_t i = 0; i < im->zone_count; i++) {
		if (im->zones[i].zone->number != ask->zone)
			continue;
		struct zone_stream *s = zone_stream_new(im, i, &ask->viewer);
		if (s != NULL) {
			zone_stream_link(s)->out = o;
			im->refs++;
		}
		return s;
	}
	return NULL;
}

/* All of @l get streams of @im; NULL: there was no memory for one, or no time. */
static void asks_serve(struct zone_out *o, struct ask_list *l, struct image *im, int code)
{
	struct zone_ask *ask = l->first;
	*l = (struct ask_list){ NULL, NULL };
	while (ask != NULL) {
		struct zone_ask *next = (struct zone_ask *)ask->message.next;
		struct zone_stream *s = im == NULL ? NULL : stream_of(o, im, ask);
		ask_answer(ask, s != NULL ? E_OK : code, s);
		ask = next;
	}
}

/* The zone of the same name, by its number there. */
static void ask_pass(struct zone_out *o, struct zone_ask *ask)
{
	const char *name = zone_set_zone_name(o->zs, ask->zone);
	int zone = name == NULL ? -1 : zone_set_find(o->heir->zs, name);
	ask->zone = zone;
	if (zone < 0)
		ask_answer(ask, E_UNAVAILABLE, NULL);
	else
		inbox_post(o->heir->asks, &ask->message);
}

static void asks_pass(struct zone_out *o, struct ask_list *l)
{
	struct zone_ask *ask = l->first;
	*l = (struct ask_list){ NULL, NULL };
	while (ask != NULL) {
		struct zone_ask *next = (struct zone_ask *)ask->message.next;
		ask_pass(o, ask);
		ask = next;
	}
}

/* ---- images */

static void image_unref(struct zone_out *o, struct image *im)
{
	if (--im->refs > 0)
		return;
	o->ending[o->ending_count++] = im;
	slices_start(o);
}

static void newest_drop(struct zone_out *o)
{
	struct image *im = o->newest;
	o->newest = NULL;
	if (im != NULL)
		image_unref(o, im);
}

static void image_whole(struct zone_out *o)
{
	struct image *im = o->taking;
	o->taking = NULL;
	newest_drop(o);
	asks_serve(o, &o->served, im->failed ? NULL : im, E_NOMEM);
	if (im->failed) {
		image_unref(o, im);
		return;
	}
	o->newest = im;
	uv_timer_again(&o->timer);
}

/* Those that wait are served by what there is, or by an image that is begun for them. */
static void asks_look(struct zone_out *o)
{
	struct image *im = o->newest;
	if (o->waiting.first == NULL || o->taking != NULL)
		return;
	if (im != NULL && (im->changes == o->zs->changes || o->images == IMAGES_MAX)) {
		asks_serve(o, &o->waiting, im, E_NOMEM);
		uv_timer_again(&o->timer);
		return;
	}
	if (o->images == IMAGES_MAX) { /* and the newest was dropped while it was read */
		if (o->ending_count == 0) /* they end when slow readers do: nobody waits for that */
			asks_serve(o, &o->waiting, NULL, E_UNAVAILABLE);
		return;
	}
	o->taking = image_begin(o->zs);
	if (o->taking == NULL) {
		asks_serve(o, &o->waiting, NULL, E_NOMEM);
		return;
	}
	o->images++;
	o->served = o->waiting;
	o->waiting = (struct ask_list){ NULL, NULL };
	slices_start(o);
}

/* ---- slices */

static void slice(struct zone_out *o)
{
	if (o->taking != NULL && image_step(o->zs, SLICE))
		image_whole(o);
	if (o->ending_count > 0 && image_end_step(o->zs, o->ending[o->ending_count - 1], SLICE)) {
		o->ending_count--;
		o->images--;
	}
	asks_look(o);
}

static void on_idle(uv_idle_t *idle)
{
	struct zone_out *o = idle->data;
	if (o->taking == NULL && o->ending_count == 0)
		uv_idle_stop(idle);
	else
		slice(o);
}

static void slices_start(struct zone_out *o)
{
	if (!uv_is_closing((uv_handle_t *)&o->idle))
		uv_idle_start(&o->idle, on_idle);
}

/* Nobody has asked for a while. */
static void on_timer(uv_timer_t *timer)
{
	uv_timer_stop(timer);
	newest_drop(timer->data);
}

/* ---- what comes in */

static void on_asks(void *arg, struct inbox_message *first, unsigned count)
{
	struct zone_out *o = arg;
	bool idle = o->taking == NULL;
	(void)count;
	for (struct inbox_message *m = first, *next; m != NULL; m = next) {
		next = m->next;
		if (o->heir != NULL)
			ask_pass(o, (struct zone_ask *)m);
		else if (o->closing)
			ask_answer((struct zone_ask *)m, E_UNAVAILABLE, NULL);
		else
			list_add(&o->waiting, (struct zone_ask *)m);
	}
	asks_look(o);
	if (idle && o->taking != NULL)
		slice(o); /* of a small registry this is all */
}

static void on_returns(void *arg, struct inbox_message *first, unsigned count)
{
	struct zone_out *o = arg;
	(void)count;
	for (struct inbox_message *m = first, *next; m != NULL; m = next) {
		next = m->next;
		image_unref(o, (struct image *)(uintptr_t)zone_stream_done((struct zone_stream *)m));
	}
}

void zone_out_pass_on(struct zone_out *o, struct zone_out *heir)
{
	struct image *im = o->taking;
	o->heir = heir;
	if (heir == NULL)
		return;
	asks_pass(o, &o->served);
	asks_pass(o, &o->waiting);
	newest_drop(o);
	o->taking = NULL;
	if (im != NULL)
		image_unref(o, im);
}

bool zone_out_is_idle(const struct zone_out *o)
{
	return o->images == 0;
}

struct zone_out *zone_set_out(const struct zone_set *zs)
{
	return zs->out;
}

void zone_out_ask(struct zone_out *out, struct zone_ask *ask)
{
	inbox_post(out->asks, &ask->message);
}

void zone_stream_free(struct zone_stream *s)
{
	struct zone_stream_link *link = zone_stream_link(s);
	inbox_post(link->out->returns, &link->message);
}

/* ---- beginning and end */

int zone_out_open(struct zone_out **ret, struct zone_set *zs, uv_loop_t *loop)
{
	struct zone_out *o = mem_zalloc(1, sizeof(*o));
	if (o == NULL)
		return E_NOMEM;
	o->zs = zs;
	if (inbox_open(&o->asks, loop, on_asks, o) < 0) {
		mem_free(o);
		return E_NOMEM;
	}
	if (inbox_open(&o->returns, loop, on_returns, o) < 0) {
		inbox_close(o->asks, mem_free, o);
		return E_NOMEM;
	}
	uv_idle_init(loop, &o->idle);
	uv_timer_init(loop, &o->timer);
	o->idle.data = o->timer.data = o;
	uv_timer_start(&o->timer, on_timer, KEEP_MS, KEEP_MS);
	zs->out = o;
	*ret = o;
	return E_OK;
}

static void on_handle_closed(uv_handle_t *handle)
{
	struct zone_out *o = handle->data;
	if (--o->handles > 0)
		return;
	void (*on_closed)(void *arg) = o->on_closed;
	void *arg = o->arg;
	mem_free(o);
	on_closed(arg);
}

static void on_returned(void *arg)
{
	struct zone_out *o = arg;
	newest_drop(o);
	if (o->taking != NULL)
		image_unref(o, o->taking);
	o->taking = NULL;
	while (o->ending_count > 0)
		image_end_step(o->zs, o->ending[--o->ending_count], UINT32_MAX);
	o->handles = 2;
	uv_close((uv_handle_t *)&o->idle, on_handle_closed);
	uv_close((uv_handle_t *)&o->timer, on_handle_closed);
}

static void on_asked(void *arg)
{
	struct zone_out *o = arg;
	asks_serve(o, &o->served, NULL, E_UNAVAILABLE);
	asks_serve(o, &o->waiting, NULL, E_UNAVAILABLE);
	inbox_close(o->returns, on_returned, o);
}

void zone_out_close(struct zone_out *o, void (*on_closed)(void *arg), void *arg)
{
	assert(!o->closing);
	o->closing = true;
	o->on_closed = on_closed;
	o->arg = arg;
	inbox_close(o->asks, on_asked, o);
}

/* ---- zones by name */

int zone_set_find(const struct zone_set *zs, const char *name)
{
	uint8_t wire[DNS_NAME_MAX];
	int len = wire_parse(wire, sizeof(wire), name);
	for (size_t i = 0; len > 0 && i < zs->zone_count; i++)
		if (zs->zones[i].len == len && memcmp(zs->zones[i].name, wire, (size_t)len) == 0)
			return zs->zones[i].number;
	return -1;
}

static const struct zone *zone_numbered(const struct zone_set *zs, int zone)
{
	for (size_t i = 0; i < zs->zone_count; i++)
		if (zs->zones[i].number == zone)
			return &zs->zones[i];
	return NULL;
}

uint32_t zone_set_serial(const struct zone_set *zs, int zone)
{
	const struct zone *z = zone_numbered(zs, zone);
	return z == NULL ? 0 : atomic_load_explicit(&((struct zone *)z)->serial, memory_order_relaxed);
}

unsigned zone_set_transfer(const struct zone_set *zs, const struct dns_query *q, const struct sockaddr *peer, int *zone,
			   int *ede)
{
	*ede = EDE_NONE;
	for (size_t i = 0; i < zs->zone_count; i++) {
		const struct zone *z = &zs->zones[i];
		if (z->labels != q->labels || z->len != q->qname_len || memcmp(z->name, q->name, z->len) != 0 ||
		    !zone_is_at(z, q->at))
			continue;
		*zone = z->number;
		if (!zone_gives(z, peer)) {
			*ede = EDE_PROHIBITED;
			return RCODE_REFUSED;
		}
		if (!atomic_load_explicit(&((struct zone_set *)zs)->ready, memory_order_acquire)) {
			*ede = EDE_NOT_READY;
			return RCODE_SERVFAIL;
		}
		return RCODE_NOERROR;
	}
	*zone = -1;
	*ede = EDE_NOT_AUTHORITATIVE;
	return RCODE_NOTAUTH;
}
