/* blob_rows.c - from instances to rows: usable addresses, ports and their names, TXT strings (dns.md 1.6, 2.1, 2.8). */
#include "zones/blob_set.h"
#include "base/error.h"
#include "base/mem.h"
#include <stdlib.h>
#include <string.h>

void *scratch_reserve(struct scratch *s, size_t bytes)
{
	if (bytes <= s->cap)
		return s->at;
	size_t cap = s->cap == 0 ? 1024 : s->cap;
	while (cap < bytes)
		cap *= 2;
	void *at = mem_realloc(s->at, cap);
	if (at == NULL)
		return NULL;
	s->at = at;
	s->cap = cap;
	return at;
}

bool address_usable(const struct zone_set_conf *conf, int family, const uint8_t *a)
{
	static const uint8_t unspecified[16], loopback[16] = { [15] = 1 };
	if (family == 4)
		return a[0] != 0 && a[0] < 224 && (conf->loopback_addresses || a[0] != 127);
	if (family != 6 || a[0] == 0xff || memcmp(a, unspecified, 16) == 0)
		return false;
	return conf->loopback_addresses || memcmp(a, loopback, 16) != 0;
}

bool port_name_read(uint8_t ret[PORT_NAME_MAX + 1], const char *name, size_t len)
{
	bool letter = false, hyphen = true; /* the last one was a hyphen, or there is none yet */
	if (len < 1 || len > PORT_NAME_MAX)
		return false;
	memset(ret, 0, PORT_NAME_MAX + 1);
	ret[0] = (uint8_t)len;
	for (size_t i = 0; i < len; i++) {
		char c = name[i];
		c = c >= 'A' && c <= 'Z' ? (char)(c + ('a' - 'A')) : c;
		bool a_to_z = c >= 'a' && c <= 'z';
		if (!a_to_z && (c < '0' || c > '9') && (c != '-' || hyphen))
			return false;
		letter |= a_to_z;
		hyphen = c == '-';
		ret[i + 1] = (uint8_t)c;
	}
	return letter && !hyphen;
}

/* The bit of the group, which is made if there is room; 0: no name, or too many names. */
static uint64_t group_bit(struct blob_builder *bb, const char *name, size_t len, bool udp)
{
	uint8_t folded[PORT_NAME_MAX + 1];
	if (name == NULL || !port_name_read(folded, name, len))
		return 0;
	bb->has_udp |= udp;
	for (uint32_t i = 0; i < bb->group_count; i++)
		if (bb->groups[i].udp == udp && memcmp(bb->groups[i].name, folded, sizeof(folded)) == 0) {
			bb->groups[i].registered = true;
			return (uint64_t)1 << i;
		}
	if (bb->group_count == BLOB_GROUPS_MAX)
		return 0;
	struct group_row *g = &bb->groups[bb->group_count];
	memcpy(g->name, folded, sizeof(folded));
	g->udp = udp;
	g->registered = true;
	return (uint64_t)1 << bb->group_count++;
}

/* 0..@max in decimal, the whole of @text; -1: not that. */
static long number_read(const char *text, long max)
{
	char *end;
	if (text == NULL || text[0] < '0' || text[0] > '9')
		return -1;
	long v = strtol(text, &end, 10);
	return *end != '\0' || v > max ? -1 : v;
}

/* One more port of the instance whose first one is @first, with priority and ALPN of @like; a port of several names counts
 * once. */
static int port_add(struct blob_builder *bb, uint32_t first, uint64_t groups, uint16_t port, const struct port_row *like)
{
	struct port_row *p = scratch_reserve(&bb->ports, (bb->port_count + 1) * sizeof(*p));
	if (p == NULL)
		return E_NOMEM;
	for (uint32_t i = first; i < bb->port_count; i++)
		if (p[i].port == port) {
			p[i].groups |= groups;
			return E_OK;
		}
	p[bb->port_count++] = (struct port_row){ groups, port, like->priority, like->alpn };
	return E_OK;
}

enum { PRIORITY = 10 };

/* "_default" is always the primary port's name; an underscore is no letter of a port name, so it cannot collide with
 * a configured one but for "default" itself, which is one with it. */
static int primary_port_add(struct blob_builder *bb, const struct instance *i, const char *name, bool udp,
			    const struct port_row *like)
{
	if (i->port == 0)
		return E_OK;
	unsigned group = udp ? GROUP_DEFAULT_UDP : GROUP_DEFAULT_TCP;
	bb->groups[group].registered = true;
	bb->has_udp |= udp;
	uint64_t bits = (uint64_t)1 << group;
	if (name != NULL)
		bits |= group_bit(bb, name, strlen(name), udp);
	return port_add(bb, bb->port_count, bits, i->port, like);
}

/* Of an instance's own, where the service has records with it. */
static uint8_t alpn_of(struct blob_builder *bb, const char *text)
{
	for (uint8_t i = 0; i < bb->alpn_count; i++)
		if (bb->alpns[i] != NULL && strcmp(bb->alpns[i], text) == 0)
			return i;
	if (bb->rules.svcb == 0 || bb->alpn_count == ALPNS_MAX)
		return 0;
	bb->alpns[bb->alpn_count] = text;
	return bb->alpn_count++;
}

static int ports_of_metadata(struct blob_builder *bb, const struct instance *i)
{
	struct packed metadata = instance_metadata(i);
	const char *own = NULL, *protocol = NULL;
	bool udp = false, extra = false;
	uint32_t first = bb->port_count;
	struct port_row like = { .priority = PRIORITY };
	struct pair p;
	for (size_t at = 0; packed_next(&metadata, &at, &p);) {
		if (p.key[0] == 'p') {
			extra |= strncmp(p.key, "port.", 5) == 0;
			if (strcmp(p.key, "protocol") == 0)
				protocol = p.value;
		} else if (p.key[0] == 'd' && strncmp(p.key, "dns.", 4) == 0) {
			long v;
			if (strcmp(p.key + 4, "port-name") == 0)
				own = p.value;
			else if (strcmp(p.key + 4, "proto") == 0)
				udp = strcmp(p.value, "udp") == 0;
			else if (strcmp(p.key + 4, "priority") == 0 && (v = number_read(p.value, 65535)) >= 0)
				like.priority = (uint16_t)v;
			else if (strcmp(p.key + 4, "alpn") == 0)
				like.alpn = alpn_of(bb, p.value);
		}
	}
	const char *name = own != NULL ? own : protocol != NULL ? protocol : bb->rules.port_name;
	if (primary_port_add(bb, i, name, udp, &like) < 0)
		return E_NOMEM;
	for (size_t at = 0; extra && packed_next(&metadata, &at, &p);) {
		long port = strncmp(p.key, "port.", 5) == 0 ? number_read(p.value, 65535) : -1;
		uint64_t bit = port <= 0 ? 0 : group_bit(bb, p.key + 5, (size_t)p.key_len - 5, udp);
		if (bit != 0 && port_add(bb, first, bit, (uint16_t)port, &like) < 0)
			return E_NOMEM;
	}
	return E_OK;
}

static int ports_gather(struct blob_builder *bb, const struct instance *i)
{
	if (i->metadata_count > 0)
		return ports_of_metadata(bb, i);
	static const struct port_row plain = { .priority = PRIORITY };
	return primary_port_add(bb, i, bb->rules.port_name, false, &plain);
}

bool txt_allowed(const struct blob_builder *bb, const char *key, size_t len)
{
	for (size_t i = 0; i < bb->conf->metadata_key_count; i++)
		if (strncmp(bb->conf->metadata_keys[i], key, len) == 0 &&
		    bb->conf->metadata_keys[i][len] == '\0')
			return true;
	return false;
}

/* One character-string key=value; what is too long is left out. */
static void txt_string(uint8_t *rdata, size_t *len, const char *key, size_t key_len, const char *value,
		       size_t value_len)
{
	size_t n = key_len + 1 + value_len;
	if (n > 255 || *len + 1 + n > TXT_MAX)
		return;
	uint8_t *at = rdata + *len;
	*at++ = (uint8_t)n;
	memcpy(at, key, key_len);
	at[key_len] = '=';
	memcpy(at + key_len + 1, value, value_len);
	*len += 1 + n;
}

static int64_t pool_add(struct blob_builder *bb, const uint8_t *rdata, size_t len)
{
	const uint8_t *last = bb->txt_last == 0 ? NULL : (uint8_t *)bb->txt_pool.at + bb->txt_last - 1;
	uint16_t len16 = (uint16_t)len, last_len = 0;
	if (last != NULL)
		memcpy(&last_len, last, 2);
	if (last != NULL && last_len == len16 && memcmp(last + 2, rdata, len) == 0)
		return bb->txt_last; /* neighbours mostly say the same */
	uint8_t *at = scratch_reserve(&bb->txt_pool, bb->txt_len + 2 + len);
	if (at == NULL)
		return -1;
	memcpy(at + bb->txt_len, &len16, 2);
	memcpy(at + bb->txt_len + 2, rdata, len);
	bb->txt_last = bb->txt_len + 1;
	bb->txt_len += (uint32_t)(2 + len);
	return bb->txt_last;
}

int64_t txt_append(struct blob_builder *bb, const char *name, const char *cluster, struct packed metadata)
{
	static const char version[] = "\011txtvers=1";
	uint8_t rdata[TXT_MAX];
	size_t empty = sizeof(version) - 1, len = empty;
	struct pair p;
	if (bb->conf->metadata_key_count == 0)
		return 0;
	memcpy(rdata, version, empty);
	if (name != NULL && txt_allowed(bb, "name", 4))
		txt_string(rdata, &len, "name", 4, name, strlen(name));
	if (cluster != NULL && txt_allowed(bb, "cluster", 7))
		txt_string(rdata, &len, "cluster", 7, cluster, strlen(cluster));
	for (size_t at = 0; packed_next(&metadata, &at, &p);) {
		if (!txt_allowed(bb, p.key, p.key_len) || strcmp(p.key, "name") == 0 ||
		    strcmp(p.key, "txtvers") == 0 || (cluster != NULL && strcmp(p.key, "cluster") == 0))
			continue;
		txt_string(rdata, &len, p.key, p.key_len, p.value, p.value_len);
	}
	return len == empty ? 0 : pool_add(bb, rdata, len);
}

/* The instance's TXT; most have no metadata, and those of one cluster say the same. */
static int64_t txt_of_instance(struct blob_builder *bb, const struct instance *i)
{
	bool plain = i->metadata_count == 0;
	if (plain && bb->txt_plain != 0 && bb->txt_cluster == i->cluster)
		return bb->txt_plain;
	const char *cluster =
	    i->cluster < bb->info->cluster_count ? bb->info->clusters[i->cluster].name : NULL;
	int64_t at = txt_append(bb, NULL, cluster, instance_metadata(i));
	if (plain && at > 0) {
		bb->txt_plain = (uint32_t)at;
		bb->txt_cluster = i->cluster;
	}
	return at;
}

static void rows_reset(struct blob_builder *bb)
{
	memset(&bb->groups[0], 0, 2 * sizeof(bb->groups[0]));
	memcpy(bb->groups[GROUP_DEFAULT_TCP].name, "\007default", 8);
	memcpy(bb->groups[GROUP_DEFAULT_UDP].name, "\007default", 8);
	bb->groups[GROUP_DEFAULT_UDP].udp = true;
	bb->group_count = 2;
	bb->alpns[0] = bb->rules.alpn;
	bb->alpn_count = bb->rules.svcb != 0;
	bb->row_count = bb->row4_count = bb->port_count = bb->srv_count = bb->txt_len = bb->dropped = 0;
	bb->total = bb->healthy = bb->named_count = 0;
	bb->txt_plain = bb->txt_last = 0;
	bb->has_udp = bb->txt_any = false;
	bb->txt_uniform = true;
	bb->weight_max = 0;
}

int row_put(struct blob_builder *bb, const struct row *row)
{
	struct row *rows = scratch_reserve(&bb->rows, (bb->row_count + 1) * sizeof(*rows));
	if (rows == NULL)
		return E_NOMEM;
	rows[bb->row_count++] = *row;
	bb->txt_any |= row->txt > 0;
	bb->txt_uniform &= row->txt == rows[0].txt;
	bb->row4_count += row->family == 4;
	return E_OK;
}

static int row_add(struct blob_builder *bb, const struct instance *i)
{
	uint32_t first = bb->port_count;
	struct host_name *host = NULL;
	if (ports_gather(bb, i) < 0)
		return E_NOMEM;
	bool enabled = (i->flags & INSTANCE_ENABLED) != 0, healthy = (i->flags & INSTANCE_HEALTHY) != 0;
	bb->total += enabled;
	bb->healthy += enabled && healthy;
	int rc = i->family != 0 ? E_RANGE : host_names_get(bb->hosts, &host, instance_ip(i));
	if (rc == E_NOMEM)
		return rc;
	if (host == NULL && !address_usable(bb->conf, i->family, i->addr)) { /* its port names exist all the same */
		bb->dropped++;
		bb->port_count = first;
		return E_OK;
	}
	int64_t txt = txt_of_instance(bb, i);
	if (txt < 0)
		return E_NOMEM;
	double whole = i->weight > WEIGHT_MAX ? WEIGHT_MAX : i->weight;
	double share = bb->ramps == NULL ? 1 : ramp_share(bb->ramps, i, bb->now_ms);
	struct row row = { .addr = i->addr, .weight = whole * share, .whole = whole, .first_port = first,
			   .ports = bb->port_count - first, .txt = (uint32_t)txt, .port = i->port, .family = i->family,
			   .candidate = enabled && i->weight > 0, .healthy = healthy };
	return host != NULL ? named_add(bb, &row, host) : row_put(bb, &row);
}

int rows_gather(struct blob_builder *bb, const struct instance *const *list, uint32_t n)
{
	rows_reset(bb);
	if (scratch_reserve(&bb->rows, (n + 1) * sizeof(struct row)) == NULL)
		return E_NOMEM;
	for (uint32_t i = 0; i < n; i++)
		if (row_add(bb, list[i]) < 0)
			return E_NOMEM;
	return E_OK;
}
