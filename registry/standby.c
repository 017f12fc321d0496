/* standby.c - what older publishers say of an address that a newer one has: when that leaves, the newest of them that
 * still lives has the address again. A standby lives no longer than the instance of its address. The control thread's.
 *
 * A connection that was closed is away while its grace lasts: its instances stay, but no address falls back to it, so
 * that what its successor deregisters is gone at once. */
#include "base/hash.h"
#include "base/mem.h"
#include "registry/core.h"

#include <string.h>

enum { STANDBYS_OF_ADDRESS = 8 }; /* more clients than that under one address: the oldest is forgotten */

struct standby {
	struct instance *record; /* never published */
	struct standby *older;
};
struct standbys { /* of one address */
	struct standby *newest; /* there is always one */
};

struct standby_key {
	const struct service *service;
	const char *ip;
	size_t ip_len;
	uint16_t port;
};

static struct standby_key key_of(const struct instance *i)
{
	return (struct standby_key){ i->service, instance_ip(i), i->ip_len, i->port };
}

static uint64_t key_hash(const struct standby_key *key)
{
	return hash_more(address_hash(key->ip, key->ip_len, key->port), &key->service, sizeof(key->service));
}

bool standbys_equal(const void *value, const void *of)
{
	const struct instance *i = ((const struct standbys *)value)->newest->record;
	const struct standby_key *key = of;

	return i->service == key->service && i->port == key->port && i->ip_len == key->ip_len &&
	       memcmp(instance_ip(i), key->ip, key->ip_len) == 0;
}

static struct standbys *standbys_of(const struct registry *r, const struct instance *holder, struct standby_key *key)
{
	*key = key_of(holder);
	return r->standby_count == 0 ? NULL : map_find(&r->standbys, key_hash(key), key);
}

static const struct standby *newest_of(const struct registry *r, const struct instance *holder)
{
	struct standby_key key;
	const struct standbys *all = standbys_of(r, holder, &key);

	return all == NULL ? NULL : all->newest;
}

static void standby_free(struct registry *r, struct standby *b)
{
	record_free(r, b->record);
	mem_free(b);
	r->standby_count--;
}

static void forget_oldest(struct registry *r, struct standby *b)
{
	for (unsigned count = 1; b->older != NULL; b = b->older)
		if (++count > STANDBYS_OF_ADDRESS) {
			standby_free(r, b->older);
			b->older = NULL;
			return;
		}
}

static int standby_new(struct standby **ret, struct registry *r, const struct instance *said)
{
	struct standby *b = mem_zalloc(1, sizeof(*b));

	if (b == NULL)
		return E_NOMEM;
	b->record = record_copy(r, said);
	if (b->record == NULL) {
		mem_free(b);
		return E_NOMEM;
	}
	r->standby_count++;
	*ret = b;
	return E_OK;
}

/* The first of its address. */
static int line_new(struct registry *r, const struct standby_key *key, struct standby *b)
{
	struct standbys *all = mem_alloc(sizeof(*all));

	if (all == NULL)
		return E_NOMEM;
	all->newest = b;
	if (map_add(&r->standbys, key_hash(key), all) < 0) {
		mem_free(all);
		return E_NOMEM;
	}
	return E_OK;
}

int standby_add(struct registry *r, const struct instance *said)
{
	struct standby_key key;
	struct standbys *all = standbys_of(r, said, &key);
	struct standby *b;

	if (r->conf.instances_max > 0 && r->standby_count >= r->conf.instances_max)
		return E_OK; /* as if it had not been there: memory is bounded */
	if (standby_new(&b, r, said) < 0)
		return E_NOMEM;
	if (all != NULL) {
		b->older = all->newest;
		all->newest = b;
		forget_oldest(r, b);
	} else if (line_new(r, &key, b) < 0) {
		standby_free(r, b);
		return E_NOMEM;
	}
	return E_OK;
}

void standby_remove(struct registry *r, const struct instance *holder, uint64_t publisher)
{
	struct standby_key key;
	struct standbys *all = standbys_of(r, holder, &key);
	struct standby **at = all == NULL ? NULL : &all->newest, *b;

	while (at != NULL && *at != NULL && (*at)->record->publisher != publisher)
		at = &(*at)->older;
	if (at == NULL || *at == NULL)
		return;
	b = *at;
	if (b == all->newest && b->older == NULL)
		mem_free(map_remove(&r->standbys, key_hash(&key), &key));
	else
		*at = b->older;
	standby_free(r, b);
}

void standby_drop(struct registry *r, const struct instance *holder)
{
	struct standby_key key;
	struct standbys *all = standbys_of(r, holder, &key);

	if (all == NULL)
		return;
	map_remove(&r->standbys, key_hash(&key), &key);
	for (struct standby *b; (b = all->newest) != NULL; standby_free(r, b))
		all->newest = b->older;
	mem_free(all);
}

bool standby_beats(const struct registry *r, const struct instance *holder)
{
	const struct standby *b = newest_of(r, holder);

	while (b != NULL && b->record->publisher != PUBLISHER_BEATS)
		b = b->older;
	return b != NULL;
}

void registry_each_standby(const struct registry *r, const struct instance *i,
			   void (*each)(void *arg, uint64_t publisher), void *arg)
{
	for (const struct standby *b = newest_of(r, i); b != NULL; b = b->older)
		each(arg, b->record->publisher);
}

const struct instance *standby_heir(const struct registry *r, const struct instance *holder, int64_t now_ms)
{
	int64_t silent_ms = now_ms - atomic_load_explicit(&holder->last_beat_ms, memory_order_relaxed);

	for (const struct standby *b = newest_of(r, holder); b != NULL; b = b->older)
		if (b->record->publisher == PUBLISHER_BEATS ? silent_ms <= b->record->unhealthy_ms
							    : !publisher_is_away(r, b->record->publisher))
			return b->record;
	return NULL;
}

/* ---- publishers that are away */

struct away {
	uint64_t publisher;
};

bool away_equal(const void *value, const void *of)
{
	return ((const struct away *)value)->publisher == *(const uint64_t *)of;
}

static uint64_t away_hash(uint64_t publisher)
{
	return hash_more(0, &publisher, sizeof(publisher));
}

bool publisher_is_away(const struct registry *r, uint64_t publisher)
{
	return r->away.count > 0 && map_find(&r->away, away_hash(publisher), &publisher) != NULL;
}

int registry_publisher_away(struct registry *r, uint64_t publisher)
{
	struct away *a;

	if (publisher_is_away(r, publisher))
		return E_OK;
	a = mem_alloc(sizeof(*a));
	if (a == NULL)
		return E_NOMEM;
	a->publisher = publisher;
	if (map_add(&r->away, away_hash(publisher), a) < 0) {
		mem_free(a);
		return E_NOMEM;
	}
	return E_OK;
}

void registry_publisher_forget(struct registry *r, uint64_t publisher)
{
	mem_free(map_remove(&r->away, away_hash(publisher), &publisher));
}

void standbys_free(struct registry *r)
{
	struct standbys *all;
	void *away;

	for (size_t at = 0; (all = map_next(&r->standbys, &at)) != NULL; mem_free(all))
		for (struct standby *b; (b = all->newest) != NULL; standby_free(r, b))
			all->newest = b->older;
	for (size_t at = 0; (away = map_next(&r->away, &at)) != NULL;)
		mem_free(away);
	map_done(&r->standbys);
	map_done(&r->away);
}
