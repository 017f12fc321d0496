/* clock.h - the two clocks. Tests may set them (clock_fake), then both stand still until moved. */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stdint.h>

int64_t clock_ms(void);	     /* monotonic (CLOCK_BOOTTIME): for deadlines and durations */
int64_t clock_wall_ms(void); /* since 1970: for people, serials and lastRefTime's base only */
uint64_t clock_ns(void);     /* monotonic, for measuring */
void clock_fake(int64_t mono_ms, int64_t wall_ms);
void clock_fake_off(void);

#endif
