/* failure_map.c - failures on the wire; see failure_map.h. */
#include "api/failure_map.h"

#include "registry/failure.h"

static const struct failure_row by_failure[] = {
	[FAIL_PARAM] = { 400, 400, 400, 20002, "parameter validate error", true },
	[FAIL_SERVICE_NAME] = { 400, 400, 400, 21000, "service name error", false },
	[FAIL_WEIGHT] = { 400, 400, 400, 21001, "instance weight error", false },
	[FAIL_INSTANCE_METADATA] = { 400, 400, 400, 21002, "instance metadata error", false },
	[FAIL_INSTANCE_MISSING] = { 404, 404, 404, 20004, "resource not found", false },
	[FAIL_INSTANCE] = { 400, 400, 400, 21004, "instance error", false },
	[FAIL_SERVICE_METADATA] = { 400, 400, 400, 21005, "service metadata error", false },
	[FAIL_SELECTOR] = { 400, 400, 400, 21006, "selector error", false },
	[FAIL_SERVICE_EXISTS] = { 400, 400, 400, 21007, "service already exist", false },
	[FAIL_SERVICE_MISSING] = { 400, 400, 400, 21008, "service not exist", false },
	[FAIL_SERVICE_NOT_EMPTY] = { 400, 400, 400, 21009, "service delete failure", false },
	[FAIL_HEALTHY_MISSING] = { 400, 400, 400, 21010, "healthy param miss", false },
	[FAIL_CHECK_RUNNING] = { 400, 400, 400, 30000, "server error", false },
	[FAIL_NAMESPACE] = { 400, 400, 400, 22000, "illegal namespace", false },
	[FAIL_NAMESPACE_MISSING] = { 404, 404, 404, 22001, "namespace not exist", false },
	[FAIL_NAMESPACE_EXISTS] = { 400, 500, 400, 22002, "namespace already exist", false },
	[FAIL_SWITCH] = { 400, 400, 400, 30000, "server error", false },
	[FAIL_LIMIT] = { 503, 503, 503, 30000, "server error", false },
	[FAIL_STORE] = { 503, 503, 503, 10002, "data access error", false },
};

static const struct failure_row by_code[] = {
	[-E_OK] = { 500, 500, 500, 30000, "server error", false },
	[-E_NOMEM] = { 503, 503, 503, 30000, "server error", false },
	[-E_MISSING] = { 400, 400, 400, 10000, "parameter missing", false },
	[-E_INVALID] = { 400, 400, 400, 20002, "parameter validate error", false },
	[-E_RANGE] = { 400, 400, 400, 20002, "parameter validate error", false },
	[-E_NOTFOUND] = { 404, 404, 404, 30000, "server error", false }, /* as the original: no finer class */
	[-E_EXISTS] = { 400, 409, 409, 20005, "resource conflict", false },
	[-E_CONFLICT] = { 409, 409, 409, 20005, "resource conflict", false },
	[-E_LIMIT] = { 503, 503, 503, 30000, "server error", false },
	[-E_IO] = { 500, 500, 500, 10002, "data access error", false },
	[-E_FULL] = { 503, 503, 503, 10002, "data access error", false },
	[-E_UNAVAILABLE] = { 503, 503, 503, 30000, "server error", false },
	[-E_TIMEOUT] = { 503, 503, 503, 30000, "server error", false },
	[-E_CLOSED] = { 503, 503, 503, 30000, "server error", false },
	[-E_UNSUPPORTED] = { 501, 501, 501, 40001, "API function disabled", false },
	[-E_DENIED] = { 403, 403, 403, 10001, "access denied", false },
	[-E_INTERNAL] = { 500, 500, 500, 30000, "server error", false },
};

const struct failure_row *failure_row(const struct error *err)
{
	if (err->what > FAIL_NONE && (size_t)err->what < sizeof(by_failure) / sizeof(by_failure[0]))
		return &by_failure[err->what];
	if (err->code <= 0 && (size_t)-err->code < sizeof(by_code) / sizeof(by_code[0]))
		return &by_code[-err->code];
	return &by_code[-E_INTERNAL];
}
