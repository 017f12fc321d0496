/* unbound_late.h - libunbound, loaded when it is first needed: with all that it is linked to it would take 0.7 MB of every
 * server, and most of them neither forward names nor have instances with a host name. Any thread. */
#ifndef DNSD_UNBOUND_LATE_H
#define DNSD_UNBOUND_LATE_H

#include "base/error.h"
#include <unbound.h>

/* Before the first of the library's functions that we use; later calls cost nothing. E_IO: it is not installed. */
int unbound_load(struct error *err);

#endif
