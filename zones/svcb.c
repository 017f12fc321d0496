/* svcb.c - see svcb.h. Keys ascend, and no name is compressed. */
#include "zones/answer.h"
#include "zones/svcb.h"

enum { KEY_ALPN = 1, KEY_PORT = 3, KEY_IPV4HINT = 4, KEY_IPV6HINT = 6, HTTPS_PORT = 443 };

bool svcb_wanted(const struct blob *b, unsigned type)
{
	const struct blob_extra *extra = blob_extra(b);
	unsigned want = type == RR_HTTPS ? WANT_HTTPS : type == RR_SVCB ? WANT_SVCB : 0;
	return extra != NULL && (extra->svcb & want) != 0;
}

const struct blob_srv *svcb_entry(const struct svcb_set *s, uint32_t i)
{
	const uint32_t *members = blob_at(s->blob, blob_cold(s->blob)->at_members);
	return &blob_srv(s->blob)[s->group->whole ? i : members[s->group->first + i]];
}

struct svcb_set svcb_set_of(const struct blob *b, const struct blob_group *g, const struct zone *z, unsigned type)
{
	struct svcb_set s = { .blob = b, .group = g != NULL ? g : &blob_groups(b)[GROUP_DEFAULT_TCP], .zone = z, .type = type };
	s.entries = s.group->whole ? b->nsrv : s.group->count;
	s.one = true;
	const struct blob_srv *first = s.entries == 0 ? NULL : svcb_entry(&s, 0);
	s.lowest = first == NULL ? 0 : first->priority;
	for (uint32_t i = 1; i < s.entries; i++) {
		const struct blob_srv *e = svcb_entry(&s, i);
		s.one = s.one && e->port == first->port && e->alpn == first->alpn && e->priority == first->priority;
		if (e->priority < s.lowest)
			s.lowest = e->priority;
	}
	return s;
}

static uint8_t *put_param(uint8_t *to, unsigned key, const void *value, size_t len)
{
	to = put16(put16(to, key), (unsigned)len);
	memcpy(to, value, len);
	return to + len;
}

static uint8_t *put_alpn_and_port(uint8_t *to, const struct svcb_set *s, const struct blob_srv *e)
{
	const struct blob_alpn *alpn = &blob_alpns(s->blob)[e->alpn];
	uint8_t port[2];
	put16(port, e->port);
	if (alpn->len > 0)
		to = put_param(to, KEY_ALPN, alpn->at, alpn->len);
	if (s->type != RR_HTTPS || e->port != HTTPS_PORT)
		to = put_param(to, KEY_PORT, port, 2);
	return to;
}

size_t svcb_put_one(uint8_t *to, const struct svcb_set *s, const uint8_t *target, size_t len,
		    const struct svcb_hints *hints)
{
	uint8_t *at = put16(to, 1);
	memcpy(at, target != NULL ? target : (const uint8_t *)"", target != NULL ? len : 1);
	at = put_alpn_and_port(at + (target != NULL ? len : 1), s, svcb_entry(s, 0));
	if (hints->n4 > 0)
		at = put_param(at, KEY_IPV4HINT, hints->v4, 4 * hints->n4);
	if (hints->n6 > 0)
		at = put_param(at, KEY_IPV6HINT, hints->v6, 16 * hints->n6);
	return (size_t)(at - to);
}

size_t svcb_put_entry(uint8_t *to, const struct svcb_set *s, uint32_t i)
{
	const struct blob *b = s->blob;
	const struct blob_srv *e = svcb_entry(s, i);
	uint8_t *at = put16(to, e->priority == s->lowest ? 1 : 2);
	at += blob_host_name(at, b, e->host, s->zone->name, s->zone->len);
	at = put_alpn_and_port(at, s, e);
	if (e->host < b->n4)
		at = put_param(at, KEY_IPV4HINT, b->v4[e->host].addr, 4);
	else if (e->host < b->n4 + b->n6)
		at = put_param(at, KEY_IPV6HINT, blob_v6(b)[e->host - b->n4].addr, 16);
	return (size_t)(at - to);
}
