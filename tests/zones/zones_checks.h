/* zones_checks.h - what a test of names expects, each said in one line; a failure names the name. */
#ifndef TESTS_ZONES_ZONES_CHECKS_H
#define TESTS_ZONES_ZONES_CHECKS_H

#include "tests/zones/zones_fixture.h"

/* Exactly these, in any order: addresses, or what records point to, with the last dot ("10.0.0.1 10.0.0.2"); "": NODATA. */
void expect_data(struct zones_fixture *f, const char *name, unsigned type, const char *wanted);
void expect_absent(struct zones_fixture *f, const char *name); /* NXDOMAIN, for whatever type */
void expect_rcode(struct zones_fixture *f, const char *name, unsigned type, unsigned rcode);
/* A service of the default group with one instance, published. */
struct fake_service *one_address(struct zones_fixture *f, const char *name, const char *ip);
const char *address_of(struct zones_fixture *f, const char *name); /* the first A; "": none. Until the next question */
/* "10-0-0-7", "2001-db8-0-0-0-0-0-7" */
void dashed_address(char to[64], int family, const uint8_t *addr);
/* Whichever allocation fails, a set of these zones is not made, and nothing is lost. */
void expect_refusals_survived(struct zones_fixture *f);

#endif
