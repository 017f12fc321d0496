/* failure.h - why the registry said no: the finer class in struct error's @what. The edge turns it into
 * an HTTP status and a result code through one table. */
#ifndef REGISTRY_FAILURE_H
#define REGISTRY_FAILURE_H

enum failure {
	FAIL_NONE,
	FAIL_PARAM,		/* layer A: a field's length or characters (nacos-naming 1.12) */
	FAIL_SERVICE_NAME,
	FAIL_WEIGHT,
	FAIL_INSTANCE_METADATA,
	FAIL_INSTANCE_MISSING,
	FAIL_INSTANCE,		/* cluster name, beat timeouts, wrong kind for the service */
	FAIL_SERVICE_METADATA,
	FAIL_SELECTOR,
	FAIL_SERVICE_EXISTS,
	FAIL_SERVICE_MISSING,
	FAIL_SERVICE_NOT_EMPTY,
	FAIL_HEALTHY_MISSING,
	FAIL_CHECK_RUNNING,
	FAIL_NAMESPACE,		/* illegal id or name */
	FAIL_NAMESPACE_MISSING,
	FAIL_NAMESPACE_EXISTS,
	FAIL_SWITCH,		/* bad entry or value */
	FAIL_LIMIT,		/* limits.* reached */
	FAIL_STORE,		/* durable write refused */
};

#endif
