/* What the server says of itself: NSID and the names of class CHAOS. */
#include "tests/base/unit.h"
#include "dnsd/identity.h"
#include "dnsd/respond.h"
#include "tests/support/dns_wire.h"
#include <string.h>

static struct wire in;
static uint8_t out[4096];
static size_t out_len;
static struct dns_counters counters;
static struct responder responder;
static struct identity_slot slot;
static struct exchange exchange;

static void say(const char *nsid, const char *version)
{
	identity_free(atomic_load(&slot.now));
	atomic_store(&slot.now, identity_new(nsid, version));
}

/* Returns the RCODE. */
static unsigned ask(void)
{
	out_len = respond_message(&responder, &exchange, in.at, in.len, TRANSPORT_UDP, out, sizeof out);
	assert_true(out_len >= 12);
	assert_true(wire_ldns_reads(out, out_len));
	return out[3] & 15u;
}

static unsigned ask_chaos(const char *name, unsigned type)
{
	wire_header(&in, 0, 1, 0, 0, 0);
	wire_question(&in, name, type, QCLASS_CH);
	return ask();
}

/* The text of the one TXT record in the answer. */
static void assert_text(const char *text)
{
	size_t len = strlen(text);
	assert_int_equal(wire_get16(out + 6), 1);
	const uint8_t *rr = out + out_len - len - 13;
	assert_int_equal(wire_get16(rr), 0xc00c);
	assert_int_equal(wire_get16(rr + 2), RR_TXT);
	assert_int_equal(wire_get16(rr + 4), QCLASS_CH);
	assert_int_equal(wire_get16(rr + 6) | wire_get16(rr + 8), 0); /* TTL */
	assert_int_equal(wire_get16(rr + 10), len + 1);
	assert_int_equal(rr[12], len);
	assert_memory_equal(rr + 13, text, len);
}

static void the_names_of_class_chaos_are_answered(void **state)
{
	(void)state;
	say("dns-1", "Muster 9");
	assert_int_equal(ask_chaos("version.bind", RR_TXT), RCODE_NOERROR);
	assert_text("Muster 9");
	assert_int_equal(ask_chaos("VERSION.Server", RR_ANY), RCODE_NOERROR);
	assert_text("Muster 9");
	assert_int_equal(ask_chaos("id.server", RR_TXT), RCODE_NOERROR);
	assert_text("dns-1");
	assert_int_equal(ask_chaos("hostname.bind", RR_TXT), RCODE_NOERROR);
	assert_text("dns-1");
}

static void another_type_at_them_is_no_data(void **state)
{
	(void)state;
	say("dns-1", "Muster 9");
	assert_int_equal(ask_chaos("id.server", RR_A), RCODE_NOERROR);
	assert_int_equal(wire_get16(out + 6), 0);
}

static void what_is_hidden_and_all_else_of_class_chaos_is_refused(void **state)
{
	(void)state;
	say("dns-1", NULL);
	assert_int_equal(ask_chaos("version.bind", RR_TXT), RCODE_REFUSED);
	assert_int_equal(ask_chaos("id.server", RR_TXT), RCODE_NOERROR);
	say(NULL, "Muster 9");
	assert_int_equal(ask_chaos("id.server", RR_TXT), RCODE_REFUSED);
	assert_int_equal(ask_chaos("authors.bind", RR_TXT), RCODE_REFUSED);
	assert_int_equal(ask_chaos("id.server.test", RR_TXT), RCODE_REFUSED);
	assert_int_equal(ask_chaos("", RR_NS), RCODE_REFUSED);
}

/* Its data, NULL: the option is not there. */
static const uint8_t *option_of(unsigned code, size_t *len)
{
	assert_true(wire_has_opt_last(out, out_len));
	const uint8_t *opt = out + out_len - 11;
	for (; opt[0] != 0 || wire_get16(opt + 1) != RR_OPT || opt + 11 + wire_get16(opt + 9) != out + out_len; opt--)
		;
	for (const uint8_t *o = opt + 11; o < out + out_len; o += 4 + *len) {
		*len = wire_get16(o + 2);
		if (wire_get16(o) == code)
			return o + 4;
	}
	return NULL;
}

static void the_name_of_the_server_is_told_to_who_asks_for_it(void **state)
{
	(void)state;
	size_t len;
	say("dns-1", NULL);
	wire_query_edns(&in, "a.test", RR_A, 1232, "\0\3\0\0", 4);
	ask();
	const uint8_t *nsid = option_of(OPTION_NSID, &len);
	assert_non_null(nsid);
	assert_int_equal(len, 5);
	assert_memory_equal(nsid, "dns-1", 5);
	wire_query_edns(&in, "a.example", RR_A, 1232, "\0\3\0\0", 4); /* beside an error */
	assert_int_equal(ask(), RCODE_REFUSED);
	assert_non_null(option_of(OPTION_NSID, &len));
	assert_non_null(option_of(OPTION_EDE, &len));
	wire_query_edns(&in, "a.test", RR_A, 1232, NULL, 0);
	ask();
	assert_null(option_of(OPTION_NSID, &len));
	say(NULL, NULL);
	wire_query_edns(&in, "a.test", RR_A, 1232, "\0\3\0\0", 4);
	ask();
	assert_null(option_of(OPTION_NSID, &len));
}

static void the_longest_name_fits_beside_the_longest_question(void **state)
{
	(void)state;
	char text[IDENTITY_MAX + 2], name[256] = "";
	size_t len;
	memset(text, 'n', sizeof text);
	text[IDENTITY_MAX + 1] = '\0';
	say(text, text);
	for (int i = 0; i < 125; i++)
		strcat(name, "a.");
	strcat(name, "ab"); /* 254 octets on the wire */
	wire_query_edns(&in, name, RR_A, 512, "\0\3\0\0\0\13\0\0", 8);
	assert_int_equal(ask(), RCODE_REFUSED);
	assert_non_null(option_of(OPTION_NSID, &len));
	assert_int_equal(len, IDENTITY_MAX);
	assert_true(out_len <= 512);
}

int main(void)
{
	dns_counters_declare(&counters);
	dns_counters_zones(&counters, NULL);
	responder_init(&responder, NULL, &counters, &(struct responder_conf){ .udp_size = 1232, .keepalive_ms = 10000, .identity = &slot });
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_names_of_class_chaos_are_answered),
		cmocka_unit_test(another_type_at_them_is_no_data),
		cmocka_unit_test(what_is_hidden_and_all_else_of_class_chaos_is_refused),
		cmocka_unit_test(the_name_of_the_server_is_told_to_who_asks_for_it),
		cmocka_unit_test(the_longest_name_fits_beside_the_longest_question),
	};
	int failed = cmocka_run_group_tests(tests, NULL, NULL);
	identity_free(atomic_load(&slot.now));
	return failed;
}
