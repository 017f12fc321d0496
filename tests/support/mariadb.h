/* mariadb.h - a real MariaDB server for a test: temporary data, a free port of 127.0.0.1, gone with the test. */
#ifndef TESTS_SUPPORT_MARIADB_H
#define TESTS_SUPPORT_MARIADB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct mariadb;

/* NULL: *@why says why (the program is missing, or it did not come up within 60 s). */
struct mariadb *mariadb_start(const char **why);
uint16_t mariadb_port(const struct mariadb *m);
bool mariadb_sql(struct mariadb *m, const char *statement); /* as root */
void mariadb_halt(struct mariadb *m);	/* kills it; the data stays */
bool mariadb_resume(struct mariadb *m); /* on the same port and data */
void mariadb_free(struct mariadb *m);	/* NULL is fine */

#endif
