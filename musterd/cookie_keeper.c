/* cookie_keeper.c - the file holds one line: when the first secret was made (milliseconds since 1970), that secret, the
 * one before it. It is replaced by a rename; what cannot be read is replaced by new secrets, and what cannot be written
 * lives in memory until the next change. */
#include "musterd/cookie_keeper.h"

#include "base/log.h"
#include "base/random.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { LINE_MAX_LEN = 128, DIGITS = 2 * COOKIE_SECRET_LEN };
static const int64_t LIFE_MS = 86400000; /* cookies are accepted for an hour, secrets for two lives */

static int digit(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

bool cookie_secret_parse(uint8_t to[COOKIE_SECRET_LEN], const char *text)
{
	uint8_t secret[COOKIE_SECRET_LEN];

	if (strlen(text) != DIGITS)
		return false;
	for (int i = 0; i < COOKIE_SECRET_LEN; i++) {
		int high = digit(text[2 * i]), low = digit(text[2 * i + 1]);
		if (high < 0 || low < 0)
			return false;
		secret[i] = (uint8_t)(high << 4 | low);
	}
	memcpy(to, secret, sizeof(secret));
	return true;
}

static void secret_format(char to[DIGITS + 1], const uint8_t secret[COOKIE_SECRET_LEN])
{
	for (int i = 0; i < COOKIE_SECRET_LEN; i++)
		snprintf(to + 2 * i, 3, "%02x", secret[i]);
}

void cookie_keeper_init(struct cookie_keeper *k, const char *data_dir)
{
	memset(k, 0, sizeof(*k));
	snprintf(k->path, sizeof(k->path), "%s/cookie-secrets", data_dir);
}

static bool keeper_read(struct cookie_keeper *k)
{
	char line[LINE_MAX_LEN], first[DIGITS + 1], second[DIGITS + 1];
	uint8_t key[COOKIE_SECRETS][COOKIE_SECRET_LEN];
	long long since;
	FILE *in = fopen(k->path, "re");

	if (in == NULL)
		return false;
	bool ok = fgets(line, sizeof(line), in) != NULL && sscanf(line, "%lld %32s %32s", &since, first, second) == 3 &&
		  cookie_secret_parse(key[0], first) && cookie_secret_parse(key[1], second);
	fclose(in);
	if (!ok) {
		log_warn("dns", "%s cannot be read: there are new secrets for cookies", k->path);
		return false;
	}
	memcpy(k->key, key, sizeof(key));
	k->since_ms = since;
	k->count = COOKIE_SECRETS;
	return true;
}

/* 0 or errno. */
static int file_write(const char *path, const char *line)
{
	size_t len = strlen(line);
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	if (fd < 0)
		return errno;
	ssize_t n = write(fd, line, len);
	int errnum = n < 0 ? errno : n != (ssize_t)len ? ENOSPC : 0;
	if (close(fd) < 0 && errnum == 0)
		errnum = errno;
	return errnum;
}

static void keeper_write(const struct cookie_keeper *k)
{
	char line[LINE_MAX_LEN], first[DIGITS + 1], second[DIGITS + 1], fresh[sizeof(k->path) + 8];

	secret_format(first, k->key[0]);
	secret_format(second, k->key[1]);
	snprintf(line, sizeof(line), "%lld %s %s\n", (long long)k->since_ms, first, second);
	snprintf(fresh, sizeof(fresh), "%s.new", k->path);
	int errnum = file_write(fresh, line);
	if (errnum == 0 && rename(fresh, k->path) < 0)
		errnum = errno;
	if (errnum != 0)
		log_warn("dns", "%s: %s: the secrets of cookies will not outlive this process", k->path, strerror(errnum));
}

static void keeper_generate(struct cookie_keeper *k, int64_t now_ms)
{
	if (k->count == 0)
		random_bytes(k->key[0], COOKIE_SECRET_LEN); /* becomes the one before, which nobody has seen */
	memcpy(k->key[1], k->key[0], COOKIE_SECRET_LEN);
	random_bytes(k->key[0], COOKIE_SECRET_LEN);
	k->count = COOKIE_SECRETS;
	k->since_ms = now_ms;
	keeper_write(k);
}

bool cookie_keeper_set(struct cookie_keeper *k, const char *const *words, size_t count, int64_t now_ms)
{
	struct cookie_keeper before = *k;

	if (count == 0 && k->generated)
		return false;
	k->generated = count == 0;
	k->count = 0;
	for (; k->count < count && k->count < COOKIE_SECRETS; k->count++)
		cookie_secret_parse(k->key[k->count], words[k->count]); /* was looked at with the settings */
	if (k->generated && !keeper_read(k))
		keeper_generate(k, now_ms);
	cookie_keeper_tick(k, now_ms);
	return k->count != before.count || memcmp(k->key, before.key, k->count * sizeof(k->key[0])) != 0;
}

bool cookie_keeper_tick(struct cookie_keeper *k, int64_t now_ms)
{
	int64_t age = now_ms - k->since_ms;

	if (!k->generated || (age >= 0 && age < LIFE_MS))
		return false;
	keeper_generate(k, now_ms);
	log_info("dns", "there is a new secret for cookies; those of the one before are good for another day");
	return true;
}
