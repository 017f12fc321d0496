/* host_names.c - see host_names.h. */
#include "zones/host_names.h"
#include "base/hash.h"
#include "base/mem.h"
#include "zones/zone.h"
#include <ctype.h>

static bool name_equal(const void *value, const void *key)
{
	return strcmp(((const struct host_name *)value)->text, key) == 0;
}

void host_names_init(struct host_names *h, const struct zone_set *zones)
{
	map_init(&h->map, name_equal);
	h->zones = zones;
}

void host_names_done(struct host_names *h)
{
	struct host_name *n;
	for (size_t at = 0; (n = map_next(&h->map, &at)) != NULL;)
		mem_free(n);
	map_done(&h->map);
}

/* Folded, without the last dot, if @ip can be the name of a host: letters, digits, hyphens and underscores in its labels,
 * and the last one no number, as in a mistyped address. Returns its length, 0: it is none. */
static size_t name_read(char ret[DNS_NAME_MAX + 1], const char *ip)
{
	size_t n = strlen(ip), last = 0;
	n -= n > 1 && ip[n - 1] == '.';
	if (n < 1 || n > DNS_NAME_MAX - 2)
		return 0;
	for (size_t i = 0; i < n; i++) {
		unsigned char c = (unsigned char)ip[i];
		if (!isalnum(c) && c != '-' && c != '_' && c != '.')
			return 0;
		ret[i] = (char)tolower(c);
		last = c == '.' ? i + 1 : last;
	}
	ret[n] = '\0';
	return strspn(ret + last, "0123456789") == n - last ? 0 : n;
}

static uint64_t name_text_hash(const char *text)
{
	return hash_bytes(text, strlen(text));
}

struct host_name *host_names_find(const struct host_names *h, const char *ip)
{
	char text[DNS_NAME_MAX + 1];
	return name_read(text, ip) == 0 ? NULL : map_find(&h->map, name_text_hash(text), text);
}

/* What the set before has found. */
static void name_recall(const struct host_names *h, struct host_name *n)
{
	const struct host_name *was = h->before == NULL ? NULL : map_find(&h->before->map, name_text_hash(n->text), n->text);
	if (was == NULL || was->own)
		return;
	n->count = was->count;
	memcpy(n->addresses, was->addresses, sizeof(n->addresses));
	n->home = was->home;
	n->stale = was->stale;
	n->looked_up = was->looked_up;
}

int host_names_get(struct host_names *h, struct host_name **ret, const char *ip)
{
	char text[DNS_NAME_MAX + 1];
	uint8_t wire[DNS_NAME_MAX];
	size_t len = name_read(text, ip);
	int wire_len = len == 0 ? E_RANGE : wire_parse(wire, sizeof(wire), text);
	if (wire_len < 0)
		return E_RANGE;
	*ret = map_find(&h->map, name_text_hash(text), text);
	if (*ret != NULL)
		return E_OK;
	struct host_name *n = mem_zalloc(1, sizeof(*n) + len + 1);
	if (n == NULL)
		return E_NOMEM;
	memcpy(n->text, text, len + 1);
	memcpy(n->wire, wire, (size_t)wire_len);
	n->wire_len = (uint8_t)wire_len;
	n->own = zones_hold_name(h->zones, wire, (size_t)wire_len);
	if (map_add(&h->map, name_text_hash(text), n) < 0) {
		mem_free(n);
		return E_NOMEM;
	}
	name_recall(h, n);
	*ret = n;
	return E_OK;
}

static void tell(const struct host_names *h, const struct host_name *n, bool wanted)
{
	const struct zone_set_conf *conf = &h->zones->conf;
	if (!h->zones->quiet && conf->on_host_name != NULL && conf->hostname_mode != HOSTNAME_SRV_ONLY && !n->own)
		conf->on_host_name(conf->arg, n->text, wanted);
}

void host_names_hold(struct host_names *h, struct host_name *n)
{
	if (n->refs++ == 0)
		tell(h, n, true);
}

void host_names_drop(struct host_names *h, struct host_name *n)
{
	if (--n->refs > 0)
		return;
	tell(h, n, false);
	map_remove(&h->map, name_text_hash(n->text), n->text);
	mem_free(n);
}

void host_names_settle(struct host_names *h, const struct host_names *before)
{
	struct host_name *n;
	for (size_t at = 0; (n = map_next(&h->map, &at)) != NULL;)
		if (n->refs > 0)
			tell(h, n, true);
	for (size_t at = 0; (n = map_next(&before->map, &at)) != NULL;) {
		const struct host_name *now = map_find(&h->map, name_text_hash(n->text), n->text);
		if (n->refs > 0 && (now == NULL || now->refs == 0 || now->own))
			tell(before, n, false);
	}
}
