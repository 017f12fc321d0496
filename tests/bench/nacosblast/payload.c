/* payload.c - see payload.h. */
#include "payload.h"

#include <string.h>

/* message Metadata { string type = 3; string clientIp = 8; map<string, string> headers = 7; }
 * message Payload { Metadata metadata = 2; google.protobuf.Any body = 3; }; Any.value = 2
 * In gRPC framing: a zero byte and a big-endian length of four before it. */
enum {
	TAG_METADATA = 0x12,
	TAG_BODY = 0x1a,
	TAG_TYPE = 0x1a,
	TAG_HEADERS = 0x3a,
	TAG_CLIENT_IP = 0x42,
	TAG_KEY = 0x0a,
	TAG_VALUE = 0x12,
	FRAME_HEAD = 5
};

static size_t varint_len(uint64_t v)
{
	size_t n = 1;
	while (v >>= 7)
		n++;
	return n;
}

static void put_varint(struct buf *b, uint64_t v)
{
	for (; v > 127; v >>= 7)
		buf_byte(b, (uint8_t)(v | 128));
	buf_byte(b, (uint8_t)v);
}

static void put_field(struct buf *b, uint8_t tag, const void *from, size_t n)
{
	buf_byte(b, tag);
	put_varint(b, n);
	buf_put(b, from, n);
}

static size_t field_len(size_t n)
{
	return 1 + varint_len(n) + n;
}

void put_payload(struct buf *b, const char *type, const struct buf *body, const char *token)
{
	static const char ip[] = "127.0.0.1";
	size_t entry = token ? field_len(11) + field_len(strlen(token)) : 0;
	size_t metadata =
	    field_len(strlen(type)) + field_len(sizeof(ip) - 1) + (token ? field_len(entry) : 0);
	size_t any = field_len(buf_left(body));
	size_t total = field_len(metadata) + field_len(any);
	uint8_t head[FRAME_HEAD] = { 0, (uint8_t)(total >> 24), (uint8_t)(total >> 16),
				     (uint8_t)(total >> 8), (uint8_t)total };
	buf_reserve(b, total + FRAME_HEAD);
	buf_put(b, head, sizeof(head));
	buf_byte(b, TAG_METADATA);
	put_varint(b, metadata);
	put_field(b, TAG_TYPE, type, strlen(type));
	if (token) {
		buf_byte(b, TAG_HEADERS);
		put_varint(b, entry);
		put_field(b, TAG_KEY, "accessToken", 11);
		put_field(b, TAG_VALUE, token, strlen(token));
	}
	put_field(b, TAG_CLIENT_IP, ip, sizeof(ip) - 1);
	buf_byte(b, TAG_BODY);
	put_varint(b, any);
	put_field(b, TAG_VALUE, buf_head(body), buf_left(body));
}

/* A borrowed run of bytes being read; once a read has failed, all later ones do. */
struct cursor {
	const uint8_t *at, *end;
	bool failed;
};

static uint64_t cursor_varint(struct cursor *c)
{
	uint64_t v = 0;
	for (unsigned shift = 0; shift < 64 && c->at < c->end; shift += 7) {
		uint8_t byte = *c->at++;
		v |= (uint64_t)(byte & 127) << shift;
		if (byte < 128)
			return v;
	}
	c->failed = true;
	return 0;
}

/* The next field's tag, its bytes in *@ret (empty for numbers); 0 at the end or where it failed. */
static uint64_t cursor_field(struct cursor *c, struct cursor *ret)
{
	if (c->failed || c->at == c->end)
		return 0;
	uint64_t tag = cursor_varint(c);
	uint64_t len = 0;
	if ((tag & 7) == 0)
		cursor_varint(c);
	else if ((tag & 7) == 1 || (tag & 7) == 5)
		len = (tag & 7) == 1 ? 8 : 4;
	else if ((tag & 7) == 2)
		len = cursor_varint(c);
	else
		c->failed = true;
	if (c->failed || len > (uint64_t)(c->end - c->at)) {
		c->failed = true;
		return 0;
	}
	*ret = (struct cursor){ c->at, c->at + len, false };
	c->at += len;
	return tag;
}

/* One payload without its frame. False: not a Payload. */
static bool payload_decode(const uint8_t *from, size_t len, struct payload *ret)
{
	struct cursor c = { from, from + len, false }, part, inner;
	struct payload p = { "", "", 0, 0 };
	for (uint64_t tag; (tag = cursor_field(&c, &part)) != 0;) {
		if (tag != TAG_METADATA && tag != TAG_BODY)
			continue;
		for (uint64_t sub; (sub = cursor_field(&part, &inner)) != 0;) {
			size_t n = (size_t)(inner.end - inner.at);
			if (tag == TAG_METADATA && sub == TAG_TYPE) {
				p.type = (const char *)inner.at;
				p.type_len = n;
			} else if (tag == TAG_BODY && sub == TAG_VALUE) {
				p.body = (const char *)inner.at;
				p.body_len = n;
			}
		}
		c.failed |= part.failed;
	}
	if (c.failed)
		return false;
	*ret = p;
	return true;
}

bool payload_is(const struct payload *p, const char *type)
{
	return p->type_len == strlen(type) && memcmp(p->type, type, p->type_len) == 0;
}

int message_take(const struct buf *in, struct payload *ret, size_t *ret_total)
{
	const uint8_t *at = buf_head(in);
	if (buf_left(in) < FRAME_HEAD)
		return PARSE_MORE;
	size_t len = (size_t)at[1] << 24 | (size_t)at[2] << 16 | (size_t)at[3] << 8 | at[4];
	if (at[0] != 0 || len > MESSAGE_MAX)
		return PARSE_BAD;
	if (buf_left(in) - FRAME_HEAD < len)
		return PARSE_MORE;
	*ret_total = FRAME_HEAD + len;
	return payload_decode(at + FRAME_HEAD, len, ret) ? PARSE_WHOLE : PARSE_BAD;
}
