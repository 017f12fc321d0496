/* next_schema.c - stands for a later musterd: linked before libstore it takes the place of
 * store/sqlite_versions.c and gives the schema one more version than there is. Two statements, so that a test
 * can let the second one fail. */
#include "store/sqlite_schema.h"

const int sqlite_schema_version = 2;

const struct sqlite_migration sqlite_migrations[] = {
	{ 1, "ALTER TABLE kv ADD COLUMN note TEXT; CREATE TABLE next(a INTEGER)" },
	{ 0, NULL },
};
