/* questions.h - the DNS questions of a load generator, in wire form, read from a file of lines "name TYPE". One thread. */
#ifndef TESTS_BENCH_QUESTIONS_H
#define TESTS_BENCH_QUESTIONS_H

#include <netinet/in.h>
#include <stddef.h>
#include <stdint.h>

enum { COOKIE_CLIENT = 8, COOKIE_MAX = 40 };

enum edns {
	EDNS_NONE,
	EDNS_PLAIN,  /* an OPT record of 1232 octets without options */
	EDNS_COOKIE, /* the same with a cookie (RFC 7873) */
};

struct question {
	uint16_t len;
	uint8_t message[340]; /* the id, its first two octets, is the sender's to write */
};

struct questions {
	struct question *list;
	size_t count;
};

/* Reads @path; lines that are no question are left out. Ends the program when none is left. */
void questions_read(struct questions *ret, const char *path, enum edns edns);
/* Asks @server for its cookie, as a client does at first contact, and puts it into every question; a server that
 * gives none is sent one it did not make. Returns the octets of the server's part, 0: none. */
size_t questions_learn_cookie(struct questions *qs, const struct sockaddr_in *server);

#endif
