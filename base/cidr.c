/* cidr.c - see cidr.h. */
#include "base/cidr.h"
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

static void mask(struct cidr *c)
{
	for (unsigned i = 0; i < sizeof(c->addr); i++) {
		unsigned before = i * 8;
		if (before >= c->bits)
			c->addr[i] = 0;
		else if (c->bits - before < 8)
			c->addr[i] &= (uint8_t)(0xFF << (8 - (c->bits - before)));
	}
}

/* ::ffff:10.0.0.0/104 means 10.0.0.0/8: peers are matched as what they are, too. */
static void unwrap(struct cidr *c)
{
	static const uint8_t mapped[12] = { [10] = 0xFF, [11] = 0xFF };
	if (c->family != AF_INET6 || c->bits < 96 || memcmp(c->addr, mapped, sizeof(mapped)) != 0)
		return;
	memmove(c->addr, c->addr + 12, 4);
	memset(c->addr + 4, 0, sizeof(c->addr) - 4);
	c->family = AF_INET;
	c->bits = (uint8_t)(c->bits - 96);
}

int cidr_parse(struct cidr *ret, const char *text, struct error *err)
{
	struct cidr c = { .family = AF_UNSPEC };
	char address[INET6_ADDRSTRLEN];
	const char *slash = strchr(text, '/');
	size_t len = slash == NULL ? strlen(text) : (size_t)(slash - text);
	if (len < sizeof(address)) {
		memcpy(address, text, len);
		address[len] = '\0';
		if (inet_pton(AF_INET, address, c.addr) == 1)
			c.family = AF_INET;
		else if (inet_pton(AF_INET6, address, c.addr) == 1)
			c.family = AF_INET6;
	}
	if (c.family == AF_UNSPEC)
		return error_set(err, E_INVALID, "\"%.60s\" is no address range such as 10.0.0.0/8", text);
	unsigned most = c.family == AF_INET ? 32 : 128, bits = most;
	if (slash != NULL) {
		size_t digits = strspn(slash + 1, "0123456789");
		if (digits == 0 || digits > 3 || slash[1 + digits] != '\0')
			return error_set(err, E_INVALID, "\"%.60s\" has no prefix length behind the slash",
					 text);
		bits = (unsigned)atoi(slash + 1);
	}
	if (bits > most)
		return error_set(err, E_RANGE, "\"%.60s\": prefix length %u is outside 0..%u", text, bits,
				 most);
	c.bits = (uint8_t)bits;
	mask(&c);
	unwrap(&c);
	*ret = c;
	return E_OK;
}

/* The address of @peer and its family, mapped ones unwrapped. */
static const uint8_t *peer_address(const struct sockaddr *peer, sa_family_t *family)
{
	*family = peer->sa_family;
	if (peer->sa_family == AF_INET)
		return (const uint8_t *)&((const struct sockaddr_in *)(const void *)peer)->sin_addr;
	if (peer->sa_family != AF_INET6)
		return NULL;
	const struct in6_addr *a = &((const struct sockaddr_in6 *)(const void *)peer)->sin6_addr;
	if (!IN6_IS_ADDR_V4MAPPED(a))
		return a->s6_addr;
	*family = AF_INET;
	return a->s6_addr + 12;
}

bool cidr_match(const struct cidr *c, const struct sockaddr *peer)
{
	sa_family_t family;
	const uint8_t *at = peer_address(peer, &family);
	return at != NULL && cidr_match_address(c, family, at);
}

bool cidr_match_address(const struct cidr *c, sa_family_t family, const uint8_t *at)
{
	if (family != c->family)
		return false;
	unsigned whole = c->bits / 8, rest = c->bits % 8;
	if (memcmp(at, c->addr, whole) != 0)
		return false;
	return rest == 0 || ((at[whole] ^ c->addr[whole]) >> (8 - rest)) == 0;
}

bool cidr_match_any(const struct cidr *list, size_t count, const struct sockaddr *peer)
{
	for (size_t i = 0; i < count; i++)
		if (cidr_match(&list[i], peer))
			return true;
	return false;
}
