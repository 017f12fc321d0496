/* test_question.c - reading and judging messages, and the frame of their answers, without a socket: rows 1 to 10 of
 * the RCODE table and the matrix of measured servers (dns.md 2.5, 6.3), EDNS, sizes, every cut. */
#include "base/mem.h"
#include "base/random.h"
#include "dnsd/respond.h"
#include "tests/support/dns_wire.h"
#include "tests/support/stub_zones.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { DROPPED = -1, NAME = 1 /* the question is echoed */, OPT = 2 /* an OPT is last */, BARE = 0, STREAM = 4 };

static struct wire in;
static struct dns_counters counters;
static struct responder responder;
static struct exchange exchange;
static uint8_t out[DNS_MESSAGE_MAX];
static size_t out_len;

/* Answers @in from an exact-size block, so that a sanitizer sees one octet too many. Returns the whole RCODE. */
static int ask(bool stream)
{
	uint8_t *block = malloc(in.len > 0 ? in.len : 1);
	memcpy(block, in.at, in.len);
	out_len = respond_message(&responder, &exchange, block, in.len, stream ? TRANSPORT_TCP : TRANSPORT_UDP, out, stream ? sizeof out : 4096);
	free(block);
	if (out_len == 0)
		return DROPPED;
	assert_true(out_len >= 12);
	assert_true(wire_ldns_reads(out, out_len));
	assert_int_equal(wire_get16(out), WIRE_ID);
	assert_int_equal(out[2] & 0x80, 0x80);
	assert_int_equal(out[3] & 0xf0, 0); /* RA, Z, AD, CD */
	assert_int_equal(out[2] & 0x79, in.at[2] & 0x79); /* opcode and RD copied */
	int rcode = out[3] & 0xf;
	if (wire_has_opt_last(out, out_len) && out_len > 12) {
		for (size_t at = 12; at + 11 <= out_len; at++) /* the OPT: its fixed part is found from the end */
			if (out[at] == 0 && wire_get16(out + at + 1) == 41 &&
			    at + 11 + wire_get16(out + at + 9) == out_len)
				return rcode | out[at + 5] << 4;
	}
	return rcode;
}

static unsigned count_at(unsigned section)
{
	return wire_get16(out + 4 + 2 * section);
}

static const uint8_t *opt_of(void)
{
	for (size_t at = 12; at + 11 <= out_len; at++)
		if (out[at] == 0 && wire_get16(out + at + 1) == 41 && at + 11 + wire_get16(out + at + 9) == out_len)
			return out + at;
	fail_msg("no OPT");
	return NULL;
}

/* ---- the table: each row builds a message; every row is a sentence */

static void too_short(void)
{
	wire_query(&in, "a.test", RR_A);
	in.len = 11;
}
static void an_answer(void)
{
	wire_header(&in, 0x8000, 1, 0, 0, 0);
	wire_question(&in, "a.test", RR_A, 1);
}
static void header_only(void) { wire_header(&in, 0, 0, 0, 0, 0); }
static void question_missing(void) { wire_header(&in, 0, 1, 0, 0, 0); }
static void two_questions(void)
{
	wire_header(&in, 0, 2, 0, 0, 0);
	wire_question(&in, "a.test", RR_A, 1);
	wire_question(&in, "b.test", RR_A, 1);
}
static void no_question_but_cookie(void)
{
	wire_header(&in, 0, 0, 0, 0, 1);
	wire_opt(&in, 1232, 0, "\0\12\0\10abcdefgh", 12);
}
static void no_question_but_opt(void)
{
	wire_header(&in, 0, 0, 0, 0, 1);
	wire_opt(&in, 1232, 0, NULL, 0);
}
static void two_opts(void)
{
	wire_header(&in, 0, 1, 0, 0, 2);
	wire_question(&in, "a.test", RR_A, 1);
	wire_opt(&in, 1232, 0, NULL, 0);
	wire_opt(&in, 1232, 0, NULL, 0);
}
static void opt_owner_not_root(void)
{
	wire_header(&in, 0, 1, 0, 0, 1);
	wire_question(&in, "a.test", RR_A, 1);
	wire_rr(&in, "x", RR_OPT, 1232, 0, NULL, 0);
}
static void opt_not_last(void)
{
	wire_header(&in, 0, 1, 0, 0, 2);
	wire_question(&in, "a.test", RR_A, 1);
	wire_opt(&in, 1232, 0, NULL, 0);
	wire_rr(&in, "x.y", RR_TXT, 1, 0, "\1x", 2);
}
static void opt_in_authority(void)
{
	wire_header(&in, 0x2800, 1, 0, 1, 0); /* an UPDATE, which may have records there */
	wire_question(&in, "a.test", RR_SOA, 1);
	wire_opt(&in, 1232, 0, NULL, 0);
}
static void options(const char *bytes, unsigned len) { wire_query_edns(&in, "a.test", RR_A, 1232, bytes, len); }
static void cookie_8(void) { options("\0\12\0\10abcdefgh", 12); }
static void cookie_9(void) { options("\0\12\0\11abcdefghi", 13); }
static void cookie_15(void) { options("\0\12\0\17abcdefghijklmno", 19); }
static void cookie_16(void) { options("\0\12\0\20abcdefghijklmnop", 20); }
static void cookie_40(void) { options("\0\12\0\50abcdefghijklmnopqrstabcdefghijklmnopqrst", 44); }
static void cookie_41(void) { options("\0\12\0\51abcdefghijklmnopqrstabcdefghijklmnopqrstu", 45); }
static void ecs_good(void) { options("\0\10\0\7\0\1\30\0\300\0\2", 11); }
static void ecs_empty(void) { options("\0\10\0\4\0\1\0\0", 8); }
static void ecs_family_0(void) { options("\0\10\0\4\0\0\0\0", 8); }
static void ecs_family_3(void) { options("\0\10\0\7\0\3\30\0\300\0\2", 11); }
static void ecs_trailing_bits(void) { options("\0\10\0\7\0\1\27\0\300\0\3", 11); }
static void ecs_too_few(void) { options("\0\10\0\6\0\1\30\0\300\0", 10); }
static void ecs_too_many(void) { options("\0\10\0\10\0\1\30\0\300\0\2\0", 12); }
static void ecs_prefix_33(void) { options("\0\10\0\11\0\1\41\0\300\0\2\0\0", 13); }
static void ecs_scope(void) { options("\0\10\0\7\0\1\30\30\300\0\2", 11); }
static void ecs_three(void) { options("\0\10\0\3\0\1\30", 7); }
static void option_overrun(void) { options("\0\144\0\10abc", 7); }
static void option_half_head(void) { options("\0\144\0", 3); }
static void option_unknown(void) { options("\0\144\0\3abc", 7); }
static void edns_size_1(void) { wire_query_edns(&in, "a.test", RR_A, 1, NULL, 0); }
static void edns_flags(uint32_t ttl)
{
	wire_header(&in, 0, 1, 0, 0, 1);
	wire_question(&in, "a.test", RR_A, 1);
	wire_opt(&in, 1232, ttl, NULL, 0);
}
static void edns_version_1(void) { edns_flags(0x10000); }
static void edns_version_1_options(void)
{
	wire_header(&in, 0, 1, 0, 0, 1);
	wire_question(&in, "a.test", RR_A, 1);
	wire_opt(&in, 1232, 0x10000, "\0\144\0", 3);
}
static void trailing_octets(void)
{
	wire_query(&in, "a.test", RR_A);
	wire_u8(&in, 0);
}
static void record_missing(void)
{
	wire_header(&in, 0, 1, 0, 0, 1);
	wire_question(&in, "a.test", RR_A, 1);
}
static void opcode(unsigned n)
{
	wire_header(&in, n << 11, 1, 0, 0, 0);
	wire_question(&in, "a.test", RR_SOA, 1);
}
static void opcode_status(void) { opcode(2); }
static void opcode_15(void) { opcode(15); }
static void opcode_15_header(void) { wire_header(&in, 15 << 11, 0, 0, 0, 0); }
static void opcode_15_garbage(void)
{
	wire_header(&in, 15 << 11, 1, 1, 1, 1);
	wire_put(&in, "\377\377\377", 3);
}
static void opcode_status_edns(void)
{
	wire_header(&in, 2 << 11, 1, 0, 0, 1);
	wire_question(&in, "a.test", RR_SOA, 1);
	wire_opt(&in, 1232, 0, NULL, 0);
}
static void dso(void) { wire_header(&in, 6 << 11, 0, 0, 0, 0); }
static void update(void) { opcode(5); }
static void update_with_records(void)
{
	wire_header(&in, 5 << 11, 1, 1, 1, 0);
	wire_question(&in, "a.test", RR_SOA, 1);
	wire_rr(&in, "x.a.test", RR_ANY, 255, 0, NULL, 0);
	wire_rr(&in, "x.a.test", RR_A, 1, 5, "\12\0\0\1", 4);
}
static void notify(void) { opcode(4); }
static void classed(const char *name, unsigned type, unsigned rr_class)
{
	wire_header(&in, 0, 1, 0, 0, 0);
	wire_question(&in, name, type, rr_class);
}
static void class_any(void) { classed("a.test", RR_A, 255); }
static void class_none(void) { classed("a.test", RR_A, 254); }
static void class_hesiod(void) { classed("a.test", RR_A, 4); }
static void class_0(void) { classed("a.test", RR_A, 0); }
static void chaos_other(void) { classed("other.bind", RR_TXT, 3); }
static void typed(unsigned type) { wire_query(&in, "a.test", type); }
static void type_0(void) { typed(0); }
static void type_opt(void) { typed(RR_OPT); }
static void type_nxname(void) { typed(RR_NXNAME); }
static void type_tkey(void) { typed(RR_TKEY); }
static void type_tsig(void) { typed(RR_TSIG); }
static void type_mailb(void) { typed(RR_MAILB); }
static void type_maila(void) { typed(RR_MAILA); }
static void type_1000(void) { typed(1000); }
static void axfr(void) { typed(RR_AXFR); }
static void ixfr(void) { typed(RR_IXFR); }
static void soa_rr(void)
{
	wire_rr(&in, "a.test", RR_SOA, 1, 0, "\0\0\0\0\0\1\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 22);
}
static void ixfr_with_soa(void)
{
	wire_header(&in, 0, 1, 0, 1, 0);
	wire_question(&in, "a.test", RR_IXFR, 1);
	soa_rr();
}
static void authority_in_query(void)
{
	wire_header(&in, 0, 1, 0, 1, 0);
	wire_question(&in, "a.test", RR_A, 1);
	soa_rr();
}
static void answer_in_query(void)
{
	wire_header(&in, 0, 1, 1, 0, 1);
	wire_question(&in, "a.test", RR_A, 1);
	wire_rr(&in, "a.test", RR_A, 1, 5, "\12\0\0\1", 4);
	wire_opt(&in, 1232, 0, NULL, 0);
}
static void flags(unsigned bits)
{
	wire_header(&in, bits, 1, 0, 0, 0);
	wire_question(&in, "a.test", RR_A, 1);
}
static void flags_cd_ad_z(void) { flags(0x70); }
static void flags_aa_tc_ra(void) { flags(0x0680); }
static void flags_rd(void) { flags(0x0100); }
static void rcode_in_query(void) { flags(5); }
static void outside(void) { wire_query(&in, "a.example", RR_A); }
static void root_ns(void) { wire_query(&in, "", RR_NS); }
static void nothing(void) { wire_query(&in, "nx.test", RR_A); }
static void not_ready(void) { wire_query(&in, "wait.test", RR_A); }
static void pointer_in_question(void)
{
	wire_header(&in, 0, 1, 0, 0, 0);
	wire_put(&in, "\1a\300\14\0\1\0\1", 8);
}
static void label_type(unsigned octet)
{
	wire_header(&in, 0, 1, 0, 0, 0);
	wire_u8(&in, octet);
	for (int i = 0; i < 80; i++)
		wire_u8(&in, 'a');
	wire_put(&in, "\0\0\1\0\1", 5);
}
static void label_64(void) { label_type(0x40); }
static void label_128(void) { label_type(0x80); }
static void name_of(unsigned labels_of_63, unsigned last)
{
	wire_header(&in, 0, 1, 0, 0, 0);
	for (unsigned i = 0; i <= labels_of_63; i++) {
		unsigned len = i < labels_of_63 ? 63 : last;
		wire_u8(&in, len);
		for (unsigned j = 0; j < len; j++)
			wire_u8(&in, 'X');
	}
	wire_put(&in, "\0\0\1\0\1", 5);
}
static void name_255(void) { name_of(3, 61); }
static void name_256(void) { name_of(3, 62); }
static void labels_127(void)
{
	wire_header(&in, 0, 1, 0, 0, 0);
	for (int i = 0; i < 127; i++)
		wire_put(&in, "\1a", 2);
	wire_put(&in, "\0\0\1\0\1", 5);
}
static void labels_128(void)
{
	wire_header(&in, 0, 1, 0, 0, 0);
	for (int i = 0; i < 128; i++)
		wire_put(&in, "\1a", 2);
	wire_put(&in, "\0\0\1\0\1", 5);
}
static void additional_pointer_loop(void)
{
	wire_header(&in, 0, 1, 0, 0, 1);
	wire_question(&in, "a.test", RR_A, 1);
	wire_u16(&in, 0xc000 | (unsigned)in.len); /* to itself: skipped, not followed */
	wire_put(&in, "\0\20\0\1\0\0\0\0\0\0", 10);
}
static void tsig_not_last(void)
{
	wire_header(&in, 0, 1, 0, 0, 2);
	wire_question(&in, "a.test", RR_A, 1);
	wire_rr(&in, "key", RR_TSIG, 255, 0, "x", 1);
	wire_opt(&in, 1232, 0, NULL, 0);
}
static void tsig_unknown(void)
{
	wire_header(&in, 0, 1, 0, 0, 1);
	wire_question(&in, "a.test", RR_A, 1);
	wire_rr(&in, "key", RR_TSIG, 255, 0, "x", 1);
}

static const struct row {
	const char *name;
	void (*build)(void);
	int rcode;
	int parts;	/* NAME, OPT */
	unsigned answers;
} rows[] = {
	{ "11 octets", too_short, DROPPED, BARE, 0 },
	{ "QR set", an_answer, DROPPED, BARE, 0 },
	{ "QDCOUNT 0", header_only, RCODE_FORMERR, BARE, 0 },
	{ "QDCOUNT 0 with OPT", no_question_but_opt, RCODE_FORMERR, OPT, 0 },
	{ "QDCOUNT 0 with a cookie", no_question_but_cookie, RCODE_NOERROR, OPT, 0 },
	{ "a question missing", question_missing, RCODE_FORMERR, BARE, 0 },
	{ "QDCOUNT 2", two_questions, RCODE_FORMERR, BARE, 0 },
	{ "two OPT", two_opts, RCODE_FORMERR, NAME | OPT, 0 },
	{ "OPT owner", opt_owner_not_root, RCODE_FORMERR, NAME, 0 },
	{ "OPT not last", opt_not_last, RCODE_NOERROR, NAME | OPT, 1 },
	{ "OPT in authority", opt_in_authority, RCODE_FORMERR, NAME, 0 },
	{ "cookie 8", cookie_8, RCODE_NOERROR, NAME | OPT, 1 },
	{ "cookie 9", cookie_9, RCODE_FORMERR, NAME | OPT, 0 },
	{ "cookie 15", cookie_15, RCODE_FORMERR, NAME | OPT, 0 },
	{ "cookie 16", cookie_16, RCODE_NOERROR, NAME | OPT, 1 },
	{ "cookie 40", cookie_40, RCODE_NOERROR, NAME | OPT, 1 },
	{ "cookie 41", cookie_41, RCODE_FORMERR, NAME | OPT, 0 },
	{ "ECS", ecs_good, RCODE_NOERROR, NAME | OPT, 1 },
	{ "ECS empty", ecs_empty, RCODE_NOERROR, NAME | OPT, 1 },
	{ "ECS family 0", ecs_family_0, RCODE_NOERROR, NAME | OPT, 1 },
	{ "ECS family 3", ecs_family_3, RCODE_FORMERR, NAME | OPT, 0 },
	{ "ECS trailing bits", ecs_trailing_bits, RCODE_FORMERR, NAME | OPT, 0 },
	{ "ECS too few", ecs_too_few, RCODE_FORMERR, NAME | OPT, 0 },
	{ "ECS too many", ecs_too_many, RCODE_FORMERR, NAME | OPT, 0 },
	{ "ECS prefix 33", ecs_prefix_33, RCODE_FORMERR, NAME | OPT, 0 },
	{ "ECS scope", ecs_scope, RCODE_FORMERR, NAME | OPT, 0 },
	{ "ECS of three octets", ecs_three, RCODE_FORMERR, NAME | OPT, 0 },
	{ "option overrun", option_overrun, RCODE_FORMERR, NAME | OPT, 0 },
	{ "half an option", option_half_head, RCODE_FORMERR, NAME | OPT, 0 },
	{ "unknown option", option_unknown, RCODE_NOERROR, NAME | OPT, 1 },
	{ "EDNS size 1", edns_size_1, RCODE_NOERROR, NAME | OPT, 1 },
	{ "EDNS version 1", edns_version_1, RCODE_BADVERS, NAME | OPT, 0 },
	{ "EDNS version 1, odd options", edns_version_1_options, RCODE_BADVERS, NAME | OPT, 0 },
	{ "octets left over", trailing_octets, RCODE_FORMERR, NAME, 0 },
	{ "record missing", record_missing, RCODE_FORMERR, NAME, 0 },
	{ "opcode STATUS", opcode_status, RCODE_NOTIMP, NAME, 0 },
	{ "opcode STATUS with EDNS", opcode_status_edns, RCODE_NOTIMP, NAME | OPT, 0 },
	{ "opcode 15", opcode_15, RCODE_NOTIMP, NAME, 0 },
	{ "opcode 15, header only", opcode_15_header, RCODE_NOTIMP, BARE, 0 },
	{ "opcode 15, garbage", opcode_15_garbage, RCODE_NOTIMP, BARE, 0 },
	{ "DSO", dso, RCODE_NOTIMP, BARE, 0 },
	{ "UPDATE", update, RCODE_REFUSED, NAME, 0 },
	{ "UPDATE with records", update_with_records, RCODE_REFUSED, NAME, 0 },
	{ "NOTIFY", notify, RCODE_NOTAUTH, NAME, 0 },
	{ "class ANY", class_any, RCODE_NOERROR, NAME, 1 },
	{ "class NONE", class_none, RCODE_REFUSED, NAME, 0 },
	{ "class HS", class_hesiod, RCODE_REFUSED, NAME, 0 },
	{ "class 0", class_0, RCODE_REFUSED, NAME, 0 },
	{ "CHAOS", chaos_other, RCODE_REFUSED, NAME, 0 },
	{ "type 0", type_0, RCODE_FORMERR, NAME, 0 },
	{ "type OPT", type_opt, RCODE_FORMERR, NAME, 0 },
	{ "type NXNAME", type_nxname, RCODE_FORMERR, NAME, 0 },
	{ "type TKEY", type_tkey, RCODE_FORMERR, NAME, 0 },
	{ "type TSIG", type_tsig, RCODE_FORMERR, NAME, 0 },
	{ "type MAILB", type_mailb, RCODE_FORMERR, NAME, 0 },
	{ "type MAILA", type_maila, RCODE_FORMERR, NAME, 0 },
	{ "type 1000", type_1000, RCODE_NOERROR, NAME, 0 },
	{ "AXFR on UDP", axfr, RCODE_FORMERR, NAME, 0 },
	{ "AXFR on TCP", axfr, DROPPED, NAME | STREAM, 0 }, /* a transfer: not answered here */
	{ "IXFR on UDP without SOA", ixfr, RCODE_FORMERR, NAME, 0 },
	{ "IXFR on UDP", ixfr_with_soa, RCODE_NOERROR, NAME, 0 },
	{ "IXFR on TCP", ixfr_with_soa, DROPPED, NAME | STREAM, 0 },
	{ "NSCOUNT 1", authority_in_query, RCODE_FORMERR, NAME, 0 },
	{ "ANCOUNT 1", answer_in_query, RCODE_FORMERR, NAME | OPT, 0 },
	{ "CD, AD, Z", flags_cd_ad_z, RCODE_NOERROR, NAME, 1 },
	{ "AA, TC, RA", flags_aa_tc_ra, RCODE_NOERROR, NAME, 1 },
	{ "RD", flags_rd, RCODE_NOERROR, NAME, 1 },
	{ "RCODE 5 in the query", rcode_in_query, RCODE_NOERROR, NAME, 1 },
	{ "out of zone", outside, RCODE_REFUSED, NAME, 0 },
	{ ". NS", root_ns, RCODE_REFUSED, NAME, 0 },
	{ "NXDOMAIN", nothing, RCODE_NXDOMAIN, NAME, 0 },
	{ "not ready", not_ready, RCODE_SERVFAIL, NAME, 0 },
	{ "pointer in the question", pointer_in_question, RCODE_FORMERR, BARE, 0 },
	{ "label type 01", label_64, RCODE_FORMERR, BARE, 0 },
	{ "label type 10", label_128, RCODE_FORMERR, BARE, 0 },
	{ "name of 255 octets", name_255, RCODE_REFUSED, NAME, 0 },
	{ "name of 256 octets", name_256, RCODE_FORMERR, BARE, 0 },
	{ "127 labels", labels_127, RCODE_REFUSED, NAME, 0 },
	{ "128 labels", labels_128, RCODE_FORMERR, BARE, 0 },
	{ "pointer loop behind the question", additional_pointer_loop, RCODE_NOERROR, NAME, 1 },
	{ "TSIG not last", tsig_not_last, RCODE_FORMERR, NAME, 0 },
	{ "TSIG of an unknown key", tsig_unknown, RCODE_NOTAUTH, NAME, 0 },
};

static void every_row_of_the_rcode_table_is_answered_as_written(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		const struct row *r = &rows[i];
		r->build();
		int rcode = ask((r->parts & STREAM) != 0);
		if (rcode != r->rcode)
			fail_msg("%s: rcode %d, not %d", r->name, rcode, r->rcode);
		if (rcode == DROPPED)
			continue;
		bool name = count_at(0) == 1, opt = wire_has_opt_last(out, out_len);
		if (name != ((r->parts & NAME) != 0) || opt != ((r->parts & OPT) != 0) || count_at(1) != r->answers)
			fail_msg("%s: question %d, OPT %d, %u answers", r->name, name, opt, count_at(1));
		size_t question = exchange.question.question_len;
		if (name && memcmp(out + 12, in.at + 12, question) != 0)
			fail_msg("%s: the question was changed", r->name);
	}
}

static void every_cut_of_a_valid_query_is_an_error_and_reads_nothing_beyond(void **state)
{
	(void)state;
	wire_query_edns(&in, "Some.Long-Name.svc.test", RR_A, 4096, "\0\12\0\10abcdefgh\0\10\0\7\0\1\30\0\300\0\2", 23);
	assert_int_equal(ask(false), RCODE_NOERROR);
	for (size_t whole = in.len; in.len > 0;) {
		in.len--;
		int rcode = ask(false);
		assert_int_equal(rcode, in.len < 12 ? DROPPED : RCODE_FORMERR);
		assert_true(in.len < whole);
	}
}

static void folding_touches_capital_letters_only(void **state)
{
	(void)state;
	struct rng r;
	rng_seed(&r, 7);
	for (int round = 0; round < 20000; round++) {
		size_t name_len = 0;
		wire_header(&in, 0, 1, 0, 0, 0);
		while (name_len < 180 && rng_below(&r, 6) != 0) {
			unsigned len = 1 + rng_below(&r, 63);
			wire_u8(&in, len);
			for (unsigned i = 0; i < len; i++)
				wire_u8(&in, rng_below(&r, 256));
			name_len += 1 + len;
		}
		wire_put(&in, "\0\0\1\0\1", 5);
		struct question q;
		memset(&q, 0xee, sizeof q);
		enum question_fate fate = question_decode(&q, in.at, in.len, false);
		if (name_len + 1 > 255) {
			assert_int_equal(fate, QUESTION_REPLY);
			continue;
		}
		assert_int_equal(fate, QUESTION_ASK);
		assert_int_equal(q.query.qname_len, name_len + 1);
		assert_ptr_equal(q.query.qname, in.at + 12);
		for (size_t i = 0; i <= name_len; i++) {
			uint8_t b = in.at[12 + i];
			assert_int_equal(q.query.name[i], b >= 'A' && b <= 'Z' ? b + 32 : b);
		}
		for (size_t i = 1; i <= 8; i++)
			assert_int_equal(q.query.name[name_len + i], 0);
		size_t at = 0;
		for (unsigned i = 0; i < q.query.labels; i++, at += 1u + in.at[12 + at])
			assert_int_equal(q.query.label_at[i], at);
		assert_int_equal(at, name_len);
	}
}

static void the_opt_says_our_size_and_copies_nothing_but_do(void **state)
{
	(void)state;
	edns_flags(0xffff); /* DO, CO and every Z bit */
	assert_int_equal(ask(false), RCODE_NOERROR);
	assert_int_equal(wire_get16(opt_of() + 3), 1232);
	assert_int_equal(wire_get16(opt_of() + 5), 0);
	assert_int_equal(wire_get16(opt_of() + 7), 0x8000);
	edns_flags(0x7fff);
	ask(false);
	assert_int_equal(wire_get16(opt_of() + 7), 0);
	option_unknown();
	ask(false);
	assert_int_equal(wire_get16(opt_of() + 9), 0);
	edns_version_1();
	ask(false);
	assert_int_equal(opt_of()[5], 1);
	assert_int_equal(opt_of()[6], 0);
	assert_int_equal(out[2] & 4, 0);
}

static void an_extended_error_is_told_to_who_speaks_edns(void **state)
{
	(void)state;
	static const struct {
		const char *name;
		unsigned type;
		int ede;
		const char *text;
	} cases[] = { { "wait.test", RR_A, EDE_NOT_READY, "the registry is being loaded" },
		      { "a.example", RR_A, EDE_NOT_AUTHORITATIVE, "no zone of this server" },
		      { "a.test", RR_NXNAME, EDE_INVALID_QUERY_TYPE, "no type that can be asked for" },
		      { "a.test", RR_AXFR, EDE_OTHER, "AXFR needs TCP, IXFR the SOA of the client's version" } };
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		wire_query_edns(&in, cases[i].name, cases[i].type, 1232, NULL, 0);
		ask(false);
		const uint8_t *o = opt_of();
		size_t len = strlen(cases[i].text);
		assert_int_equal(wire_get16(o + 9), 6 + len);
		assert_int_equal(wire_get16(o + 11), OPTION_EDE);
		assert_int_equal(wire_get16(o + 13), 2 + len);
		assert_int_equal(wire_get16(o + 15), cases[i].ede);
		assert_memory_equal(o + 17, cases[i].text, len);
	}
}

static void authority_bit_is_set_for_class_in_alone(void **state)
{
	(void)state;
	wire_query(&in, "a.test", RR_A);
	ask(false);
	assert_int_equal(out[2] & 4, 4);
	class_any();
	ask(false);
	assert_int_equal(out[2] & 4, 0);
}

static void what_does_not_fit_is_truncated_to_nothing(void **state)
{
	(void)state;
	static const struct {
		unsigned size; /* 0: no EDNS */
		bool cut;
	} sizes[] = { { 0, true }, { 1, true }, { 511, true }, { 512, true }, { 800, true }, { 1232, false },
		      { 4096, false }, { 65535, false } };
	for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
		if (sizes[i].size == 0)
			wire_query(&in, "a.test", RR_TXT);
		else
			wire_query_edns(&in, "a.test", RR_TXT, sizes[i].size, NULL, 0);
		assert_int_equal(ask(false), RCODE_NOERROR);
		assert_int_equal((out[2] & 2) != 0, sizes[i].cut);
		assert_int_equal(out[2] & 4, 4);
		assert_int_equal(count_at(1), sizes[i].cut ? 0 : 3);
		assert_int_equal(count_at(3), sizes[i].size != 0);
		assert_true(out_len <= (sizes[i].size < 512 ? 512 : sizes[i].size > 1232 ? 1232 : sizes[i].size));
		ask(true);
		assert_int_equal(count_at(1), 3); /* never on a stream */
	}
	/* The last octet decides: 24 of header and question, 3 records, an OPT. */
	unsigned whole = 12 + 12 + 3 * (12 + 251) + 11;
	wire_query_edns(&in, "a.test", RR_TXT, whole, NULL, 0);
	ask(false);
	assert_int_equal(out_len, whole);
	wire_query_edns(&in, "a.test", RR_TXT, whole - 1, NULL, 0);
	ask(false);
	assert_int_equal(out[2] & 2, 2);
}

static void keepalive_is_answered_on_streams_that_ask(void **state)
{
	(void)state;
	options("\0\13\0\0", 4);
	ask(false);
	assert_int_equal(wire_get16(opt_of() + 9), 0);
	ask(true);
	assert_int_equal(wire_get16(opt_of() + 9), 6);
	assert_int_equal(wire_get16(opt_of() + 11), OPTION_KEEPALIVE);
	assert_int_equal(wire_get16(opt_of() + 15), 100); /* 10 s */
	wire_query_edns(&in, "a.test", RR_A, 1232, NULL, 0);
	ask(true);
	assert_int_equal(wire_get16(opt_of() + 9), 0);
}

static void an_answer_built_in_place_is_the_same(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		rows[i].build();
		ask(false);
		static uint8_t place[4096];
		memset(place, 0xaa, sizeof place);
		memcpy(place, in.at, in.len);
		size_t len = respond_message(&responder, &exchange, place, in.len, TRANSPORT_UDP, place, sizeof place);
		assert_int_equal(len, out_len);
		assert_memory_equal(place, out, len);
	}
}

static void random_messages_get_readable_answers(void **state)
{
	(void)state;
	struct rng r;
	rng_seed(&r, 11);
	for (int round = 0; round < 100000; round++) {
		rows[rng_below(&r, sizeof rows / sizeof rows[0])].build();
		for (unsigned n = rng_below(&r, 4); n > 0 && in.len > 2; n--)
			in.at[2 + rng_below(&r, (uint32_t)in.len - 2)] = (uint8_t)rng_next(&r);
		bool answer = in.len >= 12 && (in.at[2] & 0x80) == 0;
		uint8_t *block = malloc(in.len);
		memcpy(block, in.at, in.len);
		size_t len = respond_message(&responder, &exchange, block, in.len, TRANSPORT_UDP, out, 4096);
		free(block);
		assert_int_equal(len > 0, answer); /* never silent */
		assert_true(len <= 1232);
		if (answer && !wire_ldns_reads(out, len))
			fail_msg("round %d: ldns cannot read the answer", round);
	}
}

static void ten_thousand_queries_ask_for_no_memory(void **state)
{
	(void)state;
	wire_query_edns(&in, "s01234.svc.test", RR_A, 1232, NULL, 0);
	uint64_t before = mem_thread_count();
	for (int i = 0; i < 10000; i++)
		respond_message(&responder, &exchange, in.at, in.len, i & 1 ? TRANSPORT_TCP : TRANSPORT_UDP, out, sizeof out);
	tally_flush(&responder.tally);
	assert_int_equal(mem_thread_count() - before, 0);
}

int main(void)
{
	dns_counters_declare(&counters);
	dns_counters_zones(&counters, NULL);
	responder_init(&responder, NULL, &counters, &(struct responder_conf){ .udp_size = 1232, .keepalive_ms = 10000 });
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_row_of_the_rcode_table_is_answered_as_written),
		cmocka_unit_test(every_cut_of_a_valid_query_is_an_error_and_reads_nothing_beyond),
		cmocka_unit_test(folding_touches_capital_letters_only),
		cmocka_unit_test(the_opt_says_our_size_and_copies_nothing_but_do),
		cmocka_unit_test(an_extended_error_is_told_to_who_speaks_edns),
		cmocka_unit_test(authority_bit_is_set_for_class_in_alone),
		cmocka_unit_test(what_does_not_fit_is_truncated_to_nothing),
		cmocka_unit_test(keepalive_is_answered_on_streams_that_ask),
		cmocka_unit_test(an_answer_built_in_place_is_the_same),
		cmocka_unit_test(random_messages_get_readable_answers),
		cmocka_unit_test(ten_thousand_queries_ask_for_no_memory),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
