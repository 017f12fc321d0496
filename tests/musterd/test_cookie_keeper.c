/* test_cookie_keeper.c - which secrets sign cookies: generated and kept, changed every day, or those of the settings. */
#include "musterd/cookie_keeper.h"
#include "tests/base/unit.h"
#include <sys/stat.h>
#include <unistd.h>

static const int64_t START = 1700000000000, DAY = 86400000;
static const char *const words[] = { "00112233445566778899aabbccddeeff", "0123456789abcdef0123456789ABCDEF" };

struct fixture {
	char dir[64];
	struct cookie_keeper k;
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	strcpy(f->dir, "/tmp/muster-cookies-XXXXXX");
	if (mkdtemp(f->dir) == NULL)
		return -1;
	cookie_keeper_init(&f->k, f->dir);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	unlink(f->k.path);
	rmdir(f->dir);
	free(f);
	return 0;
}

static void secrets_are_generated_and_outlive_a_restart(void **state)
{
	struct fixture *f = *state;
	struct cookie_keeper again;
	struct stat st;
	assert_true(cookie_keeper_set(&f->k, NULL, 0, START));
	assert_int_equal(f->k.count, 2);
	assert_memory_not_equal(f->k.key[0], f->k.key[1], COOKIE_SECRET_LEN);
	cookie_keeper_init(&again, f->dir);
	assert_true(cookie_keeper_set(&again, NULL, 0, START + DAY - 1));
	assert_int_equal(again.since_ms, START);
	assert_memory_equal(again.key, f->k.key, sizeof(again.key));
	assert_int_equal(stat(f->k.path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_false(cookie_keeper_set(&again, NULL, 0, START + 5)); /* a reload that changes nothing */
}

static void a_new_one_signs_every_day_and_the_one_before_is_kept(void **state)
{
	struct fixture *f = *state;
	uint8_t first[COOKIE_SECRET_LEN];
	cookie_keeper_set(&f->k, NULL, 0, START);
	memcpy(first, f->k.key[0], sizeof(first));
	assert_false(cookie_keeper_tick(&f->k, START + DAY - 1));
	assert_true(cookie_keeper_tick(&f->k, START + DAY));
	assert_memory_equal(f->k.key[1], first, sizeof(first));
	assert_memory_not_equal(f->k.key[0], first, sizeof(first));
	assert_false(cookie_keeper_tick(&f->k, START + DAY + 1));
	struct cookie_keeper again;
	cookie_keeper_init(&again, f->dir); /* a server that was down for two days */
	assert_true(cookie_keeper_set(&again, NULL, 0, START + 3 * DAY));
	assert_memory_equal(again.key[1], f->k.key[0], COOKIE_SECRET_LEN);
	assert_int_equal(again.since_ms, START + 3 * DAY);
}

static void a_clock_that_went_back_makes_new_ones(void **state)
{
	struct fixture *f = *state;
	cookie_keeper_set(&f->k, NULL, 0, START);
	assert_true(cookie_keeper_tick(&f->k, START - DAY));
	assert_int_equal(f->k.since_ms, START - DAY);
}

static void a_file_that_cannot_be_read_is_replaced(void **state)
{
	struct fixture *f = *state;
	static const char *const wrong[] = { "", "x", "1700000000000 0011 2233\n",
					     "1700000000000 00112233445566778899aabbccddeeff 00112233445566778899aabbccddeegg\n" };
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		FILE *out = fopen(f->k.path, "w");
		fputs(wrong[i], out);
		fclose(out);
		cookie_keeper_init(&f->k, f->dir);
		assert_true(cookie_keeper_set(&f->k, NULL, 0, START));
		assert_int_equal(f->k.count, 2);
		struct cookie_keeper again;
		cookie_keeper_init(&again, f->dir);
		cookie_keeper_set(&again, NULL, 0, START);
		assert_memory_equal(again.key, f->k.key, sizeof(again.key));
	}
}

static void a_directory_that_takes_nothing_does_not_stop_it(void **state)
{
	struct fixture *f = *state;
	struct cookie_keeper k;
	cookie_keeper_init(&k, "/nowhere/at/all");
	assert_true(cookie_keeper_set(&k, NULL, 0, START));
	assert_int_equal(k.count, 2);
	assert_true(cookie_keeper_tick(&k, START + DAY));
	(void)f;
}

static void those_of_the_settings_come_first_and_never_change_by_themselves(void **state)
{
	struct fixture *f = *state;
	assert_true(cookie_keeper_set(&f->k, words, 1, START));
	assert_int_equal(f->k.count, 1);
	assert_int_equal(f->k.key[0][15], 0xff);
	assert_false(cookie_keeper_tick(&f->k, START + 40 * DAY));
	assert_false(cookie_keeper_set(&f->k, words, 1, START));
	assert_true(cookie_keeper_set(&f->k, words, 2, START));
	assert_int_equal(f->k.key[1][8], 0x01);
	assert_true(cookie_keeper_set(&f->k, NULL, 0, START)); /* and back to generated ones */
	assert_true(f->k.generated);
	assert_true(access(f->k.path, F_OK) == 0);
}

static void a_secret_is_32_hexadecimal_digits(void **state)
{
	uint8_t secret[COOKIE_SECRET_LEN];
	(void)state;
	assert_true(cookie_secret_parse(secret, words[1]));
	assert_int_equal(secret[15], 0xef);
	assert_false(cookie_secret_parse(secret, ""));
	assert_false(cookie_secret_parse(secret, "0123456789abcdef0123456789abcde"));
	assert_false(cookie_secret_parse(secret, "0123456789abcdef0123456789abcdef0"));
	assert_false(cookie_secret_parse(secret, "0123456789abcdef0123456789abcdeg"));
}

int main(void)
{
#define KEEPER_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		KEEPER_TEST(secrets_are_generated_and_outlive_a_restart),
		KEEPER_TEST(a_new_one_signs_every_day_and_the_one_before_is_kept),
		KEEPER_TEST(a_clock_that_went_back_makes_new_ones),
		KEEPER_TEST(a_file_that_cannot_be_read_is_replaced),
		KEEPER_TEST(a_directory_that_takes_nothing_does_not_stop_it),
		KEEPER_TEST(those_of_the_settings_come_first_and_never_change_by_themselves),
		cmocka_unit_test(a_secret_is_32_hexadecimal_digits),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
