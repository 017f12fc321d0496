/* settings_text.c - a program for the build: the files that are made from the table of settings.
 *   settings_text sample      the commented sample file
 *   settings_text man FILE    FILE with its line @SETTINGS@ replaced by the list for muster.conf(5) */
#include "musterd/settings.h"
#include "musterd/settings_man.h"
#include <stdio.h>
#include <string.h>

static int write_text(const struct text *t)
{
	return t->failed || fwrite(t->at, 1, t->len, stdout) != t->len;
}

static int fill_in(const char *path, const struct text *list)
{
	char line[4096];
	int rc = 0;
	FILE *in = fopen(path, "r");
	if (in == NULL) {
		perror(path);
		return 1;
	}
	while (rc == 0 && fgets(line, sizeof(line), in) != NULL) {
		if (strcmp(line, "@SETTINGS@\n") == 0)
			rc = write_text(list);
		else
			rc = fputs(line, stdout) < 0;
	}
	fclose(in);
	return rc;
}

int main(int argc, char **argv)
{
	struct text t;
	int rc = 2;
	text_init(&t);
	if (argc == 2 && strcmp(argv[1], "sample") == 0) {
		settings_sample(&t);
		rc = write_text(&t);
	} else if (argc == 3 && strcmp(argv[1], "man") == 0) {
		settings_man(&t);
		rc = fill_in(argv[2], &t);
	} else {
		fputs("usage: settings_text sample | man FILE\n", stderr);
	}
	text_done(&t);
	return rc == 0 && fflush(stdout) != 0 ? 1 : rc;
}
