/* udp_out.h - the answers of one batch on their way out. Those that follow each other to one client from one address,
 * all of a size but the last, which may be shorter, are one message that the system cuts (UDP_SEGMENT, udp(7)): they
 * take its way through the network stack together. On the wire nothing is different. Of one thread. */
#ifndef DNSD_UDP_OUT_H
#define DNSD_UDP_OUT_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

enum {
	UDP_BATCH = 32,
	UDP_CONTROL_MAX = 64,
	UDP_CONTROL_CUT = CMSG_SPACE(sizeof(uint16_t)), /* the size of a piece */
};

union udp_peer {
	struct sockaddr any;
	struct sockaddr_in in4;
	struct sockaddr_in6 in6;
};

struct udp_out { /* all zero: empty */
	struct mmsghdr messages[UDP_BATCH];
	unsigned message_count;
	struct iovec answers[UDP_BATCH];
	unsigned answer_count;
	bool waited;	/* for room, in this batch */
	unsigned apart; /* so many batches go one by one: the system has refused to cut */
	_Alignas(struct cmsghdr) uint8_t control[UDP_BATCH][UDP_CONTROL_MAX + UDP_CONTROL_CUT];
};

/* Does the system know how to cut what @fd sends? (Linux 4.18) */
bool udp_can_cut(int fd);
bool udp_same_host(const union udp_peer *a, const union udp_peer *b); /* of one family */
/* One more answer, of at most UDP_BATCH: to msg_name (a udp_peer) of @to, with its control message when msg_controllen is
 * not 0. @bytes and what @to points to stay where they are until it is sent. @join: it may go with the one before. */
void udp_out_add(struct udp_out *o, const struct msghdr *to, uint8_t *bytes, size_t len, bool join);
/* All that the system takes; empty afterwards. A full socket is waited for a moment once, an answer that is refused for
 * itself (no route, a firewall) is skipped. Returns how many were not sent. */
unsigned udp_out_send(struct udp_out *o, int fd);

#endif
