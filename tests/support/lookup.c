/* lookup.c - the addresses of each name that is given, one line a name, as the C library's getaddrinfo() has them. Built with
 * whichever compiler brings the library that a test wants to see. */
#include <netdb.h>
#include <stdio.h>
#include <sys/socket.h>

static void lookup(const char *name)
{
	struct addrinfo hints = { .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM }, *all = NULL;
	int rc = getaddrinfo(name, NULL, &hints, &all);
	char text[64];

	for (struct addrinfo *a = rc == 0 ? all : NULL; a != NULL; a = a->ai_next)
		if (getnameinfo(a->ai_addr, a->ai_addrlen, text, sizeof(text), NULL, 0, NI_NUMERICHOST) == 0)
			printf("%s%s", a == all ? "" : " ", text);
	printf("%s\n", rc == 0 ? "" : gai_strerror(rc));
	if (rc == 0)
		freeaddrinfo(all);
}

int main(int argc, char **argv)
{
	for (int i = 1; i < argc; i++)
		lookup(argv[i]);
	return 0;
}
