/* members.h - this server as Nacos would describe it. */
#ifndef API_MEMBERS_H
#define API_MEMBERS_H

#include <netinet/in.h>
#include <stdint.h>

struct io;

#define NACOS_VERSION "2.5.1" /* whose routes and shapes these are: consoles and SDKs choose their calls by it */
/* What is not spoken here is not promised. */
#define MEMBER_ABILITIES                                                                                      \
	"{\"remoteAbility\":{\"supportRemoteConnection\":false,\"grpcReportEnabled\":false},"                   \
	"\"configAbility\":{\"supportRemoteMetrics\":false},\"namingAbility\":{\"supportJraft\":false}}"

struct member {
	char ip[INET6_ADDRSTRLEN];
	uint16_t port;
	char address[INET6_ADDRSTRLEN + 10];
};

void member_self(const struct io *io, struct member *ret); /* by the first listener */

#endif
