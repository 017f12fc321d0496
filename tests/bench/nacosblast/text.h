/* text.h - the few marks that are looked for in answers. No JSON is parsed: the first place where a
 * key stands counts. What is returned is borrowed from the text. */
#ifndef NACOSBLAST_TEXT_H
#define NACOSBLAST_TEXT_H

#include <stdbool.h>
#include <stddef.h>

/* Where @needle ends in @text, or NULL. */
const char *text_after(const char *text, size_t len, const char *needle);

/* How often @needle is in @text. */
unsigned text_count(const char *text, size_t len, const char *needle);

/* The first byte from @at on that is no blank and no colon, or @end. */
const char *skip_separators(const char *at, const char *end);

/* The integer after the first @key (given with its quotes), or @otherwise. */
long json_number(const char *text, size_t len, const char *key, long otherwise);

/* The text after the first @key, borrowed, escapes left alone; false: none. */
bool json_text(const char *text, size_t len, const char *key, const char **ret, size_t *ret_len);

/* Whether the list of hosts (the first one in @text) has an element. */
bool hosts_present(const char *text, size_t len);

#endif
