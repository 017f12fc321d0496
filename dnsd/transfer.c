/* transfer.c - happy path: transfer_begin asks for the zone > on the control thread a stream of it is made > it comes by
 * the inbox > on_ready, and a message each time it is asked for one > 0, and the connection goes on with what it has
 * read. A connection that ends earlier frees its transfer; a stream that comes then is given back at once. A worker that
 * ends earlier still leaves behind its `struct home`, so that what comes too late finds nobody and is given back. */
#include "dnsd/transfer.h"
#include "base/handle.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/metrics.h"
#include "base/rcu.h"
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>

enum {
	MESSAGE_SOFT = 16384, /* so that pointers reach every name; only a larger record is sent in a larger message */
	RECORD_FIXED = 10,    /* type, class, TTL, rdlength */
	POINTER_MAX = 0x3fff,
};

/* Where streams come to. Lives as long as the worker and whoever was asked. */
struct home {
	uv_mutex_t mutex;
	unsigned refs;
	struct inbox *inbox; /* NULL: the worker has gone */
};

struct fetch { /* a stream on its way */
	struct zone_ask ask; /* first */
	struct home *home;
	uint64_t handle; /* of the transfer */
};

struct transfers {
	struct transfers_conf conf;
	uv_loop_t *loop;
	unsigned count; /* on their way */
	struct responder *responder;
	struct home *home;
	struct inbox *inbox;
	struct handles handles;
	uv_idle_t idle; /* runs while somebody wants a turn */
	struct transfer *wanting;
	unsigned sent, refused, busy, broken, late, cut; /* metric cells */
};

/* The name written last, label by label, and where each of them stands in the message. */
struct squeeze {
	uint8_t name[DNS_NAME_MAX];
	uint16_t at[DNS_LABELS_MAX];
	uint8_t label[DNS_LABELS_MAX]; /* offsets in @name */
	unsigned labels;
};

struct transfer {
	struct transfers *home;
	uint64_t handle;
	struct zone_stream *stream; /* NULL: not there yet */
	int code;		    /* why there will be none */
	struct transfer *next;	    /* in wanting */
	bool wants, first, soa_only, done, late, near;
	int64_t since_ms;
	struct question question;
	uint8_t qname[DNS_NAME_MAX + 4];
	uint64_t records, octets;
	char peer[INET6_ADDRSTRLEN];
	struct squeeze squeeze;
	void (*on_ready)(void *arg);
	void *arg;
};

/* ---- whose turn it is */

static void on_idle(uv_idle_t *idle)
{
	struct transfers *t = idle->data;
	struct transfer *x = t->wanting;
	if (x == NULL) {
		uv_idle_stop(idle);
		return;
	}
	/* one a turn: each of these makes some thousand names */
	t->wanting = x->next;
	x->wants = false;
	x->on_ready(x->arg);
}

void transfer_want(struct transfer *x)
{
	struct transfers *t = x->home;
	struct transfer **at = &t->wanting;
	if (x->wants)
		return;
	while (*at != NULL)
		at = &(*at)->next;
	*at = x;
	x->next = NULL;
	x->wants = true;
	uv_idle_start(&t->idle, on_idle);
}

/* ---- fetching */

static void home_unref(struct home *h)
{
	uv_mutex_lock(&h->mutex);
	bool last = --h->refs == 0;
	uv_mutex_unlock(&h->mutex);
	if (!last)
		return;
	uv_mutex_destroy(&h->mutex);
	mem_free(h);
}

static void fetch_free(struct fetch *f)
{
	if (f->ask.stream != NULL)
		zone_stream_free(f->ask.stream);
	home_unref(f->home);
	mem_free(f);
}

/* On the control thread. */
static void on_fetched(struct zone_ask *ask)
{
	struct fetch *f = (struct fetch *)ask;
	uv_mutex_lock(&f->home->mutex);
	bool there = f->home->inbox != NULL;
	if (there)
		inbox_post(f->home->inbox, &ask->message);
	uv_mutex_unlock(&f->home->mutex);
	if (!there)
		fetch_free(f);
}

static void on_inbox(void *arg, struct inbox_message *first, unsigned count)
{
	struct transfers *t = arg;
	(void)count;
	for (struct inbox_message *m = first, *next; m != NULL; m = next) {
		next = m->next;
		struct fetch *f = (struct fetch *)m;
		struct transfer *x = handles_find(&t->handles, f->handle);
		if (x != NULL) {
			x->stream = f->ask.stream;
			x->code = f->ask.code;
			f->ask.stream = NULL;
			transfer_want(x);
		}
		fetch_free(f);
	}
}

static void viewer_of(struct zone_viewer *ret, const struct exchange *x)
{
	ret->from_len = x->client.addr_len;
	memcpy(ret->from, x->client.addr, x->client.addr_len);
	if (x->question.query.at != NULL)
		ret->at = *x->question.query.at;
}

static int fetch(struct transfer *x, const struct exchange *asked, struct zone_out *out, int zone)
{
	struct transfers *t = x->home;
	struct fetch *f = mem_zalloc(1, sizeof(*f));
	if (f == NULL)
		return E_NOMEM;
	f->home = t->home;
	f->handle = x->handle;
	f->ask.zone = zone;
	viewer_of(&f->ask.viewer, asked);
	f->ask.on_done = on_fetched;
	uv_mutex_lock(&t->home->mutex);
	t->home->refs++;
	uv_mutex_unlock(&t->home->mutex);
	zone_out_ask(out, &f->ask);
	return E_OK;
}

/* ---- beginning and end */

static void peer_name(char to[INET6_ADDRSTRLEN], const struct sockaddr *peer)
{
	const void *addr = peer->sa_family == AF_INET
			       ? (const void *)&((const struct sockaddr_in *)(const void *)peer)->sin_addr
			       : (const void *)&((const struct sockaddr_in6 *)(const void *)peer)->sin6_addr;
	if (inet_ntop(peer->sa_family, addr, to, INET6_ADDRSTRLEN) == NULL)
		strcpy(to, "?");
}

static struct transfer *transfer_new(struct transfers *t, const struct exchange *x)
{
	struct transfer *ret = mem_zalloc(1, sizeof(*ret));
	if (ret == NULL)
		return NULL;
	ret->handle = handles_add(&t->handles, ret);
	if (ret->handle == 0) {
		mem_free(ret);
		return NULL;
	}
	t->count++;
	ret->home = t;
	ret->since_ms = (int64_t)uv_now(t->loop);
	ret->first = true;
	ret->near = x->client.near;
	ret->question = x->question;
	memcpy(ret->qname, x->question.query.qname, x->question.question_len);
	ret->question.query.qname = ret->qname;
	return ret;
}

struct transfer *transfer_begin(struct transfers *t, struct exchange *x, const struct sockaddr *peer,
				void (*on_ready)(void *arg), void *arg, uint8_t *to, size_t cap, size_t *len)
{
	struct question *q = &x->question;
	int zone, ede;
	unsigned rcode = zone_set_transfer(t->responder->zones, &q->query, peer, &zone, &ede);
	struct transfer *ret = NULL;
	*len = 0;
	bool full = rcode == RCODE_NOERROR && t->count >= t->conf.max;
	struct zone_out *out = rcode == RCODE_NOERROR ? zone_set_out(t->responder->zones) : NULL;
	if (out != NULL && !full) {
		ret = transfer_new(t, x);
		if (ret != NULL && fetch(ret, x, out, zone) == E_OK) {
			ret->on_ready = on_ready;
			ret->arg = arg;
			peer_name(ret->peer, peer);
			return ret;
		}
		rcode = RCODE_SERVFAIL;
	}
	if (ret != NULL)
		transfer_free(ret);
	metrics_add(full ? t->busy : t->refused, 1);
	if (full)
		log_warn("dns", "a transfer is refused: %u are on their way, as many as dns.transfers says", t->count);
	q->rcode = (uint16_t)(rcode == RCODE_NOERROR ? RCODE_REFUSED : rcode);
	q->ede = ede;
	q->fault = FAULT_TRANSFER;
	x->fate = QUESTION_REPLY;
	*len = respond_write(t->responder, x, to, cap);
	return NULL;
}

void transfer_free(struct transfer *x)
{
	struct transfers *t = x->home;
	for (struct transfer **at = &t->wanting; x->wants && *at != NULL; at = &(*at)->next)
		if (*at == x) {
			*at = x->next;
			break;
		}
	handles_remove(&t->handles, x->handle);
	t->count--;
	if (x->stream != NULL) {
		metrics_add(x->done ? t->sent : x->late ? t->late : t->broken, 1);
		metrics_add(t->cut, zone_stream_cut(x->stream));
		log_info("dns", "zone %s, serial %u, %s %s: %llu records, %llu octets", zone_stream_zone(x->stream),
			 zone_stream_serial(x->stream), x->done ? "sent to" : x->late ? "cut off by dns.transfer_time on its way to" : "cut off on its way to",
			 x->peer, (unsigned long long)x->records, (unsigned long long)x->octets);
		zone_stream_free(x->stream);
	}
	mem_free(x);
}

/* ---- messages */

static uint8_t *be16(uint8_t *to, unsigned v)
{
	to[0] = (uint8_t)(v >> 8);
	to[1] = (uint8_t)v;
	return to + 2;
}

static unsigned labels_of(uint8_t *ret, const uint8_t *name)
{
	unsigned n = 0;
	for (size_t at = 0; name[at] != 0 && n < DNS_LABELS_MAX; at += name[at] + 1u)
		ret[n++] = (uint8_t)at;
	return n;
}

/* How many labels the two names have in common, from the right. */
static unsigned common(const struct squeeze *s, const uint8_t *name, const uint8_t *label, unsigned labels)
{
	unsigned n = 0;
	while (n < labels && n < s->labels) {
		const uint8_t *a = name + label[labels - 1 - n], *b = s->name + s->label[s->labels - 1 - n];
		if (a[0] != b[0] || memcmp(a, b, a[0] + 1u) != 0 || s->at[s->labels - 1 - n] > POINTER_MAX)
			break;
		n++;
	}
	return n;
}

/* @to has room for the whole name. @start: of the message. */
static uint8_t *name_put(struct squeeze *s, uint8_t *to, const uint8_t *start, const uint8_t *name, size_t len)
{
	uint8_t label[DNS_LABELS_MAX];
	unsigned labels = labels_of(label, name), shared = common(s, name, label, labels), fresh = labels - shared;
	size_t head = shared == 0 ? len - 1 : label[fresh];
	uint16_t pointer = shared > 0 ? s->at[s->labels - shared] : 0;
	memmove(s->at + fresh, s->at + (s->labels - shared), shared * sizeof(s->at[0]));
	for (unsigned i = 0; i < fresh; i++)
		s->at[i] = (uint16_t)(to - start + label[i]);
	memcpy(s->name, name, len);
	memcpy(s->label, label, labels);
	s->labels = labels;
	memcpy(to, name, head);
	to += head;
	if (shared > 0)
		return be16(to, 0xc000u | pointer);
	*to = 0;
	return to + 1;
}

static uint8_t *record_put(struct squeeze *s, uint8_t *to, const uint8_t *start, const struct zone_record *r)
{
	to = name_put(s, to, start, r->owner, r->owner_len);
	to = be16(be16(to, r->type), QCLASS_IN);
	to = be16(be16(to, r->ttl >> 16), r->ttl & 0xffff);
	to = be16(to, r->rdlength);
	memcpy(to, r->rdata, r->rdlength);
	return to + r->rdlength;
}

static void records_put(struct transfer *x, struct dns_answer *a)
{
	const struct zone_record *r;
	const uint8_t *soft = a->w.end < a->w.start + MESSAGE_SOFT ? a->w.end : a->w.start + MESSAGE_SOFT;
	while ((r = zone_stream_peek(x->stream)) != NULL) {
		size_t most = (size_t)r->owner_len + RECORD_FIXED + r->rdlength;
		const uint8_t *end = a->ancount == 0 ? a->w.end : soft;
		if (a->w.at > end || most > (size_t)(end - a->w.at) || a->ancount == UINT16_MAX)
			return;
		a->w.at = record_put(&x->squeeze, a->w.at, a->w.start, r);
		a->ancount++;
		zone_stream_pop(x->stream);
		if (x->soa_only)
			break;
	}
	x->done = x->soa_only || !zone_stream_paused(x->stream);
}

/* The client's version is ours, or a newer one. */
static bool is_current(const struct transfer *x)
{
	const struct question *q = &x->question;
	return q->query.qtype == RR_IXFR && (int32_t)(zone_stream_serial(x->stream) - q->soa_serial) <= 0;
}

static size_t failure(struct transfer *x, uint8_t *to)
{
	struct dns_answer a;
	const struct reply_limits *limits = &x->home->responder->limits[x->near];
	reply_begin(&a, &x->question, to, DNS_MESSAGE_MAX, limits);
	x->done = true;
	return reply_end(&a, &x->question, RCODE_SERVFAIL, limits);
}

static size_t message(struct transfer *x, uint8_t *to)
{
	const struct reply_limits *limits = &x->home->responder->limits[x->near];
	struct question *q = &x->question;
	struct dns_answer a;
	reply_begin(&a, q, to, DNS_MESSAGE_MAX, limits);
	x->squeeze.labels = 0;
	if (x->first) {
		x->soa_only = is_current(x);
		uint8_t *name = to + DNS_HEADER_LEN;
		x->squeeze.labels = labels_of(x->squeeze.label, q->query.name);
		memcpy(x->squeeze.name, q->query.name, q->query.qname_len);
		for (unsigned i = 0; i < x->squeeze.labels; i++)
			x->squeeze.at[i] = (uint16_t)(name - to + x->squeeze.label[i]);
	}
	records_put(x, &a);
	a.aa = true;
	x->records += a.ancount;
	size_t len = reply_end(&a, q, RCODE_NOERROR, limits);
	x->octets += len;
	if (x->first)
		tally_query(&x->home->responder->tally, TRANSPORT_TCP, -1, q->query.qtype, RCODE_NOERROR);
	x->first = false;
	q->question_len = 0; /* in the first message only */
	q->edns.present = false;
	return len;
}

size_t transfer_next(struct transfer *x, uint8_t *to)
{
	if (x->done)
		return 0;
	x->late = (int64_t)uv_now(x->home->loop) - x->since_ms >= x->home->conf.time_ms;
	if (x->late)
		return TRANSFER_LATE;
	if (x->stream != NULL && zone_stream_peek(x->stream) == NULL && zone_stream_paused(x->stream))
		return TRANSFER_LATER;
	rcu_begin(); /* the server's name in the OPT */
	size_t len = x->stream == NULL ? failure(x, to) : message(x, to);
	rcu_end();
	return len;
}

/* ---- of a worker */

int transfers_open(struct transfers **ret, uv_loop_t *loop, const struct transfers_conf *conf, struct responder *responder)
{
	static const char name[] = "dns_transfers_total", help[] = "Transfers of whole zones, by what came of them.";
	struct transfers *t = mem_zalloc(1, sizeof(*t));
	struct home *h = mem_zalloc(1, sizeof(*h));
	if (t == NULL || h == NULL || inbox_open(&t->inbox, loop, on_inbox, t) < 0) {
		mem_free(t);
		mem_free(h);
		return E_NOMEM;
	}
	uv_mutex_init(&h->mutex);
	h->refs = 1;
	h->inbox = t->inbox;
	t->home = h;
	t->conf = *conf;
	t->loop = loop;
	t->responder = responder;
	t->sent = metrics_counter(name, help, "result=\"sent\"");
	t->refused = metrics_counter(name, help, "result=\"refused\"");
	t->busy = metrics_counter(name, help, "result=\"busy\"");
	t->late = metrics_counter(name, help, "result=\"late\"");
	t->broken = metrics_counter(name, help, "result=\"broken\"");
	t->cut = metrics_counter("dns_transfer_cut_rrsets_total",
				 "RRsets in transfers of which only a part was sent: they are too large.", NULL);
	handles_init(&t->handles);
	uv_idle_init(loop, &t->idle);
	t->idle.data = t;
	*ret = t;
	return E_OK;
}

void transfers_close(struct transfers *t)
{
	uv_mutex_lock(&t->home->mutex);
	t->home->inbox = NULL;
	uv_mutex_unlock(&t->home->mutex);
	inbox_close(t->inbox, NULL, NULL);
	uv_close((uv_handle_t *)&t->idle, NULL);
}

void transfers_free(struct transfers *t)
{
	handles_done(&t->handles);
	home_unref(t->home);
	mem_free(t);
}
