/* static_read.c - a zone file as records. Lines, directives and the fields before the type are ours, so that every error
 * is told with the line it is on, and reading goes on behind it; what stands behind the type is ldns's to understand. */
#include "base/mem.h"
#include "base/plain_file.h"
#include "zones/static_zone.h"
#include <ctype.h>
#include <errno.h>
#include <ldns/ldns.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum { LINE_MAX_OCTETS = 65535, INCLUDE_DEPTH = 8, TTL_PRESET = 3600, RECORDS_MAX = 10000000 };

void *pool_add(struct static_pool *p, size_t len)
{
	if (len > p->cap - p->len) {
		size_t cap = 2 * (p->cap + len) + 256;
		uint8_t *at = cap > UINT32_MAX ? NULL : mem_realloc(p->at, cap);
		if (at == NULL)
			return NULL;
		p->at = at;
		p->cap = cap;
	}
	p->len += len;
	return p->at + p->len - len;
}

void static_complain(struct static_reading *r, unsigned file, unsigned line, const char *format, ...)
{
	char what[ERROR_TEXT_MAX * 4];
	va_list args;
	r->rc = r->rc == E_NOMEM ? E_NOMEM : E_INVALID;
	if (++r->error_count > STATIC_ERRORS_MAX)
		return;
	va_start(args, format);
	vsnprintf(what, sizeof(what), format, args);
	va_end(args);
	const char *path = file < r->file_count ? r->files[file] : r->owner->path;
	if (line > 0)
		text_printf(r->errors, "%s:%u: %s\n", path, line, what);
	else
		text_printf(r->errors, "%s: %s\n", path, what);
	if (r->error_count == STATIC_ERRORS_MAX)
		text_printf(r->errors, "%s: these are the first %d errors\n", path, STATIC_ERRORS_MAX);
}

void static_name_text(char ret[1100], const struct static_owner *o, const uint8_t *name, size_t len)
{
	size_t to = 0;
	const uint8_t *parts[] = { name, o->zone };
	for (int p = 0; p < 2; p++)
		for (size_t at = 0; p == 0 ? at < len : parts[p][at] != 0; at += parts[p][at] + 1u) {
			for (unsigned i = 1; i <= parts[p][at]; i++) {
				uint8_t c = parts[p][at + i];
				bool plain = isalnum(c) || strchr("-_*/:", c) != NULL;
				to += (size_t)sprintf(ret + to, plain ? "%c" : "\\%03u", c);
			}
			ret[to++] = '.';
		}
	ret[to] = '\0';
}

/* ---- a file: lines joined by parentheses, without comments */

struct source {
	struct static_reading *r;
	FILE *in;
	unsigned file, line, start; /* @start: the record's first line */
	unsigned depth;
	char *text; /* LINE_MAX_OCTETS + 1 */
	size_t len;
	ldns_rdf *origin, *previous; /* NULL: none yet */
	uint32_t ttl;		     /* $TTL */
};

/* One more character of the record; false: it is too long. */
static bool put(struct source *s, int c)
{
	if (s->len == LINE_MAX_OCTETS)
		return false;
	s->text[s->len++] = (char)c;
	return true;
}

enum line { LINE_READ, LINE_END, LINE_BAD };

static int next_char(struct source *s)
{
	int c = getc(s->in);
	s->line += c == '\n';
	return c;
}

static void rest_skip(struct source *s, int c)
{
	while (c != '\n' && c != EOF)
		c = next_char(s);
}

/* The next record into @s->text, with a NUL. */
static enum line line_read(struct source *s)
{
	unsigned open = 0;
	bool quoted = false, fits = true;
	int c;
	s->len = 0;
	s->start = s->line + 1;
	for (;;) {
		c = next_char(s);
		if (c == EOF || (c == '\n' && open == 0))
			break;
		if (c == '\n' && quoted)
			break;
		if (c == 0) {
			static_complain(s->r, s->file, s->line + 1, "a NUL octet: this is no text");
			rest_skip(s, c);
			return LINE_BAD;
		}
		if (c == '\\') {
			fits &= put(s, c);
			c = next_char(s);
			if (c == EOF)
				break;
			fits &= put(s, c == '\n' ? ' ' : c);
		} else if (c == '"') {
			quoted = !quoted;
			fits &= put(s, c);
		} else if (quoted) {
			fits &= put(s, c);
		} else if (c == ';') {
			rest_skip(s, c);
			if (open == 0)
				break;
		} else if (c == '(' || c == ')') {
			if (c == ')' && open == 0) {
				static_complain(s->r, s->file, s->line + 1, "a closing parenthesis without an opening one");
				rest_skip(s, c);
				return LINE_BAD;
			}
			open += c == '(' ? 1u : -1u;
			fits &= put(s, ' ');
		} else {
			fits &= put(s, c == '\n' || c == '\r' ? ' ' : c);
		}
	}
	s->text[s->len] = '\0';
	if (quoted)
		static_complain(s->r, s->file, s->start, "a quoted string does not end on its line");
	else if (open > 0)
		static_complain(s->r, s->file, s->start, "a parenthesis is not closed");
	else if (!fits)
		static_complain(s->r, s->file, s->start, "the text of a record is longer than %d octets", LINE_MAX_OCTETS);
	else if (c == EOF && s->len == 0)
		return LINE_END;
	else
		return LINE_READ;
	return LINE_BAD;
}

/* ---- fields */

/* Cuts the next field off; "": there is none. */
static char *field(char **at)
{
	char *start = *at + strspn(*at, " \t");
	char *end = start;
	bool quoted = false;
	for (; *end != '\0' && (quoted || (*end != ' ' && *end != '\t')); end++) {
		quoted ^= *end == '"';
		if (*end == '\\' && end[1] != '\0')
			end++;
	}
	*at = *end == '\0' ? end : end + 1;
	*end = '\0';
	return start;
}

/* Seconds, or with units: 1h30m. */
static bool ttl_parse(uint32_t *ret, const char *text)
{
	uint64_t sum = 0;
	if (!isdigit((unsigned char)*text))
		return false;
	while (*text != '\0') {
		uint64_t n = 0;
		if (!isdigit((unsigned char)*text))
			return false;
		for (; isdigit((unsigned char)*text); text++)
			if ((n = n * 10 + (uint64_t)(*text - '0')) > UINT32_MAX)
				return false;
		static const char units[] = "smhdw";
		static const uint32_t seconds[] = { 1, 60, 3600, 86400, 604800 };
		const char *unit = *text == '\0' ? units : strchr(units, tolower((unsigned char)*text));
		if (unit == NULL)
			return false;
		sum += n * seconds[unit - units];
		text += *text != '\0';
	}
	if (sum > INT32_MAX)
		return false;
	*ret = (uint32_t)sum;
	return true;
}

/* A name as written, absolute; NULL: none, and it has been told. */
static ldns_rdf *name_parse(struct source *s, const char *text)
{
	ldns_rdf *name = NULL;
	if (strcmp(text, "@") == 0)
		return ldns_rdf_clone(s->origin);
	ldns_status status = ldns_str2rdf_dname(&name, text);
	if (status != LDNS_STATUS_OK) {
		static_complain(s->r, s->file, s->start, "\"%.100s\" is no name: %s", text, ldns_get_errorstr_by_id(status));
		return NULL;
	}
	size_t len = strlen(text);
	bool absolute = text[len - 1] == '.' && (len < 2 || text[len - 2] != '\\');
	if ((!absolute && ldns_dname_cat(name, s->origin) != LDNS_STATUS_OK) || ldns_rdf_size(name) > DNS_NAME_MAX) {
		static_complain(s->r, s->file, s->start, "\"%.100s\" is too long a name with the origin behind it", text);
		ldns_rdf_deep_free(name);
		return NULL;
	}
	return name;
}

/* ---- records */

static bool type_allowed(unsigned type)
{
	return type != 0 && type != RR_OPT && type != RR_NXNAME && (type < RR_TKEY || type > RR_ANY) && type < 65535;
}

/* The owner's part left of the zone, folded, into the bytes. -1: it is elsewhere. */
static int owner_add(struct source *s, const ldns_rdf *owner, uint32_t *ret)
{
	const struct static_owner *o = s->r->owner;
	uint8_t folded[DNS_NAME_MAX];
	size_t len = ldns_rdf_size(owner);
	if (len > sizeof(folded) || len < o->zone_len)
		return -1;
	memcpy(folded, ldns_rdf_data(owner), len);
	for (size_t i = 0; i < len; i++)
		if (folded[i] >= 'A' && folded[i] <= 'Z')
			folded[i] = (uint8_t)(folded[i] + ('a' - 'A')); /* length octets are below these */
	size_t at = 0;
	while (folded[at] != 0 && len - at > o->zone_len)
		at += folded[at] + 1u;
	if (len - at != o->zone_len || memcmp(folded + at, o->zone, o->zone_len) != 0)
		return -1;
	uint8_t *to = pool_add(&s->r->bytes, at + 1);
	if (to == NULL) {
		s->r->rc = E_NOMEM;
		return -1;
	}
	memcpy(to, folded, at);
	*ret = (uint32_t)(to - s->r->bytes.at);
	return (int)at;
}

static size_t rdata_len(const ldns_rr *rr)
{
	size_t len = 0;
	for (size_t i = 0; i < ldns_rr_rd_count(rr); i++)
		len += ldns_rdf_size(ldns_rr_rdf(rr, i));
	return len;
}

/* ldns reads as many fields of "\# N ..." as there are octets for, and is content with fewer than the type has, and with
 * octets left over. Whoever reads the data later relies on every field. */
static bool rdata_is_whole(const ldns_rr *rr, const char *text)
{
	const ldns_rr_descriptor *type = ldns_rr_descript((uint16_t)ldns_rr_get_type(rr));
	text += strspn(text, " \t");
	if (ldns_rr_rd_count(rr) < ldns_rr_descriptor_minimum(type))
		return false;
	return strncmp(text, "\\#", 2) != 0 || strtoul(text + 2, NULL, 10) == rdata_len(rr);
}

/* ldns puts the origin behind a name without asking how long that makes it. */
static bool rdata_names_fit(const ldns_rr *rr)
{
	for (size_t i = 0; i < ldns_rr_rd_count(rr); i++) {
		const ldns_rdf *d = ldns_rr_rdf(rr, i);
		if (ldns_rdf_get_type(d) == LDNS_RDF_TYPE_DNAME && ldns_rdf_size(d) > DNS_NAME_MAX)
			return false;
	}
	return true;
}

static void record_add(struct source *s, const ldns_rr *rr, uint32_t ttl)
{
	struct static_reading *r = s->r;
	uint32_t owner;
	int owner_len = owner_add(s, ldns_rr_owner(rr), &owner);
	if (owner_len < 0) {
		char *text = ldns_rdf2str(ldns_rr_owner(rr));
		static_complain(r, s->file, s->start, "%.200s does not lie in the zone", text == NULL ? "the name" : text);
		free(text);
		return;
	}
	size_t len = rdata_len(rr);
	if (len > 65000) {
		static_complain(r, s->file, s->start, "data of %zu octets do not fit a message", len);
		return;
	}
	if (r->records.len / sizeof(struct static_record) == RECORDS_MAX) {
		static_complain(r, s->file, s->start, "a zone has at most %d records", RECORDS_MAX);
		r->full = true;
		return;
	}
	uint8_t *to = pool_add(&r->bytes, len + 1);
	struct static_record *rec = to == NULL ? NULL : pool_add(&r->records, sizeof(*rec));
	if (rec == NULL) {
		r->rc = E_NOMEM;
		return;
	}
	*rec = (struct static_record){ .owner = owner, .owner_len = (uint8_t)owner_len, .file = (uint16_t)s->file,
				       .rdata = (uint32_t)(to - r->bytes.at), .line = s->start, .ttl = ttl,
				       .type = (uint16_t)ldns_rr_get_type(rr), .rdlength = (uint16_t)len };
	for (size_t i = 0; i < ldns_rr_rd_count(rr); i++) {
		const ldns_rdf *d = ldns_rr_rdf(rr, i);
		memcpy(to, ldns_rdf_data(d), ldns_rdf_size(d));
		to += ldns_rdf_size(d);
	}
}

/* TTL and class in either order, then the type; @*at stands behind it. NULL: told. */
static const char *type_field(struct source *s, char **at, uint32_t *ttl)
{
	for (int i = 0; i < 3; i++) {
		char *word = field(at);
		if (*word == '\0')
			break;
		if (strcasecmp(word, "IN") == 0 || ttl_parse(ttl, word))
			continue;
		if (strcasecmp(word, "CH") == 0 || strcasecmp(word, "HS") == 0 || strncasecmp(word, "CLASS", 5) == 0) {
			static_complain(s->r, s->file, s->start, "class %.20s: zones are of class IN", word);
			return NULL;
		}
		if (isdigit((unsigned char)*word)) {
			static_complain(s->r, s->file, s->start, "\"%.40s\" is no TTL: 0 to 2147483647 seconds, or 1h30m", word);
			return NULL;
		}
		return word;
	}
	static_complain(s->r, s->file, s->start, "a record without a type");
	return NULL;
}

static void record_read(struct source *s, char *at)
{
	bool same = *at == ' ' || *at == '\t';
	uint32_t ttl = s->ttl;
	if (!same) {
		ldns_rdf *owner = name_parse(s, field(&at));
		if (owner == NULL)
			return;
		ldns_rdf_deep_free(s->previous);
		s->previous = owner;
	} else if (s->previous == NULL) {
		static_complain(s->r, s->file, s->start, "the first record has no name");
		return;
	}
	const char *type = type_field(s, &at, &ttl);
	if (type == NULL)
		return;
	if (!type_allowed(ldns_get_rr_type_by_name(type))) {
		static_complain(s->r, s->file, s->start, "\"%.40s\" is no type that a zone can have", type);
		return;
	}
	struct text line;
	ldns_rr *rr = NULL;
	text_init(&line);
	text_printf(&line, ". %u IN %s %s", ttl, type, at);
	ldns_status status = line.failed ? LDNS_STATUS_MEM_ERR : ldns_rr_new_frm_str(&rr, line.at, ttl, s->origin, NULL);
	text_done(&line);
	if (status != LDNS_STATUS_OK) {
		static_complain(s->r, s->file, s->start, "%s: %s", type, ldns_get_errorstr_by_id(status));
		return;
	}
	bool whole = rdata_is_whole(rr, at);
	if (!whole || !rdata_names_fit(rr)) {
		static_complain(s->r, s->file, s->start, "%s: %s", type,
				!whole ? "the data are not as long as this type's" : "too long a name with the origin behind it");
		ldns_rr_free(rr);
		return;
	}
	ldns_rdf_deep_free(ldns_rr_owner(rr));
	ldns_rr_set_owner(rr, ldns_rdf_clone(s->previous));
	if (ldns_rr_owner(rr) == NULL)
		s->r->rc = E_NOMEM;
	else
		record_add(s, rr, ttl);
	ldns_rr_free(rr);
}

/* ---- directives */

static void source_read(struct static_reading *r, const char *path, const struct source *from, ldns_rdf *origin,
			unsigned depth);

/* Relative to the file that says it. Heap; NULL: no memory. */
static char *path_beside(const char *file, const char *name)
{
	const char *slash = name[0] == '/' ? NULL : strrchr(file, '/');
	size_t dir = slash == NULL ? 0 : (size_t)(slash - file) + 1, len = strlen(name);
	char *path = mem_alloc(dir + len + 1);
	if (path == NULL)
		return NULL;
	memcpy(path, file, dir);
	memcpy(path + dir, name, len + 1);
	return path;
}

static void unquote(char *word)
{
	size_t len = strlen(word);
	if (len >= 2 && word[0] == '"' && word[len - 1] == '"') {
		memmove(word, word + 1, len - 2);
		word[len - 2] = '\0';
	}
}

static void include(struct source *s, char *at)
{
	char *name = field(&at), *origin_text = field(&at);
	unquote(name);
	if (*name == '\0') {
		static_complain(s->r, s->file, s->start, "$INCLUDE needs a file");
		return;
	}
	if (s->depth == INCLUDE_DEPTH) {
		static_complain(s->r, s->file, s->start, "files include each other more than %d deep", INCLUDE_DEPTH);
		s->r->full = true;
		return;
	}
	ldns_rdf *origin = *origin_text == '\0' ? ldns_rdf_clone(s->origin) : name_parse(s, origin_text);
	char *path = path_beside(s->r->files[s->file], name);
	if (origin != NULL && path != NULL)
		source_read(s->r, path, s, origin, s->depth + 1);
	else if (path == NULL)
		s->r->rc = E_NOMEM;
	ldns_rdf_deep_free(origin);
	mem_free(path);
}

static void directive(struct source *s, char *at)
{
	const char *word = field(&at);
	if (strcasecmp(word, "$INCLUDE") == 0) {
		include(s, at);
	} else if (strcasecmp(word, "$TTL") == 0) {
		const char *text = field(&at);
		if (!ttl_parse(&s->ttl, text))
			static_complain(s->r, s->file, s->start, "$TTL \"%.40s\": 0 to 2147483647 seconds, or 1h30m", text);
	} else if (strcasecmp(word, "$ORIGIN") == 0) {
		const char *text = field(&at);
		ldns_rdf *origin = *text == '\0' ? NULL : name_parse(s, text);
		if (*text == '\0')
			static_complain(s->r, s->file, s->start, "$ORIGIN needs a name");
		if (origin == NULL)
			return;
		ldns_rdf_deep_free(s->origin);
		s->origin = origin;
	} else {
		static_complain(s->r, s->file, s->start, "%.40s: no directive but $ORIGIN, $TTL and $INCLUDE", word);
	}
}

/* ---- files */

static void lines_read(struct source *s)
{
	enum line what;
	while ((what = line_read(s)) != LINE_END && s->r->rc != E_NOMEM && !s->r->full) {
		if (what == LINE_BAD || s->text[strspn(s->text, " \t")] == '\0')
			continue;
		if (s->text[0] == '$')
			directive(s, s->text);
		else
			record_read(s, s->text);
	}
	if (ferror(s->in))
		static_complain(s->r, s->file, 0, "cannot be read: %s", strerror(errno));
}

/* @from: the file that includes it; NULL: none. */
static void source_read(struct static_reading *r, const char *path, const struct source *from, ldns_rdf *origin,
			unsigned depth)
{
	struct source s = { .r = r, .file = r->file_count, .depth = depth, .ttl = from != NULL ? from->ttl : TTL_PRESET };
	unsigned told_file = from != NULL ? from->file : 0, told_line = from != NULL ? from->start : 0;
	if (r->file_count == STATIC_FILES_MAX) {
		static_complain(r, told_file, told_line, "more than %d files are included", STATIC_FILES_MAX);
		return;
	}
	int errnum;
	s.in = plain_file_open(path, &errnum);
	if (s.in == NULL) {
		static_complain(r, told_file, told_line, "%s%scannot be opened: %s", from != NULL ? path : "",
				from != NULL ? " " : "", plain_file_reason(errnum));
		return;
	}
	r->files[r->file_count] = mem_strdup(path);
	s.text = mem_alloc(LINE_MAX_OCTETS + 1);
	s.origin = ldns_rdf_clone(origin);
	s.previous = from != NULL && from->previous != NULL ? ldns_rdf_clone(from->previous) : NULL;
	if (r->files[r->file_count] == NULL || s.text == NULL || s.origin == NULL) {
		r->rc = E_NOMEM;
		mem_free(r->files[r->file_count]);
	} else {
		r->file_count++;
		lines_read(&s);
	}
	fclose(s.in);
	mem_free(s.text);
	ldns_rdf_deep_free(s.origin);
	ldns_rdf_deep_free(s.previous);
}

int static_read(struct static_reading *r)
{
	const struct static_owner *o = r->owner;
	ldns_rdf *origin = ldns_rdf_new_frm_data(LDNS_RDF_TYPE_DNAME, o->zone_len, o->zone);
	if (origin == NULL)
		return r->rc = E_NOMEM;
	source_read(r, o->path, NULL, origin, 1);
	ldns_rdf_deep_free(origin);
	return r->rc;
}

void static_reading_done(struct static_reading *r)
{
	for (unsigned i = 0; i < r->file_count; i++)
		mem_free(r->files[i]);
	mem_free(r->bytes.at);
	mem_free(r->records.at);
}
