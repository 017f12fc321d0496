/* settings_value.c - see settings_value.h. */
#include "musterd/settings_value.h"
#include <arpa/inet.h>
#include <assert.h>
#include <ctype.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct unit {
	const char *name;
	uint64_t factor;
};

static const struct unit time_units[] = {
	{ "ms", 1 }, { "s", 1000 }, { "m", 60000 }, { "h", 3600000 }, { "d", 86400000 }, { NULL, 0 },
};
static const struct unit size_units[] = {
	{ "B", 1 }, { "KiB", 1024 }, { "MiB", 1024 * 1024 }, { "GiB", 1024 * 1024 * 1024 }, { NULL, 0 },
};

/* The digits at the start of @text; at most 12 of them, so that no unit overflows. -1: none, or too many. */
static int take_number(const char **text, uint64_t *ret)
{
	size_t digits = strspn(*text, "0123456789");
	if (digits == 0 || digits > 12)
		return -1;
	*ret = strtoull(*text, NULL, 10);
	*text += digits;
	return 0;
}

static int parse_with_unit(uint64_t *ret, const char *text, const struct unit *units, const char *examples,
			   struct error *err)
{
	uint64_t n;
	const char *at = text;
	if (take_number(&at, &n) < 0)
		return error_set(err, E_INVALID, "\"%.60s\" is no number with a unit: write one such as %s", text,
				 examples);
	if (*at == '\0')
		return error_set(err, E_INVALID, "\"%.60s\" has no unit: write one such as %s", text, examples);
	for (const struct unit *u = units; u->name != NULL; u++)
		if (strcmp(at, u->name) == 0) {
			*ret = n * u->factor;
			return E_OK;
		}
	return error_set(err, E_INVALID, "\"%.60s\" has a unit that is not known here: write one such as %s", text,
			 examples);
}

/* A bound as one would write it, in the largest unit that divides it. */
static const char *with_unit(char to[32], uint64_t value, const struct unit *units)
{
	const struct unit *best = units;
	for (const struct unit *u = units; u->name != NULL; u++)
		if (value != 0 && value % u->factor == 0)
			best = u;
	snprintf(to, 32, "%llu%s", (unsigned long long)(value / best->factor), best->name);
	return to;
}

static int check_range(const struct setting *row, uint64_t value, const char *text, const struct unit *units,
		       uint64_t scale, struct error *err)
{
	static const struct unit plain[] = { { "", 1 }, { NULL, 0 } };
	char least[32], most[32];
	if (value >= row->least && value <= row->most)
		return E_OK;
	if (units == NULL)
		units = plain;
	return error_set(err, E_RANGE, "%.60s is outside %s..%s", text, with_unit(least, row->least * scale, units),
			 with_unit(most, row->most * scale, units));
}

void setting_bounds(char to[80], const struct setting *row)
{
	static const struct unit plain[] = { { "", 1 }, { NULL, 0 } };
	const struct unit *units = row->type == SETTING_DURATION	? time_units
				   : row->type == SETTING_SECONDS ? time_units + 1
				   : row->type == SETTING_SIZE					 ? size_units
												 : plain;
	uint64_t scale = row->type == SETTING_SECONDS ? 1000 : 1;
	char least[32], most[32];
	snprintf(to, 80, "%s to %s", with_unit(least, row->least * scale, units),
		 with_unit(most, row->most * scale, units));
}

static int parse_count(unsigned *to, const struct setting *row, const char *text, struct error *err)
{
	uint64_t n;
	const char *at = text;
	if (take_number(&at, &n) < 0 || *at != '\0')
		return error_set(err, E_INVALID, "\"%.60s\" is no whole number", text);
	int rc = check_range(row, n, text, NULL, 1, err);
	if (rc == E_OK)
		*to = (unsigned)n;
	return rc;
}

static int parse_duration(int64_t *to, const struct setting *row, const char *text, struct error *err)
{
	uint64_t ms;
	int rc = parse_with_unit(&ms, text, time_units, "20ms, 5s, 2m, 1h", err);
	if (rc == E_OK)
		rc = check_range(row, ms, text, time_units, 1, err);
	if (rc == E_OK)
		*to = (int64_t)ms;
	return rc;
}

static int parse_seconds(uint32_t *to, const struct setting *row, const char *text, struct error *err)
{
	uint64_t ms;
	int rc = parse_with_unit(&ms, text, time_units, "5s, 2m, 1h", err);
	if (rc == E_OK && ms % 1000 != 0)
		rc = error_set(err, E_RANGE, "%.60s is not a whole number of seconds", text);
	if (rc == E_OK)
		rc = check_range(row, ms / 1000, text, time_units, 1000, err);
	if (rc == E_OK)
		*to = (uint32_t)(ms / 1000);
	return rc;
}

static int parse_size(size_t *to, const struct setting *row, const char *text, struct error *err)
{
	uint64_t bytes;
	int rc = parse_with_unit(&bytes, text, size_units, "64KiB, 1MiB, 2GiB", err);
	if (rc == E_OK)
		rc = check_range(row, bytes, text, size_units, 1, err);
	if (rc == E_OK)
		*to = (size_t)bytes;
	return rc;
}

static int parse_switch(bool *to, const char *text, struct error *err)
{
	static const char *const words[] = { "off", "on", "false", "true", "no", "yes" };
	for (unsigned i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (strcmp(text, words[i]) == 0) {
			*to = i % 2 == 1;
			return E_OK;
		}
	return error_set(err, E_INVALID, "\"%.60s\" is neither on nor off", text);
}

static int parse_choice(void *to, const struct setting *row, const char *text, struct error *err)
{
	char known[160] = "";
	for (unsigned i = 0; row->choices[i] != NULL; i++) {
		if (strcmp(text, row->choices[i]) == 0) {
			_Static_assert(sizeof(enum select_mode) == sizeof(i), "enums are ints");
			memcpy(to, &i, sizeof(i));
			return E_OK;
		}
		size_t len = strlen(known);
		snprintf(known + len, sizeof(known) - len, "%s%s", i == 0 ? "" : ", ", row->choices[i]);
	}
	return error_set(err, E_INVALID, "\"%.60s\" is not one of %s", text, known);
}

static int parse_text(const char **to, const struct setting *row, const char *text, struct arena *mem,
		      struct error *err)
{
	if (*text == '\0' && row->least > 0)
		return error_set(err, E_MISSING, "must not be empty");
	size_t most = row->most > 0 ? (size_t)row->most : 1024;
	if (strlen(text) > most)
		return error_set(err, E_RANGE, "is longer than %zu bytes", most);
	const char *copy = *text == '\0' ? NULL : arena_strdup(mem, text);
	if (*text != '\0' && copy == NULL)
		return error_set(err, E_NOMEM, "no memory");
	*to = copy;
	return E_OK;
}

static int parse_port(uint16_t *to, const char *text, const char *whole, struct error *err)
{
	uint64_t port;
	const char *at = text;
	if (take_number(&at, &port) < 0 || *at != '\0')
		return error_set(err, E_INVALID, "\"%.80s\" has no port: write one such as 127.0.0.1:53", whole);
	if (port > 65535)
		return error_set(err, E_RANGE, "%.80s: port %llu is outside 0..65535", whole,
				 (unsigned long long)port);
	*to = htons((uint16_t)port);
	return E_OK;
}

static int parse_ipv6(struct sockaddr_storage *ret, const char *text, struct error *err)
{
	struct sockaddr_in6 v6 = { .sin6_family = AF_INET6 };
	char address[INET6_ADDRSTRLEN + IF_NAMESIZE];
	const char *close = strchr(text, ']');
	if (close == NULL || close[1] != ':' || (size_t)(close - text) > sizeof(address))
		return error_set(err, E_INVALID, "\"%.80s\" is no address: write one such as [::1]:53", text);
	snprintf(address, sizeof(address), "%.*s", (int)(close - text - 1), text + 1);
	char *scope = strchr(address, '%');
	if (scope != NULL) {
		*scope++ = '\0';
		v6.sin6_scope_id = if_nametoindex(scope);
		if (v6.sin6_scope_id == 0)
			return error_set(err, E_NOTFOUND, "\"%.80s\": there is no interface %s", text, scope);
	}
	if (inet_pton(AF_INET6, address, &v6.sin6_addr) != 1)
		return error_set(err, E_INVALID, "\"%.80s\" is no address: write one such as [::1]:53", text);
	int rc = parse_port(&v6.sin6_port, close + 2, text, err);
	if (rc == E_OK)
		memcpy(ret, &v6, sizeof(v6));
	return rc;
}

int listen_parse(struct sockaddr_storage *ret, const char *text, struct error *err)
{
	struct sockaddr_in v4 = { .sin_family = AF_INET };
	char address[INET_ADDRSTRLEN];
	memset(ret, 0, sizeof(*ret));
	if (text[0] == '[')
		return parse_ipv6(ret, text, err);
	const char *colon = strchr(text, ':');
	if (colon != NULL && strchr(colon + 1, ':') != NULL)
		return error_set(err, E_INVALID,
				 "\"%.80s\": an IPv6 address stands in brackets: write one such as [::1]:53", text);
	size_t len = colon == NULL ? sizeof(address) : (size_t)(colon - text);
	if (len < sizeof(address)) {
		memcpy(address, text, len);
		address[len] = '\0';
	}
	if (len >= sizeof(address) || inet_pton(AF_INET, address, &v4.sin_addr) != 1)
		return error_set(err, E_INVALID,
				 "\"%.80s\" is no address and port: write one such as 127.0.0.1:53 or [::1]:53", text);
	int rc = parse_port(&v4.sin_port, colon + 1, text, err);
	if (rc == E_OK)
		memcpy(ret, &v4, sizeof(v4));
	return rc;
}

bool address_is_loopback(const struct sockaddr_storage *address)
{
	if (address->ss_family == AF_INET)
		return ntohl(((const struct sockaddr_in *)address)->sin_addr.s_addr) >> 24 == 127;
	const struct in6_addr *a = &((const struct sockaddr_in6 *)address)->sin6_addr;
	return IN6_IS_ADDR_LOOPBACK(a) || (IN6_IS_ADDR_V4MAPPED(a) && a->s6_addr[12] == 127);
}

size_t domain_name_octets(const char *name)
{
	size_t octets = 1, label = 0;
	if (*name == '\0' || *name == '.')
		return 0;
	for (const char *at = name; *at != '\0'; at++) {
		if (*at == '.') {
			if (label == 0)
				return 0;
			label = 0;
			continue;
		}
		if (!isalnum((unsigned char)*at) && *at != '-' && *at != '_')
			return 0;
		octets += label == 0 ? 2 : 1; /* the length octet comes with the first letter */
		if (++label > 63 || octets > 255)
			return 0;
	}
	return octets;
}

/* Splits at commas and blanks; the words lie in @mem. -1: no memory. */
static int split(const char ***ret, const char *text, struct arena *mem)
{
	static const char between[] = ", \t";
	char *copy = arena_strdup(mem, text), *rest = NULL;
	const char **words = arena_alloc(mem, (strlen(text) / 2 + 1) * sizeof(*words));
	int n = 0;
	if (copy == NULL || words == NULL)
		return -1;
	for (char *w = strtok_r(copy, between, &rest); w != NULL; w = strtok_r(NULL, between, &rest))
		words[n++] = w;
	*ret = words;
	return n;
}

static int parse_addresses(struct address_list *to, const char **words, size_t n, struct arena *mem,
			   struct error *err)
{
	struct address_list list = { arena_zalloc(mem, n * sizeof(*list.at)), n };
	int rc = list.at == NULL ? error_set(err, E_NOMEM, "no memory") : E_OK;
	for (size_t i = 0; i < n && rc == E_OK; i++)
		rc = listen_parse(&list.at[i].addr, words[i], err);
	for (size_t i = 0; i < n && rc == E_OK; i++)
		for (size_t j = 0; j < i && rc == E_OK; j++)
			if (strcmp(words[i], words[j]) == 0 && strcmp(strrchr(words[i], ':'), ":0") != 0)
				rc = error_set(err, E_EXISTS, "%.80s stands there twice", words[i]);
	if (rc == E_OK)
		*to = list;
	return rc;
}

static int parse_cidrs(struct cidr_list *to, const char **words, size_t n, struct arena *mem, struct error *err)
{
	struct cidr_list list = { arena_zalloc(mem, n * sizeof(*list.at)), n };
	int rc = list.at == NULL ? error_set(err, E_NOMEM, "no memory") : E_OK;
	for (size_t i = 0; i < n && rc == E_OK; i++)
		rc = cidr_parse(&list.at[i], words[i], err);
	if (rc == E_OK)
		*to = list;
	return rc;
}

static int parse_list(void *to, const struct setting *row, const char *text, struct arena *mem, struct error *err)
{
	const char **words;
	int n = split(&words, text, mem);
	if (n < 0)
		return error_set(err, E_NOMEM, "no memory");
	if ((uint64_t)n < row->least)
		return error_set(err, E_MISSING, "must not be empty");
	if ((uint64_t)n > row->most)
		return error_set(err, E_LIMIT, "%d values are more than %llu", n, (unsigned long long)row->most);
	if (row->type == SETTING_ADDRESSES)
		return parse_addresses(to, words, (size_t)n, mem, err);
	if (row->type == SETTING_CIDRS)
		return parse_cidrs(to, words, (size_t)n, mem, err);
	*(struct word_list *)to = (struct word_list){ words, (size_t)n };
	return E_OK;
}

int setting_parse(void *base, const struct setting *row, const char *text, struct arena *mem, struct error *err)
{
	void *to = (char *)base + row->offset;
	switch (row->type) {
	case SETTING_TEXT:
		return parse_text(to, row, text, mem, err);
	case SETTING_COUNT:
		return parse_count(to, row, text, err);
	case SETTING_SWITCH:
		return parse_switch(to, text, err);
	case SETTING_CHOICE:
		return parse_choice(to, row, text, err);
	case SETTING_DURATION:
		return parse_duration(to, row, text, err);
	case SETTING_SECONDS:
		return parse_seconds(to, row, text, err);
	case SETTING_SIZE:
		return parse_size(to, row, text, err);
	default:
		return parse_list(to, row, text, mem, err);
	}
}
