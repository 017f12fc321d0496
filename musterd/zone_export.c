/* zone_export.c - see zone_export.h. A line at a time is made of the stream; what of it did not fit waits for the next
 * piece. */
#include "musterd/zone_export.h"

#include "base/mem.h"
#include "zones/zone_out.h"
#include <string.h>

struct zone_text {
	struct zone_ask ask; /* first */
	void (*on_done)(void *done_arg, int code, void *text);
	void *done_arg;
	size_t len, at; /* of @line: its length, and how much of it was given */
	char line[ZONE_LINE_MAX];
};

void zone_export_list(void *export, struct text *ret)
{
	const struct zone_export *x = export;

	json_open(ret, '{');
	json_key(ret, "zones");
	json_open(ret, '[');
	rcu_begin();
	const struct zone_set *zones = zone_slot_read(x->zones);
	for (int i = 0; (size_t)i < zone_set_zone_count(zones); i++) {
		json_open(ret, '{');
		json_kv_str(ret, "name", zone_set_zone_name(zones, i));
		json_kv_i64(ret, "serial", zone_set_serial(zones, i));
		json_close(ret, '}');
	}
	rcu_end();
	json_close(ret, ']');
	json_close(ret, '}');
}

static void on_done(struct zone_ask *ask)
{
	struct zone_text *t = (struct zone_text *)ask;
	void (*tell)(void *, int, void *) = t->on_done;
	void *arg = t->done_arg;
	int code = ask->code;
	if (code < 0) {
		mem_free(t);
		t = NULL;
	}
	tell(arg, code, t); /* another thread's from here on */
}

int zone_export_text(void *export, const char *name, void (*tell)(void *done_arg, int code, void *text), void *done_arg,
		     struct error *err)
{
	const struct zone_export *x = export;
	rcu_begin(); /* to the end, so that the set is there as long as its asks */
	const struct zone_set *zones = zone_slot_read(x->zones);
	int zone = zone_set_find(zones, name);
	if (zone < 0) {
		rcu_end();
		return error_set(err, E_NOTFOUND, "there is no zone %.100s; GET /muster/v1/zones lists them", name);
	}
	struct zone_text *t = mem_alloc(sizeof(*t));
	if (t == NULL) {
		rcu_end();
		return error_set(err, E_NOMEM, "no memory for the text of the zone");
	}
	t->ask = (struct zone_ask){ .zone = zone, .viewer = { .all = true }, .on_done = on_done };
	t->on_done = tell;
	t->done_arg = done_arg;
	t->len = t->at = 0;
	zone_out_ask(zone_set_out(zones), &t->ask);
	rcu_end();
	return E_OK;
}

bool zone_export_more(void *text, char *to, size_t cap, size_t *ret_len)
{
	struct zone_text *t = text;
	size_t used = 0;
	while (used < cap) {
		if (t->at == t->len) {
			const struct zone_record *r = zone_stream_peek(t->ask.stream);
			if (r == NULL)
				break;
			t->len = zone_record_format(t->line, sizeof(t->line), r);
			t->at = 0;
			zone_stream_pop(t->ask.stream);
		}
		size_t n = t->len - t->at < cap - used ? t->len - t->at : cap - used;
		memcpy(to + used, t->line + t->at, n);
		t->at += n;
		used += n;
	}
	*ret_len = used;
	return used == cap || zone_stream_paused(t->ask.stream);
}

void zone_export_end(void *text)
{
	struct zone_text *t = text;
	zone_stream_free(t->ask.stream);
	mem_free(t);
}
