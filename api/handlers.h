/* handlers.h - what the rows of the route table run, by noun. Each answers or submits its request. */
#ifndef API_HANDLERS_H
#define API_HANDLERS_H

#include "api/routes.h"

/* instance.c */
route_fn instance_register, instance_deregister, instance_update, instance_patch, instance_detail, instance_beat,
    instance_v3_register;
/* list.c */
route_fn instance_list, instance_v3_list;
/* service.c */
route_fn service_create, service_update, service_delete, service_detail, service_list, selector_types;
/* cluster.c */
route_fn cluster_update;
/* health.c */
route_fn health_set, health_server, health_checkers;
/* namespace.c */
route_fn namespace_v1_get, namespace_list, namespace_get, namespace_create, namespace_update, namespace_delete,
    namespace_check;
/* operator.c */
route_fn switches_get, switches_put, metrics_status;
/* state.c */
route_fn state_liveness, state_readiness, state_actuator, state_server, state_up;
/* native.c */
route_fn native_health, native_metrics, native_instances;

#endif
