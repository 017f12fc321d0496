#include "store/sqlite_schema.h"

/* One table; the views are for people with an SQL shell. A key becomes a JSON array of its segments
 * ('/' is never inside one, and no byte of a key needs escaping in JSON): $[0] is "muster", $[1]
 * the layout version, $[2] the class. Segments are shown as written, %XX included.
 * A range "/muster/1/i/" <= key < "/muster/1/i0" is all keys under i/, since '0' follows '/'. */
#define SEGMENTS "'[\"' || replace(substr(key, 2), '/', '\",\"') || '\"]' AS k"
#define UNDER(class) "FROM kv WHERE key >= '/muster/1/" class "/' AND key < '/muster/1/" class "0'"
#define SEG(n) "json_extract(k, '$[" #n "]')"
#define MEMBER(name) "json_extract(value, '$." name "')"

const char sqlite_schema_sql[] =
	"CREATE TABLE kv(key TEXT NOT NULL PRIMARY KEY, value TEXT NOT NULL,"
	" mod_revision INTEGER NOT NULL) WITHOUT ROWID;"

	"CREATE VIEW namespace AS SELECT " SEG(3) " AS namespace, " MEMBER("name") " AS name, "
	MEMBER("description") " AS description, value"
	" FROM (SELECT " SEGMENTS ", value " UNDER("ns") ");"

	/* An operator's override (im/) and a prober's verdict (hv/) lie beside the instance under
	 * the same tail; the view shows what counts. */
	"CREATE VIEW instance AS SELECT " SEG(4) " AS namespace, " SEG(5) " AS service_group, "
	SEG(6) " AS service, " SEG(7) " AS cluster, " SEG(8) " AS ip, CAST(" SEG(9) " AS INTEGER) AS port,"
	" coalesce(json_extract(override, '$.weight'), " MEMBER("weight") ") AS weight,"
	" coalesce(json_extract(override, '$.enabled'), " MEMBER("enabled") ") AS enabled,"
	" coalesce(json_extract(verdict, '$.healthy'), " MEMBER("healthy") ") AS healthy,"
	" CASE " MEMBER("kind") " WHEN 0 THEN 'persistent' ELSE 'ephemeral' END AS kind,"
	" coalesce(json_extract(override, '$.metadata'), " MEMBER("metadata") ") AS metadata, "
	MEMBER("app") " AS app,"
	" datetime(" MEMBER("registered_ms") " / 1000, 'unixepoch') AS registered,"
	" override IS NOT NULL AS overridden, value"
	" FROM (SELECT " SEGMENTS ", value,"
	" (SELECT o.value FROM kv o WHERE o.key = '/muster/1/im/' || substr(kv.key, 13)) AS override,"
	" (SELECT v.value FROM kv v WHERE v.key = '/muster/1/hv/' || substr(kv.key, 13)) AS verdict "
	UNDER("i") ");"

	/* A service exists by a row of its own or by having an instance. */
	"CREATE VIEW service AS SELECT namespace, service_group, service, sum(n) AS instances,"
	" max(json_extract(value, '$.protect_threshold')) AS protect_threshold,"
	" max(json_extract(value, '$.metadata')) AS metadata,"
	" max(json_extract(value, '$.selector')) AS selector, max(value) AS value"
	" FROM (SELECT " SEG(3) " AS namespace, " SEG(4) " AS service_group, " SEG(5) " AS service,"
	" 0 AS n, value FROM (SELECT " SEGMENTS ", value " UNDER("svc") ")"
	" UNION ALL SELECT " SEG(4) ", " SEG(5) ", " SEG(6) ", 1, NULL FROM (SELECT " SEGMENTS " "
	UNDER("i") ")) GROUP BY namespace, service_group, service;"

	"CREATE VIEW config AS SELECT " SEG(3) " AS namespace, " SEG(4) " AS config_group, "
	SEG(5) " AS data_id, " MEMBER("md5") " AS md5, " MEMBER("type") " AS type, "
	MEMBER("app") " AS app, " MEMBER("tags") " AS tags, " MEMBER("desc") " AS description, "
	MEMBER("version") " AS version, " MEMBER("operator") " AS operator, "
	MEMBER("content") " AS content, value"
	" FROM (SELECT " SEGMENTS ", value " UNDER("cfg") ");"

	"CREATE VIEW config_history AS SELECT " SEG(3) " AS namespace, " SEG(4) " AS config_group, "
	SEG(5) " AS data_id, CAST(" SEG(6) " AS INTEGER) AS version, " MEMBER("md5") " AS md5, "
	MEMBER("type") " AS type, " MEMBER("operator") " AS operator, "
	MEMBER("content") " AS content, value"
	" FROM (SELECT " SEGMENTS ", value " UNDER("cfgh") ");"

	/* No password hash here: who wants it reads kv. */
	"CREATE VIEW user AS SELECT " SEG(3) " AS name,"
	" (SELECT group_concat(substr(r.key, length('/muster/1/role/' || json_extract(k, '$[3]') || '/') + 1))"
	" FROM kv r WHERE r.key >= '/muster/1/role/' || json_extract(k, '$[3]') || '/'"
	" AND r.key < '/muster/1/role/' || json_extract(k, '$[3]') || '0') AS roles"
	" FROM (SELECT " SEGMENTS " " UNDER("user") ");";
