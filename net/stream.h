/* stream.h - one accepted TCP connection on a libuv loop: reads into a buffer shared by all streams
 * of the loop, writes at once where the kernel takes it and queues the rest up to a bound. Every
 * call and callback runs on the loop's thread. It refuses to know what the bytes mean.
 *
 * The happy path: listener accepts > stream_read_start > on_read ... > stream_write ... >
 * stream_close > closed callback, in which the owner takes the memory back. It ends otherwise by
 * on_end (the peer sends no more, but may still read) or on_lost (reset, or a write failed): both
 * only tell, the owner closes. */
#ifndef NET_STREAM_H
#define NET_STREAM_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

enum { STREAM_READ_LEN = 65536, STREAM_PARTS_MAX = 16 };

struct stream;
struct listener;
struct listener_peer;
struct stream_chunk;

/* What the streams of one loop share. */
struct stream_loop {
	uv_loop_t *loop;
	char *read_buffer; /* STREAM_READ_LEN bytes */
};

int stream_loop_init(struct stream_loop *sl, uv_loop_t *loop); /* E_NOMEM */
void stream_loop_done(struct stream_loop *sl);

/* How the owner hears of it. Only on_room and on_drained may be NULL. */
struct stream_events {
	/* Where the next bytes should go; false: into the shared buffer. At least one byte. */
	bool (*on_room)(struct stream *s, uv_buf_t *room);
	void (*on_read)(struct stream *s, char *at, size_t len);
	void (*on_end)(struct stream *s);
	void (*on_lost)(struct stream *s);
	void (*on_drained)(struct stream *s); /* the queue has become empty */
};

union stream_peer {
	struct sockaddr any;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
};

/* Embedded by the owner; the fields are stream.c's and listener.c's. */
struct stream {
	uv_tcp_t tcp; /* tcp.data: the stream while open */
	void *user;   /* of whoever the stream was lent to */
	uv_write_t *request; /* heap, while one flies */
	const struct stream_events *events;
	struct stream_loop *shared;
	struct stream_chunk *waiting, **waiting_end; /* not yet with libuv */
	struct stream_chunk *flying;		     /* with libuv, one request at a time */
	size_t queued, queued_max;		     /* bytes in both; the bound */
	bool flies, shut_wanted, closing, failed;
	void (*on_closed)(struct stream *s);
	struct listener *listener; /* counts us until closed */
	struct listener_peer *counted;
	union stream_peer peer;
};

/* One run of bytes to be written. Without @release the bytes are copied if they must wait; with it
 * they are the writer's until release(release_arg), which is called exactly once. */
struct stream_part {
	const void *at;
	size_t len;
	void (*release)(void *arg);
	void *release_arg;
};

/* Between the accept and the first use. @shared and @events are borrowed; @queued_max: bytes. */
void stream_start(struct stream *s, struct stream_loop *shared,
		  const struct stream_events *events, size_t queued_max);
void stream_read_start(struct stream *s);
void stream_read_stop(struct stream *s);
/* Send all @count (at most STREAM_PARTS_MAX) parts, in order, in one system call if the kernel
 * takes them. Errors: E_LIMIT (the queue is full), E_CLOSED, E_NOMEM; what was not sent is then
 * released, later writes fail too, and the owner should close. No callback runs from within. */
int stream_write(struct stream *s, const struct stream_part *parts, unsigned count);
size_t stream_unsent(const struct stream *s); /* bytes the kernel has not taken yet */
/* No more will be written: the peer sees the end when the queue is empty. */
void stream_shut(struct stream *s);
/* Begin the end: no callback but @on_closed comes after this call, exactly once, from the loop. */
void stream_close(struct stream *s, void (*on_closed)(struct stream *s));

#endif
