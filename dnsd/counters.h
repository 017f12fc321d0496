/* counters.h - what the DNS front end counts. The cells are declared before a worker can count in them, and then only
 * read; each worker tallies a batch into its own array and adds the sums once. */
#ifndef DNSD_COUNTERS_H
#define DNSD_COUNTERS_H

#include "dnsd/question.h"
#include "zones/zone_set.h"

enum transport { TRANSPORT_UDP, TRANSPORT_TCP, TRANSPORT_TLS, TRANSPORTS };
enum drop_reason {
	DROP_MALFORMED, /* no header, or an answer */
	DROP_OVERSIZE,	/* a datagram that no query has the length of */
	DROP_PORT,	/* source port 0 */
	DROP_LOOP,	/* from our own address and port */
	DROP_SEND,	/* the system did not take the answer */
	DROP_REASONS,
};
enum limit_action {
	LIMIT_TRUNCATED, /* a short answer: come by TCP */
	LIMIT_BADCOOKIE, /* come with this cookie */
	LIMIT_DROPPED,
	LIMIT_ERROR, /* an error answer that is one too many */
	LIMIT_ACTIONS,
};
enum close_reason { CLOSE_PEER, CLOSE_IDLE, CLOSE_SLOW, CLOSE_LENGTH, CLOSE_LIMIT, CLOSE_ERROR, CLOSE_REASONS };
enum {
	COUNTED_ZONES = 16, /* by name; the others share one more row */
	COUNTED_TYPES = 7,
	ZONE_RCODES = 4,
	ERROR_RCODES = 9,
	ZONE_CELLS = COUNTED_TYPES * ZONE_RCODES,
	QUERY_CELLS = ERROR_RCODES + (COUNTED_ZONES + 1) * ZONE_CELLS, /* per transport */
	COUNTED_NAME_MAX = 320,
};

struct dns_counters {
	unsigned queries[TRANSPORTS][QUERY_CELLS];
	char zones[COUNTED_ZONES + 1][COUNTED_NAME_MAX]; /* of each row; declared in this order */
	unsigned zone_count;
	unsigned truncated[TRANSPORTS], records[TRANSPORTS], received[TRANSPORTS], sent[TRANSPORTS];
	unsigned picks[DNS_PICKS], faults[FAULTS]; /* those without a meaning are not declared */
	unsigned connections;
	unsigned cookies[COOKIE_STATES]; /* without COOKIE_NONE */
	unsigned dropped[DROP_REASONS];
	unsigned limited[LIMIT_ACTIONS];
	unsigned opened, closed[CLOSE_REASONS];
};

void dns_counters_declare(struct dns_counters *ret); /* all but zones */
/* Gives zones their rows, by name: one that had its row before has it again. Before anybody is answered from @zones; the
 * control thread. */
void dns_counters_zones(struct dns_counters *c, struct zone_set *zones);

/* One worker's counts since the last flush. */
struct tally {
	const struct dns_counters *cells;
	uint32_t queries[TRANSPORTS][QUERY_CELLS];
	uint16_t touched[TRANSPORTS * QUERY_CELLS]; /* indices into @queries that are not 0 */
	unsigned touched_count;
	uint32_t truncated[TRANSPORTS], records[TRANSPORTS], picks[DNS_PICKS], faults[FAULTS], dropped[DROP_REASONS];
	uint32_t cookies[COOKIE_STATES], limited[LIMIT_ACTIONS];
	uint64_t received[TRANSPORTS], sent[TRANSPORTS]; /* bytes of messages */
	bool faulted, limits; /* @faults, @limited are not all 0 */
};

void tally_init(struct tally *t, const struct dns_counters *cells);
/* @zone: of zone_set_answer, -1: none had a part in it. */
void tally_query(struct tally *t, enum transport transport, int zone, uint16_t qtype, uint16_t rcode);
static inline void tally_fault(struct tally *t, enum question_fault fault)
{
	t->faults[fault]++;
	t->faulted = true;
}
static inline void tally_limit(struct tally *t, enum limit_action action)
{
	t->limited[action]++;
	t->limits = true;
}
void tally_flush(struct tally *t); /* adds to the metrics of this thread, and starts anew */

#endif
