/* record.c - instance records: made from a draft, immutable from then on. */
#include "registry/core.h"

#include <arpa/inet.h>
#include <stddef.h>
#include <string.h>

void record_address_parse(struct record_draft *d)
{
	static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };
	char text[INET6_ADDRSTRLEN + 1];
	const char *zone = memchr(d->ip, '%', d->ip_len);
	size_t len = zone == NULL ? d->ip_len : (size_t)(zone - d->ip);

	d->family = 0;
	memset(d->addr, 0, sizeof(d->addr));
	if (len >= sizeof(text))
		return;
	memcpy(text, d->ip, len);
	text[len] = '\0';
	if (zone == NULL && inet_pton(AF_INET, text, d->addr) == 1) {
		d->family = 4;
	} else if (memchr(text, ':', len) != NULL && inet_pton(AF_INET6, text, d->addr) == 1) {
		d->family = 6;
		if (memcmp(d->addr, mapped, sizeof(mapped)) == 0) {
			memmove(d->addr, d->addr + sizeof(mapped), 4);
			memset(d->addr + 4, 0, 12);
			d->family = 4;
		}
	}
}

/* ---- beat times (nacos-naming 1.6) */

/* All digits, or it is ignored. */
static bool parse_ms(const struct pair *pair, uint32_t *ret)
{
	uint64_t v = 0;

	if (pair->value_len == 0 || pair->value_len > 10)
		return false;
	for (uint16_t i = 0; i < pair->value_len; i++) {
		if (pair->value[i] < '0' || pair->value[i] > '9')
			return false;
		v = v * 10 + (uint64_t)(pair->value[i] - '0');
	}
	*ret = v > UINT32_MAX / 2 ? UINT32_MAX / 2 : (uint32_t)v;
	return true;
}

static bool key_is(const struct pair *pair, const char *key, size_t len)
{
	return pair->key_len == len && memcmp(pair->key, key, len) == 0;
}
#define KEY_IS(pair, literal) key_is((pair), literal, sizeof(literal) - 1)

static void read_times(struct record_draft *d)
{
	d->beat_ms = BEAT_DEFAULT_MS;
	d->unhealthy_ms = UNHEALTHY_DEFAULT_MS;
	d->remove_ms = REMOVE_DEFAULT_MS;
	for (size_t i = 0; i < d->pair_count; i++) {
		const struct pair *p = &d->pairs[i];

		if (p->key_len < 27 || memcmp(p->key, "preserved.", 10) != 0)
			continue;
		if (KEY_IS(p, "preserved.heart.beat.interval"))
			parse_ms(p, &d->beat_ms);
		else if (KEY_IS(p, "preserved.heart.beat.timeout"))
			parse_ms(p, &d->unhealthy_ms);
		else if (KEY_IS(p, "preserved.ip.delete.timeout"))
			parse_ms(p, &d->remove_ms);
	}
}

int record_times(struct record_draft *d, struct error *err)
{
	read_times(d);
	if (d->unhealthy_ms < d->beat_ms || d->remove_ms < d->beat_ms)
		return error_set_what(err, E_RANGE, FAIL_INSTANCE,
				      "Instance 'heart beat interval' must less than 'heart beat timeout' and "
				      "'ip delete timeout': %s %u ms is below the interval of %u ms",
				      d->unhealthy_ms < d->beat_ms ? "preserved.heart.beat.timeout"
								   : "preserved.ip.delete.timeout",
				      d->unhealthy_ms < d->beat_ms ? d->unhealthy_ms : d->remove_ms, d->beat_ms);
	return E_OK;
}

void record_times_lenient(struct record_draft *d)
{
	read_times(d);
	if (d->unhealthy_ms < d->beat_ms)
		d->unhealthy_ms = d->beat_ms;
	if (d->remove_ms < d->beat_ms)
		d->remove_ms = d->beat_ms;
}

/* ---- making */

static char *put_text(char *to, const char *from, size_t len)
{
	if (len > 0)
		memcpy(to, from, len);
	to[len] = '\0';
	return to + len + 1;
}

struct instance *record_new(struct registry *r, struct service *s, const struct record_draft *d)
{
	size_t metadata_len = packed_size(d->pairs, d->pair_count);
	size_t size = offsetof(struct instance, text) + (size_t)d->ip_len + d->id_len + d->app_len +
		      d->reason_len + 4 + metadata_len;
	struct instance *i = slab_get(r->slab, size);

	if (i == NULL)
		return NULL;
	atomic_init(&i->last_beat_ms, d->last_beat_ms);
	i->wheel = (struct wheel_node){ NULL, NULL, 0 };
	i->service = s;
	i->publisher = d->publisher;
	i->weight = d->weight;
	memcpy(i->addr, d->addr, sizeof(i->addr));
	i->port = d->port;
	i->family = d->family;
	i->flags = d->flags;
	i->beat_ms = d->beat_ms;
	i->unhealthy_ms = d->unhealthy_ms;
	i->remove_ms = d->remove_ms;
	i->slot = i->warm_slot = 0;
	i->registered_ms = d->registered_ms;
	i->cluster = d->cluster;
	i->ip_len = d->ip_len;
	i->id_len = d->id_len;
	i->app_len = d->app_len;
	i->reason_len = d->reason_len;
	i->metadata_count = (uint16_t)d->pair_count;
	i->metadata_len = (uint32_t)metadata_len;
	i->size = (uint32_t)size;
	char *at = put_text(i->text, d->ip, d->ip_len);

	at = put_text(at, d->id, d->id_len);
	at = put_text(at, d->app, d->app_len);
	at = put_text(at, d->reason, d->reason_len);
	packed_build(at, d->pairs, d->pair_count);
	return i;
}

struct instance *record_copy(struct registry *r, const struct instance *from)
{
	struct instance *i = slab_get(r->slab, from->size);

	if (i == NULL)
		return NULL;
	atomic_init(&i->last_beat_ms, atomic_load_explicit(&from->last_beat_ms, memory_order_relaxed));
	i->wheel = (struct wheel_node){ NULL, NULL, 0 };
	memcpy((char *)i + offsetof(struct instance, service),
	       (const char *)from + offsetof(struct instance, service),
	       from->size - offsetof(struct instance, service));
	return i;
}

void record_draft_of(struct record_draft *d, const struct instance *from, struct pair *pairs)
{
	struct packed metadata = instance_metadata(from);

	*d = (struct record_draft){
		.ip = instance_ip(from),
		.id = instance_custom_id(from),
		.app = instance_app(from),
		.reason = instance_reason(from),
		.ip_len = from->ip_len,
		.id_len = from->id_len,
		.app_len = from->app_len,
		.reason_len = from->reason_len,
		.port = from->port,
		.cluster = from->cluster,
		.weight = from->weight,
		.flags = from->flags,
		.family = from->family,
		.last_beat_ms = atomic_load_explicit(&from->last_beat_ms, memory_order_relaxed),
		.registered_ms = from->registered_ms,
		.publisher = from->publisher,
		.pairs = pairs,
		.beat_ms = from->beat_ms,
		.unhealthy_ms = from->unhealthy_ms,
		.remove_ms = from->remove_ms,
	};
	memcpy(d->addr, from->addr, sizeof(d->addr));
	for (size_t at = 0; d->pair_count < PAIRS_MAX && packed_next(&metadata, &at, &pairs[d->pair_count]);)
		d->pair_count++;
}

void record_free(struct registry *r, struct instance *i)
{
	if (i != NULL)
		slab_put(r->slab, i, i->size);
}

static void record_reap(void *arg, struct rcu_head *head)
{
	record_free(arg, (struct instance *)(void *)((char *)head - offsetof(struct instance, reap)));
}

void record_retire(struct service *s, struct instance *i)
{
	service_retire(s, &i->reap, record_reap);
}

/* ---- comparing */

static bool same_text(const char *a, size_t a_len, const char *b, size_t b_len)
{
	return a_len == b_len && memcmp(a, b, a_len) == 0;
}

static bool same_pairs(const struct instance *i, const struct record_draft *d)
{
	struct packed metadata = instance_metadata(i);
	struct pair has;
	size_t n = 0;

	if (metadata.count != d->pair_count)
		return false;
	for (size_t at = 0; packed_next(&metadata, &at, &has); n++)
		if (!same_text(has.key, has.key_len, d->pairs[n].key, d->pairs[n].key_len) ||
		    !same_text(has.value, has.value_len, d->pairs[n].value, d->pairs[n].value_len))
			break;
	for (; n < d->pair_count; n++) { /* the same in another order? */
		const char *value = packed_find(&metadata, d->pairs[n].key);

		if (value == NULL || strlen(value) != d->pairs[n].value_len ||
		    memcmp(value, d->pairs[n].value, d->pairs[n].value_len) != 0)
			return false;
	}
	return true;
}

bool record_says(const struct instance *i, const struct record_draft *d)
{
	const uint8_t visible = INSTANCE_HEALTHY | INSTANCE_ENABLED | INSTANCE_EPHEMERAL;

	return i->cluster == d->cluster && i->weight == d->weight && ((i->flags ^ d->flags) & visible) == 0 &&
	       same_text(instance_app(i), i->app_len, d->app, d->app_len) &&
	       same_text(instance_custom_id(i), i->id_len, d->id, d->id_len) && same_pairs(i, d);
}
