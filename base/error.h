/* error.h - one failure: a code to act on and a sentence to read. The layer that knows the fact
 * writes the sentence once (error_set), layers above add where (error_wrap); only the edge logs it
 * or turns it into a status. Any thread; a struct error belongs to its caller. */
#ifndef BASE_ERROR_H
#define BASE_ERROR_H

#include <stdarg.h>
#include <stddef.h>

enum errcode {
	E_OK = 0,
	E_NOMEM = -1,	    /* memory refused */
	E_MISSING = -2,	    /* a required value is not there */
	E_INVALID = -3,	    /* malformed: cannot be read at all */
	E_RANGE = -4,	    /* readable, but outside its limits */
	E_NOTFOUND = -5,    /* the thing named does not exist */
	E_EXISTS = -6,	    /* it exists already */
	E_CONFLICT = -7,    /* the state forbids it */
	E_LIMIT = -8,	    /* a counted limit is reached */
	E_IO = -9,	    /* the system refused: errno is in the text */
	E_FULL = -10,	    /* no space, or read-only */
	E_UNAVAILABLE = -11, /* not now: starting, stopping, engine away */
	E_TIMEOUT = -12,
	E_CLOSED = -13,
	E_UNSUPPORTED = -14, /* known, but not built */
	E_DENIED = -15,
	E_INTERNAL = -16,
};

enum { ERROR_TEXT_MAX = 320 };

struct error {
	int code;  /* enum errcode */
	int what;  /* finer class of the domain that set it (registry/failure.h), 0: none */
	char text[ERROR_TEXT_MAX];
};

/* Both return @code, so that `return error_set(err, E_RANGE, ...)` reads well. @err may be NULL. */
int error_set(struct error *err, int code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
int error_set_what(struct error *err, int code, int what, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
/* Puts "where: " in front of the text; @code and @what stay those of the cause. */
int error_wrap(struct error *err, int code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* E_IO, or E_NOMEM/E_FULL/E_DENIED for such an @errnum, with strerror behind the text. */
int error_set_errno(struct error *err, int errnum, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
const char *error_code_name(int code); /* "E_RANGE" */

#endif
