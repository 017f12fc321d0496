/* label.c - registry string <-> DNS label (dns.md 1.4). Pure functions; any thread, no heap. */
#define OPENSSL_SUPPRESS_DEPRECATED /* the one-call digests of OpenSSL 3 take heap and may fail */
#include "zones/label.h"
#include <openssl/sha.h>
#include <stdbool.h>
#include <string.h>

enum { SLUG_MAX = 24, HASH_TEXT = 32, HASH_BYTES = 20, ESCAPED_MAX = LABEL_MAX - 4 };

static const struct synonym {
	enum label_kind kind;
	const char *raw, *label;
} synonyms[] = {
	{ LABEL_NAMESPACE, "public", "public" },
	{ LABEL_GROUP, "DEFAULT_GROUP", "default" },
	{ LABEL_CLUSTER, "DEFAULT", "default" },
};

static const struct punctuation {
	char raw, code;
} punctuations[] = {
	{ '-', 'h' }, { '.', 'o' }, { '_', 'u' }, { ':', 'k' }, { '/', 's' }, { '@', 'm' }, { '#', 'n' },
};
enum { PUNCTUATIONS = sizeof(punctuations) / sizeof(punctuations[0]) };

static bool is_lower(char c)
{
	return c >= 'a' && c <= 'z';
}

static bool is_upper(char c)
{
	return c >= 'A' && c <= 'Z';
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static const struct synonym *synonym_of(enum label_kind kind)
{
	for (size_t i = 0; i < sizeof(synonyms) / sizeof(synonyms[0]); i++)
		if (synonyms[i].kind == kind)
			return &synonyms[i];
	return NULL;
}

static bool same(const char *text, const char *s, size_t len)
{
	return strlen(text) == len && memcmp(text, s, len) == 0;
}

/* Tier 1 but for synonyms. */
static bool plain_shape(const char *s, size_t len)
{
	if (len < 1 || len > LABEL_MAX || s[0] == '-' || s[len - 1] == '-')
		return false;
	for (size_t i = 0; i < len; i++)
		if (!is_lower(s[i]) && !is_digit(s[i]) && s[i] != '-')
			return false;
	/* octets 3-4, and 2-3, which become 3-4 behind the "_" of a service label */
	if (len >= 4 && s[2] == '-' && s[3] == '-')
		return false;
	if (len >= 3 && s[1] == '-' && s[2] == '-')
		return false;
	return len < 4 || (s[0] != 'e' && s[0] != 'h') || memcmp(s + 1, "-1-", 3) != 0;
}

/* Bounded text under way: @full once is full for good. */
struct payload {
	char *text;
	size_t len, cap;
	bool full;
};

static void payload_put(struct payload *p, const char *s, size_t n)
{
	if (p->full || n > p->cap - p->len) {
		p->full = true;
		return;
	}
	memcpy(p->text + p->len, s, n);
	p->len += n;
}

static void put_octet(struct payload *p, char c)
{
	static const char hex[] = "0123456789abcdef";
	uint8_t octet = (uint8_t)c;
	for (size_t i = 0; i < PUNCTUATIONS; i++)
		if (punctuations[i].raw == c) {
			payload_put(p, (char[]){ '-', punctuations[i].code }, 2);
			return;
		}
	payload_put(p, (char[]){ '-', 'x', hex[octet >> 4], hex[octet & 15] }, 4);
}

/* @run capital letters; @last: they end the string. */
static void put_capitals(struct payload *p, const char *s, size_t run, bool last)
{
	if (run >= 3)
		payload_put(p, "-w", 2);
	for (size_t i = 0; i < run && !p->full; i++) {
		if (run < 3)
			payload_put(p, "-q", 2);
		payload_put(p, (char[]){ (char)(s[i] + ('a' - 'A')) }, 1);
	}
	if (run >= 3 && !last)
		payload_put(p, "-w", 2);
}

/* The payload of tier 2; 0: does not fit (or nothing to write). */
static size_t escape(char ret[ESCAPED_MAX], const char *s, size_t len)
{
	struct payload p = { ret, 0, ESCAPED_MAX, false };
	for (size_t i = 0; i < len && !p.full;) {
		size_t run = 0;
		while (i + run < len && is_upper(s[i + run]))
			run++;
		if (run > 0)
			put_capitals(&p, s + i, run, i + run == len);
		else if (is_lower(s[i]) || is_digit(s[i]))
			payload_put(&p, s + i, 1);
		else
			put_octet(&p, s[i]);
		i += run > 0 ? run : 1;
	}
	return p.full ? 0 : p.len;
}

static void hash_text(char ret[HASH_TEXT], enum label_kind kind, const char *s, size_t len)
{
	static const char alphabet[] = "0123456789abcdefghijklmnopqrstuv";
	static const char *const words[] = { "namespace", "group", "service", "cluster", "value" };
	uint8_t digest[SHA256_DIGEST_LENGTH];
	SHA256_CTX sha;
	SHA256_Init(&sha);
	SHA256_Update(&sha, words[kind], strlen(words[kind]) + 1); /* with its NUL */
	SHA256_Update(&sha, s, len);
	SHA256_Final(digest, &sha);
	for (size_t i = 0; i < HASH_TEXT; i++) {
		size_t bit = i * 5;
		unsigned pair = (unsigned)digest[bit / 8] << 8;
		pair |= bit / 8 + 1 < HASH_BYTES ? digest[bit / 8 + 1] : 0;
		ret[i] = alphabet[pair >> (11 - bit % 8) & 31];
	}
}

static size_t slug(char ret[SLUG_MAX], const char *s, size_t len)
{
	size_t n = 0;
	for (size_t i = 0; i < len && n < SLUG_MAX; i++) {
		char c = is_upper(s[i]) ? (char)(s[i] + ('a' - 'A')) : s[i];
		if (is_lower(c) || is_digit(c))
			ret[n++] = c;
		else if (n > 0 && ret[n - 1] != '-')
			ret[n++] = '-';
	}
	while (n > 0 && ret[n - 1] == '-')
		n--;
	if (n == 0)
		ret[n++] = 'x';
	return n;
}

static void label_set(struct label *ret, const char *s, size_t len)
{
	memcpy(ret->text, s, len);
	ret->text[len] = '\0';
	ret->len = (uint8_t)len;
}

void label_encode_short(struct label *ret, enum label_kind kind, const char *s, size_t len)
{
	char text[LABEL_MAX];
	memcpy(text, "h-1-", 4);
	hash_text(text + 4, kind, s, len);
	label_set(ret, text, 4 + HASH_TEXT);
}

enum label_tier label_encode(struct label *ret, enum label_kind kind, const char *s, size_t len)
{
	const struct synonym *synonym = synonym_of(kind);
	char text[LABEL_MAX];
	if (synonym != NULL && (len == 0 || same(synonym->raw, s, len))) {
		label_set(ret, synonym->label, strlen(synonym->label));
		return LABEL_PLAIN;
	}
	if (plain_shape(s, len) && (synonym == NULL || !same(synonym->label, s, len))) {
		label_set(ret, s, len);
		return LABEL_PLAIN;
	}
	size_t n = escape(text + 4, s, len);
	if (n > 0) {
		memcpy(text, "e-1-", 4);
		label_set(ret, text, 4 + n);
		return LABEL_ESCAPED;
	}
	memcpy(text, "h-1-", 4);
	n = 4 + slug(text + 4, s, len);
	text[n++] = '-';
	hash_text(text + n, kind, s, len);
	label_set(ret, text, n + HASH_TEXT);
	return LABEL_HASHED;
}

static int hex_digit(char c)
{
	return is_digit(c) ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* One escape behind its "-", at @s of @len octets. Returns the octets used, 0: malformed. */
static size_t unescape_one(struct payload *p, bool *capitals, const char *s, size_t len)
{
	if (len >= 1 && s[0] == 'w') {
		*capitals = !*capitals;
		return 1;
	}
	if (*capitals)
		return 0;
	if (len >= 2 && s[0] == 'q' && is_lower(s[1])) {
		payload_put(p, (char[]){ (char)(s[1] - ('a' - 'A')) }, 1);
		return 2;
	}
	if (len >= 3 && s[0] == 'x' && hex_digit(s[1]) >= 0 && hex_digit(s[2]) >= 0) {
		payload_put(p, (char[]){ (char)(hex_digit(s[1]) << 4 | hex_digit(s[2])) }, 1);
		return 3;
	}
	for (size_t i = 0; i < PUNCTUATIONS && len >= 1; i++)
		if (punctuations[i].code == s[0]) {
			payload_put(p, &punctuations[i].raw, 1);
			return 1;
		}
	return 0;
}

/* The string of a tier 2 payload; 0: malformed. Whether it is canonical the caller finds by encoding again. */
static size_t unescape(char ret[LABEL_MAX], const char *s, size_t len)
{
	struct payload p = { ret, 0, LABEL_MAX, false };
	bool capitals = false;
	for (size_t i = 0; i < len;) {
		if (s[i] != '-') {
			if (capitals && !is_lower(s[i]))
				return 0;
			char c = capitals ? (char)(s[i] - ('a' - 'A')) : s[i];
			payload_put(&p, &c, 1);
			i++;
			continue;
		}
		size_t used = unescape_one(&p, &capitals, s + i + 1, len - i - 1);
		if (used == 0)
			return 0;
		i += 1 + used;
	}
	return p.full ? 0 : p.len;
}

static int decode_to(char *ret, size_t cap, const char *s, size_t len)
{
	if (len >= cap)
		return E_RANGE;
	memcpy(ret, s, len);
	ret[len] = '\0';
	return E_OK;
}

int label_decode(char *ret, size_t cap, enum label_kind kind, const char *label, size_t len)
{
	const struct synonym *synonym = synonym_of(kind);
	if (len < 1 || len > LABEL_MAX)
		return E_INVALID;
	if (len >= 4 && memcmp(label, "h-1-", 4) == 0)
		return E_UNSUPPORTED;
	if (len >= 4 && memcmp(label, "e-1-", 4) == 0) {
		char raw[LABEL_MAX];
		struct label again;
		size_t n = unescape(raw, label + 4, len - 4);
		if (n == 0 || memchr(raw, '\0', n) != NULL)
			return E_INVALID;
		/* one object, one canonical label */
		if (label_encode(&again, kind, raw, n) != LABEL_ESCAPED || again.len != len ||
		    memcmp(again.text, label, len) != 0)
			return E_INVALID;
		return decode_to(ret, cap, raw, n);
	}
	if (!plain_shape(label, len))
		return E_INVALID;
	if (synonym != NULL && same(synonym->label, label, len))
		return decode_to(ret, cap, synonym->raw, strlen(synonym->raw));
	return decode_to(ret, cap, label, len);
}
