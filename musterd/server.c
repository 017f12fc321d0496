/* server.c - start-up and shutdown in order.
 *
 * Happy path: lock > desk opened (store loads, warm copy restored; zones follow as a watcher) > on_ready: DNS and
 * HTTP bound, ports.json written, ready said > a signal > not ready > HTTP drained > DNS stopped > prober and
 * beats closed > desk closed (durable writes finished, warm copy flushed) > loop empty > lock released.
 * An error while starting walks the same way down from where it stood. */
#include "config.h"
#include "musterd/server.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/loop_watch.h"
#include "base/metrics.h"
#include "musterd/explainer.h"
#include "musterd/port_holder.h"
#include "musterd/ports.h"
#include "musterd/reload.h"
#include "musterd/server_metrics.h"
#include "musterd/tls_keeper.h"
#include "musterd/zone_export.h"
#include "musterd/zone_keeper.h"
#include "store/key.h"
#include "store/lock.h"

#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#ifdef HAVE_SYSTEMD
#include <systemd/sd-daemon.h>
#endif

enum { TICK_MS = 100 };

struct server {
	const struct server_conf *conf;
	uv_loop_t loop;
	uv_signal_t term, interrupt, hangup;
	uv_timer_t tick;
	bool handles_open;
	struct lock *lock;
	struct desk *desk;
	struct zone_keeper *zones;
	struct zone_export zone_export;
	struct dns_server *dns;
	struct host_resolver *hosts;
	struct cookie_keeper cookies;
	struct tls_keeper tls;
	struct api *api;
	struct beats *beats;
	struct prober *prober;
	struct change_log *changes;
	struct explainer_parts explainer;
	struct server_metrics metrics;
	bool reloading; /* a reload is on its way */
	struct loop_watch watch;
	_Atomic(const char *) missing; /* what is not there yet; NULL: ready */
	bool stopping, reload_wanted; /* asked for before everything was there */
	unsigned serials_waiting; /* of a start: for the disk */
	uint64_t started_ns;
	int rc; /* of a start that failed */
	struct error error;
};

static void tell_system(const char *state)
{
#ifdef HAVE_SYSTEMD
	sd_notify(0, state);
#else
	(void)state;
#endif
}

static const char *server_missing(void *arg)
{
	struct server *s = arg;

	return atomic_load(&s->missing);
}

/* ---- the way down, step by step; each begins the next */
static void on_changes_written(void *arg)
{
	struct server *s = arg;

	s->changes = NULL;
	host_resolver_close(s->hosts);
	s->hosts = NULL;
	tls_keeper_done(&s->tls);
	loop_watch_close(&s->watch);
	uv_close((uv_handle_t *)&s->term, NULL);
	uv_close((uv_handle_t *)&s->interrupt, NULL);
	uv_close((uv_handle_t *)&s->hangup, NULL);
	uv_close((uv_handle_t *)&s->tick, NULL);
}

static void on_desk_closed(void *arg)
{
	struct server *s = arg;

	s->desk = NULL;
	if (s->changes != NULL)
		change_log_close(s->changes, on_changes_written, s);
	else
		on_changes_written(s);
}

static void on_beats_closed(void *arg)
{
	struct server *s = arg;

	desk_close(s->desk, on_desk_closed, s);
}

static void on_zones_given(void *arg);

static void on_api_stopped(void *arg)
{
	struct server *s = arg;

	s->api = NULL;
	if (s->dns != NULL)
		dns_server_stop(s->dns);
	s->dns = NULL;
	if (s->zones != NULL)
		zone_keeper_close(s->zones, on_zones_given, s);
	else
		on_zones_given(s);
}

static void on_zones_given(void *arg)
{
	struct server *s = arg;

	if (s->prober != NULL)
		prober_stop(s->prober); /* freed behind the desk: verdicts may be under way */
	if (s->beats != NULL)
		beats_close(s->beats, on_beats_closed, s);
	else
		on_beats_closed(s);
}

static void server_stop(struct server *s, const char *why)
{
	if (s->stopping)
		return;
	s->stopping = true;
	atomic_store(&s->missing, "stopping");
	log_info("server", "stopping: %s", why);
	tell_system("STOPPING=1");
	if (s->reloading)
		zone_keeper_drop(s->zones); /* the settings stay as they are */
	if (s->api != NULL)
		api_stop(s->api, &s->loop, on_api_stopped, s);
	else
		on_api_stopped(s);
}

static void on_signal(uv_signal_t *handle, int number)
{
	server_stop(handle->data, number == SIGTERM ? "SIGTERM" : "SIGINT");
}

static void server_fail(struct server *s, int rc)
{
	s->rc = rc;
	server_stop(s, s->error.text);
}

/* ---- the way up */
static void server_cookies(struct server *s)
{
	if (dns_server_cookies(s->dns, s->cookies.key, s->cookies.count, desk_reaper(s->desk)) < 0)
		log_error("dns", "no memory for new secrets of cookies: the old ones stay");
}

static void on_tick(uv_timer_t *timer)
{
	struct server *s = timer->data;

	if (s->zones != NULL)
		zone_keeper_tick(s->zones, clock_wall_ms());
	if (s->dns != NULL && cookie_keeper_tick(&s->cookies, clock_wall_ms()))
		server_cookies(s);
	struct tls_context *fresh = s->dns == NULL ? NULL : tls_keeper_tick(&s->tls, clock_ms());
	if (fresh != NULL)
		dns_server_secure(s->dns, fresh, desk_reaper(s->desk));
	if (s->dns != NULL)
		dns_server_turn_tickets(s->dns, clock_ms());
}

/* What is bound, and ports.json with it. */
static int server_addresses(struct server *s, struct bound_addresses *bound)
{
	bound->dns_count = dns_server_addresses(s->dns, false, bound->dns, 64);
	bound->dns_tls_count = dns_server_addresses(s->dns, true, bound->dns_tls, 64);
	bound->http_count = api_addresses(s->api, false, bound->http, 16);
	bound->operator_count = api_addresses(s->api, true, bound->operator, 16);
	bound->grpc_count = api_grpc_addresses(s->api, bound->grpc, 16);
	bound->push_count = api_udp_addresses(s->api, bound->push, 16);
	return ports_write(s->conf->data_dir, bound, &s->error);
}

static int explain_http(struct error *err, int rc, const struct api_conf *api)
{
	size_t len = strlen(err->text);

	port_holder_explain(err, rc, api->listens, api->listen_count);
	if (strlen(err->text) == len)
		port_holder_explain(err, rc, api->operator_listens, api->operator_count);
	return strlen(err->text) > len ? rc : port_holder_explain(err, rc, api->grpc_listens, api->grpc_listen_count);
}

static int server_bind(struct server *s, struct bound_addresses *bound)
{
	struct dns_server_conf dns = s->conf->dns;
	struct api_conf api = s->conf->api;
	int rc;

	dns.zones = zone_keeper_slot(s->zones);
	rc = tls_keeper_load(&s->tls, s->conf->tls_cert, s->conf->tls_key, &dns.tls, &s->error);
	if (rc < 0)
		return error_wrap(&s->error, rc, "tls");
	rc = dns_server_start(&s->dns, &dns, &s->error);
	if (rc < 0) {
		tls_context_free(dns.tls);
		for (size_t i = 0; i < dns.listen_count && i < 64; i++)
			bound->dns[i] = dns.listens[i].addr;
		return port_holder_explain(&s->error, rc, bound->dns, dns.listen_count);
	}
	cookie_keeper_init(&s->cookies, s->conf->data_dir);
	cookie_keeper_set(&s->cookies, s->conf->cookie_secrets, s->conf->cookie_secret_count, clock_wall_ms());
	server_cookies(s);
	api.allowed = reload_allows;
	api.allowed_arg = s->conf->reload;
	api.not_ready = server_missing;
	api.not_ready_arg = s;
	s->explainer = (struct explainer_parts){ zone_keeper_slot(s->zones), s->beats, s->prober };
	api.explainer = explainer_make(&s->explainer);
	s->zone_export = (struct zone_export){ zone_keeper_slot(s->zones) };
	api.zone_list = zone_export_list;
	api.zone_text = zone_export_text;
	api.zone_text_more = zone_export_more;
	api.zone_text_end = zone_export_end;
	api.zone_arg = &s->zone_export;
	api.knocker = knocker_make(&s->explainer);
	atomic_store(&s->missing, NULL); /* before HTTP listens: the first request is answered */
	rc = api_start(&s->api, s->desk, &api, &s->error);
	if (rc < 0)
		return explain_http(&s->error, rc, &api);
	rc = server_addresses(s, bound);
	if (rc != E_FULL)
		return rc;
	log_error("server", "serving without it: %s", s->error.text); /* DNS matters more than a file for tools */
	return E_OK;
}

static void say_ready(struct server *s, const struct bound_addresses *bound)
{
	char text[64];
	struct registry_stats stats;

	for (size_t i = 0; i < bound->dns_count; i++) {
		bound_format(text, sizeof(text), &bound->dns[i]);
		log_each(LOG_INFO, "server", "DNS on %s", text);
	}
	for (size_t i = 0; i < bound->dns_tls_count; i++) {
		bound_format(text, sizeof(text), &bound->dns_tls[i]);
		log_each(LOG_INFO, "server", "DNS over TLS on %s", text);
	}
	for (size_t i = 0; i < bound->http_count; i++) {
		bound_format(text, sizeof(text), &bound->http[i]);
		log_each(LOG_INFO, "server", "HTTP on %s", text);
	}
	for (size_t i = 0; i < bound->grpc_count; i++) {
		bound_format(text, sizeof(text), &bound->grpc[i]);
		log_each(LOG_INFO, "server", "gRPC on %s", text);
	}
	for (size_t i = 0; i < bound->push_count; i++) {
		bound_format(text, sizeof(text), &bound->push[i]);
		log_each(LOG_INFO, "server", "UDP push from %s", text);
	}
	for (size_t i = 0; i < bound->operator_count; i++) {
		bound_format(text, sizeof(text), &bound->operator[i]);
		log_each(LOG_INFO, "server", "HTTP for operators on %s", text);
	}
	log_info("server", "this registry stands alone: a second Muster in one server-addr list would be another registry, "
			   "not a cluster");
	registry_stats(desk_registry(s->desk), &stats);
	log_info("server", "ready after %.0f ms: %llu services, %llu instances",
		 (double)(clock_ns() - s->started_ns) / 1e6, (unsigned long long)stats.services,
		 (unsigned long long)stats.instances);
	tell_system("READY=1");
}

/* systemd waits for the second line before it takes the reload for done. */
static void reload_over(struct server *s, enum reload_end end)
{
	struct bound_addresses bound = { .dns_count = 0 };

	if (end == RELOAD_DONE)
		zone_keeper_read_files(s->zones);
	if (end != RELOAD_REFUSED && server_addresses(s, &bound) < 0)
		log_error("server", "%s", s->error.text);
	tell_system("READY=1");
}

static void server_reload(struct server *s);

static void on_reloaded(void *arg, enum reload_end end)
{
	struct server *s = arg;

	s->reloading = false;
	reload_over(s, end);
	if (s->reload_wanted)
		server_reload(s);
}

static void server_reload(struct server *s)
{
	struct reload_parts parts = { s->desk, s->dns, s->api, s->beats, s->zones, &s->cookies, &s->tls };
	char state[64];

	snprintf(state, sizeof(state), "RELOADING=1\nMONOTONIC_USEC=%llu", (unsigned long long)(clock_ns() / 1000));
	tell_system(state);
	s->reload_wanted = false;
	enum reload_end end = reload_run(s->conf->reload, &parts, on_reloaded, s);
	s->reloading = end == RELOAD_LATER;
	if (!s->reloading)
		reload_over(s, end);
}

static void on_hangup(uv_signal_t *handle, int number)
{
	struct server *s = handle->data;

	(void)number;
	if (s->stopping)
		return;
	if (s->api == NULL || s->reloading)
		s->reload_wanted = true;
	else
		server_reload(s);
}

static void server_serve(struct server *s)
{
	struct bound_addresses bound = { .dns_count = 0 };

	if (s->stopping)
		return;
	zone_keeper_ready(s->zones);
	int rc = server_bind(s, &bound);
	if (rc < 0) {
		server_fail(s, rc);
		return;
	}
	say_ready(s, &bound);
	if (s->reload_wanted)
		server_reload(s);
}

static int serial_keep(struct server *s, const char *zone, uint32_t serial, store_commit_cb *on_reply, void *arg);

static void on_first_kept(void *arg, const struct store_reply *reply)
{
	struct server *s = arg;

	if (reply != NULL && reply->code < 0)
		log_warn("dns", "the serial of a zone could not be written: after a kill it may be handed out again");
	if (--s->serials_waiting == 0)
		server_serve(s);
}

/* No answer has a serial that is not on disk: a second kill would hand it out again, for other contents. */
static void on_ready(void *arg)
{
	struct server *s = arg;

	if (s->stopping)
		return;
	s->serials_waiting = 1;
	const struct zone_set *zones = zone_slot_read(zone_keeper_slot(s->zones));
	for (int i = 0; (size_t)i < zone_set_zone_count(zones); i++)
		if (serial_keep(s, zone_set_zone_name(zones, i), zone_set_serial(zones, i), on_first_kept, s) == E_OK)
			s->serials_waiting++;
	on_first_kept(s, NULL);
}

static void on_store_state(void *arg, enum store_state state, const char *reason)
{
	struct server *s = arg;

	atomic_store(&s->metrics.store_state, (int)state);
	if (state == STORE_LIVE)
		log_info("store", "durable writes are accepted");
	else if (state == STORE_FULL)
		log_error("store", "durable writes are refused (persistent instances, edits, namespaces; DNS and ephemeral instances go on): %s", reason);
	else if (state == STORE_REFUSED && !s->stopping) {
		s->rc = error_set(&s->error, E_IO, "store: %s", reason);
		server_stop(s, s->error.text);
	}
}

static int server_handles(struct server *s)
{
	uv_signal_init(&s->loop, &s->term);
	uv_signal_init(&s->loop, &s->interrupt);
	uv_signal_init(&s->loop, &s->hangup);
	uv_timer_init(&s->loop, &s->tick);
	s->term.data = s->interrupt.data = s->hangup.data = s->tick.data = s;
	uv_signal_start(&s->term, on_signal, SIGTERM);
	uv_signal_start(&s->interrupt, on_signal, SIGINT);
	uv_signal_start(&s->hangup, on_hangup, SIGHUP);
	return uv_timer_start(&s->tick, on_tick, TICK_MS, TICK_MS);
}

/* What follows the registry: names first, so that DNS has a change before anybody else hears of it. */
static int server_watchers(struct server *s)
{
	struct registry_watcher watcher;
	struct beats_conf beats = s->conf->beats;
	beats.never_remove = !s->conf->desk.registry.expire_instances;
	int rc = beats_start(&s->beats, &s->loop, s->desk, &beats, &s->error);
	if (rc < 0)
		return rc;
	watcher = beats_watcher(s->beats);
	rc = desk_watch(s->desk, &watcher);
	if (rc < 0)
		return rc;
	rc = prober_start(&s->prober, s->desk, &s->conf->prober, &s->error);
	if (rc < 0)
		return rc;
	watcher = prober_watcher(s->prober);
	rc = desk_watch(s->desk, &watcher);
	if (rc < 0)
		return rc;
	server_metrics_declare(&s->metrics, s->desk, server_missing, s);
	watcher = server_metrics_watcher(&s->metrics);
	rc = desk_watch(s->desk, &watcher);
	if (rc < 0 || s->conf->changes.path == NULL)
		return rc;
	rc = change_log_open(&s->changes, &s->loop, &s->conf->changes, &s->error);
	if (rc < 0)
		return rc;
	watcher = change_log_watcher(s->changes);
	return desk_watch(s->desk, &watcher);
}

static void on_serial(void *arg, const char *zone, uint32_t serial);
static void on_conflict(void *arg, enum label_kind kind, const char *name);
static void on_hidden(void *arg, const char *zone, const struct service_key *key, const char *by);
static double read_conflicts(void *arg);
static double read_hidden(void *arg);

static void on_host_name(void *arg, const char *name, bool wanted)
{
	struct server *s = arg;

	if (s->hosts != NULL)
		host_resolver_want(s->hosts, name, wanted);
}

static void on_host_found(void *arg, const char *name, const struct host_found *found)
{
	struct server *s = arg;

	zone_keeper_host_found(s->zones, name, found);
}

static void on_other_row(void *arg, const struct store_entry *e)
{
	struct server *s = arg;
	const char *at = e->key + (e->key[0] == '/');
	char segment[256];

	/* muster/1/zone/<name>/serial */
	for (int i = 0; i < 3; i++)
		if (key_next(&at, segment, sizeof(segment)) < 0)
			return;
	if (strcmp(segment, "zone") != 0 || key_next(&at, segment, sizeof(segment)) < 0)
		return;
	uint32_t serial = (uint32_t)strtoul(e->value, NULL, 10);
	zone_keeper_restore(s->zones, segment, serial);
}

static int server_open(struct server *s)
{
	struct desk_conf desk = s->conf->desk;
	struct zone_set_conf zones = s->conf->zones;
	struct host_resolver_conf hosts = s->conf->hosts;
	int rc;

	desk.on_ready = on_ready;
	desk.on_store_state = on_store_state;
	desk.on_other_row = on_other_row;
	desk.arg = s;
	rc = desk_open(&s->desk, &s->loop, &desk, &s->error);
	if (rc < 0)
		return rc;
	hosts.on_found = on_host_found;
	hosts.arg = s;
	rc = host_resolver_open(&s->hosts, &s->loop, &hosts, &s->error);
	if (rc < 0)
		return rc;
	zones.on_serial = on_serial;
	zones.on_conflict = on_conflict;
	zones.on_hidden = on_hidden;
	zones.on_host_name = on_host_name;
	zones.arg = s;
	rc = zone_keeper_open(&s->zones, &s->loop, s->desk, &zones, &s->error);
	if (rc < 0)
		return rc;
	metrics_read("dns_alias_conflicts", "Names in lower case that are another one's, too.", NULL, false, read_conflicts, s->zones);
	metrics_read("dns_hidden_services", "Services whose name in a bound zone is taken, once for each zone.", NULL, false,
		     read_hidden, s->zones);
	return server_watchers(s);
}

static void on_conflict(void *arg, enum label_kind kind, const char *name)
{
	static const char *const kinds[] = { "namespace", "group", "service", "cluster", "value" };
	(void)arg;
	log_warn("dns", "the name of %s %s in lower case is another one's too: the oldest has it, or whoever is called so; "
			"every one has its coded label (e-1-...)", kinds[kind], name);
}

static void on_hidden(void *arg, const char *zone, const struct service_key *key, const char *by)
{
	(void)arg;
	log_warn("dns", "service %s of group %s, namespace %s, cannot be asked for by its name in zone %s, where %s stands: "
			"an alias or a zone of layout full can show it", key->name, key->group, key->ns, zone, by);
}

static void read_stats(struct zone_set_stats *ret, const struct zone_keeper *k)
{
	rcu_begin();
	zone_set_stats(zone_slot_read(zone_keeper_slot(k)), ret);
	rcu_end();
}

static double read_conflicts(void *arg)
{
	struct zone_set_stats stats;

	read_stats(&stats, arg);
	return (double)stats.alias_conflicts;
}

static double read_hidden(void *arg)
{
	struct zone_set_stats stats;

	read_stats(&stats, arg);
	return (double)stats.hidden;
}

static void on_serial_kept(void *arg, const struct store_reply *reply)
{
	(void)arg;
	(void)reply; /* refused: a start goes on ahead of the clock */
}

/* What is kept is ahead of what is handed out: a kill may come before it is on disk, and a start goes on behind it, and ahead
 * of the clock by as much. The clock alone is no help, since each transfer of a changed zone takes a serial, many of them
 * within one second. */
static int serial_keep(struct server *s, const char *zone, uint32_t serial, store_commit_cb *on_reply, void *arg)
{
	struct text key;
	char value[16];
	struct store_op op;
	int rc = E_NOMEM;

	text_init(&key);
	text_add(&key, "/muster/1/zone");
	key_add(&key, zone);
	key_add(&key, "serial");
	snprintf(value, sizeof(value), "%u", serial + ZONE_SERIALS_AHEAD);
	op = (struct store_op){ key.at, value, strlen(value) };
	if (!key.failed)
		rc = store_commit(desk_store(s->desk), &(struct store_batch){ .ops = &op, .op_count = 1 }, on_reply, arg, NULL);
	text_done(&key);
	return rc;
}

static void on_serial(void *arg, const char *zone, uint32_t serial)
{
	struct server *s = arg;

	if (s->stopping)
		return;
	zone_keeper_serial(s->zones, zone, serial);
	serial_keep(s, zone, serial, on_serial_kept, NULL);
}

int server_run(const struct server_conf *conf, struct error *err)
{
	struct server s = { .conf = conf, .started_ns = clock_ns() };
	char lock_path[4096];
	int rc;

	atomic_init(&s.missing, "loading the store");
	snprintf(lock_path, sizeof(lock_path), "%s/lock", conf->data_dir);
	rc = lock_take(&s.lock, lock_path, err);
	if (rc < 0)
		return error_wrap(err, rc, "server.data_dir");
	ports_remove(conf->data_dir);
	uv_loop_init(&s.loop);
	rcu_thread_start();
	metrics_thread_start();
	loop_watch_open(&s.watch, &s.loop, "control");
	server_handles(&s);
	rc = server_open(&s);
	if (s.desk == NULL) {
		on_desk_closed(&s);
	} else if (rc < 0) {
		server_fail(&s, rc);
	}
	uv_run(&s.loop, UV_RUN_DEFAULT);
	beats_free(s.beats); /* the desk called their watchers until it had closed */
	prober_free(s.prober);
	zone_keeper_free(s.zones);
	metrics_thread_stop();
	rcu_thread_stop();
	ports_remove(conf->data_dir);
	lock_release(s.lock);
	if (uv_loop_close(&s.loop) != 0)
		log_warn("server", "the event loop ended with a handle open: a bug, but nothing is lost by it");
	if (rc < 0)
		s.rc = rc;
	if (s.rc < 0)
		*err = s.error;
	else
		log_info("server", "stopped");
	return s.rc;
}
