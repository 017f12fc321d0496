/* settings_table.h - the keys of the settings: one row each. What reads, checks, prints and documents a setting
 * goes by its row alone. */
#ifndef MUSTERD_SETTINGS_TABLE_H
#define MUSTERD_SETTINGS_TABLE_H

#include "musterd/settings.h"

enum setting_type {
	SETTING_TEXT,	  /* const char *; NULL when empty */
	SETTING_COUNT,	  /* unsigned */
	SETTING_SWITCH,	  /* bool: on, off */
	SETTING_CHOICE,	  /* an enum: the place in @choices */
	SETTING_DURATION, /* int64_t milliseconds */
	SETTING_SECONDS,  /* uint32_t seconds: a TTL */
	SETTING_SIZE,	  /* size_t bytes */
	SETTING_ADDRESSES,
	SETTING_CIDRS,
	SETTING_WORDS,
};

struct setting {
	const char *section, *key;
	enum setting_type type;
	size_t offset;	    /* in struct settings, or zone_conf for a zone's key */
	const char *preset; /* the default, as one would write it */
	uint64_t least, most; /* ms, seconds, bytes, the number; how many of a list; least 1: a text must be there */
	const char *const *choices; /* NULL-terminated */
	const char *help;
};

extern const struct setting settings_table[];
extern const size_t settings_table_len;
extern const struct setting zone_table[]; /* keys of [zone NAME]; their section is "zone" */
extern const size_t zone_table_len;

/* Its value is not for logs. */
static inline bool setting_is_secret(const struct setting *row)
{
	return row->offset == offsetof(struct settings, dns.cookie_secrets);
}

static inline bool setting_is_list(const struct setting *row)
{
	return row->type >= SETTING_ADDRESSES;
}

#endif
