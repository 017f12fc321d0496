/* config_wait.h - long polls of configuration clients that are under way; see config_wait.c. */
#ifndef API_CONFIG_WAIT_H
#define API_CONFIG_WAIT_H

struct io;
/* All are answered now: the thread is about to end. */
void config_waits_end(struct io *io);

#endif
