/* test_label.c - the label code of dns.md 1.4: worked examples, round trip, injectivity, legality. */
#include "base/random.h"
#include "zones/label.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static const struct example {
	enum label_kind kind;
	const char *raw, *label;
	enum label_tier tier;
} examples[] = {
	{ LABEL_SERVICE, "order-service", "order-service", LABEL_PLAIN },
	{ LABEL_GROUP, "DEFAULT_GROUP", "default", LABEL_PLAIN },
	{ LABEL_GROUP, "", "default", LABEL_PLAIN },
	{ LABEL_NAMESPACE, "", "public", LABEL_PLAIN },
	{ LABEL_NAMESPACE, "public", "public", LABEL_PLAIN },
	{ LABEL_NAMESPACE, "prod", "prod", LABEL_PLAIN },
	{ LABEL_NAMESPACE, "8f3c2d10-5b7e-4c7e-9a43-0c1d2e3f4a5b", "8f3c2d10-5b7e-4c7e-9a43-0c1d2e3f4a5b", LABEL_PLAIN },
	{ LABEL_GROUP, "pay", "pay", LABEL_PLAIN },
	{ LABEL_SERVICE, "OrderService", "e-1--qorder-qservice", LABEL_ESCAPED },
	{ LABEL_SERVICE, "ORDER_SERVICE", "e-1--worder-w-u-wservice", LABEL_ESCAPED },
	{ LABEL_SERVICE, "order_service", "e-1-order-uservice", LABEL_ESCAPED },
	{ LABEL_SERVICE, "com.acme.api.UserFacade", "e-1-com-oacme-oapi-o-quser-qfacade", LABEL_ESCAPED },
	{ LABEL_SERVICE, "providers:com.acme.OrderApi:1.0.0:blue",
	  "e-1-providers-kcom-oacme-o-qorder-qapi-k1-o0-o0-kblue", LABEL_ESCAPED },
	{ LABEL_GROUP, "default", "e-1-default", LABEL_ESCAPED },
	{ LABEL_CLUSTER, "default", "e-1-default", LABEL_ESCAPED },
	{ LABEL_SERVICE, "default", "default", LABEL_PLAIN },
	{ LABEL_GROUP, "PAY_GROUP", "e-1--wpay-w-u-wgroup", LABEL_ESCAPED },
	{ LABEL_SERVICE, "e-1-order", "e-1-e-h1-horder", LABEL_ESCAPED },
	{ LABEL_SERVICE, "ab--cd", "e-1-ab-h-hcd", LABEL_ESCAPED },
	{ LABEL_SERVICE, "xn--bcher-kva", "e-1-xn-h-hbcher-hkva", LABEL_ESCAPED },
	{ LABEL_SERVICE, "caf\xc3\xa9", "e-1-caf-xc3-xa9", LABEL_ESCAPED },
	{ LABEL_SERVICE, "b\xc3\xbc" "cher-Shop", "e-1-b-xc3-xbccher-h-qshop", LABEL_ESCAPED },
	{ LABEL_SERVICE, "com.acme.warehouse.replenishment.forecast.api.ForecastAggregationFacadeService:2.4.1",
	  "h-1-com-acme-warehouse-reple-gigd5j75kdn3a2bafgigdj6n2r989f8i", LABEL_HASHED },
	{ LABEL_NAMESPACE, "nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn",
	  "h-1-nnnnnnnnnnnnnnnnnnnnnnnn-gruod7oea8o6c550srqdkasheggs6vju", LABEL_HASHED },
	{ LABEL_CLUSTER, "hz-a", "hz-a", LABEL_PLAIN },
	{ LABEL_CLUSTER, "DEFAULT", "default", LABEL_PLAIN },
	{ LABEL_CLUSTER, "HZ_A", "e-1--qh-qz-u-qa", LABEL_ESCAPED },
};

static void the_worked_examples_hold(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(examples) / sizeof(examples[0]); i++) {
		const struct example *e = &examples[i];
		struct label l;
		char back[512];
		assert_int_equal(label_encode(&l, e->kind, e->raw, strlen(e->raw)), e->tier);
		assert_string_equal(l.text, e->label);
		assert_int_equal(l.len, strlen(e->label));
		int rc = label_decode(back, sizeof(back), e->kind, l.text, l.len);
		if (e->tier == LABEL_HASHED) {
			assert_int_equal(rc, E_UNSUPPORTED);
			continue;
		}
		assert_int_equal(rc, E_OK);
		if (e->raw[0] != '\0')
			assert_string_equal(back, e->raw);
	}
}

static void only_the_canonical_spelling_is_accepted(void **state)
{
	static const struct {
		enum label_kind kind;
		const char *label;
	} wrong[] = {
		{ LABEL_SERVICE, "e-1-order" },	       /* plain would do */
		{ LABEL_SERVICE, "e-1-" }, { LABEL_SERVICE, "e-1--" }, { LABEL_SERVICE, "e-1--z" },
		{ LABEL_SERVICE, "e-1--x4" }, { LABEL_SERVICE, "e-1--x2d" }, /* "-" is -h */
		{ LABEL_SERVICE, "e-1--x41" },	       /* "A" is -qa */
		{ LABEL_SERVICE, "e-1--qa-qb-qc" },    /* three are a run */
		{ LABEL_SERVICE, "e-1--wab" },	       /* two are not */
		{ LABEL_SERVICE, "e-1--wabc-w" },      /* closed at the end */
		{ LABEL_SERVICE, "e-1--wab1" }, { LABEL_SERVICE, "e-1--w" }, { LABEL_SERVICE, "e-1--w-w" },
		{ LABEL_SERVICE, "-a" }, { LABEL_SERVICE, "a-" }, { LABEL_SERVICE, "ab--c" },
		{ LABEL_SERVICE, "a--b" }, { LABEL_SERVICE, "a_b" }, { LABEL_SERVICE, "A" },
		{ LABEL_GROUP, "e-1--wdefault-w-u-wgroup" }, /* has a synonym */
		{ LABEL_NAMESPACE, "e-1-public" }, { LABEL_SERVICE, "e-1--x00" },
	};
	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		char back[100] = "untouched";
		assert_int_equal(label_decode(back, sizeof(back), wrong[i].kind, wrong[i].label,
					      strlen(wrong[i].label)), E_INVALID);
		assert_string_equal(back, "untouched");
	}
	char small[5];
	assert_int_equal(label_decode(small, sizeof(small), LABEL_SERVICE, "order", 5), E_RANGE);
	assert_int_equal(label_decode(small, sizeof(small), LABEL_SERVICE, "", 0), E_INVALID);
}

static bool legal(const struct label *l)
{
	if (l->len < 1 || l->len > LABEL_MAX || l->text[l->len] != '\0')
		return false;
	for (size_t i = 0; i < l->len; i++) {
		char c = l->text[i];
		if ((c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-')
			return false;
	}
	if (l->text[0] == '-' || l->text[l->len - 1] == '-')
		return false;
	if (l->len >= 4 && l->text[2] == '-' && l->text[3] == '-')
		return false;
	return l->len < 3 || l->text[1] != '-' || l->text[2] != '-'; /* behind "_" */
}

static size_t random_string(struct rng *r, char *to)
{
	static const char *const alphabets[] = { "ab-", "abzAZ019-_.:/@#", "eh1-qwxohu", "ABCDab", NULL };
	const char *alphabet = alphabets[rng_below(r, 5)];
	size_t len = 1 + rng_below(r, rng_below(r, 8) == 0 ? 90 : 14);
	for (size_t i = 0; i < len; i++)
		to[i] = alphabet == NULL ? (char)(1 + rng_below(r, 255))
					 : alphabet[rng_below(r, (uint32_t)strlen(alphabet))];
	to[len] = '\0';
	return len;
}

struct pairing {
	struct label label;
	char *raw;
};

static int compare_pairing(const void *a, const void *b)
{
	return strcmp(((const struct pairing *)a)->label.text, ((const struct pairing *)b)->label.text);
}

enum { STRINGS = 600000 };

static void random_strings_come_back_and_never_collide(void **state)
{
	struct pairing *all = calloc(STRINGS, sizeof(*all));
	struct rng r;
	(void)state;
	rng_seed(&r, 20261121);
	for (size_t i = 0; i < STRINGS; i++) {
		char raw[100], back[512];
		size_t len = random_string(&r, raw);
		enum label_kind kind = LABEL_SERVICE;
		enum label_tier tier = label_encode(&all[i].label, kind, raw, len);
		all[i].raw = strdup(raw);
		if (!legal(&all[i].label))
			fail_msg("illegal label %s", all[i].label.text);
		int rc = label_decode(back, sizeof(back), kind, all[i].label.text, all[i].label.len);
		if (tier == LABEL_HASHED ? rc != E_UNSUPPORTED : rc != E_OK || strcmp(back, raw) != 0)
			fail_msg("%s does not come back from %s", raw, all[i].label.text);
	}
	qsort(all, STRINGS, sizeof(*all), compare_pairing);
	for (size_t i = 1; i < STRINGS; i++)
		if (strcmp(all[i].label.text, all[i - 1].label.text) == 0)
			assert_string_equal(all[i].raw, all[i - 1].raw);
	for (size_t i = 0; i < STRINGS; i++)
		free(all[i].raw);
	free(all);
}

/* Whatever decodes is the canonical label of what it decodes to: one object, one label. */
static void random_labels_decode_to_what_encodes_to_them(void **state)
{
	struct rng r;
	unsigned accepted = 0;
	(void)state;
	rng_seed(&r, 3);
	for (unsigned i = 0; i < 400000; i++) {
		char text[100] = "e-1-", back[512];
		size_t start = rng_below(&r, 2) * 4, len = start + random_string(&r, text + start);
		enum label_kind kind = (enum label_kind)rng_below(&r, 5);
		struct label again;
		if (label_decode(back, sizeof(back), kind, text, len) != E_OK)
			continue;
		accepted++;
		label_encode(&again, kind, back, strlen(back));
		assert_string_equal(again.text, text);
	}
	assert_true(accepted > 10000);
}

static void the_short_form_is_36_octets_and_tells_kinds_apart(void **state)
{
	struct label a, b;
	(void)state;
	label_encode_short(&a, LABEL_GROUP, "x", 1);
	label_encode_short(&b, LABEL_SERVICE, "x", 1);
	assert_int_equal(a.len, 36);
	assert_true(legal(&a));
	assert_string_not_equal(a.text, b.text);
	assert_int_equal(label_encode(&a, LABEL_SERVICE, "", 0), LABEL_HASHED);
	assert_true(legal(&a));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_worked_examples_hold),
		cmocka_unit_test(only_the_canonical_spelling_is_accepted),
		cmocka_unit_test(random_strings_come_back_and_never_collide),
		cmocka_unit_test(random_labels_decode_to_what_encodes_to_them),
		cmocka_unit_test(the_short_form_is_36_octets_and_tells_kinds_apart),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
