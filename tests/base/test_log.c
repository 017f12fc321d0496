/* test_log.c - lines for operators, read back from a pipe. */
#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "tests/base/unit.h"
#include <cjson/cJSON.h>
#include <fcntl.h>
#include <unistd.h>

struct fixture {
	int pipe[2];
	char text[65536];
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	*state = f;
	clock_fake(1000, 1795000000123);
	return pipe2(f->pipe, O_NONBLOCK);
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	log_setup(LOG_INFO, LOG_TEXT, STDERR_FILENO);
	clock_fake_off();
	close(f->pipe[0]);
	close(f->pipe[1]);
	free(f);
	return 0;
}

static const char *written(struct fixture *f)
{
	size_t len = 0;
	ssize_t n;
	while ((n = read(f->pipe[0], f->text + len, sizeof(f->text) - 1 - len)) > 0)
		len += (size_t)n;
	f->text[len] = '\0';
	return f->text;
}

static void a_text_line_says_when_how_bad_where_and_what(void **state)
{
	struct fixture *f = *state;
	log_setup(LOG_INFO, LOG_TEXT, f->pipe[1]);
	log_warn("http", "port %d is taken", 80);
	log_debug("http", "not wanted");
	assert_string_equal(written(f), "2026-11-18T11:06:40.123Z warn http: port 80 is taken\n");
}

static void text_from_outside_cannot_forge_a_line(void **state)
{
	struct fixture *f = *state;
	log_setup(LOG_INFO, LOG_TEXT, f->pipe[1]);
	log_info("http", "%s", "a\nfake \x1b[31m");
	assert_non_null(strstr(written(f), "http: a\\x0afake \\x1b[31m\n"));
}

static void a_json_line_is_one_json_object(void **state)
{
	struct fixture *f = *state;
	log_setup(LOG_DEBUG, LOG_JSON, f->pipe[1]);
	log_debug("dns", "said \"%s\"", "a\\b\nc");
	cJSON *line = cJSON_Parse(written(f));
	assert_non_null(line);
	assert_string_equal(cJSON_GetObjectItem(line, "message")->valuestring, "said \"a\\b\nc\"");
	assert_string_equal(cJSON_GetObjectItem(line, "level")->valuestring, "debug");
	assert_string_equal(cJSON_GetObjectItem(line, "area")->valuestring, "dns");
	assert_string_equal(cJSON_GetObjectItem(line, "time")->valuestring, "2026-11-18T11:06:40.123Z");
	cJSON_Delete(line);
}

static void a_long_line_is_cut_but_whole(void **state)
{
	struct fixture *f = *state;
	char longer[5000];
	memset(longer, '\n', sizeof(longer));
	longer[sizeof(longer) - 1] = '\0';
	log_setup(LOG_INFO, LOG_JSON, f->pipe[1]);
	log_error("dns", "%s", longer);
	const char *text = written(f);
	assert_string_equal(text + strlen(text) - 2, "}\n");
	cJSON *line = cJSON_Parse(text);
	assert_non_null(line);
	cJSON_Delete(line);
}

static void a_json_line_is_utf8_whatever_was_said(void **state)
{
	struct fixture *f = *state;
	char cut[1200];
	log_setup(LOG_INFO, LOG_JSON, f->pipe[1]);
	log_info("http", "%s", "gr\xc3\xbc\xc3\x9f \xff\xc3(");
	assert_non_null(strstr(written(f), "\"message\":\"gr\xc3\xbc\xc3\x9f \\ufffd\\ufffd(\"}\n"));
	for (size_t shift = 0; shift < 4; shift++) { /* the cut falls into a character */
		memset(cut, 'x', shift);
		for (size_t i = shift; i + 4 < sizeof(cut); i += 3)
			memcpy(cut + i, "\xe2\x82\xac", 4);
		log_info("http", "%s", cut);
		const char *text = written(f);
		for (const char *c = text; *c != '\0'; c++)
			if ((unsigned char)*c == 0xe2)
				assert_memory_equal(c, "\xe2\x82\xac", 3);
		cJSON *line = cJSON_Parse(text);
		assert_non_null(line);
		cJSON_Delete(line);
	}
	log_setup(LOG_INFO, LOG_TEXT, f->pipe[1]);
	log_info("http", "%s", "\xff\xc3\xbc");
	assert_non_null(strstr(written(f), "http: \\xff\xc3\xbc\n"));
}

static unsigned count_lines(const char *text)
{
	unsigned n = 0;
	for (; *text != '\0'; text++)
		n += *text == '\n';
	return n;
}

static void each_line_of_a_text_has_a_line_of_its_own(void **state)
{
	struct fixture *f = *state;
	log_setup(LOG_INFO, LOG_TEXT, f->pipe[1]);
	log_lines(LOG_ERROR, "zones", "first\nsecond\n\nlast");
	log_lines(LOG_ERROR, "zones", NULL);
	log_lines(LOG_ERROR, "zones", "");
	const char *at = written(f);
	static const char *const expected[] = { "first\n", "second\n", "\n", "last\n" };
	for (size_t i = 0; i < sizeof(expected) / sizeof(expected[0]); i++) {
		const char *end = strchr(at, '\n');
		assert_non_null(end);
		size_t len = strlen(expected[i]);
		assert_memory_equal(end + 1 - len, expected[i], len);
		at = end + 1;
	}
	assert_string_equal(at, "");
}

static void repeats_are_held_back_and_counted(void **state)
{
	struct fixture *f = *state;
	log_setup(LOG_INFO, LOG_TEXT, f->pipe[1]);
	static const char again[] = "again %d";
	for (int i = 0; i < 50; i++) {
		log_info("dns", again, i);
		log_info("dns", "other"); /* has its own count */
	}
	assert_int_equal(count_lines(written(f)), 20);
	clock_fake(11000, 1795000010000);
	log_info("dns", "quite another line");
	const char *text = written(f);
	assert_int_equal(count_lines(text), 3);
	assert_non_null(strstr(text, "40 more lines like this one were held back: again 9\n"));
	log_info("dns", again, 51);
	assert_non_null(strstr(written(f), "again 51"));
}

static void levels_are_known_by_name(void **state)
{
	enum log_level level = LOG_INFO;
	(void)state;
	assert_int_equal(log_level_parse("warn", &level), E_OK);
	assert_int_equal(level, LOG_WARN);
	assert_int_equal(log_level_parse("loud", &level), E_INVALID);
	assert_int_equal(level, LOG_WARN);
	log_set_level(LOG_ERROR);
	assert_false(log_wants(LOG_WARN));
	assert_true(log_wants(LOG_ERROR));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_text_line_says_when_how_bad_where_and_what, setup, teardown),
		cmocka_unit_test_setup_teardown(text_from_outside_cannot_forge_a_line, setup, teardown),
		cmocka_unit_test_setup_teardown(a_json_line_is_one_json_object, setup, teardown),
		cmocka_unit_test_setup_teardown(a_json_line_is_utf8_whatever_was_said, setup, teardown),
		cmocka_unit_test_setup_teardown(a_long_line_is_cut_but_whole, setup, teardown),
		cmocka_unit_test_setup_teardown(each_line_of_a_text_has_a_line_of_its_own, setup, teardown),
		cmocka_unit_test_setup_teardown(repeats_are_held_back_and_counted, setup, teardown),
		cmocka_unit_test_setup_teardown(levels_are_known_by_name, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
