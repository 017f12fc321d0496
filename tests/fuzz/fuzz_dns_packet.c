/* fuzz_dns_packet.c - arbitrary messages through the whole way of a query: question, real zones over some services,
 * reply. Each goes as a datagram, answered in the buffer it came in, and as a stream's message. Every answer must
 * decode by ldns, keep to its size, echo the question and carry an OPT only if one was asked for. */
#include "dnsd/respond.h"
#include "tests/support/view_maker.h"
#include <ldns/ldns.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

enum { UDP_MAX = 2048, BUFFER = 4096 };

struct target {
	uv_loop_t loop;
	struct rcu_reaper *reaper;
	struct zone_set *zones;
	struct dns_counters counters;
	struct responder responder;
	struct exchange exchange;
	struct cookie_slot cookies;
	uint8_t out[DNS_MESSAGE_MAX];
};

static void trap_if(bool wrong, const char *what)
{
	if (!wrong)
		return;
	fprintf(stderr, "fuzz_dns_packet: %s\n", what);
	abort();
}

/* @count instances of service @name, some of IPv6, some unhealthy, with metadata. */
static void publish(struct zone_set *zones, uint64_t id, const char *name, unsigned count)
{
	static const struct pair metadata[] = { { "version", "v1", 7, 2 }, { "dns.port-name", "http", 13, 4 } };
	struct registry_watcher w = zone_set_watcher(zones);
	struct view_row *rows = calloc(count + 1, sizeof(*rows));
	char(*ips)[48] = calloc(count + 1, sizeof(*ips));
	trap_if(rows == NULL || ips == NULL, "no memory");
	for (unsigned i = 0; i < count; i++) {
		if (i % 5 == 4)
			snprintf(ips[i], sizeof(ips[i]), "2001:db8::%x", i);
		else
			snprintf(ips[i], sizeof(ips[i]), "10.%u.%u.%u", (unsigned)id, i >> 8, i & 255);
		rows[i] = (struct view_row){ ips[i], (uint16_t)(8000 + i % 3), 1 + i % 4, i % 7 != 6, i % 11 != 10,
					     metadata, i % 3 };
	}
	w.on_view(w.arg, NULL, view_make(id, name, rows, count));
	free(rows);
	free(ips);
}

static struct target *target_new(void)
{
	static const char *const keys[] = { "version", "cluster" };
	static const struct zone_conf zones[] = { { .name = "test", .layout = LAYOUT_FULL },
						  { .name = "b.test", .layout = LAYOUT_BOUND } };
	const struct zone_set_conf conf = { .zones = zones, .zone_count = 2, .ttl = 5, .ttl_host = 60,
					    .ttl_negative = 5, .ttl_apex = 3600, .ttl_version = 28800,
					    .mode = SELECT_AUTO, .cap = 16, .subset_rotate_ms = 30000, .raw_alias = true,
					    .loopback_addresses = true, .metadata_keys = keys, .metadata_key_count = 2 };
	struct target *t = calloc(1, sizeof(*t));
	struct error err;
	trap_if(t == NULL || uv_loop_init(&t->loop) != 0, "no loop");
	trap_if(rcu_reaper_start(&t->reaper, &t->loop, NULL) < 0, "no reaper");
	rcu_thread_start();
	if (zone_set_new(&t->zones, &conf, t->reaper, &err) < 0)
		trap_if(true, err.text);
	publish(t->zones, 1, "empty", 0);
	publish(t->zones, 2, "one", 1);
	publish(t->zones, 3, "few", 9);
	publish(t->zones, 4, "many", 300);
	publish(t->zones, 5, "Odd Name_.x", 3);
	struct registry_watcher w = zone_set_watcher(t->zones);
	if (w.on_turn != NULL)
		w.on_turn(w.arg, 6);
	zone_set_ready(t->zones);
	dns_counters_declare(&t->counters, t->zones);
	static const uint8_t secret[1][COOKIE_SECRET_LEN] = { "sixteen octets.." };
	atomic_init(&t->cookies.now, cookie_secrets_new(secret, 1));
	responder_init(&t->responder, t->zones, &t->counters, &(struct responder_conf){ .udp_size = 1232, .keepalive_ms = 10000, .cookies = &t->cookies });
	rng_seed(&t->responder.rng, 1); /* repeatable */
	return t;
}

static unsigned get16(const uint8_t *p)
{
	return (unsigned)p[0] << 8 | p[1];
}

/* @x: what was read of the query @msg. */
static void check(const struct exchange *x, const uint8_t *msg, const uint8_t *out, size_t len, size_t limit)
{
	trap_if(len < 12 || len > limit, "an answer of a wrong size");
	trap_if(out[0] != msg[0] || out[1] != msg[1], "another id");
	trap_if((out[2] & 0xf9) != (0x80 | (msg[2] & 0x79)) || (out[3] & 0xf0) != 0, "wrong header bits");
	unsigned question = x->question.question_len;
	trap_if(get16(out + 4) != (question > 0), "wrong QDCOUNT");
	trap_if(memcmp(out + 12, msg + 12, question) != 0, "the question was changed");
	trap_if((out[2] & 2) != 0 && (get16(out + 6) != 0 || get16(out + 8) != 0), "records in a truncated answer");
	ldns_pkt *packet = NULL;
	trap_if(ldns_wire2pkt(&packet, out, len) != LDNS_STATUS_OK, "ldns cannot read the answer");
	trap_if(ldns_pkt_edns(packet) != x->question.edns.present, "an OPT without being asked, or none");
	ldns_pkt_free(packet);
}

static struct target *the_target(void)
{
	static struct target *target;
	if (target == NULL)
		target = target_new();
	return target;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	struct target *t = the_target();
	struct dns_query *q = &t->exchange.question.query;
	bool answered = size >= 12 && (bytes[2] & 0x80) == 0;
	q->client = size;
	q->now_ms = 1000;
	rcu_begin();
	if (size <= UDP_MAX) { /* in place, as udp.c does it */
		memcpy(t->out, bytes, size);
		size_t len = respond_message(&t->responder, &t->exchange, t->out, size, TRANSPORT_UDP, t->out, BUFFER);
		trap_if((len > 0) != answered, "silence");
		bool edns = t->exchange.question.edns.present;
		if (len > 0)
			check(&t->exchange, bytes, t->out, len, edns ? 1232 : 512);
	}
	if (size <= DNS_MESSAGE_MAX) {
		size_t len = respond_message(&t->responder, &t->exchange, bytes, size, size % 2 == 0 ? TRANSPORT_TCP : TRANSPORT_TLS, t->out, DNS_MESSAGE_MAX);
		bool transfer = answered && t->exchange.fate == QUESTION_TRANSFER;
		trap_if((len > 0) != (answered && !transfer), "silence on a stream");
		if (len > 0)
			check(&t->exchange, bytes, t->out, len, DNS_MESSAGE_MAX);
		trap_if(len > 0 && (t->out[2] & 2) != 0, "truncated on a stream");
	}
	rcu_end();
	tally_flush(&t->responder.tally);
	return 0;
}
