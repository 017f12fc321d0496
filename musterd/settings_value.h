/* settings_value.h - from the text of one setting to its value. */
#ifndef MUSTERD_SETTINGS_VALUE_H
#define MUSTERD_SETTINGS_VALUE_H

#include "musterd/settings_table.h"

/* Reads @text as @row says and puts it at @base + row->offset, lists and texts into @mem. On failure nothing is
 * changed and @err says what is wrong with the text and what would be right: E_INVALID, E_RANGE, E_NOMEM. */
int setting_parse(void *base, const struct setting *row, const char *text, struct arena *mem, struct error *err);

/* "512 to 4096", "100ms to 1h", as one would write them. */
void setting_bounds(char to[80], const struct setting *row);

/* "127.0.0.1:53", "[::1]:53", "[fe80::1%eth0]:53". */
int listen_parse(struct sockaddr_storage *ret, const char *text, struct error *err);
bool address_is_loopback(const struct sockaddr_storage *address);
/* Octets of a domain name on the wire, 0: not a name of letters, digits, hyphens and underscores. */
size_t domain_name_octets(const char *name);

#endif
