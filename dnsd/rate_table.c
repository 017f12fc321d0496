/* rate_table.c - lines of eight entries, one line a cache line; a prefix is in the line that its hash says or nowhere. An
 * entry is one word: 16 bits of the hash, the time (20 bits of 16 ms: five hours, then a prefix that nobody used since may
 * be taken for a recent one, once), and the load. Each level has lines of its own: a flood of new addresses pushes out
 * addresses, not the networks they are in. Updates race without harm: one that loses all its tries is not counted. */
#include "dnsd/rate_table.h"
#include "base/mem.h"
#include "dnsd/siphash.h"
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>

enum {
	WAYS = 8,
	LINES = 65536, /* 4 MiB */
	TAG_SHIFT = 48,
	TIME_SHIFT = 28,
	TIME_BITS = 20,
	UNIT_MS = 16,
	BACKWARDS_MAX = 64, /* units that two workers' clocks may be apart */
	TRIES = 4,
	DECAYS = 12,
};
#define LOAD_MAX ((1u << TIME_SHIFT) - 1)
#define LOAD_FULL (1u << 27) /* at which no more is answered */
#define TIME_MASK ((1u << TIME_BITS) - 1)

/* Prefixes from the address outwards: their lengths, how many addresses' worth they have, and where their lines begin. */
static const uint8_t bits4[RATE_LEVELS] = { 32, 24, 20, 18, 0 }, bits6[RATE_LEVELS] = { 128, 64, 56, 48, 32 };
static const uint16_t worth4[RATE_LEVELS] = { 1, 32, 256, 768, 1 }, worth6[RATE_LEVELS] = { 1, 2, 3, 4, 64 };
static const uint32_t first_line[RATE_LEVELS + 1] = { 0, LINES / 2, LINES / 4 * 3, LINES / 8 * 7, LINES / 16 * 15, LINES };

/* What is left of a load after 1, 2, 4... units: 2^32 exp(-UNIT / RATE_BURST_SEC). */
static const uint32_t decay[DECAYS] = { 4267567278, 4240342061, 4186411574, 4080599610, 3876931309, 3499583428,
					 2851496490, 1893153469, 834472025,  162130119,  6120227,    8721 };

typedef _Atomic(uint64_t) entry;

struct rate_table {
	uint8_t secret[RATE_SECRET_LEN];
	entry *entries; /* LINES times WAYS */
};

void rate_costs_of(struct rate_costs *ret, uint32_t per_second)
{
	double burst = (per_second == 0 ? 1 : per_second) * RATE_BURST_SEC;
	for (unsigned i = 0; i < RATE_LEVELS; i++) {
		uint32_t v4 = (uint32_t)(LOAD_FULL / (burst * worth4[i])), v6 = (uint32_t)(LOAD_FULL / (burst * worth6[i]));
		ret->v4[i] = v4 == 0 ? 1 : v4;
		ret->v6[i] = v6 == 0 ? 1 : v6;
	}
}

struct rate_table *rate_table_new(const uint8_t secret[RATE_SECRET_LEN])
{
	struct rate_table *t = mem_zalloc(1, sizeof(*t));
	if (t == NULL)
		return NULL;
	/* Not from the heap: a page that is never touched costs nothing. */
	void *at = mmap(NULL, sizeof(entry) * LINES * WAYS, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
			-1, 0);
	if (at == MAP_FAILED) {
		mem_free(t);
		return NULL;
	}
	t->entries = at;
	memcpy(t->secret, secret, sizeof(t->secret));
	return t;
}

void rate_table_free(struct rate_table *t)
{
	if (t == NULL)
		return;
	munmap(t->entries, sizeof(entry) * LINES * WAYS);
	mem_free(t);
}

/* The level, then the address as far as its prefix goes. */
static uint64_t hash(const struct rate_table *t, const struct client *from, unsigned level, unsigned bits)
{
	uint8_t in[1 + sizeof(from->addr)] = { (uint8_t)level };
	size_t whole = bits / 8;
	memcpy(in + 1, from->addr, whole);
	if (bits % 8 != 0)
		in[1 + whole] = from->addr[whole] & (uint8_t)(0xff00 >> bits % 8);
	return siphash24(t->secret, in, 1 + (size_t)from->addr_len);
}

void rate_table_find(const struct rate_table *t, struct rate_key *ret, const struct client *from)
{
	ret->v6 = from->addr_len == 16;
	ret->levels = ret->v6 ? RATE_LEVELS : from->addr_len == 4 ? RATE_LEVELS - 1 : 0;
	for (unsigned i = 0; i < ret->levels; i++) {
		uint64_t h = hash(t, from, i, ret->v6 ? bits6[i] : bits4[i]);
		ret->line[i] = first_line[i] + (uint32_t)h % (first_line[i + 1] - first_line[i]);
		ret->tag[i] = (uint16_t)(h >> TAG_SHIFT);
		__builtin_prefetch(&t->entries[(size_t)ret->line[i] * WAYS], 1);
	}
}

/* The load of @e @now; *at is the time that goes with it, which is not before the entry's own. */
static uint32_t load_at(uint64_t e, uint32_t now, uint32_t *at)
{
	uint32_t load = (uint32_t)e & LOAD_MAX, then = (uint32_t)(e >> TIME_SHIFT) & TIME_MASK;
	uint32_t age = (now - then) & TIME_MASK;
	*at = now;
	if (((then - now) & TIME_MASK) <= BACKWARDS_MAX) {
		*at = then;
		return load;
	}
	if (age >> DECAYS != 0) /* or from much later: the clock was set back */
		return 0;
	for (unsigned i = 0; age != 0; i++, age >>= 1)
		if ((age & 1) != 0)
			load = (uint32_t)((uint64_t)load * decay[i] >> 32);
	return load;
}

/* The entry of @tag in a line, or that which may be its own: the one with the least load. */
struct place {
	entry *at;
	uint64_t was;
	uint32_t load, time;
};

static struct place place_find(entry *line, uint16_t tag, uint32_t now)
{
	struct place least = { NULL, 0, UINT32_MAX, now };
	for (unsigned i = 0; i < WAYS; i++) {
		struct place p = { &line[i], atomic_load_explicit(&line[i], memory_order_relaxed), 0, now };
		p.load = load_at(p.was, now, &p.time);
		if (p.was >> TAG_SHIFT == tag && p.load > 0)
			return p;
		if (p.load < least.load)
			least = p;
	}
	least.load = 0;
	least.time = now;
	return least;
}

static void count(entry *line, uint16_t tag, uint32_t cost, uint32_t now, struct place p)
{
	for (int i = 0; i < TRIES; i++) {
		uint32_t load = p.load + cost > LOAD_MAX ? LOAD_MAX : p.load + cost;
		uint64_t is = (uint64_t)tag << TAG_SHIFT | (uint64_t)p.time << TIME_SHIFT | load;
		if (atomic_compare_exchange_weak_explicit(p.at, &p.was, is, memory_order_relaxed, memory_order_relaxed))
			return;
		p = place_find(line, tag, now);
	}
}

bool rate_table_take(struct rate_table *t, const struct rate_key *key, const struct rate_costs *costs, int64_t now_ms)
{
	const uint32_t *cost = key->v6 ? costs->v6 : costs->v4;
	uint32_t now = (uint32_t)(now_ms / UNIT_MS) & TIME_MASK;
	struct place places[RATE_LEVELS];
	for (unsigned i = 0; i < key->levels; i++) {
		places[i] = place_find(&t->entries[(size_t)key->line[i] * WAYS], key->tag[i], now);
		if (places[i].load + cost[i] > LOAD_FULL)
			return false;
	}
	for (unsigned i = 0; i < key->levels; i++)
		count(&t->entries[(size_t)key->line[i] * WAYS], key->tag[i], cost[i], now, places[i]);
	return true;
}
