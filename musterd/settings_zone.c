/* settings_zone.c - see settings_zone.h. */
#include "musterd/settings_zone.h"
#include "musterd/settings_table.h"
#include "musterd/settings_value.h"
#include "zones/reverse.h"
#include "zones/vanity.h"
#include <ctype.h>
#include <string.h>

/* With the longest names that a service can have in it, a zone of more octets would not fit 255. */
enum { ZONE_OCTETS_MAX = 77 };
static const char default_zone[] = "muster.internal";

/* Lower case, no last dot, in the arena. */
static char *zone_name(struct arena *mem, const char *name)
{
	char *copy = arena_strdup(mem, name);
	if (copy == NULL)
		return NULL;
	size_t len = strlen(copy);
	if (len > 1 && copy[len - 1] == '.')
		copy[len - 1] = '\0';
	for (char *at = copy; *at != '\0'; at++)
		*at = (char)tolower((unsigned char)*at);
	return copy;
}

static int check_name(const char *name, struct error *err)
{
	size_t octets = domain_name_octets(name);
	if (octets == 0)
		return error_set(err, E_INVALID, "\"%.100s\" is no zone name: write one such as prod.example", name);
	if (octets > ZONE_OCTETS_MAX)
		return error_set(err, E_RANGE, "zone %.100s takes %zu octets, more than %d: choose a shorter name",
				 name, octets, ZONE_OCTETS_MAX);
	return E_OK;
}

static int set_defaults(struct settings *s, struct settings_zone *z, struct error *err)
{
	int rc = E_OK;
	for (size_t i = 0; i < zone_table_len && rc == E_OK; i++) {
		z->origins[i] = (struct settings_origin){ 0, "default", zone_table[i].preset };
		rc = setting_parse(&z->conf, &zone_table[i], zone_table[i].preset, &s->arena, err);
	}
	return rc;
}

int settings_zone_find_or_add(struct settings *s, const char *name, const char *where, struct settings_zone **ret,
			      struct error *err)
{
	if (strlen(name) > 1024)
		return error_set(err, E_RANGE, "a zone's name is longer than 1024 bytes");
	char *lower = zone_name(&s->arena, name);
	if (lower == NULL)
		return error_set(err, E_NOMEM, "no memory");
	for (size_t i = 0; i < s->zone_count; i++)
		if (strcmp(s->zones[i].conf.name, lower) == 0) {
			*ret = &s->zones[i];
			return E_OK;
		}
	int rc = check_name(lower, err);
	if (rc < 0)
		return rc;
	if (s->zone_count == SETTINGS_ZONES_MAX)
		return error_set(err, E_LIMIT, "zone %.100s: there are %d zones already", lower, SETTINGS_ZONES_MAX);
	if (s->zones == NULL)
		s->zones = arena_zalloc(&s->arena, SETTINGS_ZONES_MAX * sizeof(*s->zones));
	if (s->zones == NULL)
		return error_set(err, E_NOMEM, "no memory");
	struct settings_zone *z = &s->zones[s->zone_count];
	rc = set_defaults(s, z, err);
	if (rc < 0)
		return rc;
	z->conf.name = lower;
	z->where = where;
	s->zone_count++;
	*ret = z;
	return E_OK;
}

/* A path as it is from where the settings file lies. NULL: no memory. */
static const char *beside(struct settings *s, const char *path)
{
	const char *slash = path[0] == '/' || s->file == NULL ? NULL : strrchr(s->file, '/');
	return slash == NULL ? path : arena_printf(&s->arena, "%.*s/%s", (int)(slash - s->file), s->file, path);
}

int settings_zones_finish(struct settings *s)
{
	struct settings_zone *z;
	bool names = false;
	for (size_t i = 0; i < s->zone_count; i++)
		names = names || s->zones[i].conf.layout != LAYOUT_REVERSE;
	if (!names) {
		int rc = settings_zone_find_or_add(s, default_zone, "default", &z, NULL);
		if (rc < 0)
			return rc;
	}
	for (z = s->zones; z < s->zones + s->zone_count; z++) {
		if (z->conf.mname == NULL)
			z->conf.mname = s->dns.mname;
		if (z->conf.rname == NULL)
			z->conf.rname = s->dns.rname;
		if (z->conf.file != NULL && (z->conf.file = beside(s, z->conf.file)) == NULL)
			return E_NOMEM;
	}
	return E_OK;
}

static size_t row_of(const char *key)
{
	size_t i = 0;
	while (i + 1 < zone_table_len && strcmp(zone_table[i].key, key) != 0)
		i++;
	return i;
}

/* Only characters of @set and letters and digits, at most @most of them. */
static bool made_of(const char *text, const char *set, size_t most)
{
	size_t len = strlen(text);
	for (size_t i = 0; i < len; i++)
		if (!isalnum((unsigned char)text[i]) && strchr(set, text[i]) == NULL)
			return false;
	return len <= most;
}

static bool is_namespace(const char *text)
{
	return made_of(text, "_-", 64);
}

static bool is_group(const char *text)
{
	return made_of(text, "_-:.", 128);
}

static const char *check_namespace(const struct settings_zone *z)
{
	if (z->conf.ns != NULL && z->conf.layout != LAYOUT_BOUND && z->conf.layout != LAYOUT_BOUND_NS)
		return "namespace is for layout = bound and bound-ns";
	return z->conf.ns == NULL || is_namespace(z->conf.ns) ? NULL
							       : "namespace is letters, digits, _ and -, at most 64";
}

static const char *check_group(const struct settings_zone *z)
{
	if (z->conf.group != NULL && z->conf.layout != LAYOUT_BOUND && z->conf.layout != LAYOUT_BOUND_GROUP)
		return "group is for layout = bound and bound-group";
	return z->conf.group == NULL || is_group(z->conf.group)
		   ? NULL
		   : "group is letters, digits, - _ : and ., at most 128";
}

static const char *check_export(const struct settings_zone *z, const struct word_list *words,
				bool (*ok)(const char *text), const char *wrong)
{
	for (size_t i = 0; i < words->count; i++)
		if (!ok(words->at[i]))
			return wrong;
	if (words->count > 0 && z->conf.layout == LAYOUT_REVERSE)
		return "a reverse zone shows the addresses that zones of names show";
	return words->count > 0 && z->conf.layout == LAYOUT_STATIC ? "a static zone exports nothing of the registry" : NULL;
}

static const char *check_export_namespaces(const struct settings_zone *z)
{
	return check_export(z, &z->conf.export_namespaces, is_namespace,
			    "export_namespaces: a namespace is letters, digits, _ and -, at most 64");
}

static const char *check_export_groups(const struct settings_zone *z)
{
	return check_export(z, &z->conf.export_groups, is_group,
			    "export_groups: a group is letters, digits, - _ : and ., at most 128");
}

static bool is_pair(const char *text)
{
	return text[0] != '=';
}

static const char *check_export_metadata(const struct settings_zone *z)
{
	return check_export(z, &z->conf.export_metadata, is_pair, "export_metadata: write key=value, or key");
}

/* Lines of the file were looked at where they stood; this is for flags. */
static int check_aliases(const struct settings_zone *z, struct error *err)
{
	struct vanity_list list = { NULL, 0, false };
	struct arena mem;
	if (z->conf.layout == LAYOUT_REVERSE && z->conf.aliases.count > 0)
		return error_set(err, E_INVALID, "a reverse zone has no aliases");
	arena_init(&mem, NULL, 0, 0);
	int rc = vanities_make(&list, &mem, z->conf.name, &z->conf.aliases, err);
	if (rc == E_OK)
		rc = vanities_check(&list, z->conf.layout == LAYOUT_FULL, z->conf.name, z->conf.mname, err);
	arena_done(&mem);
	return rc;
}

static const char *check_mname(const struct settings_zone *z)
{
	return z->conf.mname == NULL || domain_name_octets(z->conf.mname) > 0 ? NULL : "mname is no domain name";
}

static const char *check_rname(const struct settings_zone *z)
{
	return z->conf.rname == NULL || domain_name_octets(z->conf.rname) > 0 ? NULL : "rname is no domain name";
}

static const char *check_layout(const struct settings_zone *z)
{
	struct cidr prefix;
	if (z->conf.layout == LAYOUT_REVERSE && reverse_zone_prefix(&prefix, z->conf.name, NULL) < 0)
		return "layout = reverse is for names such as 10.in-addr.arpa or 8.b.d.0.1.0.0.2.ip6.arpa";
	return z->conf.layout == LAYOUT_STATIC && z->conf.file == NULL && z->conf.aliases.count == 0
		   ? "layout = static needs a file (or an alias)"
		   : NULL;
}

static const struct {
	const char *key;
	const char *(*wrong)(const struct settings_zone *z); /* NULL: nothing is */
	int (*check)(const struct settings_zone *z, struct error *err); /* in its place, where the words depend */
} checks[] = {
	{ "layout", check_layout, NULL },
	{ "namespace", check_namespace, NULL },
	{ "group", check_group, NULL },
	{ "export_namespaces", check_export_namespaces, NULL },
	{ "export_groups", check_export_groups, NULL },
	{ "export_metadata", check_export_metadata, NULL },
	{ "alias", NULL, check_aliases },
	{ "mname", check_mname, NULL },
	{ "rname", check_rname, NULL },
};

int settings_zone_check(const struct settings_zone *z, unsigned nth, struct error *err)
{
	err->code = E_OK;
	if (nth >= sizeof(checks) / sizeof(checks[0]))
		return E_NOTFOUND;
	if (z->origins[row_of(checks[nth].key)].rank == 0)
		return E_OK; /* not set here: checked where it was */
	if (checks[nth].check != NULL)
		return checks[nth].check(z, err);
	const char *wrong = checks[nth].wrong(z);
	return wrong == NULL ? E_OK : error_set(err, E_INVALID, "%s", wrong);
}

const char *settings_zone_where(const struct settings_zone *z, unsigned nth)
{
	return z->origins[row_of(checks[nth].key)].where;
}

static bool is_in(const struct address_list *list, const struct sockaddr_storage *at)
{
	struct dns_place ours, theirs;
	dns_place_of(&theirs, at);
	for (size_t i = 0; i < list->count; i++) {
		dns_place_of(&ours, &list->at[i].addr);
		if (dns_place_equal(&ours, &theirs))
			return true;
	}
	return false;
}

const char *settings_zone_stray_listen(const struct settings *s, const struct settings_zone *z)
{
	for (size_t i = 0; i < z->conf.listen.count; i++)
		if (!is_in(&s->dns.listen, &z->conf.listen.at[i]) && !is_in(&s->dns.tls_listen, &z->conf.listen.at[i]))
			return z->origins[row_of("listen")].text;
	return NULL;
}

const char *settings_zone_listen_where(const struct settings_zone *z)
{
	return z->origins[row_of("listen")].where;
}
