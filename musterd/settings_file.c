/* settings_file.c - see settings_file.h. */
#include "musterd/settings_file.h"
#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

struct file {
	const struct settings_reader *reader;
	char section[256];
	bool skip; /* the section's line was bad: so would be each of its keys */
	unsigned line;
};

/* Without blanks around it, in place. */
static char *trim(char *text)
{
	while (isspace((unsigned char)*text))
		text++;
	size_t len = strlen(text);
	while (len > 0 && isspace((unsigned char)text[len - 1]))
		len--;
	text[len] = '\0';
	return text;
}

/* A comment starts the line or stands behind a blank, so "a;b" is a value. */
static void cut_comment(char *text)
{
	for (char *at = text; *at != '\0'; at++)
		if ((*at == ';' || *at == '#') && (at == text || isspace((unsigned char)at[-1]))) {
			*at = '\0';
			return;
		}
}

static void bad_line(struct file *f, const char *why)
{
	f->reader->on_bad_line(f->reader->arg, why, f->line);
}

static void take_section(struct file *f, char *text)
{
	size_t len = strlen(text);
	f->skip = true;
	if (text[len - 1] != ']') {
		bad_line(f, "a section's line ends in ]: write one such as [dns]");
		return;
	}
	text[len - 1] = '\0';
	text = trim(text + 1);
	if (strlen(text) >= sizeof(f->section)) {
		bad_line(f, "the section's name is too long");
		return;
	}
	f->skip = false;
	strcpy(f->section, text);
	f->reader->on_section(f->reader->arg, f->section, f->line);
}

static void take_line(struct file *f, char *text)
{
	if (f->line == 1 && strncmp(text, "\xEF\xBB\xBF", 3) == 0)
		text += 3; /* some editors' byte order mark */
	cut_comment(text);
	text = trim(text);
	if (*text == '\0')
		return;
	if (*text == '[') {
		take_section(f, text);
		return;
	}
	char *equals = strchr(text, '=');
	if (equals == NULL) {
		bad_line(f, "neither [section] nor key = value");
		return;
	}
	*equals = '\0';
	if (f->skip)
		return;
	if (f->section[0] == '\0') {
		bad_line(f, "a key before the first [section]");
		return;
	}
	f->reader->on_value(f->reader->arg, f->section, trim(text), trim(equals + 1), f->line);
}

/* One line into @to. False: the end. A line that does not fit is passed over and told. */
static bool next_line(struct file *f, FILE *in, char to[SETTINGS_LINE_MAX + 2])
{
	while (fgets(to, SETTINGS_LINE_MAX + 2, in) != NULL) {
		size_t len = strlen(to);
		f->line++;
		if ((len > 0 && to[len - 1] == '\n') || feof(in))
			return true;
		/* Too long, or a NUL byte hides its end from us. */
		if (len < SETTINGS_LINE_MAX + 1) {
			bad_line(f, "the line holds a NUL byte");
			continue;
		}
		bad_line(f, "the line is longer than 4096 bytes");
		int c;
		do
			c = getc(in);
		while (c != EOF && c != '\n');
	}
	return false;
}

int settings_file_read(const char *path, const struct settings_reader *reader, struct error *err)
{
	char line[SETTINGS_LINE_MAX + 2];
	struct file f = { .reader = reader };
	FILE *in = fopen(path, "re");
	if (in == NULL && errno == ENOENT)
		return error_set(err, E_NOTFOUND, "there is no such file");
	if (in == NULL)
		return error_set_errno(err, errno, "cannot be opened");
	while (next_line(&f, in, line))
		take_line(&f, line);
	int rc = ferror(in) ? error_set_errno(err, errno, "cannot be read") : E_OK;
	fclose(in);
	return rc;
}
