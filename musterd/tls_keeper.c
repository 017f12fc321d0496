/* tls_keeper.c - see tls_keeper.h. Files are looked at by stat(2): that follows the links which Kubernetes and certbot
 * exchange, and costs two calls every two seconds. */
#include "musterd/tls_keeper.h"

#include "base/log.h"
#include "base/mem.h"

#include <string.h>
#include <sys/stat.h>

enum { LOOK_MS = 2000 };

static void look(const char *cert, const char *key, struct tls_mark to[2])
{
	const char *const paths[2] = { cert, key };

	memset(to, 0, 2 * sizeof(to[0]));
	for (int i = 0; i < 2; i++) {
		struct stat st;
		if (stat(paths[i], &st) < 0)
			continue;
		to[i].inode = st.st_ino;
		to[i].size = (uint64_t)st.st_size;
		to[i].changed_ns = (int64_t)st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec;
	}
}

static bool same(const struct tls_mark a[2], const struct tls_mark b[2])
{
	return memcmp(a, b, 2 * sizeof(a[0])) == 0;
}

void tls_keeper_done(struct tls_keeper *k)
{
	mem_free(k->cert);
	mem_free(k->key);
	memset(k, 0, sizeof(*k));
}

int tls_keeper_load(struct tls_keeper *k, const char *cert, const char *key, struct tls_context **ret, struct error *err)
{
	const struct tls_conf conf = { cert, key, "dot" };
	struct tls_keeper fresh = { .look_ms = 0 };
	struct tls_context *context;

	if (cert == NULL || key == NULL) {
		tls_keeper_done(k);
		*ret = NULL;
		return E_OK;
	}
	fresh.cert = mem_strdup(cert);
	fresh.key = mem_strdup(key);
	look(cert, key, fresh.used); /* before they are read: a change behind that is seen as one */
	int rc = fresh.cert == NULL || fresh.key == NULL ? error_set(err, E_NOMEM, "no memory for TLS")
							 : tls_context_load(&context, &conf, err);
	if (rc < 0) {
		tls_keeper_done(&fresh);
		return rc;
	}
	memcpy(fresh.seen, fresh.used, sizeof(fresh.seen));
	tls_keeper_done(k);
	*k = fresh;
	*ret = context;
	return E_OK;
}

struct tls_context *tls_keeper_tick(struct tls_keeper *k, int64_t now_ms)
{
	struct tls_mark now[2];
	struct tls_context *fresh = NULL;
	struct error err;

	if (k->cert == NULL || now_ms < k->look_ms)
		return NULL;
	k->look_ms = now_ms + LOOK_MS;
	look(k->cert, k->key, now);
	bool settled = same(now, k->seen);
	memcpy(k->seen, now, sizeof(now));
	if (!settled || same(now, k->used))
		return NULL;
	memcpy(k->used, now, sizeof(now)); /* also when they are wrong: said once */
	const struct tls_conf conf = { k->cert, k->key, "dot" };
	if (tls_context_load(&fresh, &conf, &err) < 0) {
		log_error("tls", "the old certificate stays: %s", err.text);
		return NULL;
	}
	log_info("tls", "%s was read again", k->cert);
	return fresh;
}
