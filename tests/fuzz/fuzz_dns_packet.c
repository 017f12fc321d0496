/* fuzz_dns_packet.c - arbitrary messages through the whole way of a query: question, cookie, rate limit, real zones over
 * some services, reply. Each goes as a datagram, answered in the buffer it came in, some of them again until their network
 * has had its share, and as a stream's message. A server cookie whose hash is CHOSEN is made a good one; one whose hash is AGED is
 * signed by either secret, as old as its time says. Every answer must
 * be whole, keep to its size, echo the question and carry an OPT only if one was asked for; every one in a replay, and
 * one in eight while fuzzing, must decode by ldns. Who asks is chosen by the first octet of the message's id, how often by the second. */
#include "base/cursor.h"
#include "dnsd/respond.h"
#include "tests/support/view_maker.h"
#include <arpa/inet.h>
#include <ldns/ldns.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

enum { UDP_MAX = 2048, BUFFER = 4096, CLIENTS = 4, STEP_MS = 100000 /* and every load is forgotten */ };

#define CHOSEN "hhhhhhhh"
#define AGED "aaaaaaaa"

struct target {
	uv_loop_t loop;
	struct rcu_reaper *reaper;
	struct zone_set *zones;
	struct zone_slot slot;
	struct dns_counters counters;
	struct responder responder;
	struct exchange exchange;
	struct cookie_slot cookies;
	struct cookie_secrets *signers[COOKIE_SECRETS]; /* who has each secret alone */
	struct rate_limiter rates;
	struct client clients[CLIENTS];
	int64_t now_ms;
	uint8_t msg[DNS_MESSAGE_MAX], out[DNS_MESSAGE_MAX];
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

/* A private one, two that are limited, and one without an address. */
static void clients_make(struct target *t)
{
	struct sockaddr_in v4 = { .sin_family = AF_INET };
	struct sockaddr_in6 v6 = { .sin6_family = AF_INET6 };
	struct sockaddr none = { .sa_family = AF_UNIX };
	inet_pton(AF_INET, "10.1.2.3", &v4.sin_addr);
	client_init(&t->clients[0], (const struct sockaddr *)(const void *)&v4);
	inet_pton(AF_INET, "198.51.100.7", &v4.sin_addr);
	client_init(&t->clients[1], (const struct sockaddr *)(const void *)&v4);
	inet_pton(AF_INET6, "2001:db8::7", &v6.sin6_addr);
	client_init(&t->clients[2], (const struct sockaddr *)(const void *)&v6);
	client_init(&t->clients[3], &none);
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
	dns_counters_declare(&t->counters);
	dns_counters_zones(&t->counters, t->zones);
	static const uint8_t secrets[COOKIE_SECRETS][COOKIE_SECRET_LEN] = { "sixteen octets..", "those of before." };
	atomic_init(&t->cookies.now, cookie_secrets_new(secrets, COOKIE_SECRETS));
	for (unsigned i = 0; i < COOKIE_SECRETS; i++)
		t->signers[i] = cookie_secrets_new(&secrets[i], 1);
	t->rates.table = rate_table_new((const uint8_t *)"sixteen octets..");
	atomic_init(&t->rates.now, rate_policy_new(&(struct rate_conf){ .per_second = 1, .slip = 2, .errors = 3 }));
	atomic_init(&t->slot.now, t->zones);
	responder_init(&t->responder, &t->slot, &t->counters,
		       &(struct responder_conf){ .udp_size = 1232, .keepalive_ms = 10000, .cookies = &t->cookies, .rates = &t->rates });
	clients_make(t);
	rng_seed(&t->responder.rng, 1); /* repeatable */
	return t;
}

static unsigned get16(const uint8_t *p)
{
	return (unsigned)p[0] << 8 | p[1];
}

/* Past one name: a pointer leads back, behind the header. */
static bool skip_name(struct cursor *c, const uint8_t *msg)
{
	for (;;) {
		const uint8_t *label = c->at;
		unsigned n = cursor_u8(c);
		if (c->failed || n == 0)
			return !c->failed;
		if (n < 64 && cursor_take(c, n) == NULL)
			return false;
		if (n >= 64) {
			size_t to = (n & 63) << 8 | cursor_u8(c);
			return n >= 192 && !c->failed && to >= 12 && to < (size_t)(label - msg);
		}
	}
}

/* All that the header counts, and no more. @opts: of them. */
static bool is_whole(const uint8_t *msg, size_t len, unsigned *opts)
{
	struct cursor c = cursor_of(msg + 12, len - 12);
	unsigned records = get16(msg + 6) + get16(msg + 8) + get16(msg + 10);
	*opts = 0;
	if (get16(msg + 4) == 1 && (!skip_name(&c, msg) || cursor_take(&c, 4) == NULL))
		return false;
	for (; records > 0; records--) {
		if (!skip_name(&c, msg))
			return false;
		*opts += cursor_u16(&c) == LDNS_RR_TYPE_OPT;
		cursor_take(&c, 6); /* class, TTL */
		if (cursor_take(&c, cursor_u16(&c)) == NULL)
			return false;
	}
	return cursor_left(&c) == 0 && !c.failed;
}

static bool ldns_is_due(const uint8_t *msg)
{
#ifdef FUZZ_REPLAYS
	(void)msg;
	return true;
#else
	return (msg[1] & 0x70) == 0;
#endif
}

/* @x: what was read of the query @msg. */
static void check(const struct exchange *x, const uint8_t *msg, const uint8_t *out, size_t len, size_t limit)
{
	trap_if(len < 12 || len > limit, "an answer of a wrong size");
	trap_if(out[0] != msg[0] || out[1] != msg[1], "another id");
	trap_if((out[2] & 0xf9) != (0x80 | (msg[2] & 0x79)) || (out[3] & 0xf0) != 0, "wrong header bits");
	unsigned question = x->question.question_len, opts;
	trap_if(get16(out + 4) != (question > 0), "wrong QDCOUNT");
	trap_if(memcmp(out + 12, msg + 12, question) != 0, "the question was changed");
	trap_if((out[2] & 2) != 0 && (get16(out + 6) != 0 || get16(out + 8) != 0), "records in a truncated answer");
	trap_if(!is_whole(out, len, &opts), "an answer that is not whole");
	trap_if(opts != x->question.edns.present, "an OPT without being asked, or none");
	if (!ldns_is_due(msg))
		return;
	ldns_pkt *packet = NULL;
	trap_if(ldns_wire2pkt(&packet, out, len) != LDNS_STATUS_OK, "ldns cannot read the answer");
	ldns_pkt_free(packet);
}

static struct target *the_target(void)
{
	static struct target *target;
	if (target == NULL)
		target = target_new();
	return target;
}

/* Signs the cookie of @from that says CHOSEN or AGED. How old it is then, in seconds; INT64_MIN: it says neither, or too much else
 * in the message is like it. */
static int64_t cookie_sign(struct target *t, size_t size, const struct client *from)
{
	struct question q;
	uint8_t cookie[COOKIE_MAX];
	if (question_decode(&q, t->msg, size, true) == QUESTION_DROP || q.edns.cookie_len != COOKIE_LEN)
		return INT64_MIN;
	memcpy(cookie, q.cookie, COOKIE_LEN);
	bool aged = memcmp(cookie + COOKIE_LEN - 8, AGED, 8) == 0;
	if (!aged && memcmp(cookie + COOKIE_LEN - 8, CHOSEN, 8) != 0)
		return INT64_MIN;
	int32_t age_sec = aged ? (int32_t)(get16(cookie + 12) << 16 | get16(cookie + 14)) : 0;
	unsigned signer = aged ? cookie[9] % COOKIE_SECRETS : 0;
	cookie_check(cookie, COOKIE_CLIENT_LEN, from, (uint32_t)(t->now_ms / 1000) - (uint32_t)age_sec, t->signers[signer]);
	for (uint8_t *at = t->msg; (at = memmem(at, (size_t)(t->msg + size - at), q.cookie, COOKIE_LEN)) != NULL; at += COOKIE_LEN)
		memcpy(at, cookie, COOKIE_LEN);
	bool alone = question_decode(&q, t->msg, size, true) != QUESTION_DROP && q.edns.cookie_len == COOKIE_LEN &&
		     memcmp(q.cookie, cookie, COOKIE_LEN) == 0;
	return alone ? age_sec : INT64_MIN;
}

/* As udp.c does it: in place. */
static size_t ask_by_datagram(struct target *t, size_t size)
{
	struct exchange *x = &t->exchange;
	memcpy(t->out, t->msg, size);
	size_t len = respond_message(&t->responder, x, t->out, size, TRANSPORT_UDP, t->out, BUFFER);
	if (len > 0)
		check(x, t->msg, t->out, len, x->question.edns.present ? 1232 : 512);
	return len;
}

static void ask_again(struct target *t, size_t size, unsigned times, bool good)
{
	for (bool limited = false; times > 0; times--) {
		size_t len = ask_by_datagram(t, size);
		enum question_fate fate = t->exchange.fate;
		trap_if(good && (fate == QUESTION_LIMITED || fate == QUESTION_SILENCE), "a good cookie is limited");
		trap_if(fate == QUESTION_SILENCE && len > 0, "no silence");
		limited |= fate == QUESTION_LIMITED || fate == QUESTION_SILENCE;
		trap_if(limited && fate == QUESTION_LIMITED && get16(t->out + 6) != 0, "records for who is over his limit");
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	struct target *t = the_target();
	struct exchange *x = &t->exchange;
	bool answered = size >= 12 && (bytes[2] & 0x80) == 0;
	if (size > DNS_MESSAGE_MAX)
		return 0;
	memcpy(t->msg, bytes, size);
	t->now_ms += STEP_MS;
	t->responder.rate = (struct rate_state){ 0 };
	x->client = t->clients[answered ? bytes[0] % CLIENTS : 0];
	x->question.query.client = size;
	x->question.query.now_ms = t->now_ms;
	respond_begin(&t->responder);
	int64_t age_sec = cookie_sign(t, size, &x->client);
	bool good = age_sec >= -300 && age_sec <= 3600; /* RFC 9018, 4.3 */
	if (size <= UDP_MAX) {
		trap_if((ask_by_datagram(t, size) > 0) != answered, "silence");
		trap_if(good != (x->cookie == COOKIE_GOOD) && answered, "a good cookie that is none, or a forged one");
		ask_again(t, size, answered ? bytes[1] & 7 : 0, good);
	}
	size_t len = respond_message(&t->responder, x, t->msg, size, size % 2 == 0 ? TRANSPORT_TCP : TRANSPORT_TLS, t->out, DNS_MESSAGE_MAX);
	bool transfer = answered && x->fate == QUESTION_TRANSFER;
	trap_if((len > 0) != (answered && !transfer), "silence on a stream");
	if (len > 0)
		check(x, t->msg, t->out, len, DNS_MESSAGE_MAX);
	trap_if(len > 0 && (t->out[2] & 2) != 0, "truncated on a stream");
	respond_end(&t->responder);
	tally_flush(&t->responder.tally);
	return 0;
}
