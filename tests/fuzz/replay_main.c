/* replay_main.c - stands in for libFuzzer: runs a fuzz target over files. Without arguments these are
 * the target's own seeds, $srcdir/tests/fuzz/NAME.in (make check sets srcdir); arguments name files
 * or folders. Every input lies in a heap block of exactly its size, so that ASan sees one byte too
 * many. Exit status 77 (skipped) when there is no seed. */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { INPUT_MAX = 1 << 20, PATH_LEN_MAX = 4096 };

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static unsigned replay_file(const char *path)
{
	static uint8_t whole[INPUT_MAX];
	FILE *f = fopen(path, "rb");
	if (f == NULL) {
		perror(path);
		exit(1);
	}
	size_t size = fread(whole, 1, sizeof(whole), f);
	fclose(f);
	uint8_t *exact = malloc(size ? size : 1);
	if (exact == NULL)
		exit(1);
	if (size > 0)
		memcpy(exact, whole, size);
	fprintf(stderr, "%s: %zu bytes\n", path, size);
	LLVMFuzzerTestOneInput(exact, size);
	free(exact);
	return 1;
}

static unsigned replay(const char *path)
{
	unsigned count = 0;
	char inner[PATH_LEN_MAX];
	DIR *dir = opendir(path);
	if (dir == NULL)
		return replay_file(path);
	for (const struct dirent *e; (e = readdir(dir)) != NULL;) {
		if (e->d_name[0] == '.')
			continue;
		if ((size_t)snprintf(inner, sizeof(inner), "%s/%s", path, e->d_name) <
		    sizeof(inner))
			count += replay_file(inner);
	}
	closedir(dir);
	return count;
}

int main(int argc, char **argv)
{
	unsigned count = 0;
	char seeds[PATH_LEN_MAX];
	const char *srcdir = getenv("srcdir"), *name = strrchr(argv[0], '/');
	for (int i = 1; i < argc; i++)
		count += replay(argv[i]);
	if (argc == 1) {
		snprintf(seeds, sizeof(seeds), "%s/tests/fuzz/%s.in", srcdir ? srcdir : ".",
			 name ? name + 1 : argv[0]);
		count = replay(seeds);
	}
	printf("%u inputs replayed\n", count);
	return count > 0 ? 0 : 77;
}
