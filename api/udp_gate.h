/* udp_gate.h - which clients of 1.x are pushed to over UDP, by what they call themselves (nacos-naming 6.2). */
#ifndef API_UDP_GATE_H
#define API_UDP_GATE_H

#include <stddef.h>

/* Bytes of the largest datagram that a client takes which sends @agent (User-Agent or Client-Version); 0: it is not
 * pushed to. */
unsigned udp_gate(const char *agent, size_t len);

#endif
