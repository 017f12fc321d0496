/* fake_desk.h - a desk and a registry small enough to see through, in place of libregistry.a: services with one
 * or more clusters, records, one watcher, and commands that wait until the test applies them. The test's thread
 * is control; desk_submit may be called by any. */
#ifndef TESTS_HEALTH_FAKE_DESK_H
#define TESTS_HEALTH_FAKE_DESK_H

#include "registry/desk.h"

struct desk *fake_desk_new(void);
void fake_desk_free(struct desk *d); /* commands that wait are applied first */
void fake_watch(struct desk *d, struct registry_watcher watcher);
/* A copy of the present switches, to change; it counts once it is published. */
struct switches *fake_switches(struct desk *d);
void fake_publish(struct desk *d, struct switches *s);

struct service *fake_service(struct desk *d, const char *name, bool ephemeral);
/* Changes the checker of cluster DEFAULT; the watcher hears of it. Strings are copied, NULL: "". */
void fake_checker(struct desk *d, struct service *s, const struct checker *checker, uint16_t check_port,
		  bool use_instance_port);
/* Registers, healthy, its last beat now. An instance that is there already is replaced. */
struct instance *fake_add(struct desk *d, struct service *s, const char *ip, uint16_t port);
struct instance *fake_add_state(struct desk *d, struct service *s, const char *ip, uint16_t port, bool healthy);
void fake_remove(struct desk *d, struct service *s, const char *ip, uint16_t port);
/* The current record or NULL. */
struct instance *fake_find(struct desk *d, struct service *s, const char *ip, uint16_t port);
unsigned fake_count(struct desk *d, struct service *s, bool healthy_only);
void fake_beat(struct instance *i); /* stores the time, as an I/O loop does */

/* Applies what was submitted; returns how many commands. */
unsigned fake_apply(struct desk *d);
/* Waits for a submitted command for at most @ms of real time, then applies; 0: none came. */
unsigned fake_await(struct desk *d, int ms);
/* The next applied commands fail with this code. */
void fake_refuse(struct desk *d, int code);

#endif
