/* udp.c - one turn: recvmmsg > four passes over the batch inside one RCU section > sendmmsg. While batches come
 * full the next one is received at once, without asking the poller. Each query is answered in the buffer it came
 * in: header and question are there already. */
#include "dnsd/udp.h"
#include "base/clock.h"
#include "base/mem.h"
#include "dnsd/sockets.h"
#include "dnsd/udp_out.h"
#include <errno.h>
#include <string.h>
#include <unistd.h>

enum {
	TURNS_MAX = 16,	     /* full batches before the loop's other descriptors have their turn */
	DRAIN_TURNS_MAX = 64, /* when it closes: what is queued, and no more */
	RECEIVE_MAX = 2048,  /* a longer query is never legitimate */
	SEND_MAX = 4096,
	SLOT_STRIDE = SEND_MAX + 5 * 64, /* not a power of two: the heads of all slots would share one cache set */
};

struct slot {
	_Alignas(64) uint8_t bytes[SLOT_STRIDE];
};

struct udp_batch {
	struct slot slots[UDP_BATCH];
	struct exchange exchanges[UDP_BATCH];
	struct mmsghdr in[UDP_BATCH];
	struct iovec iov[UDP_BATCH];
	struct udp_out out;
	bool gso;
	union udp_peer peers[UDP_BATCH];
	_Alignas(16) uint8_t control[UDP_BATCH][UDP_CONTROL_MAX];
};

struct udp_batch *udp_batch_new(bool gso)
{
	struct udp_batch *b = mem_aligned(64, sizeof *b);
	if (b == NULL)
		return NULL;
	memset(b, 0, sizeof *b);
	b->gso = gso;
	for (int i = 0; i < UDP_BATCH; i++) {
		b->iov[i].iov_base = b->slots[i].bytes;
		b->in[i].msg_hdr.msg_iov = &b->iov[i];
		b->in[i].msg_hdr.msg_iovlen = 1;
		b->in[i].msg_hdr.msg_name = &b->peers[i];
	}
	return b;
}

void udp_batch_free(struct udp_batch *b)
{
	mem_free(b);
}

static int receive(struct udp_socket *s)
{
	struct udp_batch *b = s->batch;
	for (int i = 0; i < UDP_BATCH; i++) {
		struct msghdr *h = &b->in[i].msg_hdr;
		b->iov[i].iov_len = RECEIVE_MAX;
		h->msg_namelen = sizeof b->peers[i];
		h->msg_control = s->wildcard ? b->control[i] : NULL;
		h->msg_controllen = s->wildcard ? UDP_CONTROL_MAX : 0;
	}
	int n;
	do {
		n = recvmmsg(s->fd, b->in, UDP_BATCH, MSG_DONTWAIT, NULL);
	} while (n < 0 && errno == EINTR);
	return n;
}

/* Makes the control message of a query that of its answer: from the address asked, by whichever interface the
 * route says. Leaves the address asked in @local. false: there is none. */
static bool control_turn(struct msghdr *h, union udp_peer *local)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(h); c != NULL; c = CMSG_NXTHDR(h, c)) {
		if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) {
			struct in_pktinfo *p = (struct in_pktinfo *)(void *)CMSG_DATA(c);
			p->ipi_ifindex = 0;
			local->in4.sin_addr = p->ipi_addr;
			return true;
		}
		if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO) {
			struct in6_pktinfo *p = (struct in6_pktinfo *)(void *)CMSG_DATA(c);
			p->ipi6_ifindex = 0;
			local->in6.sin6_addr = p->ipi6_addr;
			return true;
		}
	}
	return false;
}

/* May this datagram be looked at? Counts why not. */
static bool admit(struct udp_socket *s, struct mmsghdr *m, const union udp_peer *peer)
{
	uint32_t *dropped = s->responder->tally.dropped;
	if (m->msg_hdr.msg_flags & MSG_TRUNC)
		return dropped[DROP_OVERSIZE]++, false;
	if (m->msg_len == 0)
		return dropped[DROP_MALFORMED]++, false;
	in_port_t port = peer->any.sa_family == AF_INET ? peer->in4.sin_port : peer->in6.sin6_port;
	if (port == 0)
		return dropped[DROP_PORT]++, false;
	union udp_peer local;
	memcpy(&local, &s->addr, sizeof local);
	if (s->wildcard && !control_turn(&m->msg_hdr, &local))
		m->msg_hdr.msg_controllen = 0;
	if (port == local.in4.sin_port && udp_same_host(peer, &local)) /* the port lies at one place in both families */
		return dropped[DROP_LOOP]++, false;
	return true;
}

static void read_all(struct udp_socket *s, int n)
{
	struct udp_batch *b = s->batch;
	int64_t now_ms = clock_wall_ms();
	for (int i = 0; i < n; i++) {
		struct exchange *x = &b->exchanges[i];
		if (!admit(s, &b->in[i], &b->peers[i])) {
			x->fate = QUESTION_DROP;
			b->in[i].msg_len = 0; /* write_all: counted already */
			continue;
		}
		respond_client(s->responder, &x->client, &b->peers[i].any);
		x->question.query.client = x->client.bucket;
		x->question.query.now_ms = now_ms;
		x->question.query.at = &s->place;
		respond_read(s->responder, x, b->slots[i].bytes, b->in[i].msg_len, TRANSPORT_UDP);
	}
}

/* Where the answer to a forwarded question goes to, and from which address. */
struct way_back {
	union udp_peer peer;
	socklen_t peer_len;
	size_t control_len;
	_Alignas(16) uint8_t control[UDP_CONTROL_MAX];
};

static bool forward_one(struct udp_socket *s, int i)
{
	const struct udp_batch *b = s->batch;
	const struct msghdr *h = &b->in[i].msg_hdr;
	struct way_back back = { b->peers[i], h->msg_namelen, s->wildcard ? h->msg_controllen : 0, { 0 } };
	memcpy(back.control, b->control[i], sizeof(back.control));
	struct forwarding_question w = { .msg = b->slots[i].bytes, .len = b->in[i].msg_len, .extra = &back, .extra_len = sizeof(back) };
	return respond_ask(s->responder, &b->exchanges[i], &s->asker, &w);
}

/* One answer of the forwarder. */
static bool on_forwarded(struct asker *a, struct forward_query *q)
{
	struct udp_socket *s = (struct udp_socket *)(void *)((uint8_t *)a - offsetof(struct udp_socket, asker));
	struct way_back *back = q->extra;
	struct exchange *x = &s->batch->exchanges[0]; /* no batch is being answered */
	uint8_t answer[SEND_MAX];
	respond_begin(s->responder);
	respond_client(s->responder, &x->client, &back->peer.any);
	x->question.query.at = &s->place;
	size_t len = respond_forwarded(s->responder, x, q, TRANSPORT_UDP, answer, sizeof(answer));
	respond_end(s->responder);
	struct iovec iov = { answer, len };
	struct msghdr h = { .msg_name = &back->peer, .msg_namelen = back->peer_len, .msg_iov = &iov, .msg_iovlen = 1,
			    .msg_control = back->control_len > 0 ? back->control : NULL, .msg_controllen = back->control_len };
	if (sendmsg(s->fd, &h, MSG_DONTWAIT) < 0)
		s->responder->tally.dropped[DROP_SEND]++;
	tally_flush(&s->responder->tally);
	return false;
}

static void write_all(struct udp_socket *s, int n)
{
	struct udp_batch *b = s->batch;
	for (int i = 0; i < n; i++) {
		if (b->in[i].msg_len == 0)
			continue;
		if (b->exchanges[i].fate == QUESTION_FORWARD && forward_one(s, i))
			continue;
		size_t len = respond_write(s->responder, &b->exchanges[i], b->slots[i].bytes, SEND_MAX);
		if (len > 0)
			udp_out_add(&b->out, &b->in[i].msg_hdr, b->slots[i].bytes, len, s->gso);
	}
}

static int turn(struct udp_socket *s)
{
	int n = receive(s);
	if (n <= 0)
		return 0;
	respond_begin(s->responder);
	read_all(s, n);
	for (int i = 0; i < n; i++)
		respond_locate(s->responder, &s->batch->exchanges[i]);
	for (int i = 0; i < n; i++)
		respond_prepare(s->responder, &s->batch->exchanges[i]);
	write_all(s, n);
	respond_end(s->responder);
	s->responder->tally.dropped[DROP_SEND] += udp_out_send(&s->batch->out, s->fd);
	tally_flush(&s->responder->tally);
	return n;
}

static void on_readable(uv_poll_t *poll, int status, int events)
{
	struct udp_socket *s = poll->data;
	(void)events;
	if (status < 0) { /* libuv has stopped watching: fetch the socket's error and go on */
		int error;
		socklen_t len = sizeof error;
		getsockopt(s->fd, SOL_SOCKET, SO_ERROR, &error, &len);
		uv_poll_start(poll, UV_READABLE, on_readable);
	}
	for (int i = 0; i < TURNS_MAX; i++)
		if (turn(s) < UDP_BATCH)
			break;
}

int udp_socket_open(struct udp_socket *s, uv_loop_t *loop, int fd, const struct sockaddr_storage *addr,
		    const struct dns_place *place, struct udp_batch *batch, struct responder *responder, struct error *err)
{
	int rc = uv_poll_init(loop, &s->poll, fd);
	if (rc < 0) {
		close(fd);
		s->fd = -1;
		return error_set(err, E_IO, "watch a DNS socket: %s", uv_strerror(rc));
	}
	s->poll.data = s;
	s->fd = fd;
	s->addr = *addr;
	s->place = *place;
	s->wildcard = address_is_wildcard(addr);
	s->batch = batch;
	s->gso = batch->gso && udp_can_cut(fd);
	s->responder = responder;
	if (responder->forwarding != NULL)
		forwarding_join(responder->forwarding, &s->asker, on_forwarded);
	uv_poll_start(&s->poll, UV_READABLE, on_readable);
	return E_OK;
}

static void on_closed(uv_handle_t *handle)
{
	struct udp_socket *s = handle->data;
	close(s->fd);
	s->fd = -1;
	if (s->on_closed != NULL)
		s->on_closed(s);
}

void udp_socket_close(struct udp_socket *s, void (*on_gone)(struct udp_socket *s))
{
	if (s->fd < 0 || uv_is_closing((uv_handle_t *)&s->poll))
		return;
	s->on_closed = on_gone;
	if (s->responder->forwarding != NULL)
		forwarding_leave(s->responder->forwarding, &s->asker);
	uv_close((uv_handle_t *)&s->poll, on_closed);
}

void udp_socket_drain(struct udp_socket *s)
{
	for (int i = 0; i < DRAIN_TURNS_MAX && turn(s) > 0; i++)
		;
}
