/* fuzz_message.c - a row of the message table by the first byte, and its JSON body: the row's own decoder reads it. What it
 * takes keeps the limits that the rest of the server relies on; what it refuses has a reason. The number behind the last
 * row is a set-up, which comes on the stream. */
#include "api/io.h"
#include "api/json_tree.h"
#include "api/message.h"
#include "base/mem.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PAGES_MOST = 10000, INSTANCES_MOST = 10000, TEXT_MOST = 1 << 20 };

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static void trap_if(bool wrong, const char *what)
{
	if (!wrong)
		return;
	fprintf(stderr, "fuzz_message: %s\n", what);
	abort();
}

static void check_spec(const struct instance_spec *s)
{
	trap_if(s->ip[0] == '\0' || s->cluster[0] == '\0', "an instance without an address or a cluster");
	for (size_t i = 0; i < s->metadata_count; i++)
		trap_if(strlen(s->metadata[i].key) != s->metadata[i].key_len ||
			    strlen(s->metadata[i].value) != s->metadata[i].value_len,
			"a pair of metadata whose length is another");
}

static void check_key(const struct service_key *k)
{
	trap_if(strlen(k->ns) != k->ns_len || strlen(k->group) != k->group_len || strlen(k->name) != k->name_len,
		"a name whose length is another");
	trap_if(k->ns_len == 0 || k->group_len == 0 || k->name_len == 0, "an empty name");
}

static void check(const struct message *m)
{
	if (m->kind->decode == naming_list_decode) {
		trap_if(m->page < 1 || m->page_size < 0 || m->page_size > PAGES_MOST, "a page outside its limits");
		return;
	}
	if (m->kind->decode == fuzzy_watch_decode)
		return;
	check_key(&m->key);
	trap_if(m->spec_count > INSTANCES_MOST, "more instances than a batch may have");
	for (size_t i = 0; i < m->spec_count; i++)
		check_spec(&m->specs[i]);
	trap_if(m->clusters != NULL && strlen(m->clusters) > UINT16_MAX, "clusters over the limit");
}

static void set_up(struct session *s, const cJSON *body)
{
	internal_set_up(s, body);
	trap_if(!s->set_up, "it is not set up");
	for (const char *at = s->version; *at != '\0'; at++)
		trap_if(*at < 0x20 || *at > 0x7e, "a byte in the version that a log should not have");
	mem_free(s->labels);
	trap_if(strlen(s->version) >= sizeof(s->version) || strlen(s->app) >= sizeof(s->app), "a text over its field");
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	static struct io io;
	struct session session = { .io = &io, .publisher = 7 };
	struct message m = { .io = &io, .session = &session, .app = "" };
	size_t count;
	const struct message_kind *rows = message_kinds(&count);
	if (size == 0 || size > TEXT_MOST)
		return 0;
	size_t row = bytes[0] % (count + 1);
	arena_init(&m.arena, m.first, sizeof(m.first), 0);
	text_init(&m.out);
	m.body = json_tree_read(&m.arena, bytes + 1, size - 1, &m.body_heap);
	if (cJSON_IsObject(m.body) && row == count) {
		set_up(&session, m.body);
	} else if (cJSON_IsObject(m.body) && rows[row].decode != NULL) {
		m.kind = &rows[row];
		int rc = m.kind->decode(&m);
		if (rc == E_OK)
			check(&m);
		else
			trap_if(m.err.code != rc || m.err.text[0] == '\0', "refused without a reason");
	}
	cJSON_Delete(m.body_heap);
	arena_done(&m.arena);
	return 0;
}
