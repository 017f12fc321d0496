/* zone_keeper.h - the zones in force with what belongs to them (their files, where they are given out), and the way to
 * other ones while the server runs: a second set is made beside the first, its files are read on a thread of their own, it
 * takes over what the first knows in small steps between other work, and one pointer puts it in force. The first is freed
 * when nobody reads it and no transfer of it is under way. Control thread, but for the slot. */
#ifndef MUSTERD_ZONE_KEEPER_H
#define MUSTERD_ZONE_KEEPER_H

#include "musterd/zone_files.h"
#include "registry/desk.h"
#include "zones/zone_out.h"

struct zone_keeper;

/* Makes the first set and follows the registry from now on. *@ret is there
 * to be closed and freed on errors too, unless it is NULL: those of zone_set_new(); E_INVALID (a file is wrong, the log says
 * where). */
int zone_keeper_open(struct zone_keeper **ret, uv_loop_t *loop, struct desk *desk, const struct zone_set_conf *conf,
		     struct error *err);
const struct zone_slot *zone_keeper_slot(const struct zone_keeper *k);
void zone_keeper_ready(struct zone_keeper *k);
void zone_keeper_tick(struct zone_keeper *k, int64_t wall_ms);
/* The serial that a zone has, or had when it was last here: none that comes is below. The second: of an earlier run. */
void zone_keeper_serial(struct zone_keeper *k, const char *zone, uint32_t serial);
void zone_keeper_restore(struct zone_keeper *k, const char *zone, uint32_t serial);
void zone_keeper_host_found(struct zone_keeper *k, const char *name, const struct host_found *found);
void zone_keeper_read_files(struct zone_keeper *k); /* again */

/* Other zones, with the callbacks of the first set: @conf is borrowed until @on_made, which comes later with E_OK,
 * then zone_keeper_use() or _drop() is due; or with an error, and then nothing is left of them. One at a time. A failure
 * that is known at once is returned, and @on_made does not come. */
int zone_keeper_make(struct zone_keeper *k, const struct zone_set_conf *conf,
		     void (*on_made)(void *arg, int rc, const struct error *err), void *arg, struct error *err);
struct zone_set *zone_keeper_made(struct zone_keeper *k); /* between the two */
void zone_keeper_use(struct zone_keeper *k);  /* in force from now on */
void zone_keeper_drop(struct zone_keeper *k); /* made or not; nothing is heard of them any more */

/* Nothing is read or given out from now on, and nobody asks; then @on_closed. Freed when the desk has closed. */
void zone_keeper_close(struct zone_keeper *k, void (*on_closed)(void *arg), void *arg);
void zone_keeper_free(struct zone_keeper *k); /* NULL is fine */

#endif
