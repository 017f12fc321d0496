/* fuzz_question.c - arbitrary bytes to the reader of questions, as a datagram and as a stream's message. What it
 * accepts must have been right, by a second, slower reading. */
#include "dnsd/question.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static void trap_if(bool wrong, const char *what)
{
	if (!wrong)
		return;
	fprintf(stderr, "fuzz_question: %s\n", what);
	abort();
}

static void name_check(const struct dns_query *q, const uint8_t *msg, size_t size)
{
	trap_if(q->qname != msg + 12 || q->qname_len < 1 || q->qname_len > 255, "a name out of place");
	trap_if(12u + q->qname_len + 4u > size, "a question longer than its message");
	size_t at = 0;
	unsigned labels = 0;
	while (q->qname[at] != 0) {
		trap_if(q->qname[at] > 63, "a pointer was taken for a label");
		trap_if(q->label_at[labels] != at, "a label has another offset");
		labels++;
		at += 1u + q->qname[at];
	}
	trap_if(at + 1 != q->qname_len || labels != q->labels, "another end of the name");
	for (size_t i = 0; i < q->qname_len; i++) {
		uint8_t b = q->qname[i];
		trap_if(q->name[i] != (b >= 'A' && b <= 'Z' ? b + 32 : b), "folded wrongly");
	}
	for (size_t i = 0; i < 8; i++)
		trap_if(q->name[q->qname_len + i] != 0, "no zeros behind the name");
}

static void decode(const uint8_t *bytes, size_t size, bool stream)
{
	struct question q;
	memset(&q, 0xa5, sizeof(q));
	enum question_fate fate = question_decode(&q, bytes, size, stream);
	if (size < 12 || (bytes[2] & 0x80) != 0) {
		trap_if(fate != QUESTION_DROP, "what is no query was not dropped");
		return;
	}
	trap_if(fate == QUESTION_DROP, "a query was dropped");
	trap_if(12u + q.question_len > size, "a question echoed from beyond the message");
	if (q.question_len > 0)
		name_check(&q.query, bytes, size);
	if (fate == QUESTION_REPLY) {
		trap_if(q.rcode > RCODE_BADVERS, "an unknown RCODE");
		return;
	}
	trap_if(q.question_len != q.query.qname_len + 4, "asked without a question");
	trap_if((bytes[2] & 0x78) != 0 || bytes[4] != 0 || bytes[5] != 1, "asked with an odd header");
	const uint8_t *type = bytes + 12 + q.query.qname_len;
	bool version = type[0] == 0 && type[1] == RR_IXFR; /* the SOA that the client has */
	trap_if(bytes[6] != 0 || bytes[7] != 0 || bytes[8] != 0 || bytes[9] > version, "asked with answers");
	unsigned qclass = q.query.qclass;
	trap_if(fate == QUESTION_CHAOS ? qclass != 3 : qclass != 1 && qclass != 255, "asked of another class");
	trap_if(q.query.stream != stream, "the transport was forgotten");
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	decode(bytes, size, false);
	decode(bytes, size, true);
	return 0;
}
