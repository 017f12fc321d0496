/* dns_server.c - all addresses bound for all workers, then the workers started; the other way round at the end. */
#include "dnsd/dns_server.h"
#include "base/mem.h"
#include "base/random.h"
#include "dnsd/counters.h"
#include "dnsd/sockets.h"
#include "dnsd/worker.h"
#include <string.h>

enum { THREADS_MAX = 256, ADDRESSES_MAX = 64 };

struct dns_server {
	struct dns_server_conf conf; /* without the listens */
	struct dns_counters counters;
	struct identity_slot identity;
	struct cookie_slot cookies;
	struct rate_limiter rates;
	struct tls_slot tls;
	struct worker **workers;
	unsigned worker_count; /* started */
	struct sockaddr_storage addrs[ADDRESSES_MAX]; /* bound */
	struct sockaddr_storage asked[ADDRESSES_MAX]; /* of each, as it was set: with port 0 if that was asked for */
	bool secure[ADDRESSES_MAX];		      /* of each: TLS */
	size_t addr_count;
};

/* Addresses from the commit on; sockets for those that are new. */
struct dns_change {
	unsigned threads;
	struct sockaddr_storage addrs[ADDRESSES_MAX], asked[ADDRESSES_MAX];
	bool secure[ADDRESSES_MAX];
	int kept[ADDRESSES_MAX]; /* which one of before; -1: new */
	size_t count;
	struct socket_pair *pairs; /* as bind_all() has them */
	struct forward_change *forward; /* NULL: as before */
	bool forwards;			/* it has upstreams */
	struct worker_news **news; /* one a worker: nothing can fail any more at the commit */
};

static void conf_fill(struct dns_server_conf *c)
{
	if (c->threads == 0)
		c->threads = uv_available_parallelism();
	if (c->threads > THREADS_MAX)
		c->threads = THREADS_MAX;
	c->udp_size = c->udp_size == 0 ? 1232 : c->udp_size;
	c->tcp_idle_ms = c->tcp_idle_ms <= 0 ? 10000 : c->tcp_idle_ms;
	c->tcp_message_ms = c->tcp_message_ms <= 0 ? 2000 : c->tcp_message_ms;
	c->tcp_max = c->tcp_max == 0 ? 4096 : c->tcp_max;
	c->tcp_per_prefix = c->tcp_per_prefix == 0 ? 64 : c->tcp_per_prefix;
	c->transfers = c->transfers == 0 ? 32 : c->transfers;
	c->transfer_ms = c->transfer_ms == 0 ? 600000 : c->transfer_ms;
	c->nsid = c->version = NULL; /* the slot has them */
	c->forward = NULL;
	c->forwards = c->forwarding != NULL && c->forwarding->upstream_count > 0;
	c->forwarding = NULL;
	c->listens = c->tls_listens = NULL;
	c->listen_count = c->tls_listen_count = 0;
	c->tls = NULL;
	c->rates = (struct rate_conf){ 0 };
}

/* Both lists of addresses as one: those for TLS behind the others. */
static size_t asked_count(const struct dns_server_conf *c)
{
	return c->listen_count + c->tls_listen_count;
}

static bool asked_is_secure(const struct dns_server_conf *c, size_t nth)
{
	return nth >= c->listen_count;
}

static const struct dns_listen *asked_at(const struct dns_server_conf *c, size_t nth)
{
	return nth < c->listen_count ? &c->listens[nth] : &c->tls_listens[nth - c->listen_count];
}

static int asked_check(const struct dns_server_conf *c, struct error *err)
{
	if (c->listen_count == 0 || asked_count(c) > ADDRESSES_MAX)
		return error_set(err, E_RANGE, "%zu DNS addresses are outside 1..%d", asked_count(c), ADDRESSES_MAX);
	return E_OK;
}

/* Binds every address: row a of @pairs (threads wide) is for address a. A host without IPv6 skips its wildcard. */
static int bind_all(struct dns_server *s, const struct dns_server_conf *conf, struct socket_pair *pairs,
		    struct error *err)
{
	unsigned threads = s->conf.threads;
	for (size_t i = 0; i < asked_count(conf); i++) {
		struct sockaddr_storage at = asked_at(conf, i)->addr;
		bool secure = asked_is_secure(conf, i);
		int rc = sockets_bind(pairs + s->addr_count * threads, threads, &at, secure ? SOCKETS_STREAM : 0, err);
		bool skip = rc == E_UNSUPPORTED && at.ss_family == AF_INET6 && address_is_wildcard(&at) &&
			    conf->listen_count > 1;
		if (skip)
			continue;
		if (rc < 0) {
			sockets_close(pairs, s->addr_count * threads);
			return rc;
		}
		s->asked[s->addr_count] = asked_at(conf, i)->addr;
		s->secure[s->addr_count] = secure;
		s->addrs[s->addr_count++] = at;
	}
	return E_OK;
}

/* Each worker takes its column. On failure those not given to any worker are closed. */
static int workers_start(struct dns_server *s, struct socket_pair *pairs, struct error *err)
{
	struct worker_socket sockets[ADDRESSES_MAX];
	unsigned threads = s->conf.threads;
	int rc = E_OK;
	for (unsigned t = 0; t < threads; t++) {
		for (size_t a = 0; a < s->addr_count; a++) {
			sockets[a].addr = s->addrs[a];
			dns_place_of(&sockets[a].place, &s->asked[a]);
			sockets[a].secure = s->secure[a];
			sockets[a].pair = pairs[a * threads + t];
			if (rc < 0)
				sockets_close(&pairs[a * threads + t], 1);
		}
		if (rc == E_OK)
			rc = worker_start(&s->workers[t], t, &s->conf, &s->counters, sockets, s->addr_count, err);
		if (rc == E_OK)
			s->worker_count++;
	}
	return rc;
}

static int rates_start(struct dns_server *s, const struct rate_conf *conf)
{
	uint8_t secret[RATE_SECRET_LEN];
	random_bytes(secret, sizeof(secret));
	s->rates.table = rate_table_new(secret);
	atomic_init(&s->rates.now, rate_policy_new(conf));
	return s->rates.table == NULL || atomic_load(&s->rates.now) == NULL ? E_NOMEM : E_OK;
}

int dns_server_start(struct dns_server **ret, const struct dns_server_conf *conf, struct error *err)
{
	if (asked_check(conf, err) < 0)
		return err->code;
	struct dns_server *s = mem_zalloc(1, sizeof *s);
	if (s == NULL)
		return error_set(err, E_NOMEM, "no memory for the DNS server");
	s->conf = *conf;
	conf_fill(&s->conf);
	s->workers = mem_zalloc(s->conf.threads, sizeof *s->workers);
	struct identity *self = identity_new(conf->nsid, conf->version);
	atomic_init(&s->identity.now, self);
	s->conf.identity = &s->identity;
	s->conf.cookies = &s->cookies;
	s->conf.tls_slot = &s->tls;
	s->conf.limiter = &s->rates;
	atomic_init(&s->tls.now, conf->tls);
	struct socket_pair *pairs = mem_zalloc(asked_count(conf) * s->conf.threads, sizeof *pairs);
	int rc = E_NOMEM;
	if (s->workers == NULL || pairs == NULL || self == NULL || rates_start(s, &conf->rates) < 0)
		error_set(err, E_NOMEM, "no memory for the DNS server");
	else
		rc = bind_all(s, conf, pairs, err);
	struct forward_cells cells;
	forward_declare(&cells);
	static const struct forward_conf nobody;
	if (rc == E_OK) {
		rc = forward_start(&s->conf.forward, conf->forwarding != NULL ? conf->forwarding : &nobody, &cells, err);
		if (rc < 0)
			sockets_close(pairs, s->addr_count * s->conf.threads);
	}
	if (rc == E_OK) {
		dns_counters_declare(&s->counters);
		dns_server_zones(s, zone_slot_read(conf->zones));
		rc = workers_start(s, pairs, err);
	}
	mem_free(pairs);
	if (rc < 0) {
		atomic_store(&s->tls.now, NULL); /* not taken */
		dns_server_stop(s);
		return rc;
	}
	*ret = s;
	return E_OK;
}

size_t dns_server_addresses(const struct dns_server *s, bool tls, struct sockaddr_storage *ret, size_t max)
{
	size_t n = 0;
	for (size_t i = 0; i < s->addr_count && n < max; i++)
		if (s->secure[i] == tls)
			ret[n++] = s->addrs[i];
	return n;
}

/* ---- other addresses, while it runs */

static int change_find(const struct dns_server *s, const struct sockaddr_storage *asked, bool secure,
		       bool used[ADDRESSES_MAX])
{
	for (size_t i = 0; i < s->addr_count; i++)
		if (!used[i] && s->secure[i] == secure && memcmp(&s->asked[i], asked, sizeof(*asked)) == 0) {
			used[i] = true;
			return (int)i;
		}
	return -1;
}

static bool port_is_ours(const struct dns_server *s, const struct sockaddr_storage *at)
{
	for (size_t i = 0; i < s->addr_count; i++)
		if (address_port(&s->addrs[i]) == address_port(at))
			return true;
	return false;
}

static int change_bind(struct dns_change *c, const struct dns_server *s, const struct dns_listen *listen,
		       struct error *err)
{
	struct socket_pair *pairs = c->pairs + c->count * c->threads;
	struct sockaddr_storage at = listen->addr;
	unsigned how = c->secure[c->count] ? SOCKETS_STREAM : 0;
	int rc = sockets_bind(pairs, c->threads, &at, how, err);
	if (rc == E_CONFLICT && port_is_ours(s, &at))
		rc = sockets_bind(pairs, c->threads, &at, how | SOCKETS_BESIDE, err);
	if (rc == E_OK)
		c->addrs[c->count] = at;
	return rc;
}

static int change_fill(struct dns_change *c, const struct dns_server *s, const struct dns_server_conf *conf,
		       struct error *err)
{
	bool used[ADDRESSES_MAX] = { false };
	for (size_t i = 0; i < asked_count(conf); i++) {
		const struct dns_listen *listen = asked_at(conf, i);
		c->secure[c->count] = asked_is_secure(conf, i);
		int rc = E_OK, kept = change_find(s, &listen->addr, c->secure[c->count], used);
		if (kept >= 0)
			c->addrs[c->count] = s->addrs[kept];
		else
			rc = change_bind(c, s, listen, err);
		if (rc == E_UNSUPPORTED && listen->addr.ss_family == AF_INET6 && address_is_wildcard(&listen->addr) &&
		    conf->listen_count > 1)
			continue; /* as at start: a host without IPv6 */
		if (rc < 0)
			return rc;
		c->asked[c->count] = listen->addr;
		c->kept[c->count++] = kept;
	}
	return E_OK;
}

static int change_news(struct dns_change *c, struct error *err)
{
	for (unsigned t = 0; t < c->threads; t++) {
		struct worker_news *n = mem_zalloc(1, sizeof(*n) + c->count * sizeof(n->at[0]));
		c->news[t] = n;
		if (n == NULL)
			return error_set(err, E_NOMEM, "no memory for DNS addresses");
		n->count = c->count;
		for (size_t i = 0; i < c->count; i++) {
			n->at[i].kept = c->kept[i];
			n->at[i].socket = (struct worker_socket){ .addr = c->addrs[i], .pair = c->pairs[i * c->threads + t],
								  .secure = c->secure[i] };
			dns_place_of(&n->at[i].socket.place, &c->asked[i]);
		}
	}
	return E_OK;
}

static void change_free(struct dns_change *c)
{
	forward_abandon(c->forward);
	mem_free(c->pairs);
	mem_free(c->news);
	mem_free(c);
}

void dns_server_abandon(struct dns_change *c)
{
	if (c == NULL)
		return;
	for (size_t i = 0; c->pairs != NULL && i < c->count; i++)
		if (c->kept[i] < 0)
			sockets_close(c->pairs + i * c->threads, c->threads);
	for (unsigned t = 0; c->news != NULL && t < c->threads; t++)
		mem_free(c->news[t]);
	change_free(c);
}

int dns_server_prepare(struct dns_change **ret, struct dns_server *s, const struct dns_server_conf *conf,
		       struct error *err)
{
	size_t count = asked_count(conf);
	if (asked_check(conf, err) < 0)
		return err->code;
	struct dns_change *c = mem_zalloc(1, sizeof(*c));
	if (c == NULL)
		return error_set(err, E_NOMEM, "no memory for DNS addresses");
	c->threads = s->worker_count;
	c->forwards = conf->forwarding != NULL && conf->forwarding->upstream_count > 0;
	c->pairs = mem_zalloc(count * c->threads, sizeof(*c->pairs));
	c->news = mem_zalloc(c->threads, sizeof(struct worker_news *));
	int rc = c->pairs == NULL || c->news == NULL ? error_set(err, E_NOMEM, "no memory for DNS addresses")
						     : change_fill(c, s, conf, err);
	if (rc == E_OK)
		rc = change_news(c, err);
	if (rc == E_OK && conf->forwarding != NULL)
		rc = forward_prepare(&c->forward, s->conf.forward, conf->forwarding, err);
	if (rc < 0) {
		dns_server_abandon(c);
		return rc;
	}
	*ret = c;
	return E_OK;
}

void dns_server_commit(struct dns_server *s, struct dns_change *c)
{
	memcpy(s->addrs, c->addrs, sizeof(s->addrs));
	memcpy(s->asked, c->asked, sizeof(s->asked));
	memcpy(s->secure, c->secure, sizeof(s->secure));
	s->addr_count = c->count;
	if (c->forward != NULL)
		forward_commit(s->conf.forward, c->forward);
	s->conf.forwards |= c->forwards;
	for (unsigned t = 0; t < c->threads; t++) {
		c->news[t]->forwards = s->conf.forwards;
		worker_tell(s->workers[t], c->news[t]);
	}
	c->forward = NULL;
	change_free(c);
}

void dns_server_zones(struct dns_server *s, struct zone_set *fresh)
{
	dns_counters_zones(&s->counters, fresh);
}

void dns_server_stop(struct dns_server *s)
{
	if (s->conf.forward != NULL)
		forward_drain(s->conf.forward); /* workers wait for what they have asked */
	for (unsigned i = 0; i < s->worker_count; i++)
		worker_stop(s->workers[i]);
	for (unsigned i = 0; i < s->worker_count; i++)
		worker_free(s->workers[i]);
	forward_free(s->conf.forward);
	identity_free(atomic_load(&s->identity.now));
	cookie_secrets_free(atomic_load(&s->cookies.now));
	rate_policy_free(atomic_load(&s->rates.now));
	rate_table_free(s->rates.table);
	tls_context_free(atomic_load(&s->tls.now));
	mem_free(s->workers);
	mem_free(s);
}

static void on_identity_unread(void *arg, struct rcu_head *head)
{
	(void)arg;
	identity_free((struct identity *)(void *)((char *)head - offsetof(struct identity, reap)));
}

int dns_server_identify(struct dns_server *s, const char *nsid, const char *version, struct rcu_reaper *reaper)
{
	struct identity *fresh = identity_new(nsid, version), *old = atomic_load(&s->identity.now);
	if (fresh == NULL)
		return E_NOMEM;
	rcu_publish(&s->identity.now, fresh);
	rcu_reaper_add(reaper, &old->reap, on_identity_unread);
	return E_OK;
}

static void on_secrets_unread(void *arg, struct rcu_head *head)
{
	(void)arg;
	cookie_secrets_free((struct cookie_secrets *)(void *)((char *)head - offsetof(struct cookie_secrets, reap)));
}

int dns_server_cookies(struct dns_server *s, const uint8_t (*keys)[COOKIE_SECRET_LEN], unsigned count,
		       struct rcu_reaper *reaper)
{
	struct cookie_secrets *fresh = cookie_secrets_new(keys, count), *old = atomic_load(&s->cookies.now);
	if (fresh == NULL)
		return E_NOMEM;
	rcu_publish(&s->cookies.now, fresh);
	if (old != NULL)
		rcu_reaper_add(reaper, &old->reap, on_secrets_unread);
	return E_OK;
}

static void on_policy_unread(void *arg, struct rcu_head *head)
{
	(void)arg;
	rate_policy_free((struct rate_policy *)(void *)((char *)head - offsetof(struct rate_policy, reap)));
}

int dns_server_limit(struct dns_server *s, const struct rate_conf *conf, struct rcu_reaper *reaper)
{
	struct rate_policy *fresh = rate_policy_new(conf), *old = atomic_load(&s->rates.now);
	if (fresh == NULL)
		return E_NOMEM;
	rcu_publish(&s->rates.now, fresh);
	rcu_reaper_add(reaper, &old->reap, on_policy_unread);
	return E_OK;
}

void dns_server_secure(struct dns_server *s, struct tls_context *fresh, struct rcu_reaper *reaper)
{
	tls_context_inherit(fresh, atomic_load(&s->tls.now));
	tls_slot_set(&s->tls, fresh, reaper);
}

void dns_server_turn_tickets(struct dns_server *s, int64_t now_ms)
{
	tls_slot_turn(&s->tls, now_ms);
}
