/* log.h - lines for operators, on stderr: text or JSON lines, by level, repeats limited. Any thread.
 * Lower layers do not log: they return errors; the edge that handles a fact logs it once. */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include <stdbool.h>

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR };
enum log_format { LOG_TEXT, LOG_JSON };

void log_setup(enum log_level least, enum log_format format, int fd);
void log_set_level(enum log_level least);
void log_set_format(enum log_format format);
enum log_level log_least(void); /* as it is set now */
const char *log_level_name(enum log_level level);
bool log_wants(enum log_level level);
/* @area: a word such as "http", "dns", "store". At most 10 equal-format lines in 10 s are written,
 * then one line says how many were held back. */
void log_line(enum log_level level, const char *area, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* The same for lines of which none may be held back, since each says something else: they are few by their nature. */
void log_each(enum log_level level, const char *area, const char *format, ...) __attribute__((format(printf, 3, 4)));
/* Each line of @text by log_each(); NULL: none. */
void log_lines(enum log_level level, const char *area, const char *text);
int log_level_parse(const char *name, enum log_level *ret); /* E_INVALID */

#define log_debug(area, ...) (log_wants(LOG_DEBUG) ? log_line(LOG_DEBUG, area, __VA_ARGS__) : (void)0)
#define log_info(area, ...) log_line(LOG_INFO, area, __VA_ARGS__)
#define log_warn(area, ...) log_line(LOG_WARN, area, __VA_ARGS__)
#define log_error(area, ...) log_line(LOG_ERROR, area, __VA_ARGS__)

#endif
