#include "questions.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

enum { HEADER = 12, OPTION_COOKIE = 10, TYPE_OPT = 41, NAME_MAX_WIRE = 255 };

static int type_number(const char *name)
{
	static const struct {
		const char *name;
		int number;
	} types[] = { { "A", 1 }, { "NS", 2 }, { "SOA", 6 }, { "PTR", 12 }, { "TXT", 16 }, { "AAAA", 28 },
		      { "SRV", 33 }, { "SVCB", 64 }, { "HTTPS", 65 }, { "ANY", 255 } };

	for (size_t i = 0; i < sizeof(types) / sizeof(*types); i++)
		if (strcasecmp(types[i].name, name) == 0)
			return types[i].number;
	return atoi(name);
}

static void put16(struct question *q, unsigned value)
{
	q->message[q->len++] = (uint8_t)(value >> 8);
	q->message[q->len++] = (uint8_t)value;
}

/* An OPT record without options; its RDLENGTH is the message's last two octets. */
static void add_opt(struct question *q)
{
	q->message[11] = 1;
	q->message[q->len++] = 0;
	put16(q, TYPE_OPT);
	put16(q, 1232);
	put16(q, 0);
	put16(q, 0);
	put16(q, 0);
}

static void add_cookie(struct question *q, const uint8_t *cookie, size_t len)
{
	uint8_t *rdlength = q->message + q->len - 2;

	put16(q, OPTION_COOKIE);
	put16(q, (unsigned)len);
	memcpy(q->message + q->len, cookie, len);
	q->len = (uint16_t)(q->len + len);
	rdlength[1] = (uint8_t)(4 + len);
}

static int question_encode(struct question *q, const char *name, int type, enum edns edns)
{
	memset(q, 0, sizeof(*q));
	q->message[5] = 1;
	q->len = HEADER;
	while (*name != '\0') {
		size_t len = strcspn(name, ".");

		if (len == 0 || len > 63 || q->len + len + 2 > HEADER + NAME_MAX_WIRE)
			return -1;
		q->message[q->len++] = (uint8_t)len;
		memcpy(q->message + q->len, name, len);
		q->len = (uint16_t)(q->len + len);
		name += len + (name[len] == '.');
	}
	q->message[q->len++] = 0;
	put16(q, (unsigned)type);
	put16(q, 1);
	if (edns != EDNS_NONE)
		add_opt(q);
	return 0;
}

void questions_read(struct questions *ret, const char *path, enum edns edns)
{
	char line[512], name[300], type[32];
	FILE *file = fopen(path, "r");
	size_t room = 0;

	*ret = (struct questions){ 0 };
	while (file != NULL && fgets(line, sizeof(line), file) != NULL) {
		if (sscanf(line, "%299s %31s", name, type) != 2)
			continue;
		if (ret->count == room) {
			room = room > 0 ? room * 2 : 4096;
			ret->list = realloc(ret->list, room * sizeof(*ret->list));
			if (ret->list == NULL)
				abort();
		}
		ret->count += question_encode(&ret->list[ret->count], name, type_number(type), edns) == 0;
	}
	if (ret->count == 0) {
		fprintf(stderr, "%s: no questions\n", path);
		exit(2);
	}
	fclose(file);
}

/* The cookie option of an answer to @q: its OPT record is the last one. NULL: there is none. */
static const uint8_t *find_cookie(const uint8_t *message, size_t len, size_t *ret_len)
{
	for (size_t at = HEADER; at + 4 + COOKIE_CLIENT <= len; at++) {
		size_t option_len = (size_t)message[at + 2] << 8 | message[at + 3];

		if (message[at] == 0 && message[at + 1] == OPTION_COOKIE && option_len >= 16 &&
		    option_len <= COOKIE_MAX && at + 4 + option_len == len) {
			*ret_len = option_len;
			return message + at + 4;
		}
	}
	return NULL;
}

static size_t ask_cookie(const struct question *first, const struct sockaddr_in *server, uint8_t *cookie)
{
	struct timeval limit = { 1, 0 };
	struct question q = *first;
	uint8_t answer[4096];
	size_t len = 0;
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	add_cookie(&q, cookie, COOKIE_CLIENT);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	if (connect(fd, (const struct sockaddr *)server, sizeof(*server)) == 0 && send(fd, q.message, q.len, 0) > 0) {
		ssize_t got = recv(fd, answer, sizeof(answer), 0);
		const uint8_t *found = got > 0 ? find_cookie(answer, (size_t)got, &len) : NULL;

		if (found != NULL && memcmp(found, cookie, COOKIE_CLIENT) == 0)
			memcpy(cookie, found, len);
		else
			len = 0;
	}
	close(fd);
	return len;
}

size_t questions_learn_cookie(struct questions *qs, const struct sockaddr_in *server)
{
	uint8_t cookie[COOKIE_MAX];
	size_t len;

	if (getrandom(cookie, sizeof(cookie), 0) != sizeof(cookie))
		abort();
	len = ask_cookie(&qs->list[0], server, cookie);
	for (size_t i = 0; i < qs->count; i++)
		add_cookie(&qs->list[i], cookie, len > 0 ? len : 24);
	return len > 0 ? len - COOKIE_CLIENT : 0;
}
