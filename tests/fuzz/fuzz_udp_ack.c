/* fuzz_udp_ack.c - arbitrary datagrams on the port of UDP push: what they acknowledge is a number that Node can say. */
#include "api/udp_packet.h"
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	if (size <= UDP_ACK_MAX && udp_ack_read((const char *)bytes, size) > 9999999999999999)
		abort();
	return 0;
}
