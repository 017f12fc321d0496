/* test_settings.c - file, environment and flags, and what is said about wrong ones. */
#include "base/mem.h"
#include "musterd/settings.h"
#include "musterd/settings_reload.h"
#include "musterd/settings_table.h"
#include "musterd/settings_value.h"
#include "tests/base/unit.h"
#include <arpa/inet.h>
#include <netinet/in.h>
#include <unistd.h>

enum { ARGUMENTS_MAX = 16 };

struct fixture {
	char path[64];
	char *flags[ARGUMENTS_MAX];
	int flag_count;
	char *environment[ARGUMENTS_MAX];
	unsigned variable_count;
	struct settings s;
	struct settings_errors errs;
	bool loaded;
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	strcpy(f->path, "/tmp/muster-settings-XXXXXX");
	close(mkstemp(f->path));
	f->flags[f->flag_count++] = (char *)(uintptr_t)"musterd";
	f->flags[f->flag_count++] = (char *)(uintptr_t)"-c";
	f->flags[f->flag_count++] = f->path;
	*state = f;
	return 0;
}

static void unload(struct fixture *f)
{
	if (f->loaded) {
		settings_done(&f->s);
		settings_errors_done(&f->errs);
	}
	f->loaded = false;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	unload(f);
	unlink(f->path);
	free(f);
	return 0;
}

static void file(struct fixture *f, const char *text, size_t len)
{
	FILE *out = fopen(f->path, "w");
	fwrite(text, 1, len, out);
	fclose(out);
}

static void flag(struct fixture *f, const char *flag_text)
{
	f->flags[f->flag_count++] = (char *)(uintptr_t)flag_text;
}

static void variable(struct fixture *f, const char *text)
{
	f->environment[f->variable_count++] = (char *)(uintptr_t)text;
}

static int load(struct fixture *f)
{
	unload(f);
	f->loaded = true;
	return settings_load(&f->s, f->flag_count, f->flags, f->environment, &f->errs);
}

static int load_text(struct fixture *f, const char *text)
{
	file(f, text, strlen(text));
	return load(f);
}

/* There is an error line that starts with PATH:LINE: and holds @words. */
static void told(struct fixture *f, unsigned line, const char *words)
{
	char start[128];
	snprintf(start, sizeof(start), "%s:%u: ", f->path, line);
	const char *at = strstr(f->errs.lines.at, start);
	if (line == 0)
		at = f->errs.lines.at;
	for (; at != NULL; at = strstr(at + 1, start)) {
		const char *end = strchr(at, '\n'), *found = strstr(at, words);
		if (found != NULL && (line == 0 || found < end))
			return;
	}
	fail_msg("line %u, \"%s\": not in\n%s", line, words, f->errs.lines.at);
}

static void without_anything_the_defaults_hold(void **state)
{
	struct fixture *f = *state;
	assert_int_equal(load(f), E_OK);
	assert_string_equal(f->s.server.data_dir, "/var/lib/muster");
	assert_int_equal(f->s.dns.listen.count, 2);
	assert_int_equal(f->s.dns.listen.at[1].addr.ss_family, AF_INET6);
	assert_int_equal(f->s.dns.udp_size, 1232);
	assert_int_equal(f->s.dns.ttl_host, 60);
	assert_int_equal(f->s.dns.subset_rotate_ms, 30000);
	assert_true(f->s.dns.raw_alias);
	assert_int_equal(f->s.dns.metadata_keys.count, 3);
	assert_string_equal(f->s.dns.metadata_keys.at[2], "version");
	assert_null(f->s.dns.mname);
	assert_int_equal(f->s.http.max_header, 65536);
	assert_int_equal(f->s.http.allow.count, 0);
	assert_int_equal(f->s.limits.encoding_cache, 64 << 20);
	assert_int_equal(f->s.zone_count, 1);
	assert_string_equal(f->s.zones[0].conf.name, "muster.internal");
	assert_int_equal(f->s.zones[0].conf.layout, LAYOUT_FULL);
	assert_int_equal(f->s.log.level, LOG_INFO);
	assert_int_equal(f->s.task, SETTINGS_SERVE);
}

static void flags_beat_variables_and_variables_beat_the_file(void **state)
{
	struct fixture *f = *state;
	flag(f, "--dns.cap=8");
	flag(f, "--dns.listen=127.0.0.1:0");
	flag(f, "--dns.listen=[::1]:0");
	variable(f, "MUSTER_DNS_CAP=7");
	variable(f, "MUSTER_DNS_TTL=7s");
	variable(f, "MUSTER_HTTP_MAX_BODY=2MiB");
	variable(f, "HOME=/");
	assert_int_equal(load_text(f, "\xEF\xBB\xBF# ours\n[dns]\n cap = 6 ; six\nttl=6s\nttl_negative = 1m # slow\n"
				      "listen = 10.0.0.1:53\nlisten = 10.0.0.2:53\n"),
			 E_OK);
	assert_int_equal(f->s.dns.cap, 8);
	assert_int_equal(f->s.dns.ttl, 7);
	assert_int_equal(f->s.dns.ttl_negative, 60);
	assert_int_equal(f->s.http.max_body, 2 << 20);
	assert_int_equal(f->s.dns.listen.count, 2);
	assert_int_equal(((struct sockaddr_in *)&f->s.dns.listen.at[0].addr)->sin_addr.s_addr, htonl(0x7F000001));
	f->flag_count -= 2;
	assert_int_equal(load(f), E_OK);
	assert_int_equal(f->s.dns.listen.count, 2); /* a list's lines add up */
	assert_int_equal(((struct sockaddr_in *)&f->s.dns.listen.at[1].addr)->sin_addr.s_addr, htonl(0x0A000002));
}

static void all_errors_are_told_at_once_with_their_places(void **state)
{
	struct fixture *f = *state;
	flag(f, "--dns.capp=3");
	flag(f, "--dns.cap");
	flag(f, "--check-confg");
	flag(f, "stray");
	variable(f, "MUSTER_DNS_TTL=soon");
	variable(f, "MUSTER_DNS_TTLL=5s");
	assert_int_equal(load_text(f, "[dns]\nlisten = 127.0.0.1:99999\nttl = 5\nthread = 2\n\n[nonsense]\nx = 1\n"
				      "[empty]\n[http]\nidle_timeout = 5 parsecs\nlisten = 0.0.0.0:8848\n"
				      "max_body = 1MB\nallowed = 1.2.3.4\n[dns]\nttl_host = 1s\nttl_host = 2s\n"
				      "what is this\n[broken\ncap = 1\n"),
			 E_INVALID);
	told(f, 2, "dns.listen: 127.0.0.1:99999: port 99999 is outside 0..65535");
	told(f, 3, "dns.ttl: \"5\" has no unit: write one such as 5s");
	told(f, 4, "dns.thread is no setting: did you mean dns.threads");
	told(f, 7, "nonsense.x is no setting");
	told(f, 8, "there is no section [empty]");
	told(f, 10, "5 parsecs");
	told(f, 11, "http.allow");
	told(f, 12, "1MB");
	told(f, 13, "did you mean http.allow");
	told(f, 16, "is set already at");
	told(f, 17, "neither [section] nor key = value");
	told(f, 18, "a section's line ends in ]");
	told(f, 0, "flag --dns.capp: dns.capp is no setting: did you mean dns.cap\n");
	told(f, 0, "flag --dns.cap: needs a value");
	told(f, 0, "flag --check-confg: is not known: did you mean --check-config");
	told(f, 0, "flag stray: is not known");
	told(f, 0, "environment MUSTER_DNS_TTL: dns.ttl: \"soon\"");
	told(f, 0, "environment MUSTER_DNS_TTLL: dns.ttll is no setting: did you mean dns.ttl");
	assert_int_equal(f->errs.count, 18);
}

static void service_links_of_kubernetes_are_not_settings(void **state)
{
	struct fixture *f = *state;
	variable(f, "MUSTER_DNS_PORT=tcp://10.0.0.10:53");
	variable(f, "MUSTER_DNS_PORT_53_UDP=udp://10.0.0.10:53");
	variable(f, "MUSTER_HTTP_SERVICE_HOST=10.0.0.10");
	variable(f, "MUSTER_HTTP_SERVICE_PORT_WEB=80");
	variable(f, "MUSTER_VARIANT=asan");
	assert_int_equal(load(f), E_OK);
	variable(f, "MUSTER_ZONE_X_LAYOUT=full");
	assert_int_equal(load(f), E_INVALID);
}

static void bounds_are_held(void **state)
{
	static const struct {
		const char *flag, *words;
	} wrong[] = {
		{ "--dns.udp_size=511", "511 is outside 512..4096" },
		{ "--dns.udp_size=4097", "4097 is outside" },
		{ "--dns.udp_size=-1", "is no whole number" },
		{ "--dns.udp_size=99999999999999999999", "is no whole number" },
		{ "--dns.ttl=1500ms", "not a whole number of seconds" },
		{ "--dns.ttl=2d", "2d is outside 0ms..1d" },
		{ "--dns.ttl=s", "is no number with a unit" },
		{ "--http.max_header=65KiB", "65KiB is outside 1KiB..64KiB" },
		{ "--http.idle_timeout=10ms", "10ms is outside 100ms..1h" },
		{ "--dns.mode=any", "is not one of auto, all, one, shuffle, subset" },
		{ "--dns.raw_alias=maybe", "is neither on nor off" },
		{ "--server.data_dir=", "must not be empty" },
		{ "--dns.listen=", "must not be empty" },
		{ "--dns.listen=localhost:53", "is no address" },
		{ "--dns.listen=127.0.0.1", "is no address and port" },
		{ "--dns.listen=127.0.0.1:", "has no port" },
		{ "--dns.listen=::1:53", "in brackets" },
		{ "--dns.listen=[::1]", "is no address" },
		{ "--dns.listen=[::g]:53", "is no address" },
		{ "--dns.listen=[fe80::1%nonesuch0]:53", "there is no interface" },
		{ "--dns.listen=127.0.0.1:53 127.0.0.1:53", "stands there twice" },
		{ "--http.allow=10.0.0.0/33", "prefix length 33" },
		{ "--store.url=postgres:", "is no store" },
		{ "--dns.mname=a..b", "is no domain name" },
		{ "--log.level=loud", "is not one of debug, info, warn, error" },
	};
	struct fixture *f = *state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		flag(f, wrong[i].flag);
		assert_int_equal(load(f), E_INVALID);
		told(f, 0, wrong[i].words);
		assert_int_equal(f->errs.count, 1);
		f->flag_count--;
	}
	flag(f, "--dns.listen=127.0.0.1:0, 127.0.0.1:0"); /* two free ports */
	flag(f, "--dns.ttl=1d");
	flag(f, "--dns.subset_rotate=0s");
	assert_int_equal(load(f), E_OK);
}

static void an_exposed_listener_needs_an_allow_list(void **state)
{
	static const char *const exposed[] = { "--http.listen=0.0.0.0:0", "--http.listen=[::]:0",
					       "--http.listen=127.0.0.1:0, 10.1.2.3:80", "--http.listen=[::ffff:10.0.0.1]:0" };
	struct fixture *f = *state;
	struct sockaddr_in peer = { .sin_family = AF_INET };
	inet_pton(AF_INET, "10.9.8.7", &peer.sin_addr);
	for (unsigned i = 0; i < sizeof(exposed) / sizeof(exposed[0]); i++) {
		flag(f, exposed[i]);
		assert_int_equal(load(f), E_INVALID);
		told(f, 0, "say which may use it, for example http.allow = ");
		flag(f, "--http.allow=127.0.0.0/8");
		assert_int_equal(load(f), E_OK);
		assert_false(settings_allows(&f->s, (struct sockaddr *)&peer));
		flag(f, "--http.allow=10.0.0.0/8");
		assert_int_equal(load(f), E_OK);
		assert_true(settings_allows(&f->s, (struct sockaddr *)&peer));
		f->flag_count -= 3;
	}
	flag(f, "--http.listen=127.0.0.2:0, [::1]:0, [::ffff:127.0.0.1]:0");
	assert_int_equal(load(f), E_OK);
	assert_true(settings_allows(&f->s, (struct sockaddr *)&peer));
}

static void zones_come_from_the_file_and_from_flags(void **state)
{
	struct fixture *f = *state;
	flag(f, "--zone.Test.Example.layout=bound");
	flag(f, "--zone.test.example.group=pay");
	flag(f, "--zone.prod.example.namespace=other");
	assert_int_equal(load_text(f, "[dns]\nmname = ns.example\n[zone PROD.example.]\nlayout = bound\nnamespace = prod\n"
				      "mname = ns.prod.example\n[zone all.example]\n"),
			 E_OK);
	assert_int_equal(f->s.zone_count, 3);
	assert_string_equal(f->s.zones[0].conf.name, "prod.example");
	assert_string_equal(f->s.zones[0].conf.ns, "other");
	assert_string_equal(f->s.zones[0].conf.mname, "ns.prod.example");
	assert_int_equal(f->s.zones[0].conf.layout, LAYOUT_BOUND);
	assert_string_equal(f->s.zones[1].conf.mname, "ns.example");
	assert_string_equal(f->s.zones[2].conf.name, "test.example");
	assert_string_equal(f->s.zones[2].conf.group, "pay");
	assert_null(f->s.zones[2].conf.ns);
}

static void impossible_zones_are_told(void **state)
{
	struct fixture *f = *state;
	char longest[200], text[1024];
	/* 63 + 12 letters: 64 + 13 + 1 octets are one too many */
	memset(longest, 'a', sizeof(longest));
	longest[63] = '.';
	longest[63 + 1 + 12] = '\0';
	snprintf(text, sizeof(text),
		 "[zone %s]\n[zone %s]\n[zone a..b]\n[zone full.example]\nnamespace = x\n[zone b.example]\nlayout = bound\n"
		 "namespace = a b\nlayout = full\nlayuot = full\nrname = @\n",
		 longest, longest + 1);
	assert_int_equal(load_text(f, text), E_INVALID);
	told(f, 1, "takes 78 octets, more than 77");
	told(f, 3, "is no zone name");
	told(f, 5, "namespace is for layout = bound");
	told(f, 8, "namespace is letters");
	told(f, 9, "is set already");
	told(f, 10, "did you mean layout");
	told(f, 11, "rname is no domain name");
	assert_int_equal(f->errs.count, 7);
}

static void over_long_lines_and_nul_bytes_are_told_and_passed_over(void **state)
{
	struct fixture *f = *state;
	char text[20000];
	size_t len = (size_t)snprintf(text, sizeof(text), "[dns]\ncap = ");
	memset(text + len, '1', 9000);
	len += 9000;
	len += (size_t)snprintf(text + len, sizeof(text) - len, "\nttl = 9s\nmode");
	memcpy(text + len, "\0 = all\n", 8);
	len += 8;
	len += (size_t)snprintf(text + len, sizeof(text) - len, "cap = x");
	file(f, text, len);
	assert_int_equal(load(f), E_INVALID);
	told(f, 2, "the line is longer than 4096 bytes");
	told(f, 4, "NUL");
	told(f, 5, "dns.cap: \"x\"");
	assert_int_equal(f->errs.count, 3);
	assert_int_equal(f->s.dns.ttl, 9);
}

static void a_file_that_is_not_there_is_told(void **state)
{
	struct fixture *f = *state;
	f->flags[2] = (char *)(uintptr_t)"/nonexistent/muster.conf";
	assert_int_equal(load(f), E_INVALID);
	told(f, 0, "/nonexistent/muster.conf: there is no such file");
	f->flags[2] = (char *)(uintptr_t)"/tmp";
	assert_int_equal(load(f), E_INVALID);
	f->flags[2] = NULL;
	f->flag_count = 2;
	assert_int_equal(load(f), E_INVALID);
	told(f, 0, "flag -c: needs a file");
	assert_int_equal(f->errs.count, 1);
}

static void what_is_printed_reads_back_to_the_same(void **state)
{
	struct fixture *f = *state;
	struct text first, second;
	flag(f, "--dns.cap=8");
	flag(f, "--zone.t.example.layout=bound");
	variable(f, "MUSTER_LOG_LEVEL=warn");
	assert_int_equal(load_text(f, "[dns]\nttl = 7s\n"), E_OK);
	text_init(&first);
	settings_print(&f->s, &first);
	assert_non_null(strstr(first.at, "cap = 8  ; flag --dns.cap\n"));
	assert_non_null(strstr(first.at, "level = warn  ; environment MUSTER_LOG_LEVEL\n"));
	assert_non_null(strstr(first.at, "udp_size = 1232  ; default\n"));
	assert_non_null(strstr(first.at, "[zone t.example]\nlayout = bound  ; flag --zone.t.example.layout\n"));
	char line[128];
	snprintf(line, sizeof(line), "ttl = 7s  ; %s:2\n", f->path);
	assert_non_null(strstr(first.at, line));

	f->flag_count = 3;
	f->environment[0] = NULL;
	assert_int_equal(load_text(f, first.at), E_OK);
	text_init(&second);
	settings_print(&f->s, &second);
	assert_int_equal(f->s.dns.cap, 8);
	assert_int_equal(f->s.zones[0].conf.layout, LAYOUT_BOUND);
	text_done(&first);
	text_done(&second);
}

/* With every comment sign taken away the sample is a whole file, and it changes nothing. */
static void the_sample_and_the_usage_name_every_key(void **state)
{
	struct fixture *f = *state;
	struct text sample, usage;
	text_init(&sample);
	text_init(&usage);
	settings_sample(&sample);
	settings_usage(&usage);
	for (size_t i = 0; i < settings_table_len; i++) {
		char name[80];
		snprintf(name, sizeof(name), "--%s.%s=", settings_table[i].section, settings_table[i].key);
		assert_non_null(strstr(usage.at, name));
	}
	assert_int_equal(load_text(f, sample.at), E_OK);
	for (char *at = sample.at; (at = strstr(at, "\n;")) != NULL;)
		at[1] = ' ';
	assert_int_equal(load_text(f, sample.at), E_OK);
	for (size_t i = 0; i < settings_table_len; i++) {
		assert_int_equal(f->s.origins[i].rank, 1);
		assert_string_equal(f->s.origins[i].text, settings_table[i].preset);
		assert_true(strlen(settings_table[i].help) > 5);
	}
	text_done(&sample);
	text_done(&usage);
}

static const struct setting *row_of(const char *section, const char *key)
{
	for (size_t i = 0; i < settings_table_len; i++)
		if (strcmp(settings_table[i].section, section) == 0 && strcmp(settings_table[i].key, key) == 0)
			return &settings_table[i];
	for (size_t i = 0; strcmp(section, "zone") == 0 && i < zone_table_len; i++)
		if (strcmp(zone_table[i].key, key) == 0)
			return &zone_table[i];
	fail_msg("no setting %s.%s", section, key);
	return NULL;
}

/* Each kind of value, in two readings of one file and in those of another. */
static void readings_are_the_same_or_differ_by_value(void **state)
{
	static const struct {
		const char *section, *key, *same, *other;
	} kinds[] = {
		{ "dns", "mname", "ns1.example", "ns2.example" }, { "dns", "cap", "8", "9" },
		{ "dns", "raw_alias", "off", "on" },		  { "dns", "mode", "all", "one" },
		{ "http", "idle_timeout", "5s", "6s" },		  { "dns", "ttl", "5s", "6s" },
		{ "http", "max_body", "1MiB", "2MiB" },		  { "dns", "listen", "127.0.0.1:0", "127.0.0.1:0, [::1]:0" },
		{ "http", "allow", "10.0.0.0/8", "10.0.0.0/9" },  { "dns", "metadata_keys", "a, b", "a, c" },
	};
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		struct fixture *f = *state;
		struct settings first;
		struct settings_errors errs;
		char text[128];
		const struct setting *row = row_of(kinds[i].section, kinds[i].key);
		snprintf(text, sizeof(text), "[%s]\n%s = %s\n", kinds[i].section, kinds[i].key, kinds[i].same);
		file(f, text, strlen(text));
		assert_int_equal(settings_load(&first, f->flag_count, f->flags, f->environment, &errs), E_OK);
		assert_int_equal(load(f), E_OK);
		for (size_t k = 0; k < settings_table_len; k++)
			assert_true(setting_same(&settings_table[k], &first, &f->s));
		assert_true(settings_zones_same(&first, &f->s));
		snprintf(text, sizeof(text), "[%s]\n%s = %s\n[zone muster.internal]\nlayout = bound\n", kinds[i].section, kinds[i].key,
			 kinds[i].other);
		assert_int_equal(load_text(f, text), E_OK);
		assert_false(setting_same(row, &first, &f->s));
		assert_false(settings_zones_same(&first, &f->s));
		settings_done(&first);
		settings_errors_done(&errs);
	}
}

static void what_a_reload_changes_is_known(void **state)
{
	(void)state;
	assert_true(setting_reloads(row_of("log", "level")));
	assert_true(setting_reloads(row_of("dns", "listen")));
	assert_true(setting_reloads(row_of("dns", "ttl_negative")));
	assert_true(setting_reloads(row_of("http", "operator_listen")));
	assert_true(setting_reloads(row_of("limits", "metadata_bytes")));
	assert_false(setting_reloads(row_of("server", "io_threads")));
	assert_false(setting_reloads(row_of("store", "url")));
	for (size_t i = 0; i < zone_table_len; i++)
		assert_true(setting_reloads(&zone_table[i]));
	for (size_t i = 0; setting_reload_name(i, 0) != NULL; i++)
		row_of(setting_reload_name(i, 0), setting_reload_name(i, 1)); /* each is one */
}

static void the_tasks_are_flags_and_help_needs_no_right_file(void **state)
{
	struct fixture *f = *state;
	flag(f, "--check-config");
	assert_int_equal(load(f), E_OK);
	assert_int_equal(f->s.task, SETTINGS_CHECK);
	flag(f, "--print-config");
	assert_int_equal(load(f), E_OK);
	assert_int_equal(f->s.task, SETTINGS_PRINT);
	flag(f, "--help");
	assert_int_equal(load_text(f, "nonsense"), E_OK);
	assert_int_equal(f->s.task, SETTINGS_HELP);
}

static void every_refused_allocation_is_told_as_such(void **state)
{
	struct fixture *f = *state;
	flag(f, "--zone.prod.example.layout=bound");
	flag(f, "--dns.listen=127.0.0.1:0, [::1]:0");
	flag(f, "--http.allow=127.0.0.0/8");
	for (unsigned nth = 0;; nth++) {
		mem_fail_at(nth);
		int rc = load(f);
		if (!mem_fail_off()) {
			assert_int_equal(rc, E_OK);
			assert_true(nth > 1);
			return;
		}
		assert_int_equal(rc, E_NOMEM);
	}
}

/* Damaged files never do more than be refused. */
static void random_files_are_read_or_refused(void **state)
{
	static const char seed[] = "[dns]\nlisten = 127.0.0.1:53, [::1]:53\nttl = 5s\nmetadata_keys = a, b\n[zone a.example]\n"
				   "layout = bound\nnamespace = x\n[http]\nallow = 10.0.0.0/8, ::1\nmax_body = 1MiB\n";
	struct fixture *f = *state;
	struct rng rng;
	unit_seed(&rng);
	for (int round = 0; round < 3000; round++) {
		char text[sizeof(seed)];
		memcpy(text, seed, sizeof(seed));
		for (uint32_t n = rng_below(&rng, 6); n > 0; n--)
			text[rng_below(&rng, sizeof(seed) - 1)] = "[]=\n\0;. ,:%/0-\xFF"[rng_below(&rng, 16)];
		file(f, text, rng_below(&rng, sizeof(seed)));
		int rc = load(f);
		assert_true(rc == E_OK || (rc == E_INVALID && f->errs.count > 0));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(without_anything_the_defaults_hold, setup, teardown),
		cmocka_unit_test_setup_teardown(flags_beat_variables_and_variables_beat_the_file, setup, teardown),
		cmocka_unit_test_setup_teardown(all_errors_are_told_at_once_with_their_places, setup, teardown),
		cmocka_unit_test_setup_teardown(service_links_of_kubernetes_are_not_settings, setup, teardown),
		cmocka_unit_test_setup_teardown(bounds_are_held, setup, teardown),
		cmocka_unit_test_setup_teardown(an_exposed_listener_needs_an_allow_list, setup, teardown),
		cmocka_unit_test_setup_teardown(zones_come_from_the_file_and_from_flags, setup, teardown),
		cmocka_unit_test_setup_teardown(impossible_zones_are_told, setup, teardown),
		cmocka_unit_test_setup_teardown(over_long_lines_and_nul_bytes_are_told_and_passed_over, setup, teardown),
		cmocka_unit_test_setup_teardown(a_file_that_is_not_there_is_told, setup, teardown),
		cmocka_unit_test_setup_teardown(what_is_printed_reads_back_to_the_same, setup, teardown),
		cmocka_unit_test_setup_teardown(the_sample_and_the_usage_name_every_key, setup, teardown),
		cmocka_unit_test_setup_teardown(readings_are_the_same_or_differ_by_value, setup, teardown),
		cmocka_unit_test_setup_teardown(what_a_reload_changes_is_known, setup, teardown),
		cmocka_unit_test_setup_teardown(the_tasks_are_flags_and_help_needs_no_right_file, setup, teardown),
		cmocka_unit_test_setup_teardown(every_refused_allocation_is_told_as_such, setup, teardown),
		cmocka_unit_test_setup_teardown(random_files_are_read_or_refused, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
