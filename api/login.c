/* login.c - who logs in where there is no access control (nacos-config 5.1): every user gets the same token, as Nacos gives
 * it then, so that an SDK with a user name and a password set works. Nobody looks at the password or at the token. */
#include "api/request.h"

#define TOKEN "AUTH_DISABLED"
enum { TOKEN_TTL_SEC = 18000 };

/* Bare JSON on every path, and tokenTtl is a number: Go panics on anything else. */
void api_login(struct request *r)
{
	const char *user;
	if (param_require(&r->params, P_USERNAME, &user, &r->err) < 0) {
		reply_failure(r);
		return;
	}
	struct text *t = answer_begin_bare(r);
	json_open(t, '{');
	json_kv_str(t, "accessToken", TOKEN);
	json_kv_i64(t, "tokenTtl", TOKEN_TTL_SEC);
	json_kv_bool(t, "globalAdmin", true);
	json_kv_str(t, "username", user);
	json_close(t, '}');
	reply_json_with(r, 200, t, "Authorization: Bearer " TOKEN "\r\n");
}
