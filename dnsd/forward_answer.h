/* forward_answer.h - what libunbound has found, put into the form a client gets. Forwarder's thread. */
#ifndef DNSD_FORWARD_ANSWER_H
#define DNSD_FORWARD_ANSWER_H

#include "dnsd/forward.h"
#include "dnsd/question.h"
#include "dnsd/unbound_late.h"

/* Fills in the answer's part of @q, whose question is @asked. DNSSEC's records stay for a client that wants them, the
 * question's name in the records is spelt as the client did. Whatever cannot be read is SERVFAIL. */
void forward_answer_fill(struct forward_query *q, const struct question *asked, const struct ub_result *result);
void forward_answer_fail(struct forward_query *q, uint16_t rcode, int ede, const char *text);

#endif
