/* address_tree.c - see address_tree.h. An inner node tells at which bit the addresses below it part for the first time;
 * it always has two children. One pointer is written to add or to take away, so a reader sees all of it or nothing. */
#include "zones/address_tree.h"
#include "base/error.h"
#include "base/mem.h"
#include <string.h>

struct tree_node {
	struct rcu_head reap;
	uint8_t bit; /* of an inner node; LEAF */
	uint32_t count; /* of a leaf: how often it was added */
	union {
		_Atomic(struct tree_node *) child[2];
		uint8_t addr[16];
	};
};

enum { LEAF = 255 };

static unsigned bit_of(const uint8_t addr[16], unsigned bit)
{
	return addr[bit / 8] >> (7 - bit % 8) & 1u;
}

/* The first bit in which they differ; 128: none. */
static unsigned first_difference(const uint8_t a[16], const uint8_t b[16])
{
	for (unsigned i = 0; i < 16; i++)
		if (a[i] != b[i])
			return 8 * i + (unsigned)__builtin_clz((unsigned)(a[i] ^ b[i])) - 24;
	return 128;
}

void address_tree_init(struct address_tree *t, struct rcu_reaper *reaper)
{
	memset(t, 0, sizeof(*t));
	t->reaper = reaper;
}

static void subtree_free(struct tree_node *n)
{
	if (n == NULL)
		return;
	if (n->bit != LEAF) { /* 128 levels at most */
		subtree_free(atomic_load(&n->child[0]));
		subtree_free(atomic_load(&n->child[1]));
	}
	mem_free(n);
}

static struct tree_node *spare_take(struct address_tree *t)
{
	struct tree_node *n = t->spare;
	t->spare = atomic_load_explicit(&n->child[0], memory_order_relaxed);
	t->spares--;
	return n;
}

void address_tree_done(struct address_tree *t)
{
	subtree_free(atomic_load(&t->root));
	while (t->spares > 0)
		mem_free(spare_take(t));
}

int address_tree_reserve(struct address_tree *t, uint32_t more)
{
	while (t->spares < 2 * more) {
		struct tree_node *n = mem_zalloc(1, sizeof(*n));
		if (n == NULL)
			return E_NOMEM;
		atomic_init(&n->child[0], t->spare);
		t->spare = n;
		t->spares++;
	}
	return E_OK;
}

static struct tree_node *leaf_make(struct address_tree *t, const uint8_t addr[16])
{
	struct tree_node *n = spare_take(t);
	n->bit = LEAF;
	n->count = 1;
	memcpy(n->addr, addr, 16);
	t->live++;
	return n;
}

static struct tree_node *child_towards(struct tree_node *n, const uint8_t addr[16])
{
	return atomic_load_explicit(&n->child[bit_of(addr, n->bit)], memory_order_consume);
}

/* The leaf that a walk for @addr ends at; the tree is not empty. */
static struct tree_node *leaf_towards(struct tree_node *n, const uint8_t addr[16])
{
	while (n->bit != LEAF)
		n = child_towards(n, addr);
	return n;
}

void address_tree_add(struct address_tree *t, const uint8_t addr[16])
{
	struct tree_node *n = atomic_load_explicit(&t->root, memory_order_relaxed);
	_Atomic(struct tree_node *) *at = &t->root;
	if (n == NULL) {
		rcu_publish(at, leaf_make(t, addr));
		return;
	}
	struct tree_node *near = leaf_towards(n, addr);
	unsigned bit = first_difference(near->addr, addr);
	if (bit == 128) {
		near->count++;
		return;
	}
	while (n->bit < bit) { /* a leaf's is above all */
		at = &n->child[bit_of(addr, n->bit)];
		n = atomic_load_explicit(at, memory_order_relaxed);
	}
	struct tree_node *inner = spare_take(t);
	inner->bit = (uint8_t)bit;
	atomic_init(&inner->child[bit_of(addr, bit)], leaf_make(t, addr));
	atomic_init(&inner->child[!bit_of(addr, bit)], n);
	rcu_publish(at, inner);
}

static void node_free(void *arg, struct rcu_head *head)
{
	(void)arg;
	mem_free((char *)head - offsetof(struct tree_node, reap));
}

void address_tree_drop(struct address_tree *t, const uint8_t addr[16])
{
	_Atomic(struct tree_node *) *at = &t->root, *above = NULL;
	struct tree_node *n = atomic_load_explicit(at, memory_order_relaxed), *parent = NULL;
	while (n->bit != LEAF) {
		above = at;
		parent = n;
		at = &n->child[bit_of(addr, n->bit)];
		n = atomic_load_explicit(at, memory_order_relaxed);
	}
	if (--n->count > 0)
		return;
	t->live--;
	if (parent == NULL) {
		rcu_publish(&t->root, NULL);
	} else {
		rcu_publish(above, atomic_load_explicit(&parent->child[!bit_of(addr, parent->bit)], memory_order_relaxed));
		rcu_reaper_add(t->reaper, &parent->reap, node_free);
	}
	rcu_reaper_add(t->reaper, &n->reap, node_free);
}

bool address_tree_has(const struct address_tree *t, const uint8_t addr[16], unsigned bits)
{
	struct tree_node *n = rcu_read(&((struct address_tree *)t)->root);
	if (n == NULL)
		return false;
	/* where no bit of ours decides any way will do: all that is below begins alike */
	while (n->bit != LEAF)
		n = n->bit < bits ? child_towards(n, addr) : atomic_load_explicit(&n->child[0], memory_order_consume);
	return first_difference(n->addr, addr) >= bits;
}
