/* data_dir.h - the directory of the store: made, and checked for whom it belongs to, before anything is opened in it.
 * Main thread, at start. */
#ifndef MUSTERD_DATA_DIR_H
#define MUSTERD_DATA_DIR_H

#include "musterd/privileges.h"

/* Makes @path if it is not there (its parent must be), for @owner (NULL: who runs this). E_DENIED: it, or a file in it,
 * is not the owner's, and the text says what to do; E_INVALID: no directory; E_IO. */
int data_dir_prepare(const char *path, const struct account *owner, struct error *err);

#endif
