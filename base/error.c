/* error.c - see error.h. No memory but the caller's struct is touched. */
#include "base/error.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>

static int set_v(struct error *err, int code, int what, const char *format, va_list args)
    __attribute__((format(printf, 4, 0)));

static int set_v(struct error *err, int code, int what, const char *format, va_list args)
{
	if (err == NULL)
		return code;
	err->code = code;
	err->what = what;
	vsnprintf(err->text, sizeof(err->text), format, args);
	return code;
}

int error_set(struct error *err, int code, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	set_v(err, code, 0, format, args);
	va_end(args);
	return code;
}

int error_set_what(struct error *err, int code, int what, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	set_v(err, code, what, format, args);
	va_end(args);
	return code;
}

/* Too long a sentence is cut at its end: the place, which comes first, is what a reader needs. */
int error_wrap(struct error *err, int code, const char *format, ...)
{
	char where[ERROR_TEXT_MAX]; /* aside first: the caller may quote err->text itself */
	if (err == NULL)
		return code;
	va_list args;
	va_start(args, format);
	int n = vsnprintf(where, sizeof(where), format, args);
	va_end(args);
	size_t at = n < 0 ? 0 : (size_t)n;
	if (at > sizeof(where) - 3)
		at = sizeof(where) - 3;
	err->text[sizeof(err->text) - 1] = '\0';
	memmove(err->text + at + 2, err->text, sizeof(err->text) - at - 3);
	memcpy(err->text, where, at);
	memcpy(err->text + at, ": ", 2);
	err->text[sizeof(err->text) - 1] = '\0';
	if (err->code == E_OK)
		err->code = code;
	return code;
}

static int errno_code(int errnum)
{
	switch (errnum) {
	case ENOMEM:
		return E_NOMEM;
	case ENOSPC:
	case EDQUOT:
	case EROFS:
		return E_FULL;
	case EACCES:
	case EPERM:
		return E_DENIED;
	default:
		return E_IO;
	}
}

int error_set_errno(struct error *err, int errnum, const char *format, ...)
{
	int code = errno_code(errnum);
	if (err == NULL)
		return code;
	va_list args;
	va_start(args, format);
	set_v(err, code, 0, format, args);
	va_end(args);
	char why[128];
	size_t at = strlen(err->text);
	/* The GNU strerror_r: it may or may not use the buffer. */
	snprintf(err->text + at, sizeof(err->text) - at, ": %s",
		 strerror_r(errnum, why, sizeof(why)));
	return code;
}

const char *error_code_name(int code)
{
	static const char *const names[] = {
		"E_OK",	      "E_NOMEM",    "E_MISSING",     "E_INVALID", "E_RANGE", "E_NOTFOUND",
		"E_EXISTS",   "E_CONFLICT", "E_LIMIT",	     "E_IO",	  "E_FULL",  "E_UNAVAILABLE",
		"E_TIMEOUT",  "E_CLOSED",   "E_UNSUPPORTED", "E_DENIED",  "E_INTERNAL",
	};
	if (code > 0 || code <= -(int)(sizeof(names) / sizeof(names[0])))
		return "E_?";
	return names[-code];
}
