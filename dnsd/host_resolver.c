/* host_resolver.c - happy path: a name is wanted > its A and AAAA are asked of libunbound > both callbacks came > the owner
 * is told > the wheel has it for when the time to live is over. Otherwise: an answer that says nothing (SERVFAIL, REFUSED,
 * no answer within LOOKUP_MS) leaves the last addresses of its family in place, stale, and is asked for again soon; a name
 * that is no longer wanted while it is looked up is freed by its last callback or at once. */
#include "dnsd/host_resolver.h"
#include "base/log.h"
#include "base/map.h"
#include "base/hash.h"
#include "base/mem.h"
#include "base/metrics.h"
#include "base/wheel.h"
#include "dnsd/unbound_late.h"
#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	FAMILIES = 2,
	ADDRESSES_MAX = 8,	 /* of one family */
	TTL_MIN_SEC = 5, TTL_MAX_SEC = 300,
	LOOKUP_MS = 5000,	 /* then it has failed */
	BUSY_MS = 100,		 /* too many are under way: a little later */
	UNDER_WAY_MAX = 200,
	TICK_MS = 50, TICK_MOST = 1000,
	UPSTREAMS_MAX = 8,
};
#define STALE_MAX_MS ((int64_t)24 * 3600 * 1000) /* RFC 8767, 5: between one and three days */

struct lookup;

struct family { /* what is known of one type of one name */
	struct lookup *lookup;
	int id; /* of libunbound, to take it back */
	bool under_way, failed;
	unsigned count;
	int64_t good_ms; /* last answer that said something; 0: none */
	struct host_address addresses[ADDRESSES_MAX];
};

struct lookup {
	struct wheel_node due; /* first: cast */
	struct host_resolver *r;
	struct family families[FAMILIES];
	int ttl_sec;
	char canonical[256];
	char name[];
};

struct host_resolver {
	uv_loop_t *loop;
	uv_timer_t timer;
	uv_poll_t answers;
	unsigned handles;
	struct host_resolver_conf conf;
	struct sockaddr_storage upstreams[UPSTREAMS_MAX];
	struct ub_ctx *context; /* NULL: no name has come yet */
	struct wheel *wheel;
	struct map lookups;
	unsigned under_way;
	bool broken; /* libunbound could not be started: said once */
	unsigned answered, failed, names; /* metric cells */
};

static const int types[FAMILIES] = { RR_A, RR_AAAA };
static const uint8_t versions[FAMILIES] = { 4, 6 };
static const int lengths[FAMILIES] = { 4, 16 };

static bool lookup_equal(const void *value, const void *key)
{
	return strcmp(((const struct lookup *)value)->name, key) == 0;
}

static uint64_t name_hash_of(const char *name)
{
	return hash_bytes(name, strlen(name));
}

static int64_t now_of(const struct host_resolver *r)
{
	return (int64_t)uv_now(r->loop) + 1; /* never 0 */
}

/* ---- answers */

static int compare(const void *a, const void *b)
{
	return memcmp(((const struct host_address *)a)->addr, ((const struct host_address *)b)->addr, 16);
}

/* Sorted: servers turn their answers, and that is no change. */
static void family_fill(struct family *f, const struct ub_result *result, int which)
{
	f->count = 0;
	for (int i = 0; result->havedata && result->data[i] != NULL && f->count < ADDRESSES_MAX; i++) {
		struct host_address *a = &f->addresses[f->count];
		if (result->len[i] != lengths[which])
			continue;
		memset(a, 0, sizeof(*a));
		a->family = versions[which];
		memcpy(a->addr, result->data[i], (size_t)lengths[which]);
		f->count++;
	}
	qsort(f->addresses, f->count, sizeof(f->addresses[0]), compare);
}

static void lookup_tell(struct lookup *l)
{
	struct host_address all[FAMILIES * ADDRESSES_MAX];
	struct host_found found = { all, 0, false, l->canonical[0] == '\0' ? NULL : l->canonical };
	int64_t now = now_of(l->r);
	for (int i = 0; i < FAMILIES; i++) {
		struct family *f = &l->families[i];
		if (f->failed && now - f->good_ms > STALE_MAX_MS)
			f->count = 0;
		found.stale |= f->failed && f->count > 0;
		memcpy(all + found.count, f->addresses, f->count * sizeof(all[0]));
		found.count += f->count;
	}
	l->r->conf.on_found(l->r->conf.arg, l->name, &found);
}

static void lookup_settle(struct lookup *l)
{
	bool failed = l->families[0].failed || l->families[1].failed;
	int ttl = l->ttl_sec > TTL_MAX_SEC ? TTL_MAX_SEC : l->ttl_sec < TTL_MIN_SEC || failed ? TTL_MIN_SEC : l->ttl_sec;
	metrics_add(failed ? l->r->failed : l->r->answered, 1);
	wheel_remove(l->r->wheel, &l->due);
	wheel_add(l->r->wheel, &l->due, now_of(l->r) + (int64_t)ttl * 1000);
	lookup_tell(l);
}

static void family_end(struct family *f, bool failed)
{
	struct lookup *l = f->lookup;
	f->under_way = false;
	f->failed = failed;
	if (!failed)
		f->good_ms = now_of(l->r);
	l->r->under_way--;
	if (!l->families[0].under_way && !l->families[1].under_way)
		lookup_settle(l);
}

static void on_answer(void *arg, int error, struct ub_result *result)
{
	struct family *f = arg;
	struct lookup *l = f->lookup;
	bool said = error == 0 && result != NULL && (result->rcode == RCODE_NOERROR || result->rcode == RCODE_NXDOMAIN);
	if (said) {
		family_fill(f, result, (int)(f - l->families));
		if (l->ttl_sec > result->ttl)
			l->ttl_sec = result->ttl;
		if (result->canonname != NULL && f->count > 0)
			snprintf(l->canonical, sizeof(l->canonical), "%s", result->canonname);
	}
	ub_resolve_free(result);
	family_end(f, !said);
}

static void on_readable(uv_poll_t *poll, int status, int events)
{
	struct host_resolver *r = poll->data;
	(void)status;
	(void)events;
	ub_process(r->context);
}

/* ---- libunbound */

static int context_options(struct ub_ctx *context)
{
	static const char *const options[][2] = {
		{ "module-config:", "iterator" },
		{ "msg-cache-size:", "1m" },
		{ "rrset-cache-size:", "2m" },
		{ "do-not-query-localhost:", "no" }, /* an upstream may live there */
		{ "unblock-lan-zones:", "yes" },
		{ "infra-keep-probing:", "yes" },
		{ "cache-max-negative-ttl:", "30" }, /* a name that comes late is not waited for for an hour */
	};
	for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++)
		if (ub_ctx_set_option(context, options[i][0], options[i][1]) != 0)
			return -1;
	return 0;
}

static int context_upstreams(struct host_resolver *r, struct ub_ctx *context)
{
	char host[INET6_ADDRSTRLEN], text[INET6_ADDRSTRLEN + 8];
	for (size_t i = 0; i < r->conf.upstream_count; i++) {
		const struct sockaddr_in *in4 = (const void *)&r->upstreams[i];
		const struct sockaddr_in6 *in6 = (const void *)&r->upstreams[i];
		bool v4 = r->upstreams[i].ss_family == AF_INET;
		inet_ntop(v4 ? AF_INET : AF_INET6, v4 ? (const void *)&in4->sin_addr : &in6->sin6_addr, host, sizeof(host));
		snprintf(text, sizeof(text), "%s@%u", host, ntohs(v4 ? in4->sin_port : in6->sin6_port));
		if (ub_ctx_set_fwd(context, text) != 0)
			return -1;
	}
	if (r->conf.upstream_count > 0 || ub_ctx_resolvconf(context, NULL) == 0)
		return 0;
	return ub_ctx_set_fwd(context, "127.0.0.1"); /* as resolv.conf(5) says of hosts without one */
}

static bool context_ready(struct host_resolver *r)
{
	if (r->context != NULL || r->broken)
		return r->context != NULL;
	struct error err = { .text = "no memory" };
	struct ub_ctx *context = unbound_load(&err) == E_OK ? ub_ctx_create() : NULL;
	if (context == NULL || context_options(context) != 0 || context_upstreams(r, context) != 0 ||
	    ub_ctx_async(context, 1) != 0) {
		log_error("dns", "host names in the ip field are not looked up: libunbound cannot be set up: %s", err.text);
		ub_ctx_delete(context);
		r->broken = true;
		return false;
	}
	r->context = context;
	uv_poll_init(r->loop, &r->answers, ub_fd(context));
	r->answers.data = r;
	r->handles++;
	uv_poll_start(&r->answers, UV_READABLE, on_readable);
	return true;
}

/* Signals are the control thread's, and libunbound's thread begins with the first question. */
static int ask(struct host_resolver *r, struct family *f, const char *name, int type)
{
	sigset_t all, before;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	int rc = ub_resolve_async(r->context, name, type, 1, f, on_answer, &f->id);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return rc;
}

static void lookup_start(struct lookup *l)
{
	struct host_resolver *r = l->r;
	if (!context_ready(r))
		return;
	if (r->under_way >= UNDER_WAY_MAX) {
		wheel_add(r->wheel, &l->due, now_of(r) + BUSY_MS);
		return;
	}
	l->ttl_sec = TTL_MAX_SEC;
	l->canonical[0] = '\0';
	wheel_add(r->wheel, &l->due, now_of(r) + LOOKUP_MS);
	for (int i = 0; i < FAMILIES; i++) {
		struct family *f = &l->families[i];
		f->under_way = ask(r, f, l->name, types[i]) == 0;
		f->failed = !f->under_way;
		r->under_way += f->under_way;
	}
	if (!l->families[0].under_way && !l->families[1].under_way)
		lookup_settle(l);
}

static void lookup_cancel(struct lookup *l)
{
	for (int i = 0; i < FAMILIES; i++) {
		struct family *f = &l->families[i];
		if (!f->under_way)
			continue;
		ub_cancel(l->r->context, f->id); /* its callback will not come */
		f->under_way = false;
		f->failed = true;
		l->r->under_way--;
	}
}

/* Its time to live is over, or that of the question. */
static void on_due(void *arg, struct wheel_node *node)
{
	struct lookup *l = (struct lookup *)(void *)node;
	(void)arg;
	if (!l->families[0].under_way && !l->families[1].under_way) {
		lookup_start(l);
		return;
	}
	lookup_cancel(l);
	lookup_settle(l);
}

static void on_tick(uv_timer_t *timer)
{
	struct host_resolver *r = timer->data;
	wheel_turn(r->wheel, now_of(r), TICK_MOST, on_due, r);
}

/* ---- names */

static void lookup_begin(struct host_resolver *r, const char *name)
{
	size_t len = strlen(name);
	struct lookup *l = mem_zalloc(1, sizeof(*l) + len + 1);
	if (l == NULL)
		return;
	memcpy(l->name, name, len + 1);
	l->r = r;
	l->families[0].lookup = l->families[1].lookup = l;
	if (map_add(&r->lookups, name_hash_of(name), l) < 0) {
		mem_free(l);
		return;
	}
	metrics_shift(r->names, 1);
	if (!uv_is_active((uv_handle_t *)&r->timer))
		uv_timer_start(&r->timer, on_tick, TICK_MS, TICK_MS);
	wheel_add(r->wheel, &l->due, now_of(r)); /* from the loop: the owner is in the middle of something */
}

static void lookup_end(struct lookup *l)
{
	lookup_cancel(l);
	wheel_remove(l->r->wheel, &l->due);
	metrics_shift(l->r->names, -1);
	mem_free(l);
}

void host_resolver_want(struct host_resolver *r, const char *name, bool wanted)
{
	if (wanted) {
		if (map_find(&r->lookups, name_hash_of(name), name) == NULL)
			lookup_begin(r, name);
		return;
	}
	struct lookup *l = map_remove(&r->lookups, name_hash_of(name), name);
	if (l != NULL)
		lookup_end(l);
	if (r->lookups.count == 0)
		uv_timer_stop(&r->timer);
}

/* ---- start and end */

int host_resolver_open(struct host_resolver **ret, uv_loop_t *loop, const struct host_resolver_conf *conf,
		       struct error *err)
{
	static const char help[] = "Times that host names of instances were looked up, and what came of it.";
	struct host_resolver *r = mem_zalloc(1, sizeof(*r));
	if (r == NULL || (r->wheel = wheel_new((int64_t)uv_now(loop) + 1)) == NULL) {
		mem_free(r);
		return error_set(err, E_NOMEM, "no memory for the resolver of host names");
	}
	r->loop = loop;
	r->conf = *conf;
	if (r->conf.upstream_count > UPSTREAMS_MAX)
		r->conf.upstream_count = UPSTREAMS_MAX;
	for (size_t i = 0; i < r->conf.upstream_count; i++)
		r->upstreams[i] = conf->upstreams[i];
	map_init(&r->lookups, lookup_equal);
	uv_timer_init(loop, &r->timer);
	r->timer.data = r;
	r->handles = 1;
	r->answered = metrics_counter("dns_host_lookups_total", help, "result=\"answered\"");
	r->failed = metrics_counter("dns_host_lookups_total", help, "result=\"failed\"");
	r->names = metrics_gauge("dns_host_names", "Host names of instances that are looked up.", NULL);
	*ret = r;
	return E_OK;
}

static void on_closed(uv_handle_t *handle)
{
	struct host_resolver *r = handle->data;
	if (--r->handles > 0)
		return;
	if (r->context != NULL)
		ub_ctx_delete(r->context);
	wheel_free(r->wheel);
	map_done(&r->lookups);
	mem_free(r);
}

void host_resolver_close(struct host_resolver *r)
{
	struct lookup *l;
	if (r == NULL)
		return;
	for (size_t at = 0; (l = map_next(&r->lookups, &at)) != NULL;) {
		map_remove(&r->lookups, name_hash_of(l->name), l->name);
		lookup_end(l);
	}
	uv_close((uv_handle_t *)&r->timer, on_closed);
	if (r->context != NULL)
		uv_close((uv_handle_t *)&r->answers, on_closed);
}
