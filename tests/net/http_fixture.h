/* http_fixture.h - an HTTP server on a loop of its own and raw clients on loopback, all in one thread:
 * waiting for a client's bytes turns the loop. cmocka's asserts are used only outside callbacks. */
#ifndef TESTS_NET_HTTP_FIXTURE_H
#define TESTS_NET_HTTP_FIXTURE_H

/* cmocka.h wants these before it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "net/http1.h"
#include <stdbool.h>

enum { HELD_MAX = 64, CLIENT_GOT_MAX = 4 << 20, WAIT_MS = 10000 };

enum fixture_mode {
	ANSWER_ECHO,   /* at once: "GET /path?query body" */
	ANSWER_SHARED, /* at once: fixture.shared */
	ANSWER_LATER   /* into fixture.held */
};

struct fixture {
	uv_loop_t loop;
	struct http_server *server;
	struct http_server_conf conf;
	struct listener *listener;
	struct listener_conf listen_conf;
	uint16_t port;
	enum fixture_mode mode;
	bool keep;   /* held calls are kept */
	bool narrow; /* clients take little that they do not read */
	struct http_call *held[HELD_MAX];
	unsigned held_count, gone, released, limit_asked, requests;
	uint64_t body_limit;
	const char *shared;
	size_t shared_len;
	bool drained, closed;
};

struct client {
	struct fixture *f;
	int fd;
	char *got;
	size_t len, seen; /* received; taken by client_answer() */
	bool ended, reset;
};

struct answer {
	int status;
	const char *head, *body; /* NUL-terminated copies, freed by answer_done */
	size_t body_len;
	bool closes;
};

/* Starts with @f->conf (on_request and the body limit are filled in). */
void fixture_start(struct fixture *f);
/* Closes the server if it is open, and asserts that no handle is left. */
void fixture_stop(struct fixture *f);
/* Turns the loop until *@what is at least @least; fails the test after WAIT_MS. */
void fixture_until(struct fixture *f, const unsigned *what, unsigned least);
void fixture_until_true(struct fixture *f, const bool *what);
void fixture_turn(struct fixture *f); /* what is ready now */

void client_open(struct client *c, struct fixture *f);
void client_close(struct client *c);
void client_reset(struct client *c); /* RST */
void client_send(struct client *c, const void *from, size_t len); /* turns the loop as needed */
void client_say(struct client *c, const char *text);
void client_half_close(struct client *c);
void client_read(struct client *c);	 /* what is there */
void client_until_end(struct client *c); /* until the server closes */
/* The next answer; @head_only: to a HEAD request. */
struct answer client_answer(struct client *c, bool head_only);
void answer_done(struct answer *a);
/* The next answer is this one. */
void client_expect(struct client *c, int status, const char *body);
/* ... and the server closes behind it. */
void client_expect_last(struct client *c, int status, const char *body);

#endif
