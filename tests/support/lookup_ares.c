/* lookup_ares.c - what c-ares has for each name that is given, one line a name: addresses, or "priority weight port target"
 * of names that begin with an underscore. Asks the servers of /etc/resolv.conf, with EDNS. */
#include <ares.h>
#include <arpa/inet.h>
#include <arpa/nameser.h>
#include <netdb.h>
#include <stdio.h>
#include <sys/select.h>

static void on_addresses(void *arg, int status, int timeouts, struct ares_addrinfo *found)
{
	const char *between = "";
	char text[64];

	(void)arg;
	(void)timeouts;
	for (struct ares_addrinfo_node *n = status == ARES_SUCCESS ? found->nodes : NULL; n != NULL; n = n->ai_next) {
		const void *at = n->ai_family == AF_INET ? (const void *)&((struct sockaddr_in *)n->ai_addr)->sin_addr
							 : (const void *)&((struct sockaddr_in6 *)n->ai_addr)->sin6_addr;
		printf("%s%s", between, inet_ntop(n->ai_family, at, text, sizeof(text)));
		between = " ";
	}
	printf("%s\n", status == ARES_SUCCESS ? "" : ares_strerror(status));
	ares_freeaddrinfo(found);
}

static void on_services(void *arg, int status, int timeouts, unsigned char *answer, int len)
{
	struct ares_srv_reply *all = NULL;

	(void)arg;
	(void)timeouts;
	if (status == ARES_SUCCESS)
		status = ares_parse_srv_reply(answer, len, &all);
	for (struct ares_srv_reply *r = all; r != NULL; r = r->next)
		printf("%s%u %u %u %s", r == all ? "" : ",", r->priority, r->weight, r->port, r->host);
	printf("%s\n", status == ARES_SUCCESS ? "" : ares_strerror(status));
	ares_free_data(all);
}

static void wait_for_all(ares_channel channel)
{
	fd_set readers, writers;
	struct timeval longest = { 5, 0 }, wait;
	int count;

	for (;;) {
		FD_ZERO(&readers);
		FD_ZERO(&writers);
		count = ares_fds(channel, &readers, &writers);
		if (count == 0)
			return;
		select(count, &readers, &writers, NULL, ares_timeout(channel, &longest, &wait));
		ares_process(channel, &readers, &writers);
	}
}

int main(int argc, char **argv)
{
	struct ares_options options = { .flags = ARES_FLAG_EDNS, .ednspsz = 1232 };
	struct ares_addrinfo_hints hints = { .ai_family = AF_UNSPEC, .ai_flags = ARES_AI_NOSORT };
	ares_channel channel;

	if (ares_library_init(ARES_LIB_INIT_ALL) != ARES_SUCCESS ||
	    ares_init_options(&channel, &options, ARES_OPT_FLAGS | ARES_OPT_EDNSPSZ) != ARES_SUCCESS)
		return 1;
	for (int i = 1; i < argc; i++) {
		if (argv[i][0] == '_')
			ares_query(channel, argv[i], ns_c_in, ns_t_srv, on_services, NULL);
		else
			ares_getaddrinfo(channel, argv[i], NULL, &hints, on_addresses, NULL);
		wait_for_all(channel);
	}
	ares_destroy(channel);
	ares_library_cleanup();
	return 0;
}
