/* udp_gate.h - which clients of 1.x are pushed to over UDP, by what they call themselves (nacos-naming 6.2). */
#ifndef API_UDP_GATE_H
#define API_UDP_GATE_H

#include <stdbool.h>
#include <stddef.h>

struct udp_gate {
	const char *prefix; /* of User-Agent or Client-Version; ":vN.N.N" follows */
	unsigned least[3];  /* version */
	unsigned datagram_max; /* bytes that it reads */
	bool rests_on_pushes;  /* as long as pushes come it does not poll: they renew its subscription, once acknowledged */
};

/* The one that @agent passes; NULL: it is not pushed to. */
const struct udp_gate *udp_gate(const char *agent, size_t len);

#endif
