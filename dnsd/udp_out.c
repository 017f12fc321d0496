/* udp_out.c - joining and sending. */
#include "dnsd/udp_out.h"
#include <errno.h>
#include <netinet/udp.h>
#include <poll.h>
#include <string.h>

enum {
	JOINED_MAX = 65000,   /* octets: what fits into one datagram of IPv4, less its headers */
	SEND_WAIT_MS = 5,
	BATCHES_APART = 1024, /* after a refusal: the way there has no checksums by hardware, or its MTU is too small */
};

bool udp_can_cut(int fd)
{
	int size;
	socklen_t len = sizeof(size);
	return getsockopt(fd, SOL_UDP, UDP_SEGMENT, &size, &len) == 0;
}

bool udp_same_host(const union udp_peer *a, const union udp_peer *b)
{
	if (a->any.sa_family == AF_INET)
		return a->in4.sin_addr.s_addr == b->in4.sin_addr.s_addr;
	return memcmp(&a->in6.sin6_addr, &b->in6.sin6_addr, sizeof(a->in6.sin6_addr)) == 0;
}

static bool same_way(const struct msghdr *a, const struct msghdr *b)
{
	const union udp_peer *to = a->msg_name, *next = b->msg_name;
	if (to->in4.sin_port != next->in4.sin_port || !udp_same_host(to, next)) /* the port lies at one place in both families */
		return false;
	if (to->any.sa_family == AF_INET6 && to->in6.sin6_scope_id != next->in6.sin6_scope_id)
		return false;
	return a->msg_controllen == b->msg_controllen &&
	       (a->msg_controllen == 0 || memcmp(a->msg_control, b->msg_control, a->msg_controllen) == 0);
}

static bool goes_with(const struct msghdr *before, const struct msghdr *to, size_t len)
{
	size_t piece = before->msg_iov[0].iov_len, last = before->msg_iov[before->msg_iovlen - 1].iov_len;
	return last == piece && len <= piece && (before->msg_iovlen + 1) * piece <= JOINED_MAX && same_way(before, to);
}

void udp_out_add(struct udp_out *o, const struct msghdr *to, uint8_t *bytes, size_t len, bool join)
{
	struct iovec *answer = &o->answers[o->answer_count++];
	*answer = (struct iovec){ bytes, len };
	struct msghdr *before = o->message_count > 0 ? &o->messages[o->message_count - 1].msg_hdr : NULL;
	if (join && o->apart == 0 && before != NULL && goes_with(before, to, len)) {
		before->msg_iovlen++;
		return;
	}
	struct msghdr *h = &o->messages[o->message_count++].msg_hdr;
	h->msg_name = to->msg_name;
	h->msg_namelen = to->msg_namelen;
	h->msg_iov = answer;
	h->msg_iovlen = 1;
	h->msg_control = to->msg_control;
	h->msg_controllen = to->msg_controllen;
}

/* Says of what size the pieces are, behind the control message that is there already. */
static void cut(struct msghdr *h, uint8_t *control)
{
	const struct cmsghdr head = { .cmsg_len = CMSG_LEN(sizeof(uint16_t)), .cmsg_level = SOL_UDP, .cmsg_type = UDP_SEGMENT };
	uint16_t piece = (uint16_t)h->msg_iov[0].iov_len;
	size_t len = h->msg_controllen;
	if (len > 0)
		memcpy(control, h->msg_control, len);
	memset(control + len, 0, UDP_CONTROL_CUT);
	memcpy(control + len, &head, sizeof(head));
	memcpy(control + len + CMSG_LEN(0), &piece, sizeof(piece));
	h->msg_control = control;
	h->msg_controllen = len + UDP_CONTROL_CUT;
}

static unsigned send_messages(struct udp_out *o, struct mmsghdr *m, unsigned count, int fd);

/* The answers of one message that the system would not cut. */
static unsigned send_apart(struct udp_out *o, const struct msghdr *joined, int fd)
{
	struct mmsghdr single[UDP_BATCH];
	unsigned count = (unsigned)joined->msg_iovlen;
	for (unsigned i = 0; i < count; i++) {
		struct msghdr *h = &single[i].msg_hdr;
		*h = *joined;
		h->msg_iov = &joined->msg_iov[i];
		h->msg_iovlen = 1;
		h->msg_controllen -= UDP_CONTROL_CUT;
	}
	o->apart = BATCHES_APART;
	return send_messages(o, single, count, fd);
}

/* Returns how many answers were not sent. */
static unsigned send_messages(struct udp_out *o, struct mmsghdr *m, unsigned count, int fd)
{
	unsigned lost = 0, sent = 0;
	while (sent < count) {
		int n = sendmmsg(fd, m + sent, count - sent, MSG_DONTWAIT);
		if (n > 0) {
			sent += (unsigned)n;
		} else if (errno == EAGAIN && !o->waited) {
			struct pollfd p = { .fd = fd, .events = POLLOUT };
			o->waited = true;
			poll(&p, 1, SEND_WAIT_MS);
		} else if (errno == EAGAIN) {
			for (; sent < count; sent++)
				lost += (unsigned)m[sent].msg_hdr.msg_iovlen;
		} else if (errno != EINTR) {
			const struct msghdr *refused = &m[sent++].msg_hdr;
			lost += refused->msg_iovlen > 1 ? send_apart(o, refused, fd) : 1;
		}
	}
	return lost;
}

unsigned udp_out_send(struct udp_out *o, int fd)
{
	o->waited = false;
	if (o->apart > 0)
		o->apart--;
	for (unsigned i = 0; i < o->message_count; i++)
		if (o->messages[i].msg_hdr.msg_iovlen > 1)
			cut(&o->messages[i].msg_hdr, o->control[i]);
	unsigned lost = send_messages(o, o->messages, o->message_count, fd);
	o->message_count = o->answer_count = 0;
	return lost;
}
