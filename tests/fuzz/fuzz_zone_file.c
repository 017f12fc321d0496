/* fuzz_zone_file.c - an arbitrary zone file, held against the registry or alone: every error has a line of its own, and
 * what is taken is merged into a zone set with a service, whose names and whose own names are then asked for. Every answer
 * must decode, by ldns too, and keep to its size; and the zone as a whole must come out as records that are. The first
 * octet says which zone the file is of, the rest is the file.
 *
 * A replay asks for all names and types. While fuzzing the input chooses some of them, the other decoder looks at one input
 * in eight and zone_set_file() at one in 64, since what the reaper has not freed yet looks like a leak to libFuzzer; the
 * others stand in the zone's slot for that long, and nobody else reads. */
#include "tests/support/view_maker.h"
#include "tests/support/zone_query.h"
#include "zones/static_zone.h"
#include "zones/zone_file.h"
#include "zones/zone_stream_in.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

enum { ZONES = 4, ASKS = 8, TEXT_MAX = 1200 };

static void trap_if(bool wrong, const char *what)
{
	if (!wrong)
		return;
	fprintf(stderr, "fuzz_zone_file: %s\n", what);
	abort();
}

struct fixture {
	uv_loop_t loop;
	struct rcu_reaper *reaper;
	struct zone_set *zones;
	struct asker ask;
	int fd; /* of the file */
	char path[64];
	char line[ZONE_LINE_MAX];
};

static const struct zone_conf *confs(void)
{
	static const char *aliases[] = { "v.test=public/DEFAULT_GROUP/cart", "www.v.test=public/DEFAULT_GROUP/cart",
					       "deep.er.v.test=public/DEFAULT_GROUP/none" };
	static const struct zone_conf zones[ZONES] = {
		{ .name = "test", .layout = LAYOUT_FULL },
		{ .name = "b.test", .layout = LAYOUT_BOUND },
		{ .name = "s.test", .layout = LAYOUT_STATIC },
		{ .name = "v.test", .layout = LAYOUT_BOUND, .aliases = { aliases, 3 }, .expand = true },
	};
	return zones;
}

static struct fixture *fixture_new(void)
{
	static const struct view_row rows[] = { { "10.0.0.1", 80, 1, true, true, NULL, 0 },
						{ "2001:db8::1", 81, 2, true, true, NULL, 0 } };
	const struct zone_set_conf conf = { .zones = confs(), .zone_count = ZONES, .ttl = 5, .ttl_host = 60, .ttl_negative = 5,
					    .ttl_apex = 3600, .ttl_version = 28800, .cap = 16, .raw_alias = true,
					    .loopback_addresses = true };
	struct fixture *t = calloc(1, sizeof(*t));
	struct error err;
	trap_if(t == NULL || uv_loop_init(&t->loop) != 0, "no loop");
	trap_if(rcu_reaper_start(&t->reaper, &t->loop, NULL) < 0, "no reaper");
	rcu_thread_start();
	if (zone_set_new(&t->zones, &conf, t->reaper, &err) < 0)
		trap_if(true, err.text);
	struct registry_watcher w = zone_set_watcher(t->zones);
	w.on_view(w.arg, NULL, view_make(1, "cart", rows, 2));
	zone_set_ready(t->zones);
	asker_init(&t->ask, t->zones);
	t->fd = memfd_create("zone", 0);
	trap_if(t->fd < 0, "no file");
	snprintf(t->path, sizeof(t->path), "/proc/self/fd/%d", t->fd);
	return t;
}

static struct fixture *the_fixture(void)
{
	static struct fixture *fixture;
	if (fixture == NULL)
		fixture = fixture_new();
	return fixture;
}

static uint32_t sum_of(const uint8_t *bytes, size_t size)
{
	uint32_t h = 2166136261u;
	for (size_t i = 0; i < size; i++)
		h = (h ^ bytes[i]) * 16777619u;
	return h;
}

/* ---- the file */

static void errors_check(const struct text *errors, int rc)
{
	unsigned lines = 0;
	for (const char *at = errors->at; errors->len > 0 && *at != '\0'; lines++) {
		const char *end = strchr(at, '\n');
		trap_if(end == NULL || *at != '/' || strstr(at, ": ") == NULL || strstr(at, ": ") > end, "an error without a place");
		at = end + 1;
	}
	trap_if((rc == E_OK) != (lines == 0) || lines > STATIC_ERRORS_MAX + 1, "errors without a reason, or too many");
}

static struct static_zone *file_load(struct fixture *t, const struct zone_conf *of, const uint8_t *bytes, size_t size)
{
	struct static_zone *file = NULL;
	struct zone_conf conf = *of;
	struct text errors;
	trap_if(ftruncate(t->fd, 0) < 0 || pwrite(t->fd, bytes, size, 0) != (ssize_t)size, "no file");
	conf.file = t->path;
	text_init(&errors);
	int rc = zone_file_load(&file, &conf, &errors);
	trap_if((rc == E_OK) != (file != NULL), "no file, and no error, or both");
	errors_check(&errors, rc);
	text_done(&errors);
	return file;
}

/* ---- answers */

/* The name of a node for ask(), something below it if @below; false: it has a NUL. */
static bool node_name(char to[TEXT_MAX], const struct static_zone *f, const struct static_node *n, const char *zone, bool below)
{
	const uint8_t *name = f->bytes + n->name;
	size_t len = 0;
	if (below)
		len = (size_t)sprintf(to, "%s", "x.");
	for (unsigned at = 0; at < n->name_len; at += name[at] + 1u) {
		for (unsigned i = 1; i <= name[at]; i++) {
			char c = (char)name[at + i];
			if (c == '\0')
				return false;
			if (c == '.' || c == '\\')
				to[len++] = '\\';
			to[len++] = c;
		}
		to[len++] = '.';
	}
	snprintf(to + len, TEXT_MAX - len, "%s", zone);
	return true;
}

static void ask_one(struct fixture *t, const char *name, unsigned type)
{
	const struct asked *a = ask(&t->ask, name, type);
	trap_if(a->zone == -2, "no question");
	trap_if(!a->readable, "an answer that cannot be read");
	trap_if(a->answer.tc && a->count > 0, "records in a truncated answer");
}

static const unsigned types[] = { 1, 2, 5, 6, 15, 16, 28, 33, 39, 43, 64, 65, 65534, 255 };
enum { TYPES = sizeof(types) / sizeof(types[0]) };

static const char *const names[] = { "",       "a.",  "x.y.",   "cart.svc.", "ns1.",    "cart.",  "x.cart.", "_cart._tcp.",
				     "www.",   "i.",  "x.sub.", "x.old.",    "x.wild.", "er.",    "x.deep.er.", "10-0-0-1.i.",
				     "_80._tcp.www.", "svc." };
enum { NAMES = sizeof(names) / sizeof(names[0]) };

/* The @nth of the names at and below the nodes, then of our own; false: it can be none. */
static bool name_numbered(char to[TEXT_MAX], const struct static_zone *f, const char *zone, size_t nth)
{
	if (nth >= 2 * (size_t)f->node_count) {
		snprintf(to, TEXT_MAX, "%s%s", names[nth - 2 * (size_t)f->node_count], zone);
		return true;
	}
	const struct static_node *n = &f->nodes[nth / 2];
	bool below = nth % 2 == 1;
	return n->name_len + strlen(zone) + 2 + 2 * below <= DNS_NAME_MAX && node_name(to, f, n, zone, below);
}

static void ask_some(struct fixture *t, const struct static_zone *f, const char *zone, uint32_t sum)
{
	char name[TEXT_MAX];
	size_t count = 2 * (size_t)f->node_count + NAMES;
#ifdef FUZZ_REPLAYS
	(void)sum;
	for (size_t i = 0; i < count * TYPES; i++)
		if (name_numbered(name, f, zone, i / TYPES))
			ask_one(t, name, types[i % TYPES]);
#else
	t->ask.skip_ldns = sum % 8 != 0;
	for (size_t i = 0; i < ASKS; i++, sum = sum * 1664525u + 1013904223u)
		if (name_numbered(name, f, zone, (sum >> 8) % count))
			ask_one(t, name, types[(sum >> 24) % TYPES]);
#endif
}

/* ---- the zone as a whole */

static void record_check(struct fixture *t, const struct zone_record *r, const struct zone *z)
{
	size_t at = 0;
	while (at < r->owner_len && r->owner[at] != 0 && r->owner_len - at > z->len)
		at += r->owner[at] + 1u;
	trap_if(r->owner_len > DNS_NAME_MAX || r->owner_len - at != z->len || memcmp(r->owner + at, z->name, z->len) != 0,
		"a record of another zone");
	trap_if(zone_record_format(t->line, sizeof(t->line), r) == 0, "a record that cannot be written");
}

static void stream_check(struct fixture *t, const struct zone *z)
{
	static const struct zone_viewer viewer = { .all = true };
	struct image *im = image_begin(t->zones);
	size_t nth = (size_t)(z - t->zones->zones);
	unsigned soas = 0, last = 0;
	trap_if(im == NULL || !image_step(t->zones, UINT32_MAX) || im->failed, "no image");
	struct zone_stream *s = zone_stream_new(im, nth, &viewer);
	trap_if(s == NULL, "no stream");
	for (const struct zone_record *r; (r = zone_stream_peek(s)) != NULL || zone_stream_paused(s);) {
		if (r == NULL)
			continue;
		record_check(t, r, z);
		trap_if(soas == 0 && r->type != RR_SOA, "it does not begin with an SOA");
		last = r->type;
		soas += last == RR_SOA;
		zone_stream_pop(s);
	}
	trap_if(soas != 2 || last != RR_SOA, "it does not end with an SOA, or has one in between");
	zone_stream_done(s);
	while (!image_end_step(t->zones, im, UINT32_MAX))
		;
}

static void use(struct fixture *t, struct zone *z, const struct static_zone *f, uint32_t sum)
{
	ask_some(t, f, z->text, sum);
	stream_check(t, z);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	struct fixture *t = the_fixture();
	if (size == 0)
		return 0;
	int number = bytes[0] % ZONES;
	uint32_t sum = sum_of(bytes, size);
	struct zone *z = t->zones->zones;
	while (z->number != number)
		z++;
	struct static_zone *file = file_load(t, &confs()[number], bytes + 1, size - 1);
	if (file == NULL)
		return 0;
	bool through = sum % 64 == 0;
#ifdef FUZZ_REPLAYS
	through = true;
#endif
	if (through) {
		zone_set_file(t->zones, number, file);
		use(t, z, file, sum);
		zone_set_file(t->zones, number, NULL);
		rcu_reaper_turn(t->reaper);
		uv_run(&t->loop, UV_RUN_NOWAIT);
		return 0;
	}
	rcu_publish(&z->file, file);
	use(t, z, file, sum);
	rcu_publish(&z->file, NULL);
	zone_file_free(file);
	return 0;
}
