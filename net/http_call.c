/* http_call.c - one request's memory and what a user may ask of it. Calls are pooled per server: the
 * first block of the arena lies within, so a common request needs no heap. */
#include "base/mem.h"
#include "net/http_internal.h"
#include <string.h>
#include <strings.h>

struct call *http_call_new(struct http_conn *c)
{
	struct http_server *s = c->server;
	struct call *call = s->spare_calls;
	if (call != NULL) {
		s->spare_calls = call->next;
		s->spare_call_count--;
	} else {
		call = mem_alloc(sizeof(*call));
		if (call == NULL)
			return NULL;
	}
	memset(call, 0, offsetof(struct call, peer));
	call->server = s;
	call->conn = c;
	call->peer = c->stream.peer;
	call->pub.peer = &call->peer.any;
	call->pub.listener_tag = c->listener_tag;
	arena_init(&call->pub.arena, call->first, sizeof(call->first), 0);
	s->counts.calls++;
	return call;
}

void http_call_free(struct call *call)
{
	struct http_server *s = call->server;
	arena_done(&call->pub.arena);
	if (s->dispatching == call)
		s->dispatching = NULL;
	s->counts.calls--;
	if (s->spare_call_count < HTTP_SPARE_MAX) {
		call->next = s->spare_calls;
		s->spare_calls = call;
		s->spare_call_count++;
	} else {
		mem_free(call);
	}
	if (s->closing)
		http_later(s);
}

/* Where the path of a request target begins: behind "http://host" of the absolute form. */
static const char *target_path(const char *at, const char *end)
{
	const char *host = at;
	if (at == end || *at == '/' || *at == '*')
		return at;
	while (end - host > 3 && memcmp(host, "://", 3) != 0)
		host++;
	if (end - host <= 3)
		return at;
	for (host += 3; host < end && *host != '/' && *host != '?' && *host != '#';)
		host++;
	return host;
}

void http_call_fill(struct call *call, const char *base)
{
	const char *end = base + call->url + call->url_len;
	const char *path = target_path(base + call->url, end);
	const char *hash = memchr(path, '#', (size_t)(end - path));
	if (hash != NULL)
		end = hash;
	const char *mark = memchr(path, '?', (size_t)(end - path));
	const char *path_end = mark == NULL ? end : mark;
	call->base = base;
	call->pub.path = (struct slice){ path, (size_t)(path_end - path) };
	if (path == path_end) /* "http://host" asks for its root */
		call->pub.path = (struct slice){ "/", 1 };
	call->pub.query = mark == NULL ? (struct slice){ end, 0 }
				       : (struct slice){ mark + 1, (size_t)(end - mark - 1) };
	call->pub.body = (struct slice){ base + call->body, call->pub.body.len };
}

static struct slice trimmed(const char *at, size_t len)
{
	while (len > 0 && (*at == ' ' || *at == '\t')) {
		at++;
		len--;
	}
	while (len > 0 && (at[len - 1] == ' ' || at[len - 1] == '\t'))
		len--;
	return (struct slice){ at, len };
}

struct slice http_call_find(const struct call *call, const char *base, const char *name)
{
	size_t len = strlen(name);
	for (unsigned i = 0; i < call->header_count; i++) {
		const struct http_header *h = &call->headers[i];
		if (h->name_len == len && strncasecmp(base + h->name, name, len) == 0)
			return trimmed(base + h->value, h->value_len);
	}
	return (struct slice){ NULL, 0 };
}

struct slice http_call_header(const struct http_call *pub, const char *name)
{
	const struct call *call = (const struct call *)pub;
	if (call->base == NULL)
		return (struct slice){ NULL, 0 };
	return http_call_find(call, call->base, name);
}

bool http_call_header_at(const struct http_call *pub, unsigned nth, struct slice *name,
			 struct slice *value)
{
	const struct call *call = (const struct call *)pub;
	if (call->base == NULL || nth >= call->header_count)
		return false;
	const struct http_header *h = &call->headers[nth];
	*name = (struct slice){ call->base + h->name, h->name_len };
	*value = trimmed(call->base + h->value, h->value_len);
	return true;
}

int http_call_keep(struct http_call *pub)
{
	struct call *call = (struct call *)pub;
	if (call->kept || call->base == NULL)
		return E_OK;
	char *copy = arena_alloc(&pub->arena, call->raw_len);
	if (copy == NULL)
		return E_NOMEM;
	memcpy(copy, call->base, call->raw_len);
	call->kept = true;
	http_call_fill(call, copy);
	return E_OK;
}

bool http_call_connected(const struct http_call *pub)
{
	const struct call *call = (const struct call *)pub;
	return call->conn != NULL && call->conn->state != CONN_CLOSING;
}

bool http_call_local(const struct http_call *pub, struct sockaddr_storage *ret)
{
	const struct call *call = (const struct call *)pub;
	int len = sizeof(*ret);
	return http_call_connected(pub) && uv_tcp_getsockname(&call->conn->stream.tcp, (struct sockaddr *)ret, &len) == 0;
}

void http_call_on_gone(struct http_call *pub, void (*on_gone)(void *, struct http_call *),
		       void *arg)
{
	struct call *call = (struct call *)pub;
	call->on_gone = on_gone;
	call->gone_arg = arg;
}

void http_call_close_after(struct http_call *pub)
{
	((struct call *)pub)->close_after = true;
}
