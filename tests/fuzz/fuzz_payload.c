/* fuzz_payload.c - arbitrary bytes to the reader of gRPC envelopes: what it hands out lies within the message. */
#include "api/payload.h"
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static void check(struct slice s, const uint8_t *bytes, size_t size)
{
	if (s.len == 0 || s.at == NULL)
		return;
	const uint8_t *at = (const uint8_t *)s.at;
	if (at < bytes || s.len > size || at > bytes + size - s.len)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	struct payload p;
	struct error err;
	if (payload_decode(&p, bytes, size, &err) < 0)
		return 0;
	if (p.type.at == NULL || p.type.len > PAYLOAD_TYPE_MAX)
		abort();
	check(p.type, bytes, size);
	check(p.client_ip, bytes, size);
	check(p.app, bytes, size);
	check(p.body, bytes, size);
	return 0;
}
