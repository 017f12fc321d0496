/* settings_man.h - the part of muster.conf(5) that lists every setting: made from the table, so that the page cannot
 * lag behind it. */
#ifndef MUSTERD_SETTINGS_MAN_H
#define MUSTERD_SETTINGS_MAN_H

#include "base/text.h"

void settings_man(struct text *to); /* mdoc */

#endif
