/* test_cidr.c - address ranges. */
#include "base/cidr.h"
#include "tests/base/unit.h"
#include <arpa/inet.h>
#include <netinet/in.h>

static bool matches(const char *range, const char *address)
{
	struct cidr c;
	struct error err;
	struct sockaddr_in v4 = { .sin_family = AF_INET, .sin_port = 9 };
	struct sockaddr_in6 v6 = { .sin6_family = AF_INET6, .sin6_port = 9 };
	if (cidr_parse(&c, range, &err) != E_OK)
		fail_msg("%s", err.text);
	if (inet_pton(AF_INET, address, &v4.sin_addr) == 1)
		return cidr_match(&c, (struct sockaddr *)&v4);
	assert_int_equal(inet_pton(AF_INET6, address, &v6.sin6_addr), 1);
	return cidr_match_any(&c, 1, (struct sockaddr *)&v6);
}

static void ranges_match_what_lies_in_them(void **state)
{
	(void)state;
	assert_true(matches("10.0.0.0/8", "10.255.1.2"));
	assert_false(matches("10.0.0.0/8", "11.0.0.0"));
	assert_true(matches("10.1.2.3/8", "10.9.9.9")); /* bits behind the prefix do not count */
	assert_true(matches("192.168.4.0/22", "192.168.7.255"));
	assert_false(matches("192.168.4.0/22", "192.168.8.0"));
	assert_true(matches("0.0.0.0/0", "1.2.3.4"));
	assert_true(matches("127.0.0.1", "127.0.0.1"));
	assert_false(matches("127.0.0.1", "127.0.0.2"));
	assert_true(matches("fd00::/8", "fdab::1"));
	assert_false(matches("fd00::/9", "fd80::1"));
	assert_true(matches("::1", "::1"));
	assert_false(matches("::1/128", "::2"));
}

static void families_are_kept_apart_but_mapped_addresses_are_ipv4(void **state)
{
	(void)state;
	assert_true(matches("10.0.0.0/8", "::ffff:10.1.2.3"));
	assert_false(matches("::/0", "10.1.2.3"));
	assert_false(matches("::/0", "::ffff:10.1.2.3"));
	assert_false(matches("0.0.0.0/0", "::1"));
	assert_true(matches("::ffff:10.0.0.0/104", "10.1.2.3"));
	assert_true(matches("::ffff:10.1.2.3", "::ffff:10.1.2.3"));
	assert_false(matches("::ffff:10.0.0.0/104", "11.1.2.3"));
	assert_true(matches("::ffff:0:0/96", "1.2.3.4"));
}

static void what_is_no_range_is_refused(void **state)
{
	static const char *const bad[] = { "",	      "10.0.0.0/",   "10.0.0.0/33", "10.0.0/8", "10.0.0.0/8x",
					   "::/129", "10.0.0.0/-1", "/8",	    "host",	"10.0.0.0/0008" };
	struct cidr c = { .bits = 77 };
	struct error err;
	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_true(cidr_parse(&c, bad[i], &err) < 0);
	assert_int_equal(c.bits, 77);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ranges_match_what_lies_in_them),
		cmocka_unit_test(families_are_kept_apart_but_mapped_addresses_are_ipv4),
		cmocka_unit_test(what_is_no_range_is_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
