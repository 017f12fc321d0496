/* log_level.c - the least level that is logged, read and changed while the server runs: our own route, and those of
 * Nacos, which name a logger of theirs. It holds until the next change, reload or restart. */
#include "api/handlers.h"
#include "api/io.h"
#include "base/log.h"
#include <string.h>
#include <strings.h>

/* Our names in any case, and what Nacos calls finer than debug. E_INVALID. */
static int level_read(struct request *r, enum param id, enum log_level *ret)
{
	static const struct {
		const char *name;
		enum log_level level;
	} names[] = {
		{ "debug", LOG_DEBUG }, { "info", LOG_INFO },	{ "warn", LOG_WARN },
		{ "error", LOG_ERROR }, { "trace", LOG_DEBUG }, { "all", LOG_DEBUG },
	};
	const char *text;
	char text_shown[SHOWN_MAX];
	int rc = param_require(&r->params, id, &text, &r->err);
	if (rc < 0)
		return rc;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strcasecmp(text, names[i].name) == 0) {
			*ret = names[i].level;
			return E_OK;
		}
	return error_set(&r->err, E_INVALID, "%s: \"%s\" is no level: write debug, info, warn or error",
			 param_name(id), shown(text_shown, text, strlen(text)));
}

static void level_set(enum log_level level)
{
	enum log_level before = log_least();
	log_set_level(level);
	/* At the level itself, so that it is always written. */
	log_line(level > LOG_INFO ? level : LOG_INFO, "log", "the least level is %s now, it was %s",
		 log_level_name(level), log_level_name(before));
}

static void level_answer(struct request *r)
{
	struct text *t = answer_begin_bare(r);
	json_open(t, '{');
	json_kv_str(t, "level", log_level_name(log_least()));
	json_close(t, '}');
	answer_end_bare(r);
}

void api_log_get(struct request *r)
{
	level_answer(r);
}

void api_log_put(struct request *r)
{
	enum log_level level;
	if (level_read(r, P_LEVEL, &level) < 0) {
		reply_failure(r);
		return;
	}
	level_set(level);
	level_answer(r);
}

/* Muster has one log: any logName means it. */
void api_log_nacos(struct request *r)
{
	enum log_level level;
	const char *name;
	if (param_require(&r->params, P_LOG_NAME, &name, &r->err) < 0 || level_read(r, P_LOG_LEVEL, &level) < 0) {
		reply_failure(r);
		return;
	}
	level_set(level);
	reply_ok(r);
}
