/* clock.c - see clock.h. The fake times are a base singleton, read by any thread. */
#include "base/clock.h"
#include <stdatomic.h>
#include <stdbool.h>
#include <time.h>

static struct {
	atomic_bool on;
	_Atomic int64_t mono_ms, wall_ms;
} fake;

static int64_t now_ms(clockid_t which)
{
	struct timespec ts;
	clock_gettime(which, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

int64_t clock_ms(void)
{
	if (atomic_load_explicit(&fake.on, memory_order_acquire))
		return atomic_load_explicit(&fake.mono_ms, memory_order_relaxed);
	return now_ms(CLOCK_BOOTTIME);
}

int64_t clock_wall_ms(void)
{
	if (atomic_load_explicit(&fake.on, memory_order_acquire))
		return atomic_load_explicit(&fake.wall_ms, memory_order_relaxed);
	return now_ms(CLOCK_REALTIME);
}

uint64_t clock_ns(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

void clock_fake(int64_t mono_ms, int64_t wall_ms)
{
	atomic_store_explicit(&fake.mono_ms, mono_ms, memory_order_relaxed);
	atomic_store_explicit(&fake.wall_ms, wall_ms, memory_order_relaxed);
	atomic_store_explicit(&fake.on, true, memory_order_release);
}

void clock_fake_off(void)
{
	atomic_store_explicit(&fake.on, false, memory_order_release);
}
