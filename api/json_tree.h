/* json_tree.h - the JSON body of a message as a tree of cJSON's nodes. The usual plain forms are read in one pass
 * into an arena; whatever is unusual (escapes, exponents, deep nesting) or wrong is left to cJSON. Any thread. */
#ifndef API_JSON_TREE_H
#define API_JSON_TREE_H

#include "base/arena.h"
#include <cjson/cJSON.h>

enum { JSON_TREE_DEPTH = 8 }; /* of what is read here */

/* NULL: not JSON, or no memory. The tree is @mem's unless *@ret_heap (NULL otherwise) is to be given to
 * cJSON_Delete(). It must not be written into; of a node of @mem, child->prev is not set. */
const cJSON *json_tree_read(struct arena *mem, const void *at, size_t len, cJSON **ret_heap);

#endif
