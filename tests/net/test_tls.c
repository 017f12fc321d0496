/* test_tls.c - certificates and keys that are right, wrong, or of somebody else; handshakes in every piece; a certificate that
 * is replaced under open sessions; records that are cut off, changed, or have no room. The client is OpenSSL's own, over
 * memory: no sockets and no clock. */
#include "base/mem.h"
#include "net/tls.h"
#include <errno.h>
#include <fcntl.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>

#include <cmocka.h>

enum { WIRE_MAX = 300000, PATH_LEN = 200 };

struct fixture {
	uv_loop_t loop;
	struct rcu_reaper *reaper;
	char dir[64];
	char cert[PATH_LEN], key[PATH_LEN], other_cert[PATH_LEN], other_key[PATH_LEN];
	struct tls_slot slot;
	struct error err;
	struct tls_sink sink; /* of the server */
	uint8_t plain[WIRE_MAX];
};

/* A self-signed certificate for @common and its key. */
static void certificate_make(struct fixture *f, const char *common, char cert[PATH_LEN], char key[PATH_LEN])
{
	EVP_PKEY *pair = EVP_EC_gen("P-256");
	X509 *x = X509_new();
	snprintf(cert, PATH_LEN, "%s/%s.crt", f->dir, common);
	snprintf(key, PATH_LEN, "%s/%s.key", f->dir, common);
	ASN1_INTEGER_set(X509_get_serialNumber(x), 1);
	X509_gmtime_adj(X509_getm_notBefore(x), -3600);
	X509_gmtime_adj(X509_getm_notAfter(x), 86400);
	X509_set_pubkey(x, pair);
	X509_NAME_add_entry_by_txt(X509_get_subject_name(x), "CN", MBSTRING_ASC, (const uint8_t *)common, -1, -1, 0);
	X509_set_issuer_name(x, X509_get_subject_name(x));
	assert_true(X509_sign(x, pair, EVP_sha256()) > 0);
	FILE *out = fopen(cert, "w");
	assert_true(out != NULL && PEM_write_X509(out, x) == 1 && fclose(out) == 0);
	out = fopen(key, "w");
	assert_true(out != NULL && PEM_write_PrivateKey(out, pair, NULL, NULL, 0, NULL, NULL) == 1 && fclose(out) == 0);
	X509_free(x);
	EVP_PKEY_free(pair);
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	*state = f;
	strcpy(f->dir, "/tmp/muster-tls-XXXXXX");
	if (mkdtemp(f->dir) == NULL || uv_loop_init(&f->loop) != 0 || rcu_reaper_start(&f->reaper, &f->loop, NULL) < 0)
		return 1;
	rcu_thread_start();
	certificate_make(f, "first", f->cert, f->key);
	certificate_make(f, "second", f->other_cert, f->other_key);
	f->sink.cap = WIRE_MAX;
	f->sink.at = malloc(f->sink.cap);
	return f->sink.at == NULL;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	char command[100];
	tls_context_free(atomic_load(&f->slot.now));
	rcu_thread_stop();
	rcu_reaper_close(f->reaper, NULL, NULL);
	uv_run(&f->loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&f->loop), 0);
	snprintf(command, sizeof(command), "rm -rf %s", f->dir);
	assert_int_equal(system(command), 0);
	free(f->sink.at);
	free(f);
	return 0;
}

static int load(struct fixture *f, const char *cert, const char *key, struct tls_context **ret)
{
	const struct tls_conf conf = { cert, key, "dot" };
	return tls_context_load(ret, &conf, &f->err);
}

static void serve(struct fixture *f, const char *cert, const char *key)
{
	struct tls_context *fresh;
	assert_int_equal(load(f, cert, key, &fresh), E_OK);
	tls_context_inherit(fresh, atomic_load(&f->slot.now));
	tls_slot_set(&f->slot, fresh, f->reaper);
}

/* ---- one client and its session, whose bytes the test moves */

struct pair {
	SSL_CTX *ctx;
	SSL *client;
	BIO *to_client, *from_client;
	struct tls_session *server;
	size_t got; /* plain octets at the server */
	ssize_t last; /* what the server's last read said */
};

static void pair_open(struct fixture *f, struct pair *p, const char *alpn, SSL_SESSION *resumed)
{
	memset(p, 0, sizeof(*p));
	p->ctx = SSL_CTX_new(TLS_client_method());
	p->client = SSL_new(p->ctx);
	p->to_client = BIO_new(BIO_s_mem());
	p->from_client = BIO_new(BIO_s_mem());
	SSL_set_bio(p->client, p->to_client, p->from_client);
	SSL_set_connect_state(p->client);
	if (alpn != NULL)
		SSL_set_alpn_protos(p->client, (const uint8_t *)alpn, (unsigned)strlen(alpn));
	if (resumed != NULL)
		SSL_set_session(p->client, resumed);
	p->server = tls_session_new(&f->slot);
	assert_non_null(p->server);
}

static void pair_close(struct pair *p)
{
	tls_session_free(p->server);
	SSL_free(p->client);
	SSL_CTX_free(p->ctx);
}

/* @len octets go to the server, which reads all of them; what it says goes to the client. */
static void to_server(struct fixture *f, struct pair *p, const uint8_t *at, size_t len)
{
	uint8_t *exact = malloc(len > 0 ? len : 1); /* so that ASan sees one octet too many */
	memcpy(exact, at, len);
	f->sink.len = 0;
	tls_session_feed(p->server, exact, len);
	while ((p->last = tls_session_read(p->server, f->plain + p->got, WIRE_MAX - p->got, &f->sink)) > 0)
		p->got += (size_t)p->last;
	free(exact);
	if (f->sink.len > 0)
		assert_int_equal(BIO_write(p->to_client, f->sink.at, (int)f->sink.len), (int)f->sink.len);
}

/* What the client has to say, @piece octets at a time; false: it has nothing. */
static bool client_speaks(struct fixture *f, struct pair *p, size_t piece)
{
	uint8_t *at;
	long len = BIO_get_mem_data(p->from_client, &at);
	if (len <= 0)
		return false;
	uint8_t *all = malloc((size_t)len);
	memcpy(all, at, (size_t)len);
	(void)BIO_reset(p->from_client);
	for (size_t i = 0; i < (size_t)len && p->last >= 0; i += piece)
		to_server(f, p, all + i, (size_t)len - i < piece ? (size_t)len - i : piece);
	free(all);
	return true;
}

/* True: both sides are through. */
static bool shake(struct fixture *f, struct pair *p, size_t piece)
{
	for (int turn = 0; turn < 20; turn++) {
		int done = SSL_do_handshake(p->client);
		bool waits = done == 1 || SSL_get_error(p->client, done) == SSL_ERROR_WANT_READ;
		bool spoke = client_speaks(f, p, piece);
		if (p->last < 0 || !waits)
			return false;
		if (done == 1 && !spoke)
			return true;
	}
	return false;
}

static void client_common(const struct pair *p, char name[50])
{
	X509 *x = SSL_get1_peer_certificate(p->client);
	assert_non_null(x);
	X509_NAME_get_text_by_NID(X509_get_subject_name(x), NID_commonName, name, 50);
	X509_free(x);
}

static void expect_echo(struct fixture *f, struct pair *p, size_t len)
{
	static uint8_t sent[100000], back[100000];
	for (size_t i = 0; i < len; i++)
		sent[i] = (uint8_t)(i * 7);
	p->got = 0;
	assert_int_equal(SSL_write(p->client, sent, (int)len), (int)len);
	client_speaks(f, p, 1000);
	assert_int_equal(p->last, 0);
	assert_int_equal(p->got, len);
	assert_memory_equal(f->plain, sent, len);
	f->sink.len = 0;
	assert_int_equal(tls_session_write(p->server, f->plain, len, &f->sink), E_OK);
	assert_true(f->sink.len > len && f->sink.len <= len + tls_overhead(len));
	assert_int_equal(BIO_write(p->to_client, f->sink.at, (int)f->sink.len), (int)f->sink.len);
	for (size_t at = 0; at < len;) {
		int n = SSL_read(p->client, back + at, (int)(len - at));
		assert_true(n > 0);
		at += (size_t)n;
	}
	assert_memory_equal(back, sent, len);
}

/* ---- certificates and keys */

static void wrong_files_are_told_with_their_names_and_nothing_is_loaded(void **state)
{
	struct fixture *f = *state;
	struct tls_context *untouched = (struct tls_context *)f, *c = untouched;
	char missing[PATH_LEN], rubbish[PATH_LEN];
	snprintf(missing, sizeof(missing), "%s/missing", f->dir);
	snprintf(rubbish, sizeof(rubbish), "%s/rubbish", f->dir);
	FILE *out = fopen(rubbish, "w");
	fputs("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", out);
	fclose(out);
	const struct {
		const char *cert, *key, *named;
		int code;
	} rows[] = {
		{ missing, f->key, missing, E_MISSING },     { f->cert, missing, missing, E_MISSING },
		{ rubbish, f->key, rubbish, E_INVALID },     { f->cert, rubbish, rubbish, E_INVALID },
		{ f->key, f->key, f->key, E_INVALID },	     { f->cert, f->cert, f->cert, E_INVALID },
		{ f->cert, f->other_key, f->other_key, E_INVALID }, { f->other_cert, f->key, f->key, E_INVALID },
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		assert_int_equal(load(f, rows[i].cert, rows[i].key, &c), rows[i].code);
		assert_non_null(strstr(f->err.text, rows[i].named));
		assert_ptr_equal(c, untouched);
	}
}

static void without_memory_nothing_is_loaded_and_no_session_begins(void **state)
{
	struct fixture *f = *state;
	struct tls_context *c;
	mem_fail_at(0);
	assert_int_equal(load(f, f->cert, f->key, &c), E_NOMEM);
	assert_true(mem_fail_off());
	assert_null(tls_session_new(&f->slot)); /* an empty slot */
	serve(f, f->cert, f->key);
	mem_fail_at(0);
	assert_null(tls_session_new(&f->slot));
	assert_true(mem_fail_off());
}

/* ---- handshakes */

static void a_handshake_in_pieces_of_any_size_ends_in_order(void **state)
{
	struct fixture *f = *state;
	static const size_t pieces[] = { 1, 2, 5, 6, 100, WIRE_MAX };
	char name[50];
	serve(f, f->cert, f->key);
	for (size_t i = 0; i < sizeof(pieces) / sizeof(pieces[0]); i++) {
		struct pair p;
		pair_open(f, &p, NULL, NULL);
		assert_true(shake(f, &p, pieces[i]));
		client_common(&p, name);
		assert_string_equal(name, "first");
		expect_echo(f, &p, 100);
		expect_echo(f, &p, 70000); /* some records */
		pair_close(&p);
	}
}

static void a_handshake_that_stalls_asks_for_more_and_answers_nothing(void **state)
{
	struct fixture *f = *state;
	uint8_t *hello;
	serve(f, f->cert, f->key);
	for (int cut = 0; cut < 300; cut += 7) {
		struct pair p;
		pair_open(f, &p, NULL, NULL);
		SSL_do_handshake(p.client);
		long len = BIO_get_mem_data(p.from_client, &hello);
		assert_true(len > 200);
		to_server(f, &p, hello, cut < len - 1 ? (size_t)cut : (size_t)len - 1);
		assert_int_equal(p.last, 0);
		assert_int_equal(f->sink.len, 0);
		assert_int_equal(tls_session_write(p.server, (const uint8_t *)"early", 5, &f->sink), E_INVALID);
		f->sink.len = 0;
		tls_session_end(p.server, &f->sink); /* there is nobody to say goodbye to */
		assert_int_equal(f->sink.len, 0);
		pair_close(&p);
	}
}

static void who_offers_other_protocols_is_told_so(void **state)
{
	struct fixture *f = *state;
	static const struct {
		const char *alpn;
		bool taken;
	} rows[] = { { NULL, true }, { "\3dot", true }, { "\2h2\3dot", true }, { "\2h2", false }, { "\4dots", false }, { "\2do", false } };
	serve(f, f->cert, f->key);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct pair p;
		const uint8_t *chosen;
		unsigned len;
		pair_open(f, &p, rows[i].alpn, NULL);
		assert_int_equal(shake(f, &p, WIRE_MAX), rows[i].taken);
		SSL_get0_alpn_selected(p.client, &chosen, &len);
		assert_int_equal(len, rows[i].taken && rows[i].alpn != NULL ? 3 : 0);
		pair_close(&p);
	}
}

static void what_is_no_tls_and_an_old_version_are_refused(void **state)
{
	struct fixture *f = *state;
	static const uint8_t plain[] = "\0\x1d\x12\x34\1\0\0\1\0\0\0\0\0\0\3www\7example\3com\0\0\1\0\1";
	struct pair p;
	serve(f, f->cert, f->key);
	pair_open(f, &p, NULL, NULL);
	to_server(f, &p, plain, sizeof(plain) - 1);
	assert_int_equal(p.last, E_INVALID);
	pair_close(&p);
	pair_open(f, &p, NULL, NULL);
	SSL_set_security_level(p.client, 0);
	SSL_set_max_proto_version(p.client, TLS1_1_VERSION);
	SSL_set_cipher_list(p.client, "ALL:@SECLEVEL=0");
	assert_false(shake(f, &p, WIRE_MAX));
	pair_close(&p);
}

/* ---- records */

static void a_record_that_is_cut_off_waits_and_a_changed_one_breaks_the_session(void **state)
{
	struct fixture *f = *state;
	uint8_t record[200], *at;
	struct pair p;
	serve(f, f->cert, f->key);
	pair_open(f, &p, NULL, NULL);
	assert_true(shake(f, &p, WIRE_MAX));
	for (size_t cut = 1; cut < 30; cut++) { /* of the head and of the body */
		SSL_write(p.client, "question", 8);
		size_t len = (size_t)BIO_get_mem_data(p.from_client, &at);
		memcpy(record, at, len);
		(void)BIO_reset(p.from_client);
		p.got = 0;
		to_server(f, &p, record, cut < len ? cut : len - 1);
		assert_true(p.last == 0 && p.got == 0);
		to_server(f, &p, record + (cut < len ? cut : len - 1), len - (cut < len ? cut : len - 1));
		assert_true(p.last == 0 && p.got == 8);
	}
	SSL_write(p.client, "question", 8);
	size_t len = (size_t)BIO_get_mem_data(p.from_client, &at);
	memcpy(record, at, len);
	record[len - 1] ^= 1;
	p.got = 0;
	to_server(f, &p, record, len);
	assert_true(p.last == E_INVALID && p.got == 0);
	assert_int_equal(tls_session_write(p.server, (const uint8_t *)"x", 1, &f->sink), E_INVALID);
	pair_close(&p);
}

static void an_orderly_end_is_told_behind_what_came_before(void **state)
{
	struct fixture *f = *state;
	struct pair p;
	char rest;
	serve(f, f->cert, f->key);
	pair_open(f, &p, NULL, NULL);
	assert_true(shake(f, &p, WIRE_MAX));
	SSL_write(p.client, "last", 4);
	SSL_shutdown(p.client);
	client_speaks(f, &p, WIRE_MAX);
	assert_int_equal(p.last, E_CLOSED);
	assert_int_equal(p.got, 4);
	f->sink.len = 0;
	tls_session_end(p.server, &f->sink);
	assert_true(f->sink.len > 0);
	BIO_write(p.to_client, f->sink.at, (int)f->sink.len);
	assert_int_equal(SSL_read(p.client, &rest, 1), 0);
	assert_int_equal(SSL_get_error(p.client, 0), SSL_ERROR_ZERO_RETURN);
	pair_close(&p);
}

static void a_sink_without_room_is_an_error_and_never_overrun(void **state)
{
	struct fixture *f = *state;
	static uint8_t answer[5000];
	struct pair p;
	serve(f, f->cert, f->key);
	pair_open(f, &p, NULL, NULL);
	assert_true(shake(f, &p, WIRE_MAX));
	struct tls_sink small = { malloc(1000), 0, 1000 };
	assert_int_equal(tls_session_write(p.server, answer, sizeof(answer), &small), E_INVALID);
	assert_true(small.len <= small.cap);
	free(small.at);
	pair_close(&p);
}

/* ---- a certificate that is replaced */

static void a_new_certificate_is_shown_to_new_clients_and_open_sessions_go_on(void **state)
{
	struct fixture *f = *state;
	struct pair old, fresh;
	char name[50];
	serve(f, f->cert, f->key);
	pair_open(f, &old, NULL, NULL);
	assert_true(shake(f, &old, WIRE_MAX));
	serve(f, f->other_cert, f->other_key);
	rcu_reaper_turn(f->reaper);
	for (int i = 0; i < 10; i++)
		uv_run(&f->loop, UV_RUN_NOWAIT);
	expect_echo(f, &old, 3000);
	pair_open(f, &fresh, NULL, NULL);
	assert_true(shake(f, &fresh, WIRE_MAX));
	client_common(&fresh, name);
	assert_string_equal(name, "second");
	expect_echo(f, &fresh, 100);
	pair_close(&old);
	pair_close(&fresh);
}

/* A client comes, with a ticket or none. The ticket that it has when it goes; *@ret_resumed: was it known? */
static SSL_SESSION *visit(struct fixture *f, int version, SSL_SESSION *ticket, bool *ret_resumed)
{
	struct pair p;
	uint8_t none;
	pair_open(f, &p, NULL, ticket);
	SSL_set_max_proto_version(p.client, version);
	assert_true(shake(f, &p, WIRE_MAX));
	assert_true(SSL_read(p.client, &none, 1) <= 0); /* tickets of TLS 1.3 come behind the handshake */
	if (ret_resumed != NULL)
		*ret_resumed = SSL_session_reused(p.client) == 1;
	SSL_SESSION *fresh = SSL_get1_session(p.client);
	assert_true(SSL_SESSION_has_ticket(fresh));
	SSL_shutdown(p.client); /* or the ticket is void */
	pair_close(&p);
	return fresh;
}

static bool resumes(struct fixture *f, int version, SSL_SESSION *ticket)
{
	bool resumed;
	SSL_SESSION_free(visit(f, version, ticket, &resumed));
	return resumed;
}

static const int versions[] = { TLS1_2_VERSION, TLS1_3_VERSION };

static void tickets_outlive_a_renewed_certificate_and_not_one_of_another_name(void **state)
{
	struct fixture *f = *state;
	for (int i = 0; i < 2; i++) {
		serve(f, f->cert, f->key);
		SSL_SESSION *ticket = visit(f, versions[i], NULL, NULL);
		assert_true(resumes(f, versions[i], ticket));
		certificate_make(f, "first", f->cert, f->key); /* another key, and so on */
		serve(f, f->cert, f->key);
		assert_true(resumes(f, versions[i], ticket));
		serve(f, f->other_cert, f->other_key);
		assert_false(resumes(f, versions[i], ticket));
		serve(f, f->cert, f->key);
		assert_false(resumes(f, versions[i], ticket));
		SSL_SESSION_free(ticket);
	}
}

static void a_key_of_tickets_seals_for_one_turn_and_opens_for_two(void **state)
{
	enum { TURN = 12 * 3600 * 1000 };
	struct fixture *f = *state;
	for (int i = 0; i < 2; i++) {
		tls_slot_turn(&f->slot, 0); /* nothing is served yet, or only what is about to go */
		serve(f, f->other_cert, f->other_key);
		serve(f, f->cert, f->key);
		tls_slot_turn(&f->slot, 1000);
		SSL_SESSION *first = visit(f, versions[i], NULL, NULL), *second;
		tls_slot_turn(&f->slot, 1000 + TURN - 1);
		assert_true(resumes(f, versions[i], first));
		tls_slot_turn(&f->slot, 1000 + TURN);
		assert_true(resumes(f, versions[i], first));
		bool resumed;
		second = visit(f, versions[i], first, &resumed); /* sealed anew */
		assert_true(resumed);
		serve(f, f->cert, f->key); /* both keys go over */
		assert_true(resumes(f, versions[i], first));
		tls_slot_turn(&f->slot, 1000 + 2 * (int64_t)TURN);
		assert_false(resumes(f, versions[i], first));
		assert_true(resumes(f, versions[i], second));
		tls_slot_turn(&f->slot, 1000 + 3 * (int64_t)TURN);
		assert_false(resumes(f, versions[i], second));
		SSL_SESSION_free(first);
		SSL_SESSION_free(second);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(wrong_files_are_told_with_their_names_and_nothing_is_loaded, setup, teardown),
		cmocka_unit_test_setup_teardown(without_memory_nothing_is_loaded_and_no_session_begins, setup, teardown),
		cmocka_unit_test_setup_teardown(a_handshake_in_pieces_of_any_size_ends_in_order, setup, teardown),
		cmocka_unit_test_setup_teardown(a_handshake_that_stalls_asks_for_more_and_answers_nothing, setup, teardown),
		cmocka_unit_test_setup_teardown(who_offers_other_protocols_is_told_so, setup, teardown),
		cmocka_unit_test_setup_teardown(what_is_no_tls_and_an_old_version_are_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(a_record_that_is_cut_off_waits_and_a_changed_one_breaks_the_session, setup, teardown),
		cmocka_unit_test_setup_teardown(an_orderly_end_is_told_behind_what_came_before, setup, teardown),
		cmocka_unit_test_setup_teardown(a_sink_without_room_is_an_error_and_never_overrun, setup, teardown),
		cmocka_unit_test_setup_teardown(a_new_certificate_is_shown_to_new_clients_and_open_sessions_go_on, setup, teardown),
		cmocka_unit_test_setup_teardown(tickets_outlive_a_renewed_certificate_and_not_one_of_another_name, setup, teardown),
		cmocka_unit_test_setup_teardown(a_key_of_tickets_seals_for_one_turn_and_opens_for_two, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
