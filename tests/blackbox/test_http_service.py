"""Services, clusters, health by hand, switches, metrics, namespaces and state over HTTP."""
import json

import pytest

S1, S2 = "/nacos/v1/ns/service", "/nacos/v2/ns/service"
OK = {"code": 0, "message": "success", "data": "ok"}


def test_v1_service_life(server):
    assert server.post(S1, serviceName="made", protectThreshold="0.25", metadata="a=1", selector='{"type":"none"}').body == b"ok"
    answer = server.get(S1, serviceName="made").json()
    clusters = answer.pop("clusters")
    assert answer == {"namespaceId": "public", "groupName": "DEFAULT_GROUP", "name": "made", "protectThreshold": 0.25,
                      "metadata": {"a": "1"}, "selector": {"type": "none"}}
    assert all(c["healthChecker"] == {"type": "TCP"} for c in clusters)
    assert server.post(S1, serviceName="made").status == 400
    assert server.put(S1, serviceName="made", protectThreshold="0.75", metadata='{"b":"2"}').body == b"ok"
    answer = server.get(S1, serviceName="made").json()
    assert answer["protectThreshold"] == 0.75 and answer["metadata"] == {"b": "2"}
    assert server.put(S1, serviceName="made").status == 400  # protectThreshold is required
    server.register("made", "10.11.0.1", 80, ephemeral="false")
    answer = server.get(S1, serviceName="made").json()
    assert [c for c in answer["clusters"] if c["name"] == "DEFAULT"] == [{"name": "DEFAULT", "healthChecker": {"type": "TCP"}, "metadata": {}}]
    reply = server.delete(S1, serviceName="made")
    assert reply.status == 400 and "made" in reply.text
    server.deregister("made", "10.11.0.1", 80, ephemeral="false")
    assert server.delete(S1, serviceName="made").body == b"ok"
    for call in (server.get, server.delete):
        assert call(S1, serviceName="made").status == 400
    assert server.put(S1, serviceName="made", protectThreshold=0).status == 400


def test_v2_service_life(server):
    assert server.post(S2, serviceName="made2", groupName="g", protectThreshold="0.5", metadata='{"a":"1"}', ephemeral="true").json() == OK
    data = server.get(S2, serviceName="made2", groupName="g").json()["data"]
    assert data["namespace"] == "public" and data["serviceName"] == "made2" and data["groupName"] == "g"
    assert data["protectThreshold"] == 0.5 and data["metadata"] == {"a": "1"} and data["ephemeral"] is True
    assert data["selector"] == {"type": "none"} and isinstance(data["clusterMap"], dict)
    reply = server.post(S2, serviceName="made2", groupName="g")
    assert (reply.status, reply.json()["code"]) == (400, 21007)
    assert server.put(S2, serviceName="made2", groupName="g", protectThreshold="0.1").json() == OK
    server.register("made2", "10.11.1.1", 80, groupName="g")
    reply = server.delete(S2, serviceName="made2", groupName="g")
    assert (reply.status, reply.json()["code"]) == (400, 21009)
    server.deregister("made2", "10.11.1.1", 80, groupName="g")
    assert server.delete(S2, serviceName="made2", groupName="g").json() == OK
    for call in (server.get, server.delete, server.put):
        reply = call(S2, serviceName="made2", groupName="g")
        assert (reply.status, reply.json()["code"]) == (400, 21008)


def test_the_paths_of_2_0_carry_the_name(server):
    params = {"groupName": "g20", "protectThreshold": "0.5"}
    assert server.call("POST", S2 + "/old%2Epath", params).json() == OK
    assert server.get(S2 + "/old.path", groupName="g20").json()["data"]["protectThreshold"] == 0.5
    assert server.call("PUT", S2 + "/old.path", {**params, "protectThreshold": "0.25"}).json() == OK
    assert server.get(S2, serviceName="old.path", groupName="g20").json()["data"]["protectThreshold"] == 0.25
    assert server.delete(S2 + "/old.path", groupName="g20").json() == OK
    assert server.get(S2 + "/old.path", groupName="g20").json()["code"] == 21008


def test_lists_page_through_bare_names(server):
    for n in range(7):
        server.post(S1, serviceName=f"page-{n}", namespaceId="pages")
    server.post(S1, serviceName="elsewhere", groupName="g", namespaceId="pages")
    names = [f"page-{n}" for n in range(7)]
    answer = server.get(S1 + "/list", pageNo=1, pageSize=100, namespaceId="pages").json()
    assert answer == {"count": 7, "doms": names}
    assert server.get(S1 + "/list", pageNo=2, pageSize=3, namespaceId="pages").json() == {"count": 7, "doms": names[3:6]}
    assert server.get(S1 + "/list", pageNo=9, pageSize=3, namespaceId="pages").json() == {"count": 7, "doms": []}
    assert server.get(S1 + "/list", pageNo=1, pageSize=3, namespaceId="pages", groupName="g").json() == {"count": 1, "doms": ["elsewhere"]}
    assert server.get(S1 + "/list", pageNo=1, pageSize=3, namespaceId="none-such").json() == {"count": 0, "doms": []}
    assert server.get(S1 + "/list", pageSize=3).status == 400
    assert server.get(S1 + "/list", pageNo=1).status == 400
    reply = server.get(S2 + "/list", namespaceId="pages").json()
    assert reply == {"code": 0, "message": "success", "data": {"count": 7, "services": names}}
    assert server.get(S2 + "/list", namespaceId="pages", pageNo=1000000000, pageSize=500).json()["data"] == {"count": 7, "services": []}
    assert server.get(S2 + "/list", namespaceId="pages", pageSize=501).json()["data"]["services"] == names  # taken for 500, as the original
    for page_no in (0, -1, -2000000000):
        assert server.get(S2 + "/list", namespaceId="pages", pageNo=page_no, pageSize=2).json()["data"] == {"count": 7, "services": names[:2]}
        assert server.get(S1 + "/list", namespaceId="pages", pageNo=page_no, pageSize=2).json() == {"count": 7, "doms": names[:2]}
    assert server.get(S1 + "/list", namespaceId="pages", pageNo=1, pageSize=0).json() == {"count": 7, "doms": []}
    for page_no, page_size, what in ((1, -1, "pageSize"), ("x", 1, "pageNo"), (1, "1.5", "pageSize"), ("99999999999", 1, "pageNo")):
        reply = server.get(S1 + "/list", namespaceId="pages", pageNo=page_no, pageSize=page_size)
        assert reply.status == 400 and what in reply.text
        assert server.get(S2 + "/list", namespaceId="pages", pageNo=page_no, pageSize=page_size).json()["code"] == 20002


def test_lists_take_a_selector_and_filter_by_none(server):
    server.post(S1, serviceName="chosen", namespaceId="selected")
    for selector in ('{"type":"none"}', '{"type":"label","expression":"SERVICE.metadata.a = \'1\'"}'):
        assert server.get(S1 + "/list", pageNo=1, pageSize=5, namespaceId="selected", selector=selector).json() == {"count": 1, "doms": ["chosen"]}
        assert server.get(S2 + "/list", namespaceId="selected", selector=selector).json()["data"]["count"] == 1
    assert server.get(S1 + "/list", pageNo=1, pageSize=5, selector="{").status == 400
    reply = server.get(S2 + "/list", selector='{"type":"magic"}')
    assert (reply.status, reply.json()["code"]) == (400, 21006)


def test_selectors_are_kept_and_echoed_everywhere(make_server):
    server = make_server().start()
    label = {"type": "label", "expression": "CONSUMER.label.zone = PROVIDER.label.zone"}
    assert server.post(S1, serviceName="picky", selector=json.dumps(label)).text == "ok"
    server.register("picky", "10.16.0.1", 80, ephemeral="false")
    for turn in range(2):
        assert server.get(S1, serviceName="picky").json()["selector"] == label
        assert server.get(S2, serviceName="picky").json()["data"]["selector"] == label
        assert server.get("/nacos/v1/ns/catalog/service", serviceName="picky").json()["service"]["selector"] == label
        assert len(server.hosts("picky")) == 1  # nobody has labels here, so all are returned
        if turn == 0:
            server.restart()
    assert server.put(S1, serviceName="picky", protectThreshold=0).text == "ok"
    assert server.get(S1, serviceName="picky").json()["selector"] == {"type": "none"}


def test_bad_service_settings_are_refused(server):
    for params in ({"protectThreshold": "x"}, {"protectThreshold": "NaN"}, {"protectThreshold": "1.5"}, {"metadata": "{"}, {"selector": "{"},
                   {"selector": '{"type":"magic"}'}, {"metadata": json.dumps({"k": "v" * 2000})}):
        reply = server.post(S1, serviceName="refused", **params)
        assert reply.status == 400, params
        assert server.get(S1, serviceName="refused").status == 400
    assert server.post(S2, serviceName="refused", selector='{"type":"magic"}').json()["code"] == 21006
    assert server.post(S2, serviceName="refused", metadata="{").json()["code"] == 21005
    twice = "%257B%2522type%2522%253A%2522none%2522%257D"
    assert server.call("POST", f"{S1}?serviceName=twice&selector={twice}").body == b"ok"


def test_selector_types(server):
    assert server.get(S1 + "/selector/types").json() == {"code": 200, "message": None, "data": ["none", "label"]}


# ---- clusters and health

CHECKER_HTTP = {"type": "HTTP", "path": "/h", "headers": "a:b", "expectedResponseCode": 302}


def cluster(server, service, checker, **more):
    params = {"serviceName": service, "clusterName": "DEFAULT", "checkPort": 8081, "useInstancePort4Check": "false",
              "healthChecker": json.dumps(checker), **more}
    return server.call("PUT", "/nacos/v1/ns/cluster", params)


def test_cluster_settings_are_kept_and_echoed(server):
    server.post(S1, serviceName="checked")
    assert cluster(server, "checked", CHECKER_HTTP, metadata="m=1").body == b"ok"
    answer = server.get(S1, serviceName="checked").json()
    assert answer["clusters"] == [{"name": "DEFAULT", "healthChecker": CHECKER_HTTP, "metadata": {"m": "1"}}]
    data = server.get(S2, serviceName="checked").json()["data"]["clusterMap"]["DEFAULT"]
    assert (data["healthyCheckPort"], data["useInstancePortForCheck"], data["healthChecker"]) == (8081, False, CHECKER_HTTP)
    mysql = {"type": "MYSQL", "user": "u", "pwd": "p", "cmd": "select 1"}
    assert cluster(server, "checked", mysql).body == b"ok"
    assert server.get(S1, serviceName="checked").json()["clusters"][0]["healthChecker"] == mysql
    assert cluster(server, "checked", {"type": "CUSTOM"}).body == b"ok"
    assert server.get(S1, serviceName="checked").json()["clusters"][0]["healthChecker"]["type"] == "CUSTOM"


def test_bad_cluster_settings_are_refused(server):
    server.post(S1, serviceName="checked-bad")
    assert cluster(server, "checked-none", {"type": "TCP"}).status == 400
    for more in ({"healthChecker": "{"}, {"healthChecker": "{}"}, {"checkPort": "70000"}, {"checkPort": ""}, {"clusterName": "a b"}, {"clusterName": ""},
                 {"useInstancePort4Check": ""}, {"healthChecker": '{"type":"HTTP","expectedResponseCode":9999}'}):
        reply = cluster(server, "checked-bad", {"type": "TCP"}, **more)
        assert reply.status == 400 and reply.text, more


def test_health_can_be_set_only_where_nobody_checks(server):
    server.register("by-hand", "10.12.0.1", 80, ephemeral="false")
    params = {"serviceName": "by-hand", "ip": "10.12.0.1", "port": 80, "healthy": "false"}
    reply = server.call("PUT", "/nacos/v1/ns/health/instance", params)
    assert reply.status == 400 and "health check is still working" in reply.text and "by-hand" in reply.text
    reply = server.call("PUT", "/nacos/v2/ns/health", body=params)
    assert (reply.status, reply.json()["code"]) == (400, 30000)
    assert cluster(server, "by-hand", {"type": "NONE"}).body == b"ok"
    assert server.call("PUT", "/nacos/v1/ns/health", params).body == b"ok"
    assert server.hosts("by-hand")[0]["healthy"] is False
    assert server.call("PUT", "/nacos/v1/ns/health", {**params, "healthy": "", "valid": "true"}).body == b"ok"
    assert server.hosts("by-hand")[0]["healthy"] is True
    assert server.call("PUT", "/nacos/v2/ns/health/instance", body=params).json() == OK
    assert server.hosts("by-hand")[0]["healthy"] is False
    assert server.call("PUT", "/nacos/v1/ns/health", {**params, "healthy": ""}).status == 400
    reply = server.call("PUT", "/nacos/v2/ns/health", body={**params, "healthy": ""})
    assert (reply.status, reply.json()["code"]) == (400, 10000)


def test_checkers_and_health_server(server):
    answer = server.get("/nacos/v1/ns/health/checkers").json()
    assert set(answer) == {"TCP", "HTTP", "MYSQL", "NONE"} and answer["TCP"] == {"type": "TCP"}
    for method in ("GET", "POST"):
        reply = server.call(method, "/nacos/v1/ns/health/server")
        assert reply.status == 200 and "total services" in reply.json()["msg"]


# ---- operator

def test_switches_have_all_keys_and_take_effect(make_server):
    server = make_server().start()
    path = "/nacos/v1/ns/operator/switches"
    answer = server.get(path).json()
    for key, value in {"name": "00-00---000-NACOS_SWITCH_DOMAIN-000---00-00", "masters": None, "adWeightMap": {}, "defaultPushCacheMillis": 10000,
                       "clientBeatInterval": 5000, "defaultCacheMillis": 3000, "distroThreshold": 0.7, "healthCheckEnabled": True,
                       "pushEnabled": True, "checkTimes": 3, "tcpHealthParams": {"max": 5000, "min": 1000, "factor": 0.75},
                       "lightBeatEnabled": True, "overriddenServerStatus": None, "defaultInstanceEphemeral": True, "checksum": None}.items():
        assert answer[key] == value, key
    assert server.put(path, entry="check", value="false", debug="true").body == b"ok"
    assert server.put("/nacos/v1/ns/ops/switches", entry="pushEnabled", value="false").body == b"ok"
    answer = server.get("/nacos/v2/ns/operator/switches").json()["data"]
    assert answer["healthCheckEnabled"] is False and answer["pushEnabled"] is False
    assert server.put("/nacos/v2/ns/operator/switches", entry="lightBeatEnabled", value="false").json() == OK
    assert server.put("/nacos/v1/ns/instance/beat", serviceName="a", ip="10.0.0.1", port=1).json()["lightBeatEnabled"] is False
    assert server.put("/nacos/v3/admin/ns/ops/switches", entry="defaultInstanceEphemeral", value="false").json() == OK
    server.register("default-kind", "10.13.0.1", 80)
    assert server.hosts("default-kind")[0]["ephemeral"] is False
    assert server.put(path, entry="pushCacheMillis", value="20000").body == b"ok"
    assert server.get("/nacos/v1/ns/instance/list", serviceName="default-kind").json()["cacheMillis"] == 20000
    for entry, value in (("check", "maybe"), ("nonsense", "1"), ("masters", "10.0.0.1"), ("pushCacheMillis", "1"), ("", "1"), ("check", "")):
        reply = server.put(path, entry=entry, value=value)
        assert reply.status == 400 and reply.text, (entry, value)
    reply = server.put("/nacos/v2/ns/operator/switches", entry="disableAddIP", value="true")
    assert (reply.status, reply.json()["code"]) == (400, 30000) and "no effect" not in reply.json()["message"]


def test_an_overridden_status_is_shown_and_closes_naming(make_server):
    server = make_server().start()
    switches = "/nacos/v1/ns/operator/switches"
    server.register("gated", "10.13.1.1", 80)
    assert server.put(switches, entry="overriddenServerStatus", value="DOWN").body == b"ok"
    assert server.get("/nacos/v1/ns/operator/metrics").json() == {"status": "DOWN"}
    reply = server.get("/nacos/v1/ns/instance/list", serviceName="gated")
    assert reply.status == 503 and reply.text.startswith("server is DOWNnow")
    assert server.put(switches, entry="overriddenServerStatus", value="READ_ONLY").body == b"ok"
    assert len(server.hosts("gated")) == 1
    assert server.post("/nacos/v1/ns/instance", serviceName="gated", ip="10.13.1.2", port=80).status == 503
    assert server.put(switches, entry="overriddenServerStatus", value="null").body == b"ok"
    server.register("gated", "10.13.1.2", 80)


def test_metrics_say_up_and_count(make_server):
    server = make_server().start()
    for path in ("/nacos/v1/ns/operator/metrics", "/nacos/v1/ns/ops/metrics", "/v1/ns/operator/metrics"):
        reply = server.get(path)
        assert reply.body == b'{"status":"UP"}'
    assert server.get("/nacos/v2/ns/operator/metrics").json()["data"] == {"status": "UP"}
    server.register("counted", "10.14.0.1", 80)
    server.register("counted-p", "10.14.0.2", 80, ephemeral="false")
    answer = server.get("/nacos/v1/ns/operator/metrics", onlyStatus="false").json()
    assert (answer["serviceCount"], answer["instanceCount"], answer["ephemeralIpPortClientCount"], answer["persistentIpPortClientCount"]) == (2, 2, 1, 1)
    assert {"responsibleInstanceCount", "clientCount", "cpu", "load", "mem"} <= set(answer)
    assert "cpu" not in server.get("/nacos/v3/admin/ns/ops/metrics", onlyStatus="false").json()["data"]


# ---- namespaces

def test_namespaces_v1(server):
    path = "/nacos/v1/console/namespaces"
    answer = server.get(path).json()
    assert (answer["code"], answer["message"]) == (200, None)
    assert answer["data"][0] == {"namespace": "", "namespaceShowName": "public", "namespaceDesc": "Default Namespace",
                                 "quota": 200, "configCount": 0, "type": 0}
    assert server.post(path, customNamespaceId="one", namespaceName="One", namespaceDesc="the first").text == "true"
    assert server.post(path, customNamespaceId="one", namespaceName="Again").text == "false"
    assert server.post(path, customNamespaceId="public", namespaceName="Again").text == "false"
    assert server.post(path, customNamespaceId="a b", namespaceName="x").text == "false"
    assert server.post(path, customNamespaceId="x", namespaceName="a@b").text == "false"
    assert server.post(path, customNamespaceId="x").status == 400
    entry = {"namespace": "one", "namespaceShowName": "One", "namespaceDesc": "the first", "quota": 200, "configCount": 0, "type": 2}
    assert entry in server.get(path).json()["data"]
    assert server.get(path, show="all", namespaceId="one").json() == entry
    assert server.get(path, show="all", namespaceId="none").status == 404
    assert server.get(path, show="all", namespaceId="public").json()["type"] == 0
    assert server.get(path, checkNamespaceIdExist="true", customNamespaceId="one").body == b"true"
    assert server.get(path, checkNamespaceIdExist="true", customNamespaceId="none").body == b"false"
    assert server.put(path, namespace="one", namespaceShowName="Uno", namespaceDesc="d").text == "true"
    assert server.get(path, show="all", namespaceId="one").json()["namespaceShowName"] == "Uno"
    assert server.put(path, namespace="none", namespaceShowName="Uno", namespaceDesc="d").text == "false"
    assert server.delete(path, namespaceId="one").text == "true"
    assert server.delete(path, namespaceId="one").text == "true"  # also unknown
    assert server.post(path, namespaceName="by-uuid").text == "true"
    ids = [n["namespace"] for n in server.get(path).json()["data"] if n["namespaceShowName"] == "by-uuid"]
    assert len(ids) == 1 and len(ids[0]) == 36
    assert server.delete(path, namespaceId=ids[0]).text == "true"


@pytest.mark.parametrize("path,reserved,exists", [("/nacos/v2/console/namespace", "", 500), ("/nacos/v3/admin/core/namespace", "public", 400)])
def test_namespaces_v2_and_v3(server, path, reserved, exists):
    wrapped = lambda data: {"code": 0, "message": "success", "data": data}
    assert server.get(path + "/list").json()["data"][0]["namespace"] == reserved
    assert server.call("POST", path, body={"namespaceId": "two", "namespaceName": "Two", "namespaceDesc": ""}).json() == wrapped(True)
    reply = server.call("POST", path, body={"namespaceId": "two", "namespaceName": "Two"})
    assert (reply.status, reply.json()["code"]) == (exists, 22002)
    reply = server.call("POST", path, body={"namespaceId": "t o", "namespaceName": "Two"})
    assert (reply.status, reply.json()["code"]) == (400, 22000)
    entry = {"namespace": "two", "namespaceShowName": "Two", "namespaceDesc": None, "quota": 200, "configCount": 0, "type": 2}
    assert server.get(path, namespaceId="two").json() == wrapped(entry)
    reply = server.get(path, namespaceId="none")
    assert (reply.status, reply.json()["code"]) == (404, 22001)
    assert server.call("PUT", path, body={"namespaceId": "two", "namespaceName": "Deux"}).json() == wrapped(True)
    assert server.get(path, namespaceId="two").json()["data"]["namespaceShowName"] == "Deux"
    assert server.delete(path, namespaceId="two").json() == wrapped(True)
    assert server.delete(path, namespaceId="two").json() == wrapped(True)


def test_namespace_check_v3(server):
    path = "/nacos/v3/admin/core/namespace"
    server.call("POST", path, body={"namespaceId": "three", "namespaceName": "Three"})
    assert server.get(path + "/check", namespaceId="three").json()["data"] == 1
    assert server.get(path + "/check", namespaceId="none").json()["data"] == 0


# ---- state and native

def test_liveness_and_readiness_of_every_generation(server):
    for path in ("liveness", "readiness"):
        reply = server.get("/nacos/v1/console/health/" + path)
        assert (reply.status, reply.body) == (200, b"OK")
        for base in ("/nacos/v2/console/health/", "/nacos/v3/admin/core/state/", "/v3/console/health/"):
            assert server.get(base + path).json() == OK, base
    assert server.get("/nacos/v3/admin/core/ops/readiness").json() == OK
    assert server.get("/nacos/actuator/health").json() == {"status": "UP"}
    assert server.get("/nacos/v1/core/cluster/health").json()["data"] == "UP"
    assert server.get("/nacos/v2/core/cluster/node/self/health").json() == {"code": 0, "message": "success", "data": "UP"}


def test_server_state_is_a_flat_map(server):
    answer = server.get("/nacos/v1/console/server/state").json()
    assert answer["startup_mode"] == "standalone" and answer["auth_enabled"] == "false"
    assert answer["server_port"] == str(server.http_address[1])
    assert all(isinstance(v, str) or v is None for v in answer.values())
    assert server.get("/nacos/v3/admin/core/state").json()["data"] == answer


def test_native_health_and_metrics(server):
    answer = server.get("/health")
    assert answer.status == 200 and answer.json()["status"] == "ok" and answer.json()["missing"] is None
    server.register("measured", "10.15.0.1", 80)
    reply = server.get("/metrics")
    assert reply.status == 200 and reply.headers["Content-Type"].startswith("text/plain")
    assert "muster_build_info{" in reply.text
    assert 'muster_http_requests_total{class="instance",status="2xx"}' in reply.text
    assert 'muster_http_request_duration_seconds_bucket{class="list",le="+Inf"}' in reply.text
    for line in reply.text.splitlines():
        assert line.startswith(("#", "muster_", "process_")), line


def test_native_instances_say_why_they_are_listed(server):
    server.register("why", "10.15.1.1", 80, metadata="a=b")
    server.register("why", "10.15.1.2", 80)
    server.put("/nacos/v1/ns/instance", serviceName="why", ip="10.15.1.2", port=80, weight=4)
    answer = server.get("/muster/v1/instances", serviceName="why").json()
    assert answer["count"] == 2 and answer["number"] > 0
    one, two = sorted(answer["instances"], key=lambda i: i["ip"])
    assert one["ephemeral"] is True and one["overridden"] is False and one["reason"] is None and 0 <= one["lastBeatAgeMs"] < 60000
    assert two["overridden"] is True and two["weight"] == 4
    assert len(server.get("/muster/v1/instances", serviceName="why", ip="10.15.1.1", port=80).json()["instances"]) == 1
    assert server.get("/muster/v1/instances", serviceName="why-not").status == 404
