/* forward_answer.c - see forward_answer.h. */
#include "dnsd/forward_answer.h"
#include "base/mem.h"
#include <ldns/ldns.h>
#include <string.h>

enum { EDE_BOGUS = 6 };

void forward_answer_fail(struct forward_query *q, uint16_t rcode, int ede, const char *text)
{
	q->rcode = rcode;
	q->ede = ede;
	q->ede_text = text;
}

static bool is_dnssec(ldns_rr_type type)
{
	return type == LDNS_RR_TYPE_RRSIG || type == LDNS_RR_TYPE_NSEC || type == LDNS_RR_TYPE_NSEC3;
}

/* The records of @from that this client gets, shared with it. NULL: no memory. */
static ldns_rr_list *kept_records(const ldns_rr_list *from, const struct question *asked)
{
	ldns_rr_list *list = ldns_rr_list_new();
	for (size_t i = 0; list != NULL && i < ldns_rr_list_rr_count(from); i++) {
		ldns_rr *rr = ldns_rr_list_rr(from, i);
		ldns_rr_type type = ldns_rr_get_type(rr);
		if (is_dnssec(type) && !asked->edns.dnssec_ok && type != asked->query.qtype &&
		    asked->query.qtype != RR_ANY)
			continue;
		if (!ldns_rr_list_push_rr(list, rr)) {
			ldns_rr_list_free(list);
			return NULL;
		}
	}
	return list;
}

/* A packet of the client's own question and the kept records, in wire form: names are compressed against the question,
 * which stands where it stands in our answer. Takes @sections over. */
static bool pack(uint8_t **wire, size_t *len, ldns_rr *question, ldns_rr_list *sections[3])
{
	ldns_pkt *p = ldns_pkt_new();
	bool ok = p != NULL && sections[0] != NULL && sections[1] != NULL && sections[2] != NULL;
	if (ok) {
		ldns_pkt_push_rr(p, LDNS_SECTION_QUESTION, question);
		for (int i = 0; i < 3; i++) {
			static const ldns_pkt_section places[] = { LDNS_SECTION_ANSWER, LDNS_SECTION_AUTHORITY,
								   LDNS_SECTION_ADDITIONAL };
			for (size_t r = 0; r < ldns_rr_list_rr_count(sections[i]); r++)
				ldns_pkt_push_rr(p, places[i], ldns_rr_list_rr(sections[i], r));
		}
		ok = ldns_pkt2wire(wire, p, len) == LDNS_STATUS_OK;
		ldns_rr_list_set_rr_count(ldns_pkt_question(p), 0); /* all of them are borrowed */
		ldns_rr_list_set_rr_count(ldns_pkt_answer(p), 0);
		ldns_rr_list_set_rr_count(ldns_pkt_authority(p), 0);
		ldns_rr_list_set_rr_count(ldns_pkt_additional(p), 0);
	}
	ldns_pkt_free(p);
	return ok;
}

/* The kept records alone, each name whole, so that they can stand anywhere in a message. */
static bool pack_loose(uint8_t **wire, size_t *len, ldns_rr_list *sections[3])
{
	ldns_buffer *to = ldns_buffer_new(LDNS_MIN_BUFLEN);
	bool ok = to != NULL;
	for (int i = 0; ok && i < 3; i++) {
		ok = sections[i] != NULL;
		for (size_t r = 0; ok && r < ldns_rr_list_rr_count(sections[i]); r++)
			ok = ldns_rr2buffer_wire(to, ldns_rr_list_rr(sections[i], r), LDNS_SECTION_ANSWER) == LDNS_STATUS_OK;
	}
	if (ok) {
		*len = ldns_buffer_position(to);
		*wire = ldns_buffer_export(to);
	}
	ldns_buffer_free(to);
	return ok;
}

static ldns_rr *client_question(const struct question *asked)
{
	ldns_rr *rr = ldns_rr_new();
	size_t at = 0;
	ldns_rdf *name = NULL;
	if (rr == NULL || ldns_wire2dname(&name, asked->query.qname, asked->query.qname_len, &at) != LDNS_STATUS_OK) {
		ldns_rr_free(rr);
		return NULL;
	}
	ldns_rr_set_question(rr, true);
	ldns_rr_set_owner(rr, name);
	ldns_rr_set_type(rr, (ldns_rr_type)asked->query.qtype);
	ldns_rr_set_class(rr, LDNS_RR_CLASS_IN);
	return rr;
}

static bool copy_sections(struct forward_query *q, const struct question *asked, const ldns_pkt *p)
{
	ldns_rr_list *sections[3] = { kept_records(ldns_pkt_answer(p), asked),
				      kept_records(ldns_pkt_authority(p), asked),
				      kept_records(ldns_pkt_additional(p), asked) };
	ldns_rr *question = q->target == NULL ? client_question(asked) : NULL;
	size_t head = q->target == NULL ? DNS_HEADER_LEN + asked->question_len : 0, len = 0;
	uint8_t *wire = NULL;
	bool ok = q->target != NULL ? pack_loose(&wire, &len, sections)
				    : question != NULL && pack(&wire, &len, question, sections) && len >= head;
	if (ok && len > head) {
		q->body = mem_alloc(len - head);
		ok = q->body != NULL;
	}
	if (ok) {
		if (q->body != NULL)
			memcpy(q->body, wire + head, len - head);
		q->body_len = len - head;
		q->ancount = (uint16_t)ldns_rr_list_rr_count(sections[0]);
		q->nscount = (uint16_t)ldns_rr_list_rr_count(sections[1]);
		q->arcount = (uint16_t)ldns_rr_list_rr_count(sections[2]);
	}
	free(wire); /* ldns took it from malloc */
	ldns_rr_free(question);
	for (int i = 0; i < 3; i++)
		ldns_rr_list_free(sections[i]);
	return ok;
}

void forward_answer_fill(struct forward_query *q, const struct question *asked, const struct ub_result *result)
{
	ldns_pkt *p = NULL;
	q->ede = EDE_NONE;
	if (result->bogus) {
		forward_answer_fail(q, RCODE_SERVFAIL, EDE_BOGUS, "the upstreams' answer does not validate");
	} else if (result->rcode != RCODE_NOERROR && result->rcode != RCODE_NXDOMAIN) {
		forward_answer_fail(q, RCODE_SERVFAIL, EDE_NO_REACHABLE_AUTHORITY, "no upstream gave an answer");
	} else if (result->answer_packet == NULL || result->answer_len < 0 ||
		   ldns_wire2pkt(&p, result->answer_packet, (size_t)result->answer_len) != LDNS_STATUS_OK ||
		   !copy_sections(q, asked, p)) {
		forward_answer_fail(q, RCODE_SERVFAIL, EDE_OTHER, "the upstreams' answer cannot be read");
	} else {
		q->rcode = (uint16_t)result->rcode;
		q->authentic = result->secure;
	}
	ldns_pkt_free(p);
}
