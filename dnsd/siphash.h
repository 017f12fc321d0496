/* siphash.h - SipHash-2-4 with a 64-bit result (Aumasson and Bernstein, 2012). Any thread; pure. */
#ifndef DNSD_SIPHASH_H
#define DNSD_SIPHASH_H

#include <stddef.h>
#include <stdint.h>

uint64_t siphash24(const uint8_t key[16], const uint8_t *at, size_t len);

#endif
