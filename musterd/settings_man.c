/* settings_man.c - the settings as the part of muster.conf(5) that lists them, in mdoc. */
#include "musterd/settings_man.h"
#include "musterd/settings_reload.h"
#include "musterd/settings_value.h"
#include <string.h>

/* @s fit for a line of text: no backslash that groff would read, no dot or quote at the start of a line, and each
 * sentence on a line of its own. */
static void man_text(struct text *to, const char *s)
{
	bool line_start = true;
	for (; *s != '\0'; s++) {
		if (line_start && (*s == '.' || *s == '\''))
			text_add(to, "\\&");
		line_start = false;
		if (*s == '\\') {
			text_add(to, "\\e");
		} else if (*s == '.' && s[1] == ' ') {
			text_add(to, ".\n");
			line_start = true;
			s++;
		} else {
			text_char(to, *s);
		}
	}
	text_char(to, '\n');
}

static void man_choices(struct text *to, const struct setting *row)
{
	text_add(to, "One of");
	for (size_t i = 0; row->choices[i] != NULL; i++)
		text_printf(to, "%s\n.Cm %s", i == 0 ? "" : " ,", row->choices[i]);
	text_add(to, " .\n");
}

/* What may stand there. */
static void man_type(struct text *to, const struct setting *row)
{
	char bounds[80];
	setting_bounds(bounds, row);
	switch (row->type) {
	case SETTING_TEXT:
		text_add(to, row->least > 0 ? "A text, not empty.\n" : "A text; may be empty.\n");
		break;
	case SETTING_COUNT:
		text_printf(to, "A whole number, %s.\n", bounds);
		break;
	case SETTING_SWITCH:
		text_add(to, ".Cm on\nor\n.Cm off .\n");
		break;
	case SETTING_CHOICE:
		man_choices(to, row);
		break;
	case SETTING_DURATION:
		text_printf(to, "A time with its unit, %s.\n", bounds);
		break;
	case SETTING_SECONDS:
		text_printf(to, "A time in whole seconds with its unit, %s.\n", bounds);
		break;
	case SETTING_SIZE:
		text_printf(to, "A size with its unit, %s.\n", bounds);
		break;
	case SETTING_ADDRESSES:
		text_printf(to, "A list of addresses with ports, %s of them.\n", bounds);
		break;
	case SETTING_CIDRS:
		text_printf(to, "A list of address ranges, %s of them.\n", bounds);
		break;
	case SETTING_WORDS:
		text_printf(to, "A list of words, %s of them.\n", bounds);
		break;
	}
}

static void man_row(struct text *to, const struct setting *row)
{
	text_printf(to, ".It Cm %s\n", row->key);
	man_text(to, row->help);
	man_type(to, row);
	if (*row->preset == '\0')
		text_add(to, "Default: empty.\n");
	else
		text_printf(to, "Default: %s.\n", row->preset);
	text_add(to, setting_reloads(row) ? "Reload: in force at once.\n" : "Reload: after a restart only.\n");
}

void settings_man(struct text *to)
{
	for (size_t i = 0; i < settings_table_len; i++) {
		const struct setting *row = &settings_table[i];
		if (i == 0 || strcmp(row->section, row[-1].section) != 0)
			text_printf(to, "%s.Ss [%s]\n.Bl -tag -width Ds\n", i == 0 ? "" : ".El\n", row->section);
		man_row(to, row);
	}
	text_add(to, ".El\n.Ss [zone NAME]\n"
		     "One section for each zone; a NAME is letters, digits, hyphens and dots, at most 77 octets on the wire.\n"
		     "Without any there is\n.Ql [zone muster.internal] .\n"
		     ".Bl -tag -width Ds\n");
	for (size_t i = 0; i < zone_table_len; i++)
		man_row(to, &zone_table[i]);
	text_add(to, ".El\n");
}
