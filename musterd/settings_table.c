/* settings_table.c - every key of the settings. Order is the order in which they are printed. */
#include "musterd/settings_table.h"
#include "zones/selector.h"

#define SECOND 1000
#define MINUTE (60 * SECOND)
#define HOUR (60 * MINUTE)
#define KIB ((uint64_t)1024)
#define MIB (1024 * KIB)
#define AT(field) offsetof(struct settings, field)
#define ZONE_AT(field) offsetof(struct zone_conf, field)

/* In the order of the enums they set. */
static const char *const modes[] = { "auto", "all", "one", "shuffle", "subset", "hash", NULL };
static const char *const protects[] = { "nacos", "always", "off", NULL };
static const char *const unhealthies[] = { "empty", "open", "servfail", "nxdomain", "last", NULL };
static const char *const hostnames[] = { "flatten", "srv-only", "cname", NULL };
static const char *const levels[] = { "debug", "info", "warn", "error", NULL };
static const char *const formats[] = { "text", "json", NULL };
static const char *const layouts[] = { "full", "bound", "bound-group", "bound-ns", "static", "reverse", NULL };

const struct setting settings_table[] = {
	{ "server", "user", SETTING_TEXT, AT(server.user), "", 0, 0, NULL,
	  "Started as root, the server becomes this user and keeps only the right to bind ports below 1024; empty: it "
	  "stays who it is (the systemd unit sets its own user)." },
	{ "server", "data_dir", SETTING_TEXT, AT(server.data_dir), "/var/lib/muster", 1, 0, NULL,
	  "Directory of the store, the warm copy, the lock and ports.json." },
	{ "server", "backup_dir", SETTING_TEXT, AT(server.backup_dir), "", 0, 0, NULL,
	  "Directory of the backups that POST /muster/v1/backup writes, in server.data_dir when it is relative; empty: that "
	  "route writes none." },
	{ "server", "backup_keep", SETTING_COUNT, AT(server.backup_keep), "7", 1, 10000, NULL,
	  "The newest backups in server.backup_dir that are kept; older ones are removed when one was written." },
	{ "server", "io_threads", SETTING_COUNT, AT(server.io_threads), "1", 1, 64, NULL,
	  "Threads that serve HTTP." },

	{ "dns", "listen", SETTING_ADDRESSES, AT(dns.listen), "0.0.0.0:53, [::]:53", 1, 64, NULL,
	  "Addresses of the DNS server, UDP and TCP; port 0 takes a free one, ports.json says which." },
	{ "dns", "tls_listen", SETTING_ADDRESSES, AT(dns.tls_listen), "", 0, 32, NULL,
	  "Addresses of DNS over TLS (RFC 7858; its port is 853); needs tls.cert and tls.key. Empty: none." },
	{ "dns", "threads", SETTING_COUNT, AT(dns.threads), "0", 0, 256, NULL,
	  "Threads that answer DNS; 0: one per core." },
	{ "dns", "udp_size", SETTING_COUNT, AT(dns.udp_size), "1232", 512, 4096, NULL,
	  "Largest answer over UDP, in octets." },
	{ "dns", "udp_size_lan", SETTING_COUNT, AT(dns.udp_size_lan), "4096", 512, 4096, NULL,
	  "The same for clients with a loopback, private or link-local address." },
	{ "dns", "udp_gso", SETTING_SWITCH, AT(dns.udp_gso), "on", 0, 0, NULL,
	  "Answers over UDP that follow each other to one socket of a client, all of a size, are given to the system together, which "
	  "cuts them (UDP_SEGMENT): less work for those that forwarders with few sockets ask. What is on the wire is the "
	  "same; tcpdump on this machine shows them uncut." },
	{ "dns", "ttl", SETTING_SECONDS, AT(dns.ttl), "5s", 0, 86400, NULL, "TTL of service data." },
	{ "dns", "ttl_host", SETTING_SECONDS, AT(dns.ttl_host), "60s", 0, 86400, NULL,
	  "TTL of the host names that SRV points at." },
	{ "dns", "ttl_negative", SETTING_SECONDS, AT(dns.ttl_negative), "5s", 0, 3600, NULL,
	  "How long an answer \"not there\" may be kept." },
	{ "dns", "mode", SETTING_CHOICE, AT(dns.mode), "auto", 0, 0, modes,
	  "How addresses are chosen: the whole set with a weighted first one as long as it fits dns.cap, a stable "
	  "weighted subset otherwise (auto); all; one; shuffle; subset; one and the same for a client, by its network, as long "
	  "as it is there (hash)." },
	{ "dns", "cap", SETTING_COUNT, AT(dns.cap), "16", 1, 1000, NULL, "Most addresses in one answer." },
	{ "dns", "subset_rotate", SETTING_DURATION, AT(dns.subset_rotate_ms), "30s", 0, 24 * (uint64_t)HOUR, NULL,
	  "How often a subset is drawn anew; 0s: never." },
	{ "dns", "protect", SETTING_CHOICE, AT(dns.protect), "nacos", 0, 0, protects,
	  "Once the healthy share falls to a service's protect threshold, its unhealthy instances are answered too: "
	  "for services with stored settings (nacos), for every service (always), never (off)." },
	{ "dns", "all_unhealthy", SETTING_CHOICE, AT(dns.all_unhealthy), "empty", 0, 0, unhealthies,
	  "The answer when no instance is healthy: no address (empty), all of them (open), an error "
	  "(servfail), no such name (nxdomain), those that were healthy last (last, for dns.last_max)." },
	{ "dns", "last_max", SETTING_DURATION, AT(dns.last_max_ms), "5m", 0, 24 * (uint64_t)HOUR, NULL,
	  "How long dns.all_unhealthy = last answers instances that are unhealthy all." },
	{ "dns", "slow_start", SETTING_DURATION, AT(dns.slow_start_ms), "0s", 0, HOUR, NULL,
	  "An instance that comes to others, or is healthy again, is answered with a tenth of its weight at first and with all "
	  "of it after this time, in ten steps, by DNS alone (such as 30s). 0s: at once." },
	{ "dns", "hostname_mode", SETTING_CHOICE, AT(dns.hostname_mode), "flatten", 0, 0, hostnames,
	  "Instances registered with a host name in place of an address: its addresses are looked up and answered as theirs, "
	  "SRV points at the name (flatten); SRV alone (srv-only); as flatten, but a service whose only healthy instance is one "
	  "such is an alias of that name, for every type (cname)." },
	{ "dns", "hostname_upstreams", SETTING_ADDRESSES, AT(dns.hostname_upstreams), "", 0, 8, NULL,
	  "Resolvers that are asked for those host names, with their ports; empty: those of /etc/resolv.conf." },
	{ "dns", "raw_alias", SETTING_SWITCH, AT(dns.raw_alias), "on", 0, 0, NULL,
	  "Registry names in lower case resolve as they are, besides their coded form." },
	{ "dns", "loopback_addresses", SETTING_SWITCH, AT(dns.loopback_addresses), "on", 0, 0, NULL,
	  "Instances registered with a loopback address are answered." },
	{ "dns", "minimal_responses", SETTING_SWITCH, AT(dns.minimal_responses), "off", 0, 0, NULL,
	  "SRV answers come without the addresses of their targets: smaller and quicker, for clients that ask again." },
	{ "dns", "metadata_keys", SETTING_WORDS, AT(dns.metadata_keys), "name, cluster, version", 0, 64, NULL,
	  "Metadata shown in TXT answers." },
	{ "dns", "selector_keys", SETTING_WORDS, AT(dns.selector_keys), "", 0, SELECTOR_KEYS_MAX, NULL,
	  "Metadata keys of instances by which they can be asked for: with version, v2.version.m.orders... has the instances of "
	  "orders whose metadata say version=v2. A key that is no DNS label is given one: zone=topology.zone. Each value that a "
	  "service has costs about as much memory as a service." },
	{ "dns", "cookie_secrets", SETTING_WORDS, AT(dns.cookie_secrets), "", 0, COOKIE_SECRETS, NULL,
	  "Secrets of DNS cookies, 32 hexadecimal digits each: the one that signs, and one more that is accepted while they "
	  "are changed; servers that answer at one address need the same ones. Empty: generated, kept in the data directory "
	  "and changed every day." },
	{ "dns", "tcp_idle", SETTING_DURATION, AT(dns.tcp_idle_ms), "10s", 100, HOUR, NULL,
	  "A TCP connection without a query is closed after this time." },
	{ "dns", "tcp_max", SETTING_COUNT, AT(dns.tcp_max), "4096", 1, 1000000, NULL,
	  "TCP connections of one DNS thread." },
	{ "dns", "tcp_per_prefix", SETTING_COUNT, AT(dns.tcp_per_prefix), "64", 1, 1000000, NULL,
	  "TCP connections of one DNS thread from one IPv4 address or IPv6 /64." },
	{ "dns", "transfers", SETTING_COUNT, AT(dns.transfers), "32", 1, 1000000, NULL,
	  "Transfers of zones that one DNS thread has on their way; the next one is refused, and comes again later." },
	{ "dns", "transfer_time", SETTING_DURATION, AT(dns.transfer_ms), "10m", 100, 24 * HOUR, NULL,
	  "A transfer that is not through after this time is cut off, however steadily it is read. One that is not read at all "
	  "is after dns.tcp_idle. The same for the text of a zone over HTTP." },
	{ "dns", "rrl", SETTING_COUNT, AT(dns.rrl), "50", 0, 10000, NULL,
	  "Answers a second over UDP to one address outside of private networks (two and a half times as many at once after a "
	  "rest); to the networks around it (/24, /20, /18; /64, /56, /48, /32) 32, 256, 768; 2, 3, 4, 64 times as many. Above that "
	  "a client is told to come by TCP, or by a cookie if it knows them; who shows a good one is never limited. 0: nobody is." },
	{ "dns", "rrl_slip", SETTING_COUNT, AT(dns.rrl_slip), "1", 0, 100, NULL,
	  "Of the queries above dns.rrl every so many is told so, the others are dropped. 0: all are dropped." },
	{ "dns", "rrl_allow", SETTING_CIDRS, AT(dns.rrl_allow), "", 0, 256, NULL,
	  "Address ranges that dns.rrl does not limit, such as those of one's own resolvers." },
	{ "dns", "rrl_private", SETTING_SWITCH, AT(dns.rrl_private), "off", 0, 0, NULL,
	  "dns.rrl holds for loopback, private and link-local addresses too." },
	{ "dns", "rrl_errors", SETTING_COUNT, AT(dns.rrl_errors), "1000", 0, 10000000, NULL,
	  "Error answers (such as REFUSED, FORMERR, NOTIMP) a second of one DNS thread over UDP, to all clients together but "
	  "those with a good cookie; above it there is no answer. 0: no limit." },
	{ "dns", "nsid", SETTING_TEXT, AT(dns.nsid), "", 0, IDENTITY_MAX, NULL,
	  "Name of this server among others, told to who asks for it (EDNS option NSID; TXT of id.server and hostname.bind in "
	  "class CHAOS); empty: the host name; off: it is not told." },
	{ "dns", "version", SETTING_TEXT, AT(dns.version), "hide", 0, IDENTITY_MAX, NULL,
	  "Text that TXT of version.bind and version.server in class CHAOS answers; hide: it is refused." },
	{ "dns", "mname", SETTING_TEXT, AT(dns.mname), "", 0, 0, NULL,
	  "Primary server named in the SOA; empty: ns1 in the zone." },
	{ "dns", "rname", SETTING_TEXT, AT(dns.rname), "", 0, 0, NULL,
	  "Mailbox named in the SOA; empty: hostmaster in the zone." },

	{ "dns", "reverse", SETTING_CIDRS, AT(dns.reverse), "", 0, 64, NULL,
	  "Address ranges that are served as reverse zones (10.0.0.0/8 is 10.in-addr.arpa, 2001:db8::/32 is "
	  "8.b.d.0.1.0.0.2.ip6.arpa): of whole octets (IPv4) or nibbles (IPv6). An address in them points to its name in the "
	  "first zone that has it." },

	{ "forward", "upstreams", SETTING_ADDRESSES, AT(forward.upstreams), "", 0, 8, NULL,
	  "Resolvers, with their ports, that are asked for names outside of the zones, for hosts whose resolv.conf names this "
	  "server: 192.0.2.1:53, [2001:db8::1]:53. Empty: such names are refused." },
	{ "forward", "allow", SETTING_CIDRS, AT(forward.allow), "127.0.0.0/8, ::1, 10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16, fc00::/7, fe80::/10",
	  1, 256, NULL,
	  "Address ranges whose questions are forwarded; what is written replaces the whole list. Others are refused." },
	{ "forward", "cache", SETTING_SIZE, AT(forward.cache), "16MiB", 64 * KIB, 4096 * MIB, NULL,
	  "Memory for answers of the upstreams." },
	{ "forward", "timeout", SETTING_DURATION, AT(forward.timeout_ms), "4s", 100, MINUTE, NULL,
	  "A question that no upstream has answered after this time, with all retries, is answered SERVFAIL." },
	{ "forward", "pending", SETTING_COUNT, AT(forward.pending), "2000", 1, 100000, NULL,
	  "Questions that may wait for the upstreams; one more is answered SERVFAIL." },
	{ "forward", "trust_anchor", SETTING_TEXT, AT(forward.trust_anchor), "", 0, 0, NULL,
	  "File of DS or DNSKEY records (/usr/share/dns/root.key): answers of the upstreams are validated by it. Empty: they "
	  "are not." },
	{ "tls", "cert", SETTING_TEXT, AT(tls.cert), "", 0, 0, NULL,
	  "The server's certificate and those that lead to a known one, PEM, its own first. It is read again when it or "
	  "tls.key has changed: write both, within two seconds or by renaming." },
	{ "tls", "key", SETTING_TEXT, AT(tls.key), "", 0, 0, NULL,
	  "The certificate's key, PEM, without a password; the server's user must be able to read it." },

	{ "http", "listen", SETTING_ADDRESSES, AT(http.listen), "127.0.0.1:8848", 1, 16, NULL,
	  "Addresses of the HTTP server; any but loopback needs http.allow." },
	{ "http", "operator_listen", SETTING_ADDRESSES, AT(http.operator_listen), "", 0, 16, NULL,
	  "Addresses of their own for operators: once set, metrics, health of the server, operator and native routes are "
	  "answered here and no longer at http.listen, and client routes only there." },
	{ "http", "advertise", SETTING_TEXT, AT(http.advertise), "", 0, 0, NULL,
	  "Host, or host:port (8848), at which clients reach this server, for the server list (/nacos/serverlist) and member "
	  "lists: needed behind address translation or a name. Empty: the address that the client has connected to." },
	{ "http", "allow", SETTING_CIDRS, AT(http.allow), "", 0, 256, NULL,
	  "Address ranges whose peers may use HTTP; empty: everybody who reaches a loopback listener." },
	{ "http", "max_header", SETTING_SIZE, AT(http.max_header), "64KiB", 1 * KIB, 64 * KIB, NULL,
	  "Request line and headers of one request." },
	{ "http", "max_body", SETTING_SIZE, AT(http.max_body), "1MiB", 1 * KIB, 64 * MIB, NULL,
	  "Body of one request; routes have smaller bounds of their own." },
	{ "http", "idle_timeout", SETTING_DURATION, AT(http.idle_timeout_ms), "60s", 100, HOUR, NULL,
	  "A connection without a request is closed after this time." },
	{ "http", "header_timeout", SETTING_DURATION, AT(http.header_timeout_ms), "10s", 100, HOUR, NULL,
	  "A request's head must be there within this time." },
	{ "http", "write_timeout", SETTING_DURATION, AT(http.write_timeout_ms), "30s", 100, HOUR, NULL,
	  "A client that takes no octet of what waits for it is cut off after this time." },
	{ "http", "max_output", SETTING_SIZE, AT(http.max_output), "64MiB", 64 * KIB, 4096 * MIB, NULL,
	  "What may wait for one client that reads slowly; above it the client is cut off. The list of a service with "
	  "100000 instances takes some 40 MiB." },
	{ "http", "connections", SETTING_COUNT, AT(http.connections), "20000", 1, 1000000, NULL,
	  "Open HTTP connections." },
	{ "http", "connections_per_address", SETTING_COUNT, AT(http.connections_per_address), "20000", 1, 1000000, NULL,
	  "Open HTTP connections of one peer address." },

	{ "grpc", "listen", SETTING_ADDRESSES, AT(grpc.listen), "", 0, 16, NULL,
	  "Addresses of the gRPC server; empty: those of http.listen with 1000 added to the port, where SDKs look for "
	  "it. The HTTP addresses speak gRPC as well. http.allow holds here too." },
	{ "grpc", "connections", SETTING_COUNT, AT(grpc.connections), "50000", 1, 1000000, NULL,
	  "Open gRPC connections." },
	{ "grpc", "connections_per_address", SETTING_COUNT, AT(grpc.connections_per_address), "20000", 1, 1000000, NULL,
	  "Open gRPC connections of one peer address." },
	{ "grpc", "streams", SETTING_COUNT, AT(grpc.streams), "256", 8, 65536, NULL,
	  "Requests under way at a time on one gRPC connection." },
	{ "grpc", "max_message", SETTING_SIZE, AT(grpc.max_message), "4MiB", 16 * KIB, 64 * MIB, NULL,
	  "One gRPC request; larger ones are refused." },

	{ "push", "merge", SETTING_DURATION, AT(push.merge_ms), "50ms", 0, 10 * SECOND, NULL,
	  "Changes of a service within this time behind a push are pushed together." },
	{ "push", "udp_listen", SETTING_ADDRESSES, AT(push.udp_listen), "", 0, 16, NULL,
	  "Addresses that pushes to 1.x clients leave from, and their acknowledgements come back to; empty: each host of "
	  "http.listen, with 1 added to its first port (8849)." },
	{ "push", "udp_allow", SETTING_CIDRS, AT(push.udp_allow), "", 0, 256, NULL,
	  "Address ranges that a 1.x client may name as its own (clientIP) though its request came from another address: "
	  "clients behind a proxy. All others are pushed to where their request came from, whatever they name." },
	{ "push", "udp_subscriptions", SETTING_COUNT, AT(push.udp_subscriptions), "100000", 0, 10000000, NULL,
	  "Subscriptions of 1.x clients (one for each service of each client); above it a client is not pushed to and is "
	  "told to poll every 3 s. 0: no UDP push at all, no port is opened." },
	{ "push", "udp_subscriptions_per_address", SETTING_COUNT, AT(push.udp_subscriptions_per_address), "20000", 1,
	  10000000, NULL, "The same, of one client address." },
	{ "push", "udp_ack", SETTING_DURATION, AT(push.udp_ack_ms), "10s", 10, HOUR, NULL,
	  "A push over UDP that is not acknowledged within this time is sent once more, and given up after as long again." },
	{ "push", "udp_expiry", SETTING_DURATION, AT(push.udp_expiry_ms), "30s", 100, HOUR, NULL,
	  "A 1.x client that has not polled for this time is pushed to no longer (90 s where its list may be empty: Java "
	  "clients then poll less and less often)." },

	{ "health", "connection_idle", SETTING_DURATION, AT(health.connection_idle_ms), "7s", 100, HOUR, NULL,
	  "A gRPC client that has said nothing for this time is asked whether it is there (SDKs speak every 5 s)." },
	{ "health", "connection_probe", SETTING_DURATION, AT(health.connection_probe_ms), "5s", 100, HOUR, NULL,
	  "One that has not answered by then is disconnected, and its instances are gone." },
	{ "health", "reconnect_grace", SETTING_DURATION, AT(health.reconnect_grace_ms), "5s", 0, HOUR, NULL,
	  "Instances of a gRPC connection that was closed stay for this time, so that a client that connects again "
	  "takes them over; of SDKs that notice a cut late for 12 s (Python 2.x) or 14 s (Rust), and for 35 s when a "
	  "client of Python is back, which registers again in rounds of 30 s. 0: none stays." },
	{ "health", "reconnect_probe", SETTING_SWITCH, AT(health.reconnect_probe), "on", 0, 0, NULL,
	  "When a gRPC connection closes, the ports of its instances are asked once by a TCP connect: where it is refused "
	  "nobody waits for the client, the instance goes at once. off: for instances that register before they listen, or "
	  "that a firewall answers for." },
	{ "health", "probe_rate", SETTING_COUNT, AT(health.probe_rate), "20000", 1, 1000000, NULL,
	  "Active checks a second; above it intervals stretch." },
	{ "health", "probes_in_flight", SETTING_COUNT, AT(health.probes_in_flight), "4096", 1, 60000, NULL,
	  "Active checks under way at a time." },

	{ "registry", "floor_percent", SETTING_COUNT, AT(registry.floor_percent), "20", 0, 100, NULL,
	  "A mass expiry of more than this share after a pause of our own is held back and verified." },
	{ "registry", "clean_empty", SETTING_DURATION, AT(registry.clean_empty_ms), "60s", SECOND, 24 * (uint64_t)HOUR,
	  NULL, "A service without instances and settings is removed after this time." },
	{ "registry", "expire_instances", SETTING_SWITCH, AT(registry.expire_instances), "on", 0, 0, NULL,
	  "Instances whose heartbeats ended are removed; off: they stay, unhealthy." },

	{ "store", "url", SETTING_TEXT, AT(store.url), "sqlite:", 1, 0, NULL,
	  "Where durable data lies: sqlite: (muster.db in server.data_dir) or memory: (nothing is kept)." },

	{ "log", "level", SETTING_CHOICE, AT(log.level), "info", 0, 0, levels, "Least level that is written." },
	{ "log", "format", SETTING_CHOICE, AT(log.format), "text", 0, 0, formats, "Lines of text or of JSON." },
	{ "log", "changes", SETTING_TEXT, AT(log.changes), "changes.log", 1, 0, NULL,
	  "File with one line of JSON for each change of the registry, in server.data_dir unless it begins with a slash; "
	  "off: none." },
	{ "log", "changes_rate", SETTING_COUNT, AT(log.changes_rate), "1000", 0, 10000000, NULL,
	  "Lines a second in the change log, of which operators' changes are no part; what is over it is counted. 0: every "
	  "change has its line." },
	{ "log", "changes_size", SETTING_SIZE, AT(log.changes_size), "64MiB", 4 * KIB, 65536 * MIB, NULL,
	  "A change log of this size is rotated." },
	{ "log", "changes_files", SETTING_COUNT, AT(log.changes_files), "4", 1, 1000, NULL,
	  "Change logs that are kept, the one being written included." },

	{ "limits", "instances", SETTING_COUNT, AT(limits.instances), "2000000", 1, 100000000, NULL,
	  "Instances of all services." },
	{ "limits", "services", SETTING_COUNT, AT(limits.services), "500000", 1, 10000000, NULL, "Services." },
	{ "limits", "instances_per_service", SETTING_COUNT, AT(limits.instances_per_service), "20000", 1, 1000000, NULL,
	  "Instances of one service." },
	{ "limits", "namespaces", SETTING_COUNT, AT(limits.namespaces), "10000", 1, 1000000, NULL, "Namespaces." },
	{ "limits", "metadata_bytes", SETTING_COUNT, AT(limits.metadata_bytes), "1024", 0, 65536, NULL,
	  "Keys and values of one metadata map, together." },
	{ "limits", "encoding_cache", SETTING_SIZE, AT(limits.encoding_cache), "64MiB", 0, 65536 * MIB, NULL,
	  "Memory for encoded service lists." },
	{ "limits", "inbox", SETTING_COUNT, AT(limits.inbox), "100000", 100, 10000000, NULL,
	  "Commands that wait for the control thread; above it requests are refused for a moment." },
};
const size_t settings_table_len = sizeof(settings_table) / sizeof(settings_table[0]);
_Static_assert(sizeof(settings_table) / sizeof(settings_table[0]) <= SETTINGS_KEYS_MAX, "origins[] is too short");

const struct setting zone_table[] = {
	{ "zone", "layout", SETTING_CHOICE, ZONE_AT(layout), "full", 0, 0, layouts,
	  "Which names the zone has: those of every service (full, SERVICE.svc and SERVICE.GROUP.NAMESPACE.ns), of one "
	  "namespace and group (bound, SERVICE), of one group in every namespace (bound-group, SERVICE.NAMESPACE), of one "
	  "namespace (bound-ns, SERVICE.GROUP), none of the registry (static), or names of addresses (reverse, of a zone "
	  "such as 10.in-addr.arpa)." },
	{ "zone", "namespace", SETTING_TEXT, ZONE_AT(ns), "", 0, 0, NULL,
	  "The namespace of a bound or bound-ns zone; empty: public." },
	{ "zone", "group", SETTING_TEXT, ZONE_AT(group), "", 0, 0, NULL,
	  "The group of a bound or bound-group zone; empty: DEFAULT_GROUP." },
	{ "zone", "export_namespaces", SETTING_WORDS, ZONE_AT(export_namespaces), "", 0, 256, NULL,
	  "Only services of these namespaces are in the zone; empty: of all." },
	{ "zone", "export_groups", SETTING_WORDS, ZONE_AT(export_groups), "", 0, 256, NULL,
	  "Only services of these groups are in the zone; empty: of all." },
	{ "zone", "export_metadata", SETTING_WORDS, ZONE_AT(export_metadata), "", 0, 16, NULL,
	  "Only services with all of these metadata of their own are in the zone: key=value, or key for any value; empty: "
	  "all services." },
	{ "zone", "alias", SETTING_WORDS, ZONE_AT(aliases), "", 0, 1024, NULL,
	  "Names in the zone, its own too, that answer what a service answers, without a CNAME: a line "
	  "alias NAME = NAMESPACE/GROUP/SERVICE for each; /CLUSTER and :PORT-NAME may follow. A service that is not there yet "
	  "answers no data. What has a slash, a colon or a comma in itself is written as its label (e-1-...)." },
	{ "zone", "expand", SETTING_SWITCH, ZONE_AT(expand), "off", 0, 0, NULL,
	  "The names below a service (clusters, ports, addresses) stand below its aliases too." },
	{ "zone", "mname", SETTING_TEXT, ZONE_AT(mname), "", 0, 0, NULL, "As dns.mname, for this zone." },
	{ "zone", "rname", SETTING_TEXT, ZONE_AT(rname), "", 0, 0, NULL, "As dns.rname, for this zone." },
	{ "zone", "query_allow", SETTING_CIDRS, ZONE_AT(query_allow), "", 0, 256, NULL,
	  "Address ranges whose questions about the zone are answered, others are refused; empty: everybody's are." },
	{ "zone", "listen", SETTING_ADDRESSES, ZONE_AT(listen), "", 0, 64, NULL,
	  "Addresses, as they stand in dns.listen and dns.tls_listen, at which the zone is served; at the others there is no such zone. Empty: at "
	  "all of them." },
	{ "zone", "file", SETTING_TEXT, ZONE_AT(file), "", 0, 0, NULL,
	  "A zone file (RFC 1035) whose records are served with those of the registry, or alone with layout = static; "
	  "relative to the settings file. SIGHUP reads it again." },
	{ "zone", "transfer_allow", SETTING_CIDRS, ZONE_AT(transfer_allow), "", 0, 256, NULL,
	  "Address ranges that may take the whole zone by AXFR over TCP; empty: nobody may." },
};
const size_t zone_table_len = sizeof(zone_table) / sizeof(zone_table[0]);
_Static_assert(sizeof(zone_table) / sizeof(zone_table[0]) <= ZONE_KEYS_MAX, "a zone's origins[] is too short");
