/* fuzzy.c - see fuzzy.h.
 *
 * A watch is one pattern of one connection. Its request makes it join the feed and walks over the namespace's
 * services, both on the control thread; news that comes while a walk is under way waits, since it is newer than what
 * the walk has seen. Of each service the watch knows whether it is there and whether its client was told so; what
 * differs is in a queue, and is sent when the connection has room. Nothing is sent twice for want of an answer: the
 * client asks again every three minutes and on each new connection, says what it has, and is told what differs. */
#include "api/fuzzy.h"

#include "api/io.h"
#include "api/message.h"
#include "base/hash.h"
#include "base/mem.h"
#include "registry/walk.h"
#include <stdio.h>
#include <string.h>

enum {
	CODE_PATTERNS = 50310, CODE_MATCHES = 50311, /* of the original: the client lets its user know */
	BATCH = 10,
	WAITING_MAX = 32768, /* unsent bytes of a connection: it is told nothing for now */
	RECEIVED_MAX = 2 * FUZZY_MATCHES_MAX, /* services that a client says it has */
	SLICE = 4096, /* services that are looked at in one go */
};

struct fuzzy_service {
	struct fuzzy_service *next; /* in the queue */
	uint64_t hash;
	bool present, told, queued;
	char key[]; /* namespace@@group@@service */
};

struct fuzzy_watch {
	struct fuzzy_listener listener;
	struct io *io;
	struct session *session; /* NULL: ended, and about to leave the feed */
	struct fuzzy_watch *next;		/* of the session */
	struct fuzzy_watch *all_next, *all_prev; /* of the thread */
	struct command command;			/* leave */
	struct map services;			/* struct fuzzy_service */
	struct fuzzy_service *queue, **queue_end;
	unsigned walks;					/* under way */
	struct inbox_message *early, **early_end;	/* news that waits for them */
	const char *sync; /* the kind of batches that the queue goes out in; NULL: one by one */
	unsigned batches, batch;
	char text[]; /* the pattern, then once more, taken apart */
};

/* A walk's part of its message. */
struct fuzzy_walk {
	struct walk *walk;
	struct fuzzy_feed *feed;
	struct fuzzy_listener *listener; /* NULL: it has joined */
	struct fuzzy_pattern pattern;	 /* of the message: the watch may end meanwhile */
	uint64_t watch;
	struct found *first;
	size_t count;
	bool more, over;
};

struct found {
	struct found *next;
	char key[];
};

/* ---- what a watch knows */

static bool service_equal(const void *value, const void *key)
{
	return strcmp(((const struct fuzzy_service *)value)->key, key) == 0;
}

static struct fuzzy_service *service_get(struct fuzzy_watch *w, const char *key, bool make)
{
	size_t len = strlen(key);
	uint64_t hash = hash_bytes(key, len);
	struct fuzzy_service *s = map_find(&w->services, hash, key);
	if (s != NULL || !make)
		return s;
	s = mem_zalloc(1, sizeof(*s) + len + 1);
	if (s == NULL)
		return NULL;
	s->hash = hash;
	memcpy(s->key, key, len + 1);
	if (map_add(&w->services, hash, s) < 0) {
		mem_free(s);
		return NULL;
	}
	return s;
}

/* Into the queue, if its client is to be told; away, if nobody is to know of it any more. */
static void service_settle(struct fuzzy_watch *w, struct fuzzy_service *s)
{
	if (s->queued)
		return;
	if (s->present != s->told) {
		s->queued = true;
		s->next = NULL;
		*w->queue_end = s;
		w->queue_end = &s->next;
	} else if (!s->present) {
		map_remove(&w->services, s->hash, s->key);
		mem_free(s);
	}
}

static struct fuzzy_service *queue_take(struct fuzzy_watch *w)
{
	struct fuzzy_service *s = w->queue;
	w->queue = s->next;
	if (w->queue == NULL)
		w->queue_end = &w->queue;
	s->queued = false;
	return s;
}

/* ---- telling */

static void begin(struct fuzzy_watch *w, struct text *t, const char *sync)
{
	char id[32];
	snprintf(id, sizeof(id), "f%llu", (unsigned long long)++w->session->requests);
	text_clear(t);
	json_open(t, '{');
	json_key(t, "headers");
	json_raw(t, "{}", 2);
	json_kv_str(t, "requestId", id);
	json_kv_str(t, "module", "naming");
	json_kv_str(t, "syncType", sync);
}

static void end(struct fuzzy_watch *w, struct text *t, const char *type)
{
	json_close(t, '}');
	if (!t->failed) /* what is lost differs at the client's next request */
		session_send(w->session, type, &(struct stream_part){ .at = t->at, .len = t->len }, 1);
}

static void send_change(struct fuzzy_watch *w, struct fuzzy_service *s)
{
	struct text *t = &w->io->encode;
	begin(w, t, "FUZZY_WATCH_RESOURCE_CHANGED");
	json_kv_str(t, "serviceKey", s->key);
	json_kv_str(t, "changedType", s->present ? "ADD_SERVICE" : "DELETE_SERVICE");
	end(w, t, "NamingFuzzyWatchChangeNotifyRequest");
	s->told = s->present;
	service_settle(w, s);
}

static void batch_begin(struct fuzzy_watch *w, struct text *t, const char *sync)
{
	begin(w, t, sync);
	json_kv_str(t, "groupKeyPattern", w->text);
	json_key(t, "contexts");
	json_open(t, '[');
}

static void batch_end(struct fuzzy_watch *w, struct text *t)
{
	json_close(t, ']');
	json_kv_i64(t, "totalBatch", w->batches);
	json_kv_i64(t, "currentBatch", w->batch);
	end(w, t, "NamingFuzzyWatchSyncRequest");
}

static bool next_is_new(const struct fuzzy_watch *w)
{
	return w->queue != NULL && w->queue->present && !w->queue->told;
}

static void send_batch(struct fuzzy_watch *w)
{
	struct text *t = &w->io->encode;
	w->batch++;
	batch_begin(w, t, w->sync);
	for (unsigned n = 0; n < BATCH && next_is_new(w); n++) {
		struct fuzzy_service *s = queue_take(w);
		json_open(t, '{');
		json_kv_str(t, "serviceKey", s->key);
		json_kv_str(t, "changedType", "ADD_SERVICE");
		json_close(t, '}');
		s->told = true;
	}
	batch_end(w, t);
}

static bool has_room(const struct session *s)
{
	return s->stream != NULL && grpc_conn_waiting(s->conn) <= WAITING_MAX;
}

/* What its client does not know yet, as far as there is room. A service that is gone is always told as a change: in a
 * batch nacos-client (3.0, 3.1) takes every service for one that has come. */
static void flush(struct fuzzy_watch *w)
{
	while (w->queue != NULL && w->walks == 0 && has_room(w->session)) {
		if (w->sync != NULL && next_is_new(w)) {
			send_batch(w);
			continue;
		}
		struct fuzzy_service *s = queue_take(w);
		if (s->present != s->told)
			send_change(w, s);
		else
			service_settle(w, s);
	}
	if (w->queue != NULL || w->walks > 0 || w->sync == NULL || !has_room(w->session))
		return;
	if (strcmp(w->sync, "FUZZY_WATCH_INIT_NOTIFY") == 0) {
		struct text *t = &w->io->encode;
		w->batch = w->batches = 1;
		batch_begin(w, t, "FINISH_FUZZY_WATCH_INIT_NOTIFY");
		batch_end(w, t);
	}
	w->sync = NULL;
}

void fuzzy_session_drained(struct session *s)
{
	for (struct fuzzy_watch *w = s->watches; w != NULL; w = w->next)
		flush(w);
}

/* ---- news */

static void hear(struct fuzzy_watch *w, const struct fuzzy_news *n)
{
	struct fuzzy_service *s = service_get(w, n->key, n->present && w->services.count < FUZZY_MATCHES_MAX);
	if (s == NULL)
		return;
	s->present = n->present;
	service_settle(w, s);
}

static void hear_early(struct fuzzy_watch *w)
{
	struct inbox_message *m = w->early;
	w->early = NULL;
	w->early_end = &w->early;
	for (struct inbox_message *next; m != NULL; m = next) {
		next = m->next;
		hear(w, (struct fuzzy_news *)m);
		mem_free(m);
	}
}

static void on_news(void *arg, struct inbox_message *first, unsigned count)
{
	struct io *io = arg;
	(void)count;
	for (struct inbox_message *m = first, *next; m != NULL; m = next) {
		next = m->next;
		struct fuzzy_watch *w = handles_find(&io->fuzzy_handles, ((struct fuzzy_news *)m)->watch);
		if (w != NULL && w->walks > 0) {
			m->next = NULL;
			*w->early_end = m;
			w->early_end = &m->next;
			continue;
		}
		if (w != NULL) {
			hear(w, (struct fuzzy_news *)m);
			flush(w);
		}
		mem_free(m);
	}
}

/* ---- watches */

static struct fuzzy_watch *watch_find(const struct session *s, const char *pattern)
{
	struct fuzzy_watch *w = s->watches;
	while (w != NULL && strcmp(w->text, pattern) != 0)
		w = w->next;
	return w;
}

static struct fuzzy_watch *watch_new(struct session *s, const char *pattern)
{
	struct io *io = s->io;
	size_t size = strlen(pattern) + 1;
	struct error unused;
	struct fuzzy_watch *w = mem_zalloc(1, sizeof(*w) + 2 * size);
	if (w == NULL)
		return NULL;
	memcpy(w->text, pattern, size);
	memcpy(w->text + size, pattern, size);
	fuzzy_pattern_parse(&w->listener.pattern, w->text + size, &unused); /* it was read once already */
	w->listener.watch = handles_add(&io->fuzzy_handles, w);
	if (w->listener.watch == 0) {
		mem_free(w);
		return NULL;
	}
	w->listener.inbox = io->fuzzy_news;
	w->io = io;
	w->session = s;
	map_init(&w->services, service_equal);
	w->queue_end = &w->queue;
	w->early_end = &w->early;
	w->next = s->watches;
	s->watches = w;
	s->watch_count++;
	w->all_next = io->fuzzy_watches;
	if (w->all_next != NULL)
		w->all_next->all_prev = w;
	io->fuzzy_watches = w;
	return w;
}

static void watch_free(struct fuzzy_watch *w)
{
	*(w->all_prev != NULL ? &w->all_prev->all_next : &w->io->fuzzy_watches) = w->all_next;
	if (w->all_next != NULL)
		w->all_next->all_prev = w->all_prev;
	mem_free(w);
}

static int run_leave(struct registry *reg, void *arg, struct error *err)
{
	struct fuzzy_watch *w = arg;
	(void)reg;
	(void)err;
	fuzzy_feed_leave(&w->io->api->feed.fuzzy, &w->listener);
	return E_OK;
}

static void on_left(struct command *cmd)
{
	watch_free(cmd->owner);
}

static void forget(struct fuzzy_watch *w)
{
	struct fuzzy_service *s;
	for (size_t at = 0; (s = map_next(&w->services, &at)) != NULL;)
		mem_free(s);
	map_done(&w->services);
	for (struct inbox_message *m = w->early, *next; m != NULL; m = next) {
		next = m->next;
		mem_free(m);
	}
	handles_remove(&w->io->fuzzy_handles, w->listener.watch);
	w->session = NULL;
}

/* A join that is under way is before us in the queue of commands, so we leave behind it. */
static void watch_end(struct fuzzy_watch *w)
{
	struct session *s = w->session;
	struct fuzzy_watch **at = &s->watches;
	while (*at != w)
		at = &(*at)->next;
	*at = w->next;
	s->watch_count--;
	forget(w);
	if (w->io->draining)
		return; /* the feed is gone; fuzzy_free() has it */
	command_init(&w->command, CMD_CALL);
	w->command.call.run = run_leave;
	w->command.call.arg = w;
	w->command.owner = w;
	io_submit(w->io, &w->command, on_left);
}

void fuzzy_session_end(struct session *s)
{
	while (s->watches != NULL)
		watch_end(s->watches);
}

/* ---- the request */

int fuzzy_watch_decode(struct message *m)
{
	struct fuzzy_pattern p;
	const char *pattern = message_text(m->body, "groupKeyPattern");
	m->action = message_text(m->body, "watchType");
	m->flag = message_bool(m->body, "initializing", true);
	m->clusters = pattern; /* as it came */
	char *copy = arena_memdup0(&m->arena, pattern, strlen(pattern));
	if (copy == NULL)
		return error_set(&m->err, E_NOMEM, "no memory for the request");
	return fuzzy_pattern_parse(&p, copy, &m->err);
}

static void show(void *arg, const struct service_view *v)
{
	struct message *m = arg;
	struct fuzzy_walk *w = m->own;
	const struct service_key *key = &v->info->key;
	if (v->count == 0 || w->over || !fuzzy_pattern_matches(&w->pattern, key))
		return;
	size_t size = (size_t)key->ns_len + key->group_len + key->name_len + sizeof("@@@@");
	struct found *f = w->count < FUZZY_MATCHES_MAX ? arena_alloc(&m->arena, sizeof(*f) + size) : NULL;
	if (f == NULL) {
		w->over = true;
		return;
	}
	snprintf(f->key, size, "%s@@%s@@%s", key->ns, key->group, key->name);
	f->next = w->first;
	w->first = f;
	w->count++;
}

static int run_walk(struct registry *reg, void *arg, struct error *err)
{
	struct message *m = arg;
	struct fuzzy_walk *w = m->own;
	if (w->listener != NULL && fuzzy_feed_join(w->feed, w->listener) < 0)
		return error_set(err, E_LIMIT, "fuzzy watch pattern count is over the limit of %d", FUZZY_LISTENERS_MAX);
	w->listener = NULL;
	if (w->walk == NULL && walk_new(&w->walk, reg, w->pattern.ns, NULL) < 0)
		return error_set(err, E_NOMEM, "no memory for the list of services");
	w->more = walk_slice(w->walk, reg, SLICE, show, m);
	return E_OK;
}

/* What is there by the walk, and what the client says it has. */
static void compare(struct fuzzy_watch *w, const struct message *m, const struct found *found)
{
	const cJSON *list = cJSON_GetObjectItemCaseSensitive(m->body, "receivedGroupKeys");
	const cJSON *key = cJSON_IsArray(list) ? list->child : NULL;
	struct fuzzy_service *s;
	for (size_t at = 0; (s = map_next(&w->services, &at)) != NULL;)
		s->present = s->told = false;
	for (; found != NULL; found = found->next)
		if ((s = service_get(w, found->key, true)) != NULL)
			s->present = true;
	for (unsigned n = 0; key != NULL && n < RECEIVED_MAX; key = key->next, n++)
		if (cJSON_IsString(key) && strlen(key->valuestring) <= FUZZY_PATTERN_MAX &&
		    (s = service_get(w, key->valuestring, true)) != NULL)
			s->told = true;
	size_t fresh = 0;
	for (size_t at = 0; (s = map_next(&w->services, &at)) != NULL;) {
		fresh += s->present && !s->told;
		service_settle(w, s);
	}
	w->sync = m->flag ? "FUZZY_WATCH_INIT_NOTIFY" : "FUZZY_WATCH_DIFF_SYNC_NOTIFY";
	w->batches = (unsigned)((fresh + BATCH - 1) / BATCH);
	w->batch = 0;
}

static void walk_over(struct message *m)
{
	struct fuzzy_walk *walk = m->own;
	struct fuzzy_watch *w = handles_find(&m->io->fuzzy_handles, walk->watch);
	bool over = walk->over;
	walk_free(walk->walk);
	if (w != NULL) {
		w->walks--;
		if (m->err.code < 0 && w->walks == 0 && !w->services.count) {
			watch_end(w); /* it never began */
			w = NULL;
		} else if (m->err.code == E_OK) {
			compare(w, m, walk->first);
		}
	}
	if (w != NULL && w->walks == 0) {
		hear_early(w);
		flush(w);
	}
	if (m->err.code == E_LIMIT)
		message_error(m, CODE_PATTERNS, m->err.text);
	else if (m->err.code < 0)
		message_fail(m);
	else if (over)
		message_error(m, CODE_MATCHES, "fuzzy watch pattern matched service count over limit.");
	else
		message_ok(m);
}

static void walk_on(struct message *m);

static void walked(struct message *m)
{
	struct fuzzy_walk *w = m->own;
	if (m->err.code == E_OK && w->more)
		walk_on(m);
	else
		walk_over(m);
}

static void walk_on(struct message *m)
{
	command_init(m->commands, CMD_CALL);
	m->commands->call.run = run_walk;
	m->commands->call.arg = m;
	message_submit(m, m->commands);
	message_submitted(m, walked);
}

static void watch(struct message *m)
{
	struct session *s = m->session;
	struct fuzzy_watch *w = watch_find(s, m->clusters);
	struct fuzzy_walk *walk = arena_zalloc(&m->arena, sizeof(*walk));
	char *copy = arena_memdup0(&m->arena, m->clusters, strlen(m->clusters));
	if (w == NULL && s->watch_count >= FUZZY_WATCHES_MAX) {
		message_error(m, CODE_PATTERNS, "fuzzy watch pattern count is over the limit of 20 of a connection");
		return;
	}
	if (w == NULL)
		w = watch_new(s, m->clusters);
	if (w == NULL || walk == NULL || copy == NULL || message_commands(m, 1) < 0) {
		error_set(&m->err, E_NOMEM, "no memory for the watch");
		message_fail(m);
		return;
	}
	walk->feed = &m->io->api->feed.fuzzy;
	walk->listener = &w->listener;
	walk->watch = w->listener.watch;
	fuzzy_pattern_parse(&walk->pattern, copy, &m->err); /* it was read once already */
	m->own = walk;
	w->walks++;
	walk_on(m);
}

void fuzzy_watch_run(struct message *m)
{
	struct session *s = m->session;
	struct fuzzy_watch *w = watch_find(s, m->clusters);
	if (strcmp(m->action, "WATCH") == 0 && s->conn != NULL) {
		watch(m);
	} else if (strcmp(m->action, "CANCEL_WATCH") == 0 || s->conn == NULL) {
		if (w != NULL)
			watch_end(w);
		message_ok(m);
	} else {
		error_set(&m->err, E_INVALID, "Unsupported request type %.100s", m->action);
		message_fail(m);
	}
}

/* ---- the thread's */

int fuzzy_open(struct io *io)
{
	handles_init(&io->fuzzy_handles);
	return inbox_open(&io->fuzzy_news, &io->loop, on_news, io);
}

void fuzzy_close(struct io *io)
{
	if (io->fuzzy_news != NULL)
		inbox_close(io->fuzzy_news, NULL, NULL);
	io->fuzzy_news = NULL;
}

void fuzzy_free(struct io *io)
{
	while (io->fuzzy_watches != NULL) {
		if (io->fuzzy_watches->session != NULL)
			forget(io->fuzzy_watches);
		watch_free(io->fuzzy_watches);
	}
	handles_done(&io->fuzzy_handles);
}
