/* durable.c - see durable.h.
 *
 * Happy path: durable_wait finds nothing in the way > plan_make > durable_commit takes the lock and gives the rows
 * to the store > on_reply: the plan is applied (E_OK) or dropped without a trace > the lock is let go > those who
 * waited run again in their order; some of them may have to wait anew, in the same order. */
#include "registry/durable.h"
#include "base/mem.h"
#include "registry/rows.h"

#include <assert.h>
#include <string.h>

struct held { /* one durable change */
	struct held *next, **link; /* of the lock */
	struct durable *durable;
	struct lock *lock;
	struct plan plan;
};

struct lock {
	struct held *holders;
	bool whole; /* held by one for all of it */
	struct command *waiting, **waiting_end;
	uint64_t hash;
	struct service_key key; /* in @text */
	char text[];
};

static const struct service_key settings_key = { "", "", "", 0, 0, 0 };

static bool lock_equal(const void *value, const void *of)
{
	const struct lock *lock = value;
	const struct service_key *key = of;

	return lock->key.name_len == key->name_len && lock->key.group_len == key->group_len &&
	       lock->key.ns_len == key->ns_len && memcmp(lock->key.name, key->name, key->name_len) == 0 &&
	       memcmp(lock->key.group, key->group, key->group_len) == 0 &&
	       memcmp(lock->key.ns, key->ns, key->ns_len) == 0;
}

void durable_init(struct durable *d)
{
	map_init(&d->locks, lock_equal);
}

void durable_done(struct durable *d)
{
	map_done(&d->locks);
}

static const struct service_key *key_of(const struct command *cmd)
{
	switch (cmd->kind) {
	case CMD_NAMESPACE_CREATE:
	case CMD_NAMESPACE_UPDATE:
	case CMD_NAMESPACE_DELETE:
	case CMD_SWITCH_SET:
		return &settings_key;
	default:
		return &cmd->key;
	}
}

/* About one address only? Making a service or a cluster is about all of it. */
static bool is_narrow(struct registry *r, const struct command *cmd)
{
	struct service *s;
	const char *cluster;

	switch (cmd->kind) {
	case CMD_INSTANCE_REGISTER:
	case CMD_INSTANCE_BEAT:
	case CMD_INSTANCE_DEREGISTER:
	case CMD_INSTANCE_UPDATE:
	case CMD_INSTANCE_PATCH:
	case CMD_HEALTH_SET:
	case CMD_VERDICT:
	case CMD_EXPIRE:
	case CMD_SWEEP_OVERLAY:
		break;
	default:
		return false;
	}
	s = registry_find(r, &cmd->key, service_key_hash(&cmd->key));
	cluster = cmd->instance.cluster;
	if (cluster == NULL || *cluster == '\0')
		cluster = "DEFAULT";
	return cmd->instance.ip != NULL && s != NULL && s->listed &&
	       info_cluster(s->info, cluster, strlen(cluster)) >= 0;
}

static bool in_the_way(struct durable *d, const struct lock *lock, const struct command *cmd)
{
	if (lock->whole || lock->waiting != NULL)
		return true;
	if (lock->holders == NULL)
		return false;
	if (!is_narrow(d->registry, cmd))
		return true;
	for (const struct held *h = lock->holders; h != NULL; h = h->next) {
		const struct instance_spec *spec = &h->plan.cmd->instance;

		if (spec->port == cmd->instance.port && strcmp(spec->ip, cmd->instance.ip) == 0)
			return true;
	}
	return false;
}

int durable_wait(struct durable *d, struct command *cmd)
{
	const struct service_key *key = key_of(cmd);
	struct lock *lock;

	if (d->locks.count == 0)
		return 0;
	lock = map_find(&d->locks, service_key_hash(key), key);
	if (lock == NULL || !in_the_way(d, lock, cmd))
		return 0;
	cmd->next_waiting = NULL;
	*lock->waiting_end = cmd;
	lock->waiting_end = &cmd->next_waiting;
	return 1;
}

bool durable_touches(const struct durable *d, const struct service_key *key)
{
	return d->locks.count > 0 && map_find(&d->locks, service_key_hash(key), key) != NULL;
}

/* ---- locks */

static char *put_text(char **at, const char *from, size_t len)
{
	char *to = *at;

	memcpy(to, from, len);
	to[len] = '\0';
	*at = to + len + 1;
	return to;
}

static struct lock *lock_new(struct durable *d, const struct service_key *key, uint64_t hash)
{
	struct lock *lock =
	    mem_zalloc(1, sizeof(*lock) + (size_t)key->ns_len + key->group_len + key->name_len + 3);

	if (lock == NULL)
		return NULL;
	char *at = lock->text;

	lock->hash = hash;
	lock->waiting_end = &lock->waiting;
	lock->key = *key;
	lock->key.ns = put_text(&at, key->ns, key->ns_len);
	lock->key.group = put_text(&at, key->group, key->group_len);
	lock->key.name = put_text(&at, key->name, key->name_len);
	if (map_add(&d->locks, hash, lock) < 0) {
		mem_free(lock);
		return NULL;
	}
	return lock;
}

static void lock_drop(struct durable *d, struct lock *lock)
{
	if (lock->holders != NULL || lock->waiting != NULL)
		return;
	map_remove(&d->locks, lock->hash, &lock->key);
	mem_free(lock);
}

static void lock_join(struct lock *lock, struct held *h, bool whole)
{
	assert(!lock->whole && (!whole || lock->holders == NULL));
	h->lock = lock;
	h->next = lock->holders;
	h->link = &lock->holders;
	if (h->next != NULL)
		h->next->link = &h->next;
	lock->holders = h;
	lock->whole = whole;
}

static void lock_leave(struct durable *d, struct held *h)
{
	struct lock *lock = h->lock;
	struct command *waiting = lock->waiting;

	*h->link = h->next;
	if (h->next != NULL)
		h->next->link = h->link;
	lock->whole = false;
	lock->waiting = NULL;
	lock->waiting_end = &lock->waiting;
	lock_drop(d, lock);
	while (waiting != NULL) {
		struct command *next = waiting->next_waiting;

		d->run(d->arg, waiting);
		waiting = next;
	}
}

/* ---- commits */

static void on_reply(void *arg, const struct store_reply *reply)
{
	struct held *h = arg;
	struct durable *d = h->durable;

	d->under_way--;
	if (reply->code == E_OK)
		plan_apply(d->registry, &h->plan, (uint64_t)reply->number);
	d->on_settled(d->arg, &h->plan, reply->code, reply->error, (uint64_t)reply->number);
	if (reply->code != E_OK)
		plan_drop(d->registry, &h->plan);
	lock_leave(d, h);
	mem_free(h);
}

static int hand_over(struct durable *d, struct held *h, struct error *err)
{
	struct store_batch batch = { 0 };
	struct rows rows;
	int rc;

	rows_init(&rows);
	rc = rows_of_plan(&rows, d->registry, &h->plan);
	if (rc < 0) {
		plan_no_memory(err);
	} else {
		batch.ops = rows.ops;
		batch.op_count = rows.count;
		rc = store_commit(d->store, &batch, on_reply, h, err);
	}
	rows_done(&rows);
	return rc;
}

int durable_commit(struct durable *d, struct plan *p, struct error *err)
{
	const struct service_key *key = key_of(p->cmd);
	uint64_t hash = service_key_hash(key);
	struct lock *lock = map_find(&d->locks, hash, key);
	/* A plan that makes its service or a cluster is whole, though by now the service can be found. */
	bool whole = p->made || p->info != NULL || !is_narrow(d->registry, p->cmd);
	struct held *h = mem_alloc(sizeof(*h));
	int rc;

	if (h == NULL)
		return plan_no_memory(err);
	if (lock == NULL)
		lock = lock_new(d, key, hash);
	if (lock == NULL) {
		mem_free(h);
		return plan_no_memory(err);
	}
	h->durable = d;
	h->plan = *p;
	if (p->steps == &p->one)
		h->plan.steps = &h->plan.one;
	rc = hand_over(d, h, err);
	if (rc < 0) {
		lock_drop(d, lock);
		mem_free(h);
		return rc;
	}
	lock_join(lock, h, whole);
	d->under_way++;
	return E_OK;
}
