/* settings_file.h - the lines of an INI file: [section], key = value, comments behind # or ;. A small reader of
 * our own: the packaged inih knows no line numbers, cuts section names at 49 bytes and splits lines at 200. */
#ifndef MUSTERD_SETTINGS_FILE_H
#define MUSTERD_SETTINGS_FILE_H

#include "base/error.h"

enum { SETTINGS_LINE_MAX = 4096 };

struct settings_reader {
	void (*on_section)(void *arg, const char *section, unsigned line);
	void (*on_value)(void *arg, const char *section, const char *key, const char *value, unsigned line);
	void (*on_bad_line)(void *arg, const char *why, unsigned line);
	void *arg;
};

/* Texts are borrowed for the call. E_NOTFOUND: no such file; E_IO, E_DENIED. */
int settings_file_read(const char *path, const struct settings_reader *reader, struct error *err);

#endif
