/* sqlite_schema.h - the tables and views, their version, and the way from one version to the next. A file
 * says whose it is (application_id) and which version it has (user_version). */
#ifndef STORE_SQLITE_SCHEMA_H
#define STORE_SQLITE_SCHEMA_H

#include "store/sqlite.h"

extern const char sqlite_schema_sql[]; /* version 1, as SQL */

/* What turns version @from into @from + 1, as SQL: runs inside the one transaction of the whole upgrade. */
struct sqlite_migration {
	int from;
	const char *sql;
};
/* sqlite_versions.c: ends with a NULL sql; has one row for each version before sqlite_schema_version. */
extern const struct sqlite_migration sqlite_migrations[];
extern const int sqlite_schema_version;

struct sqlite_schema {
	bool empty; /* a file without anything in it */
	int version;
};

/* E_CONFLICT: another program's, or of a newer version; the sentence names both versions. */
int sqlite_schema_check(struct sqlite_file *f, struct sqlite_schema *ret, struct error *err);
/* Tables, views and the meta rows of a new store, in this program's version. */
int sqlite_schema_create(struct sqlite_file *f, struct error *err);
/* Copies the file to "PATH.v<version>.bak", then goes all steps in one transaction. On failure the file
 * is as it was. */
int sqlite_schema_migrate(struct sqlite_file *f, int version, struct error *err);

#endif
