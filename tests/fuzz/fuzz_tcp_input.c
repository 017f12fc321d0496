/* fuzz_tcp_input.c - an arbitrary stream of DNS messages in arbitrary pieces, some opened elsewhere as over TLS, taken up
 * with arbitrary stops, as behind a write that has not ended. The messages and the end must be those that a reader of the
 * whole stream finds, and never more may be kept than was received. The first octet says how many octets of control
 * follow it; the rest is the stream. */
#include "base/mem.h"
#include "dnsd/tcp_input.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

enum { SHARED = 4096, CONTROL_MAX = 255 };

static void trap_if(bool wrong, const char *what)
{
	if (!wrong)
		return;
	fprintf(stderr, "fuzz_tcp_input: %s\n", what);
	abort();
}

/* What the stream holds, by a reader of its own. */
struct whole {
	const uint8_t *at;
	size_t len, used;
	bool bad;
};

static void whole_expect(struct whole *w, const struct cursor *msg)
{
	trap_if(w->bad || w->len - w->used < 2, "a message from nowhere");
	const uint8_t *frame = w->at + w->used;
	size_t len = (size_t)(frame[0] << 8 | frame[1]);
	trap_if(len < 12 || len > w->len - w->used - 2, "a message that is not there");
	trap_if(cursor_left(msg) != len || memcmp(msg->at, frame + 2, len) != 0, "another message");
	w->used += 2 + len;
}

/* At the end of the stream: nothing but the start of a message, or a bad length, is left. */
static void whole_finish(const struct whole *w, enum frame_state state, size_t left)
{
	size_t rest = w->len - w->used;
	size_t len = rest < 2 ? 0 : (size_t)(w->at[w->used] << 8 | w->at[w->used + 1]);
	bool bad = rest >= 2 && len < 12;
	trap_if((state == FRAME_BAD) != bad, "a bad length that is none, or none that is one");
	trap_if(!bad && rest >= 2 && rest - 2 >= len, "a message was left");
	trap_if(!bad && left != rest, "octets are lost");
}

struct control {
	const uint8_t *at;
	size_t len, next;
};

static unsigned control_next(struct control *c)
{
	return c->len == 0 ? 0 : c->at[c->next++ % c->len];
}

/* Up to @stop messages; then what is left is kept. */
static enum frame_state take(struct tcp_input *in, struct cursor unread, struct whole *w, unsigned stop)
{
	enum frame_state state = FRAME_WHOLE;
	struct cursor msg;
	while (stop-- > 0 && (state = tcp_input_next(&unread, &msg)) == FRAME_WHOLE)
		whole_expect(w, &msg);
	size_t left = cursor_left(&unread);
	trap_if(!tcp_input_keep(in, &unread), "no memory");
	trap_if(in->len != left || in->len > in->cap || (left == 0) != (in->kept == NULL), "kept otherwise");
	return state;
}

/* One piece of the stream, as the socket or TLS hands it over. */
static struct cursor receive(struct tcp_input *in, const uint8_t *from, size_t *n, bool opened)
{
	static uint8_t shared[SHARED];
	struct cursor unread;
	uint8_t *to;
	if (opened) {
		trap_if(!tcp_input_append(in, from, *n, &unread), "no memory");
		return unread;
	}
	size_t room = tcp_input_room(in, shared, sizeof shared, &to);
	trap_if(room == 0, "no room for the rest of a message");
	*n = *n < room ? *n : room;
	memcpy(to, from, *n);
	return tcp_input_received(in, to, *n);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	if (size == 0)
		return 0;
	size_t control_len = bytes[0] < size - 1 ? bytes[0] : size - 1;
	struct control control = { bytes + 1, control_len, 0 };
	struct whole w = { bytes + 1 + control_len, size - 1 - control_len, 0, false };
	struct tcp_input in = { 0 };
	enum frame_state state = FRAME_PART;
	for (size_t at = 0, n; at < w.len && state != FRAME_BAD; at += n) {
		unsigned how = control_next(&control);
		n = 1 + (how >> 2) * (how >> 2) % 700; /* to 4 octets often, and more than the first kept room */
		n = n < w.len - at ? n : w.len - at;
		struct cursor unread = receive(&in, w.at + at, &n, (how & 1) != 0);
		unsigned stop = (how & 2) != 0 ? control_next(&control) % 4 : UINT32_MAX;
		state = take(&in, unread, &w, stop);
		while (state == FRAME_WHOLE) /* the write has ended */
			state = take(&in, tcp_input_unread(&in), &w, stop + 1);
	}
	whole_finish(&w, state, in.len);
	trap_if(in.cap > FRAME_MAX + SHARED, "more is kept than was received");
	tcp_input_clear(&in);
	return 0;
}
