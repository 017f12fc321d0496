/* tcp_input.c */
#include "dnsd/tcp_input.h"
#include "base/mem.h"
#include "zones/query.h"
#include <string.h>

enum { KEPT_FIRST = 512 };

/* Room for @cap octets in the kept part. */
static bool reserve(struct tcp_input *in, size_t cap)
{
	if (cap <= in->cap)
		return true;
	uint8_t *kept = mem_realloc(in->kept, cap);
	if (kept == NULL)
		return false;
	in->kept = kept;
	in->cap = (uint32_t)cap;
	return true;
}

size_t tcp_input_room(struct tcp_input *in, uint8_t *shared, size_t shared_len, uint8_t **ret)
{
	*ret = shared;
	if (in->len == 0)
		return shared_len;
	size_t cap = in->len < in->cap ? in->cap : 2 * (size_t)in->cap;
	if (cap > FRAME_MAX)
		cap = FRAME_MAX;
	if (!reserve(in, cap))
		return 0;
	*ret = in->kept + in->len;
	return in->cap - in->len;
}

struct cursor tcp_input_unread(const struct tcp_input *in)
{
	return in->len == 0 ? (struct cursor){ 0 } : cursor_of(in->kept, in->len);
}

struct cursor tcp_input_received(struct tcp_input *in, const uint8_t *at, size_t n)
{
	if (in->len == 0)
		return cursor_of(at, n);
	in->len += (uint32_t)n;
	return tcp_input_unread(in);
}

bool tcp_input_append(struct tcp_input *in, const uint8_t *at, size_t n, struct cursor *ret)
{
	if (in->len > 0) {
		if (!reserve(in, in->len + n))
			return false;
		memcpy(in->kept + in->len, at, n);
	}
	*ret = tcp_input_received(in, at, n);
	return true;
}

enum frame_state tcp_input_next(struct cursor *unread, struct cursor *msg)
{
	struct cursor c = *unread;
	size_t len = cursor_u16(&c);
	if (c.failed)
		return FRAME_PART;
	if (len < DNS_HEADER_LEN)
		return FRAME_BAD;
	const uint8_t *at = cursor_take(&c, len);
	if (at == NULL)
		return FRAME_PART;
	*unread = c;
	*msg = cursor_of(at, len);
	return FRAME_WHOLE;
}

void tcp_input_clear(struct tcp_input *in)
{
	mem_free(in->kept);
	*in = (struct tcp_input){ 0 };
}

bool tcp_input_keep(struct tcp_input *in, const struct cursor *unread)
{
	size_t len = cursor_left(unread);
	if (len == 0) {
		tcp_input_clear(in);
		return true;
	}
	if (in->len == 0 && !reserve(in, len > KEPT_FIRST ? len : KEPT_FIRST))
		return false;
	memmove(in->kept, unread->at, len);
	in->len = (uint32_t)len;
	return true;
}
