/* knocking.c - see knocking.h.
 *
 * Happy path: the addresses of a closed session are sorted, so that each is asked once whatever number of services it
 * serves > some are given to the prober > it answers > what was refused is deregistered > the next ones. Those that were
 * open are asked a second time a little later: the kernel of a killed process may close its connection to us before the
 * port it listened at. Then the grace goes on, for what is left. It is over early when nothing is. */
#include "api/knocking.h"

#include "api/io.h"
#include "api/session.h"
#include "base/clock.h"
#include "base/mem.h"
#include <stdlib.h>
#include <string.h>

enum {
	KNOCKS_AT_ONCE = 64, /* of one session */
	AGAIN_MS = 200,
	TURN_MS = 5000, /* a knock that waits longer for its turn says nothing */
};

struct target {
	struct session_entry *entry;
	size_t nth; /* of its addresses */
};

struct knocking {
	struct command cmd; /* first: answers come by the inbox, which takes commands */
	struct knock_question question;
	struct io_timer again;
	struct session *session;
	struct knock knocks[KNOCKS_AT_ONCE];
	bool second;	       /* round */
	bool unasked;	       /* some have no port */
	size_t count, at, kept; /* targets of this round: all, asked, to be asked again */
	size_t waiting;	       /* others, which said nothing: the grace is theirs */
	struct target targets[];
};

void knocking_free(struct knocking *k)
{
	if (k == NULL)
		return;
	io_timer_stop(k->session->io, &k->again);
	mem_free(k);
}

static struct entry_address *address_of(const struct target *t)
{
	return &t->entry->addresses->at[t->nth];
}

static int compare(const void *x, const void *y)
{
	const struct entry_address *a = address_of(x), *b = address_of(y);
	int ips = strcmp(a->ip, b->ip);
	return ips != 0 ? ips : (int)a->port - (int)b->port;
}

static void on_answered(struct command *cmd);

/* On the prober's thread. */
static void on_answer(struct knock_question *q)
{
	struct knocking *k = q->owner;
	inbox_post(k->session->io->inbox, &k->cmd.message);
}

static bool same_address(const struct knocking *k, size_t a, size_t b)
{
	return compare(&k->targets[a], &k->targets[b]) == 0;
}

/* The next ones. Not after it has returned false. */
static bool ask(struct knocking *k)
{
	struct session *s = k->session;
	const struct knocker *knocker = &s->io->api->conf.knocker;
	struct knock_question *q = &k->question;
	size_t at = k->at;
	q->knocks = k->knocks;
	q->owner = k;
	q->on_answer = on_answer;
	q->until_ms = clock_ms() + TURN_MS;
	for (q->count = 0; at < k->count && q->count < KNOCKS_AT_ONCE; q->count++) {
		const struct entry_address *a = address_of(&k->targets[at]);
		k->knocks[q->count] = (struct knock){ .ip = a->ip, .port = a->port };
		do
			at++;
		while (at < k->count && same_address(k, at, at - 1));
	}
	if (q->count == 0 || s->leaving || s->io->draining || knocker->doubts(knocker->arg))
		return false;
	k->cmd.on_done = on_answered;
	s->commands++;	    /* it stays until the answers are in, */
	s->io->in_flight++; /* and so does its thread */
	if (knocker->ask(knocker->arg, q))
		return true;
	s->commands--;
	s->io->in_flight--;
	return false;
}

static void on_again(struct io_timer *t)
{
	ask((struct knocking *)((char *)t - offsetof(struct knocking, again)));
}

static void round_over(struct knocking *k)
{
	if (k->kept + k->waiting == 0 && !k->unasked) {
		session_leave(k->session);
		return;
	}
	k->waiting += k->second ? k->kept : 0;
	k->count = k->kept;
	k->at = k->kept = 0;
	if (!k->second && k->count > 0)
		io_timer_start(k->session->io, &k->again, AGAIN_MS, on_again);
	k->second = true;
}

/* One address and all its targets, which begin at k->at. */
static void take(struct knocking *k, enum knock_answer answer)
{
	do {
		struct target t = k->targets[k->at++];
		if (answer == KNOCK_OPEN)
			k->targets[k->kept++] = t;
		else if (answer == KNOCK_NOTHING || session_refuse(k->session, t.entry, address_of(&t)) < 0)
			k->waiting++;
	} while (k->at < k->count && compare(&k->targets[k->at], &k->targets[k->at - 1]) == 0);
}

static void on_answered(struct command *cmd)
{
	struct knocking *k = (struct knocking *)cmd;
	struct session *s = k->session;
	const struct knocker *knocker = &s->io->api->conf.knocker;
	s->commands--;
	if (s->leaving || s->io->draining || knocker->doubts(knocker->arg)) {
		session_release(s);
		return;
	}
	for (size_t i = 0; i < k->question.count; i++)
		take(k, k->knocks[i].answer);
	if (k->at == k->count)
		round_over(k);
	else
		ask(k);
}

static size_t count_targets(const struct session *s, bool *ret_unasked)
{
	const struct session_entry *e;
	size_t count = 0;
	*ret_unasked = false;
	for (size_t at = 0; (e = map_next(&s->entries, &at)) != NULL;)
		for (size_t i = 0; e->addresses != NULL && i < e->addresses->count; i++) {
			count += e->addresses->at[i].port != 0;
			*ret_unasked |= e->addresses->at[i].port == 0;
		}
	return count;
}

void knocking_start(struct session *s)
{
	struct session_entry *e;
	bool unasked;
	size_t count = count_targets(s, &unasked);
	if (s->knocking != NULL || count == 0 || !s->io->conf.reconnect_probe || s->io->api->conf.knocker.ask == NULL)
		return;
	struct knocking *k = mem_zalloc(1, sizeof(*k) + count * sizeof(k->targets[0]));
	if (k == NULL)
		return;
	s->knocking = k;
	k->session = s;
	k->unasked = unasked;
	for (size_t at = 0; (e = map_next(&s->entries, &at)) != NULL;)
		for (size_t i = 0; e->addresses != NULL && i < e->addresses->count; i++)
			if (e->addresses->at[i].port != 0)
				k->targets[k->count++] = (struct target){ e, i };
	qsort(k->targets, k->count, sizeof(k->targets[0]), compare);
	ask(k);
}
