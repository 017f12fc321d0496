/* query.h - one DNS question on its way through the zones, and the answer being written. Made and owned by
 * the DNS worker (dnsd/); the zones fill the scratch part. No heap. */
#ifndef ZONES_QUERY_H
#define ZONES_QUERY_H

#include "base/writer.h"
#include "zones/place.h"
#include <stdbool.h>
#include <stdint.h>

enum {
	DNS_HEADER_LEN = 12,
	DNS_NAME_MAX = 255,   /* wire octets */
	DNS_LABELS_MAX = 127, /* without the root */
	DNS_MESSAGE_MAX = 65535,
};
enum rr_type {
	RR_A = 1, RR_NS = 2, RR_CNAME = 5, RR_SOA = 6, RR_PTR = 12, RR_MX = 15, RR_TXT = 16, RR_AAAA = 28, RR_SRV = 33, RR_DNAME = 39,
	RR_OPT = 41, RR_DS = 43, RR_RRSIG = 46, RR_NSEC = 47, RR_SVCB = 64, RR_HTTPS = 65, RR_NXNAME = 128, RR_TKEY = 249,
	RR_TSIG = 250, RR_IXFR = 251, RR_AXFR = 252, RR_MAILB = 253, RR_MAILA = 254, RR_ANY = 255,
};
enum rcode {
	RCODE_NOERROR = 0, RCODE_FORMERR = 1, RCODE_SERVFAIL = 2, RCODE_NXDOMAIN = 3, RCODE_NOTIMP = 4,
	RCODE_REFUSED = 5, RCODE_YXDOMAIN = 6, RCODE_NOTAUTH = 9, RCODE_BADVERS = 16,
	RCODE_BADCOOKIE = 23,
};
enum { EDE_NONE = -1, EDE_OTHER = 0, EDE_STALE = 3, EDE_NOT_READY = 14, EDE_PROHIBITED = 18, EDE_NOT_AUTHORITATIVE = 20, EDE_NOT_SUPPORTED = 21,
       EDE_NO_REACHABLE_AUTHORITY = 22, EDE_INVALID_QUERY_TYPE = 30 };

struct zone;
struct zone_node;


struct dns_query {
	/* from dnsd, before zones see it */
	const uint8_t *qname;	 /* in the received packet, at offset 12, client's case */
	uint16_t qname_len;	 /* wire octets with the root */
	uint16_t qtype, qclass;
	uint8_t labels;		 /* without the root */
	uint8_t label_at[DNS_LABELS_MAX + 1]; /* offsets in @name of each length octet, left to right */
	uint8_t name[DNS_NAME_MAX + 9]; /* folded (A-Z only) copy of qname, zero-padded for word reads */
	bool stream;		 /* TCP: the larger size limit */
	uint64_t client;	 /* hash of the client's prefix (/24, /56), for the subset bucket */
	const uint8_t *from;	 /* the client's address, for zones that not everybody may ask; NULL: unknown */
	uint8_t from_len;	 /* 4, 16 */
	const struct dns_place *at; /* where it came in, for zones that are not everywhere; NULL: unknown */
	int64_t now_ms;		 /* clock_wall_ms() of the batch, for rotation */

	/* the zones' scratch, between the stages */
	const struct zone *zone; /* longest match; NULL: not ours */
	uint64_t scratch[8];
};

/* How the addresses of an answer were chosen, when there was a choice; for the counters of dnsd. */
enum dns_pick {
	PICK_NONE,
	PICK_FIRST, /* all of them, the first by weight */
	PICK_ONE,
	PICK_SHUFFLE,
	PICK_SUBSET,
	DNS_PICKS
};

/* Of the zone that a question was answered from. */
struct zone_version {
	uint8_t labels; /* of its name */
	uint32_t serial, expire_sec; /* of its SOA */
};

struct dns_answer {
	struct writer w;  /* start = the message; header and question are written, @w.at stands behind them;
			   * @w.end leaves out what dnsd reserved for the OPT record */
	uint16_t ancount, nscount, arcount; /* arcount without OPT */
	uint16_t opt_room; /* octets behind @w.end that dnsd reserved */
	uint8_t rcode;	  /* enum rcode below 16 */
	bool aa, tc;
	uint16_t outside; /* where the name stands in the message at which a chain of aliases leaves our zones; 0: it does not */
	bool ra, ad;	  /* dnsd's: for who may ask for other names; validated */
	uint8_t pick;	  /* enum dns_pick: how addresses were chosen */
	int ede;	  /* EDE_NONE or an info code, for dnsd to put into the OPT */
	const struct zone_version *version; /* dnsd's, for the OPT; NULL: it says nothing of the zone */
	const char *ede_text; /* a static sentence with it; NULL: the usual one of that code */
};

#endif
