/* listener.c - see listener.h. The happy path: listener_open > on_connection > the owner's place
 * becomes a stream > ... > listener_left when it has closed. A peer that is refused is accepted
 * first (only then its address is known) and closed at once. listener_close() closes the socket;
 * the listener itself lives until the last stream that it counts has left. */
#include "net/listener.h"
#include "base/hash.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/metrics.h"
#include "net/http_cells.h"
#include "net/listener_peer.h"
#include "net/stream.h"
#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { BACKLOG = 4096, ADDRESS_TEXT_MAX = 64 };

/* How many connections one address has open. */
struct listener_peer {
	uint8_t address[16]; /* IPv4 in its mapped form */
	unsigned open;
};

struct listener {
	uv_tcp_t tcp;
	struct listener_conf conf;
	struct listener_owner owner;
	union stream_peer at;
	struct map peers; /* listener_peer by address; only with a limit per peer */
	struct listener_counts counts;
	struct connection_cells cells;
	unsigned streams; /* refused ones that are closing too */
	bool closing, socket_closed;
	uv_tcp_t reserve; /* takes a connection off the backlog when there is no memory */
	bool reserve_busy, waits; /* waits: one more is to be refused with it */
	void (*on_closed)(void *arg);
	void *closed_arg;
};

static void address_format(char text[ADDRESS_TEXT_MAX], const struct sockaddr *at)
{
	char ip[INET6_ADDRSTRLEN] = "?";
	if (at->sa_family == AF_INET6) {
		const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)(const void *)at;
		inet_ntop(AF_INET6, &v6->sin6_addr, ip, sizeof(ip));
		snprintf(text, ADDRESS_TEXT_MAX, "[%s]:%u", ip, ntohs(v6->sin6_port));
	} else {
		const struct sockaddr_in *v4 = (const struct sockaddr_in *)(const void *)at;
		inet_ntop(AF_INET, &v4->sin_addr, ip, sizeof(ip));
		snprintf(text, ADDRESS_TEXT_MAX, "%s:%u", ip, ntohs(v4->sin_port));
	}
}

/* ---- counting peers */

static void peer_key(uint8_t key[16], const union stream_peer *peer)
{
	static const uint8_t mapped[12] = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff };
	if (peer->any.sa_family == AF_INET6) {
		memcpy(key, &peer->v6.sin6_addr, 16);
		return;
	}
	memcpy(key, mapped, sizeof(mapped));
	memcpy(key + 12, &peer->v4.sin_addr, 4);
}

static bool peer_equal(const void *value, const void *key)
{
	return memcmp(((const struct listener_peer *)value)->address, key, 16) == 0;
}

/* One more of this address. False: it has as many as it may, or no memory to count. */
static bool peer_enter(struct listener *l, struct stream *s)
{
	uint8_t key[16];
	if (l->conf.conns_per_peer == 0)
		return true;
	peer_key(key, &s->peer);
	uint64_t hash = hash_bytes(key, sizeof(key));
	struct listener_peer *p = map_find(&l->peers, hash, key);
	if (p != NULL && p->open >= l->conf.conns_per_peer)
		return false;
	if (p == NULL) {
		p = mem_zalloc(1, sizeof(*p));
		if (p == NULL)
			return false;
		memcpy(p->address, key, sizeof(key));
		if (map_add(&l->peers, hash, p) < 0) {
			mem_free(p);
			return false;
		}
	}
	p->open++;
	s->counted = p;
	return true;
}

static void peer_leave(struct listener *l, struct listener_peer *p)
{
	if (p == NULL || --p->open > 0)
		return;
	map_remove(&l->peers, hash_bytes(p->address, 16), p->address);
	mem_free(p);
}

/* ---- the end */

static void listener_release(struct listener *l)
{
	if (!l->socket_closed || l->streams > 0)
		return;
	void (*on_closed)(void *) = l->on_closed;
	void *arg = l->closed_arg;
	map_done(&l->peers);
	mem_free(l);
	if (on_closed != NULL)
		on_closed(arg);
}

static void on_socket_closed(uv_handle_t *handle)
{
	struct listener *l = handle->data;
	l->socket_closed = true;
	listener_release(l);
}

void listener_close(struct listener *l, void (*on_closed)(void *arg), void *arg)
{
	assert(!l->closing);
	l->closing = true;
	l->on_closed = on_closed;
	l->closed_arg = arg;
	uv_close((uv_handle_t *)&l->tcp, on_socket_closed);
}

/* A stream's memory is still its owner's to take back after this. */
void listener_left(struct stream *s)
{
	struct listener *l = s->listener;
	if (l == NULL)
		return; /* refused: on_refused_closed settles it */
	s->listener = NULL;
	peer_leave(l, s->counted);
	s->counted = NULL;
	l->counts.open--;
	metrics_add(l->cells.open, (uint64_t)-1);
	l->streams--;
	listener_release(l);
}

/* ---- accepting */

static void on_refused_closed(uv_handle_t *handle)
{
	struct stream *s = (struct stream *)handle;
	struct listener *l = handle->data;
	handle->data = NULL;
	l->owner.give_back(l->owner.arg, s);
	l->streams--;
	listener_release(l);
}

static bool peer_name(struct stream *s)
{
	struct sockaddr_storage name;
	int len = sizeof(name);
	if (uv_tcp_getpeername(&s->tcp, (struct sockaddr *)&name, &len) < 0 ||
	    (size_t)len > sizeof(name))
		return false; /* gone already */
	memcpy(&s->peer, &name,
	       name.ss_family == AF_INET6 ? sizeof(s->peer.v6) : sizeof(s->peer.v4));
	return true;
}

/* Which counter a refusal goes to; NULL: welcome. */
static uint64_t *admit(struct listener *l, struct stream *s)
{
	const struct listener_conf *conf = &l->conf;
	if (l->closing || !peer_name(s))
		return &l->counts.failed;
	if (conf->allow != NULL && !conf->allow(conf->allow_arg, &s->peer.any))
		return &l->counts.refused_allow;
	if (conf->conns_max > 0 && l->counts.open >= conf->conns_max)
		return &l->counts.refused_total;
	return peer_enter(l, s) ? NULL : &l->counts.refused_peer;
}

/* A fresh socket's buffer takes a short text whole. */
static void say(uv_tcp_t *tcp, const char *text, size_t len)
{
	if (text == NULL)
		return;
	uv_buf_t buf = uv_buf_init((char *)(uintptr_t)text, (unsigned)(len > 0 ? len : strlen(text)));
	uv_try_write((uv_stream_t *)tcp, &buf, 1);
}

static void on_unplaced_closed(uv_handle_t *handle)
{
	mem_free(handle);
}

static void on_reserve_closed(uv_handle_t *handle);

static void refuse_with_reserve(struct listener *l)
{
	l->waits = l->reserve_busy;
	if (l->waits)
		return; /* libuv holds the connection and accepts no other until this one is taken */
	l->reserve_busy = true;
	l->streams++;
	uv_tcp_init(l->tcp.loop, &l->reserve);
	l->reserve.data = l;
	if (uv_accept((uv_stream_t *)&l->tcp, (uv_stream_t *)&l->reserve) == 0)
		say(&l->reserve, l->conf.full_text, l->conf.full_len);
	uv_close((uv_handle_t *)&l->reserve, on_reserve_closed);
}

static void on_reserve_closed(uv_handle_t *handle)
{
	struct listener *l = handle->data;
	l->reserve_busy = false;
	if (l->waits && !l->closing)
		refuse_with_reserve(l);
	l->streams--;
	listener_release(l);
}

/* No place for one more: the connection must still be taken off the backlog, or libuv would never accept again; where
 * there is no memory either, by the handle that is kept for this. */
static void refuse_unplaced(struct listener *l)
{
	uv_tcp_t *tcp = l->waits ? NULL : mem_alloc(sizeof(*tcp));
	if (tcp == NULL) {
		refuse_with_reserve(l);
		return;
	}
	uv_tcp_init(l->tcp.loop, tcp);
	if (uv_accept((uv_stream_t *)&l->tcp, (uv_stream_t *)tcp) == 0)
		say(tcp, l->conf.full_text, l->conf.full_len);
	uv_close((uv_handle_t *)tcp, on_unplaced_closed);
}

static void refusal_count(const struct listener *l, const uint64_t *counter)
{
	const struct listener_counts *c = &l->counts;
	enum connection_refusal why = counter == &c->refused_allow   ? REFUSED_ALLOW
				      : counter == &c->refused_total ? REFUSED_LIMIT
				      : counter == &c->refused_peer  ? REFUSED_PEER
								     : REFUSED_FAILED;
	metrics_add(l->cells.refused[why], 1);
}

static void on_connection(uv_stream_t *server, int status)
{
	struct listener *l = server->data;
	if (status < 0) { /* out of descriptors, or the peer gave up */
		l->counts.failed++;
		metrics_add(l->cells.refused[REFUSED_FAILED], 1);
		return;
	}
	struct stream *s = l->owner.place(l->owner.arg);
	if (s == NULL) {
		l->counts.refused_total++;
		metrics_add(l->cells.refused[REFUSED_LIMIT], 1);
		refuse_unplaced(l);
		return;
	}
	memset(s, 0, sizeof(*s));
	s->waiting_end = &s->waiting;
	uv_tcp_init(server->loop, &s->tcp);
	uint64_t *refused = &l->counts.failed;
	if (uv_accept(server, (uv_stream_t *)&s->tcp) == 0)
		refused = admit(l, s);
	l->streams++;
	if (refused != NULL) {
		++*refused;
		refusal_count(l, refused);
		if (refused == &l->counts.refused_total)
			say(&s->tcp, l->conf.full_text, l->conf.full_len);
		else if (refused == &l->counts.refused_peer)
			say(&s->tcp, l->conf.peer_text, l->conf.peer_len);
		s->tcp.data = l;
		uv_close((uv_handle_t *)&s->tcp, on_refused_closed);
		return;
	}
	s->listener = l;
	s->tcp.data = s;
	l->counts.open++;
	l->counts.accepted++;
	metrics_add(l->cells.open, 1);
	metrics_add(l->cells.accepted, 1);
	l->owner.accept(l->owner.arg, l, s);
}

/* ---- opening */

static int reuse_port(struct listener *l, struct error *err)
{
	uv_os_fd_t fd;
	int on = 1;
	if (uv_fileno((uv_handle_t *)&l->tcp, &fd) < 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on)) < 0)
		return error_set_errno(err, errno, "SO_REUSEPORT");
	return E_OK;
}

static bool socket_set(int fd, int level, int option)
{
	int on = 1;
	return setsockopt(fd, level, option, &on, sizeof(on)) == 0;
}

int listener_socket(int *ret, const struct sockaddr *at, bool join, struct sockaddr_storage *bound,
		    struct error *err)
{
	char text[ADDRESS_TEXT_MAX];
	socklen_t len = at->sa_family == AF_INET6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);
	socklen_t bound_len = sizeof(*bound);
	address_format(text, at);
	int fd = socket(at->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd >= 0 && socket_set(fd, SOL_SOCKET, SO_REUSEADDR) &&
	    (!join || socket_set(fd, SOL_SOCKET, SO_REUSEPORT)) &&
	    (at->sa_family != AF_INET6 || socket_set(fd, IPPROTO_IPV6, IPV6_V6ONLY)) && bind(fd, at, len) == 0 &&
	    socket_set(fd, SOL_SOCKET, SO_REUSEPORT) && listen(fd, BACKLOG) == 0 && getsockname(fd, (struct sockaddr *)bound, &bound_len) == 0) {
		*ret = fd;
		return E_OK;
	}
	int errnum = errno;
	if (fd >= 0)
		close(fd);
	if (errnum == EADDRINUSE)
		return error_set(err, E_EXISTS, "%s: address already in use", text);
	return error_set_errno(err, errnum, "cannot listen on %s", text);
}

static void given_close(const struct listener_conf *conf)
{
	if (conf->has_fd)
		close(conf->fd);
}

static int listener_bind(struct listener *l, const struct sockaddr *at, struct error *err)
{
	char text[ADDRESS_TEXT_MAX];
	unsigned backlog = l->conf.backlog ? l->conf.backlog : BACKLOG;
	int name_len = sizeof(l->at), rc;
	address_format(text, at);
	if (l->conf.reuse_port && !l->conf.has_fd) {
		rc = reuse_port(l, err);
		if (rc < 0)
			return rc;
	}
	if (l->conf.has_fd) {
		rc = uv_tcp_open(&l->tcp, l->conf.fd);
		if (rc < 0)
			given_close(&l->conf);
	} else {
		rc = uv_tcp_bind(&l->tcp, at, at->sa_family == AF_INET6 ? UV_TCP_IPV6ONLY : 0);
	}
	if (rc == 0)
		rc = uv_listen((uv_stream_t *)&l->tcp, (int)backlog, on_connection);
	if (rc == 0)
		rc = uv_tcp_getsockname(&l->tcp, &l->at.any, &name_len);
	if (rc == UV_EADDRINUSE)
		return error_set(err, E_EXISTS, "%s: address already in use", text);
	if (rc < 0)
		return error_set_errno(err, -rc, "cannot listen on %s", text);
	return E_OK;
}

int listener_open(struct listener **ret, uv_loop_t *loop, const struct sockaddr *at,
		  const struct listener_conf *conf, const struct listener_owner *owner,
		  struct error *err)
{
	if (at->sa_family != AF_INET && at->sa_family != AF_INET6) {
		given_close(conf);
		return error_set(err, E_INVALID, "listen: address family %d", at->sa_family);
	}
	struct listener *l = mem_zalloc(1, sizeof(*l));
	if (l == NULL) {
		given_close(conf);
		return error_set(err, E_NOMEM, "listen: no memory");
	}
	l->conf = *conf;
	l->owner = *owner;
	map_init(&l->peers, peer_equal);
	connection_cells_declare(&l->cells);
	int rc = uv_tcp_init_ex(loop, &l->tcp, conf->has_fd ? AF_UNSPEC : at->sa_family);
	if (rc < 0) {
		given_close(conf);
		map_done(&l->peers);
		mem_free(l);
		return error_set_errno(err, -rc, "listen: no socket");
	}
	l->tcp.data = l;
	rc = listener_bind(l, at, err);
	if (rc < 0) {
		listener_close(l, NULL, NULL); /* the loop frees it */
		return rc;
	}
	*ret = l;
	return E_OK;
}

const struct sockaddr *listener_address(const struct listener *l)
{
	return &l->at.any;
}

uint16_t listener_port(const struct listener *l)
{
	return ntohs(l->at.any.sa_family == AF_INET6 ? l->at.v6.sin6_port : l->at.v4.sin_port);
}

void listener_set_per_peer(struct listener *l, unsigned conns_per_peer)
{
	l->conf.conns_per_peer = conns_per_peer;
}

const struct listener_counts *listener_counts(const struct listener *l)
{
	return &l->counts;
}
