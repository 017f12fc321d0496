"""Metadata of many instances at once, and the statuses of a service: v1 and v2."""
import json
import urllib.parse

import pytest

V1, V2 = "/nacos/v1/ns/instance", "/nacos/v2/ns/instance"


def batch(server, method, service, metadata, instances=None, base=V1, **more):
    params = {"serviceName": service, "metadata": metadata, **more}
    if instances is not None:
        params["instances"] = instances if isinstance(instances, str) else json.dumps(instances)
    return server.call(method, base + "/metadata/batch", params)


def metadata(server, service):
    return {h["ip"]: h["metadata"] for h in server.hosts(service)}


@pytest.fixture
def three(server, request):
    service = "batch-" + request.node.name.replace("_", "-").replace("[", "-").replace("]", "")[:60]
    for n, cluster in enumerate(("DEFAULT", "DEFAULT", "hz")):
        server.register(service, f"10.30.0.{n}", 8080, clusterName=cluster, metadata='{"a":"1","own":"%d"}' % n)
    return service


def test_keys_are_added_and_replaced_on_the_named_ones_only(server, three):
    reply = batch(server, "PUT", three, '{"a":"2","b":"x"}', [{"ip": "10.30.0.0", "port": 8080}, {"ip": "10.30.0.2", "port": 8080, "clusterName": "hz"},
                                                              {"ip": "10.30.0.9", "port": 8080}, {"ip": "10.30.0.1", "port": 8080, "clusterName": "hz"}])
    assert reply.status == 200, reply
    assert sorted(reply.json()["updated"]) == ["10.30.0.0:8080:unknown:DEFAULT:ephemeral", "10.30.0.2:8080:unknown:hz:ephemeral"]
    assert metadata(server, three) == {"10.30.0.0": {"a": "2", "b": "x", "own": "0"}, "10.30.0.1": {"a": "1", "own": "1"},
                                       "10.30.0.2": {"a": "2", "b": "x", "own": "2"}}


def test_no_list_means_all_and_deleting_brings_back_what_was_published(server, three):
    reply = batch(server, "PUT", three, "a=9,c=3")
    assert len(reply.json()["updated"]) == 3
    assert all(m["a"] == "9" and m["c"] == "3" for m in metadata(server, three).values())
    server.register(three, "10.30.0.0", 8080, metadata='{"a":"7"}')  # the edit survives
    assert metadata(server, three)["10.30.0.0"] == {"a": "9", "c": "3"}
    reply = batch(server, "DELETE", three, '{"a":"","never":""}', "[]")
    assert len(reply.json()["updated"]) == 3
    after = metadata(server, three)
    assert after["10.30.0.0"] == {"a": "7", "c": "3"} and after["10.30.0.1"] == {"a": "1", "c": "3", "own": "1"}
    assert len(batch(server, "DELETE", three, '{"c":""}').json()["updated"]) == 3
    assert metadata(server, three)["10.30.0.1"] == {"a": "1", "own": "1"}
    assert len(batch(server, "DELETE", three, '{"c":""}').json()["updated"]) == 3  # met, though nothing is left to delete


def test_a_weight_edit_stays_when_keys_are_deleted(server, three):
    assert server.put(V1, serviceName=three, ip="10.30.0.1", port=8080, weight=7, metadata='{"k":"v"}').text == "ok"
    batch(server, "DELETE", three, '{"k":""}')
    host = [h for h in server.hosts(three) if h["ip"] == "10.30.0.1"][0]
    assert host["weight"] == 7 and "k" not in host["metadata"]


def test_v2_wraps_and_reads_forms(server, three):
    form = {"serviceName": three, "groupName": "DEFAULT_GROUP", "consistencyType": "ephemeral", "metadata": '{"v2":"yes"}',
            "instances": '[{"ip":"10.30.0.1","port":"8080"}]'}
    reply = server.call("PUT", V2 + "/metadata/batch", body=form)
    assert reply.json() == {"code": 0, "message": "success", "data": {"updated": ["10.30.0.1:8080:unknown:DEFAULT:ephemeral"]}}
    assert metadata(server, three)["10.30.0.1"]["v2"] == "yes"
    reply = server.call("DELETE", V2 + "/metadata/batch", {"serviceName": three, "metadata": "v2=whatever"})
    assert len(reply.json()["data"]["updated"]) == 3
    assert "v2" not in metadata(server, three)["10.30.0.1"]


def test_persistent_ones_say_persist_and_the_edit_outlives_a_restart(make_server):
    server = make_server().start()
    server.register("kept", "10.30.1.1", 80, ephemeral="false", metadata="a=1")
    assert batch(server, "PUT", "kept", '{"a":"2"}', consistencyType="persist").json() == {"updated": ["10.30.1.1:80:unknown:DEFAULT:persist"]}
    server.restart()
    assert server.hosts("kept")[0]["metadata"] == {"a": "2"}


def test_a_batch_shows_in_dns_at_once(server):
    server.register("batch-txt", "10.30.2.1", 80)
    batch(server, "PUT", "batch-txt", '{"port.http":"8081"}')
    answer = server.dig("_http._tcp.batch-txt.svc.muster.internal", "SRV")
    assert answer.answer and answer.answer[0][0].port == 8081, answer


@pytest.mark.parametrize("more,what", [
    ({"metadata": "{"}, "metadata"), ({"metadata": ""}, "metadata"), ({"serviceName": ""}, "serviceName"), ({"instances": "["}, "instances"),
    ({"instances": "{}"}, "instances"), ({"instances": "[1]"}, "instances"), ({"instances": '[{"ip":"10.0.0.1","port":70000}]'}, "70000"),
    ({"instances": '[{"ip":5,"port":1}]'}, "ip"), ({"metadata": json.dumps({"k": "v" * 2000})}, "limits.metadata"),
    ({"instances": json.dumps([{"ip": "1", "port": 1}] * 5000)}, "4096"),
])
def test_what_cannot_be_read_is_refused_and_changes_nothing(server, more, what):
    server.register("batch-bad", "10.30.3.1", 80)
    params = {"serviceName": "batch-bad", "metadata": "x=1", **more}
    for base in (V1, V2):
        reply = server.call("PUT", base + "/metadata/batch", body=params)
        assert reply.status == 400 and what in reply.text, (base, reply)
    assert metadata(server, "batch-bad") == {"10.30.3.1": {}}


def test_a_missing_service_has_nothing_to_update(server):
    assert batch(server, "PUT", "batch-none", "a=1").json() == {"updated": []}
    assert server.get("/nacos/v1/ns/service", serviceName="batch-none").status == 400


# ---- statuses

def test_statuses_name_every_instance_with_its_health(server):
    server.register("stat", "10.31.0.1", 80)
    server.register("stat", "10.31.0.2", 81, healthy="false")
    server.register("stat", "10.31.0.3", 82, enabled="false")
    wanted = ["10.31.0.1:80_true", "10.31.0.2:81_false", "10.31.0.3:82_true"]
    for method in ("GET", "POST", "PUT"):
        reply = server.call(method, V1 + "/statuses", {"key": "DEFAULT_GROUP@@stat"})
        assert reply.status == 200 and sorted(reply.json()["ips"]) == wanted, reply
        assert set(reply.json()) == {"ips"}
    assert sorted(server.get(V1 + "/statuses", key="public##DEFAULT_GROUP@@stat").json()["ips"]) == wanted
    for key in ("DEFAULT_GROUP@@stat", "public##DEFAULT_GROUP@@stat"):
        reply = server.get(V2 + "/statuses/" + urllib.parse.quote(key, safe="@"))
        assert reply.status == 200 and sorted(reply.json()["ips"]) == wanted, reply  # without a wrapper


def test_statuses_of_what_is_not_there_are_empty_and_bad_keys_are_refused(server):
    assert server.get(V1 + "/statuses", key="other##DEFAULT_GROUP@@stat").json() == {"ips": []}
    for key in ("stat", "", "@@stat"):
        reply = server.get(V1 + "/statuses", key=key)
        assert reply.status == 400 and reply.text, key
    assert server.get(V2 + "/statuses/stat").status == 400
