/* fuzz_json_tree.c - arbitrary bytes as the JSON body of a message: what is read into an arena is what cJSON reads. */
#include "api/json_tree.h"
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static bool same(const cJSON *a, const cJSON *b)
{
	for (; a != NULL && b != NULL; a = a->next, b = b->next)
		if (a->type != b->type || (a->string == NULL) != (b->string == NULL) ||
		    (a->string != NULL && strcmp(a->string, b->string) != 0) ||
		    (cJSON_IsString(a) && strcmp(a->valuestring, b->valuestring) != 0) ||
		    (cJSON_IsNumber(a) && (fabs(a->valuedouble - b->valuedouble) > 0 || a->valueint != b->valueint)) ||
		    !same(a->child, b->child))
			return false;
	return a == b;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	struct arena mem;
	cJSON *heap;
	arena_init(&mem, NULL, 0, 0);
	const cJSON *tree = json_tree_read(&mem, bytes, size, &heap);
	cJSON *other = cJSON_ParseWithLength((const char *)bytes, size);
	if ((tree == NULL) != (other == NULL) || (tree != NULL && heap == NULL && !same(tree, other)))
		abort();
	cJSON_Delete(other);
	cJSON_Delete(heap);
	arena_done(&mem);
	return 0;
}
