/* stub_zones.h - stands in for zones/zone_set.c in tests of dnsd/; see the .c for its names. Link it instead of
 * libzones.a; the zone set itself is never looked at, so NULL will do. */
#ifndef TESTS_SUPPORT_STUB_ZONES_H
#define TESTS_SUPPORT_STUB_ZONES_H

#include "zones/zone_set.h"

#endif
