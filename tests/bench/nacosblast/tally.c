/* tally.c - see tally.h. */
#include "tally.h"

#include <stdio.h>
#include <string.h>

enum {
	ERRORS_SHOWN = 3, /* error bodies printed on stderr */
};

void hist_add(struct hist *h, uint64_t v)
{
	unsigned shift = v < 2 * HIST_STEPS ? 0 : 63 - 6 - (unsigned)__builtin_clzll(v);
	h->slots[shift * HIST_STEPS + (v >> shift)]++;
	h->count++;
	if (v > h->max)
		h->max = v;
}

uint64_t hist_at(const struct hist *h, double q)
{
	uint64_t rank = (uint64_t)(q * (double)h->count), seen = 0;
	if (rank >= h->count)
		rank = h->count ? h->count - 1 : 0;
	for (unsigned i = 0; i < HIST_SLOTS; i++) {
		seen += h->slots[i];
		if (seen <= rank)
			continue;
		unsigned shift = i < 2 * HIST_STEPS ? 0 : i / HIST_STEPS - 1;
		uint64_t top = ((uint64_t)(i - shift * HIST_STEPS + 1) << shift) - 1;
		return top < h->max ? top : h->max;
	}
	return h->max;
}

static const char *const error_names[ERR_KINDS] = {
	"connect", "closed", "status", "grpc", "result", "type", "empty", "protocol", "timeout",
};

void tally_error(struct tally *t, enum error_kind kind, const char *what, const void *body,
		 size_t len)
{
	t->errors[kind]++;
	if (t->shown >= ERRORS_SHOWN)
		return;
	t->shown++;
	fprintf(stderr, "nacosblast: error %s: %s%s", error_names[kind], what, body ? ": " : "");
	for (size_t i = 0; body != NULL && i < len && i < 400; i++) {
		unsigned char c = ((const unsigned char *)body)[i];
		fputc(c < ' ' || c == 127 ? '.' : c, stderr);
	}
	fputc('\n', stderr);
}

void tally_restart(struct tally *t)
{
	t->ops = t->bytes = t->sampled = t->hosts = 0;
	memset(&t->latency, 0, sizeof(t->latency));
}

uint64_t tally_errors(const struct tally *t)
{
	uint64_t sum = 0;
	for (unsigned i = 0; i < ERR_KINDS; i++)
		sum += t->errors[i];
	return sum;
}

void tally_print_errors(const struct tally *t)
{
	printf(" errors=%llu", (unsigned long long)tally_errors(t));
	for (unsigned i = 0; i < ERR_KINDS; i++)
		if (t->errors[i] > 0)
			printf(" err_%s=%llu", error_names[i], (unsigned long long)t->errors[i]);
	if (t->reconnects > 0)
		printf(" reconnects=%llu", (unsigned long long)t->reconnects);
}
