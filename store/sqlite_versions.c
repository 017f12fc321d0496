/* sqlite_versions.c - which schema version this program writes, and how it gets there from older ones. A
 * file of its own so that a test program can put a later version in its place. A change of the schema adds a row
 * here, and a database of the version before it to tests/fixtures/. */
#include "store/sqlite_schema.h"

const int sqlite_schema_version = 1;

const struct sqlite_migration sqlite_migrations[] = {
	{ 0, NULL },
};
