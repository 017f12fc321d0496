/* log.c - see log.h. A line is built on the caller's stack and leaves by one write(2), so lines of
 * several threads do not mix. What is kept between lines, under a lock: how often each format string
 * was written lately. A base singleton. */
#include "base/log.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/metrics.h"
#include "base/text.h"
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum {
	LINE_MAX_LEN = 2048,
	TEXT_MAX_LEN = 1024,
	REPEAT_SLOTS = 64,
	REPEAT_MAX = 10,
	REPEAT_WINDOW_MS = 10000,
	SAMPLE_MAX_LEN = 160,
};

struct repeat {
	const char *format; /* compared by address: one place in the source, usually */
	const char *area;
	enum log_level level;
	int64_t since_ms;
	unsigned written, held;
	char sample[SAMPLE_MAX_LEN]; /* the last one written, perhaps cut */
};

static struct {
	_Atomic int least;
	_Atomic int format;
	_Atomic int fd;
	pthread_mutex_t lock; /* guards what follows */
	struct repeat repeats[REPEAT_SLOTS];
	unsigned cells[LOG_ERROR + 1]; /* 0: not counted */
} state = { .least = LOG_INFO, .fd = STDERR_FILENO, .lock = PTHREAD_MUTEX_INITIALIZER };

static const char *const level_names[] = { "debug", "info", "warn", "error" };

static void cells_declare(void)
{
	char labels[32];
	for (int i = LOG_INFO; i <= LOG_ERROR; i++) {
		snprintf(labels, sizeof(labels), "level=\"%s\"", level_names[i]);
		state.cells[i] =
		    metrics_counter("log_lines_total", "Lines for the log, those that were held back included.", labels);
	}
}

void log_setup(enum log_level least, enum log_format format, int fd)
{
	cells_declare();
	atomic_store(&state.least, (int)least);
	atomic_store(&state.format, (int)format);
	atomic_store(&state.fd, fd);
	pthread_mutex_lock(&state.lock);
	memset(state.repeats, 0, sizeof(state.repeats));
	pthread_mutex_unlock(&state.lock);
}

void log_set_level(enum log_level least)
{
	atomic_store(&state.least, (int)least);
}

void log_set_format(enum log_format format)
{
	atomic_store(&state.format, (int)format);
}

enum log_level log_least(void)
{
	return (enum log_level)atomic_load(&state.least);
}

const char *log_level_name(enum log_level level)
{
	return level_names[level];
}

bool log_wants(enum log_level level)
{
	return (int)level >= atomic_load_explicit(&state.least, memory_order_relaxed);
}

int log_level_parse(const char *name, enum log_level *ret)
{
	for (unsigned i = 0; i < sizeof(level_names) / sizeof(level_names[0]); i++)
		if (strcmp(name, level_names[i]) == 0) {
			*ret = (enum log_level)i;
			return E_OK;
		}
	return E_INVALID;
}

struct line {
	char at[LINE_MAX_LEN];
	size_t len;
};

static void line_put(struct line *l, const char *from, size_t len)
{
	size_t room = sizeof(l->at) - l->len - 4; /* for the end of the line */
	if (len > room)
		len = room;
	memcpy(l->at + l->len, from, len);
	l->len += len;
}

static void line_add(struct line *l, const char *s)
{
	line_put(l, s, strlen(s));
}

/* Text from outside may stand in a message: it must not end the line or the JSON string, nor be anything but UTF-8
 * (which a message that was cut may end in the middle of). */
static void line_escaped(struct line *l, const char *s, bool json)
{
	for (size_t left = strlen(s), step; left > 0; s += step, left -= step) {
		unsigned char c = (unsigned char)*s;
		char out[8] = { (char)c };
		step = c < 0x80 ? 1 : text_utf8_run((const uint8_t *)s, left);
		if (step > 1)
			memcpy(out, s, step);
		else if (step == 0 && json)
			memcpy(out, "\\ufffd", 6);
		else if (step == 0 || c < 0x20 || c == 0x7F)
			snprintf(out, sizeof(out), json ? "\\u%04x" : "\\x%02x", c);
		else if (json && (c == '"' || c == '\\'))
			memcpy(out, (char[]){ '\\', (char)c }, 2);
		if (step == 0)
			step = 1;
		size_t len = strlen(out);
		if (sizeof(l->at) - l->len - 4 < len)
			return; /* no half escape */
		line_put(l, out, len);
	}
}

static void line_time(struct line *l)
{
	int64_t now = clock_wall_ms();
	time_t sec = (time_t)(now / 1000);
	struct tm tm;
	char text[48];
	gmtime_r(&sec, &tm);
	size_t n = strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(text + n, sizeof(text) - n, ".%03dZ", (int)(now % 1000));
	line_add(l, text);
}

static void write_line(enum log_level level, const char *area, const char *message)
{
	struct line l = { .len = 0 };
	bool json = atomic_load(&state.format) == LOG_JSON;
	line_add(&l, json ? "{\"time\":\"" : "");
	line_time(&l);
	line_add(&l, json ? "\",\"level\":\"" : " ");
	line_add(&l, level_names[level]);
	line_add(&l, json ? "\",\"area\":\"" : " ");
	line_escaped(&l, area, json);
	line_add(&l, json ? "\",\"message\":\"" : ": ");
	line_escaped(&l, message, json);
	memcpy(l.at + l.len, json ? "\"}\n" : "\n", json ? 3 : 1);
	l.len += json ? 3 : 1;
	ssize_t n = write(atomic_load(&state.fd), l.at, l.len);
	(void)n; /* there is nobody left to tell */
}

/* Forgets a format whose window is over and tells what was held back meanwhile. Locked. */
static void repeat_end(struct repeat *r)
{
	struct repeat old = *r;
	memset(r, 0, sizeof(*r));
	if (old.held == 0)
		return;
	char text[TEXT_MAX_LEN];
	snprintf(text, sizeof(text), "%u more lines like this one were held back: %s", old.held, old.sample);
	write_line(old.level, old.area, text);
}

/* The slot of @format: its own, a free one or the oldest. Locked. */
static struct repeat *repeat_find(const char *format, int64_t now)
{
	struct repeat *best = &state.repeats[0];
	for (struct repeat *r = state.repeats; r < state.repeats + REPEAT_SLOTS; r++) {
		if (r->format != NULL && now - r->since_ms >= REPEAT_WINDOW_MS)
			repeat_end(r);
		if (r->format == format)
			return r;
		if (best->format != NULL && (r->format == NULL || r->since_ms < best->since_ms))
			best = r;
	}
	if (best->format != NULL)
		repeat_end(best);
	return best;
}

/* Locked. */
static bool repeat_allows(enum log_level level, const char *area, const char *format)
{
	int64_t now = clock_ms();
	struct repeat *r = repeat_find(format, now);
	if (r->format == NULL)
		*r = (struct repeat){ .format = format, .area = area, .level = level, .since_ms = now };
	if (r->written < REPEAT_MAX) {
		r->written++;
		return true;
	}
	r->held++;
	return false;
}

static void repeat_sample(const char *format, const char *text)
{
	pthread_mutex_lock(&state.lock);
	for (struct repeat *r = state.repeats; r < state.repeats + REPEAT_SLOTS; r++)
		if (r->format == format)
			snprintf(r->sample, sizeof(r->sample), "%.*s", SAMPLE_MAX_LEN - 1, text);
	pthread_mutex_unlock(&state.lock);
}

void log_line(enum log_level level, const char *area, const char *format, ...)
{
	if (!log_wants(level))
		return;
	metrics_add(state.cells[level], 1);
	pthread_mutex_lock(&state.lock);
	bool allowed = repeat_allows(level, area, format);
	pthread_mutex_unlock(&state.lock);
	if (!allowed)
		return;
	char text[TEXT_MAX_LEN];
	va_list args;
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	repeat_sample(format, text);
	write_line(level, area, text);
}

void log_each(enum log_level level, const char *area, const char *format, ...)
{
	char text[TEXT_MAX_LEN];
	va_list args;
	if (!log_wants(level))
		return;
	metrics_add(state.cells[level], 1);
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	write_line(level, area, text);
}

void log_lines(enum log_level level, const char *area, const char *text)
{
	while (text != NULL && *text != '\0') {
		size_t len = strcspn(text, "\n");
		log_each(level, area, "%.*s", (int)len, text);
		text += len + (text[len] == '\n');
	}
}
