/* tls_tickets.c - see tls_tickets.h. The lock is held for a copy of one key, once or twice a handshake. */
#include "net/tls_tickets.h"
#include "base/mem.h"
#include "base/random.h"
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <stdbool.h>
#include <string.h>
#include <uv.h>

enum { NAME_LEN = 16, KEY_LEN = 32 };

struct ticket_key {
	uint8_t name[NAME_LEN], cipher[KEY_LEN], mac[KEY_LEN];
};

struct tls_tickets {
	uv_mutex_t mutex;
	unsigned refs;
	int64_t since_ms; /* when now came to be; -1: nobody has said */
	bool has_before;
	struct ticket_key now, before;
};

struct tls_tickets *tls_tickets_new(void)
{
	struct tls_tickets *t = mem_zalloc(1, sizeof(*t));
	if (t == NULL)
		return NULL;
	if (uv_mutex_init(&t->mutex) < 0) {
		mem_free(t);
		return NULL;
	}
	t->refs = 1;
	t->since_ms = -1;
	random_bytes(&t->now, sizeof(t->now));
	return t;
}

struct tls_tickets *tls_tickets_ref(struct tls_tickets *t)
{
	uv_mutex_lock(&t->mutex);
	t->refs++;
	uv_mutex_unlock(&t->mutex);
	return t;
}

void tls_tickets_unref(struct tls_tickets *t)
{
	if (t == NULL)
		return;
	uv_mutex_lock(&t->mutex);
	bool last = --t->refs == 0;
	uv_mutex_unlock(&t->mutex);
	if (!last)
		return;
	uv_mutex_destroy(&t->mutex);
	OPENSSL_cleanse(&t->now, sizeof(t->now));
	OPENSSL_cleanse(&t->before, sizeof(t->before));
	mem_free(t);
}

void tls_tickets_turn(struct tls_tickets *t, int64_t now_ms)
{
	uv_mutex_lock(&t->mutex);
	if (t->since_ms < 0) {
		t->since_ms = now_ms;
	} else if (now_ms - t->since_ms >= TLS_TICKETS_TURN_MS) {
		t->since_ms = now_ms;
		t->before = t->now;
		t->has_before = true;
		random_bytes(&t->now, sizeof(t->now));
	}
	uv_mutex_unlock(&t->mutex);
}

/* The key for a new ticket (@name NULL), or of that name. 1: the present one; 2: the one before; 0: there is none. */
static int key_get(struct tls_tickets *t, const uint8_t *name, struct ticket_key *ret)
{
	int which = 0;
	uv_mutex_lock(&t->mutex);
	if (name == NULL || memcmp(name, t->now.name, NAME_LEN) == 0)
		which = 1;
	else if (t->has_before && memcmp(name, t->before.name, NAME_LEN) == 0)
		which = 2;
	if (which > 0)
		*ret = which == 1 ? t->now : t->before;
	uv_mutex_unlock(&t->mutex);
	return which;
}

static bool key_set(const struct ticket_key *key, const uint8_t *iv, EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac, int seal)
{
	char digest[] = "SHA256";
	uint8_t mac_key[KEY_LEN];
	OSSL_PARAM params[] = { OSSL_PARAM_octet_string(OSSL_MAC_PARAM_KEY, mac_key, sizeof(mac_key)),
				OSSL_PARAM_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, sizeof(digest) - 1), OSSL_PARAM_END };
	memcpy(mac_key, key->mac, sizeof(mac_key));
	bool ok = EVP_CipherInit_ex(cipher, EVP_aes_256_cbc(), NULL, key->cipher, iv, seal) == 1 &&
		  EVP_MAC_CTX_set_params(mac, params) == 1;
	OPENSSL_cleanse(mac_key, sizeof(mac_key));
	return ok;
}

/* Negative: broken; 0: no such key, so a whole handshake; 1: done; 2: done, and a new ticket is due. */
static int on_key(SSL *ssl, unsigned char *name, unsigned char *iv, EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac, int seal)
{
	struct ticket_key key;
	int which = key_get(SSL_get_app_data(ssl), seal ? NULL : name, &key);
	if (which == 0)
		return 0;
	if (seal) {
		memcpy(name, key.name, NAME_LEN);
		random_bytes(iv, (size_t)EVP_CIPHER_get_iv_length(EVP_aes_256_cbc()));
	}
	bool ok = key_set(&key, iv, cipher, mac, seal);
	OPENSSL_cleanse(&key, sizeof(key));
	return ok ? which : -1;
}

void tls_tickets_use(SSL_CTX *ctx)
{
	SSL_CTX_set_tlsext_ticket_key_evp_cb(ctx, on_key);
}
