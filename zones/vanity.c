/* vanity.c - see vanity.h. */
#include "zones/vanity.h"
#include "zones/zone.h"
#include <stdlib.h>
#include <string.h>

/* ---- reading */

static void wire_put(uint8_t ret[VANITY_LABEL], enum label_kind kind, const char *s)
{
	struct label label;
	label_encode(&label, kind, s, strlen(s));
	memset(ret, 0, VANITY_LABEL);
	ret[0] = label.len;
	memcpy(ret + 1, label.text, label.len);
}

/* The labels below the zone's apex, turned round. */
static int read_name(struct vanity *ret, struct arena *mem, const char *zone, const char *name, struct error *err)
{
	uint8_t wire[DNS_NAME_MAX], apex[DNS_NAME_MAX];
	int len = wire_parse(wire, sizeof(wire), name), zone_len = wire_parse(apex, sizeof(apex), zone), at = 0;
	if (len < 0 || zone_len < 0)
		return error_set(err, E_INVALID, "\"%.100s\" is no name", name);
	while (at < len - zone_len && wire[at] != 0) {
		at += 1 + wire[at];
		ret->labels++;
	}
	if (len - at != zone_len || memcmp(wire + at, apex, (size_t)zone_len) != 0)
		return error_set(err, E_INVALID, "%.100s does not lie in the zone %s", name, zone);
	uint8_t *key = arena_alloc(mem, (size_t)at + 1);
	if (key == NULL)
		return error_set(err, E_NOMEM, "no memory");
	for (int from = 0, to = at; from < at; from += 1 + wire[from]) {
		to -= 1 + wire[from];
		memcpy(key + to, wire + from, 1u + wire[from]);
	}
	ret->key = key;
	ret->key_len = (uint16_t)at;
	return E_OK;
}

/* One part of the target, given raw or as its label. */
static int read_part(const char **ret, struct arena *mem, enum label_kind kind, const char *part, size_t len,
		     struct error *err)
{
	char raw[LABEL_MAX + 1];
	if (len == 0)
		return error_set(err, E_INVALID, "write NAMESPACE/GROUP/SERVICE, for example public/DEFAULT_GROUP/shop");
	bool coded = len >= 4 && memcmp(part, "e-1-", 4) == 0;
	if (coded && label_decode(raw, sizeof(raw), kind, part, len) < 0)
		return error_set(err, E_INVALID, "\"%.*s\" is no label of a name", (int)(len > 100 ? 100 : len), part);
	*ret = coded ? arena_strdup(mem, raw) : arena_memdup0(mem, part, len);
	return *ret == NULL ? error_set(err, E_NOMEM, "no memory") : E_OK;
}

static int read_port(struct vanity *ret, const char *port, struct error *err)
{
	size_t len = strlen(port);
	if (strspn(port, "abcdefghijklmnopqrstuvwxyz0123456789-") != len || !port_name_read(ret->port, port, len))
		return error_set(err, E_INVALID,
				 "\":%.60s\" is no port name (1 to %d of a-z, 0-9 and -); a service with a colon is written as its "
				 "label, e-1-...", port, PORT_NAME_MAX);
	return E_OK;
}

static int read_target(struct vanity *ret, struct arena *mem, char *target, struct error *err)
{
	static const enum label_kind kinds[] = { LABEL_NAMESPACE, LABEL_GROUP, LABEL_SERVICE, LABEL_CLUSTER };
	const char *parts[4] = { "", "", "", NULL };
	char *colon = strrchr(target, ':');
	int rc;
	if (colon != NULL) {
		*colon = '\0';
		rc = read_port(ret, colon + 1, err);
		if (rc < 0)
			return rc;
	}
	unsigned n = 0;
	for (const char *at = target; at != NULL; n++) {
		size_t len = strcspn(at, "/");
		if (n == 4)
			return error_set(err, E_INVALID, "there are more than NAMESPACE/GROUP/SERVICE/CLUSTER");
		rc = read_part(&parts[n], mem, kinds[n], at, len, err);
		if (rc < 0)
			return rc;
		at = at[len] == '/' ? at + len + 1 : NULL;
	}
	if (n < 3)
		return error_set(err, E_INVALID, "\"%.100s\" is no NAMESPACE/GROUP/SERVICE", target);
	ret->ns = parts[0];
	ret->group = parts[1];
	ret->service = parts[2];
	for (unsigned i = 0; i < 3; i++)
		wire_put(ret->where[i], kinds[i], parts[i]);
	if (parts[3] != NULL)
		wire_put(ret->cluster, LABEL_CLUSTER, parts[3]);
	return E_OK;
}

int vanity_parse(struct vanity *ret, struct arena *mem, const char *zone, const char *text, struct error *err)
{
	char *copy = arena_strdup(mem, text), *equals = copy == NULL ? NULL : strchr(copy, '=');
	struct vanity v;
	memset(&v, 0, sizeof(v));
	if (copy == NULL)
		return error_set(err, E_NOMEM, "no memory");
	if (equals == NULL)
		return error_set(err, E_INVALID, "\"%.100s\": write NAME=NAMESPACE/GROUP/SERVICE", text);
	*equals = '\0';
	v.name = copy;
	int rc = read_name(&v, mem, zone, copy, err);
	if (rc == E_OK)
		rc = read_target(&v, mem, equals + 1, err);
	if (rc == E_OK)
		*ret = v;
	return rc;
}

static int compare_keys(const uint8_t *a, size_t a_len, const uint8_t *b, size_t b_len)
{
	int order = memcmp(a, b, a_len < b_len ? a_len : b_len);
	return order != 0 ? order : a_len < b_len ? -1 : a_len > b_len;
}

static int compare_vanities(const void *a, const void *b)
{
	const struct vanity *x = a, *y = b;
	return compare_keys(x->key, x->key_len, y->key, y->key_len);
}

int vanities_make(struct vanity_list *ret, struct arena *mem, const char *zone, const struct word_list *words,
		  struct error *err)
{
	if (words->count == 0)
		return E_OK;
	if (words->count > VANITIES_MAX)
		return error_set(err, E_LIMIT, "%zu aliases are more than %d", words->count, VANITIES_MAX);
	ret->at = arena_zalloc(mem, words->count * sizeof(*ret->at));
	if (ret->at == NULL)
		return error_set(err, E_NOMEM, "no memory");
	for (size_t i = 0; i < words->count; i++) {
		int rc = vanity_parse(&ret->at[i], mem, zone, words->at[i], err);
		if (rc < 0)
			return error_wrap(err, rc, "alias");
	}
	qsort(ret->at, words->count, sizeof(*ret->at), compare_vanities);
	for (size_t i = 1; i < words->count; i++)
		if (compare_vanities(&ret->at[i - 1], &ret->at[i]) == 0)
			return error_set(err, E_EXISTS, "alias %.100s is set twice", ret->at[i].name);
	ret->count = words->count;
	return E_OK;
}

static bool label_is(const uint8_t *label, const char *text)
{
	return label[0] == strlen(text) && memcmp(label + 1, text, label[0]) == 0;
}

int vanities_check(const struct vanity_list *list, bool full, const char *zone, const char *mname, struct error *err)
{
	uint8_t server[DNS_NAME_MAX], apex[DNS_NAME_MAX];
	int apex_len = wire_parse(apex, sizeof(apex), zone);
	int len = mname == NULL ? 0 : wire_parse(server, sizeof(server), mname);
	if (mname == NULL)
		memcpy(server, "\003ns1", 4);
	/* in the zone, right below its apex: then we answer its addresses */
	bool here = mname == NULL || (len > 0 && apex_len > 0 && len == apex_len + server[0] + 1 &&
				      memcmp(server + server[0] + 1, apex, (size_t)apex_len) == 0);
	for (size_t i = 0; i < list->count; i++) {
		const struct vanity *v = &list->at[i];
		if (v->key_len == 0)
			continue; /* the apex */
		if (full && (label_is(v->key, "svc") || label_is(v->key, "ns")))
			return error_set(err, E_EXISTS, "alias %.100s lies below svc or ns, where the registry has its services", v->name);
		if (label_is(v->key, "i") || label_is(v->key, "dns-version"))
			return error_set(err, E_EXISTS, "alias %.100s: i (for addresses) and dns-version are the zone's own", v->name);
		if (here && v->key[0] == server[0] && memcmp(v->key, server, server[0] + 1u) == 0)
			return error_set(err, E_EXISTS, "alias %.100s: that is the zone's name server (mname)", v->name);
	}
	return E_OK;
}

bool vanities_name(const struct vanity_list *list, const struct service_key *key)
{
	for (size_t i = 0; i < list->count; i++)
		if (strcmp(list->at[i].service, key->name) == 0 && strcmp(list->at[i].group, key->group) == 0 &&
		    strcmp(list->at[i].ns, key->ns) == 0)
			return true;
	return false;
}

/* ---- readers */

size_t vanity_key(uint8_t *ret, const struct dns_query *q, unsigned count)
{
	size_t len = 0;
	while (count > 0) {
		const uint8_t *label = q->name + q->label_at[--count];
		memcpy(ret + len, label, 1u + label[0]);
		len += 1u + label[0];
	}
	return len;
}

const struct vanity *vanity_find(const struct vanity_list *list, const uint8_t *key, size_t len, bool *below)
{
	size_t low = 0, high = list->count;
	while (low < high) { /* to the first that is not before it */
		size_t middle = low + (high - low) / 2;
		if (compare_keys(list->at[middle].key, list->at[middle].key_len, key, len) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	const struct vanity *v = low < list->count ? &list->at[low] : NULL;
	bool exact = v != NULL && v->key_len == len && memcmp(v->key, key, len) == 0;
	const struct vanity *next = !exact ? v : low + 1 < list->count ? v + 1 : NULL;
	*below = next != NULL && next->key_len > len && memcmp(next->key, key, len) == 0;
	return exact ? v : NULL;
}
