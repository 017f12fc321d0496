/* cookie_keeper.h - which secrets sign DNS cookies: those of dns.cookie_secrets, or else generated ones, which are kept in
 * the data directory, so that a restart does not void what clients hold, and changed every day. Control thread. */
#ifndef MUSTERD_COOKIE_KEEPER_H
#define MUSTERD_COOKIE_KEEPER_H

#include "dnsd/cookie.h"
#include <stddef.h>
#include <stdint.h>

struct cookie_keeper {
	char path[4096]; /* of the generated ones */
	bool generated;
	int64_t since_ms; /* wall clock: when the first was made */
	unsigned count;
	uint8_t key[COOKIE_SECRETS][COOKIE_SECRET_LEN]; /* the first signs */
};

/* 32 hexadecimal digits into @to. false: @text is not that. */
bool cookie_secret_parse(uint8_t to[COOKIE_SECRET_LEN], const char *text);

void cookie_keeper_init(struct cookie_keeper *k, const char *data_dir);
/* @words: @count (0..COOKIE_SECRETS) right secrets; none: generated ones. True: @k->key has changed. */
bool cookie_keeper_set(struct cookie_keeper *k, const char *const *words, size_t count, int64_t now_ms);
/* Changes generated ones when it is time. True: @k->key has changed. */
bool cookie_keeper_tick(struct cookie_keeper *k, int64_t now_ms);

#endif
