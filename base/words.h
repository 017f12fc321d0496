/* words.h - a list of words, as settings have them. Borrowed: whoever made it keeps the words. */
#ifndef BASE_WORDS_H
#define BASE_WORDS_H

#include <stddef.h>

struct word_list {
	const char **at;
	size_t count;
};

#endif
