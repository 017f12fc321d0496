/* tcp_input.h - what a stream of DNS has sent and nobody has answered: messages behind their lengths (RFC 1035, 4.2.2), in
 * whatever pieces they come. A whole message is read where it arrived; only the start of one, or messages that wait
 * behind a write, are kept. Memory grows with what has come, not with the length that a message claims. It knows no
 * socket. On the thread of its connection. */
#ifndef DNSD_TCP_INPUT_H
#define DNSD_TCP_INPUT_H

#include "base/cursor.h"

enum {
	FRAME_HEAD = 2,
	FRAME_MAX = FRAME_HEAD + 65535,
};

enum frame_state {
	FRAME_PART, /* the rest is still to come */
	FRAME_WHOLE,
	FRAME_BAD, /* of a length that no message has */
};

struct tcp_input { /* all zero: nothing */
	uint8_t *kept;
	uint32_t len, cap;
};

/* Where the next octets of the stream shall be put: behind what is kept, or else into @shared. Returns the room there; 0: no memory. */
size_t tcp_input_room(struct tcp_input *in, uint8_t *shared, size_t shared_len, uint8_t **ret);

/* @n octets have come to where tcp_input_room() said. Returns all that is not answered, which is good until tcp_input_keep(). */
struct cursor tcp_input_received(struct tcp_input *in, const uint8_t *at, size_t n);

/* The same for octets that came elsewhere. false: no memory. */
bool tcp_input_append(struct tcp_input *in, const uint8_t *at, size_t n, struct cursor *ret);

/* What is kept. */
struct cursor tcp_input_unread(const struct tcp_input *in);

/* Takes one message off @unread, which stays as it is unless it is whole. */
enum frame_state tcp_input_next(struct cursor *unread, struct cursor *msg);

/* Keeps what is left of @unread. false: no memory. */
bool tcp_input_keep(struct tcp_input *in, const struct cursor *unread);

void tcp_input_clear(struct tcp_input *in);

#endif
