"""Instances over HTTP v1 and v2: exact shapes and codes of the reference, and what real SDKs send."""
import json

import pytest

V1 = "/nacos/v1/ns/instance"
V2 = "/nacos/v2/ns/instance"
JSON = "application/json;charset=UTF-8"
TEXT = "text/plain;charset=UTF-8"
OK = {"code": 0, "message": "success", "data": "ok"}


def listed(server, service, **more):
    reply = server.get(V1 + "/list", serviceName=service, **more)
    assert reply.status == 200 and reply.headers["Content-Type"] == JSON, reply
    return reply.json()


def test_v1_register_list_detail_deregister_have_the_exact_shapes(server):
    reply = server.post(V1, serviceName="shape", ip="10.1.0.1", port=8080, weight="2.5", metadata='{"v":"1"}', clusterName="c-1")
    assert (reply.status, reply.body, reply.headers["Content-Type"]) == (200, b"ok", TEXT)
    answer = listed(server, "shape")
    assert answer["lastRefTime"] > 1_500_000_000_000
    del answer["lastRefTime"]
    assert answer == {
        "name": "DEFAULT_GROUP@@shape", "groupName": "DEFAULT_GROUP", "clusters": "", "cacheMillis": 10000,
        "hosts": [{
            "instanceId": "10.1.0.1#8080#c-1#DEFAULT_GROUP@@shape", "ip": "10.1.0.1", "port": 8080, "weight": 2.5,
            "healthy": True, "enabled": True, "ephemeral": True, "clusterName": "c-1", "serviceName": "DEFAULT_GROUP@@shape",
            "metadata": {"v": "1"}, "instanceHeartBeatInterval": 5000, "instanceHeartBeatTimeOut": 15000, "ipDeleteTimeout": 30000}],
        "checksum": "", "allIPs": False, "reachProtectionThreshold": False, "valid": True}
    detail = server.get(V1, serviceName="shape", ip="10.1.0.1", port=8080, clusterName="c-1").json()
    assert detail == {"service": "DEFAULT_GROUP@@shape", "ip": "10.1.0.1", "port": 8080, "clusterName": "c-1", "weight": 2.5,
                      "healthy": True, "instanceId": "10.1.0.1#8080#c-1#DEFAULT_GROUP@@shape", "metadata": {"v": "1"}}
    assert b'"weight":2.5' in server.get(V1 + "/list", serviceName="shape").body
    missing = server.get(V1, serviceName="shape", ip="10.1.0.1", port=8080)  # cluster DEFAULT
    assert missing.status == 404 and missing.headers["Content-Type"] == TEXT
    assert server.delete(V1, serviceName="shape", ip="10.1.0.1", port=8080, clusterName="c-1").body == b"ok"
    assert listed(server, "shape")["hosts"] == []


def test_weights_are_numbers_with_a_fraction_and_simple_ids_name_their_generator(server):
    server.register("plain", "10.1.0.1", 80)
    body = server.get(V1 + "/list", serviceName="plain").body
    assert b'"weight":1.0' in body
    assert json.loads(body)["hosts"][0]["instanceIdGenerator"] == "simple"


def test_a_change_is_listed_at_once_with_a_larger_last_ref_time(server):
    last = 0
    for weight in range(1, 30):
        server.register("at-once", "10.1.0.2", 80, weight=weight)
        answer = listed(server, "at-once")
        assert answer["hosts"][0]["weight"] == weight
        assert answer["lastRefTime"] > last
        last = answer["lastRefTime"]
    assert listed(server, "at-once")["lastRefTime"] == last


def test_querying_and_deregistering_never_make_a_service(server):
    reply = server.get(V1 + "/list", serviceName="never", clusters="a,b", udpPort=5555, clientIP="10.0.0.1")
    answer = reply.json()
    assert reply.status == 200
    assert answer["hosts"] == [] and answer["name"] == "DEFAULT_GROUP@@never" and answer["clusters"] == "a,b"
    assert server.deregister("never", "10.1.0.1", 80)
    assert server.get("/nacos/v1/ns/service", serviceName="never").status == 400


def test_namespaces_and_groups_keep_services_apart(server):
    server.register("apart", "10.2.0.1", 80)
    server.register("apart", "10.2.0.2", 80, namespaceId="other")
    server.register("apart", "10.2.0.3", 80, groupName="g")
    server.register("h@@apart", "10.2.0.4", 80, groupName="ignored")
    assert [h["ip"] for h in server.hosts("apart")] == ["10.2.0.1"]
    assert [h["ip"] for h in server.hosts("apart", namespaceId="public")] == ["10.2.0.1"]
    assert [h["ip"] for h in server.hosts("apart", namespaceId="other")] == ["10.2.0.2"]
    assert [h["ip"] for h in server.hosts("g@@apart")] == ["10.2.0.3"]
    answer = listed(server, "h@@apart")
    assert [h["ip"] for h in answer["hosts"]] == ["10.2.0.4"]
    assert (answer["name"], answer["groupName"], answer["hosts"][0]["serviceName"]) == ("h@@apart", "h", "h@@apart")
    assert server.hosts("ignored@@apart") == []


def test_clusters_filter_and_are_echoed_byte_for_byte(server):
    for n, cluster in enumerate(["a", "b", "c"]):
        server.register("clustered", f"10.3.0.{n}", 80, clusterName=cluster)
    for clusters, wanted in [("", {"a", "b", "c"}), ("a", {"a"}), ("a,c", {"a", "c"}), ("c,a", {"a", "c"}), ("x", set()), ("a,", {"a"}), (",", set())]:
        answer = listed(server, "clustered", clusters=clusters)
        assert answer["clusters"] == clusters
        assert {h["clusterName"] for h in answer["hosts"]} == wanted, clusters


def test_cluster_is_an_alias_and_enable_too(server):
    server.register("alias", "10.3.1.1", 80, cluster="k", enable="false")
    assert server.hosts("alias") == []  # disabled
    server.register("alias", "10.3.1.1", 80, clusterName="k", cluster="no", enabled="true", enable="false")
    assert [h["clusterName"] for h in server.hosts("alias")] == ["k"]


@pytest.mark.parametrize("text,value", [("true", True), ("True", True), ("YES", True), ("on", True), ("y", True), ("T", True),
                                        ("false", False), ("False", False), ("1", False), ("0", False), ("nope", False)])
def test_booleans_are_read_as_the_reference_says(server, text, value):
    server.register("bools", "10.3.2.1", 80, healthy=text)
    assert server.hosts("bools")[0]["healthy"] is value


def test_healthy_only_leaves_out_what_is_unhealthy(server):
    server.register("half", "10.3.3.1", 80)
    server.register("half", "10.3.3.2", 80, healthy="false")
    assert len(server.hosts("half")) == 2
    assert [h["ip"] for h in server.hosts("half", healthyOnly="true")] == ["10.3.3.1"]
    assert [h["ip"] for h in server.hosts("half", healthyOnly="True")] == ["10.3.3.1"]
    assert len(server.hosts("half", healthyOnly="yes")) == 2


def test_the_protect_rule_shows_copies_as_healthy(server):
    assert server.post("/nacos/v1/ns/service", serviceName="protected", protectThreshold="0.5").text == "ok"
    for n in range(4):
        server.register("protected", f"10.3.4.{n}", 80, ephemeral="false", healthy="true" if n == 0 else "false")
    answer = listed(server, "protected")
    assert answer["reachProtectionThreshold"] is True
    assert all(h["healthy"] for h in answer["hosts"]) and len(answer["hosts"]) == 4
    only = listed(server, "protected", healthyOnly="true")
    assert only["reachProtectionThreshold"] is False and len(only["hosts"]) == 1
    native = server.get("/muster/v1/instances", serviceName="protected").json()
    assert sorted(i["healthy"] for i in native["instances"]) == [False, False, False, True]


def test_update_is_an_overlay_that_survives_registering_again(server):
    server.register("overlay", "10.4.0.1", 80, metadata="a=1,b=2")
    assert server.put(V1, serviceName="overlay", ip="10.4.0.1", port=80, weight=7, enabled="true", metadata='{"b":"3"}').body == b"ok"
    host = server.hosts("overlay")[0]
    assert host["weight"] == 7 and host["metadata"] == {"a": "1", "b": "3"}
    server.register("overlay", "10.4.0.1", 80, weight=2, metadata="a=1,b=2")
    host = server.hosts("overlay")[0]
    assert host["weight"] == 7 and host["metadata"]["b"] == "3"
    assert server.put(V1, serviceName="overlay", ip="10.4.0.1", port=80, enabled="false").body == b"ok"
    assert server.hosts("overlay") == []
    reply = server.put(V1, serviceName="overlay-none", ip="10.4.0.1", port=80)
    assert reply.status == 400 and "overlay-none" in reply.text


def test_patch_changes_only_what_is_given_and_404s_the_unknown(server):
    server.register("patched", "10.4.1.1", 80, weight=3, metadata="a=1")
    reply = server.call("PATCH", V1, {"serviceName": "patched", "ip": "10.4.1.1", "port": 80, "weight": "5"})
    assert (reply.status, reply.body) == (200, b"ok")
    host = server.hosts("patched")[0]
    assert host["weight"] == 5 and host["metadata"] == {"a": "1"} and host["enabled"] is True
    reply = server.call("PATCH", V1, {"serviceName": "patched", "ip": "10.4.1.1", "port": 80, "metadata": '{"x":"y"}'})
    assert reply.status == 200
    host = server.hosts("patched")[0]
    assert host["weight"] == 5 and host["metadata"]["x"] == "y"
    assert server.call("PATCH", V1, {"serviceName": "patched", "ip": "10.4.1.9", "port": 80, "weight": "5"}).status == 404
    reply = server.call("PATCH", V2, {"serviceName": "DEFAULT_GROUP@@patched", "ip": "10.4.1.1", "port": 80, "enabled": "false"})
    assert (reply.status, reply.body) == (200, b"ok")
    assert server.hosts("patched") == []


def test_a_service_is_ephemeral_or_persistent_not_both(server):
    server.register("kind", "10.4.2.1", 80)
    reply = server.post(V1, serviceName="kind", ip="10.4.2.2", port=80, ephemeral="false")
    assert reply.status == 400 and "kind" in reply.text and "ephemeral" in reply.text
    reply = server.post(V2, serviceName="kind", ip="10.4.2.2", port=80, ephemeral="false")
    assert reply.status == 400 and reply.json()["code"] == 21004
    assert len(server.hosts("kind")) == 1


# ---- beats

BEAT = V1 + "/beat"


def beat_json(service, ip, port, **more):
    return json.dumps({"cluster": "DEFAULT", "ip": ip, "port": port, "metadata": {"k": "v"}, "period": 5000, "scheduled": False,
                       "serviceName": service, "stopped": False, "weight": 3.0, **more})


def test_beats_answer_10200_or_20404_with_status_200(server):
    light = {"serviceName": "DEFAULT_GROUP@@beaten", "ip": "10.5.0.1", "port": 80, "clusterName": "DEFAULT"}
    reply = server.call("PUT", BEAT, light)
    assert reply.status == 200 and reply.headers["Content-Type"] == JSON
    assert reply.json() == {"clientBeatInterval": 5000, "code": 20404, "lightBeatEnabled": True}
    assert server.hosts("beaten") == []
    reply = server.call("PUT", BEAT, {"serviceName": "DEFAULT_GROUP@@beaten", "beat": beat_json("DEFAULT_GROUP@@beaten", "10.5.0.1", 80)})
    assert reply.json() == {"clientBeatInterval": 5000, "code": 10200, "lightBeatEnabled": True}
    host = server.hosts("beaten")[0]
    assert host["weight"] == 3 and host["metadata"] == {"k": "v"} and host["ephemeral"] is True
    assert server.call("PUT", BEAT, light).json()["code"] == 10200
    light["clusterName"] = "another"  # not compared
    assert server.call("PUT", BEAT, light).json()["code"] == 10200


def test_a_beat_heals_and_its_interval_comes_from_the_metadata(server):
    server.register("healed", "10.5.1.1", 80, healthy="false", metadata='{"preserved.heart.beat.interval":"7000"}')
    assert server.hosts("healed")[0]["healthy"] is False
    reply = server.call("PUT", BEAT, {"serviceName": "healed", "ip": "10.5.1.1", "port": 80})
    assert reply.json() == {"clientBeatInterval": 7000, "code": 10200, "lightBeatEnabled": True}
    assert server.hosts("healed")[0]["healthy"] is True
    assert server.call("PUT", BEAT, {"serviceName": "healed", "ip": "10.5.1.1", "port": 80}).json()["clientBeatInterval"] == 7000


def test_the_beat_in_the_form_body_percent_encoded_or_not(server):
    text = beat_json("DEFAULT_GROUP@@form-beat", "10.5.2.1", 80)
    reply = server.call("PUT", BEAT, {"serviceName": "DEFAULT_GROUP@@form-beat"}, body={"beat": text})  # Java
    assert reply.json()["code"] == 10200
    raw = "serviceName=DEFAULT_GROUP@@raw-beat&namespaceId=public&beat=" + beat_json("DEFAULT_GROUP@@raw-beat", "10.5.2.2", 80)
    reply = server.call("PUT", BEAT, body=raw, headers={"Content-Type": "application/x-www-form-urlencoded"})  # Go 1
    assert reply.json()["code"] == 10200
    assert [h["ip"] for h in server.hosts("raw-beat")] == ["10.5.2.2"]
    raw = raw.replace("raw-beat", "bare-beat").encode()
    assert server.call("PUT", BEAT, body=raw).json()["code"] == 10200  # no content type at all
    assert [h["ip"] for h in server.hosts("bare-beat")] == ["10.5.2.2"]


def test_beats_with_escapes_and_unknown_members_are_read(server):
    text = beat_json("DEFAULT_GROUP@@odd-beat", "10.5.3.1", 80, load=0.5, unknown={"deep": [1, 2]}, metadata={"q": 'a"b\\c', "é": "ü"})
    reply = server.call("PUT", BEAT, {"serviceName": "odd-beat", "beat": text})
    assert reply.json()["code"] == 10200
    assert server.hosts("odd-beat")[0]["metadata"] == {"q": 'a"b\\c', "é": "ü"}


# ---- what SDKs send

def test_go_1_un_encoded_put_bodies_and_empty_first_pairs(server):
    server.register("go", "10.6.0.1", 80)
    raw = 'serviceName=DEFAULT_GROUP@@go&ip=10.6.0.1&port=80&weight=4&enabled=true&metadata={"p":"100%","q":"a=b"}'
    reply = server.call("PUT", V1, body=raw, headers={"Content-Type": "application/x-www-form-urlencoded"})
    assert reply.body == b"ok", reply
    assert server.hosts("go")[0]["metadata"] == {"p": "100%", "q": "a=b"}
    reply = server.call("GET", V1 + "/list?&serviceName=DEFAULT_GROUP@@go&clusters=&udpPort=0&clientIP=10.0.0.1")
    assert len(reply.json()["hosts"]) == 1


def test_node_and_python_put_everything_into_the_query(server):
    for method in ("POST", "PUT"):
        reply = server.call(method, V1 + "?serviceName=DEFAULT_GROUP%40%40node&ip=10.6.1.1&port=8080&weight=1&enable=True&healthy=True"
                                         "&metadata=%7B%22n%22%3A%221%22%7D&ephemeral=True&groupName=DEFAULT_GROUP&namespaceId=default",
                            headers={"Content-Type": "application/x-www-form-urlencoded; charset=GBK"})
        assert reply.body == b"ok"
    assert len(server.hosts("node", namespaceId="default")) == 1
    assert server.hosts("node") == []


def test_java_form_bodies_and_deletes_with_bodies(server):
    form = {"serviceName": "DEFAULT_GROUP@@java", "groupName": "DEFAULT_GROUP", "ip": "10.6.2.1", "port": "80", "enable": "true",
            "healthy": "true", "ephemeral": "true", "metadata": "{}", "namespaceId": "public", "clusterName": "DEFAULT", "weight": "1.0"}
    assert server.call("POST", V1, body=form).body == b"ok"
    assert len(server.hosts("java")) == 1
    assert server.call("DELETE", V1, body=form).body == b"ok"
    assert server.hosts("java") == []


def test_the_first_value_wins_and_the_query_comes_before_the_body(server):
    reply = server.call("POST", V1 + "?serviceName=first&serviceName=second&ip=10.6.3.1&weight=2", body="port=80&port=81&weight=9&serviceName=third")
    assert reply.body == b"ok"
    host = server.hosts("first")[0]
    assert (host["port"], host["weight"]) == (80, 2.0)


def test_values_are_trimmed_on_v1_and_blank_is_absent(server):
    assert server.post(V1, serviceName=" trimmed ", ip=" 10.6.4.1 ", port=" 80 ", clusterName=" ", weight="").body == b"ok"
    host = server.hosts("trimmed")[0]
    assert (host["ip"], host["clusterName"], host["weight"]) == ("10.6.4.1", "DEFAULT", 1.0)


def test_the_context_path_is_optional(server):
    assert server.call("POST", "/v1/ns/instance", {"serviceName": "no-context", "ip": "10.6.5.1", "port": 80}).body == b"ok"
    assert len(server.hosts("no-context")) == 1


def test_ipv6_and_host_names_are_registered_as_they_are(server):
    for ip in ("2001:db8::1", "fe80::1%eth0", "db.example.org"):
        server.register("hosts", ip, 80)
    assert {h["ip"] for h in server.hosts("hosts")} == {"2001:db8::1", "fe80::1%eth0", "db.example.org"}
    assert server.get(V1, serviceName="hosts", ip="2001:db8::1", port=80).json()["instanceId"] == "2001:db8::1#80#DEFAULT#DEFAULT_GROUP@@hosts"


def test_port_0_and_weight_0_are_legal(server):
    server.register("zero", "10.6.6.1", 0, weight=0)
    host = server.hosts("zero")[0]
    assert (host["port"], host["weight"]) == (0, 0.0)


# ---- v2

def test_v2_register_list_detail_update_deregister(server):
    reply = server.post(V2, serviceName="two", groupName="g2", ip="10.7.0.1", port=80, weight="1.5", metadata='{"a":"b"}')
    assert reply.status == 200 and reply.json() == OK and reply.headers["Content-Type"] == JSON
    reply = server.get(V2 + "/list", serviceName="two", groupName="g2").json()
    assert (reply["code"], reply["message"]) == (0, "success")
    assert reply["data"]["name"] == "g2@@two" and reply["data"]["groupName"] == "g2"
    assert reply["data"]["hosts"][0]["serviceName"] == "g2@@two"
    reply = server.get(V2, serviceName="two", groupName="g2", ip="10.7.0.1", port=80).json()
    assert reply["data"] == {"serviceName": "g2@@two", "ip": "10.7.0.1", "port": 80, "clusterName": "DEFAULT", "weight": 1.5,
                             "healthy": True, "instanceId": "10.7.0.1#80#DEFAULT#g2@@two", "metadata": {"a": "b"}}
    assert server.put(V2, serviceName="two", groupName="g2", ip="10.7.0.1", port=80, weight=9).json() == OK
    assert server.get(V2, serviceName="two", groupName="g2", ip="10.7.0.1", port=80).json()["data"]["weight"] == 9.0
    assert server.delete(V2, serviceName="two", groupName="g2", ip="10.7.0.1", port=80).json() == OK
    reply = server.get(V2, serviceName="two", groupName="g2", ip="10.7.0.1", port=80)
    assert (reply.status, reply.json()["code"]) == (404, 20004)
    assert reply.json()["message"] == "resource not found" and reply.json()["data"]


def test_v2_form_bodies_clusters_and_missing_services(server):
    assert server.call("POST", V2, body={"serviceName": "two-form", "ip": "10.7.1.1", "port": "80", "clusterName": "a"}).json() == OK
    server.post(V2, serviceName="two-form", ip="10.7.1.2", port=80, clusterName="b")
    data = server.get(V2 + "/list", serviceName="two-form", clusterName="a").json()["data"]
    assert data["clusters"] == "a" and [h["ip"] for h in data["hosts"]] == ["10.7.1.1"]
    data = server.get(V2 + "/list", serviceName="two-none").json()["data"]
    assert data["hosts"] == [] and data["name"] == "DEFAULT_GROUP@@two-none"
    reply = server.put(V2, serviceName="two-none", ip="10.7.1.1", port=80)
    assert (reply.status, reply.json()["code"]) == (400, 21008)


def test_v2_beat_answers_without_a_wrapper(server):
    reply = server.call("PUT", V2 + "/beat", {"serviceName": "DEFAULT_GROUP@@two-beat", "ip": "10.7.2.1", "port": 80})
    assert reply.json() == {"clientBeatInterval": 5000, "code": 20404, "lightBeatEnabled": True}


def test_v2_missing_parameters_have_code_10000(server):
    for params in ({"ip": "10.7.3.1", "port": 80}, {"serviceName": "x", "port": 80}, {"serviceName": "x", "ip": "10.7.3.1"}):
        reply = server.call("POST", V2, params)
        assert (reply.status, reply.json()["code"], reply.json()["message"]) == (400, 10000, "parameter missing")


# ---- v3 client

def test_v3_client_registers_lists_and_beats(server):
    path = "/nacos/v3/client/ns/instance"
    beat = {"serviceName": "three", "ip": "10.8.0.1", "port": 80, "heartBeat": "true"}
    reply = server.call("POST", path, body=beat)
    assert reply.status == 200 and reply.json()["code"] == 21003 and reply.json()["data"] is None
    assert server.hosts("three") == []
    assert server.call("POST", path, body={**beat, "heartBeat": "false"}).json() == OK
    assert server.call("POST", path, body=beat).json() == OK
    data = server.get(path + "/list", serviceName="three").json()["data"]
    assert [h["ip"] for h in data] == ["10.8.0.1"] and data[0]["serviceName"] == "DEFAULT_GROUP@@three"
    server.call("POST", path, body={"serviceName": "three", "ip": "10.8.0.2", "port": 80, "clusterName": "c"})
    assert len(server.get(path + "/list", serviceName="three").json()["data"]) == 1  # DEFAULT only, as the original
    assert len(server.get(path + "/list", serviceName="three", clusterName="c").json()["data"]) == 1
    assert server.call("DELETE", path, {"serviceName": "three", "ip": "10.8.0.1", "port": 80}).json() == OK
    assert server.get(path + "/list", serviceName="three").json()["data"] == []
    assert server.get(path + "/list", serviceName="three-none").json()["data"] == []


@pytest.mark.parametrize("ip", ["10.0.0", "10.0.0.256", "10.0.0.1 x"])
@pytest.mark.parametrize("path", ["/nacos/v1/ns/instance", "/nacos/v2/ns/instance"])
def test_deregistering_an_address_that_cannot_be_is_an_error(server, path, ip):
    reply = server.delete(path, serviceName="no-address", ip=ip, port=80)
    assert reply.status == 400 and "'ip'" in reply.text and "10.0.0" in reply.text, reply
