/* settings_print.c - the settings as text: what is in force, what there is, a sample to start from. */
#include "base/mem.h"
#include "musterd/settings_table.h"
#include <string.h>

static void print_line(struct text *to, const struct setting *row, const struct settings_origin *origin)
{
	text_printf(to, "%s =%s%s  ; %s\n", row->key, *origin->text == '\0' ? "" : " ", origin->text, origin->where);
}

void settings_print(const struct settings *s, struct text *to)
{
	text_printf(to, "; read from %s\n", s->file == NULL ? "no file" : s->file);
	for (size_t i = 0; i < settings_table_len; i++) {
		const struct setting *row = &settings_table[i];
		if (i == 0 || strcmp(row->section, row[-1].section) != 0)
			text_printf(to, "\n[%s]\n", row->section);
		print_line(to, row, &s->origins[i]);
	}
	for (size_t z = 0; z < s->zone_count; z++) {
		text_printf(to, "\n[zone %s]\n", s->zones[z].conf.name);
		for (size_t i = 0; i < zone_table_len; i++)
			print_line(to, &zone_table[i], &s->zones[z].origins[i]);
	}
}

/* @help, broken at blanks behind @margin. */
static void wrap(struct text *to, const char *help, const char *margin)
{
	enum { WIDTH = 100 };
	while (*help != '\0') {
		size_t len = strlen(help);
		if (len > WIDTH) {
			len = WIDTH;
			while (len > 0 && help[len] != ' ')
				len--;
		}
		text_printf(to, "%s%.*s\n", margin, (int)len, help);
		help += len;
		while (*help == ' ')
			help++;
	}
}

void settings_usage(struct text *to)
{
	text_add(to, "Usage: musterd [-c FILE] [--check-config | --print-config | --backup FILE | --restore FILE] [--SECTION.KEY=VALUE ...]\n"
		     "\n"
		     "  -c FILE             settings (INI); without it " MUSTER_CONF ", if that is there\n"
		     "  --check-config      say what is wrong with the settings and end (0: nothing, 2: errors)\n"
		     "  --print-config      show every setting and where it came from, and end\n"
		     "  --print-sample      print a commented sample of the file, and end\n"
		     "  --backup FILE       write the durable data to FILE and end, also beside a running server;\n"
		     "                      \"-\": to standard output; an existing FILE only with --force\n"
		     "  --restore FILE      put a backup in the place of the durable data and end; the server must not\n"
		     "                      run; the former data stay beside it under a dated name\n"
		     "  --version, --help\n"
		     "\n"
		     "A variable MUSTER_SECTION_KEY overrides the file, a flag overrides both. Zones are sections\n"
		     "[zone NAME] of the file, or --zone.NAME.KEY=VALUE.\n");
	for (size_t i = 0; i < settings_table_len; i++) {
		const struct setting *row = &settings_table[i];
		text_printf(to, "\n  --%s.%s=%s\n", row->section, row->key, row->preset);
		wrap(to, row->help, "      ");
	}
	for (size_t i = 0; i < zone_table_len; i++) {
		text_printf(to, "\n  --zone.NAME.%s=%s\n", zone_table[i].key, zone_table[i].preset);
		wrap(to, zone_table[i].help, "      ");
	}
}

static void sample_row(struct text *to, const struct setting *row)
{
	text_char(to, '\n');
	wrap(to, row->help, "# ");
	text_printf(to, ";%s =%s%s\n", row->key, *row->preset == '\0' ? "" : " ", row->preset);
}

void settings_sample(struct text *to)
{
	text_add(to, "# Settings of musterd. What stands here behind a semicolon is the default. A variable\n"
		     "# MUSTER_SECTION_KEY overrides this file, a flag --section.key=value overrides both;\n"
		     "# musterd --print-config shows what is in force, musterd --check-config what is wrong.\n");
	for (size_t i = 0; i < settings_table_len; i++) {
		const struct setting *row = &settings_table[i];
		if (i == 0 || strcmp(row->section, row[-1].section) != 0)
			text_printf(to, "\n[%s]\n", row->section);
		sample_row(to, row);
	}
	text_add(to, "\n# A zone is a section of its own, any number of them. Without one there is\n"
		     ";[zone muster.internal]\n");
	for (size_t i = 0; i < zone_table_len; i++)
		sample_row(to, &zone_table[i]);
}
