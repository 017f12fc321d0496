/* name_index.c - the writer's side of the name index: claims, slots, nodes. Control thread. */
#include "zones/name_index.h"
#include "base/error.h"
#include "base/mem.h"

enum { TABLE_FIRST = 1024 };
#define SLOT_GONE ((uint64_t)UINT32_MAX)

/* The writer's part of a name, beside its node; once the name is gone, its place in the reaper's queue. */
struct name_book {
	union {
		struct {
			struct claim *canonical;
			struct claim *aliases; /* the owner first */
		};
		struct rcu_head reap;
	};
	uint32_t id, next_free;
	struct name_index *index;
};

static struct name_book *book_of(struct name_index *x, uint32_t id)
{
	unsigned chunk = node_chunk_of(id);
	return x->books[chunk] + (id - node_chunk_start(chunk));
}

static struct node *node_of(struct name_index *x, uint32_t id)
{
	return (struct node *)name_node(x, id);
}

static size_t table_size(uint32_t mask)
{
	return sizeof(struct name_table) + ((size_t)mask + 1) * sizeof(uint64_t);
}

static struct name_table *table_new(uint32_t slots)
{
	size_t size = table_size(slots - 1);
	struct name_table *t = size < MEM_HUGE ? mem_zalloc(1, size) : mem_huge(size);
	if (t == NULL)
		return NULL;
	if (size >= MEM_HUGE)
		memset(t, 0, size);
	t->mask = slots - 1;
	return t;
}

static void table_free(void *arg, struct rcu_head *head)
{
	(void)arg;
	mem_free((char *)head - offsetof(struct name_table, reap));
}

int name_index_init(struct name_index *x, struct rcu_reaper *reaper)
{
	memset(x, 0, sizeof(*x));
	struct name_table *t = table_new(TABLE_FIRST);
	if (t == NULL)
		return E_NOMEM;
	atomic_init(&x->table, t);
	x->bytes = table_size(t->mask);
	x->reaper = reaper;
	x->seed[0] = hash_seed();
	x->seed[1] = name_mix(hash_seed() ^ 0x9e3779b97f4a7c15u, 0xd6e8feb86659fd93u) | 1;
	x->nodes_made = 1; /* node 0 is no node */
	return E_OK;
}

static void far_label_free(struct node *n)
{
	if (n->far.len >= NODE_INLINE)
		mem_free(n->far.words);
}

void name_index_done(struct name_index *x)
{
	struct name_table *t = atomic_load(&x->table);
	for (uint32_t i = 0; t != NULL && i <= t->mask; i++) {
		uint32_t id = (uint32_t)atomic_load(&t->slots[i]);
		if (id != 0 && id != UINT32_MAX)
			far_label_free(node_of(x, id));
	}
	mem_free(t);
	for (unsigned i = 0; i < NODE_CHUNKS; i++) {
		mem_free(x->chunks[i]);
		mem_free(x->books[i]);
	}
}

static int chunk_make(struct name_index *x, unsigned chunk)
{
	uint32_t count = node_chunk_start(chunk + 1) - node_chunk_start(chunk);
	size_t size = (size_t)count * sizeof(struct node);
	size_t pages = (size + MEM_HUGE - 1) & ~(size_t)(MEM_HUGE - 1);
	struct node *nodes = chunk == 0 ? mem_aligned(64, size) : mem_huge(pages);
	struct name_book *books = mem_zalloc(count, sizeof(*books));
	if (nodes == NULL || books == NULL) {
		mem_free(nodes);
		mem_free(books);
		return E_NOMEM;
	}
	x->chunks[chunk] = nodes;
	x->books[chunk] = books;
	x->bytes += count * (sizeof(*nodes) + sizeof(*books));
	return E_OK;
}

/* A node that no reader knows; 0: no memory. */
static uint32_t node_take(struct name_index *x)
{
	uint32_t id = x->free_node;
	if (id != 0) {
		x->free_node = book_of(x, id)->next_free;
		return id;
	}
	unsigned chunk = node_chunk_of(x->nodes_made);
	if (chunk >= NODE_CHUNKS || (x->chunks[chunk] == NULL && chunk_make(x, chunk) < 0))
		return 0;
	return x->nodes_made++;
}

static void node_give(struct name_index *x, uint32_t id)
{
	struct name_book *book = book_of(x, id);
	book->next_free = x->free_node;
	x->free_node = id;
}

static void node_free(void *arg, struct rcu_head *head)
{
	struct name_book *book = (void *)((char *)head - offsetof(struct name_book, reap));
	(void)arg;
	far_label_free(node_of(book->index, book->id));
	node_give(book->index, book->id);
}

static int node_fill(struct node *n, uint32_t parent, const struct label_key *k)
{
	memset(n, 0, sizeof(*n));
	n->parent = parent;
	if (k->count <= NODE_INLINE / 8) {
		memcpy(n->label, k->words, 8 * (size_t)k->count);
		return E_OK;
	}
	uint64_t *words = mem_zalloc(LABEL_WORDS, sizeof(*words));
	if (words == NULL)
		return E_NOMEM;
	memcpy(words, k->words, 8 * (size_t)k->count);
	n->far.len = ((const uint8_t *)k->words)[0];
	n->far.words = words;
	return E_OK;
}

static void slot_put(struct name_table *t, uint64_t hash, uint32_t id)
{
	uint64_t at = hash;
	while (atomic_load_explicit(&t->slots[at & t->mask], memory_order_relaxed) != 0)
		at++;
	atomic_store_explicit(&t->slots[at & t->mask], (hash >> 32 << 32) | id, memory_order_release);
}

static void key_of_node(struct label_key *k, const struct node *n)
{
	uint8_t label[LABEL_WORDS * 8 + 8] = { 0 };
	size_t len = (size_t)n->far.len + 1;
	memcpy(label, len > NODE_INLINE ? (const void *)n->far.words : n->label, len);
	label_key_load(k, label);
}

/* Room for one more at a load of at most 0.6. When memory is refused a fuller table does for a while. */
static int table_reserve(struct name_index *x)
{
	struct name_table *old = atomic_load_explicit(&x->table, memory_order_relaxed);
	uint64_t slots = (uint64_t)old->mask + 1;
	if ((uint64_t)x->used * 10 < slots * 6)
		return E_OK;
	uint64_t wanted = (uint64_t)x->nodes * 10 >= slots * 3 ? slots * 2 : slots;
	struct name_table *t = wanted > (uint64_t)1 << 31 ? NULL : table_new((uint32_t)wanted);
	if (t == NULL)
		return (uint64_t)x->used * 10 < slots * 9 ? E_OK : E_NOMEM;
	for (uint64_t i = 0; i < slots; i++) {
		uint32_t id = (uint32_t)atomic_load_explicit(&old->slots[i], memory_order_relaxed);
		if (id == 0 || id == UINT32_MAX)
			continue;
		struct label_key k;
		key_of_node(&k, name_node(x, id));
		slot_put(t, name_hash(x, name_node(x, id)->parent, &k), id);
	}
	x->used = x->nodes;
	x->bytes += table_size(t->mask) - table_size(old->mask);
	rcu_publish(&x->table, t);
	rcu_reaper_add(x->reaper, &old->reap, table_free);
	return E_OK;
}

static uint32_t find_id(struct name_index *x, uint64_t hash, uint32_t parent, const struct label_key *k,
			uint64_t *at)
{
	const struct name_table *t = atomic_load_explicit(&x->table, memory_order_relaxed);
	uint32_t id;
	for (*at = hash; (id = name_next(t, hash, at)) != 0; (*at)++)
		if (node_is(name_node(x, id), parent, k))
			return id;
	return 0;
}

static struct claim *book_owner(const struct name_book *book)
{
	return book->canonical != NULL ? book->canonical : book->aliases;
}

static void node_follow(struct name_index *x, uint32_t id)
{
	struct node *n = node_of(x, id);
	const struct claim *owner = book_owner(book_of(x, id));
	atomic_store_explicit(&n->child, owner->child, memory_order_relaxed);
	rcu_publish(&n->blob, owner->blob);
}

static bool older(const struct claim *a, const struct claim *b)
{
	return a->created != b->created ? a->created < b->created : a->tie < b->tie;
}

static void alias_insert(struct name_book *book, struct claim *c)
{
	struct claim **at = &book->aliases;
	while (*at != NULL && older(*at, c))
		at = &(*at)->next;
	c->next = *at;
	*at = c;
}

static void alias_remove(struct name_book *book, const struct claim *c)
{
	struct claim **at = &book->aliases;
	while (*at != c)
		at = &(*at)->next;
	*at = c->next;
}

static int book_enter(struct name_index *x, struct name_book *book, struct claim *c)
{
	if (c->canonical && book->canonical != NULL)
		return E_EXISTS;
	if (book_owner(book) != NULL && (!c->canonical || book->aliases != NULL))
		x->conflicts++; /* one more alias that does not own its name */
	if (c->canonical) {
		book->canonical = c;
		return E_OK;
	}
	alias_insert(book, c);
	return E_OK;
}

static int name_make(struct name_index *x, struct claim *c, uint32_t parent, const struct label_key *k,
		     uint64_t hash)
{
	uint32_t id;
	if (table_reserve(x) < 0 || (id = node_take(x)) == 0)
		return E_NOMEM;
	if (node_fill(node_of(x, id), parent, k) < 0) {
		node_give(x, id);
		return E_NOMEM;
	}
	struct name_book *book = book_of(x, id);
	*book = (struct name_book){ .id = id, .index = x };
	book_enter(x, book, c);
	c->node = id;
	node_follow(x, id);
	slot_put(atomic_load_explicit(&x->table, memory_order_relaxed), hash, id);
	x->nodes++;
	x->used++;
	return E_OK;
}

int name_claim(struct name_index *x, struct claim *c, uint32_t parent, const uint8_t *label)
{
	uint8_t padded[LABEL_WORDS * 8 + 8] = { 0 };
	struct label_key k;
	uint64_t at;
	memcpy(padded, label, (size_t)label[0] + 1);
	label_key_load(&k, padded);
	uint64_t hash = name_hash(x, parent, &k);
	uint32_t id = find_id(x, hash, parent, &k, &at);
	c->next = NULL;
	if (id == 0)
		return name_make(x, c, parent, &k, hash);
	int rc = book_enter(x, book_of(x, id), c);
	if (rc < 0)
		return rc;
	c->node = id;
	node_follow(x, id);
	return E_OK;
}

static void name_drop(struct name_index *x, uint32_t id)
{
	struct name_table *t = atomic_load_explicit(&x->table, memory_order_relaxed);
	struct name_book *book = book_of(x, id);
	struct label_key k;
	key_of_node(&k, name_node(x, id));
	uint64_t hash = name_hash(x, name_node(x, id)->parent, &k), at = hash;
	while ((uint32_t)atomic_load_explicit(&t->slots[at & t->mask], memory_order_relaxed) != id)
		at++;
	atomic_store_explicit(&t->slots[at & t->mask], SLOT_GONE, memory_order_release);
	x->nodes--;
	rcu_reaper_add(x->reaper, &book->reap, node_free);
}

void name_release(struct name_index *x, struct claim *c)
{
	uint32_t id = c->node;
	if (id == 0)
		return;
	struct name_book *book = book_of(x, id);
	c->node = 0;
	bool waiting = book->canonical != NULL ? book->aliases != NULL
					       : book->aliases->next != NULL;
	if (waiting)
		x->conflicts--;
	if (book->canonical == c)
		book->canonical = NULL;
	else
		alias_remove(book, c);
	if (book_owner(book) == NULL)
		name_drop(x, id);
	else
		node_follow(x, id);
}

void name_age(struct name_index *x, struct claim *c, uint64_t created)
{
	c->created = created & CLAIM_CREATED;
	if (c->node == 0 || c->canonical)
		return;
	struct name_book *book = book_of(x, c->node);
	alias_remove(book, c);
	alias_insert(book, c);
	node_follow(x, c->node);
}

void name_show(struct name_index *x, struct claim *c, struct blob *blob)
{
	c->blob = blob;
	if (c->node != 0 && book_owner(book_of(x, c->node)) == c)
		node_follow(x, c->node);
}
