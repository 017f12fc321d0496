/* unsettled.h - services whose answers change though nothing happens to them: instances that start slowly, and the last
 * well ones of a service where nobody is, are compiled again when their time has come; those with host names when other
 * addresses were found. Other services have no memory here. Private to zones/; control thread. */
#ifndef ZONES_UNSETTLED_H
#define ZONES_UNSETTLED_H

#include "zones/zone.h"

bool unsettled_equal(const void *value, const void *key);
/* A new view of @s, before it is compiled. @old may be NULL: the first one. */
void unsettled_note(struct zone_set *zs, struct site *s, const struct service_view *old);
/* @s takes over from @like of @from who starts slowly, before it is compiled. */
void unsettled_adopt(struct zone_set *zs, struct site *s, const struct zone_set *from, const struct site *like);
/* What the compilation of @s has to look at besides its view. */
void unsettled_lend(struct zone_set *zs, const struct site *s, struct blob_past *past);
/* It was compiled: into @b. */
void unsettled_keep(struct zone_set *zs, struct site *s, const struct blob *b);
bool unsettled_starts(const struct zone_set *zs, const struct site *s, const struct instance *i); /* slowly */
void unsettled_forget(struct zone_set *zs, const struct site *s);
void unsettled_tick(struct zone_set *zs); /* compiles what is due */
void unsettled_free(struct zone_set *zs);

#endif
