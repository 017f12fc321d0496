/* sqlite_schema.h - the tables and views of schema version 1, as SQL. */
#ifndef STORE_SQLITE_SCHEMA_H
#define STORE_SQLITE_SCHEMA_H

extern const char sqlite_schema_sql[];

#endif
