/* json_tree.c - see json_tree.h. The text is copied once into the arena, ends in a NUL there, and a NUL takes the
 * place of each closing quote; so each byte may be looked at before the end is compared. */
#include "api/json_tree.h"

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

enum { DIGITS_MAX = 15 }; /* so many are exact in a double */

struct reader {
	char *at;
	struct arena *mem;
	unsigned depth;
};

static char skip(struct reader *r)
{
	while (*r->at == ' ' || *r->at == '\n' || *r->at == '\t' || *r->at == '\r')
		r->at++;
	return *r->at;
}

/* A text without escapes and control bytes; NULL: something else. */
static char *read_string(struct reader *r)
{
	char *start = ++r->at;
	while ((unsigned char)*r->at >= ' ' && *r->at != '"' && *r->at != '\\')
		r->at++;
	if (*r->at != '"')
		return NULL;
	*r->at++ = '\0';
	return start;
}

static bool read_number(struct reader *r, cJSON *to)
{
	static const double tenths[] = { 1,   10,  100, 1e3,  1e4,  1e5,  1e6,	1e7,
					 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15 };
	uint64_t v = 0;
	unsigned before = 0, after = 0;
	bool minus = *r->at == '-';
	r->at += minus;
	const char *first = r->at;
	for (; *r->at >= '0' && *r->at <= '9'; r->at++, before++)
		v = before > DIGITS_MAX ? v : v * 10 + (uint64_t)(*r->at - '0');
	if (before == 0 || (before > 1 && *first == '0'))
		return false;
	if (*r->at == '.') {
		for (r->at++; *r->at >= '0' && *r->at <= '9'; r->at++, after++)
			v = before + after > DIGITS_MAX ? v : v * 10 + (uint64_t)(*r->at - '0');
		if (after == 0)
			return false;
	}
	if (before + after > DIGITS_MAX || *r->at == 'e' || *r->at == 'E')
		return false;
	double number = (double)v / tenths[after];
	to->type = cJSON_Number;
	to->valuedouble = minus ? -number : number;
	to->valueint = number >= INT_MAX ? (minus ? INT_MIN : INT_MAX) : (int)to->valuedouble;
	return true;
}

static bool read_word(struct reader *r, cJSON *to, const char *word, int type)
{
	size_t len = strlen(word);
	if (strncmp(r->at, word, len) != 0)
		return false;
	r->at += len;
	to->type = type;
	return true;
}

static bool read_value(struct reader *r, cJSON *to);

/* The members behind a bracket, up to the @closing one. */
static bool read_members(struct reader *r, cJSON *to, char closing)
{
	cJSON **end = &to->child, *last = NULL;
	r->at++;
	if (skip(r) == closing) {
		r->at++;
		return true;
	}
	for (;;) {
		cJSON *member = arena_zalloc(r->mem, sizeof(*member));
		if (member == NULL)
			return false;
		if (closing == '}') {
			if (skip(r) != '"' || (member->string = read_string(r)) == NULL || skip(r) != ':')
				return false;
			r->at++;
		}
		if (!read_value(r, member))
			return false;
		member->prev = last;
		*end = last = member;
		end = &member->next;
		char c = skip(r);
		if (c != ',' && c != closing)
			return false;
		r->at++;
		if (c == closing)
			return true;
	}
}

static bool read_value(struct reader *r, cJSON *to)
{
	char c = skip(r);
	bool well;
	switch (c) {
	case '"':
		to->type = cJSON_String;
		to->valuestring = read_string(r);
		return to->valuestring != NULL;
	case 't':
		to->valueint = 1;
		return read_word(r, to, "true", cJSON_True);
	case 'f':
		return read_word(r, to, "false", cJSON_False);
	case 'n':
		return read_word(r, to, "null", cJSON_NULL);
	case '{':
	case '[':
		if (r->depth == JSON_TREE_DEPTH)
			return false;
		r->depth++;
		to->type = c == '{' ? cJSON_Object : cJSON_Array;
		well = read_members(r, to, c == '{' ? '}' : ']');
		r->depth--;
		return well;
	default:
		return read_number(r, to);
	}
}

const cJSON *json_tree_read(struct arena *mem, const void *at, size_t len, cJSON **ret_heap)
{
	struct reader r = { arena_memdup0(mem, at, len), mem, 0 };
	cJSON *root = arena_zalloc(mem, sizeof(*root));
	const char *end = r.at + len;
	*ret_heap = NULL;
	if (r.at != NULL && root != NULL && read_value(&r, root) && (skip(&r), r.at == end))
		return root;
	return *ret_heap = cJSON_ParseWithLength(at, len);
}
