/* settings.h - what the operator has set: one INI file, then MUSTER_SECTION_KEY variables, then
 * --section.key=value flags, each over the one before. All errors are collected and told at once. Filled in
 * once, before other threads start; read only from then on. The keys are rows in settings_table.c. */
#ifndef MUSTERD_SETTINGS_H
#define MUSTERD_SETTINGS_H

#include "base/arena.h"
#include "base/cidr.h"
#include "base/error.h"
#include "base/log.h"
#include "base/text.h"
#include "base/words.h"
#include "dnsd/dns_server.h"
#include "zones/zone_set.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { SETTINGS_KEYS_MAX = 160, SETTINGS_ZONES_MAX = 256, ZONE_KEYS_MAX = 24 };

enum settings_task {
	SETTINGS_SERVE,
	SETTINGS_CHECK,	  /* --check-config */
	SETTINGS_PRINT,	  /* --print-config */
	SETTINGS_SAMPLE,  /* --print-sample */
	SETTINGS_HELP,	  /* --help */
	SETTINGS_VERSION, /* --version */
	SETTINGS_BACKUP,  /* --backup FILE */
	SETTINGS_RESTORE, /* --restore FILE */
};

/* A value as it was given, and by whom: "default", "FILE:LINE", "environment MUSTER_DNS_TTL", "flag --dns.ttl". */
struct settings_origin {
	int rank; /* 0 default, 1 file, 2 environment, 3 flag */
	const char *where;
	const char *text;
};

struct address_list {
	struct dns_listen *at; /* one sockaddr_storage each */
	size_t count;
};

struct settings_zone {
	struct zone_conf conf;
	struct settings_origin origins[ZONE_KEYS_MAX];
	const char *where; /* first mentioned */
};

struct settings {
	enum settings_task task;
	const char *task_file; /* of --backup and --restore; borrowed from argv */
	bool force;	       /* --force */
	const char *file; /* the one that was read; NULL: none */

	struct {
		const char *user; /* NULL: who starts the server */
		const char *data_dir;
		const char *backup_dir; /* NULL: no backups over HTTP */
		unsigned backup_keep;
		unsigned io_threads;
	} server;
	struct {
		struct address_list listen, tls_listen;
		unsigned threads; /* 0: one per core */
		unsigned udp_size, udp_size_lan, cap;
		uint32_t ttl, ttl_host, ttl_negative; /* seconds */
		enum select_mode mode;
		enum protect_mode protect;
		enum all_unhealthy all_unhealthy;
		int64_t subset_rotate_ms, last_max_ms, slow_start_ms;
		enum hostname_mode hostname_mode;
		struct address_list hostname_upstreams; /* empty: of resolv.conf */
		bool raw_alias, loopback_addresses, minimal_responses, udp_gso;
		struct word_list metadata_keys, selector_keys;
		struct word_list cookie_secrets; /* none: generated ones */
		int64_t tcp_idle_ms;
		unsigned tcp_max, tcp_per_prefix, transfers;
		int64_t transfer_ms;
		const char *mname, *rname; /* NULL: by zone */
		struct cidr_list reverse;
		unsigned rrl, rrl_slip, rrl_errors;
		bool rrl_private;
		struct cidr_list rrl_allow;
		const char *nsid;	   /* NULL: the host's name; "off": none */
		const char *version;	   /* "hide", NULL: none */
	} dns;
	struct {
		struct address_list upstreams; /* empty: off */
		struct cidr_list allow;
		size_t cache;
		int64_t timeout_ms;
		unsigned pending;
		const char *trust_anchor; /* NULL: nothing is validated */
	} forward;
	struct {
		const char *cert, *key; /* paths; NULL: none */
	} tls;
	struct {
		struct address_list listen;
		struct address_list operator_listen; /* empty: operators are served with everybody */
		const char *advertise; /* NULL: where clients have connected to */
		struct cidr_list allow;
		size_t max_header, max_body, max_output;
		int64_t idle_timeout_ms, header_timeout_ms, write_timeout_ms;
		unsigned connections, connections_per_address;
	} http;
	struct {
		struct address_list listen; /* empty: http.listen, ports + 1000 */
		unsigned connections, connections_per_address, streams;
		size_t max_message;
	} grpc;
	struct {
		int64_t merge_ms;
		struct address_list udp_listen; /* empty: the hosts of http.listen, one port above */
		struct cidr_list udp_allow;
		unsigned udp_subscriptions, udp_subscriptions_per_address;
		int64_t udp_ack_ms, udp_expiry_ms;
	} push;
	struct {
		int64_t connection_idle_ms, connection_probe_ms, reconnect_grace_ms;
		bool reconnect_probe;
		unsigned probe_rate, probes_in_flight;
	} health;
	struct {
		unsigned floor_percent;
		int64_t clean_empty_ms;
		bool expire_instances;
	} registry;
	struct {
		const char *url;
	} store;
	struct {
		enum log_level level;
		enum log_format format;
		const char *changes; /* a path, or "off" */
		unsigned changes_rate, changes_files;
		size_t changes_size;
	} log;
	struct {
		unsigned instances, services, instances_per_service, namespaces, metadata_bytes, inbox;
		size_t encoding_cache;
	} limits;

	struct settings_zone *zones; /* at least one; conf has mname and rname of [dns] where it has none */
	size_t zone_count;

	struct arena arena; /* holds all of the above */
	struct settings_origin origins[SETTINGS_KEYS_MAX]; /* by row */
};

/* One line per error: "FILE:LINE: section.key: what is wrong and what to write". */
struct settings_errors {
	struct text lines;
	unsigned count;
};

/* @argv and @envp are borrowed until settings_done(). E_OK: @ret is filled in. E_INVALID: @errs says why (the
 * caller prints it and exits 2). E_NOMEM. On every return the caller ends both with their _done(). */
int settings_load(struct settings *ret, int argc, char **argv, char **envp, struct settings_errors *errs);
void settings_done(struct settings *s);
void settings_errors_done(struct settings_errors *errs);

/* Every key with its value and where that came from, as a file that can be read again. */
void settings_print(const struct settings *s, struct text *to);
/* Flags, and every key with its default and meaning. */
void settings_usage(struct text *to);
/* A commented sample file: each key with its default and meaning. */
void settings_sample(struct text *to);

/* For http_server and friends: is @peer inside http.allow, or is the list empty? */
bool settings_allows(const struct settings *s, const struct sockaddr *peer);

#endif
