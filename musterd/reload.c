/* reload.c - see reload.h. Happy path: the settings are read whole > if there are to be other zones, they are made beside
 * those in force, and what follows waits for them > addresses that are new are bound > from here on nothing can fail:
 * sockets are handed over, limits and levels are set, the new settings are published > the old ones are freed when no
 * thread reads them any more. Every error before that point leaves all as it was. */
#include "config.h"
#include "musterd/reload.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/metrics.h"
#include "musterd/settings_reload.h"
#include "musterd/wiring.h"
#include "musterd/zone_keeper.h"

#include <string.h>

struct version {
	struct settings settings; /* first: versions are found by it */
	struct rcu_head reap;
	struct zone_conf *zones; /* while others are made; NULL: none are */
};

struct reload {
	struct reload_source source;
	_Atomic(const struct settings *) now; /* the first, or a version */
	struct version *coming; /* waits for its zones; NULL: none does */
	struct reload_parts parts; /* of @coming */
	void (*on_end)(void *arg, enum reload_end end);
	void *arg;
	unsigned applied, refused, last;      /* metric cells */
};

static void version_free(struct version *v)
{
	if (v == NULL)
		return;
	settings_done(&v->settings);
	mem_free(v->zones);
	mem_free(v);
}

static void on_unread(void *arg, struct rcu_head *head)
{
	(void)arg;
	version_free((struct version *)((char *)head - offsetof(struct version, reap)));
}

int reload_new(struct reload **ret, const struct reload_source *source)
{
	static const char help[] = "Times that the settings were read again, and what came of it.";
	struct reload *r = mem_zalloc(1, sizeof(*r));

	if (r == NULL)
		return E_NOMEM;
	r->source = *source;
	atomic_init(&r->now, source->first);
	r->applied = metrics_counter("settings_reloads_total", help, "result=\"applied\"");
	r->refused = metrics_counter("settings_reloads_total", help, "result=\"refused\"");
	r->last = metrics_gauge("settings_loaded_timestamp_seconds", "When the settings in force were read.", NULL);
	metrics_set(r->last, (double)clock_wall_ms() / 1000);
	*ret = r;
	return E_OK;
}

void reload_free(struct reload *r)
{
	if (r == NULL)
		return;
	const struct settings *now = atomic_load(&r->now);
	if (now != r->source.first)
		version_free((struct version *)(uintptr_t)now);
	version_free(r->coming);
	mem_free(r);
}

bool reload_allows(void *arg, const struct sockaddr *peer)
{
	struct reload *r = arg;

	rcu_begin();
	bool allowed = settings_allows(rcu_read(&r->now), peer);
	rcu_end();
	return allowed;
}

/* ---- what is said */

static void refuse(const char *why)
{
	log_error("settings", "nothing was reloaded, the server goes on as before: %s", why);
}

static void refuse_errors(const struct settings_errors *errors)
{
	refuse("the settings are wrong");
	log_lines(LOG_ERROR, "settings", errors->lines.at);
}

static void tell_row(const struct setting *row, const struct settings_origin *was, const struct settings_origin *is)
{
	if (setting_is_secret(row))
		log_each(LOG_INFO, "settings", "%s.%s has changed", row->section, row->key);
	else
		log_each(LOG_INFO, "settings", "%s.%s = %s, it was %s", row->section, row->key, is->text, was->text);
}

static void tell_waiting(const struct setting *row, const struct settings_origin *is)
{
	log_each(LOG_WARN, "settings", "setting %s.%s: takes effect after a restart (%s, %s)", row->section, row->key,
		 *is->text == '\0' ? "empty" : is->text, is->where);
}

static const struct settings_zone *zone_find(const struct settings *s, const char *name)
{
	for (size_t i = 0; i < s->zone_count; i++)
		if (strcmp(s->zones[i].conf.name, name) == 0)
			return &s->zones[i];
	return NULL;
}

/* Returns how many of its keys have changed. */
static unsigned tell_zone(const struct settings_zone *was, const struct settings_zone *is)
{
	unsigned changed = 0;

	for (size_t k = 0; k < zone_table_len; k++) {
		bool set = is->origins[k].rank > 0 || was->origins[k].rank > 0; /* else it follows [dns] */
		if (!set || setting_same(&zone_table[k], &was->conf, &is->conf))
			continue;
		log_each(LOG_INFO, "settings", "zone.%s.%s = %s, it was %s", is->conf.name, zone_table[k].key, is->origins[k].text,
			 was->origins[k].text);
		changed++;
	}
	return changed;
}

static unsigned tell_zones(const struct settings *old, const struct settings *fresh)
{
	unsigned changed = 0;

	for (size_t i = 0; i < old->zone_count; i++)
		if (zone_find(fresh, old->zones[i].conf.name) == NULL) {
			log_each(LOG_INFO, "settings", "zone %s is gone", old->zones[i].conf.name);
			changed++;
		}
	for (size_t i = 0; i < fresh->zone_count; i++) {
		const struct settings_zone *is = &fresh->zones[i], *was = zone_find(old, is->conf.name);
		if (was != NULL) {
			changed += tell_zone(was, is);
			continue;
		}
		log_each(LOG_INFO, "settings", "zone %s is new (%s)", is->conf.name, is->where == NULL ? "default" : is->where);
		changed++;
	}
	return changed;
}

/* @first: what waits is held against what runs, so it is told again until the restart. */
static void tell_changes(const struct settings *first, const struct settings *old, const struct settings *fresh)
{
	unsigned changed = 0, waiting = 0;

	for (size_t i = 0; i < settings_table_len; i++) {
		const struct setting *row = &settings_table[i];
		bool reloads = setting_reloads(row);
		if (reloads && !setting_same(row, old, fresh)) {
			tell_row(row, &old->origins[i], &fresh->origins[i]);
			changed++;
		} else if (!reloads && !setting_same(row, first, fresh)) {
			tell_waiting(row, &fresh->origins[i]);
			waiting++;
		}
	}
	changed += tell_zones(old, fresh);
	log_each(LOG_INFO, "settings", "reloaded from %s: %u changed, %u wait for a restart",
		 fresh->file == NULL ? "no file" : fresh->file, changed, waiting);
}

/* ---- what is done */

/* What can fail, done aside. */
struct fresh {
	struct dns_change *dns;
	struct api_change *api;
	struct tls_keeper tls;
	struct tls_context *context;
};

static bool forward_same(const struct settings *a, const struct settings *b)
{
	for (size_t i = 0; i < settings_table_len; i++)
		if (strcmp(settings_table[i].section, "forward") == 0 && !setting_same(&settings_table[i], a, b))
			return false;
	return true;
}

static int fresh_make(struct fresh *f, const struct reload_parts *parts, const struct settings *old, const struct settings *s,
		      struct error *err)
{
	struct dns_server_conf dns;
	struct forward_conf forward;
	struct api_conf api;

	memset(f, 0, sizeof(*f));
	memset(&dns, 0, sizeof(dns));
	wiring_dns(&dns, s);
	wiring_forward(&forward, s);
	if (!forward_same(old, s))
		dns.forwarding = &forward;
	int rc = dns_server_prepare(&f->dns, parts->dns, &dns, err);
	if (rc < 0)
		return rc;
	rc = tls_keeper_load(&f->tls, s->tls.cert, s->tls.key, &f->context, err);
	if (rc < 0)
		return error_wrap(err, rc, "the old certificate stays");
	memset(&api, 0, sizeof(api));
	wiring_api(&api, s);
	return api_prepare(&f->api, parts->api, &api, err);
}

static void fresh_drop(struct fresh *f)
{
	dns_server_abandon(f->dns);
	tls_keeper_done(&f->tls);
	tls_context_free(f->context);
}

static void fresh_use(struct fresh *f, const struct reload_parts *parts)
{
	tls_keeper_done(parts->tls);
	*parts->tls = f->tls;
	if (f->context != NULL)
		dns_server_secure(parts->dns, f->context, desk_reaper(parts->desk));
	dns_server_commit(parts->dns, f->dns);
	api_commit(parts->api, f->api);
}

static void set_zones(const struct reload_parts *parts, const struct settings *s)
{
	struct zone_set *set = zone_slot_read(zone_keeper_slot(parts->zones));
	struct zone_set_conf zones;

	memset(&zones, 0, sizeof(zones));
	wiring_zones(&zones, s, NULL);
	zone_set_selection(set, &zones);
	zone_set_ttls(set, s->dns.ttl, s->dns.ttl_host, s->dns.ttl_negative);
	for (size_t i = 0; i < s->zone_count; i++)
		if (zone_set_access(set, &s->zones[i].conf) == E_NOMEM)
			log_error("settings", "no memory for who may ask zone %s: it stays", s->zones[i].conf.name);
}

static void set_limits(const struct reload_parts *parts, const struct settings *s)
{
	struct registry_conf conf;

	memset(&conf, 0, sizeof(conf));
	wiring_registry(&conf, s);
	registry_set_limits(desk_registry(parts->desk), &conf);
	char nsid[IDENTITY_MAX + 1];
	if (dns_server_identify(parts->dns, wiring_nsid(s, nsid), wiring_version(s), desk_reaper(parts->desk)) < 0)
		log_error("settings", "no memory for dns.nsid and dns.version: they stay");
	if (cookie_keeper_set(parts->cookies, (const char *const *)s->dns.cookie_secrets.at, s->dns.cookie_secrets.count, clock_wall_ms()) &&
	    dns_server_cookies(parts->dns, parts->cookies->key, parts->cookies->count, desk_reaper(parts->desk)) < 0)
		log_error("settings", "no memory for dns.cookie_secrets: they stay");
	struct dns_server_conf dns;
	memset(&dns, 0, sizeof(dns));
	wiring_dns(&dns, s);
	if (dns_server_limit(parts->dns, &dns.rates, desk_reaper(parts->desk)) < 0)
		log_error("settings", "no memory for dns.rrl: it stays");
	beats_set_floor(parts->beats, s->registry.floor_percent);
	log_set_level(s->log.level);
	log_set_format(s->log.format);
}

static void publish(struct reload *r, struct version *v, const struct reload_parts *parts)
{
	const struct settings *old = atomic_load(&r->now);

	rcu_publish(&r->now, &v->settings);
	tell_changes(r->source.first, old, &v->settings);
	if (old != r->source.first)
		rcu_reaper_add(desk_reaper(parts->desk), &((struct version *)(uintptr_t)old)->reap, on_unread);
}

/* @other_zones: they are made and wait to be used. */
static bool apply(struct reload *r, struct version *v, const struct reload_parts *parts, bool other_zones)
{
	struct fresh fresh;
	struct error err;

	if (fresh_make(&fresh, parts, atomic_load(&r->now), &v->settings, &err) < 0) {
		fresh_drop(&fresh);
		refuse(err.text);
		return false;
	}
	if (other_zones) {
		dns_server_zones(parts->dns, zone_keeper_made(parts->zones));
		zone_keeper_use(parts->zones);
	} else {
		set_zones(parts, &v->settings);
	}
	fresh_use(&fresh, parts);
	set_limits(parts, &v->settings);
	publish(r, v, parts);
	return true;
}

static enum reload_end end_of(struct reload *r, bool done, bool other_zones)
{
	metrics_add(done ? r->applied : r->refused, 1);
	if (!done)
		return RELOAD_REFUSED;
	metrics_set(r->last, (double)clock_wall_ms() / 1000);
	return other_zones ? RELOAD_DONE_ZONES : RELOAD_DONE;
}

/* ---- other zones */

static void on_made(void *arg, int rc, const struct error *err)
{
	struct reload *r = arg;
	struct version *v = r->coming;
	bool done = false;

	r->coming = NULL;
	if (rc < 0)
		refuse(err->text);
	else if (!(done = apply(r, v, &r->parts, true)))
		zone_keeper_drop(r->parts.zones);
	if (!done)
		version_free(v);
	r->on_end(r->arg, end_of(r, done, true));
}

static bool make_zones(struct reload *r, struct version *v, const struct reload_parts *parts)
{
	const struct settings *s = &v->settings;
	struct zone_set_conf conf;
	struct error err;

	v->zones = mem_zalloc(s->zone_count, sizeof(*v->zones));
	if (v->zones == NULL) {
		refuse("no memory");
		return false;
	}
	for (size_t i = 0; i < s->zone_count; i++)
		v->zones[i] = s->zones[i].conf;
	memset(&conf, 0, sizeof(conf));
	wiring_zones(&conf, s, v->zones);
	/* these wait for a restart */
	conf.hostname_mode = r->source.first->dns.hostname_mode;
	conf.selector_keys = (const char *const *)r->source.first->dns.selector_keys.at;
	conf.selector_key_count = r->source.first->dns.selector_keys.count;
	r->parts = *parts;
	if (zone_keeper_make(parts->zones, &conf, on_made, r, &err) == E_OK)
		return true;
	refuse(err.text);
	return false;
}

/* ---- all of it */

/* @v is taken. */
static enum reload_end run(struct reload *r, struct version *v, const struct reload_parts *parts)
{
	bool done = false;

	if (v->settings.file == NULL && r->source.first->file != NULL) {
		refuse("the file that was read at the start is gone");
	} else if (settings_zones_same(atomic_load(&r->now), &v->settings)) {
		done = apply(r, v, parts, false);
	} else if (make_zones(r, v, parts)) {
		r->coming = v;
		return RELOAD_LATER;
	}
	if (!done)
		version_free(v);
	return end_of(r, done, false);
}

enum reload_end reload_run(struct reload *r, const struct reload_parts *parts, void (*on_end)(void *arg, enum reload_end end),
			   void *arg)
{
	const struct reload_source *from = &r->source;
	struct settings_errors errors;
	struct version *v = mem_zalloc(1, sizeof(*v));

	r->on_end = on_end;
	r->arg = arg;
	if (v == NULL) {
		refuse("no memory");
		return end_of(r, false, false);
	}
	int rc = settings_load(&v->settings, from->argc, from->argv, from->envp, &errors);
	if (rc == E_NOMEM)
		refuse("no memory");
	else if (rc < 0)
		refuse_errors(&errors);
	settings_errors_done(&errors);
	if (rc == E_OK)
		return run(r, v, parts);
	version_free(v);
	return end_of(r, false, false);
}
