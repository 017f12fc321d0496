/* address_tree.h - addresses of one family, to be asked whether any begins with some bits: a binary radix tree with its
 * chains cut short, of two small nodes for each address. One writer (the control thread), readers inside RCU sections. */
#ifndef ZONES_ADDRESS_TREE_H
#define ZONES_ADDRESS_TREE_H

#include "base/rcu.h"
#include <stdint.h>

struct tree_node;
struct address_tree {
	_Atomic(struct tree_node *) root;
	/* the writer's */
	struct rcu_reaper *reaper;
	struct tree_node *spare; /* prepared by address_tree_reserve() */
	uint32_t spares;
	uint64_t live; /* addresses */
};

void address_tree_init(struct address_tree *t, struct rcu_reaper *reaper);
void address_tree_done(struct address_tree *t); /* no reader is left */
/* Room for so many more, so that address_tree_add() cannot fail. E_NOMEM. */
int address_tree_reserve(struct address_tree *t, uint32_t more);
/* @addr: 16 octets, of an IPv4 address the first four and zeros. One added twice is dropped twice. */
void address_tree_add(struct address_tree *t, const uint8_t addr[16]);
void address_tree_drop(struct address_tree *t, const uint8_t addr[16]); /* it is there */
/* Readers: does any begin with the first @bits bits of @addr? */
bool address_tree_has(const struct address_tree *t, const uint8_t addr[16], unsigned bits);

#endif
