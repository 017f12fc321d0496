/* broken_server.c - musterd with one behaviour broken, to show that the programs of tests/interop notice: the product's
 * objects, linked with --wrap. BROKEN in the environment names it:
 *   push     subscribers are pushed nothing
 *   redo     what a client registers is acknowledged, and that is all
 *   order    lastRefTime falls where it should grow */
#include "api/message.h"
#include "api/shapes.h"
#include "api/udp_sockets.h"

#include <stdlib.h>
#include <string.h>

int __real_session_send(struct session *s, const char *type, const void *head, size_t head_len, const void *tail,
			size_t tail_len);
int __wrap_session_send(struct session *s, const char *type, const void *head, size_t head_len, const void *tail,
			size_t tail_len);
void __real_naming_instance(struct message *m);
void __wrap_naming_instance(struct message *m);
void __real_shape_service_info(struct text *t, const struct service_key *key, const struct service_view *v,
			       const struct list_query *q);
void __wrap_shape_service_info(struct text *t, const struct service_key *key, const struct service_view *v,
			       const struct list_query *q);

unsigned __real_udp_socket_send(struct udp_socket *s, const struct udp_datagram *first, unsigned count, int *why);
unsigned __wrap_udp_socket_send(struct udp_socket *s, const struct udp_datagram *first, unsigned count, int *why);

static bool broken(const char *what)
{
	const char *named = getenv("BROKEN");
	return named != NULL && strcmp(named, what) == 0;
}

int __wrap_session_send(struct session *s, const char *type, const void *head, size_t head_len, const void *tail,
			size_t tail_len)
{
	if (broken("push") && strcmp(type, "NotifySubscriberRequest") == 0)
		return E_OK;
	return __real_session_send(s, type, head, head_len, tail, tail_len);
}

unsigned __wrap_udp_socket_send(struct udp_socket *s, const struct udp_datagram *first, unsigned count, int *why)
{
	*why = 0;
	return broken("push") ? count : __real_udp_socket_send(s, first, count, why);
}

void __wrap_naming_instance(struct message *m)
{
	if (broken("redo"))
		message_ok(m);
	else
		__real_naming_instance(m);
}

void __wrap_shape_service_info(struct text *t, const struct service_key *key, const struct service_view *v,
			       const struct list_query *q)
{
	struct service_view turned;
	if (v == NULL || !broken("order")) {
		__real_shape_service_info(t, key, v, q);
		return;
	}
	turned = *v;
	turned.last_ref_ms = 2000000000000 - v->last_ref_ms % 1000000000000;
	__real_shape_service_info(t, key, &turned, q);
}
