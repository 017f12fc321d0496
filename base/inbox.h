/* inbox.h - messages from any thread to one loop. A posted message has a new owner. One wake-up per
 * batch; a batch is delivered in the order of posting. */
#ifndef BASE_INBOX_H
#define BASE_INBOX_H

#include <uv.h>

struct inbox_message {
	struct inbox_message *next;
};
struct inbox;
/* Called on the loop with the whole batch, linked by next, oldest first, @count of them. The
 * receiver owns them and may reuse next. */
typedef void inbox_deliver_fn(void *arg, struct inbox_message *first, unsigned count);

int inbox_open(struct inbox **ret, uv_loop_t *loop, inbox_deliver_fn *deliver, void *arg);
void inbox_post(struct inbox *i, struct inbox_message *m); /* any thread */
void inbox_post_list(struct inbox *i, struct inbox_message *first, struct inbox_message *last);
unsigned inbox_depth(const struct inbox *i); /* posted, not yet delivered; any thread */
/* After this nothing may be posted; what is in it is delivered first; then @on_closed. */
void inbox_close(struct inbox *i, void (*on_closed)(void *arg), void *arg);
uv_loop_t *inbox_loop(const struct inbox *i);

#endif
