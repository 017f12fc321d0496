/* names.c - what names may look like (layer A of the Nacos parameter checks) and how a service key is made
 * of what a client sent. Any thread. Stricter than the original in two points: control bytes and malformed
 * UTF-8 are refused, since names become JSON, store keys and DNS labels. Limits count bytes. */
#include "base/hash.h"
#include "registry/command.h"
#include "registry/failure.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

enum {
	NAMESPACE_MAX = 64,
	GROUP_MAX = 128,
	SERVICE_MAX = 512,
	CLUSTER_MAX = 64,
	IP_MAX = 128,
	SHOWN_MAX = 48, /* bytes of a value that an error text shows */
};

static const char default_namespace[] = "public";
static const char default_group[] = "DEFAULT_GROUP";

/* A value as an error text shows it: shortened, other than printable ASCII as \xNN. */
struct shown {
	char text[SHOWN_MAX * 4 + 4];
};

static const char *show(struct shown *to, const char *s, size_t len)
{
	char *at = to->text;

	for (size_t i = 0; i < len && i < SHOWN_MAX; i++) {
		unsigned char c = (unsigned char)s[i];

		if (c >= 0x20 && c < 0x7f)
			*at++ = (char)c;
		else
			at += snprintf(at, 5, "\\x%02X", c);
	}
	if (len > SHOWN_MAX)
		at = stpcpy(at, "...");
	*at = '\0';
	return to->text;
}

static int too_long(const char *field, const char *s, size_t len, size_t max, struct error *err)
{
	struct shown shown;

	return error_set_what(err, E_RANGE, FAIL_PARAM,
			      "Param '%s' is illegal, '%s' has %zu bytes, the limit is %zu", field,
			      show(&shown, s, len), len, max);
}

static int illegal(const char *field, const char *s, size_t len, const char *rule, struct error *err)
{
	struct shown shown;

	return error_set_what(err, E_INVALID, FAIL_PARAM, "Param '%s' is illegal, '%s': %s", field,
			      show(&shown, s, len), rule);
}

static bool is_word(unsigned char c) /* of a cluster or namespace id */
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
	       c == '-';
}

static int check_words(const char *field, const char *s, size_t len, size_t max, const char *more,
		       struct error *err)
{
	if (len > max)
		return too_long(field, s, len, max, err);
	for (size_t i = 0; i < len; i++)
		if (!is_word((unsigned char)s[i]) && (s[i] == '\0' || strchr(more, s[i]) == NULL))
			return illegal(field, s, len,
				       *more == '\0' ? "only letters, digits, '-' and '_' are allowed"
						     : "only letters, digits, '-', '_', ':' and '.' are "
						       "allowed",
				       err);
	return E_OK;
}

/* Length of the UTF-8 sequence at @s and its code point; 0: malformed. */
static size_t utf8_take(const unsigned char *s, size_t left, uint32_t *ret)
{
	static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	size_t n = s[0] < 0x80 ? 1 : s[0] < 0xc0 ? 0 : s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3 : s[0] < 0xf8 ? 4 : 0;
	uint32_t c = n == 1 ? s[0] : n == 0 ? 0 : s[0] & (0x7fu >> n);

	if (n == 0 || n > left)
		return 0;
	for (size_t i = 1; i < n; i++) {
		if ((s[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | (s[i] & 0x3f);
	}
	if (n > 1 && (c < least[n] || c > 0x10ffff || (c >= 0xd800 && c < 0xe000)))
		return 0;
	*ret = c;
	return n;
}

/* No whitespace, no control bytes, no CJK, well-formed. */
static int check_open_text(const char *field, const char *s, size_t len, size_t max, struct error *err)
{
	if (len > max)
		return too_long(field, s, len, max, err);
	for (size_t i = 0; i < len;) {
		uint32_t c;
		size_t n = utf8_take((const unsigned char *)s + i, len - i, &c);

		if (n == 0)
			return illegal(field, s, len, "it is not UTF-8", err);
		if (c <= 0x20 || c == 0x7f)
			return illegal(field, s, len, "blanks and control bytes are not allowed", err);
		if (c >= 0x4e00 && c <= 0x9fa5)
			return illegal(field, s, len, "CJK characters are not allowed", err);
		i += n;
	}
	return E_OK;
}

int name_check_namespace(const char *s, size_t len, struct error *err)
{
	return check_words("namespaceId", s, len, NAMESPACE_MAX, "", err);
}

int name_check_group(const char *s, size_t len, struct error *err)
{
	return check_words("groupName", s, len, GROUP_MAX, ":.", err);
}

int name_check_cluster(const char *s, size_t len, struct error *err)
{
	return check_words("clusterName", s, len, CLUSTER_MAX, "", err);
}

int name_check_service(const char *s, size_t len, struct error *err)
{
	int rc = check_open_text("serviceName", s, len, SERVICE_MAX, err);

	if (rc < 0)
		return rc;
	if (len > 0 && s[0] == '@')
		return illegal("serviceName", s, len, "it must not begin with '@'", err);
	if (memmem(s, len, "@@", 2) != NULL)
		return illegal("serviceName", s, len, "it must not hold '@@' again", err);
	return E_OK;
}

/* A host name never ends in a number (RFC 1123, 2.1; WHATWG URL, 3.5): what does is meant as an IPv4 address. */
static bool ends_in_number(const char *s, size_t len)
{
	size_t from = len;

	while (from > 0 && s[from - 1] >= '0' && s[from - 1] <= '9')
		from--;
	return from < len && (from == 0 || s[from - 1] == '.');
}

int name_check_ip(const char *s, size_t len, struct error *err)
{
	char text[INET_ADDRSTRLEN] = "";
	struct in_addr in;
	int rc = check_open_text("ip", s, len, IP_MAX, err);

	if (rc < 0 || memchr(s, ':', len) != NULL || !ends_in_number(s, len))
		return rc;
	if (len < sizeof(text))
		memcpy(text, s, len);
	if (inet_pton(AF_INET, text, &in) != 1)
		return illegal("ip", s, len, "it ends in a number and is no IPv4 address", err);
	return E_OK;
}

/* Splits group@@name at the first "@@" into @buf. */
static int split_grouped(const char **group, const char **name, const char *service, const char *mark,
			 char *buf, struct error *err)
{
	size_t group_len = (size_t)(mark - service);
	struct shown shown;

	if (group_len == 0)
		return error_set_what(err, E_INVALID, FAIL_SERVICE_NAME,
				      "Param 'serviceName' is illegal, '%s': the group before '@@' is empty",
				      show(&shown, service, strlen(service)));
	memcpy(buf, service, group_len);
	buf[group_len] = '\0';
	*group = buf;
	*name = strcpy(buf + group_len + 1, mark + 2);
	return E_OK;
}

static int check_key(const struct service_key *key, size_t ns_len, size_t group_len, size_t name_len,
		     struct error *err)
{
	int rc = name_check_namespace(key->ns, ns_len, err);

	if (rc == E_OK)
		rc = name_check_group(key->group, group_len, err);
	if (rc == E_OK)
		rc = name_check_service(key->name, name_len, err);
	if (rc == E_OK && name_len == 0)
		rc = error_set_what(err, E_MISSING, FAIL_SERVICE_NAME, "Param 'serviceName' is required.");
	return rc;
}

int name_normalise(struct service_key *ret, const char *ns, const char *group, const char *service,
		   char *service_buf, struct error *err)
{
	struct service_key key = { .ns = ns, .group = group, .name = service };
	const char *mark;
	int rc;

	if (service == NULL || *service == '\0')
		return error_set_what(err, E_MISSING, FAIL_SERVICE_NAME, "Param 'serviceName' is required.");
	if (ns == NULL || *ns == '\0')
		key.ns = default_namespace;
	if ((mark = strstr(service, "@@")) != NULL) {
		rc = split_grouped(&key.group, &key.name, service, mark, service_buf, err);
		if (rc < 0)
			return rc;
	} else if (group == NULL || *group == '\0') {
		key.group = default_group;
	}
	rc = check_key(&key, strlen(key.ns), strlen(key.group), strlen(key.name), err);
	if (rc < 0)
		return rc;
	key.ns_len = (uint16_t)strlen(key.ns);
	key.group_len = (uint16_t)strlen(key.group);
	key.name_len = (uint16_t)strlen(key.name);
	*ret = key;
	return E_OK;
}

uint64_t service_key_hash(const struct service_key *key)
{
	/* The NULs are hashed too, so that parts cannot run into each other. */
	uint64_t h = hash_bytes(key->name, (size_t)key->name_len + 1);

	h = hash_more(h, key->group, (size_t)key->group_len + 1);
	return hash_more(h, key->ns, (size_t)key->ns_len + 1);
}
