/* name_index.h - (parent, label) -> what stands there. One writer (the control thread), many readers inside RCU
 * sections. A name is a node of one cache line; the index over them holds 8-byte slots of {tag, node}. Labels are
 * in wire form (length octet first), folded. A canonical label beats the raw aliases of others; among aliases the
 * oldest creation owns the name (dns.md 1.5). */
#ifndef ZONES_NAME_INDEX_H
#define ZONES_NAME_INDEX_H

#include "base/hash.h"
#include "base/rcu.h"
#include <stdint.h>
#include <string.h>

struct blob;

/* Node ids are dealt to chunks that grow eightfold: 7 FIRST, 56 FIRST (1.75 MiB), 448 FIRST (14 MiB)... */
enum { NODE_INLINE = 48, NODE_CHUNKS = 7, NODE_CHUNK_FIRST = 512, LABEL_WORDS = 8 };

/* Readers' part of a name. */
struct node {
	_Atomic(struct blob *) blob; /* what it answers; NULL: nothing but what stands below */
	_Atomic uint32_t child;	     /* the parent number of names below it */
	uint32_t parent;
	union {
		uint8_t label[NODE_INLINE]; /* wire form, padded with zeros */
		struct {
			uint8_t len, pad[7];
			uint64_t *words; /* LABEL_WORDS of them, when the wire form is longer than NODE_INLINE */
		} far;
	};
};

/* One object's wish to stand at one name. Lies in its owner; the fields are the index's after name_claim(). */
struct claim {
	struct claim *next;
	struct blob *blob;
	uint32_t child;
	uint32_t node;	  /* 0: stands nowhere */
	uint64_t created : 63; /* lower owns an alias; then the lower @tie */
	uint64_t canonical : 1; /* there are three claims in every service */
	uint64_t tie;
};
#define CLAIM_CREATED (((uint64_t)1 << 63) - 1) /* the largest revision there is */

struct name_table {
	struct rcu_head reap;
	uint32_t mask;
	_Atomic uint64_t slots[];
};

struct name_book;
struct name_index {
	_Atomic(struct name_table *) table;
	struct node *chunks[NODE_CHUNKS];
	uint64_t seed[2];
	/* the writer's */
	struct name_book *books[NODE_CHUNKS];
	uint32_t nodes_made, free_node, nodes, used; /* used: slots not empty */
	struct rcu_reaper *reaper;
	uint64_t conflicts; /* aliases that wait behind an older one or a canonical label */
	size_t bytes;
};

int name_index_init(struct name_index *x, struct rcu_reaper *reaper);
void name_index_done(struct name_index *x); /* no reader is left, nothing in the reaper */

/* @c->canonical, created, tie, blob and child are set. E_NOMEM; E_EXISTS: two canonical owners. */
int name_claim(struct name_index *x, struct claim *c, uint32_t parent, const uint8_t *label);
void name_release(struct name_index *x, struct claim *c); /* fine when it stands nowhere */
/* It is older than was known: an alias may come into its own. */
void name_age(struct name_index *x, struct claim *c, uint64_t created);
void name_show(struct name_index *x, struct claim *c, struct blob *blob);

/* ---- readers; inline, since they are the hot path */

/* A label as zero-padded words. */
struct label_key {
	uint64_t words[LABEL_WORDS];
	unsigned count;
};

/* @len octets and the one before them, at @at, with at least 8 readable bytes behind. */
static inline void label_key_fill(struct label_key *k, const uint8_t *at, unsigned len)
{
	unsigned full = (1 + len) / 8, rest = (1 + len) % 8;
	uint64_t last;
	for (unsigned i = 0; i < full; i++)
		memcpy(&k->words[i], at + 8 * (size_t)i, 8);
	k->count = full;
	if (rest > 0) {
		memcpy(&last, at + 8 * (size_t)full, 8);
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
		k->words[full] = last & (UINT64_MAX >> (64 - 8 * rest));
#else
		k->words[full] = last & (UINT64_MAX << (64 - 8 * rest));
#endif
		k->count++;
	}
}

/* @label: wire form with at least 8 readable bytes behind its end. */
static inline void label_key_load(struct label_key *k, const uint8_t *label)
{
	label_key_fill(k, label, label[0]);
}

/* The key of "x" for the label "_x": the length stands where the underscore does. */
static inline void label_key_load_behind(struct label_key *k, const uint8_t *label)
{
	const unsigned first = __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? 0 : 56;
	unsigned len = label[0] - 1u;
	k->words[0] = 0; /* for the compiler: there is a first word */
	label_key_fill(k, label + 1, len);
	k->words[0] ^= (uint64_t)(len ^ label[1]) << first;
}

static inline uint64_t name_mix(uint64_t a, uint64_t b)
{
	__uint128_t p = (__uint128_t)a * b;
	return (uint64_t)p ^ (uint64_t)(p >> 64);
}

static inline uint64_t name_hash(const struct name_index *x, uint32_t parent, const struct label_key *k)
{
	uint64_t h = x->seed[0] ^ parent;
	for (unsigned i = 0; i < k->count; i++)
		h = name_mix(h ^ k->words[i], x->seed[1] ^ ((uint64_t)i << 32));
	return name_mix(h ^ x->seed[1], x->seed[0] | 1);
}

static inline unsigned node_chunk_of(uint32_t id)
{
	return (31u - (unsigned)__builtin_clz(id / NODE_CHUNK_FIRST + 1)) / 3;
}

static inline uint32_t node_chunk_start(unsigned chunk)
{
	return NODE_CHUNK_FIRST * ((1u << 3 * chunk) - 1);
}

static inline const struct node *name_node(const struct name_index *x, uint32_t id)
{
	unsigned chunk = node_chunk_of(id);
	return x->chunks[chunk] + (id - node_chunk_start(chunk));
}

static inline void name_prefetch(const struct name_index *x, uint64_t hash)
{
	const struct name_table *t = rcu_read(&((struct name_index *)x)->table);
	__builtin_prefetch((const void *)&t->slots[hash & t->mask]);
}

static inline bool node_is(const struct node *n, uint32_t parent, const struct label_key *k)
{
	const uint64_t *words = (const uint64_t *)(const void *)n->label;
	if (k->count > NODE_INLINE / 8) {
		if (n->far.len != *(const uint8_t *)k->words)
			return false;
		words = n->far.words;
	}
	uint64_t differ = n->parent ^ parent;
	for (unsigned i = 0; i < k->count; i++)
		differ |= words[i] ^ k->words[i];
	return differ == 0;
}

/* Node id of the next slot with this tag at or after @*at (start: hash), 0: none. */
static inline uint32_t name_next(const struct name_table *t, uint64_t hash, uint64_t *at)
{
	for (;; (*at)++) {
		uint64_t slot = atomic_load_explicit(&t->slots[*at & t->mask], memory_order_acquire);
		if (slot == 0)
			return 0;
		if (slot >> 32 == hash >> 32 && (uint32_t)slot != UINT32_MAX)
			return (uint32_t)slot;
	}
}

static inline const struct node *name_find(const struct name_index *x, uint64_t hash, uint32_t parent,
					   const struct label_key *k)
{
	const struct name_table *t = rcu_read(&((struct name_index *)x)->table);
	uint64_t at = hash;
	for (uint32_t id; (id = name_next(t, hash, &at)) != 0; at++) {
		const struct node *n = name_node(x, id);
		if (node_is(n, parent, k))
			return n;
	}
	return NULL;
}

/* The first candidate only, unverified: for prefetching its node. */
static inline const struct node *name_guess(const struct name_index *x, uint64_t hash)
{
	const struct name_table *t = rcu_read(&((struct name_index *)x)->table);
	uint64_t at = hash;
	uint32_t id = name_next(t, hash, &at);
	return id == 0 ? NULL : name_node(x, id);
}

static inline const struct node *name_lookup(const struct name_index *x, uint32_t parent, const uint8_t *label)
{
	struct label_key k;
	label_key_load(&k, label);
	return name_find(x, name_hash(x, parent, &k), parent, &k);
}

/* The parent number of what stands below the name; 0: there is no such name, or nothing can stand there. */
static inline uint32_t name_child(const struct name_index *x, uint32_t parent, const uint8_t *label)
{
	const struct node *n = name_lookup(x, parent, label);
	return n == NULL ? 0 : atomic_load_explicit(&((struct node *)n)->child, memory_order_relaxed);
}

#endif
