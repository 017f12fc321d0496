/* payload.c - see payload.h. Wire format: https://protobuf.dev/programming-guides/encoding. Fields that
 * nobody knows are skipped; of a field that comes twice the last one counts. */
#include "api/payload.h"

#include "base/cursor.h"
#include <assert.h>
#include <string.h>

enum { WIRE_VARINT = 0, WIRE_64 = 1, WIRE_BYTES = 2, WIRE_32 = 5 };
enum { FIELD_METADATA = 2, FIELD_BODY = 3 };				     /* Payload */
enum { FIELD_TYPE = 3, FIELD_HEADERS = 7, FIELD_CLIENT_IP = 8 };	     /* Metadata */
enum { FIELD_KEY = 1, FIELD_VALUE = 2 };				     /* a map's entry, and Any */
#define TAG(field, wire) ((uint8_t)((field) << 3 | (wire)))

static uint64_t varint(struct cursor *c)
{
	uint64_t v = 0;
	for (unsigned shift = 0; shift < 64; shift += 7) {
		uint8_t b = cursor_u8(c);
		v |= (uint64_t)(b & 0x7f) << shift;
		if ((b & 0x80) == 0)
			return v;
	}
	c->failed = true;
	return 0;
}

/* The next field of bytes, its number in *@field; others are skipped. False: the end, or failed. */
static bool next_bytes(struct cursor *c, uint64_t *field, struct slice *ret)
{
	while (cursor_left(c) > 0) {
		uint64_t tag = varint(c), len;
		switch (tag & 7) {
		case WIRE_BYTES:
			len = varint(c);
			ret->at = (const char *)cursor_take(c, len > SIZE_MAX ? SIZE_MAX : (size_t)len);
			ret->len = (size_t)len;
			*field = tag >> 3;
			return ret->at != NULL;
		case WIRE_VARINT:
			varint(c);
			break;
		case WIRE_64:
			cursor_take(c, 8);
			break;
		case WIRE_32:
			cursor_take(c, 4);
			break;
		default:
			c->failed = true;
		}
	}
	return false;
}

static bool read_header(struct payload *p, struct slice entry)
{
	struct cursor c = cursor_of(entry.at, entry.len);
	struct slice key = { "", 0 }, value = { "", 0 }, part;
	uint64_t field;
	while (next_bytes(&c, &field, &part)) {
		if (field == FIELD_KEY)
			key = part;
		else if (field == FIELD_VALUE)
			value = part;
	}
	if (key.len == 3 && memcmp(key.at, "app", 3) == 0)
		p->app = value;
	return !c.failed;
}

static bool read_metadata(struct payload *p, struct slice metadata)
{
	struct cursor c = cursor_of(metadata.at, metadata.len);
	struct slice part;
	uint64_t field;
	while (next_bytes(&c, &field, &part)) {
		if (field == FIELD_TYPE)
			p->type = part;
		else if (field == FIELD_CLIENT_IP)
			p->client_ip = part;
		else if (field == FIELD_HEADERS && !read_header(p, part))
			return false;
	}
	return !c.failed;
}

static bool read_body(struct payload *p, struct slice any)
{
	struct cursor c = cursor_of(any.at, any.len);
	struct slice part;
	uint64_t field;
	while (next_bytes(&c, &field, &part))
		if (field == FIELD_VALUE)
			p->body = part;
	return !c.failed;
}

int payload_decode(struct payload *ret, const void *at, size_t len, struct error *err)
{
	struct cursor c = cursor_of(at, len);
	struct payload p = { { NULL, 0 }, { NULL, 0 }, { NULL, 0 }, { NULL, 0 } };
	struct slice part;
	uint64_t field;
	bool well = true;
	while (well && next_bytes(&c, &field, &part)) {
		if (field == FIELD_METADATA)
			well = read_metadata(&p, part);
		else if (field == FIELD_BODY)
			well = read_body(&p, part);
	}
	if (!well || c.failed)
		return error_set(err, E_INVALID, "the message is no Payload: %zu bytes cannot be read", len);
	if (p.type.at == NULL || p.type.len > PAYLOAD_TYPE_MAX)
		return error_set(err, E_INVALID, "the message has no type of at most %d bytes", PAYLOAD_TYPE_MAX);
	*ret = p;
	return E_OK;
}

static size_t varint_len(size_t v)
{
	size_t n = 1;
	for (; v > 0x7f; v >>= 7)
		n++;
	return n;
}

static uint8_t *varint_put(uint8_t *to, size_t v)
{
	for (; v > 0x7f; v >>= 7)
		*to++ = (uint8_t)(v | 0x80);
	*to++ = (uint8_t)v;
	return to;
}

size_t payload_head(uint8_t *to, const char *type, size_t body_len)
{
	size_t type_len = strlen(type);
	uint8_t *at = to;
	assert(type_len <= PAYLOAD_TYPE_MAX);
	*at++ = TAG(FIELD_METADATA, WIRE_BYTES);
	at = varint_put(at, 1 + varint_len(type_len) + type_len);
	*at++ = TAG(FIELD_TYPE, WIRE_BYTES);
	at = varint_put(at, type_len);
	memcpy(at, type, type_len);
	at += type_len;
	*at++ = TAG(FIELD_BODY, WIRE_BYTES);
	at = varint_put(at, 1 + varint_len(body_len) + body_len);
	*at++ = TAG(FIELD_VALUE, WIRE_BYTES);
	at = varint_put(at, body_len);
	return (size_t)(at - to);
}
