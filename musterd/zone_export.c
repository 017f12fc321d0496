/* zone_export.c - see zone_export.h. The asker waits for its stream on a semaphore, then writes record by record. */
#include "musterd/zone_export.h"

#include "base/mem.h"
#include "zones/zone_out.h"

struct wait {
	struct zone_ask ask; /* first */
	uv_sem_t done;
};

void zone_export_list(void *export, struct text *ret)
{
	const struct zone_export *x = export;

	json_open(ret, '{');
	json_key(ret, "zones");
	json_open(ret, '[');
	for (int i = 0; (size_t)i < zone_set_zone_count(x->zones); i++) {
		json_open(ret, '{');
		json_kv_str(ret, "name", zone_set_zone_name(x->zones, i));
		json_kv_i64(ret, "serial", zone_set_serial(x->zones, i));
		json_close(ret, '}');
	}
	json_close(ret, ']');
	json_close(ret, '}');
}

static void on_done(struct zone_ask *ask)
{
	uv_sem_post(&((struct wait *)ask)->done);
}

static int write_all(struct zone_stream *s, size_t most, struct text *ret, struct error *err)
{
	const struct zone_record *r;
	char *line = mem_alloc(ZONE_LINE_MAX);
	int rc = line == NULL ? E_NOMEM : E_OK;

	while (rc == E_OK && ((r = zone_stream_peek(s)) != NULL || zone_stream_paused(s))) {
		if (r == NULL)
			continue;
		text_put(ret, line, zone_record_format(line, ZONE_LINE_MAX, r));
		zone_stream_pop(s);
		if (ret->failed)
			rc = E_NOMEM;
		else if (ret->len > most)
			rc = error_set(err, E_LIMIT,
				       "the text of zone %s is longer than http.max_output (%zu octets): take it by AXFR",
				       zone_stream_zone(s), most);
	}
	mem_free(line);
	return rc == E_NOMEM ? error_set(err, E_NOMEM, "no memory for the text of the zone") : rc;
}

int zone_export_text(void *export, const char *name, size_t most, struct text *ret, struct error *err)
{
	const struct zone_export *x = export;
	struct wait wait = { .ask = { .zone = zone_set_find(x->zones, name), .viewer = { .all = true }, .on_done = on_done } };

	if (wait.ask.zone < 0)
		return error_set(err, E_NOTFOUND, "there is no zone %.100s; GET /muster/v1/zones lists them", name);
	if (uv_sem_init(&wait.done, 0) != 0)
		return error_set(err, E_NOMEM, "no memory for the text of the zone");
	zone_out_ask(x->out, &wait.ask);
	uv_sem_wait(&wait.done);
	uv_sem_destroy(&wait.done);
	if (wait.ask.code < 0)
		return error_set(err, wait.ask.code, "zone %.100s cannot be given now", name);
	int rc = write_all(wait.ask.stream, most, ret, err);
	zone_stream_free(wait.ask.stream);
	return rc;
}
