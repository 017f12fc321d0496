/* address.h - addresses as dashed labels: 10-0-0-7, 2001-db8-0-0-0-0-0-7 (dns.md 1.3). Any thread. */
#ifndef ZONES_ADDRESS_H
#define ZONES_ADDRESS_H

#include <stddef.h>
#include <stdint.h>

enum { ADDRESS_LABEL_MAX = 39 };

/* Writes the label without its length octet; returns its length. @to holds ADDRESS_LABEL_MAX bytes. */
size_t address_format4(uint8_t *to, const uint8_t addr[4]);
size_t address_format6(uint8_t *to, const uint8_t addr[16]);
/* 4 or 6 with the address in @ret (IPv4 in the first four), 0: no canonical dashed address. */
int address_parse(uint8_t ret[16], const uint8_t *label, size_t len);

#endif
