/* zones_checks.c - see zones_checks.h. */
#include "tests/zones/zones_checks.h"
#include "base/mem.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

void expect_data(struct zones_fixture *f, const char *name, unsigned type, const char *wanted)
{
	struct asked *x = ask(&f->ask, name, type);
	unsigned count = 0;
	char copy[2000], *save = NULL;
	snprintf(copy, sizeof(copy), "%s", wanted);
	for (char *at = strtok_r(copy, " ", &save); at != NULL; at = strtok_r(NULL, " ", &save), count++)
		if (!asked_has(x, 1, type, at))
			fail_msg("%s, type %u: RCODE %u, and no %s", name, type, x->answer.rcode, at);
	if (!x->readable || x->answer.rcode != RCODE_NOERROR || x->answer.ancount != count || !x->answer.aa ||
	    x->answer.nscount != (count == 0))
		fail_msg("%s, type %u: RCODE %u, %u records, not %u", name, type, x->answer.rcode, x->answer.ancount, count);
}

void expect_absent(struct zones_fixture *f, const char *name)
{
	expect_rcode(f, name, RR_A, RCODE_NXDOMAIN);
	expect_rcode(f, name, RR_SRV, RCODE_NXDOMAIN);
}

void expect_rcode(struct zones_fixture *f, const char *name, unsigned type, unsigned rcode)
{
	struct asked *x = ask(&f->ask, name, type);
	if (!x->readable || x->answer.rcode != rcode || (rcode == RCODE_NXDOMAIN && x->answer.nscount != 1))
		fail_msg("%s, type %u: RCODE %u", name, type, x->answer.rcode);
}

struct fake_service *one_address(struct zones_fixture *f, const char *name, const char *ip)
{
	struct fake_service *s = fixture_service(f, "public", "DEFAULT_GROUP", name);
	fake_add(s, &(struct fake_instance){ .ip = ip, .port = 80 });
	fixture_publish(f, s);
	return s;
}

const char *address_of(struct zones_fixture *f, const char *name)
{
	struct asked *x = ask(&f->ask, name, RR_A);
	return x->answer.ancount == 0 ? "" : x->records[0].address;
}

void dashed_address(char to[64], int family, const uint8_t *addr)
{
	if (family == 4)
		sprintf(to, "%u-%u-%u-%u", addr[0], addr[1], addr[2], addr[3]);
	else
		for (int g = 0; g < 8; g++)
			to += sprintf(to, g == 0 ? "%x" : "-%x", addr[2 * g] << 8 | addr[2 * g + 1]);
}

void expect_refusals_survived(struct zones_fixture *f)
{
	struct zone_set *zs = NULL;
	struct error err;
	for (unsigned nth = 0;; nth++) {
		mem_fail_at(nth);
		int rc = zone_set_new(&zs, &f->conf, f->reaper, &err);
		if (!mem_fail_off()) {
			assert_int_equal(rc, E_OK);
			zone_set_free(zs);
			return;
		}
		assert_int_equal(rc, E_NOMEM);
	}
}
