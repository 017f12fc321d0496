/* main.c - musterd: reads the settings, does what the flags ask, runs the server.
 * Exit status: 0 stopped in order, 1 could not serve, 2 wrong settings. */
#include "config.h"

#include "base/log.h"
#include "base/mem.h"
#include "musterd/archive.h"
#include "musterd/data_dir.h"
#include "musterd/reload.h"
#include "musterd/tls_keeper.h"
#include "musterd/wiring.h"
#include "musterd/zone_files.h"

#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

extern char **environ;

enum { EXIT_SERVED = 0, EXIT_FAILED = 1, EXIT_SETTINGS = 2 };

static int print(void (*fill)(struct text *to))
{
	struct text t;

	text_init(&t);
	fill(&t);
	fwrite(t.at, 1, t.len, stdout);
	text_done(&t);
	return EXIT_SERVED;
}

static int print_settings(const struct settings *s)
{
	struct text t;

	text_init(&t);
	settings_print(s, &t);
	fwrite(t.at, 1, t.len, stdout);
	text_done(&t);
	return EXIT_SERVED;
}

/* As many descriptors as the system grants: each connection is one. */
static void raise_files(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
		limit.rlim_cur = limit.rlim_max;
		setrlimit(RLIMIT_NOFILE, &limit);
	}
}

/* As the user that the settings name, with a data directory that is that user's. */
static int settle(const struct settings *s, struct error *err)
{
	struct account account;

	if (s->server.user == NULL)
		return data_dir_prepare(s->server.data_dir, NULL, err);
	int rc = account_find(&account, s->server.user, err);
	if (rc == E_OK)
		rc = data_dir_prepare(s->server.data_dir, &account, err);
	if (rc == E_OK)
		rc = privileges_drop(&account, err);
	if (rc == E_OK)
		log_info("server", "running as %s (uid %u)", account.name, (unsigned)account.uid);
	return rc;
}

static int serve(const struct settings *s, int argc, char **argv)
{
	struct reload_source source = { s, argc, argv, environ };
	struct reload *reload = NULL;
	struct wiring wiring;
	struct error err = { .code = E_OK };

	log_setup(s->log.level, s->log.format, STDERR_FILENO);
	signal(SIGPIPE, SIG_IGN);
	raise_files();
	int rc = settle(s, &err);
	if (rc == E_OK)
		rc = wiring_make(&wiring, s, &err);
	if (rc == E_OK) {
		rc = reload_new(&reload, &source);
		if (rc < 0)
			error_set(&err, rc, "settings: no memory");
		wiring.conf.reload = reload;
		if (rc == E_OK)
			rc = server_run(&wiring.conf, &err);
		reload_free(reload);
		wiring_done(&wiring);
	}
	if (rc < 0)
		log_error("server", "%s", err.text);
	return rc < 0 ? EXIT_FAILED : EXIT_SERVED;
}

/* What a start would open is opened. */
static int check_files(const struct settings *s)
{
	struct tls_keeper tls = { .cert = NULL };
	struct tls_context *context = NULL;
	struct text errors;
	struct error err;
	int rc = E_OK;

	text_init(&errors);
	if (tls_keeper_load(&tls, s->tls.cert, s->tls.key, &context, &err) < 0) {
		text_printf(&errors, "tls.cert, tls.key: %s\n", err.text);
		rc = E_INVALID;
	}
	tls_context_free(context);
	tls_keeper_done(&tls);
	for (size_t i = 0; i < s->zone_count; i++)
		if (zone_files_check(&s->zones[i].conf, 1, &errors) < 0)
			rc = E_INVALID;
	fwrite(errors.at, 1, errors.len, stderr);
	text_done(&errors);
	return rc;
}

static int run_task(const struct settings *s, int argc, char **argv)
{
	switch (s->task) {
	case SETTINGS_CHECK:
		if (check_files(s) < 0)
			return EXIT_SETTINGS;
		printf("%s: the settings are in order\n", s->file == NULL ? "musterd" : s->file);
		return EXIT_SERVED;
	case SETTINGS_PRINT:
		return print_settings(s);
	case SETTINGS_SAMPLE:
		return print(settings_sample);
	case SETTINGS_HELP:
		return print(settings_usage);
	case SETTINGS_VERSION:
		puts("musterd " PACKAGE_VERSION);
		return EXIT_SERVED;
	case SETTINGS_BACKUP:
		return archive_backup(s) < 0 ? EXIT_FAILED : EXIT_SERVED;
	case SETTINGS_RESTORE:
		return archive_restore(s) < 0 ? EXIT_FAILED : EXIT_SERVED;
	case SETTINGS_SERVE:
		break;
	}
	return serve(s, argc, argv);
}

int main(int argc, char **argv)
{
	struct settings settings;
	struct settings_errors errors;
	int status;

	mem_setup_heap();
	mem_hook_libraries();
	int rc = settings_load(&settings, argc, argv, environ, &errors);
	if (rc < 0) {
		fputs(rc == E_NOMEM ? "musterd: no memory\n" : errors.lines.at, stderr);
		status = EXIT_SETTINGS;
	} else {
		status = run_task(&settings, argc, argv);
	}
	settings_errors_done(&errors);
	settings_done(&settings);
	return status;
}
