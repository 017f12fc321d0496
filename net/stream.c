/* stream.c - see stream.h. Bytes are first offered to the kernel directly (send: no request,
 * no watcher change). What it does not take becomes chunks on the heap; as long as there are some,
 * new bytes queue behind them, and one libuv write request at a time carries up to CHUNKS_MAX of
 * them. stream_close() cancels that request; its callback comes before the close callback. */
#include "net/stream.h"
#include "base/error.h"
#include "base/mem.h"
#include "net/listener_peer.h"
#include <assert.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

enum { CHUNKS_MAX = 32 };

struct stream_chunk {
	struct stream_chunk *next;
	const char *at; /* own bytes behind this struct, or the writer's */
	size_t len;
	void (*release)(void *arg);
	void *release_arg;
};

int stream_loop_init(struct stream_loop *sl, uv_loop_t *loop)
{
	sl->loop = loop;
	sl->read_buffer = mem_alloc(STREAM_READ_LEN);
	return sl->read_buffer == NULL ? E_NOMEM : E_OK;
}

void stream_loop_done(struct stream_loop *sl)
{
	mem_free(sl->read_buffer);
	sl->read_buffer = NULL;
}

void stream_start(struct stream *s, struct stream_loop *shared,
		  const struct stream_events *events, size_t queued_max)
{
	s->shared = shared;
	s->events = events;
	s->queued_max = queued_max;
	uv_tcp_nodelay(&s->tcp, 1);
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *room)
{
	struct stream *s = (struct stream *)handle;
	(void)suggested;
	if (s->events->on_room != NULL && s->events->on_room(s, room))
		return;
	room->base = s->shared->read_buffer;
	room->len = STREAM_READ_LEN;
}

static void on_uv_read(uv_stream_t *handle, ssize_t n, const uv_buf_t *room)
{
	struct stream *s = (struct stream *)handle;
	if (s->closing || n == 0)
		return;
	if (n > 0)
		s->events->on_read(s, room->base, (size_t)n);
	else if (n == UV_EOF)
		s->events->on_end(s);
	else
		s->events->on_lost(s);
}

void stream_read_start(struct stream *s)
{
	if (!s->closing)
		uv_read_start((uv_stream_t *)&s->tcp, on_alloc, on_uv_read);
}

void stream_read_stop(struct stream *s)
{
	if (!s->closing)
		uv_read_stop((uv_stream_t *)&s->tcp);
}

/* ---- writing */

static void chunk_free(struct stream_chunk *c)
{
	if (c->release != NULL)
		c->release(c->release_arg);
	mem_free(c);
}

static void chunks_free(struct stream_chunk *c)
{
	for (struct stream_chunk *next; c != NULL; c = next) {
		next = c->next;
		chunk_free(c);
	}
}

static void parts_release(const struct stream_part *parts, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		if (parts[i].release != NULL)
			parts[i].release(parts[i].release_arg);
}

/* Queue what is left of a part. Takes over the release. */
static int part_queue(struct stream *s, const struct stream_part *part, size_t skip)
{
	size_t len = part->len - skip, own = part->release == NULL ? len : 0;
	if (len > s->queued_max || s->queued > s->queued_max - len)
		return E_LIMIT;
	struct stream_chunk *c = mem_alloc(sizeof(*c) + own);
	if (c == NULL)
		return E_NOMEM;
	*c = (struct stream_chunk){ .len = len,
				    .at = (const char *)part->at + skip,
				    .release = part->release,
				    .release_arg = part->release_arg };
	if (own > 0) {
		memcpy(c + 1, c->at, own);
		c->at = (const char *)(c + 1);
	}
	*s->waiting_end = c;
	s->waiting_end = &c->next;
	s->queued += len;
	return E_OK;
}

static int pump(struct stream *s);

static void on_written(uv_write_t *request, int status)
{
	struct stream *s = request->data;
	struct stream_chunk *done = s->flying;
	s->flying = NULL;
	s->flies = false;
	mem_free(request);
	for (const struct stream_chunk *c = done; c != NULL; c = c->next)
		s->queued -= c->len;
	chunks_free(done);
	if (s->closing)
		return;
	if (status < 0 || pump(s) < 0) {
		s->failed = true;
		s->events->on_lost(s);
		return;
	}
	if (s->queued > 0)
		return;
	if (s->shut_wanted)
		stream_shut(s);
	if (s->events->on_drained != NULL)
		s->events->on_drained(s);
}

/* Hand waiting chunks to libuv. */
static int pump(struct stream *s)
{
	uv_buf_t bufs[CHUNKS_MAX];
	unsigned n = 0;
	struct stream_chunk **end = &s->waiting;
	if (s->flies || s->waiting == NULL)
		return 0;
	for (; n < CHUNKS_MAX && *end != NULL; end = &(*end)->next, n++)
		bufs[n] = uv_buf_init((char *)(uintptr_t)(*end)->at, (unsigned)(*end)->len);
	s->flying = s->waiting;
	s->waiting = *end;
	if (s->waiting == NULL)
		s->waiting_end = &s->waiting;
	*end = NULL;
	s->request = mem_alloc(sizeof(*s->request));
	if (s->request == NULL)
		return E_NOMEM;
	s->flies = true;
	s->request->data = s;
	int rc = uv_write(s->request, (uv_stream_t *)&s->tcp, bufs, n, on_written);
	if (rc < 0) { /* not begun: no callback will come */
		s->flies = false;
		mem_free(s->request);
		return E_IO;
	}
	return 0;
}

/* Offer everything to the kernel: bytes taken, or E_CLOSED. Nothing is with libuv then. Of uv_try_write()'s write() a
 * tenth is spent above the socket. */
static ssize_t write_now(struct stream *s, const struct stream_part *parts, unsigned count)
{
	struct iovec bufs[STREAM_PARTS_MAX];
	struct msghdr message = { .msg_iov = bufs };
	uv_os_fd_t fd;
	for (unsigned i = 0; i < count; i++)
		if (parts[i].len > 0)
			bufs[message.msg_iovlen++] = (struct iovec){ (void *)(uintptr_t)parts[i].at, parts[i].len };
	if (message.msg_iovlen == 0 || s->queued > 0)
		return 0;
	if (uv_fileno((const uv_handle_t *)&s->tcp, &fd) < 0)
		return E_CLOSED;
	ssize_t taken;
	do {
		taken = message.msg_iovlen == 1 ? send(fd, bufs[0].iov_base, bufs[0].iov_len, MSG_NOSIGNAL | MSG_DONTWAIT)
						: sendmsg(fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
	} while (taken < 0 && errno == EINTR);
	if (taken < 0)
		return errno == EAGAIN || errno == ENOBUFS ? 0 : E_CLOSED;
	return taken;
}

int stream_write(struct stream *s, const struct stream_part *parts, unsigned count)
{
	assert(count <= STREAM_PARTS_MAX);
	ssize_t rc = s->closing || s->failed || s->shut_wanted ? E_CLOSED
							       : write_now(s, parts, count);
	unsigned i = 0;
	if (rc < 0)
		goto failed;
	size_t taken = (size_t)rc;
	for (; i < count && taken >= parts[i].len; i++) {
		taken -= parts[i].len;
		parts_release(&parts[i], 1);
	}
	if (i == count)
		return E_OK;
	for (; i < count; i++, taken = 0) {
		if (parts[i].len == 0) {
			parts_release(&parts[i], 1);
			continue;
		}
		rc = part_queue(s, &parts[i], taken);
		if (rc < 0)
			goto failed;
	}
	rc = pump(s);
	if (rc < 0)
		s->failed = true;
	return (int)rc;
failed:
	s->failed = true;
	parts_release(parts + i, count - i);
	return (int)rc;
}

size_t stream_unsent(const struct stream *s)
{
	size_t unsent = uv_stream_get_write_queue_size((const uv_stream_t *)&s->tcp);
	for (const struct stream_chunk *c = s->waiting; c != NULL; c = c->next)
		unsent += c->len;
	return unsent;
}

void stream_shut(struct stream *s)
{
	uv_os_fd_t fd;
	s->shut_wanted = true;
	if (s->queued == 0 && !s->closing && uv_fileno((uv_handle_t *)&s->tcp, &fd) == 0)
		shutdown(fd, SHUT_WR); /* a failure means that the peer has gone: nothing to do */
}

/* ---- closing */

static void on_uv_closed(uv_handle_t *handle)
{
	struct stream *s = (struct stream *)handle;
	chunks_free(s->flying);
	chunks_free(s->waiting);
	s->flying = s->waiting = NULL;
	s->tcp.data = NULL;
	listener_left(s);
	s->on_closed(s);
}

void stream_close(struct stream *s, void (*on_closed)(struct stream *s))
{
	assert(!s->closing && on_closed != NULL);
	s->closing = true;
	s->on_closed = on_closed;
	uv_close((uv_handle_t *)&s->tcp, on_uv_closed);
}
