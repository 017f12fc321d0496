/* test_static_zone.c - a zone file read, checked and laid out: what a record may look like, what is told of one that is
 * wrong, what is found afterwards; and the answers whose size must be known before they are written. */
#include "base/mem.h"
#include "tests/zones/zones_checks.h"
#include "zones/static_zone.h"
#include "zones/zone_file.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#define APEX "@ SOA ns1 host 1 2 3 4 5\n@ NS ns1\nns1 A 192.0.2.53\n"

struct fixture {
	char dir[32], path[64], other[64]; /* the zone's file, and one that it includes */
	struct text errors;
	struct static_zone *zone;
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	strcpy(f->dir, "/tmp/static-XXXXXX");
	if (mkdtemp(f->dir) == NULL)
		return 1;
	snprintf(f->path, sizeof(f->path), "%s/z", f->dir);
	snprintf(f->other, sizeof(f->other), "%s/o", f->dir);
	text_init(&f->errors);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	zone_file_free(f->zone);
	text_done(&f->errors);
	unlink(f->path);
	unlink(f->other);
	rmdir(f->dir);
	free(f);
	return 0;
}

static void file_write(const char *path, const char *text, size_t len)
{
	FILE *out = fopen(path, "w");
	assert_non_null(out);
	assert_int_equal(fwrite(text, 1, len, out), len);
	assert_int_equal(fclose(out), 0);
}

/* The file as it stands, of zone "static.test". */
static int load_again(struct fixture *f)
{
	const struct zone_conf conf = { .name = "static.test", .layout = LAYOUT_STATIC, .file = f->path };
	struct static_zone *fresh = NULL;
	text_clear(&f->errors);
	int rc = zone_file_load(&fresh, &conf, &f->errors);
	assert_true((rc == E_OK) == (fresh != NULL));
	zone_file_free(f->zone);
	f->zone = fresh;
	return rc;
}

static int load_octets(struct fixture *f, const char *text, size_t len)
{
	file_write(f->path, text, len);
	return load_again(f);
}

static int load(struct fixture *f, const char *text)
{
	return load_octets(f, text, strlen(text));
}

/* Exactly this is told, "LINE: what", of the file with the apex in its first three lines. */
static void expect_error(struct fixture *f, const char *text, const char *wanted)
{
	char file[4096], line[512];
	snprintf(file, sizeof(file), "%s%s", APEX, text);
	assert_int_equal(load(f, file), E_INVALID);
	snprintf(line, sizeof(line), "%s:%s\n", f->path, wanted);
	assert_string_equal(f->errors.at, line);
}

/* A name below the zone, in wire form without the root: "a.b". */
static size_t wire_of(uint8_t *to, const char *name)
{
	size_t len = 0;
	while (*name != '\0') {
		size_t n = strcspn(name, ".");
		to[len++] = (uint8_t)n;
		memcpy(to + len, name, n);
		len += n;
		name += n + (name[n] == '.');
	}
	return len;
}

static const struct static_node *node(const struct fixture *f, const char *name)
{
	uint8_t wire[300];
	return static_find(f->zone, wire, wire_of(wire, name));
}

static const struct static_set *set(const struct fixture *f, const char *name, unsigned type)
{
	const struct static_node *n = node(f, name);
	return n == NULL ? NULL : static_set_find(f->zone, n, type);
}

/* ---- reading */

static void fields_before_the_type_come_in_any_order_and_are_remembered(void **state)
{
	struct fixture *f = *state;
	assert_int_equal(load(f, "$TTL 1h30m ; a comment\n" APEX "a IN 60 A 192.0.2.1\nb 2D in A 192.0.2.1\nc A 192.0.2.1\n"
				 "\tAAAA ::1\n$ORIGIN sub\nd A 192.0.2.1\n@ A 192.0.2.2\n$TTL 7\ne.static.test. A 192.0.2.1\r\n"
				 "\n   \n; nothing\nf ( 5\n IN ) A (192.0.2.1\n)"), E_OK);
	static const struct { const char *name; uint32_t ttl; } wanted[] = {
		{ "ns1", 5400 }, { "a", 60 }, { "b", 172800 }, { "c", 5400 }, { "d.sub", 5400 }, { "sub", 5400 }, { "e", 7 }, { "f.sub", 5 },
	};
	for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++) {
		const struct static_set *s = set(f, wanted[i].name, RR_A);
		if (s == NULL || s->ttl != wanted[i].ttl || s->count != 1)
			fail_msg("%s: %u", wanted[i].name, s == NULL ? 0 : s->ttl);
	}
	assert_non_null(set(f, "c", RR_AAAA));
	assert_int_equal(zone_file_records(f->zone), 11);
}

static void without_a_ttl_it_is_an_hour_and_the_largest_is_31_bits(void **state)
{
	struct fixture *f = *state;
	assert_int_equal(load(f, APEX "a 2147483647 A 192.0.2.1\nb 0 A 192.0.2.1\nc 24855d3h14m7s A 192.0.2.1\n"), E_OK);
	assert_int_equal(set(f, "ns1", RR_A)->ttl, 3600);
	assert_int_equal(set(f, "a", RR_A)->ttl, INT32_MAX);
	assert_int_equal(set(f, "b", RR_A)->ttl, 0);
	assert_int_equal(set(f, "c", RR_A)->ttl, INT32_MAX);
	static const char *const bad[] = { "2147483648", "24855d3h14m8s", "4294967296", "1x", "1hm", "99999999999999999999" };
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		char text[100], told[100];
		snprintf(text, sizeof(text), "a %s A 192.0.2.1\n", bad[i]);
		snprintf(told, sizeof(told), "4: \"%s\" is no TTL: 0 to 2147483647 seconds, or 1h30m", bad[i]);
		expect_error(f, text, told);
	}
	expect_error(f, "$TTL\n", "4: $TTL \"\": 0 to 2147483647 seconds, or 1h30m");
	expect_error(f, "$TTL x1\n", "4: $TTL \"x1\": 0 to 2147483647 seconds, or 1h30m");
}

static void what_cannot_be_read_is_told_with_its_line(void **state)
{
	struct fixture *f = *state;
	static const char *const wrong[][2] = {
		{ "a A 192.0.2.1 )\n", "4: a closing parenthesis without an opening one" },
		{ "a TXT ( \"x\n", "4: a quoted string does not end on its line" },
		{ "\n\na TXT ( x\n", "6: a parenthesis is not closed" },
		{ "a 60 IN\n", "4: a record without a type" },
		{ "a 60 IN 60 A 192.0.2.1\n", "4: a record without a type" },
		{ "a CLASS3 A 192.0.2.1\n", "4: class CLASS3: zones are of class IN" },
		{ "a HS A 192.0.2.1\n", "4: class HS: zones are of class IN" },
		{ "a ANY x\n", "4: \"ANY\" is no type that a zone can have" },
		{ "a AXFR x\n", "4: \"AXFR\" is no type that a zone can have" },
		{ "a OPT x\n", "4: \"OPT\" is no type that a zone can have" },
		{ "a TYPE0 \\# 0\n", "4: \"TYPE0\" is no type that a zone can have" },
		{ "a TYPE65535 \\# 0\n", "4: \"TYPE65535\" is no type that a zone can have" },
		{ "$ORIGIN\n", "4: $ORIGIN needs a name" },
		{ "$INCLUDE\n", "4: $INCLUDE needs a file" },
		{ "$INCLUDE \"\"\n", "4: $INCLUDE needs a file" },
	};
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		expect_error(f, wrong[i][0], wrong[i][1]);
	expect_error(f, "$ORIGIN .\nx.static.test A 192.0.2.1\nxstatic.test A 192.0.2.1\n", "6: xstatic.test. does not lie in the zone");
}

static void a_nul_ends_the_line_and_reading_goes_on_behind_it(void **state)
{
	struct fixture *f = *state;
	char wanted[300];
	static const char text[] = APEX "a A \0 rest ( \" of it\nb A 1\n";
	assert_int_equal(load_octets(f, text, sizeof(text) - 1), E_INVALID);
	snprintf(wanted, sizeof(wanted), "%s:4: a NUL octet: this is no text\n%s:5: A: ", f->path, f->path);
	assert_true(strncmp(f->errors.at, wanted, strlen(wanted)) == 0);
}

static void the_text_of_one_record_has_a_limit(void **state)
{
	struct fixture *f = *state;
	enum { LIMIT = 65535 };
	static char text[LIMIT + 1000];
	char told[300];
	for (int over = 0; over < 2; over++) {
		size_t len = (size_t)sprintf(text, APEX "long TXT (  ; of these no octet counts\n"), head = strlen("long TXT    ");
		while (head < LIMIT + (size_t)over - 2) {
			text[len++] = ' ';
			head++;
		}
		len += (size_t)sprintf(text + len, "x)\nb A 192.0.2.1\n");
		assert_int_equal(load_octets(f, text, len), over ? E_INVALID : E_OK);
		snprintf(told, sizeof(told), "%s:4: the text of a record is longer than %d octets\n", f->path, LIMIT);
		assert_string_equal(f->errors.at, over ? told : "");
	}
}

static void a_hundred_errors_are_told_and_then_no_more(void **state)
{
	struct fixture *f = *state;
	char text[4000] = APEX, last[200];
	for (int i = 0; i < 150; i++)
		strcat(text, "a A x\n");
	assert_int_equal(load(f, text), E_INVALID);
	unsigned lines = 0;
	for (const char *at = f->errors.at; (at = strchr(at, '\n')) != NULL; at++)
		lines++;
	assert_int_equal(lines, STATIC_ERRORS_MAX + 1);
	snprintf(last, sizeof(last), "%s: these are the first 100 errors\n", f->path);
	assert_string_equal(f->errors.at + f->errors.len - strlen(last), last);
}

static void an_included_file_has_its_own_origin_and_leaves_the_others_as_they_were(void **state)
{
	struct fixture *f = *state;
	static const char inner[] = "  A 192.0.2.9\n@ A 192.0.2.1\n$ORIGIN deep\n$TTL 9\nx A 192.0.2.2\n";
	file_write(f->other, inner, sizeof(inner) - 1);
	assert_int_equal(load(f, "$TTL 60\n" APEX "$INCLUDE \"o\" sub\n  AAAA ::1\ny A 192.0.2.3\n"), E_OK);
	assert_int_equal(set(f, "sub", RR_A)->count, 1);
	assert_int_equal(set(f, "x.deep.sub", RR_A)->ttl, 9);
	assert_int_equal(set(f, "y", RR_A)->ttl, 60);
	assert_int_equal(set(f, "ns1", RR_A)->count, 2); /* whose name the included file began with */
	assert_non_null(set(f, "ns1", RR_AAAA));
}

/* ---- laid out */

static void equal_records_are_one_and_names_above_are_there(void **state)
{
	struct fixture *f = *state;
	assert_int_equal(load(f, APEX "WeB.a.b A 192.0.2.1\nweb.A.b A 192.0.2.1\nweb.a.b A 192.0.2.2\nweb.a.b TXT x\n"), E_OK);
	assert_int_equal(zone_file_records(f->zone), 6);
	assert_int_equal(set(f, "web.a.b", RR_A)->count, 2);
	assert_int_equal(set(f, "web.a.b", RR_A)->octets, 8);
	assert_int_equal(node(f, "a.b")->sets, 0);
	assert_int_equal(node(f, "b")->sets, 0);
	assert_null(node(f, "a"));
	assert_null(node(f, "web"));
	assert_null(node(f, "b.web"));
	assert_ptr_equal(node(f, ""), f->zone->nodes);
	assert_ptr_equal(f->zone->soa, set(f, "", RR_SOA));
	assert_ptr_equal(f->zone->ns, set(f, "", RR_NS));
	uint32_t at = 0;
	uint16_t len;
	assert_memory_equal(static_next(f->zone, set(f, "web.a.b", RR_A), &at, &len), "\300\0\2\1", 4);
	assert_memory_equal(static_next(f->zone, set(f, "web.a.b", RR_A), &at, &len), "\300\0\2\2", 4);
	assert_int_equal(at, 12);
	assert_int_equal(f->zone->node_count, 5);
}

static void nodes_know_what_takes_names_away_or_gives_them(void **state)
{
	struct fixture *f = *state;
	assert_int_equal(load(f, APEX "*.w A 192.0.2.1\n**.v A 192.0.2.1\n*x.u A 192.0.2.1\nsub NS ns1.elsewhere.\nc CNAME ns1\nd DNAME e\n"),
			 E_OK);
	static const struct { const char *name; uint8_t flags; } wanted[] = {
		{ "", 0 }, { "w", STATIC_WILD }, { "*.w", 0 }, { "v", 0 }, { "u", 0 }, { "sub", STATIC_CUT }, { "c", STATIC_CNAME }, { "d", STATIC_DNAME },
	};
	for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++)
		if (node(f, wanted[i].name)->flags != wanted[i].flags)
			fail_msg("%s: %u", wanted[i].name, node(f, wanted[i].name)->flags);
}

static void records_are_held_against_each_other(void **state)
{
	struct fixture *f = *state;
	static const char *const right[] = {
		"sub NS ns.other\nns.other TXT x\n",	/* not below it: the others may know */
		"sub NS x.sub\nx.sub AAAA ::1\n",
		"sub NS X.SUB\nx.sub AAAA ::1\n",
		"sub NS sub\nsub A 192.0.2.1\n",
		"d DNAME e\nd A 192.0.2.1\nxd A 192.0.2.1\n", /* beside it */
		"a A 192.0.2.1\na AAAA ::1\na TXT x\n",
		"a 60 A 192.0.2.1\na 70 AAAA ::1\n",
		"c CNAME a\nc CNAME a\n",
		"@ NS ns2.elsewhere.\n",
	};
	static const char *const wrong[][2] = {
		{ "sub NS x.sub\nx.sub TXT x\n", "4: sub.static.test. has a name server in the zone without an address" },
		{ "sub NS ns1\nsub NS x.sub\n", "5: sub.static.test. has a name server in the zone without an address" },
		{ "a.sub NS a.sub\n", "4: a.sub.static.test. has a name server in the zone without an address" },
		{ "@ NS ns2\n", "4: static.test. has a name server in the zone without an address" },
		{ "@ NS ns2\nns2 CNAME ns1\n", "4: static.test. has a name server that is a CNAME" },
		{ "sub NS c\nc CNAME ns1\n", "4: sub.static.test. has a name server that is a CNAME" },
		{ "d DNAME e\nd DNAME g\n", "5: d.static.test. has a second DNAME" },
		{ "d DNAME e\ny.x.d A 192.0.2.1\n", "5: y.x.d.static.test. lies below a DNAME" },
		{ "a 60 A 192.0.2.1\n\na 70 A 192.0.2.2\n", "6: a.static.test. has records of one type with different TTLs" },
		{ "a TXT x\na CNAME b\n", "5: a.static.test. has a CNAME and other data" },
		{ "a\\.b\\032c SOA b c 1 2 3 4 5\n", "4: a\\046b\\032c.static.test. has an SOA, which only the zone itself has" },
	};
	for (size_t i = 0; i < sizeof(right) / sizeof(right[0]); i++) {
		char text[300];
		snprintf(text, sizeof(text), APEX "%s", right[i]);
		if (load(f, text) != E_OK)
			fail_msg("%s: %s", right[i], f->errors.at);
	}
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		expect_error(f, wrong[i][0], wrong[i][1]);
	assert_int_equal(load(f, "a A 192.0.2.1\n"), E_INVALID);
	assert_non_null(strstr(f->errors.at, "z: the zone has no SOA, and its layout is static\n"));
	assert_non_null(strstr(f->errors.at, "z: the zone has no NS, and its layout is static\n"));
	assert_int_equal(load(f, ""), E_INVALID);
}

static void what_no_message_can_hold_is_refused(void **state)
{
	struct fixture *f = *state;
	static char text[200000];
	char told[300];
	for (int n = 3999; n <= 4001; n++) { /* 4 octets of data, and 12 besides */
		size_t len = (size_t)sprintf(text, APEX);
		for (int i = 0; i < n; i++)
			len += (size_t)sprintf(text + len, "a A 10.0.%d.%d\n", i / 250, i % 250);
		assert_int_equal(load_octets(f, text, len), n <= 4000 ? E_OK : E_INVALID);
		snprintf(told, sizeof(told), "%s:4: a.static.test. has more data of one type than a message can hold\n", f->path);
		assert_string_equal(f->errors.at, n <= 4000 ? "" : told);
	}
}

static void a_file_is_read_whole_or_not_at_all_whatever_memory_there_is(void **state)
{
	struct fixture *f = *state;
	assert_int_equal(load(f, APEX "$INCLUDE o\nx.y TXT \"a\"\n*.w MX 5 ns1\n"), E_INVALID);
	file_write(f->other, "o A 192.0.2.1\n", 14);
	unsigned nth = 0;
	for (;; nth++) {
		mem_fail_at(nth);
		int rc = load_again(f);
		if (!mem_fail_off()) {
			assert_int_equal(rc, E_OK);
			break;
		}
		assert_int_equal(rc, E_NOMEM);
	}
	assert_true(nth > 10);
}

/* ---- answers whose size is known before they are written */

static void two_zones(struct zone_set_conf *conf, struct zone_conf *zones)
{
	zones[1] = (struct zone_conf){ .name = "static.test", .layout = LAYOUT_STATIC };
	conf->zone_count = 2;
}

/* At every size an answer has all of @least records, or it is cut off and empty; and it is cut off only where it must be. */
static void expect_whole_or_cut(struct zones_fixture *z, const char *name, unsigned type, unsigned least)
{
	size_t whole = 0;
	z->ask.limit = 4000;
	struct asked *x = ask(&z->ask, name, type);
	const size_t most = x->len;
	assert_true(x->readable && !x->answer.tc);
	for (size_t limit = 60; limit <= most; limit++) {
		z->ask.limit = limit;
		struct asked *y = ask(&z->ask, name, type);
		unsigned all = y->answer.ancount + y->answer.nscount + y->answer.arcount;
		assert_true(y->readable);
		assert_true(y->len <= limit);
		assert_true(y->answer.tc ? all == 0 : all >= least);
		assert_false(y->answer.tc && whole > 0);
		if (!y->answer.tc && whole == 0) {
			whole = limit;
			assert_int_equal(y->len, limit); /* one octet less would not do */
			assert_int_equal(all, least);
		}
	}
	assert_true(whole > 0);
	z->ask.limit = 1221;
}

static void a_referral_has_all_of_its_glue_or_is_cut_off(void **state)
{
	struct fixture *f = *state;
	struct zones_fixture *z = fixture_new(two_zones);
	assert_int_equal(load(f, APEX "sub NS a.sub\nsub NS b.sub\nsub NS ns1\nsub NS ns.elsewhere.\n"
				      "a.sub A 192.0.2.1\na.sub A 192.0.2.2\na.sub TXT \"this is no address\"\nb.sub AAAA ::1\nb.sub A 192.0.2.3\n"),
			 E_OK);
	zone_set_file(z->zones, 1, f->zone);
	f->zone = NULL;
	expect_whole_or_cut(z, "x.sub.static.test", RR_A, 4 + 4);
	expect_whole_or_cut(z, "sub.static.test", RR_NS, 4 + 4);
	struct asked *x = ask(&z->ask, "x.sub.static.test", RR_A);
	assert_int_equal(x->answer.nscount, 4);
	assert_int_equal(x->answer.arcount, 5); /* and what is not below it, as there is room */
	fixture_free(z);
}

static void a_set_is_whole_or_cut_off_and_what_comes_along_is_not_needed(void **state)
{
	struct fixture *f = *state;
	struct zones_fixture *z = fixture_new(two_zones);
	assert_int_equal(load(f, APEX "m MX 1 a\nm MX 2 b\nm MX 3 c.elsewhere.\na A 192.0.2.1\nb A 192.0.2.2\nt TXT x y\nt TXT z\nc1 CNAME c2\n"
				      "c2 CNAME t\n"), E_OK);
	zone_set_file(z->zones, 1, f->zone);
	f->zone = NULL;
	expect_whole_or_cut(z, "m.static.test", RR_MX, 3);
	expect_whole_or_cut(z, "t.static.test", RR_TXT, 2);
	expect_whole_or_cut(z, "nothing.static.test", RR_TXT, 1);
	fixture_free(z);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(fields_before_the_type_come_in_any_order_and_are_remembered, setup, teardown),
		cmocka_unit_test_setup_teardown(without_a_ttl_it_is_an_hour_and_the_largest_is_31_bits, setup, teardown),
		cmocka_unit_test_setup_teardown(what_cannot_be_read_is_told_with_its_line, setup, teardown),
		cmocka_unit_test_setup_teardown(a_nul_ends_the_line_and_reading_goes_on_behind_it, setup, teardown),
		cmocka_unit_test_setup_teardown(the_text_of_one_record_has_a_limit, setup, teardown),
		cmocka_unit_test_setup_teardown(a_hundred_errors_are_told_and_then_no_more, setup, teardown),
		cmocka_unit_test_setup_teardown(an_included_file_has_its_own_origin_and_leaves_the_others_as_they_were, setup, teardown),
		cmocka_unit_test_setup_teardown(equal_records_are_one_and_names_above_are_there, setup, teardown),
		cmocka_unit_test_setup_teardown(nodes_know_what_takes_names_away_or_gives_them, setup, teardown),
		cmocka_unit_test_setup_teardown(records_are_held_against_each_other, setup, teardown),
		cmocka_unit_test_setup_teardown(what_no_message_can_hold_is_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(a_file_is_read_whole_or_not_at_all_whatever_memory_there_is, setup, teardown),
		cmocka_unit_test_setup_teardown(a_referral_has_all_of_its_glue_or_is_cut_off, setup, teardown),
		cmocka_unit_test_setup_teardown(a_set_is_whole_or_cut_off_and_what_comes_along_is_not_needed, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
