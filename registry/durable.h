/* durable.h - durable changes on their way to disk, and who must wait for them. A durable change holds its
 * service: wholly, or, when it is about one instance of a service and cluster that are there already, only
 * that address, so that many registrations share a group commit. Commands that touch what is held wait in
 * order. Namespaces and switches share one lock. Control thread. */
#ifndef REGISTRY_DURABLE_H
#define REGISTRY_DURABLE_H

#include "registry/core.h"
#include "store/store.h"

struct durable {
	struct registry *registry;
	struct store *store;
	struct map locks;
	unsigned under_way;
	/* What happened to @p's command; then its lock is let go and the waiting commands are run. */
	void (*on_settled)(void *arg, struct plan *p, int code, const struct error *error, uint64_t number);
	void (*run)(void *arg, struct command *cmd);
	void *arg;
};

void durable_init(struct durable *d);
void durable_done(struct durable *d);
/* 1: @cmd waits and will be given to @run later; 0: go on. E_NOMEM. */
int durable_wait(struct durable *d, struct command *cmd);
bool durable_touches(const struct durable *d, const struct service_key *key); /* anything of this service */
/* Hands @p to the store; @p is copied and no longer the caller's. On failure it is still. */
int durable_commit(struct durable *d, struct plan *p, struct error *err);

#endif
