/* members.h - this server as Nacos would describe it. */
#ifndef API_MEMBERS_H
#define API_MEMBERS_H

#include <netinet/in.h>
#include <stdint.h>

struct io;
struct http_call;

#define NACOS_VERSION "2.5.1" /* whose routes and shapes these are: consoles and SDKs choose their calls by it */
/* What is not spoken here is not promised: gRPC of clients is, what servers say to each other is not. */
#define MEMBER_ABILITIES                                                                                      \
	"{\"remoteAbility\":{\"supportRemoteConnection\":true,\"grpcReportEnabled\":false},"                   \
	"\"configAbility\":{\"supportRemoteMetrics\":false},\"namingAbility\":{\"supportJraft\":false}}"

enum { MEMBER_HOST_MAX = 256, NACOS_PORT = 8848 /* where no port is given */ };

struct member {
	char ip[MEMBER_HOST_MAX]; /* or a name, where one is advertised */
	uint16_t port;
	char address[MEMBER_HOST_MAX + 10];
};

void member_self(const struct io *io, struct member *ret); /* as advertised, or by the first listener */
/* As whoever sent @call should call it: as advertised, or by the address that it has connected to. */
void member_reached(const struct io *io, const struct http_call *call, struct member *ret);

#endif
