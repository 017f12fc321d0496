/* text.c - see text.h. */
#define _GNU_SOURCE
#include "text.h"

#include <ctype.h>
#include <string.h>

const char *text_after(const char *text, size_t len, const char *needle)
{
	size_t n = strlen(needle);
	const char *at = memmem(text, len, needle, n);
	return at ? at + n : NULL;
}

const char *skip_separators(const char *at, const char *end)
{
	while (at < end && (*at == ' ' || *at == ':' || *at == '\n' || *at == '\t'))
		at++;
	return at;
}

long json_number(const char *text, size_t len, const char *key, long otherwise)
{
	const char *end = text + len, *at = text_after(text, len, key);
	if (at == NULL)
		return otherwise;
	at = skip_separators(at, end);
	bool minus = at < end && *at == '-';
	if (minus)
		at++;
	if (at >= end || !isdigit((unsigned char)*at))
		return otherwise;
	long v = 0;
	for (; at < end && isdigit((unsigned char)*at) && v < 1000000000000000L; at++)
		v = v * 10 + (*at - '0');
	return minus ? -v : v;
}

bool json_text(const char *text, size_t len, const char *key, const char **ret, size_t *ret_len)
{
	const char *end = text + len, *at = text_after(text, len, key);
	if (at == NULL)
		return false;
	at = skip_separators(at, end);
	if (at >= end || *at != '"')
		return false;
	const char *close_quote = memchr(at + 1, '"', (size_t)(end - at - 1));
	if (close_quote == NULL)
		return false;
	*ret = at + 1;
	*ret_len = (size_t)(close_quote - at - 1);
	return true;
}

bool hosts_present(const char *text, size_t len)
{
	const char *end = text + len, *at = text_after(text, len, "\"hosts\"");
	if (at == NULL)
		return false;
	at = skip_separators(at, end);
	if (at >= end || *at++ != '[')
		return false;
	at = skip_separators(at, end);
	return at < end && *at == '{';
}

unsigned text_count(const char *text, size_t len, const char *needle)
{
	const char *end = text + len;
	unsigned count = 0;
	for (const char *at = text; (at = text_after(at, (size_t)(end - at), needle)) != NULL;)
		count++;
	return count;
}
