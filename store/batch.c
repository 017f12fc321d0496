#include "store/batch.h"

#include <string.h>

size_t batch_room(const struct store_batch *from)
{
	size_t room = from->cond_count * sizeof(struct store_cond) +
		      from->op_count * sizeof(struct store_op);
	for (size_t i = 0; i < from->cond_count; i++)
		room += strlen(from->conds[i].key) + 1;
	for (size_t i = 0; i < from->op_count; i++) {
		room += strlen(from->ops[i].key) + 1;
		if (from->ops[i].value != NULL)
			room += from->ops[i].value_len + 1;
	}
	return room;
}

static char *bytes_copy(char **at, const char *from, size_t len)
{
	char *to = *at;
	if (len > 0)
		memcpy(to, from, len);
	to[len] = '\0';
	*at += len + 1;
	return to;
}

void batch_copy(struct store_batch *to, void *room, const struct store_batch *from)
{
	struct store_cond *conds = room;
	struct store_op *ops = (struct store_op *)(conds + from->cond_count);
	char *at = (char *)(ops + from->op_count);
	for (size_t i = 0; i < from->cond_count; i++) {
		conds[i] = from->conds[i];
		conds[i].key = bytes_copy(&at, conds[i].key, strlen(conds[i].key));
	}
	for (size_t i = 0; i < from->op_count; i++) {
		ops[i] = from->ops[i];
		ops[i].key = bytes_copy(&at, ops[i].key, strlen(ops[i].key));
		if (ops[i].value != NULL)
			ops[i].value = bytes_copy(&at, ops[i].value, ops[i].value_len);
	}
	*to = (struct store_batch){ conds, from->cond_count, ops, from->op_count };
}

int cond_check(const struct store_cond *cond, int64_t found, struct error *err)
{
	switch (cond->kind) {
	case STORE_COND_ABSENT:
		if (found < 0)
			return E_OK;
		return error_set(err, E_CONFLICT, "%.200s exists already", cond->key);
	case STORE_COND_EXISTS:
		if (found >= 0)
			return E_OK;
		return error_set(err, E_CONFLICT, "%.200s does not exist", cond->key);
	case STORE_COND_REVISION:
		if (found == cond->revision)
			return E_OK;
		if (found < 0)
			return error_set(err, E_CONFLICT, "%.200s does not exist", cond->key);
		return error_set(err, E_CONFLICT, "%.200s was changed meanwhile", cond->key);
	}
	return error_set(err, E_INTERNAL, "condition kind %d", (int)cond->kind);
}
