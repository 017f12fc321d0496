/* doors.c - see doors.h. Happy path of a change: api_prepare binds what is new, once for each I/O thread > api_commit
 * posts its part to each thread > io_take_doors on that thread. Until the commit nothing has changed. */
#include "api/doors.h"

#include "api/handlers.h"
#include "api/io.h"
#include "api/rpc.h"
#include "base/mem.h"
#include "base/text.h"
#include <arpa/inet.h>
#include <assert.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { PAIR_TRIES = 100 };

struct api_change {
	unsigned thread_count;
	struct doors doors;
	struct door_news *news[]; /* by thread */
};

/* ---- what passes where */

/* SDKs ask for the state and the status of the server before they work with it, so clients have these too. */
bool route_is_for(const struct route *row, enum door_kind kind)
{
	if (kind == DOOR_GRPC)
		kind = DOOR_PUBLIC;
	switch (row->class) {
	case CLASS_STATE:
	case CLASS_NOT_BUILT:
	case CLASS_UNKNOWN:
		return true;
	case CLASS_OPERATOR:
		return kind == DOOR_OPERATOR || row->run == api_metrics_status;
	case CLASS_NATIVE:
		return kind == DOOR_OPERATOR;
	default:
		return kind == DOOR_PUBLIC;
	}
}

static void address_text(char to[64], const struct sockaddr_storage *at)
{
	char host[INET6_ADDRSTRLEN] = "?";
	const struct sockaddr_in *v4 = (const struct sockaddr_in *)(const void *)at;
	const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)(const void *)at;
	bool four = at->ss_family == AF_INET;
	inet_ntop(at->ss_family, four ? (const void *)&v4->sin_addr : (const void *)&v6->sin6_addr, host, sizeof(host));
	snprintf(to, 64, four ? "%s:%u" : "[%s]:%u", host, ntohs(four ? v4->sin_port : v6->sin6_port));
}

void answer_other_door(struct request *r)
{
	char address[64] = "?", text[256];
	enum door_kind other = r->call->listener_tag == DOOR_OPERATOR ? DOOR_PUBLIC : DOOR_OPERATOR;
	const struct doors *doors = &r->io->doors;
	for (size_t i = doors->count; i-- > 0;)
		if (doors->at[i].kind == other)
			address_text(address, &doors->at[i].bound);
	snprintf(text, sizeof(text), "%s is answered on the %s listener: %s = %s", r->route->path,
		 other == DOOR_OPERATOR ? "operator" : "client",
		 other == DOOR_OPERATOR ? "http.operator_listen" : "http.listen", address);
	reply_framework(r, 403, text, NULL);
}

/* ---- binding, on the control thread */

static unsigned port_of(const struct sockaddr_storage *at)
{
	return at->ss_family == AF_INET6 ? ((const struct sockaddr_in6 *)(const void *)at)->sin6_port
					 : ((const struct sockaddr_in *)(const void *)at)->sin_port;
}

unsigned doors_port(const struct doors *d)
{
	return d->count > 0 ? ntohs((uint16_t)port_of(&d->at[0].bound)) : 0;
}

static bool same_address(const struct sockaddr_storage *a, const struct sockaddr_storage *b)
{
	const struct sockaddr_in6 *x = (const struct sockaddr_in6 *)(const void *)a;
	const struct sockaddr_in6 *y = (const struct sockaddr_in6 *)(const void *)b;
	if (a->ss_family != b->ss_family || port_of(a) != port_of(b))
		return false;
	if (a->ss_family == AF_INET)
		return ((const struct sockaddr_in *)(const void *)a)->sin_addr.s_addr ==
		       ((const struct sockaddr_in *)(const void *)b)->sin_addr.s_addr;
	return memcmp(&x->sin6_addr, &y->sin6_addr, 16) == 0 && x->sin6_scope_id == y->sin6_scope_id;
}

/* The door of @old that @door is, and no other was found to be; -1: none. */
static int find_kept(const struct doors *old, const struct door *door, bool used[DOORS_MAX])
{
	for (size_t i = 0; i < old->count; i++)
		if (!used[i] && old->at[i].kind == door->kind && same_address(&old->at[i].asked, &door->asked)) {
			used[i] = true;
			return (int)i;
		}
	return -1;
}

static size_t doors_wanted(const struct api_conf *conf)
{
	return conf->listen_count + conf->operator_count +
	       (conf->grpc_listen_count > 0 ? conf->grpc_listen_count : conf->listen_count);
}

static void port_set(struct sockaddr_storage *at, unsigned port)
{
	if (at->ss_family == AF_INET6)
		((struct sockaddr_in6 *)(void *)at)->sin6_port = htons((uint16_t)port);
	else
		((struct sockaddr_in *)(void *)at)->sin_port = htons((uint16_t)port);
}

/* Of gRPC, above the HTTP door @i. A free port stays one: its partner decides when it is bound. */
static struct door door_above(const struct door *http, size_t i)
{
	struct door door = { http->asked, http->asked, DOOR_GRPC, (int)i };
	if (port_of(&door.asked) != 0)
		port_set(&door.asked, ntohs((uint16_t)port_of(&door.asked)) + GRPC_PORT_OFFSET);
	return door;
}

static void doors_fill(struct doors *to, const struct api_conf *conf)
{
	size_t n = 0;
	assert(doors_wanted(conf) <= DOORS_MAX);
	for (size_t i = 0; i < conf->listen_count; i++)
		to->at[n++] = (struct door){ conf->listens[i], conf->listens[i], DOOR_PUBLIC, -1 };
	for (size_t i = 0; i < conf->operator_count; i++)
		to->at[n++] = (struct door){ conf->operator_listens[i], conf->operator_listens[i], DOOR_OPERATOR, -1 };
	for (size_t i = 0; i < conf->grpc_listen_count; i++)
		to->at[n++] = (struct door){ conf->grpc_listens[i], conf->grpc_listens[i], DOOR_GRPC, -1 };
	for (size_t i = 0; conf->grpc_listen_count == 0 && i < conf->listen_count; i++)
		to->at[n++] = door_above(&to->at[i], i);
	to->count = n;
	to->operators = conf->operator_count;
}

/* An address of ours on the same port may overlap with a new one (127.0.0.1 before, 0.0.0.0 now). */
static bool port_is_ours(const struct doors *old, const struct sockaddr_storage *at)
{
	for (size_t i = 0; i < old->count; i++)
		if (port_of(&old->at[i].bound) == port_of(at))
			return true;
	return false;
}

/* One socket for each thread; the first settles a port 0. */
static int door_bind(struct api_change *c, const struct doors *old, size_t i, const struct sockaddr_storage *first,
		     struct error *err)
{
	struct door *door = &c->doors.at[i];
	for (unsigned t = 0; t < c->thread_count; t++) {
		struct sockaddr_storage want = t == 0 ? *first : door->bound;
		const struct sockaddr *at = (const struct sockaddr *)&want;
		int *fd = &c->news[t]->fd[i];
		int rc = listener_socket(fd, at, t > 0, &door->bound, err);
		if (rc == E_EXISTS && t == 0 && port_is_ours(old, &want))
			rc = listener_socket(fd, at, true, &door->bound, err);
		if (rc < 0) {
			*fd = -1;
			return rc == E_EXISTS ? err->code = E_CONFLICT : rc;
		}
	}
	return E_OK;
}

static void door_unbind(struct api_change *c, size_t i)
{
	for (unsigned t = 0; t < c->thread_count; t++) {
		if (c->news[t]->fd[i] >= 0)
			close(c->news[t]->fd[i]);
		c->news[t]->fd[i] = -1;
	}
}

/* 1000 above its partner. If that was free to choose its port, and the one above is taken, it chooses again. */
static int door_bind_above(struct api_change *c, const struct doors *old, size_t i, struct error *err)
{
	size_t partner = (size_t)c->doors.at[i].partner;
	struct door *http = &c->doors.at[partner];
	for (unsigned tries = 0;; tries++) {
		unsigned port = ntohs((uint16_t)port_of(&http->bound)) + GRPC_PORT_OFFSET;
		struct sockaddr_storage above = http->bound;
		int rc = E_EXISTS;
		port_set(&above, port);
		if (port <= UINT16_MAX)
			rc = door_bind(c, old, i, &above, err);
		else
			error_set(err, E_RANGE, "gRPC listens %d above HTTP, and %u is no port: set grpc.listen",
				  GRPC_PORT_OFFSET, port);
		if (rc == E_OK || port_of(&http->asked) != 0 || c->news[0]->kept[partner] >= 0 || tries == PAIR_TRIES)
			return rc == E_OK ? rc : err->code;
		door_unbind(c, i);
		door_unbind(c, partner);
		rc = door_bind(c, old, partner, &http->asked, err);
		if (rc < 0)
			return rc;
	}
}

static int doors_bind(struct api_change *c, const struct doors *old, struct error *err)
{
	bool used[DOORS_MAX] = { false };
	int rc = E_OK;
	for (size_t i = 0; i < c->doors.count && rc == E_OK; i++) {
		int kept = find_kept(old, &c->doors.at[i], used);
		for (unsigned t = 0; t < c->thread_count; t++)
			c->news[t]->kept[i] = kept;
		if (kept >= 0)
			c->doors.at[i].bound = old->at[kept].bound;
		else
			rc = c->doors.at[i].partner >= 0 ? door_bind_above(c, old, i, err)
							 : door_bind(c, old, i, &c->doors.at[i].asked, err);
	}
	for (unsigned t = 0; t < c->thread_count; t++)
		c->news[t]->doors = c->doors;
	return rc;
}

static struct door_news *news_new(const struct api_conf *conf)
{
	struct door_news *n = mem_zalloc(1, sizeof(*n) + sizeof(*n->conf));
	if (n == NULL)
		return NULL;
	n->conf = (struct api_conf *)(n + 1);
	*n->conf = *conf;
	for (size_t i = 0; i < DOORS_MAX; i++)
		n->kept[i] = n->fd[i] = -1;
	return n;
}

void door_news_discard(struct door_news *news)
{
	for (size_t i = 0; news != NULL && i < DOORS_MAX; i++)
		if (news->fd[i] >= 0)
			close(news->fd[i]);
	mem_free(news);
}

void api_abandon(struct api_change *c)
{
	for (unsigned t = 0; c != NULL && t < c->thread_count; t++)
		door_news_discard(c->news[t]);
	mem_free(c);
}

int api_prepare(struct api_change **ret, struct api *a, const struct api_conf *conf, struct error *err)
{
	if (doors_wanted(conf) > DOORS_MAX)
		return error_set(err, E_LIMIT, "%zu HTTP and gRPC addresses are more than %d", doors_wanted(conf), DOORS_MAX);
	struct api_change *c = mem_zalloc(1, sizeof(*c) + a->io_count * sizeof(c->news[0]));
	if (c == NULL)
		return error_set(err, E_NOMEM, "no memory for HTTP addresses");
	c->thread_count = a->io_count;
	int rc = E_OK;
	for (unsigned t = 0; t < a->io_count && rc == E_OK; t++)
		if ((c->news[t] = news_new(conf)) == NULL)
			rc = error_set(err, E_NOMEM, "no memory for HTTP addresses");
	doors_fill(&c->doors, conf);
	if (rc == E_OK)
		rc = doors_bind(c, &a->doors, err);
	if (rc < 0) {
		api_abandon(c);
		return rc;
	}
	*ret = c;
	return E_OK;
}

void api_commit(struct api *a, struct api_change *c)
{
	a->doors = c->doors;
	for (unsigned t = 0; t < c->thread_count; t++) {
		struct io *io = &a->ios[t];
		struct error err;
		if (io->thread_started)
			inbox_post(io->news, &c->news[t]->message);
		else
			io_take_doors(io, c->news[t], &err); /* starting: nobody runs its loop yet */
	}
	mem_free(c);
}

static size_t addresses_of(const struct api *a, enum door_kind kind, struct sockaddr_storage *ret, size_t max)
{
	size_t n = 0;
	for (size_t i = 0; i < a->doors.count && n < max; i++)
		if (a->doors.at[i].kind == kind)
			ret[n++] = a->doors.at[i].bound;
	return n;
}

size_t api_addresses(const struct api *a, bool operators, struct sockaddr_storage *ret, size_t max)
{
	return addresses_of(a, operators ? DOOR_OPERATOR : DOOR_PUBLIC, ret, max);
}

size_t api_grpc_addresses(const struct api *a, struct sockaddr_storage *ret, size_t max)
{
	return addresses_of(a, DOOR_GRPC, ret, max);
}

/* ---- serving, on the I/O thread */

static unsigned per_peer(const struct door *door, const struct api_conf *conf)
{
	return door->kind == DOOR_GRPC ? conf->grpc_connections_per_address : conf->connections_per_address;
}

#define REFUSAL(len, text)                                                                                       \
	"HTTP/1.1 503 Service Unavailable\r\nContent-Type: text/plain\r\nContent-Length: " len                    \
	"\r\nConnection: close\r\n\r\n" text "\n"

static const char full_text[] =
    REFUSAL("82", "no place for one more connection: http.connections is reached, or the end is near");
static const char peer_text[] =
    REFUSAL("78", "too many connections of this address: http.connections_per_address is reached");

/* HTTP/2: the server's preface, then GOAWAY (ENHANCE_YOUR_CALM), which SDKs write to their logs. */
#define GOAWAY(octets, text)                                                                                    \
	"\0\0\0\4\0\0\0\0\0"                                                                                    \
	"\0\0" octets "\7\0\0\0\0\0"                                                                             \
	"\0\0\0\0\0\0\0\13" text

static const char peer_goaway[] =
    GOAWAY("\x56", "too many connections of this address: grpc.connections_per_address is reached.");
_Static_assert(sizeof(peer_goaway) - 1 == 18 + 0x56, "the length of the GOAWAY");
static const char full_goaway[] = GOAWAY("\x45", "no place for one more connection: http.connections is reached");
_Static_assert(sizeof(full_goaway) - 1 == 18 + 0x45, "the length of the GOAWAY");

static struct listener *door_open(struct io *io, const struct door *door, int fd, const struct api_conf *conf,
				  struct error *err)
{
	bool http2 = door->kind == DOOR_GRPC;
	struct listener_conf listen = {
		.conns_per_peer = per_peer(door, conf),
		.full_text = http2 ? full_goaway : full_text,
		.full_len = http2 ? sizeof(full_goaway) - 1 : 0,
		.peer_text = http2 ? peer_goaway : peer_text,
		.peer_len = http2 ? sizeof(peer_goaway) - 1 : 0,
		.allow = io->api->conf.allowed,
		.allow_arg = io->api->conf.allowed_arg,
		.has_fd = true,
		.fd = fd,
	};
	struct listener *l = NULL;
	int rc = http_server_listen(io->server, (const struct sockaddr *)&door->bound, &listen, (int)door->kind, &l, err);
	return rc < 0 ? NULL : l;
}

int io_take_doors(struct io *io, struct door_news *news, struct error *err)
{
	struct listener *before[DOORS_MAX];
	int rc = E_OK;
	memcpy(before, io->listeners, sizeof(before));
	memset(io->listeners, 0, sizeof(io->listeners));
	for (size_t i = 0; i < news->doors.count; i++) {
		int kept = news->kept[i];
		struct listener *l = kept >= 0 ? before[kept] : door_open(io, &news->doors.at[i], news->fd[i], news->conf, err);
		if (kept >= 0)
			before[kept] = NULL;
		if (l == NULL)
			rc = err->code;
		else
			listener_set_per_peer(l, per_peer(&news->doors.at[i], news->conf));
		io->listeners[i] = l;
	}
	for (size_t i = 0; i < DOORS_MAX; i++)
		if (before[i] != NULL)
			http_server_unlisten(io->server, before[i]);
	io->doors = news->doors;
	io->max_body = news->conf->max_body;
	rpc_set_limits(io, news->conf);
	struct http_server_conf http = io_http_conf(io, news->conf);
	struct error ignored;
	http_server_set_limits(io->server, &http, &ignored); /* the settings have checked them */
	mem_free(news);
	return rc;
}
