/* fuzzy_pattern.c - see fuzzy_pattern.h. */
#include "api/fuzzy_pattern.h"

#include "registry/failure.h"
#include <string.h>

static char *cut(char *at)
{
	char *end = strstr(at, ">>");
	if (end == NULL)
		return NULL;
	*end = '\0';
	return end + 2;
}

/* nacos-client writes .* for "every name" where only a group is given: no name begins with a dot there. */
static const char *read_item(const char *item)
{
	return strcmp(item, ".*") == 0 ? "*" : item;
}

int fuzzy_pattern_parse(struct fuzzy_pattern *ret, char *text, struct error *err)
{
	size_t len = strlen(text);
	if (len > FUZZY_PATTERN_MAX)
		return error_set_what(err, E_RANGE, FAIL_PARAM, "Param 'groupKeyPattern' is illegal, %zu bytes are over the limit of %d",
				      len, FUZZY_PATTERN_MAX);
	char *group = cut(text), *name = group != NULL ? cut(group) : NULL;
	if (name == NULL || *group == '\0' || *name == '\0' || strstr(name, ">>") != NULL)
		return error_set_what(err, E_INVALID, FAIL_PARAM,
				      "Param 'groupKeyPattern' is illegal, it must read NAMESPACE>>GROUP>>SERVICE");
	*ret = (struct fuzzy_pattern){ .ns = *text != '\0' ? text : "public", .group = read_item(group), .name = read_item(name) };
	return E_OK;
}

/* A * in the middle means nothing: such a pattern matches no name, as in the original. */
static bool item_matches(const char *pattern, const char *name, size_t name_len)
{
	size_t len = strlen(pattern);
	bool before = pattern[0] == '*', behind = pattern[len - 1] == '*';
	if (len == 1 && before)
		return true;
	const char *core = pattern + before;
	size_t core_len = len - before - behind;
	if (core_len > name_len)
		return false;
	if (before && behind)
		return core_len == 0 || memmem(name, name_len, core, core_len) != NULL;
	if (before)
		return memcmp(name + name_len - core_len, core, core_len) == 0;
	return (behind || core_len == name_len) && memcmp(name, core, core_len) == 0;
}

bool fuzzy_pattern_matches(const struct fuzzy_pattern *p, const struct service_key *key)
{
	return strcmp(p->ns, key->ns) == 0 && item_matches(p->group, key->group, key->group_len) &&
	       item_matches(p->name, key->name, key->name_len);
}
