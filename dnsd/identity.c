/* identity.c - version.bind and its like: TXT records of class CHAOS with TTL 0. */
#include "dnsd/identity.h"
#include "base/mem.h"
#include <string.h>

enum { OWNER = 0xc000 | DNS_HEADER_LEN, RR_HEAD = 12 };

static uint8_t text_copy(char *to, const char *from)
{
	size_t len = from == NULL ? 0 : strlen(from);
	if (len > IDENTITY_MAX)
		len = IDENTITY_MAX;
	if (len > 0)
		memcpy(to, from, len);
	return (uint8_t)len;
}

struct identity *identity_new(const char *nsid, const char *version)
{
	struct identity *id = mem_zalloc(1, sizeof(*id));
	if (id == NULL)
		return NULL;
	id->nsid_len = text_copy(id->nsid, nsid);
	id->version_len = text_copy(id->version, version);
	return id;
}

void identity_free(struct identity *id)
{
	mem_free(id);
}

const struct identity *identity_read(const struct identity_slot *slot)
{
	return slot == NULL ? NULL : rcu_read(&((struct identity_slot *)slot)->now);
}

static bool name_is(const struct dns_query *q, const char *wire, size_t len)
{
	return q->qname_len == len && memcmp(q->name, wire, len) == 0;
}
#define NAME_IS(q, wire) name_is(q, wire, sizeof(wire)) /* its NUL is the root */

void identity_answer(struct dns_answer *a, const struct dns_query *q, const struct identity *id)
{
	bool version = NAME_IS(q, "\007version\004bind") || NAME_IS(q, "\007version\006server");
	bool self = NAME_IS(q, "\002id\006server") || NAME_IS(q, "\010hostname\004bind");
	size_t len = id == NULL ? 0 : version ? id->version_len : self ? id->nsid_len : 0;
	a->rcode = RCODE_NOERROR;
	if (len == 0) {
		a->rcode = RCODE_REFUSED;
		a->ede = version || self ? EDE_PROHIBITED : EDE_NOT_SUPPORTED;
		return;
	}
	a->aa = true;
	if (q->qtype != RR_TXT && q->qtype != RR_ANY)
		return; /* there is a name, but nothing of that type */
	uint8_t *to = writer_claim(&a->w, RR_HEAD + 1 + len);
	if (to == NULL) {
		a->tc = true;
		return;
	}
	const uint8_t head[RR_HEAD] = { OWNER >> 8, OWNER & 255, 0, RR_TXT, 0, QCLASS_CH, 0, 0, 0, 0,
					(uint8_t)((len + 1) >> 8), (uint8_t)(len + 1) };
	memcpy(to, head, RR_HEAD);
	to[RR_HEAD] = (uint8_t)len;
	memcpy(to + RR_HEAD + 1, version ? id->version : id->nsid, len);
	a->ancount = 1;
}
