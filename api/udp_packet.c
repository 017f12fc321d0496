/* udp_packet.c - see udp_packet.h. */
#include "api/udp_packet.h"

#include "base/json_cursor.h"
#include "base/mem.h"
#include <string.h>
#include <zlib.h>

static void *zip_alloc(void *arg, unsigned count, unsigned size)
{
	(void)arg;
	return mem_zalloc(count, size);
}

static void zip_free(void *arg, void *at)
{
	(void)arg;
	mem_free(at);
}

enum { GZIP_WRAP = 16, GZIP_MEMORY = 8 };

/* All of @plain behind what is in @to, as gzip of at most UDP_PACKET_MAX bytes. */
static bool zip(struct text *to, const struct text *plain)
{
	z_stream z = { .zalloc = zip_alloc, .zfree = zip_free };
	/* Small ones are worth the time: the Go client takes 4 KB. */
	int level = plain->len < 64 * 1024 ? Z_DEFAULT_COMPRESSION : Z_BEST_SPEED;
	if (!text_reserve(to, UDP_PACKET_MAX) ||
	    deflateInit2(&z, level, Z_DEFLATED, MAX_WBITS + GZIP_WRAP, GZIP_MEMORY, Z_DEFAULT_STRATEGY) != Z_OK)
		return false;
	z.next_in = (Bytef *)plain->at;
	z.avail_in = (uInt)plain->len;
	z.next_out = (Bytef *)to->at + to->len;
	z.avail_out = UDP_PACKET_MAX;
	bool whole = deflate(&z, Z_FINISH) == Z_STREAM_END;
	if (whole)
		to->len += UDP_PACKET_MAX - z.avail_out;
	to->at[to->len] = '\0';
	deflateEnd(&z);
	return whole;
}

bool udp_packet_write(struct text *to, struct text *scratch, const char *info, size_t len, uint64_t ref)
{
	struct text *plain = scratch;
	if (len > UDP_PLAIN_MAX)
		return false;
	text_clear(plain);
	json_open(plain, '{');
	json_kv_str(plain, "type", "dom");
	json_key(plain, "data");
	json_strn(plain, info, len);
	json_key(plain, "lastRefTime");
	json_u64(plain, ref);
	json_close(plain, '}');
	if (plain->failed)
		return false;
	if (plain->len >= UDP_GZIP_FROM)
		return zip(to, plain);
	if (!text_reserve(to, plain->len))
		return false;
	text_put(to, plain->at, plain->len);
	return true;
}

enum { REF_DIGITS = 16 };
static const int64_t REF_MAX = 9007199254740991; /* what Node can say */

/* As text (Java, Go) or as a number (Node). */
static uint64_t ref_of(const struct json_value *v)
{
	uint64_t ref = 0;
	if (v->type == JSON_NUMBER)
		return v->integer > 0 && v->integer <= REF_MAX ? (uint64_t)v->integer : 0;
	if (v->type != JSON_STRING || v->text_len > REF_DIGITS)
		return 0;
	for (size_t i = 0; i < v->text_len; i++) {
		if (v->text[i] < '0' || v->text[i] > '9')
			return 0;
		ref = ref * 10 + (uint64_t)(v->text[i] - '0');
	}
	return ref;
}

uint64_t udp_ack_read(const char *datagram, size_t len)
{
	_Alignas(16) char first[2 * UDP_ACK_MAX];
	struct cursor c = cursor_of(datagram, len);
	struct json_value all, v;
	struct arena mem;
	bool is_ack = false;
	uint64_t ref = 0;
	arena_init(&mem, first, sizeof(first), sizeof(first));
	bool whole = json_begin(&c, &mem, &all) && all.type == JSON_OBJECT;
	while (whole && (json_next(&all.inner, &mem, &v), v.type != JSON_END)) {
		if (strcmp(v.key, "type") == 0)
			is_ack = v.type == JSON_STRING && strcmp(v.text, "push-ack") == 0;
		else if (strcmp(v.key, "lastRefTime") == 0)
			ref = ref_of(&v);
	}
	arena_done(&mem);
	return whole && is_ack && !all.inner.failed ? ref : 0;
}
