/* settings_hint.c - see settings_hint.h. */
#include "musterd/settings_hint.h"
#include <string.h>

enum { WORD_MAX = 64 };

bool settings_hint_section_known(const char *section)
{
	for (size_t i = 0; i < settings_table_len; i++)
		if (strcmp(settings_table[i].section, section) == 0)
			return true;
	return false;
}

/* Letters to add, drop or change (Levenshtein); words are cut at WORD_MAX. */
static size_t distance(const char *a, const char *b)
{
	size_t row[WORD_MAX + 1], a_len = strnlen(a, WORD_MAX), b_len = strnlen(b, WORD_MAX);
	for (size_t j = 0; j <= b_len; j++)
		row[j] = j;
	for (size_t i = 1; i <= a_len; i++) {
		size_t diagonal = row[0];
		row[0] = i;
		for (size_t j = 1; j <= b_len; j++) {
			size_t change = diagonal + (a[i - 1] != b[j - 1]);
			size_t least = row[j] < row[j - 1] ? row[j] + 1 : row[j - 1] + 1;
			diagonal = row[j];
			row[j] = change < least ? change : least;
		}
	}
	return row[b_len];
}

const struct setting *settings_hint_key(const struct setting *rows, size_t count, const char *section,
					const char *key)
{
	const struct setting *best = NULL;
	size_t best_cost = strlen(key) / 3 + 2; /* farther is no hint */
	for (size_t i = 0; i < count; i++) {
		size_t cost = distance(key, rows[i].key) * 2;
		size_t other = distance(section, rows[i].section);
		if (cost > strlen(key))
			continue; /* hardly a letter in common */
		cost = (cost + 1) / 2 + (other > 2 ? 2 : other);
		if (cost < best_cost) {
			best = &rows[i];
			best_cost = cost;
		}
	}
	return best;
}

const char *settings_hint_flag(const char *flag)
{
	static const char *const known[] = { "--check-config", "--print-config", "--print-sample", "--backup",
					     "--restore",      "--force",	 "--help",	   "--version" };
	for (unsigned i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (distance(flag, known[i]) <= 4)
			return known[i];
	return NULL;
}
