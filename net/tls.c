/* tls.c - see tls.h. A session's BIO reads from the run that was fed and writes to the sink of the call, so that nothing is
 * copied beside OpenSSL's own records. */
#include "net/tls.h"
#include "base/mem.h"
#include "base/plain_file.h"
#include "net/tls_tickets.h"
#include <errno.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <string.h>

enum { RECORD_MAX = 16384, RECORD_MORE = 64, HANDSHAKE_MORE = 4096 };

struct tls_context {
	struct rcu_head reap;
	SSL_CTX *ctx; /* held by its sessions as well */
	struct tls_tickets *tickets; /* likewise */
};

struct tls_session {
	SSL *ssl;
	struct tls_tickets *tickets;
	const uint8_t *in, *in_end; /* fed, not yet read */
	struct tls_sink *out;	    /* of the call that runs; NULL: none does */
};

/* ---- contexts */

/* The reason that OpenSSL gives, and the queue of them emptied. */
static const char *reason(void)
{
	const char *why = ERR_reason_error_string(ERR_peek_last_error());
	ERR_clear_error();
	return why == NULL ? "unknown reason" : why;
}

/* PEM readers say little of files that are not there. */
static int file_check(const char *path, struct error *err)
{
	int errnum;
	FILE *in = plain_file_open(path, &errnum);
	if (in != NULL) {
		fclose(in);
		return E_OK;
	}
	return error_set(err, errnum == ENOENT ? E_MISSING : E_DENIED, "%s: %s", path, plain_file_reason(errnum));
}

/* Nobody can be asked: OpenSSL would wait at the terminal for an answer. */
static int on_passphrase(char *to, int cap, int writing, void *arg)
{
	(void)to, (void)cap, (void)writing;
	*(bool *)arg = true;
	return -1;
}

static int files_load(SSL_CTX *ctx, const struct tls_conf *conf, struct error *err)
{
	bool asked = false;
	int rc = file_check(conf->cert, err);
	if (rc == E_OK)
		rc = file_check(conf->key, err);
	if (rc < 0)
		return rc;
	ERR_clear_error();
	SSL_CTX_set_default_passwd_cb(ctx, on_passphrase);
	SSL_CTX_set_default_passwd_cb_userdata(ctx, &asked);
	if (SSL_CTX_use_certificate_chain_file(ctx, conf->cert) != 1)
		return error_set(err, E_INVALID, "%s: no certificate can be read from it: %s", conf->cert, reason());
	rc = SSL_CTX_use_PrivateKey_file(ctx, conf->key, SSL_FILETYPE_PEM);
	SSL_CTX_set_default_passwd_cb_userdata(ctx, NULL); /* it reads no more */
	if (rc != 1 && asked) {
		ERR_clear_error();
		return error_set(err, E_INVALID, "%s: the key has a passphrase, which nobody can be asked for: write it without one",
				 conf->key);
	}
	if (rc != 1)
		return error_set(err, E_INVALID, "%s: no key of %s can be read from it: %s", conf->key, conf->cert, reason());
	if (SSL_CTX_check_private_key(ctx) != 1)
		return error_set(err, E_INVALID, "%s is not the key of %s: %s", conf->key, conf->cert, reason());
	return E_OK;
}

/* A client that offers protocols and not ours is told so (RFC 7301, 3.2). */
static int on_alpn(SSL *ssl, const unsigned char **out, unsigned char *out_len, const unsigned char *in, unsigned in_len,
		   void *arg)
{
	const char *protocol = arg;
	size_t len = strlen(protocol);
	(void)ssl;
	for (unsigned at = 0; at < in_len && in[at] < in_len - at; at += 1u + in[at]) {
		if (in[at] != len || memcmp(in + at + 1, protocol, len) != 0)
			continue;
		*out = in + at + 1;
		*out_len = in[at];
		return SSL_TLSEXT_ERR_OK;
	}
	return SSL_TLSEXT_ERR_ALERT_FATAL;
}

static void context_tune(SSL_CTX *ctx, const char *protocol)
{
	SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION);
	SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_IGNORE_UNEXPECTED_EOF);
	SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF); /* tickets hold the sessions */
	SSL_CTX_set_read_ahead(ctx, 1);
	tls_tickets_use(ctx);
	if (protocol != NULL)
		SSL_CTX_set_alpn_select_cb(ctx, on_alpn, (void *)(uintptr_t)protocol);
}

int tls_context_load(struct tls_context **ret, const struct tls_conf *conf, struct error *err)
{
	struct tls_context *c = mem_zalloc(1, sizeof(*c));
	if (c != NULL)
		c->ctx = SSL_CTX_new(TLS_server_method());
	if (c != NULL)
		c->tickets = tls_tickets_new();
	if (c == NULL || c->ctx == NULL || c->tickets == NULL) {
		tls_context_free(c);
		return error_set(err, E_NOMEM, "no memory for TLS");
	}
	context_tune(c->ctx, conf->protocol);
	int rc = files_load(c->ctx, conf, err);
	if (rc < 0) {
		tls_context_free(c);
		return rc;
	}
	*ret = c;
	return E_OK;
}

/* The names that clients look at: the subject, and all others. */
static bool names_same(const X509 *a, const X509 *b)
{
	int at = X509_get_ext_by_NID(a, NID_subject_alt_name, -1), bt = X509_get_ext_by_NID(b, NID_subject_alt_name, -1);
	if (X509_NAME_cmp(X509_get_subject_name(a), X509_get_subject_name(b)) != 0 || (at < 0) != (bt < 0))
		return false;
	return at < 0 || ASN1_OCTET_STRING_cmp(X509_EXTENSION_get_data(X509_get_ext(a, at)),
					       X509_EXTENSION_get_data(X509_get_ext(b, bt))) == 0;
}

void tls_context_inherit(struct tls_context *fresh, const struct tls_context *old)
{
	if (old == NULL || !names_same(SSL_CTX_get0_certificate(old->ctx), SSL_CTX_get0_certificate(fresh->ctx)))
		return;
	tls_tickets_unref(fresh->tickets);
	fresh->tickets = tls_tickets_ref(old->tickets);
}

void tls_context_free(struct tls_context *c)
{
	if (c == NULL)
		return;
	SSL_CTX_free(c->ctx);
	tls_tickets_unref(c->tickets);
	mem_free(c);
}

static void on_context_unread(void *arg, struct rcu_head *head)
{
	(void)arg;
	tls_context_free((struct tls_context *)(void *)((char *)head - offsetof(struct tls_context, reap)));
}

void tls_slot_set(struct tls_slot *slot, struct tls_context *fresh, struct rcu_reaper *reaper)
{
	struct tls_context *old = atomic_load(&slot->now);
	rcu_publish(&slot->now, fresh);
	if (old != NULL)
		rcu_reaper_add(reaper, &old->reap, on_context_unread);
}

void tls_slot_turn(struct tls_slot *slot, int64_t now_ms)
{
	const struct tls_context *c = atomic_load(&slot->now); /* who replaces it is who calls */
	if (c != NULL)
		tls_tickets_turn(c->tickets, now_ms);
}

/* ---- sessions */

static int bio_read(BIO *bio, char *to, int len)
{
	struct tls_session *s = BIO_get_data(bio);
	size_t n = (size_t)(s->in_end - s->in);
	BIO_clear_retry_flags(bio);
	if (n == 0) {
		BIO_set_retry_read(bio);
		return -1;
	}
	if (n > (size_t)len)
		n = (size_t)len;
	memcpy(to, s->in, n);
	s->in += n;
	return (int)n;
}

static int bio_write(BIO *bio, const char *from, int len)
{
	struct tls_session *s = BIO_get_data(bio);
	BIO_clear_retry_flags(bio);
	if (s->out == NULL || (size_t)len > s->out->cap - s->out->len)
		return -1; /* fatal: the owner has sized it for everything that can come */
	memcpy(s->out->at + s->out->len, from, (size_t)len);
	s->out->len += (size_t)len;
	return len;
}

static long bio_ctrl(BIO *bio, int command, long number, void *arg)
{
	(void)bio, (void)number, (void)arg;
	return command == BIO_CTRL_FLUSH;
}

/* One for all threads; OpenSSL's own once makes it. */
static BIO_METHOD *method;
static CRYPTO_ONCE method_once = CRYPTO_ONCE_STATIC_INIT;

static void method_make(void)
{
	method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "run");
	if (method == NULL)
		return;
	BIO_meth_set_read(method, bio_read);
	BIO_meth_set_write(method, bio_write);
	BIO_meth_set_ctrl(method, bio_ctrl);
}

static BIO *bio_new(struct tls_session *s)
{
	BIO *bio = CRYPTO_THREAD_run_once(&method_once, method_make) == 1 && method != NULL ? BIO_new(method) : NULL;
	if (bio == NULL)
		return NULL;
	BIO_set_data(bio, s);
	BIO_set_init(bio, 1);
	return bio;
}

struct tls_session *tls_session_new(struct tls_slot *slot)
{
	struct tls_session *s = mem_zalloc(1, sizeof(*s));
	if (s == NULL)
		return NULL;
	rcu_begin();
	const struct tls_context *c = rcu_read(&slot->now);
	s->ssl = c == NULL ? NULL : SSL_new(c->ctx); /* holds the SSL_CTX from here on */
	if (s->ssl != NULL)
		s->tickets = tls_tickets_ref(c->tickets);
	rcu_end();
	BIO *bio = s->ssl == NULL ? NULL : bio_new(s);
	if (bio == NULL) {
		tls_session_free(s);
		return NULL;
	}
	SSL_set_bio(s->ssl, bio, bio);
	SSL_set_app_data(s->ssl, s->tickets);
	SSL_set_accept_state(s->ssl);
	return s;
}

void tls_session_free(struct tls_session *s)
{
	if (s == NULL)
		return;
	SSL_free(s->ssl); /* and its BIO */
	tls_tickets_unref(s->tickets);
	mem_free(s);
}

void tls_session_feed(struct tls_session *s, const uint8_t *at, size_t len)
{
	s->in = at;
	s->in_end = at + len;
}

ssize_t tls_session_read(struct tls_session *s, uint8_t *to, size_t cap, struct tls_sink *out)
{
	size_t got = 0;
	ERR_clear_error(); /* another session of this thread may have left some: they would be taken for ours */
	s->out = out;
	int ok = SSL_read_ex(s->ssl, to, cap, &got);
	s->out = NULL;
	if (ok == 1)
		return (ssize_t)got;
	switch (SSL_get_error(s->ssl, ok)) {
	case SSL_ERROR_WANT_READ:
		return 0;
	case SSL_ERROR_ZERO_RETURN:
		return E_CLOSED;
	default:
		ERR_clear_error();
		return E_INVALID;
	}
}

int tls_session_write(struct tls_session *s, const uint8_t *from, size_t len, struct tls_sink *out)
{
	size_t put = 0;
	ERR_clear_error();
	s->out = out;
	int ok = len == 0 ? 1 : SSL_write_ex(s->ssl, from, len, &put);
	s->out = NULL;
	return ok == 1 && put == len ? E_OK : E_INVALID;
}

size_t tls_overhead(size_t len)
{
	return (len / RECORD_MAX + 1) * RECORD_MORE + HANDSHAKE_MORE;
}

void tls_session_end(struct tls_session *s, struct tls_sink *out)
{
	if (!SSL_is_init_finished(s->ssl))
		return;
	ERR_clear_error();
	s->out = out;
	SSL_shutdown(s->ssl);
	s->out = NULL;
	ERR_clear_error();
}
