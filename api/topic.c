/* topic.c - see topic.h. */
#include "api/topic.h"

#include "api/io.h"
#include "api/message.h"
#include "api/push.h"
#include "api/udp_push.h"
#include "base/clock.h"
#include "base/mem.h"
#include <stdio.h>
#include <string.h>

/* ---- topics */

bool topic_is(const struct topic *t, const struct service_key *key)
{
	const struct service_key *a = &t->feed.key, *b = key;
	return a->name_len == b->name_len && a->group_len == b->group_len && a->ns_len == b->ns_len &&
	       memcmp(a->name, b->name, a->name_len) == 0 && memcmp(a->group, b->group, a->group_len) == 0 &&
	       memcmp(a->ns, b->ns, a->ns_len) == 0;
}

static bool topic_equal(const void *value, const void *key)
{
	return topic_is(value, key);
}

static struct topic *topic_new(struct io *io, const struct service_key *key, uint64_t hash)
{
	struct topic *t = mem_zalloc(1, sizeof(*t) + key->ns_len + key->group_len + key->name_len + 3u);
	if (t == NULL)
		return NULL;
	t->io = io;
	t->waiting_end = &t->waiting;
	t->feed.inbox = io->topic_news;
	t->feed.hash = hash;
	t->feed.key = *key;
	t->feed.key.ns = t->text;
	t->feed.key.group = stpcpy(t->text, key->ns) + 1;
	t->feed.key.name = stpcpy(t->text + key->ns_len + 1, key->group) + 1;
	memcpy(t->text + key->ns_len + key->group_len + 2, key->name, key->name_len + 1u);
	if (map_add(&io->topics, hash, t) < 0) {
		mem_free(t);
		return NULL;
	}
	return t;
}

static bool topic_rests(const struct topic *t)
{
	return t->count == 0 && !t->joined && !t->busy && t->waiting == NULL && !atomic_load(&t->feed.pending);
}

static void topic_free(struct topic *t)
{
	map_remove(&t->io->topics, t->feed.hash, &t->feed.key);
	io_timer_stop(t->io, &t->merge);
	io_timer_stop(t->io, &t->acks);
	mem_free(t);
}

struct topic *topic_get(struct io *io, const struct service_key *key)
{
	uint64_t hash = service_key_hash(key);
	struct topic *t = map_find(&io->topics, hash, key);
	return t != NULL ? t : topic_new(io, key, hash);
}

/* ---- joining and leaving */

static int run_join(struct registry *reg, void *arg, struct error *err)
{
	struct topic *t = arg;
	(void)reg;
	if (feed_join(&t->io->api->feed, &t->feed) < 0)
		return error_set(err, E_NOMEM, "no memory for the subscription");
	return E_OK;
}

static int run_leave(struct registry *reg, void *arg, struct error *err)
{
	struct topic *t = arg;
	(void)reg;
	(void)err;
	feed_leave(&t->io->api->feed, &t->feed);
	return E_OK;
}

void topic_wait(struct topic *t, struct message *m)
{
	m->next = NULL;
	*t->waiting_end = m;
	t->waiting_end = &m->next;
}

static void answer_waiting(struct topic *t, const struct error *err)
{
	struct message *m = t->waiting;
	t->waiting = NULL;
	t->waiting_end = &t->waiting;
	for (struct message *next; m != NULL; m = next) {
		next = m->next;
		if (err != NULL)
			m->err = *err;
		m->finish(m);
	}
}

static void on_joined(struct command *cmd)
{
	struct topic *t = cmd->owner;
	t->joined = cmd->code == E_OK; /* still busy: answers may subscribe and unsubscribe */
	if (!t->joined) {
		push_topic_lost(t);
		udp_push_topic_lost(t);
	}
	answer_waiting(t, cmd->code == E_OK ? NULL : &cmd->error);
	udp_push_news(t); /* they have not waited for this with their answers */
	t->busy = false;
	topic_settle(t);
}

static void on_left(struct command *cmd)
{
	struct topic *t = cmd->owner;
	t->busy = t->joined = false;
	topic_settle(t);
}

void topic_settle(struct topic *t)
{
	bool wanted = t->count > 0 || t->waiting != NULL;
	if (t->busy)
		return;
	if (t->joined == wanted) {
		if (topic_rests(t))
			topic_free(t);
		return;
	}
	if (!wanted && t->io->draining)
		return; /* the feed is gone */
	t->busy = true;
	command_init(&t->command, CMD_CALL);
	t->command.call.run = wanted ? run_join : run_leave;
	t->command.call.arg = t;
	t->command.owner = t;
	io_submit(t->io, &t->command, wanted ? on_joined : on_left);
}

/* ---- news */

static void push_topic(struct topic *t)
{
	t->pushed_ms = clock_ms();
	push_news(t);
	udp_push_news(t);
}

static void on_merged(struct io_timer *timer)
{
	struct topic *t = (struct topic *)((char *)timer - offsetof(struct topic, merge));
	t->merging = false;
	push_topic(t);
}

static void topic_news(struct topic *t)
{
	int64_t wait = t->pushed_ms + t->io->conf.push_merge_ms - clock_ms();
	if (t->merging)
		return;
	if (wait <= 0) {
		push_topic(t);
		return;
	}
	t->merging = true;
	io_timer_start(t->io, &t->merge, wait, on_merged);
}

static void on_news(void *arg, struct inbox_message *first, unsigned count)
{
	struct io *io = arg;
	(void)count;
	for (struct inbox_message *m = first, *next; m != NULL; m = next) {
		struct topic *t = (struct topic *)m;
		next = m->next;
		atomic_store(&t->feed.pending, false);
		if (topic_rests(t))
			topic_free(t);
		else if (!io->draining)
			topic_news(t);
	}
}

/* ---- the thread's */

int topics_open(struct io *io)
{
	map_init(&io->topics, topic_equal);
	return inbox_open(&io->topic_news, &io->loop, on_news, io);
}

void topics_close(struct io *io)
{
	if (io->topic_news != NULL)
		inbox_close(io->topic_news, NULL, NULL);
	io->topic_news = NULL;
}

void topics_free(struct io *io)
{
	struct topic *t;
	for (size_t at = 0; (t = map_next(&io->topics, &at)) != NULL;)
		mem_free(t);
	map_done(&io->topics);
}
