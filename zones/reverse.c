/* reverse.c - see reverse.h; and the walk in a reverse zone. */
#include "zones/reverse.h"
#include "zones/zone.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- names */

/* The first @bits bits of @addr as labels, the last one first, and the zone above them all. */
static void name_write(char to[REVERSE_NAME_MAX], bool v4, const uint8_t *addr, unsigned bits)
{
	for (unsigned n = bits / (v4 ? 8 : 4); n > 0; n--)
		to += v4 ? sprintf(to, "%u.", addr[n - 1])
			 : sprintf(to, "%x.", n % 2 == 1 ? addr[n / 2] >> 4 : addr[n / 2 - 1] & 15);
	strcpy(to, v4 ? "in-addr.arpa" : "ip6.arpa");
}

int reverse_zone_name(char to[REVERSE_NAME_MAX], const struct cidr *prefix, struct error *err)
{
	bool v4 = prefix->family == AF_INET;
	unsigned step = v4 ? 8 : 4, most = v4 ? 24 : 124;
	if (prefix->bits % step != 0 || prefix->bits > most)
		return error_set(err, E_RANGE, "a prefix of %u bits is no zone: %s", prefix->bits,
				 v4 ? "write /0, /8, /16 or /24 (whole octets)"
				    : "write a multiple of 4 (whole nibbles), /124 at most");
	name_write(to, v4, prefix->addr, prefix->bits);
	return E_OK;
}

void reverse_name(char to[REVERSE_NAME_MAX], int family, const uint8_t *addr)
{
	name_write(to, family == 4, addr, family == 4 ? 32 : 128);
}

/* The labels of @name, from the right: octets or nibbles. */
int reverse_zone_prefix(struct cidr *ret, const char *name, struct error *err)
{
	static const char v4[] = "in-addr.arpa", v6[] = "ip6.arpa";
	size_t len = strlen(name), end = len >= sizeof(v4) - 1 && strcmp(name + len - (sizeof(v4) - 1), v4) == 0 ? sizeof(v4) - 1
					 : len >= sizeof(v6) - 1 && strcmp(name + len - (sizeof(v6) - 1), v6) == 0 ? sizeof(v6) - 1
														     : 0;
	bool four = end == sizeof(v4) - 1;
	char same[REVERSE_NAME_MAX];
	struct cidr c = { .family = four ? AF_INET : AF_INET6 };
	const char *at = name + len - end;
	while (end > 0 && at > name && c.bits < (four ? 24 : 124)) {
		char *stop;
		const char *label = --at;
		while (label > name && label[-1] != '.')
			label--;
		unsigned long v = strtoul(label, &stop, four ? 10 : 16);
		if (stop != at || v > (four ? 255 : 15))
			break;
		c.addr[c.bits / 8] = (uint8_t)(c.addr[c.bits / 8] | (four || c.bits % 8 == 4 ? v : v << 4));
		c.bits = (uint8_t)(c.bits + (four ? 8 : 4));
		at = label;
	}
	if (end == 0 || reverse_zone_name(same, &c, NULL) < 0 || strcmp(same, name) != 0)
		return error_set(err, E_INVALID, "%.100s is no name of a reverse zone: write one such as 10.in-addr.arpa", name);
	*ret = c;
	return E_OK;
}

/* ---- the control thread's */

void reverse_init(struct reverse *r, struct cidr *prefixes, struct reverse_view *views, struct rcu_reaper *reaper)
{
	*r = (struct reverse){ .prefixes = prefixes, .views = views, .reaper = reaper };
}

void reverse_add_prefix(struct reverse *r, const struct cidr *prefix)
{
	r->prefixes[r->count++] = *prefix;
}

unsigned reverse_view_of(struct reverse *r, const struct zone *z)
{
	for (size_t i = 0; i < r->view_count; i++)
		if (zone_same_clients(r->views[i].zone, z))
			return (unsigned)i;
	struct reverse_view *v = &r->views[r->view_count];
	v->zone = z;
	address_tree_init(&v->v4, r->reaper);
	address_tree_init(&v->v6, r->reaper);
	return (unsigned)r->view_count++;
}

void reverse_done(struct reverse *r)
{
	for (size_t i = 0; i < r->view_count; i++) {
		address_tree_done(&r->views[i].v4);
		address_tree_done(&r->views[i].v6);
	}
}

bool reverse_begins(const struct cidr *c, int family, const uint8_t *addr)
{
	unsigned whole = c->bits / 8, rest = c->bits % 8;
	if (c->family != (family == 4 ? AF_INET : AF_INET6) || memcmp(c->addr, addr, whole) != 0)
		return false;
	return rest == 0 || (c->addr[whole] ^ addr[whole]) >> (8 - rest) == 0;
}

bool reverse_covers(const struct reverse *r, int family, const uint8_t *addr)
{
	for (size_t i = 0; i < r->count; i++)
		if (reverse_begins(&r->prefixes[i], family, addr))
			return true;
	return false;
}

int reverse_reserve(struct reverse *r, uint32_t v4, uint32_t v6)
{
	for (size_t i = 0; i < r->view_count && r->count > 0; i++)
		if (address_tree_reserve(&r->views[i].v4, v4) < 0 || address_tree_reserve(&r->views[i].v6, v6) < 0)
			return E_NOMEM;
	return E_OK;
}

static struct address_tree *tree_of(struct reverse_view *v, int family, const uint8_t *addr, uint8_t key[16])
{
	memset(key, 0, 16);
	memcpy(key, addr, family == 4 ? 4 : 16);
	return family == 4 ? &v->v4 : &v->v6;
}

void reverse_add(struct reverse *r, const struct reverse_views *views, int family, const uint8_t *addr)
{
	uint8_t key[16];
	if (!reverse_covers(r, family, addr))
		return;
	for (size_t i = 0; i < views->count; i++)
		address_tree_add(tree_of(&r->views[views->at[i]], family, addr, key), key);
}

void reverse_drop(struct reverse *r, const struct reverse_views *views, int family, const uint8_t *addr)
{
	uint8_t key[16];
	if (!reverse_covers(r, family, addr))
		return;
	for (size_t i = 0; i < views->count; i++)
		address_tree_drop(tree_of(&r->views[views->at[i]], family, addr, key), key);
}

/* ---- readers */

/* The octet or nibble of a label in the one form that it has; -1: it is none. */
static int label_value(const uint8_t *label, bool v4)
{
	int v = 0;
	if (label[0] < 1 || label[0] > (v4 ? 3 : 1) || (label[0] > 1 && label[1] == '0'))
		return -1;
	for (unsigned i = 1; i <= label[0]; i++) {
		int digit = label[i] >= '0' && label[i] <= '9' ? label[i] - '0'
			    : !v4 && label[i] >= 'a' && label[i] <= 'f' ? label[i] - 'a' + 10
									: -1;
		if (digit < 0)
			return -1;
		v = v * (v4 ? 10 : 16) + digit;
	}
	return v > 255 ? -1 : v;
}

/* May the client ask such zones there? */
static bool may_see(const struct zone *z, const struct dns_query *q)
{
	return zone_is_at(z, q->at) && zone_allows(z, q);
}

/* The zone whose name for the address the answer gives: the first of the settings that shows it to the client. */
static const struct zone *forward_zone(const struct zone_set *zs, const struct dns_query *q, int family, const uint8_t *addr)
{
	for (size_t i = 0; i < zs->forward_count; i++)
		if (host_table_has(&zs->forward[i]->export->hosts, family, addr) && may_see(zs->forward[i], q))
			return zs->forward[i];
	return NULL;
}

/* Does an address that the client may see begin with these bits? */
static bool any_below(const struct zone_set *zs, const struct dns_query *q, const struct target *t, unsigned bits)
{
	for (size_t i = 0; i < zs->reverse.view_count; i++) {
		const struct reverse_view *v = &zs->reverse.views[i];
		if (address_tree_has(t->family == 4 ? &v->v4 : &v->v6, t->addr, bits) && may_see(v->zone, q))
			return true;
	}
	return false;
}

void walk_reverse(const struct zone_set *zs, const struct dns_query *q, struct target *t)
{
	const struct zone *z = q->zone;
	bool v4 = z->prefix.family == AF_INET;
	unsigned bits = z->prefix.bits, step = v4 ? 8 : 4, all = v4 ? 32 : 128;
	memset(t->addr, 0, sizeof(t->addr));
	memcpy(t->addr, z->prefix.addr, v4 ? 4 : 16);
	for (unsigned left = (unsigned)(q->labels - z->labels); left > 0; left--, bits += step) {
		int v = bits == all ? -1 : label_value(q->name + q->label_at[left - 1], v4);
		if (v < 0)
			return;
		t->addr[bits / 8] = (uint8_t)(t->addr[bits / 8] | (v4 || bits % 8 == 4 ? v : v << 4));
	}
	t->family = v4 ? 4 : 6;
	if (bits < all)
		t->kind = any_below(zs, q, t, bits) ? TARGET_EMPTY : TARGET_ABSENT;
	else if ((t->forward = forward_zone(zs, q, t->family, t->addr)) != NULL)
		t->kind = TARGET_POINTER;
}
