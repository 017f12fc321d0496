/* flat_json.c - plain JSON read in place; see flat_json.h. The text ends in a NUL, so each byte may be
 * looked at before the end is compared. */
#include "api/flat_json.h"

struct reader {
	const char *at, *end;
	struct flat_json *to;
};

static char skip(struct reader *r)
{
	while (r->at < r->end && (*r->at == ' ' || *r->at == '\n' || *r->at == '\t' || *r->at == '\r'))
		r->at++;
	return *r->at;
}

/* A text without escapes and control bytes; @at is at the opening quote. */
static bool read_string(struct reader *r, const char **ret, uint32_t *len)
{
	const char *start = ++r->at;
	while ((unsigned char)*r->at >= ' ' && *r->at != '"' && *r->at != '\\')
		r->at++;
	if (*r->at != '"' || r->at >= r->end)
		return false;
	*ret = start;
	*len = (uint32_t)(r->at - start);
	r->at++;
	return true;
}

/* At most nine digits, a fraction, no exponent. */
static bool read_number(struct reader *r, struct flat_member *m)
{
	static const double tenths[] = { 1, 10, 100, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9 };
	uint64_t v = 0;
	unsigned before = 0, after = 0;
	bool minus = *r->at == '-';
	m->at = r->at;
	r->at += minus;
	const char *first = r->at;
	for (; *r->at >= '0' && *r->at <= '9'; r->at++, before++)
		v = before > 9 ? v : v * 10 + (uint64_t)(*r->at - '0');
	if (before == 0 || (before > 1 && *first == '0'))
		return false;
	if (*r->at == '.') {
		for (r->at++; *r->at >= '0' && *r->at <= '9'; r->at++, after++)
			v = before + after > 9 ? v : v * 10 + (uint64_t)(*r->at - '0');
		if (after == 0)
			return false;
	}
	if (before + after > 9 || *r->at == 'e' || *r->at == 'E')
		return false;
	m->type = FLAT_NUMBER;
	m->len = (uint32_t)(r->at - m->at);
	m->number = (double)v / tenths[after];
	if (minus)
		m->number = -m->number;
	return true;
}

static bool read_word(struct reader *r, struct flat_member *m, const char *word, enum flat_type type)
{
	size_t len = strlen(word);
	if ((size_t)(r->end - r->at) < len || memcmp(r->at, word, len) != 0)
		return false;
	m->type = type;
	m->at = r->at;
	m->len = (uint32_t)len;
	r->at += len;
	return true;
}

static bool read_members(struct reader *r, struct flat_member *members, unsigned *count, bool inside);

static bool read_value(struct reader *r, struct flat_member *m, bool inside)
{
	switch (skip(r)) {
	case '"':
		m->type = FLAT_STRING;
		return read_string(r, &m->at, &m->len);
	case 't':
		return read_word(r, m, "true", FLAT_TRUE);
	case 'f':
		return read_word(r, m, "false", FLAT_FALSE);
	case 'n':
		return read_word(r, m, "null", FLAT_NULL);
	case '{':
		if (inside || r->to->inner_of != NULL)
			return false;
		m->type = FLAT_OBJECT;
		r->to->inner_of = m;
		return read_members(r, r->to->inner, &r->to->inner_count, true);
	default:
		return read_number(r, m);
	}
}

static bool read_members(struct reader *r, struct flat_member *members, unsigned *count, bool inside)
{
	r->at++; /* the bracket */
	if (skip(r) == '}') {
		r->at++;
		return r->at <= r->end;
	}
	for (;;) {
		if (*count == FLAT_MEMBERS_MAX || skip(r) != '"')
			return false;
		struct flat_member *m = &members[(*count)++];
		if (!read_string(r, &m->key, &m->key_len) || skip(r) != ':')
			return false;
		r->at++;
		if (!read_value(r, m, inside))
			return false;
		char c = skip(r);
		if (r->at >= r->end || (c != ',' && c != '}'))
			return false;
		r->at++;
		if (c == '}')
			return true;
	}
}

bool flat_parse(struct flat_json *ret, const char *text, size_t len)
{
	struct reader r = { text, text + len, ret };
	ret->count = ret->inner_count = 0;
	ret->inner_of = NULL;
	if (skip(&r) != '{' || !read_members(&r, ret->members, &ret->count, false))
		return false;
	skip(&r);
	return r.at == r.end;
}

static bool only(const struct flat_member *m, unsigned count, enum flat_type type)
{
	for (unsigned i = 0; i < count; i++)
		if (m[i].type != type)
			return false;
	return true;
}

bool flat_only(const struct flat_json *f, enum flat_type type)
{
	return only(f->members, f->count, type);
}

bool flat_inner_only(const struct flat_json *f, enum flat_type type)
{
	return only(f->inner, f->inner_count, type);
}

static void terminate(const struct flat_member *m, unsigned count, char *text)
{
	for (unsigned i = 0; i < count; i++) {
		text[m[i].key + m[i].key_len - text] = '\0';
		if (m[i].type == FLAT_STRING)
			text[m[i].at + m[i].len - text] = '\0';
	}
}

void flat_terminate(const struct flat_json *f, char *text)
{
	terminate(f->members, f->count, text);
	terminate(f->inner, f->inner_count, text);
}
