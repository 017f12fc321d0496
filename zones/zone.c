/* zone.c - one zone's settings in wire form, and serial arithmetic. Control thread. */
#include "zones/static_zone.h"
#include "zones/zone.h"
#include "base/mem.h"
#include <stdio.h>

bool serial_after(uint32_t a, uint32_t b)
{
	return (int32_t)(a - b) > 0;
}

uint32_t serial_next(uint32_t last, int64_t wall_ms)
{
	uint32_t now = (uint32_t)(wall_ms / 1000);
	return serial_after(now, last + 1) ? now : last + 1;
}

int wire_parse(uint8_t *ret, size_t cap, const char *text)
{
	size_t at = 0;
	while (*text != '\0') {
		size_t n = strcspn(text, ".");
		if (n < 1 || n > 63 || at + n + 2 > cap)
			return E_RANGE;
		ret[at++] = (uint8_t)n;
		for (size_t i = 0; i < n; i++) {
			uint8_t c = (uint8_t)text[i];
			if (c <= ' ' || c == '\\' || c >= 0x7f)
				return E_RANGE;
			ret[at++] = c >= 'A' && c <= 'Z' ? (uint8_t)(c + ('a' - 'A')) : c;
		}
		text += n;
		text += *text == '.';
	}
	if (at == 0)
		return E_RANGE; /* the root */
	ret[at++] = 0;
	return (int)at;
}

bool zones_hold_name(const struct zone_set *zs, const uint8_t *wire, size_t len)
{
	for (size_t at = 0; wire[at] != 0; at += 1u + wire[at])
		for (size_t i = 0; i < zs->zone_count; i++)
			if (zs->zones[i].len == len - at && memcmp(zs->zones[i].name, wire + at, len - at) == 0)
				return true;
	return false;
}

/* A name of the SOA; what lies inside the zone is kept without the zone's part. */
static int soa_name(const struct zone *z, const char *given, const char *label, uint8_t *ret, uint8_t *ret_len,
		    bool *inside, struct error *err)
{
	char text[DNS_NAME_MAX + 32];
	snprintf(text, sizeof(text), "%s.%s", label, z->text);
	int len = wire_parse(ret, DNS_NAME_MAX, given != NULL ? given : text);
	if (len < 0)
		return error_set(err, E_RANGE, "zone %s: \"%s\" is no name", z->text, given);
	*inside = false;
	for (size_t at = 0; ret[at] != 0 && !*inside; at += 1u + ret[at]) {
		if ((size_t)len - at == z->len && memcmp(ret + at, z->name, z->len) == 0) {
			len = (int)at;
			*inside = true;
			break;
		}
	}
	*ret_len = (uint8_t)len;
	return E_OK;
}

static char *text_of(const char *name)
{
	size_t n = strlen(name);
	return mem_memdup0(name, n > 1 && name[n - 1] == '.' ? n - 1 : n);
}

static int ranges_copy(struct cidr_list *ret, const struct cidr_list *from)
{
	if (from->count == 0)
		return E_OK;
	ret->at = mem_alloc(from->count * sizeof(*ret->at));
	if (ret->at == NULL)
		return E_NOMEM;
	memcpy(ret->at, from->at, from->count * sizeof(*ret->at));
	ret->count = from->count;
	return E_OK;
}

static int places_copy(struct zone *z, const struct zone_conf *conf)
{
	if (conf->listen.count == 0)
		return E_OK;
	z->places = mem_zalloc(conf->listen.count, sizeof(*z->places));
	if (z->places == NULL)
		return E_NOMEM;
	for (; z->place_count < conf->listen.count; z->place_count++)
		dns_place_of(&z->places[z->place_count], &conf->listen.at[z->place_count]);
	return E_OK;
}

bool zone_is_at(const struct zone *z, const struct dns_place *at)
{
	for (size_t i = 0; i < z->place_count; i++)
		if (at != NULL && dns_place_equal(&z->places[i], at))
			return true;
	return z->places == NULL;
}

bool zone_is_wherever(const struct zone *z, const struct zone *other)
{
	for (size_t i = 0; i < other->place_count; i++)
		if (!zone_is_at(z, &other->places[i]))
			return false;
	return z->places == NULL || other->places != NULL;
}

bool zone_allows_address(const struct zone *z, const uint8_t *from, unsigned len)
{
	const struct cidr_list *l = &z->query_allow;
	for (size_t i = 0; i < l->count; i++)
		if (from != NULL && cidr_match_address(&l->at[i], len == 4 ? AF_INET : AF_INET6, from))
			return true;
	return l->count == 0;
}

bool zone_allows(const struct zone *z, const struct dns_query *q)
{
	return zone_allows_address(z, q->from, q->from_len);
}

bool zone_same_clients(const struct zone *a, const struct zone *b)
{
	const struct cidr_list *x = &a->query_allow, *y = &b->query_allow;
	if (a->place_count != b->place_count || x->count != y->count)
		return false;
	for (size_t i = 0; i < a->place_count; i++)
		if (!dns_place_equal(&a->places[i], &b->places[i]))
			return false;
	for (size_t i = 0; i < x->count; i++)
		if (x->at[i].family != y->at[i].family || x->at[i].bits != y->at[i].bits ||
		    memcmp(x->at[i].addr, y->at[i].addr, sizeof(x->at[i].addr)) != 0)
			return false;
	return true;
}

int zone_init(struct zone *z, const struct zone_conf *conf, struct error *err)
{
	uint8_t wire[DNS_NAME_MAX];
	int len = wire_parse(wire, sizeof(wire), conf->name);
	if (len < 0)
		return error_set(err, E_RANGE, "zone \"%s\" is no name", conf->name);
	if (len > ZONE_WIRE_MAX)
		return error_set(err, E_RANGE, "zone %s takes %d octets on the wire; %d is the most",
				 conf->name, len, ZONE_WIRE_MAX);
	memcpy(z->name, wire, (size_t)len);
	z->len = (uint8_t)len;
	for (int at = 0; wire[at] != 0; at += 1 + wire[at])
		z->labels++;
	z->layout = conf->layout;
	z->text = text_of(conf->name);
	if (z->text == NULL || ranges_copy(&z->transfer_allow, &conf->transfer_allow) < 0 ||
	    ranges_copy(&z->query_allow, &conf->query_allow) < 0 || places_copy(z, conf) < 0)
		return error_set(err, E_NOMEM, "zone %s: no memory", conf->name);
	int rc = soa_name(z, conf->mname, "ns1", z->mname, &z->mname_len, &z->mname_inside, err);
	if (rc < 0)
		return rc;
	/* one label in front of the zone: that name is ours, with our addresses */
	z->mname_child = z->mname_inside && z->mname_len > 0 && z->mname_len == z->mname[0] + 1;
	return soa_name(z, conf->rname, "hostmaster", z->rname, &z->rname_len, &z->rname_inside, err);
}

void zone_done(struct zone *z)
{
	struct static_zone *file = atomic_load_explicit(&z->file, memory_order_relaxed);
	if (file != NULL)
		static_unref(file);
	mem_free(z->transfer_allow.at);
	mem_free(z->query_allow.at);
	mem_free(z->places);
	mem_free(z->text);
}
