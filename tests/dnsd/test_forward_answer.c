/* test_forward_answer.c - what libunbound has found becomes the sections of an answer: for those who want DNSSEC's records and
 * for those who do not, spelt as the client did, compressed against a question at its place; what cannot be used is
 * SERVFAIL with its reason. No socket, no libunbound: its results are made here by ldns. */
#include "base/mem.h"
#include "dnsd/forward_answer.h"
#include "tests/support/dns_wire.h"
#include <ldns/ldns.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct fixture {
	struct wire wire;
	struct question asked;
	ldns_pkt *found;
	uint8_t *packet;
	size_t packet_len;
	struct ub_result result;
	struct forward_query q;
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	*state = f;
	return f == NULL;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	ldns_pkt_free(f->found);
	free(f->packet);
	mem_free(f->q.body);
	free(f);
	return 0;
}

/* The client asks for @name; @dnssec_ok: by EDNS, with DO. */
static void ask(struct fixture *f, const char *name, unsigned type, bool dnssec_ok)
{
	if (dnssec_ok) {
		wire_header(&f->wire, HEADER_RD, 1, 0, 0, 1);
		wire_question(&f->wire, name, type, QCLASS_IN);
		wire_opt(&f->wire, 1232, EDNS_DO, NULL, 0);
	} else {
		wire_query(&f->wire, name, type);
	}
	assert_int_equal(question_decode(&f->asked, f->wire.at, f->wire.len, false), QUESTION_ASK);
}

static void add(struct fixture *f, ldns_pkt_section section, const char *text)
{
	ldns_rr *rr = NULL;
	if (f->found == NULL)
		f->found = ldns_pkt_new();
	assert_int_equal(ldns_rr_new_frm_str(&rr, text, 60, NULL, NULL), LDNS_STATUS_OK);
	assert_true(ldns_pkt_push_rr(f->found, section, rr));
}

/* What libunbound found, in its result. */
static void find(struct fixture *f, int rcode)
{
	free(f->packet);
	f->packet = NULL;
	assert_int_equal(ldns_pkt2wire(&f->packet, f->found, &f->packet_len), LDNS_STATUS_OK);
	f->result = (struct ub_result){ .rcode = rcode, .answer_packet = f->packet, .answer_len = (int)f->packet_len };
}

/* An address with its signature, the zone's name server with its address, and what proves something. */
static void find_signed(struct fixture *f)
{
	static const char *const signature = " 60 IN RRSIG A 13 3 60 20300101000000 20200101000000 1 example. AAAA";
	char text[200];
	add(f, LDNS_SECTION_ANSWER, "www.example. 60 IN A 192.0.2.1");
	snprintf(text, sizeof(text), "www.example.%s", signature);
	add(f, LDNS_SECTION_ANSWER, text);
	add(f, LDNS_SECTION_AUTHORITY, "example. 60 IN NS ns.example.");
	add(f, LDNS_SECTION_AUTHORITY, "a.example. 60 IN NSEC b.example. A RRSIG NSEC");
	add(f, LDNS_SECTION_ADDITIONAL, "ns.example. 60 IN A 192.0.2.53");
	find(f, LDNS_RCODE_NOERROR);
}

/* The whole answer, as a client gets it: its own question, then the body. */
static ldns_pkt *answer(const struct fixture *f)
{
	static uint8_t message[65535];
	size_t head = DNS_HEADER_LEN + f->asked.question_len;
	const unsigned counts[4] = { 1, f->q.ancount, f->q.nscount, f->q.arcount };
	ldns_pkt *p = NULL;
	memcpy(message, f->wire.at, head);
	for (unsigned i = 0; i < 4; i++) {
		message[4 + 2 * i] = (uint8_t)(counts[i] >> 8);
		message[5 + 2 * i] = (uint8_t)counts[i];
	}
	if (f->q.body_len > 0)
		memcpy(message + head, f->q.body, f->q.body_len);
	assert_int_equal(ldns_wire2pkt(&p, message, head + f->q.body_len), LDNS_STATUS_OK);
	return p;
}

static void expect_counts(const struct fixture *f, unsigned an, unsigned ns, unsigned ar)
{
	assert_int_equal(f->q.rcode, RCODE_NOERROR);
	assert_int_equal(f->q.ede, EDE_NONE);
	assert_int_equal(f->q.ancount, an);
	assert_int_equal(f->q.nscount, ns);
	assert_int_equal(f->q.arcount, ar);
	ldns_pkt *p = answer(f);
	assert_int_equal(ldns_pkt_ancount(p), an);
	ldns_pkt_free(p);
}

static void expect_failure(const struct fixture *f, int ede)
{
	assert_int_equal(f->q.rcode, RCODE_SERVFAIL);
	assert_int_equal(f->q.ede, ede);
	assert_non_null(f->q.ede_text);
	assert_null(f->q.body);
	assert_int_equal(f->q.ancount + f->q.nscount + f->q.arcount, 0);
	assert_false(f->q.authentic);
}

static void records_of_dnssec_are_for_those_who_want_them(void **state)
{
	struct fixture *f = *state;
	find_signed(f);
	ask(f, "www.example", RR_A, false);
	forward_answer_fill(&f->q, &f->asked, &f->result);
	expect_counts(f, 1, 1, 1);
	mem_free(f->q.body);
	f->q = (struct forward_query){ .ede = 1 };
	ask(f, "www.example", RR_A, true);
	forward_answer_fill(&f->q, &f->asked, &f->result);
	expect_counts(f, 2, 2, 1);
}

static void who_asks_for_a_record_of_dnssec_gets_it(void **state)
{
	struct fixture *f = *state;
	static const unsigned types[] = { LDNS_RR_TYPE_NSEC, RR_ANY };
	add(f, LDNS_SECTION_ANSWER, "a.example. 60 IN NSEC b.example. A RRSIG NSEC");
	find(f, LDNS_RCODE_NOERROR);
	for (size_t i = 0; i < 2; i++) {
		ask(f, "a.example", types[i], false);
		forward_answer_fill(&f->q, &f->asked, &f->result);
		expect_counts(f, 1, 0, 0);
		mem_free(f->q.body);
		f->q.body = NULL;
	}
}

static void names_are_spelt_as_the_client_did_and_compressed(void **state)
{
	struct fixture *f = *state;
	find_signed(f);
	ask(f, "wWw.eXample", RR_A, false);
	forward_answer_fill(&f->q, &f->asked, &f->result);
	expect_counts(f, 1, 1, 1);
	ldns_pkt *p = answer(f);
	char *owner = ldns_rdf2str(ldns_rr_owner(ldns_rr_list_rr(ldns_pkt_answer(p), 0)));
	assert_string_equal(owner, "wWw.eXample.");
	free(owner);
	ldns_pkt_free(p);
	assert_int_equal(f->q.body[0], 0xc0); /* the question's name, where it stands */
	assert_int_equal(f->q.body[1], DNS_HEADER_LEN);
}

static void an_absent_name_keeps_its_proof_and_its_code(void **state)
{
	struct fixture *f = *state;
	add(f, LDNS_SECTION_AUTHORITY, "example. 60 IN SOA ns.example. host.example. 1 60 60 60 60");
	find(f, LDNS_RCODE_NXDOMAIN);
	ask(f, "absent.example", RR_A, false);
	forward_answer_fill(&f->q, &f->asked, &f->result);
	assert_int_equal(f->q.rcode, RCODE_NXDOMAIN);
	assert_int_equal(f->q.nscount, 1);
}

static void only_what_validates_is_authentic(void **state)
{
	struct fixture *f = *state;
	find_signed(f);
	ask(f, "www.example", RR_A, false);
	forward_answer_fill(&f->q, &f->asked, &f->result);
	assert_false(f->q.authentic);
	mem_free(f->q.body);
	f->q = (struct forward_query){ 0 };
	f->result.secure = 1;
	forward_answer_fill(&f->q, &f->asked, &f->result);
	assert_true(f->q.authentic);
	mem_free(f->q.body);
	f->q = (struct forward_query){ 0 };
	f->result.secure = 0;
	f->result.bogus = 1;
	forward_answer_fill(&f->q, &f->asked, &f->result);
	expect_failure(f, 6);
}

static void an_answer_without_records_has_no_body(void **state)
{
	struct fixture *f = *state;
	f->found = ldns_pkt_new();
	find(f, LDNS_RCODE_NOERROR);
	ask(f, "nothing.example", RR_A, false);
	forward_answer_fill(&f->q, &f->asked, &f->result);
	expect_counts(f, 0, 0, 0);
	assert_int_equal(f->q.body_len, 0);
}

static void what_cannot_be_used_is_a_failure_with_its_reason(void **state)
{
	struct fixture *f = *state;
	find_signed(f);
	ask(f, "www.example", RR_A, false);
	static const int codes[] = { LDNS_RCODE_SERVFAIL, LDNS_RCODE_REFUSED, LDNS_RCODE_FORMERR };
	for (size_t i = 0; i < 3; i++) {
		f->result.rcode = codes[i];
		forward_answer_fill(&f->q, &f->asked, &f->result);
		expect_failure(f, EDE_NO_REACHABLE_AUTHORITY);
	}
	f->result.rcode = LDNS_RCODE_NOERROR;
	for (int len = -1; len < (int)f->packet_len; len++) { /* cut off anywhere */
		f->result.answer_len = len;
		forward_answer_fill(&f->q, &f->asked, &f->result);
		expect_failure(f, EDE_OTHER);
	}
	f->result.answer_packet = NULL;
	forward_answer_fill(&f->q, &f->asked, &f->result);
	expect_failure(f, EDE_OTHER);
}

static void without_memory_it_is_a_failure(void **state)
{
	struct fixture *f = *state;
	find_signed(f);
	ask(f, "www.example", RR_A, false);
	mem_fail_at(0);
	forward_answer_fill(&f->q, &f->asked, &f->result);
	assert_true(mem_fail_off());
	expect_failure(f, EDE_OTHER);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(records_of_dnssec_are_for_those_who_want_them, setup, teardown),
		cmocka_unit_test_setup_teardown(who_asks_for_a_record_of_dnssec_gets_it, setup, teardown),
		cmocka_unit_test_setup_teardown(names_are_spelt_as_the_client_did_and_compressed, setup, teardown),
		cmocka_unit_test_setup_teardown(an_absent_name_keeps_its_proof_and_its_code, setup, teardown),
		cmocka_unit_test_setup_teardown(only_what_validates_is_authentic, setup, teardown),
		cmocka_unit_test_setup_teardown(an_answer_without_records_has_no_body, setup, teardown),
		cmocka_unit_test_setup_teardown(what_cannot_be_used_is_a_failure_with_its_reason, setup, teardown),
		cmocka_unit_test_setup_teardown(without_memory_it_is_a_failure, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
