/* handlers.h - what the rows of the route table run, by noun. Each answers or submits its request. */
#ifndef API_HANDLERS_H
#define API_HANDLERS_H

#include "api/routes.h"

/* instance.c */
route_fn api_instance_register, api_instance_deregister, api_instance_update, api_instance_patch, api_instance_partial, api_instance_detail,
    api_instance_beat, api_instance_v3_register, api_legacy_beat;
/* list.c */
route_fn api_instance_list, api_instance_v3_list, api_instance_statuses, api_legacy_list;
/* names.c */
route_fn api_service_names, api_legacy_names;
/* catalog.c */
route_fn api_catalog_service, api_catalog_instances, api_catalog_services, api_admin_instances;
/* metadata.c */
route_fn api_metadata_batch;
/* service.c */
route_fn api_service_create, api_service_update, api_service_delete, api_service_detail, api_service_list, api_selector_types,
    api_service_by_path;
/* cluster.c */
route_fn api_cluster_update;
/* health.c */
route_fn api_health_set, api_health_server, api_health_checkers;
/* namespace.c */
route_fn api_namespace_v1_get, api_namespace_list, api_namespace_get, api_namespace_create, api_namespace_update, api_namespace_delete,
    api_namespace_check, api_namespace_exists;
/* operator.c */
route_fn api_switches_get, api_switches_put, api_metrics_status, api_id_generators;
/* members.c */
route_fn api_member_self, api_member_list, api_member_addresses, api_operator_servers, api_operator_distro_status,
    api_responsible_for_client, api_responsible_for_service, api_server_list;
/* clients.c */
route_fn api_client_list, api_client_detail, api_client_published, api_service_publishers;
/* subscriber_routes.c */
route_fn api_service_subscribers, api_service_subscriber_list, api_client_subscribed;
/* state.c */
route_fn api_state_liveness, api_state_readiness, api_state_actuator, api_state_server, api_state_up;
/* loader.c */
route_fn api_loader_current, api_loader_cluster, api_loader_reload_client, api_loader_reload_current, api_loader_balance;
/* login.c */
route_fn api_login;
/* config_wait.c */
route_fn api_config_listener;
/* log_level.c */
route_fn api_log_get, api_log_put, api_log_nacos;
/* zones.c */
route_fn api_native_zones, api_native_zone;
/* backup.c */
route_fn api_native_backup;
/* explain.c, connections.c */
route_fn api_native_explain, api_native_subscribers, api_native_connections;
/* native.c */
route_fn api_native_health, api_native_metrics, api_native_instances;

#endif
