/* question.h - one received DNS message, read and judged: rows 1 to 10 of the RCODE table (dns.md 2.5) and the
 * EDNS rules of 3.2. It reads only what lies inside the message, follows no compression pointer, and touches no
 * heap. Any thread. It knows neither zones nor sockets. */
#ifndef DNSD_QUESTION_H
#define DNSD_QUESTION_H

#include "dnsd/cookie.h"
#include "zones/query.h"

enum {
	QCLASS_IN = 1, QCLASS_CH = 3, QCLASS_ANY = 255,
	OPCODE_QUERY = 0, OPCODE_NOTIFY = 4, OPCODE_UPDATE = 5, OPCODE_DSO = 6,
	HEADER_QR = 0x8000, HEADER_OPCODE = 0x7800, HEADER_AA = 0x0400, HEADER_TC = 0x0200, HEADER_RD = 0x0100,
	HEADER_RA = 0x0080, HEADER_AD = 0x0020,
	EDNS_DO = 0x8000,
	OPTION_NSID = 3, OPTION_ECS = 8, OPTION_EXPIRE = 9, OPTION_COOKIE = 10, OPTION_KEEPALIVE = 11, OPTION_PADDING = 12, OPTION_EDE = 15,
	OPTION_ZONEVERSION = 19,
};

enum question_fault { /* why QUESTION_REPLY: for the counters */
	FAULT_NONE, /* it is none: a cookie alone */
	FAULT_MALFORMED,
	FAULT_OPCODE,
	FAULT_VERSION, /* of EDNS */
	FAULT_OPTION,
	FAULT_TSIG,
	FAULT_UPDATE,
	FAULT_NOTIFY,
	FAULT_CLASS,
	FAULT_TYPE,
	FAULT_TRANSFER,
	FAULT_ZONE, /* not decided here: no zone of ours */
	FAULTS
};

enum question_fate {
	QUESTION_DROP,	/* no answer at all: too short, or an answer itself */
	QUESTION_REPLY, /* answered without zones: @rcode, perhaps @ede, no records */
	QUESTION_ASK,	/* @query is whole: the zones answer */
	QUESTION_TRANSFER, /* @query is whole: AXFR or IXFR on a stream */
	QUESTION_FORWARD, /* not decided here: @query is whole, of no zone of ours, and the upstreams may be asked */
	QUESTION_CHAOS, /* @query is whole: of class CHAOS, about the server itself */
	QUESTION_LIMITED, /* not decided here: its network is answered no more for now, but told how to go on */
	QUESTION_SILENCE, /* not decided here: nor told */
};

struct edns {
	bool present; /* the answer carries an OPT if and only if the query did */
	bool dnssec_ok;
	bool padding;	/* was asked for, and the transport hides sizes */
	bool keepalive; /* tcp-keepalive was asked for */
	bool cookie; /* the answer carries question.cookie */
	uint8_t cookie_len; /* of the first one, as the client wrote it; 0: none */
	bool nsid; /* the server's name was asked for */
	bool expire, zone_version; /* so were these of the zone */
	uint16_t udp_size; /* as the client wrote it */
};

struct question {
	struct dns_query query;
	uint16_t id, flags;	   /* of the header, host order */
	uint16_t question_len;	   /* octets of the question section to copy behind the header; 0: none is echoed */
	uint16_t rcode;		   /* enum rcode, of QUESTION_REPLY */
	uint32_t soa_serial;	   /* of QUESTION_TRANSFER by IXFR: the client's version */
	uint8_t fault;		   /* enum question_fault, of QUESTION_REPLY */
	int ede;		   /* EDE_NONE or an info code, of QUESTION_REPLY */
	struct edns edns;
	uint8_t cookie[COOKIE_MAX]; /* edns.cookie_len octets; what cookie_check() left when it was asked */
};

/* Reads @len bytes at @msg, which must stay in place as long as @ret->query.qname is used. @ret needs no
 * initialisation; after QUESTION_DROP nothing in it has a meaning. query.client and query.now_ms are left for
 * the caller to set before or after. */
enum question_fate question_decode(struct question *ret, const uint8_t *msg, size_t len, bool stream);

#endif
