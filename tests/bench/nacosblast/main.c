/* nacosblast - load generator for servers that speak the Nacos protocols, on one core.
 *
 * Closed loop: -c connections keep -p requests each in flight. One thread, one epoll loop; HTTP/1.1
 * is written here, HTTP/2 is libnghttp2's, the protobuf Payload is coded by hand. It refuses to
 * know what a right answer holds beyond the few marks that tell success from failure: contents are
 * for tests to judge. It talks to 127.0.0.0/8 only, and registers only addresses of that network,
 * so that a server which probes its instances stays at home too.
 *
 *   cd tests/bench/nacosblast && cc -O2 -Wall -Wextra -o /tmp/nacosblast *.c -lnghttp2 -lz
 *
 * Every run prints one line of key=value figures on stdout; `nacosblast` alone prints the usage.
 * This file is the command line. Below it, by noun: the modes (closed_loop, idle, grpc_push and
 * udp_push with push_watch, echo); the clients (http_pool with http_ops and http_response,
 * grpc_pool with grpc_ops and payload); what is registered (load); phases; loop, tally, process,
 * text, buf, clock, die. */
#include "die.h"
#include "grpc_ops.h"
#include "http_ops.h"
#include "mode.h"

#include <arpa/inet.h>
#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

static const struct mode modes[] = {
	{ "http-register", run_http, -1, HTTP_REGISTER, HTTP_DEREGISTER,
	  "v1 POST instance, ephemeral; later passes change metadata" },
	{ "http-persistent", run_http, -1, HTTP_PERSISTENT, HTTP_DROP_PERSISTENT,
	  "the same, ephemeral=false" },
	{ "http-v2-register", run_http, -1, HTTP_V2_REGISTER, HTTP_DEREGISTER,
	  "v2 POST instance, form body" },
	{ "http-v3-register", run_http, -1, HTTP_V3_REGISTER, HTTP_DEREGISTER,
	  "v3 client POST instance" },
	{ "http-beat", run_http, -1, HTTP_BEAT, HTTP_DEREGISTER,
	  "v1 PUT beat, full (with -L: light from the second pass on)" },
	{ "http-list", run_http, HTTP_REGISTER, HTTP_LIST, HTTP_DEREGISTER,
	  "v1 GET instance/list of services registered first (runs of some 10 s: nobody beats)" },
	{ "http-config-publish", run_http, -1, HTTP_CONFIG_PUBLISH, HTTP_CONFIG_REMOVE,
	  "v1 POST configs, -S data ids of -z bytes" },
	{ "http-config-get", run_http, HTTP_CONFIG_PUBLISH, HTTP_CONFIG_GET, HTTP_CONFIG_REMOVE,
	  "v1 GET configs" },
	{ "grpc-register", run_grpc, -1, GRPC_INSTANCE, -1,
	  "InstanceRequest: rounds of register and deregister (with -R: register only)" },
	{ "grpc-query", run_grpc, GRPC_PUBLISH, GRPC_QUERY, -1,
	  "ServiceQueryRequest of services that -I more connections publish" },
	{ "grpc-config-publish", run_grpc, -1, GRPC_CONFIG_PUBLISH, GRPC_CONFIG_REMOVE,
	  "ConfigPublishRequest" },
	{ "grpc-config-get", run_grpc, GRPC_CONFIG_PUBLISH, GRPC_CONFIG_GET, GRPC_CONFIG_REMOVE,
	  "ConfigQueryRequest" },
	{ "grpc-idle", run_idle, -1, -1, -1,
	  "-c connections held for -t s; with -S each registers in and subscribes to one of -S "
	  "services" },
	{ "grpc-push", run_grpc_push, -1, -1, -1,
	  "-c subscribers of one service of -I instances, -K changes every -W ms" },
	{ "http-push", run_http_push, -1, -1, -1,
	  "the same with -c UDP subscribers of 1.x (at most 1000)" },
	{ "echo-server", run_echo, -1, -1, -1,
	  "answers anything at once: the ceiling of generator and protocol" },
};
enum { MODES = sizeof(modes) / sizeof(*modes) };

static void usage(FILE *to)
{
	fputs("usage: nacosblast MODE [options]\n\nmodes:\n", to);
	for (unsigned i = 0; i < MODES; i++)
		fprintf(to, "  %-20s %s\n", modes[i].name, modes[i].help);
	fputs("\noptions:\n"
	      "  -a ADDRESS   server, of 127.0.0.0/8 (127.0.0.1)\n"
	      "  -H PORT      its HTTP port (8848)          -G PORT   its gRPC port (9848)\n"
	      "  -x PATH      context path (/nacos)         -N ID     namespace (public)\n"
	      "  -T TOKEN     access token to send          -P PID    server process: report its "
	      "CPU and memory\n"
	      "  -t SECONDS   how long to measure (5)       -n OPS    or how many operations\n"
	      "  -w SECONDS   warm-up that is not counted (0)\n"
	      "  -c COUNT     connections (64)              -p COUNT  requests in flight on each "
	      "(1)\n"
	      "  -S COUNT     services or data ids (1000)   -I COUNT  instances per service (10)\n"
	      "  -M COUNT     metadata pairs (2)            -z BYTES  size of a configuration "
	      "(1024)\n"
	      "  -R           grpc-register: never deregister\n"
	      "  -L           http-beat: light beats        -k        leave what was registered "
	      "over HTTP\n"
	      "  -A COUNT     idle, push: client addresses 127.0.0.1 and on (8)\n"
	      "  -b SECONDS   idle: HealthCheckRequest on each connection so often (0: never)\n"
	      "  -K COUNT     push: changes (20)            -W MS     push: from one change to the "
	      "next (1000)\n"
	      "  -v           push: a line per change on stderr\n"
	      "\nfigures (one line): ops in the measured time, errors by kind (the first three in "
	      "words on stderr),\n"
	      "latency, bytes and hosts per answer (hosts sampled), server CPU (all threads) and "
	      "resident memory,\n"
	      "the generator's own CPU: near 100 % it is the bottleneck itself. push: ack_* counts "
	      "from the change's\n"
	      "acknowledgement, sent_* from its sending; _last_ is each change's slowest "
	      "subscriber; missing counts\n"
	      "pairs of change and subscriber. Exit status: 0, 1 where there were errors, 2 for "
	      "wrong usage.\n"
	      "-p above 1 over HTTP is pipelining; a server may not like it.\n",
	      to);
}

static void bad_usage(const char *format, ...) __attribute__((noreturn, format(printf, 1, 2)));
static void bad_usage(const char *format, ...)
{
	va_list args;
	va_start(args, format);
	fputs("nacosblast: ", stderr);
	vfprintf(stderr, format, args);
	fputs(" (nacosblast -h tells more)\n", stderr);
	va_end(args);
	exit(2);
}

static double option_number(int letter, const char *text, double low, double high)
{
	char *end;
	double v = strtod(text, &end);
	if (end == text || *end != 0 || !(v >= low && v <= high))
		bad_usage("-%c %s: not a number of %.10g..%.10g", letter, text, low, high);
	return v;
}

static unsigned option_count(int letter, const char *text, unsigned low, unsigned high)
{
	double v = option_number(letter, text, low, high);
	if (v != (double)(unsigned)v)
		bad_usage("-%c %s: not a whole number", letter, text);
	return (unsigned)v;
}

/* One option of the command line. False: no such letter. */
static bool option_take(struct options *o, int letter, const char *arg)
{
	switch (letter) {
	case 'a': o->host_text = arg; break;
	case 'H': o->http_port = (uint16_t)option_count(letter, arg, 1, 65535); break;
	case 'G': o->grpc_port = (uint16_t)option_count(letter, arg, 1, 65535); break;
	case 'x': o->context = arg; break;
	case 'N': o->namespace_id = arg; break;
	case 'T': o->token = arg; break;
	case 'P': o->pid = (pid_t)option_count(letter, arg, 1, 1 << 30); break;
	case 't':
		o->seconds = option_number(letter, arg, 0, 86400);
		o->seconds_given = true;
		break;
	case 'n': o->ops = (uint64_t)option_number(letter, arg, 1, 1e15); break;
	case 'w': o->warmup = option_number(letter, arg, 0, 3600); break;
	case 'c': o->conns = option_count(letter, arg, 1, 1000000); break;
	case 'p': o->depth = option_count(letter, arg, 1, 10000); break;
	case 'S':
		o->services = option_count(letter, arg, 1, 10000000);
		o->services_given = true;
		break;
	case 'I': o->instances = option_count(letter, arg, 1, 10000); break;
	case 'M': o->metadata = option_count(letter, arg, 0, 1000); break;
	case 'z': o->content = option_count(letter, arg, 1, 1 << 24); break;
	case 'A': o->sources = option_count(letter, arg, 1, 250); break;
	case 'b': o->health_sec = option_count(letter, arg, 0, 3600); break;
	case 'K':
		o->changes = option_count(letter, arg, 1, 9999);
		break; /* a weight ends at 10000 */
	case 'W': o->pause_ms = option_count(letter, arg, 1, 60000); break;
	case 'R': o->register_only = true; break;
	case 'L': o->light = true; break;
	case 'k': o->keep = true; break;
	case 'v': o->verbose = true; break;
	default: return false;
	}
	return true;
}

/* Every descriptor that a mode needs, or a clear refusal before anything has begun. */
static void raise_descriptors(const struct options *o)
{
	struct rlimit limit;
	rlim_t need = (rlim_t)o->conns + o->instances + 64;
	if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur >= need)
		return;
	limit.rlim_cur = limit.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_max < need)
		bad_usage("-c %u: %llu descriptors are needed, %llu allowed (ulimit -n)", o->conns,
			  (unsigned long long)need, (unsigned long long)limit.rlim_max);
}

/* Nothing listens: say so at once, rather than count errors. */
static void require_server(const struct options *o, uint16_t port)
{
	struct sockaddr_in to = { .sin_family = AF_INET,
				  .sin_port = htons(port),
				  .sin_addr = o->host };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof(to)) < 0)
		die("cannot connect to %s:%u: %s", o->host_text, port, strerror(errno));
	close(fd);
	if (o->pid > 0 && kill(o->pid, 0) != 0 && errno == ESRCH)
		die("-P %d: no such process", (int)o->pid);
}

static const struct mode *mode_find(const char *name)
{
	for (unsigned i = 0; i < MODES; i++)
		if (strcmp(modes[i].name, name) == 0)
			return &modes[i];
	return NULL;
}

int main(int argc, char **argv)
{
	struct options o = {
		.host_text = "127.0.0.1",
		.http_port = 8848,
		.grpc_port = 9848,
		.context = "/nacos",
		.namespace_id = "public",
		.seconds = 5,
		.conns = 64,
		.depth = 1,
		.services = 1000,
		.instances = 10,
		.metadata = 2,
		.content = 1024,
		.changes = 20,
		.pause_ms = 1000,
	};
	if (argc < 2 || strcmp(argv[1], "-h") == 0 || strcmp(argv[1], "--help") == 0) {
		usage(argc < 2 ? stderr : stdout);
		return argc < 2 ? 2 : 0;
	}
	const struct mode *mode = mode_find(argv[1]);
	if (mode == NULL)
		bad_usage("%s: no such mode", argv[1]);
	optind = 2;
	for (int letter;
	     (letter = getopt(argc, argv, "a:H:G:x:N:T:P:t:n:w:c:p:S:I:M:z:A:b:K:W:RLkvh")) !=
	     -1;) {
		if (letter == 'h') {
			usage(stdout);
			return 0;
		}
		if (!option_take(&o, letter, optarg))
			bad_usage("wrong option");
	}
	if (optind < argc)
		bad_usage("%s: what is this?", argv[optind]);
	if (inet_pton(AF_INET, o.host_text, &o.host) != 1 || ntohl(o.host.s_addr) >> 24 != 127)
		bad_usage("-a %s: not an address of 127.0.0.0/8", o.host_text);
	if (o.ops > 0 && !o.seconds_given)
		o.seconds = 3600;
	bool push = mode->run == run_grpc_push || mode->run == run_http_push;
	if ((push || mode->run == run_idle) && o.sources == 0)
		o.sources = 8;
	if (mode->run == run_http_push && o.conns > 1000)
		bad_usage("-c %u: at most 1000 UDP subscribers", o.conns);
	if (push)
		o.services = 1;
	raise_descriptors(&o);
	if (mode->run != run_echo)
		require_server(&o, strncmp(mode->name, "http", 4) == 0 ? o.http_port : o.grpc_port);
	return mode->run(mode, &o);
}
