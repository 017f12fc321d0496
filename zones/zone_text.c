/* zone_text.c - a record as a line of a zone file. Names are absolute; data are written by ldns. Any thread. */
#include "zones/zone_stream.h"
#include <ldns/ldns.h>
#include <stdlib.h>
#include <string.h>

size_t zone_record_format(char *to, size_t cap, const struct zone_record *r)
{
	uint8_t wire[255 + 10 + UINT16_MAX], *at = wire;
	const uint16_t numbers[] = { r->type, 1 /* IN */, (uint16_t)(r->ttl >> 16), (uint16_t)r->ttl, r->rdlength };
	ldns_rr *rr = NULL;
	size_t used = 0, len = 0;
	memcpy(at, r->owner, r->owner_len);
	at += r->owner_len;
	for (unsigned i = 0; i < 5; i++) {
		*at++ = (uint8_t)(numbers[i] >> 8);
		*at++ = (uint8_t)numbers[i];
	}
	memcpy(at, r->rdata, r->rdlength);
	at += r->rdlength;
	if (ldns_wire2rr(&rr, wire, (size_t)(at - wire), &used, LDNS_SECTION_ANSWER) != LDNS_STATUS_OK)
		return 0;
	char *text = ldns_rr2str(rr); /* ends in a line feed */
	ldns_rr_free(rr);
	if (text != NULL && (len = strlen(text)) <= cap)
		memcpy(to, text, len);
	else
		len = 0;
	free(text);
	return len;
}
