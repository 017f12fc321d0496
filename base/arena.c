/* arena.c - see arena.h. Heap blocks grow by doubling, so a request of n bytes costs log n of them; a
 * block too big for its turn stands alone behind the current one. */
#include "base/arena.h"
#include "base/mem.h"
#include <stdalign.h>
#include <stdarg.h>
#include <stdbool.h>
