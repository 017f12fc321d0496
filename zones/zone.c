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

static const struct zone_access anywhere; /* and everybody may ask */

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

static int places_room(struct zone_access *a, size_t count)
{
	a->places = count == 0 ? NULL : mem_zalloc(count, sizeof(*a->places));
	if (count > 0 && a->places == NULL)
		return E_NOMEM;
	a->place_count = count;
	return E_OK;
}

static int places_copy(struct zone_access *a, const struct zone_conf *conf)
{
	int rc = places_room(a, conf->listen.count);
	for (size_t i = 0; i < a->place_count; i++)
		dns_place_of(&a->places[i], &conf->listen.at[i]);
	return rc;
}

static int places_keep(struct zone_access *a, const struct zone_access *was)
{
	int rc = places_room(a, was->place_count);
	if (a->place_count > 0)
		memcpy(a->places, was->places, a->place_count * sizeof(a->places[0]));
	return rc;
}

static void access_free(struct zone_access *a)
{
	mem_free(a->transfer.at);
	mem_free(a->query.at);
	mem_free(a->places);
	mem_free(a);
}

static bool ranges_same(const struct cidr_list *a, const struct cidr_list *b)
{
	return a->count == b->count && (a->count == 0 || memcmp(a->at, b->at, a->count * sizeof(a->at[0])) == 0);
}

static bool places_same(const struct zone_access *a, const struct zone_access *b)
{
	return a->place_count == b->place_count &&
	       (a->place_count == 0 || memcmp(a->places, b->places, a->place_count * sizeof(a->places[0])) == 0);
}

static bool access_same(const struct zone_access *a, const struct zone_access *b)
{
	return ranges_same(&a->transfer, &b->transfer) && ranges_same(&a->query, &b->query) && places_same(a, b);
}

int zone_access_set(struct zone *z, const struct zone_conf *conf, bool whole)
{
	struct zone_access *was = atomic_load_explicit(&z->access, memory_order_relaxed);
	struct zone_access *a = mem_zalloc(1, sizeof(*a));
	if (a == NULL)
		return E_NOMEM;
	if (ranges_copy(&a->transfer, &conf->transfer_allow) < 0 ||
	    (whole ? ranges_copy(&a->query, &conf->query_allow) < 0 || places_copy(a, conf) < 0
		   : was != NULL && (ranges_copy(&a->query, &was->query) < 0 || places_keep(a, was) < 0))) {
		access_free(a);
		return E_NOMEM;
	}
	if (access_same(a, was == NULL ? &anywhere : was)) {
		access_free(a);
		return E_OK;
	}
	a->before = was;
	atomic_store_explicit(&z->access, a, memory_order_release);
	return E_OK;
}

static bool is_among(const struct zone_access *a, const struct dns_place *at)
{
	for (size_t i = 0; i < a->place_count; i++)
		if (at != NULL && dns_place_equal(&a->places[i], at))
			return true;
	return a->places == NULL;
}

bool zone_is_at(const struct zone *z, const struct dns_place *at)
{
	const struct zone_access *a = zone_access(z);
	return a == NULL || is_among(a, at);
}

bool zone_is_wherever(const struct zone *z, const struct zone *other)
{
	const struct zone_access *a = zone_access(z), *o = zone_access(other);
	if (a == NULL || a->places == NULL)
		return true;
	for (size_t i = 0; o != NULL && i < o->place_count; i++)
		if (!is_among(a, &o->places[i]))
			return false;
	return o != NULL && o->places != NULL;
}

bool zone_allows_address(const struct zone *z, const uint8_t *from, unsigned len)
{
	const struct zone_access *a = zone_access(z);
	if (a == NULL || a->query.count == 0)
		return true;
	for (size_t i = 0; i < a->query.count; i++)
		if (from != NULL && cidr_match_address(&a->query.at[i], len == 4 ? AF_INET : AF_INET6, from))
			return true;
	return false;
}

bool zone_gives(const struct zone *z, const struct sockaddr *peer)
{
	const struct zone_access *a = zone_access(z);
	return a != NULL && cidr_match_any(a->transfer.at, a->transfer.count, peer);
}

bool zone_allows(const struct zone *z, const struct dns_query *q)
{
	return zone_allows_address(z, q->from, q->from_len);
}

bool zone_is_open(const struct zone *z)
{
	const struct zone_access *a = zone_access(z);
	return a == NULL || (a->query.count == 0 && a->places == NULL);
}

bool zone_same_clients(const struct zone *a, const struct zone *b)
{
	const struct zone_access *x = zone_access(a), *y = zone_access(b);
	x = x == NULL ? &anywhere : x;
	y = y == NULL ? &anywhere : y;
	return ranges_same(&x->query, &y->query) && places_same(x, y);
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
	if (z->text == NULL || zone_access_set(z, conf, true) < 0)
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
	for (struct zone_access *a = atomic_load(&z->access), *before; a != NULL; a = before) {
		before = a->before;
		access_free(a);
	}
	mem_free(z->text);
}
