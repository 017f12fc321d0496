/* message_config.c - requests to the configuration service, which this release does not have. Each gets a clear
 * refusal in the class that its SDK expects; a request to be told of changes is accepted with "nothing has
 * changed", since SDKs repeat a refused one at once and for ever. */
#include "api/message.h"

enum { CODE_NOT_BUILT = 501 };

void config_not_built(struct message *m)
{
	message_error(m, CODE_NOT_BUILT, "the configuration service is not in this release of Muster");
}

void config_listen(struct message *m)
{
	struct text *t = message_begin(m);
	json_key(t, "changedConfigs");
	json_raw(t, "[]", 2);
	message_end(m);
}
