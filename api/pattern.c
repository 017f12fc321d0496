/* pattern.c - matching by trying each start, with a count of steps that ends what goes astray; see pattern.h. */
#include "api/pattern.h"

#include <stddef.h>
#include <string.h>

enum { STEPS_MAX = 20000 };

int pattern_check(const char *pattern, const char *field, struct error *err)
{
	if (strlen(pattern) > PATTERN_MAX)
		return error_set(err, E_RANGE, "Param '%s' is illegal, %zu bytes are over the limit of %d", field,
				 strlen(pattern), PATTERN_MAX);
	for (const char *at = pattern; *at != '\0'; at++) {
		if (*at == '\\' && at[1] != '\0')
			at++;
		else if (strchr("[]{}()|\\", *at) != NULL)
			return error_set(err, E_INVALID,
					 "Param '%s' is illegal, '%c' is not supported: only . * + ? ^ $ and \\ have a meaning",
					 field, *at);
	}
	return E_OK;
}

static bool match_here(const char *pattern, const char *text, unsigned *steps);

/* One atom at @pattern: its length in the pattern, and whether @c fits it. */
static size_t atom(const char *pattern, char c, bool *fits)
{
	bool escaped = pattern[0] == '\\' && pattern[1] != '\0';
	*fits = c != '\0' && (escaped ? pattern[1] == c : pattern[0] == '.' || pattern[0] == c);
	return escaped ? 2 : 1;
}

/* As many as there are, then fewer, down to @least. */
static bool match_many(const char *one, size_t len, unsigned least, unsigned most, const char *text, unsigned *steps)
{
	unsigned count = 0;
	bool fits;
	for (; count < most; count++) {
		atom(one, text[count], &fits);
		if (!fits)
			break;
	}
	for (;; count--) {
		if (count < least || *steps == 0)
			return false;
		if (match_here(one + len + 1, text + count, steps))
			return true;
		if (count == 0)
			return false;
	}
}

static bool match_here(const char *pattern, const char *text, unsigned *steps)
{
	for (;;) {
		bool fits;
		if (*steps == 0)
			return false;
		--*steps;
		if (*pattern == '\0')
			return true;
		if (pattern[0] == '$' && pattern[1] == '\0')
			return *text == '\0';
		size_t len = atom(pattern, *text, &fits);
		char often = pattern[len];
		if (often == '*' || often == '+' || often == '?')
			return match_many(pattern, len, often == '+', often == '?' ? 1 : 4096, text, steps);
		if (!fits)
			return false;
		pattern += len;
		text++;
	}
}

bool pattern_found(const char *pattern, const char *text)
{
	unsigned steps = STEPS_MAX;
	if (pattern == NULL)
		return true;
	if (strpbrk(pattern, ".*+?^$\\") == NULL)
		return strstr(text, pattern) != NULL;
	if (*pattern == '^')
		return match_here(pattern + 1, text, &steps);
	do {
		if (match_here(pattern, text, &steps))
			return true;
	} while (steps > 0 && *text++ != '\0');
	return false;
}
