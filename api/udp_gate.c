/* udp_gate.c - see udp_gate.h. */
#include "api/udp_gate.h"

#include <stdbool.h>
#include <string.h>

enum {
	DATAGRAM_MAX = 65507, /* of UDP over IPv4 */
	GO_MAX = 4024,	      /* what the Go client reads: a longer one is cut there, and cannot be unpacked */
};

/* The least versions are those of the original's switches. */
static const struct udp_gate gates[] = {
	{ "Nacos-Java-Client", { 0, 1, 0 }, DATAGRAM_MAX, false }, /* Node calls itself so too */
	{ "Nacos-DNS", { 0, 4, 3 }, DATAGRAM_MAX, false },
	{ "Nacos-C-Client", { 1, 0, 12 }, DATAGRAM_MAX, false },
	{ "vip-client4cpp", { 1, 0, 12 }, DATAGRAM_MAX, false },
	{ "Nacos-Go-Client", { 0, 1, 0 }, GO_MAX, true },
	{ "Nacos-CSharp-Client", { 0, 9, 0 }, DATAGRAM_MAX, false },
};

/* "1.4.6", "1.4.6-SNAPSHOT": is it @least or later? Parts that are missing are 0. */
static bool version_reaches(const char *at, const char *end, const unsigned least[3])
{
	if (at == end || *at < '0' || *at > '9')
		return false;
	for (unsigned part = 0; part < 3; part++) {
		unsigned n = 0;
		for (; at < end && *at >= '0' && *at <= '9'; at++)
			n = n < 100000 ? n * 10 + (unsigned)(*at - '0') : n;
		if (n != least[part])
			return n > least[part];
		if (at < end && *at == '.')
			at++;
		else
			end = at; /* what follows is no part of it */
	}
	return true;
}

/* The first ":v" and what is behind it; NULL: there is none. */
static const char *version_in(const char *agent, size_t len)
{
	const char *found = len > 2 ? memmem(agent, len, ":v", 2) : NULL;
	return found != NULL ? found + 2 : NULL;
}

const struct udp_gate *udp_gate(const char *agent, size_t len)
{
	for (size_t i = 0; i < sizeof(gates) / sizeof(gates[0]); i++) {
		const struct udp_gate *g = &gates[i];
		size_t n = strlen(g->prefix);
		if (len < n || memcmp(agent, g->prefix, n) != 0)
			continue;
		const char *version = version_in(agent, len);
		return version != NULL && version_reaches(version, agent + len, g->least) ? g : NULL;
	}
	return NULL;
}
