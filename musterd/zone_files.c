/* zone_files.c - happy path of a reload: files are read on a thread of libuv's pool > back on the control thread each good
 * one is put in force and each bad one is told of > once more if a reload was asked for meanwhile. */
#include "musterd/zone_files.h"

#include "base/arena.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/metrics.h"
#include "base/thread.h"
#include "zones/zone_file.h"

struct zone_files {
	uv_work_t work;
	uv_loop_t *loop;
	struct zone_set *zs;
	struct zone_conf *zones; /* of each what its file is read by */
	size_t count;
	struct arena strings;
	void (*on_read)(void *arg, int rc); /* of the first reading; NULL: it is over */
	void *arg;
	bool reading, again, closing;
	unsigned loaded, broken, last; /* metric cells */
	/* of the reading thread, while it reads */
	struct static_zone **fresh;
	struct text *errors;
};

int zone_files_check(const struct zone_conf *zones, size_t count, struct text *errors)
{
	int rc = E_OK;

	for (size_t i = 0; i < count; i++) {
		struct static_zone *file = NULL;
		if (zones[i].file != NULL && zone_file_load(&file, &zones[i], errors) < 0)
			rc = E_INVALID;
		zone_file_free(file);
	}
	return rc;
}

static void put_in_force(struct zone_files *f, size_t nth, struct static_zone *file)
{
	log_each(LOG_INFO, "zones", "zone %s: %u records of %s", f->zones[nth].name, zone_file_records(file),
		 f->zones[nth].file);
	zone_set_file(f->zs, (int)nth, file);
	metrics_add(f->loaded, 1);
	metrics_set(f->last, (double)clock_wall_ms() / 1000);
}

/* ---- reading again */

static void on_work(uv_work_t *work)
{
	struct zone_files *f = work->data;

	for (size_t i = 0; i < f->count; i++)
		if (f->zones[i].file != NULL)
			zone_file_load(&f->fresh[i], &f->zones[i], &f->errors[i]);
}

static void zone_files_free(struct zone_files *f)
{
	for (size_t i = 0; i < f->count; i++) {
		zone_file_free(f->fresh[i]);
		text_done(&f->errors[i]);
	}
	mem_free(f->fresh);
	mem_free(f->errors);
	arena_done(&f->strings);
	mem_free(f);
}

static void take_one(struct zone_files *f, size_t nth)
{
	struct static_zone *file = f->fresh[nth];

	f->fresh[nth] = NULL;
	if (file != NULL) {
		put_in_force(f, nth, file);
	} else if (f->zones[nth].file != NULL) {
		metrics_add(f->broken, 1);
		log_lines(LOG_ERROR, "zones", f->errors[nth].at);
		log_each(LOG_ERROR, "zones", "zone %s: the file is not taken, what was read before stays in force",
			 f->zones[nth].name);
	}
	text_clear(&f->errors[nth]);
}

/* All good ones are taken: the set is of no use if one is bad. */
static void first_read(struct zone_files *f, int status)
{
	void (*on_read)(void *arg, int rc) = f->on_read;
	int rc = status == 0 ? E_OK : E_NOMEM;

	f->on_read = NULL;
	for (size_t i = 0; i < f->count; i++) {
		struct static_zone *file = f->fresh[i];
		f->fresh[i] = NULL;
		if (file != NULL) {
			put_in_force(f, i, file);
		} else if (f->zones[i].file != NULL && status == 0) {
			metrics_add(f->broken, 1);
			log_lines(LOG_ERROR, "zones", f->errors[i].at);
			rc = E_INVALID;
		}
		text_clear(&f->errors[i]);
	}
	on_read(f->arg, rc);
}

static void on_worked(uv_work_t *work, int status)
{
	struct zone_files *f = work->data;

	f->reading = false;
	if (f->closing) {
		zone_files_free(f);
		return;
	}
	if (f->on_read != NULL) {
		first_read(f, status);
		return;
	}
	for (size_t i = 0; status == 0 && i < f->count; i++)
		take_one(f, i);
	if (f->again)
		zone_files_reload(f);
}

void zone_files_reload(struct zone_files *f)
{
	bool any = false;

	for (size_t i = 0; i < f->count; i++)
		any |= f->zones[i].file != NULL;
	if (!any)
		return;
	f->again = f->reading;
	if (f->reading)
		return;
	f->reading = uv_queue_work(f->loop, &f->work, on_work, on_worked) == 0;
}

/* ---- beginning and end */

static int read_first(struct zone_files *f, struct error *err)
{
	int rc = E_OK;

	for (size_t i = 0; i < f->count; i++) {
		struct static_zone *file = NULL;
		if (f->zones[i].file == NULL)
			continue;
		int one = zone_file_load(&file, &f->zones[i], &f->errors[i]);
		if (one == E_OK)
			put_in_force(f, i, file);
		else
			rc = error_set(err, one, "zone %s: its file %s is wrong", f->zones[i].name, f->zones[i].file);
		log_lines(LOG_ERROR, "zones", f->errors[i].at);
		text_clear(&f->errors[i]);
	}
	return rc;
}

static int words_copy(struct arena *mem, struct word_list *ret, const struct word_list *from)
{
	ret->at = arena_zalloc(mem, (from->count + 1) * sizeof(*ret->at));
	ret->count = from->count;
	for (size_t i = 0; ret->at != NULL && i < from->count; i++)
		if ((ret->at[i] = arena_strdup(mem, from->at[i])) == NULL)
			return E_NOMEM;
	return ret->at == NULL ? E_NOMEM : E_OK;
}

static int zones_copy(struct zone_files *f, const struct zone_conf *zones)
{
	f->zones = arena_zalloc(&f->strings, (f->count + 1) * sizeof(*f->zones));
	if (f->zones == NULL)
		return E_NOMEM;
	for (size_t i = 0; i < f->count; i++) {
		struct zone_conf *to = &f->zones[i];
		to->name = arena_strdup(&f->strings, zones[i].name);
		to->layout = zones[i].layout;
		to->file = zones[i].file == NULL ? NULL : arena_strdup(&f->strings, zones[i].file);
		if (to->name == NULL || (to->file == NULL) != (zones[i].file == NULL) ||
		    words_copy(&f->strings, &to->aliases, &zones[i].aliases) < 0)
			return E_NOMEM;
	}
	return E_OK;
}

static void cells_declare(struct zone_files *f)
{
	static const char name[] = "zone_file_loads_total", help[] = "Times that a zone file was read, and what came of it.";

	f->loaded = metrics_counter(name, help, "result=\"taken\"");
	f->broken = metrics_counter(name, help, "result=\"refused\"");
	f->last = metrics_gauge("zone_file_loaded_timestamp_seconds", "When a zone file was last put in force; 0: never.", NULL);
}

static struct zone_files *files_new(uv_loop_t *loop, struct zone_set *zs, const struct zone_conf *zones, size_t count)
{
	struct zone_files *f = mem_zalloc(1, sizeof(*f));

	if (f == NULL)
		return NULL;
	arena_init(&f->strings, NULL, 0, 0);
	f->count = count;
	f->fresh = mem_zalloc(count + 1, sizeof(*f->fresh));
	f->errors = mem_zalloc(count + 1, sizeof(*f->errors));
	if (f->fresh == NULL || f->errors == NULL || zones_copy(f, zones) < 0) {
		f->count = 0;
		zone_files_free(f);
		return NULL;
	}
	for (size_t i = 0; i < count; i++)
		text_init(&f->errors[i]);
	f->work.data = f;
	f->loop = loop;
	f->zs = zs;
	cells_declare(f);
	return f;
}

int zone_files_open(struct zone_files **ret, uv_loop_t *loop, struct zone_set *zs, const struct zone_conf *zones,
		    size_t count, struct error *err)
{
	struct zone_files *f = files_new(loop, zs, zones, count);

	if (f == NULL)
		return error_set(err, E_NOMEM, "zone files: no memory");
	*ret = f;
	return read_first(f, err);
}

int zone_files_begin(struct zone_files **ret, uv_loop_t *loop, struct zone_set *zs, const struct zone_conf *zones,
		     size_t count, void (*on_read)(void *arg, int rc), void *arg, struct error *err)
{
	struct zone_files *f = files_new(loop, zs, zones, count);

	if (f == NULL)
		return error_set(err, E_NOMEM, "zone files: no memory");
	f->on_read = on_read;
	f->arg = arg;
	f->reading = true;
	if (uv_queue_work(loop, &f->work, on_work, on_worked) != 0) {
		zone_files_free(f);
		return error_set(err, E_IO, "zone files: no thread reads them");
	}
	*ret = f;
	return E_OK;
}

void zone_files_close(struct zone_files *f)
{
	f->closing = true;
	if (!f->reading)
		zone_files_free(f);
}
