/* walk.c - services in order, in slices; see walk.h. The names of the groups are copied at the start; within a
 * group the name of the last service met tells where to go on, so changes in between do no harm. */
#include "registry/walk.h"
#include "base/mem.h"
#include "registry/core.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NAME_MAX_BYTES = 512 /* of a service, names.c */ };

struct walk {
	struct text names;     /* of each group: namespace NUL group NUL */
	const char **groups;   /* into @names, sorted */
	size_t count, at;
	char last[NAME_MAX_BYTES + 1]; /* of the group under way; "": from its start */
};

static int compare_groups(const void *a, const void *b)
{
	const char *x = *(const char *const *)a, *y = *(const char *const *)b;
	int order = strcmp(x, y);

	return order != 0 ? order : strcmp(x + strlen(x) + 1, y + strlen(y) + 1);
}

static void add_group(void *arg, const char *ns, const char *group)
{
	struct walk *w = arg;

	text_put(&w->names, ns, strlen(ns) + 1);
	text_put(&w->names, group, strlen(group) + 1);
	w->count++;
}

int walk_new(struct walk **ret, struct registry *r, const char *ns, const char *group)
{
	struct walk *w = mem_zalloc(1, sizeof(*w));

	if (w == NULL)
		return E_NOMEM;
	text_init(&w->names);
	if (ns != NULL && group != NULL)
		add_group(w, ns, group);
	else
		groups_each(r, ns, group, add_group, w);
	w->groups = w->names.failed ? NULL : mem_alloc((w->count + 1) * sizeof(*w->groups));
	if (w->groups == NULL) {
		walk_free(w);
		return E_NOMEM;
	}
	const char *at = w->names.at;
	for (size_t i = 0; i < w->count; i++) {
		w->groups[i] = at;
		at += strlen(at) + 1;
		at += strlen(at) + 1;
	}
	qsort(w->groups, w->count, sizeof(*w->groups), compare_groups);
	*ret = w;
	return E_OK;
}

/* The first service after @name. */
static size_t place_after(struct service *const *services, size_t count, const char *name)
{
	size_t from = 0, to = count;

	while (from < to) {
		size_t mid = from + (to - from) / 2;

		if (strcmp(service_key_of(services[mid]).name, name) <= 0)
			from = mid + 1;
		else
			to = mid;
	}
	return from;
}

bool walk_slice(struct walk *w, struct registry *r, unsigned most, void (*each)(void *arg, const struct service_view *v),
		void *arg)
{
	for (; w->at < w->count; w->at++) {
		const char *ns = w->groups[w->at];
		size_t count, from = 0;
		struct service *const *services = group_ordered(r, ns, ns + strlen(ns) + 1, &count);

		if (w->last[0] != '\0')
			from = place_after(services, count, w->last);
		for (; from < count && most > 0; from++, most--) {
			const struct service_view *v = service_view(services[from]);

			if (v != NULL) /* else it is about to be published */
				each(arg, v);
		}
		if (from < count) {
			if (from > 0)
				snprintf(w->last, sizeof(w->last), "%s", service_key_of(services[from - 1]).name);
			return true;
		}
		w->last[0] = '\0';
	}
	return false;
}

void walk_free(struct walk *w)
{
	if (w == NULL)
		return;
	text_done(&w->names);
	mem_free(w->groups);
	mem_free(w);
}
