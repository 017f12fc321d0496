/* settings.c - see settings.h: defaults, file, environment, flags, then the checks that need all of them. */
#include "musterd/settings.h"
#include "base/mem.h"
#include "dnsd/sockets.h"
#include "musterd/settings_file.h"
#include "musterd/settings_hint.h"
#include "musterd/settings_table.h"
#include "musterd/settings_value.h"
#include "musterd/settings_zone.h"
#include "zones/reverse.h"
#include "zones/selector.h"
#include "zones/vanity.h"
#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { RANK_DEFAULT, RANK_FILE, RANK_ENVIRONMENT, RANK_FLAG };
enum { ERRORS_MAX = 200 }; /* lines; what is more is counted only */

static const char default_file[] = MUSTER_CONF;

/* What is being set, by whom. */
struct mention {
	const char *section, *key, *text;
	int rank;
	const char *where; /* in the arena */
};

struct loader {
	struct settings *s;
	struct settings_errors *errs;
	const char *path;
	bool path_given, no_memory;
	/* The section whose header was read last, unknown and still without a key. */
	const char *lonely_section;
	unsigned lonely_line;
	bool failed[SETTINGS_KEYS_MAX]; /* was set to something that cannot be read */
};

__attribute__((format(printf, 3, 4))) static void complain(struct loader *l, const char *where,
							      const char *format, ...)
{
	char text[1024];
	va_list args;
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	if (l->errs->count++ < ERRORS_MAX)
		text_printf(&l->errs->lines, "%s: %s\n", where, text);
}

/* A copy in the arena; "" and a note when there is no memory. */
__attribute__((format(printf, 2, 3))) static const char *keep(struct loader *l, const char *format, ...)
{
	char text[SETTINGS_LINE_MAX + 256];
	va_list args;
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	const char *copy = arena_strdup(&l->s->arena, text);
	if (copy == NULL)
		l->no_memory = true;
	return copy == NULL ? "" : copy;
}

/* ---- one value */

/* Sets @row's value in @base, unless @origin is of a higher or of the same single rank. @name is for people.
 * False: it was not understood. */
static bool apply(struct loader *l, void *base, const struct setting *row, struct settings_origin *origin,
		  const char *name, const struct mention *m)
{
	const char *text = m->text;
	struct error err;
	if (origin->rank == m->rank && m->rank != RANK_DEFAULT) {
		if (setting_is_list(row)) {
			text = keep(l, "%s%s%s", origin->text, *origin->text == '\0' ? "" : ", ", text);
		} else if (m->rank == RANK_FILE) {
			complain(l, m->where, "%s: is set already at %s", name, origin->where);
			return true;
		}
	}
	int rc = setting_parse(base, row, text, &l->s->arena, &err);
	if (rc == E_NOMEM)
		l->no_memory = true;
	else if (rc < 0)
		complain(l, m->where, "%s: %s", name, err.text);
	*origin = (struct settings_origin){ m->rank, m->where, keep(l, "%s", text) };
	return rc == E_OK;
}

/* Is @name an alias of the zone already? */
static bool alias_is_set(const struct settings_zone *z, const struct vanity *v, const char *zone, struct arena *mem)
{
	struct vanity other;
	for (size_t i = 0; i < z->conf.aliases.count; i++)
		if (vanity_parse(&other, mem, zone, z->conf.aliases.at[i], NULL) == E_OK && other.key_len == v->key_len &&
		    memcmp(other.key, v->key, v->key_len) == 0)
			return true;
	return false;
}

/* "alias NAME = TARGET" in the file is one word of the zone's list. */
static void apply_alias(struct loader *l, struct settings_zone *z, const struct setting *row, size_t place,
			const struct mention *m)
{
	char name[400];
	const char *given = m->key + 5 + strspn(m->key + 5, " \t");
	struct mention word = *m;
	struct arena mem;
	struct vanity v;
	struct error err;
	word.key = row->key;
	word.text = keep(l, "%s=%s", given, m->text);
	snprintf(name, sizeof(name), "zone %s: alias %.200s", z->conf.name, given);
	arena_init(&mem, NULL, 0, 0);
	bool odd = strpbrk(word.text, ", \t") != NULL;
	int rc = odd ? E_INVALID : vanity_parse(&v, &mem, z->conf.name, word.text, &err);
	if (odd)
		complain(l, m->where, "%s: there is a blank or comma in it: a name with one is written as its label, e-1-...", name);
	else if (rc < 0)
		complain(l, m->where, "%s: %s", name, err.text);
	else if (alias_is_set(z, &v, z->conf.name, &mem))
		complain(l, m->where, "%s: is set already", name);
	else
		apply(l, &z->conf, row, &z->origins[place], name, &word);
	arena_done(&mem);
}

static void apply_zone(struct loader *l, const char *zone, const struct mention *m)
{
	char name[400];
	struct error err;
	struct settings_zone *z = NULL;
	int rc = settings_zone_find_or_add(l->s, zone, m->where, &z, &err);
	if (rc == E_NOMEM)
		l->no_memory = true;
	else if (rc < 0)
		complain(l, m->where, "%s", err.text);
	if (rc < 0 || m->key == NULL)
		return;
	snprintf(name, sizeof(name), "zone %s: %s", z->conf.name, m->key);
	for (size_t i = 0; i < zone_table_len; i++)
		if (strcmp(zone_table[i].key, m->key) == 0) {
			apply(l, &z->conf, &zone_table[i], &z->origins[i], name, m);
			return;
		} else if (strcmp(zone_table[i].key, "alias") == 0 && strncmp(m->key, "alias", 5) == 0 &&
			   (m->key[5] == ' ' || m->key[5] == '\t')) {
			apply_alias(l, z, &zone_table[i], i, m);
			return;
		}
	const struct setting *near = settings_hint_key(zone_table, zone_table_len, "zone", m->key);
	complain(l, m->where, "zone.%s.%s is no setting%s%s", z->conf.name, m->key,
		 near == NULL ? "" : ": did you mean ", near == NULL ? "" : near->key);
}

static void apply_key(struct loader *l, const struct mention *m)
{
	char name[400];
	snprintf(name, sizeof(name), "%s.%s", m->section, m->key);
	for (size_t i = 0; i < settings_table_len; i++) {
		const struct setting *row = &settings_table[i];
		if (strcmp(row->section, m->section) != 0 || strcmp(row->key, m->key) != 0)
			continue;
		if (!apply(l, l->s, row, &l->s->origins[i], name, m))
			l->failed[i] = true;
		return;
	}
	const struct setting *near = settings_hint_key(settings_table, settings_table_len, m->section, m->key);
	complain(l, m->where, "%s is no setting%s%s%s%s", name, near == NULL ? "" : ": did you mean ",
		 near == NULL ? "" : near->section, near == NULL ? "" : ".", near == NULL ? "" : near->key);
}

/* ---- file */

/* NAME of "zone NAME"; NULL: another section. */
static const char *zone_of(const char *section)
{
	if (strncmp(section, "zone", 4) != 0 || (section[4] != ' ' && section[4] != '\t'))
		return NULL;
	return section + 4 + strspn(section + 4, " \t");
}

static void tell_lonely_section(struct loader *l)
{
	if (l->lonely_section != NULL)
		complain(l, keep(l, "%s:%u", l->path, l->lonely_line), "there is no section [%s]",
			 l->lonely_section);
	l->lonely_section = NULL;
}

static void on_section(void *arg, const char *section, unsigned line)
{
	struct loader *l = arg;
	tell_lonely_section(l);
	if (zone_of(section) != NULL) {
		struct mention m = { .rank = RANK_FILE, .where = keep(l, "%s:%u", l->path, line) };
		apply_zone(l, zone_of(section), &m);
	} else if (!settings_hint_section_known(section)) {
		l->lonely_section = keep(l, "%s", section);
		l->lonely_line = line;
	}
}

static void on_value(void *arg, const char *section, const char *key, const char *value, unsigned line)
{
	struct loader *l = arg;
	struct mention m = { section, key, value, RANK_FILE, keep(l, "%s:%u", l->path, line) };
	l->lonely_section = NULL; /* the keys tell of it */
	if (zone_of(section) != NULL)
		apply_zone(l, zone_of(section), &m);
	else
		apply_key(l, &m);
}

static void on_bad_line(void *arg, const char *why, unsigned line)
{
	struct loader *l = arg;
	complain(l, keep(l, "%s:%u", l->path, line), "%s", why);
}

static void read_file(struct loader *l)
{
	const struct settings_reader reader = { on_section, on_value, on_bad_line, l };
	struct error err;
	if (!l->path_given && access(l->path, F_OK) != 0)
		return; /* the usual place may be empty */
	int rc = settings_file_read(l->path, &reader, &err);
	if (rc < 0)
		complain(l, l->path, "%s", err.text);
	tell_lonely_section(l);
	l->s->file = l->path;
}

/* ---- environment */

/* Kubernetes sets such names for a service called "muster-dns"; they are not meant for us. */
static bool is_service_link(const char *name)
{
	size_t len = strlen(name);
	const char *port = strstr(name, "_PORT_");
	return strstr(name, "_SERVICE_HOST") != NULL || strstr(name, "_SERVICE_PORT") != NULL ||
	       (len > 5 && strcmp(name + len - 5, "_PORT") == 0) ||
	       (port != NULL && isdigit((unsigned char)port[6]));
}

/* "DNS_TTL" of a known section: "dns" and "ttl" in @to. */
static bool split_variable(const char *name, size_t len, char to[128], char **key)
{
	if (len >= 128)
		return false;
	for (size_t i = 0; i < len; i++)
		to[i] = (char)tolower((unsigned char)name[i]);
	to[len] = '\0';
	*key = strchr(to, '_');
	if (*key == NULL)
		return false;
	*(*key)++ = '\0';
	return settings_hint_section_known(to) || strcmp(to, "zone") == 0;
}

static void read_variable(struct loader *l, const char *variable)
{
	static const char prefix[] = "MUSTER_";
	char lower[128], *key;
	const char *equals = strchr(variable, '=');
	if (strncmp(variable, prefix, sizeof(prefix) - 1) != 0 || equals == NULL)
		return;
	const char *name = keep(l, "%.*s", (int)(equals - variable), variable);
	if (!split_variable(variable + 7, (size_t)(equals - variable) - 7, lower, &key) || is_service_link(name))
		return; /* another program's */
	const char *where = keep(l, "environment %s", name);
	if (strcmp(lower, "zone") == 0) {
		complain(l, where, "zones are set in the file or by flags such as --zone.NAME.layout=full");
		return;
	}
	struct mention m = { lower, key, equals + 1, RANK_ENVIRONMENT, where };
	apply_key(l, &m);
}

/* ---- flags */

/* "--backup FILE" or "--backup=FILE". */
static bool file_flag(struct loader *l, char **argv, int *at, const char *flag, enum settings_task task)
{
	size_t len = strlen(flag);
	const char *arg = argv[*at];
	if (strncmp(arg, flag, len) != 0 || (arg[len] != '\0' && arg[len] != '='))
		return false;
	const char *path = arg[len] == '=' ? arg + len + 1 : argv[*at + 1];
	if (path == NULL || *path == '\0') {
		complain(l, keep(l, "flag %s", flag), "needs a file: write %s FILE", flag);
		return true;
	}
	if (arg[len] == '\0')
		++*at;
	l->s->task = task;
	l->s->task_file = path;
	return true;
}

/* What concerns the reading itself; false: a setting, or unknown. */
static bool task_flag(struct loader *l, char **argv, int *at)
{
	static const struct {
		const char *flag;
		enum settings_task task;
	} tasks[] = {
		{ "--check-config", SETTINGS_CHECK }, { "--print-config", SETTINGS_PRINT },
		{ "--print-sample", SETTINGS_SAMPLE },
		{ "--help", SETTINGS_HELP },	      { "-h", SETTINGS_HELP },
		{ "--version", SETTINGS_VERSION },    { "-V", SETTINGS_VERSION },
	};
	const char *arg = argv[*at];
	for (unsigned i = 0; i < sizeof(tasks) / sizeof(tasks[0]); i++)
		if (strcmp(arg, tasks[i].flag) == 0) {
			l->s->task = tasks[i].task;
			return true;
		}
	if (strcmp(arg, "--force") == 0)
		return l->s->force = true;
	if (file_flag(l, argv, at, "--backup", SETTINGS_BACKUP) || file_flag(l, argv, at, "--restore", SETTINGS_RESTORE))
		return true;
	if (strncmp(arg, "-c", 2) != 0)
		return false;
	const char *path = arg[2] != '\0' ? arg + 2 : argv[*at + 1];
	if (path == NULL) {
		complain(l, "flag -c", "needs a file: write -c FILE");
		return true;
	}
	if (arg[2] == '\0')
		++*at;
	l->path = path;
	l->path_given = true;
	return true;
}

/* "--zone.prod.example.layout": the key stands behind the last dot. */
static void zone_flag(struct loader *l, char *name, const char *value, const char *where)
{
	char *key = strrchr(name, '.');
	if (key == NULL) {
		complain(l, where, "is no setting: write --zone.NAME.layout=full");
		return;
	}
	*key++ = '\0';
	struct mention m = { "zone", key, value, RANK_FLAG, where };
	apply_zone(l, name, &m);
}

static void setting_flag(struct loader *l, const char *arg)
{
	char name[512];
	const char *equals = strchr(arg, '='), *dot = strchr(arg, '.');
	size_t len = equals == NULL ? strlen(arg) : (size_t)(equals - arg);
	const char *where = keep(l, "flag %.*s", len > 200 ? 200 : (int)len, arg);
	if (strncmp(arg, "--", 2) != 0 || dot == NULL || dot > arg + len || len >= sizeof(name)) {
		const char *near = settings_hint_flag(arg);
		complain(l, where, "is not known%s%s", near == NULL ? "" : ": did you mean ",
			 near == NULL ? "; --help shows what is" : near);
		return;
	}
	if (equals == NULL) {
		complain(l, where, "needs a value: write %.*s=VALUE", (int)len, arg);
		return;
	}
	memcpy(name, arg + 2, len - 2);
	name[len - 2] = '\0';
	char *key = strchr(name, '.');
	*key++ = '\0';
	if (strcmp(name, "zone") == 0) {
		zone_flag(l, key, equals + 1, where);
		return;
	}
	struct mention m = { name, key, equals + 1, RANK_FLAG, where };
	apply_key(l, &m);
}

/* ---- what needs all of them */

static const struct settings_origin *origin_of(const struct settings *s, const void *field, size_t *index)
{
	size_t offset = (size_t)((const char *)field - (const char *)s);
	for (*index = 0; settings_table[*index].offset != offset; ++*index)
		assert(*index + 1 < settings_table_len);
	return &s->origins[*index];
}

/* Access control is not built: who listens to strangers must say to which (design: the exposure rule). */
static void check_exposure(struct loader *l, const struct address_list *list)
{
	const struct settings *s = l->s;
	size_t listen, allow;
	const struct settings_origin *origin = origin_of(s, list, &listen);
	origin_of(s, &s->http.allow, &allow);
	if (s->http.allow.count > 0 || l->failed[listen] || l->failed[allow])
		return;
	for (size_t i = 0; i < list->count; i++)
		if (!address_is_loopback(&list->at[i].addr)) {
			complain(l, origin->where,
				 "%s.%s: %s can be reached from other machines: say which may use it, for "
				 "example http.allow = 127.0.0.0/8, 10.0.0.0/8 (or --http.allow=...)",
				 settings_table[listen].section, settings_table[listen].key, origin->text);
			return;
		}
}

static void check_text(struct loader *l, const void *field, bool ok, const char *why)
{
	size_t index;
	const struct settings_origin *origin = origin_of(l->s, field, &index);
	if (!ok && !l->failed[index])
		complain(l, origin->where, "%s.%s: \"%.100s\" %s", settings_table[index].section,
			 settings_table[index].key, origin->text, why);
}

static bool is_name_or_null(const char *name)
{
	return name == NULL || domain_name_octets(name) > 0;
}

/* NAME, NAME:PORT, 1.2.3.4:PORT or [::1]:PORT: it stands in lists with a line for each server. */
static bool is_host_or_null(const char *text)
{
	if (text == NULL)
		return true;
	const char *end = text[0] == '[' ? strchr(text, ']') : text + strcspn(text, ":");
	if (end == NULL || end - text < (text[0] == '[' ? 4 : 1) || end - text > 253)
		return false;
	size_t chars = text[0] == '[' ? 1 + strspn(text + 1, "0123456789abcdefABCDEF:.") : strspn(text, "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-_.");
	if (chars != (size_t)(end - text))
		return false;
	end += text[0] == '[';
	if (*end == '\0')
		return true;
	size_t digits = strspn(end + 1, "0123456789");
	long port = digits > 0 && digits <= 5 ? strtol(end + 1, NULL, 10) : 0;
	return *end == ':' && end[1 + digits] == '\0' && port >= 1 && port <= 65535;
}

/* DNS over TLS without a certificate; half of one. */
static void check_tls(struct loader *l)
{
	const struct settings *s = l->s;
	size_t index;
	if (s->dns.tls_listen.count > 0 && s->tls.cert == NULL)
		complain(l, origin_of(s, &s->dns.tls_listen, &index)->where,
			 "dns.tls_listen: there is no certificate: set tls.cert and tls.key");
	if (s->tls.cert != NULL && s->tls.key == NULL)
		complain(l, origin_of(s, &s->tls.cert, &index)->where, "tls.cert: its key is missing: set tls.key");
	if (s->tls.key != NULL && s->tls.cert == NULL)
		complain(l, origin_of(s, &s->tls.key, &index)->where, "tls.key: its certificate is missing: set tls.cert");
}

/* The secret is not shown: what is printed ends in logs. */
static void check_secret(struct loader *l, const char *word)
{
	size_t index, digits = strspn(word, "0123456789abcdefABCDEF");
	const struct settings_origin *origin = origin_of(l->s, &l->s->dns.cookie_secrets, &index);
	if ((digits != 2 * COOKIE_SECRET_LEN || word[digits] != '\0') && !l->failed[index])
		complain(l, origin->where, "dns.cookie_secrets: a secret of %zu characters is none of %d hexadecimal digits: "
			 "write one such as openssl rand -hex 16 prints", strlen(word), 2 * COOKIE_SECRET_LEN);
}

static void check_selectors(struct loader *l)
{
	const struct word_list *words = &l->s->dns.selector_keys;
	const struct selector_keys *keys;
	struct arena mem;
	struct error err;
	size_t index;
	const struct settings_origin *origin = origin_of(l->s, words, &index);
	arena_init(&mem, NULL, 0, 0);
	if (selector_keys_make(&keys, &mem, (const char *const *)words->at, words->count, &err) < 0 && !l->failed[index])
		complain(l, origin->where, "dns.selector_keys: %s", err.text);
	arena_done(&mem);
}

/* What asks the wildcard's port of this host, asks us. */
static bool reaches(const struct sockaddr_storage *listen, const struct sockaddr_storage *upstream)
{
	if (address_port(listen) != address_port(upstream))
		return false;
	if (address_is_wildcard(listen) && address_is_loopback(upstream))
		return true;
	if (listen->ss_family != upstream->ss_family)
		return false;
	if (listen->ss_family == AF_INET)
		return ((const struct sockaddr_in *)listen)->sin_addr.s_addr ==
		       ((const struct sockaddr_in *)upstream)->sin_addr.s_addr;
	return IN6_ARE_ADDR_EQUAL(&((const struct sockaddr_in6 *)listen)->sin6_addr,
				  &((const struct sockaddr_in6 *)upstream)->sin6_addr);
}

static void check_upstreams(struct loader *l)
{
	const struct settings *s = l->s;
	bool port = true, loop = false;
	for (size_t u = 0; u < s->forward.upstreams.count; u++) {
		const struct sockaddr_storage *at = &s->forward.upstreams.at[u].addr;
		port = port && address_port(at) != 0;
		for (size_t i = 0; i < s->dns.listen.count; i++)
			loop = loop || reaches(&s->dns.listen.at[i].addr, at);
	}
	check_text(l, &s->forward.upstreams, port, "has port 0: write the port that the resolver listens on, 53 as a rule");
	check_text(l, &s->forward.upstreams, !loop || !port, "is this server itself (dns.listen): a loop");
	check_text(l, &s->forward.trust_anchor,
		   s->forward.trust_anchor == NULL || access(s->forward.trust_anchor, R_OK) == 0, "cannot be read");
}

/* Each range has a zone's name, and no zone is there twice. Behind the zones' own checks. */
static void check_reverse(struct loader *l)
{
	const struct settings *s = l->s;
	const struct cidr_list *list = &s->dns.reverse;
	char name[REVERSE_NAME_MAX], other[REVERSE_NAME_MAX];
	struct error err;
	size_t index;
	const struct settings_origin *origin = origin_of(s, list, &index);
	for (size_t i = 0; i < list->count && !l->failed[index]; i++) {
		if (reverse_zone_name(name, &list->at[i], &err) < 0) {
			complain(l, origin->where, "dns.reverse: range %zu of \"%.200s\": %s", i + 1, origin->text, err.text);
			continue;
		}
		for (size_t k = 0; k < i; k++)
			if (reverse_zone_name(other, &list->at[k], NULL) == E_OK && strcmp(name, other) == 0)
				complain(l, origin->where, "dns.reverse: zone %s stands there twice", name);
		for (size_t k = 0; k < s->zone_count; k++)
			if (strcmp(s->zones[k].conf.name, name) == 0)
				complain(l, origin->where, "dns.reverse: zone %s is set at %s too", name, s->zones[k].where);
	}
}

static void check_all(struct loader *l)
{
	const struct settings *s = l->s;
	struct error err;
	check_exposure(l, &s->http.listen);
	check_exposure(l, &s->http.operator_listen);
	check_exposure(l, &s->grpc.listen);
	if (s->store.url != NULL)
		check_text(l, &s->store.url,
			   strcmp(s->store.url, "sqlite:") == 0 || strcmp(s->store.url, "memory:") == 0,
			   "is no store: write sqlite: or memory:");
	check_text(l, &s->http.advertise, is_host_or_null(s->http.advertise),
		   "is no host: write a name or an address, with a port behind a colon unless it is 8848 ([2001:db8::1]:8848)");
	check_tls(l);
	for (size_t i = 0; i < s->dns.cookie_secrets.count; i++)
		check_secret(l, s->dns.cookie_secrets.at[i]);
	check_selectors(l);
	check_text(l, &s->dns.mname, is_name_or_null(s->dns.mname), "is no domain name");
	check_text(l, &s->dns.rname, is_name_or_null(s->dns.rname),
		   "is no domain name: write hostmaster.example for hostmaster@example");
	check_upstreams(l);
	if (settings_zones_finish(l->s) < 0)
		l->no_memory = true;
	for (size_t i = 0; i < s->zone_count; i++) {
		const char *stray = settings_zone_stray_listen(s, &s->zones[i]);
		if (stray != NULL)
			complain(l, settings_zone_listen_where(&s->zones[i]),
				 "zone %s: listen: \"%.100s\" has an address that is none of dns.listen or dns.tls_listen", s->zones[i].conf.name, stray);
	}
	for (size_t i = 0; i < s->zone_count; i++)
		for (unsigned nth = 0; settings_zone_check(&s->zones[i], nth, &err) != E_NOTFOUND; nth++)
			if (err.code < 0)
				complain(l, settings_zone_where(&s->zones[i], nth), "zone %s: %s",
					 s->zones[i].conf.name, err.text);
	check_reverse(l);
}

/* ---- the whole */

static void set_defaults(struct loader *l)
{
	for (size_t i = 0; i < settings_table_len; i++) {
		const struct setting *row = &settings_table[i];
		struct mention m = { row->section, row->key, row->preset, RANK_DEFAULT, "default" };
		apply_key(l, &m);
	}
}

int settings_load(struct settings *ret, int argc, char **argv, char **envp, struct settings_errors *errs)
{
	struct loader l = { .s = ret, .errs = errs, .path = default_file };
	memset(ret, 0, sizeof(*ret));
	arena_init(&ret->arena, NULL, 0, 0);
	text_init(&errs->lines);
	errs->count = 0;

	set_defaults(&l);
	for (int i = 1; i < argc; i++)
		task_flag(&l, argv, &i);
	errs->count = 0; /* a lone -c is told below, in its turn */
	text_clear(&errs->lines);
	if (ret->task == SETTINGS_HELP || ret->task == SETTINGS_VERSION || ret->task == SETTINGS_SAMPLE)
		return l.no_memory ? E_NOMEM : E_OK;
	read_file(&l);
	for (char **at = envp; at != NULL && *at != NULL; at++)
		read_variable(&l, *at);
	for (int i = 1; i < argc; i++)
		if (!task_flag(&l, argv, &i))
			setting_flag(&l, argv[i]);
	check_all(&l);
	if (l.no_memory || errs->lines.failed)
		return E_NOMEM;
	if (errs->count > ERRORS_MAX)
		text_printf(&errs->lines, "and %u more errors\n", errs->count - ERRORS_MAX);
	return errs->count > 0 ? E_INVALID : E_OK;
}

void settings_done(struct settings *s)
{
	arena_done(&s->arena);
}

void settings_errors_done(struct settings_errors *errs)
{
	text_done(&errs->lines);
}

bool settings_allows(const struct settings *s, const struct sockaddr *peer)
{
	return s->http.allow.count == 0 || cidr_match_any(s->http.allow.at, s->http.allow.count, peer);
}
