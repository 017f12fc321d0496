"""Bad input over HTTP: the right 4xx, a text that names field, value and limit, and an unchanged registry."""
import json
import re
import socket
import urllib.parse

import pytest

V1, V2 = "/nacos/v1/ns/instance", "/nacos/v2/ns/instance"
GOOD = {"serviceName": "bad", "ip": "10.20.0.1", "port": "80"}


def raw(server, data, limit=1 << 20):
    with socket.create_connection(server.http_address, timeout=20) as s:
        try:
            s.sendall(data)
        except OSError:
            pass
        answer = b""
        while len(answer) < limit:
            try:
                part = s.recv(65536)
            except OSError:
                break
            if not part:
                break
            answer += part
    return answer


@pytest.mark.parametrize("params,words", [
    ({"port": "65536"}, ["port", "65536", "65535"]),
    ({"port": "abc"}, ["port", "abc"]),
    ({"port": "-1"}, ["port", "-1"]),
    ({"port": "80.5"}, ["port", "80.5"]),
    ({"port": "99999999999999999999"}, ["port", "65535"]),
    ({"port": ""}, ["port", "required"]),
    ({"ip": ""}, ["ip", "required"]),
    ({"ip": "a b"}, ["ip", "a b"]),
    ({"ip": "x" * 129}, ["ip", "128"]),
    ({"serviceName": ""}, ["serviceName", "required"]),
    ({"serviceName": "@@x"}, ["serviceName"]),
    ({"serviceName": "@x"}, ["serviceName"]),
    ({"serviceName": "a@@b@@c"}, ["serviceName"]),
    ({"serviceName": "a@@@b"}, ["serviceName"]),
    ({"serviceName": "g@@"}, ["serviceName"]),
    ({"serviceName": "@@"}, ["serviceName"]),
    ({"serviceName": "a b"}, ["serviceName", "a b"]),
    ({"serviceName": "s" * 513}, ["serviceName", "512"]),
    ({"serviceName": "你好"}, ["serviceName"]),
    ({"groupName": "a/b"}, ["group", "a/b"]),
    ({"groupName": "g" * 129}, ["group", "128"]),
    ({"namespaceId": "a.b"}, ["namespaceId", "a.b"]),
    ({"namespaceId": "n" * 65}, ["namespaceId", "64"]),
    ({"clusterName": "a.b"}, ["cluster", "a.b"]),
    ({"clusterName": "c" * 65}, ["cluster", "64"]),
    ({"weight": "-1"}, ["weight", "-1", "10000"]),
    ({"weight": "10000.1"}, ["weight", "10000"]),
    ({"weight": "1e308"}, ["weight", "10000"]),
    ({"weight": "NaN"}, ["weight", "10000"]),
    ({"weight": "Infinity"}, ["weight", "10000"]),
    ({"weight": "heavy"}, ["weight", "heavy"]),
    ({"weight": "1,5"}, ["weight", "1,5"]),
    ({"metadata": "{"}, ["metadata"]),
    ({"metadata": '{"a":{"b":"c"}}'}, ["metadata", "a"]),
    ({"metadata": "[1,2]"}, ["metadata"]),
    ({"metadata": "novalue"}, ["metadata", "novalue"]),
    ({"metadata": '{"a":"\\u0000"}'}, ["metadata"]),
    ({"metadata": json.dumps({"k": "v" * 1024})}, ["metadata", "1024"]),
    ({"metadata": "k=" + "v" * 1024}, ["metadata", "1024"]),
    ({"metadata": '{"preserved.heart.beat.interval":"5000","preserved.heart.beat.timeout":"1000"}'}, ["beat"]),
])
def test_a_registration_with_a_bad_field_is_refused_by_name(server, params, words):
    for path in (V1, V2):
        before = server.get("/nacos/v1/ns/operator/metrics", onlyStatus="false").json()
        reply = server.call("POST", path, {**GOOD, **params})
        assert reply.status == 400, reply
        text = reply.text if path == V1 or not reply.text.startswith("{") else reply.json()["data"]
        for word in words:
            assert word.lower() in text.lower(), text
        assert all(ord(c) >= 32 for c in text)
        after = server.get("/nacos/v1/ns/operator/metrics", onlyStatus="false").json()
        assert (before["serviceCount"], before["instanceCount"]) == (after["serviceCount"], after["instanceCount"])


@pytest.mark.parametrize("params,code", [({"weight": "-1"}, 21001), ({"weight": "NaN"}, 21001), ({"metadata": "{"}, 21002), ({"weight": "x"}, 20002),
                                         ({"ip": ""}, 10000), ({"metadata": '{"preserved.ip.delete.timeout":"1"}'}, 21004)])
def test_v2_wraps_its_errors_with_the_code_of_the_reference(server, params, code):
    reply = server.call("POST", V2, {**GOOD, **params})
    assert reply.status == 400 and reply.json()["code"] == code and reply.json()["data"]


@pytest.mark.parametrize("params", [{"port": "65536"}, {"serviceName": "a b"}, {"groupName": "a/b"}, {"namespaceId": "a.b"}, {"metadata": "k=" + "v" * 1024}])
def test_parameter_checks_are_plain_text_on_v2_too(server, params):
    reply = server.call("POST", V2, {**GOOD, **params})
    assert reply.status == 400 and reply.headers["Content-Type"] == "text/plain;charset=UTF-8"
    assert reply.text.startswith("Param '")


BROKEN = [b"\xff", b"\xc0\x80", b"\xed\xa0\x80", b"\xe4\xbd", b"a\x00b", b"a\x01b", b"a\x7fb", b"a\nb"]


@pytest.mark.parametrize("field", ["serviceName", "groupName", "namespaceId", "ip", "clusterName", "metadata", "app"])
@pytest.mark.parametrize("value", BROKEN)
def test_broken_utf_8_and_control_bytes_are_refused_in_every_field(server, field, value):
    params = {k: v for k, v in GOOD.items() if k != field}
    if field == "metadata":
        if value == b"a\nb":
            return  # JSON may stand on several lines
        value = b'{"k":"' + value + b'"}'
    query = urllib.parse.urlencode(params) + "&" + field + "=" + urllib.parse.quote(value)
    for path in (V1, V2):
        reply = server.call("POST", f"{path}?{query}")
        assert reply.status == 400 and field.replace("Name", "").lower() in reply.text.lower(), reply
    assert server.hosts("bad") == []


def test_metadata_of_exactly_the_limit_is_taken(server):
    server.register("limit", "10.20.1.1", 80, metadata="k=" + "v" * 1023)
    assert len(server.hosts("limit")[0]["metadata"]["k"]) == 1023


@pytest.mark.parametrize("beat", ["{", "[]", "null", "7", '{"ip":5}', '{"ip":"10.20.2.1","port":"x"}', '{"ip":"10.20.2.1","port":65536}',
                                  '{"ip":"10.20.2.1","port":1.5}', '{"ip":"10.20.2.1","port":80,"weight":-1}',
                                  '{"ip":"10.20.2.1","port":80,"weight":NaN}', '{"ip":"10.20.2.1","port":80,"weight":1e999}',
                                  '{"ip":"10.20.2.1","port":80,"metadata":{"a":{}}}', '{"ip":"10.20.2.1","port":80}x', '{"ip":"10.20.2.1"}',
                                  '{"ip":"10.20.2.1","port":80,"cluster":"a b"}', '{"a":' * 2000, '{"ip":"a\\u0000b","port":80}'])
def test_bad_beats_register_nothing(server, beat):
    reply = server.call("PUT", V1 + "/beat", {"serviceName": "bad-beat"}, body={"beat": beat})
    assert reply.status == 400 and reply.text, reply
    assert server.hosts("bad-beat") == []


@pytest.mark.parametrize("params", [{"serviceName": "a@@b@@c"}, {"serviceName": "x", "clusters": "a b"}, {"serviceName": "x", "clusters": "a,b.c"}, {}])
def test_lists_check_their_names(server, params):
    assert server.call("GET", V1 + "/list", params).status == 400


# ---- routes

def test_an_unknown_route_is_404_with_near_matches(server):
    reply = server.get("/nacos/v1/ns/instnce/list")
    answer = reply.json()
    assert reply.status == 404 and answer["status"] == 404 and answer["error"] == "Not Found"
    assert answer["near"][0] == "/nacos/v1/ns/instance/list"
    assert "GET" in answer["message"] and answer["path"] == "/nacos/v1/ns/instnce/list"
    assert server.get("/").status == 404
    assert server.get("/" + "x" * 3000).status == 404
    assert server.get("/nacos/v1/ns/instance%00").status == 404
    assert server.call("POST", "/nope", body="x" * 1000).status == 404


@pytest.mark.parametrize("method,path", [("GET", "/v1/cs/configs"), ("POST", "/v1/auth/users"), ("POST", "/v3/auth/user"),
                                         ("GET", "/v1/ns/operator/push/state"), ("PUT", "/v3/admin/core/cluster/lookup"), ("PUT", "/v2/core/cluster/lookup"),
                                         ("GET", "/v1/ns/catalog/rt/service"), ("POST", "/v1/core/cluster/report"), ("POST", "/v3/admin/core/ops/raft"),
                                         ("GET", "/v1/ns/raft/state"), ("GET", "/v1/cs/ops/derby"), ("GET", "/v1/cs/configs/listener")])
def test_what_nacos_has_and_this_release_not_is_501_and_says_so(server, method, path):
    for prefix in ("", "/nacos"):
        reply = server.call(method, prefix + path, body="a=b" if method == "POST" else None)
        assert reply.status == 501, reply
        assert reply.json()["status"] == 501 and "not built" in reply.json()["message"] and "Nacos" in reply.json()["message"]


def test_a_wrong_method_is_405_with_allow(server):
    reply = server.call("DELETE", V1 + "/list")
    assert reply.status == 405 and reply.headers["Allow"] == "GET"
    reply = server.call("POST", "/health")
    assert reply.status == 405 and reply.headers["Allow"] == "GET"
    reply = server.call("OPTIONS", V1)
    assert reply.status == 405 and set(reply.headers["Allow"].split(", ")) == {"GET", "POST", "PUT", "DELETE", "PATCH"}


# ---- sizes

def test_a_body_over_its_rows_limit_is_413(server):
    reply = raw(server, b"POST /nacos/v1/ns/instance HTTP/1.1\r\nHost: a\r\nContent-Length: 3000000\r\n\r\n" + b"a" * 100000)
    assert reply.startswith(b"HTTP/1.1 413"), reply[:100]
    assert server.hosts("bad") == []


def test_a_header_of_a_megabyte_is_refused(server):
    reply = raw(server, b"GET /health HTTP/1.1\r\nHost: a\r\nX: " + b"a" * (1 << 20) + b"\r\n\r\n")
    assert reply.split(b" ")[1] in (b"431", b"414", b"400"), reply[:100]
    assert server.get("/health").status == 200


def test_metadata_in_a_long_query_is_read(server):
    reply = server.call("POST", V1, {**GOOD, "serviceName": "long-query", "metadata": "k=" + "v" * 1000, "x": "y" * 30000})
    assert reply.body == b"ok", reply


def test_many_parameters_and_deep_nesting_cost_little(server):
    pairs = "&".join(f"k{n}={n}" for n in range(5000))
    reply = server.call("POST", V1, {**GOOD, "serviceName": "many"}, body=pairs[:32000])
    assert reply.body == b"ok"
    reply = server.call("POST", V1, {**GOOD, "serviceName": "deep"}, body={"metadata": "[" * 8000})
    assert reply.status == 400
    reply = server.call("POST", V1, {**GOOD, "serviceName": "wide"}, body={"metadata": ",".join(f"k{n}=" for n in range(3000))})
    assert reply.status == 400 and "metadata" in reply.text


def test_pipelined_requests_are_answered_in_order(server):
    requests = b"".join(b"POST /nacos/v1/ns/instance?serviceName=pipe&ip=10.20.3.%d&port=80 HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n"
                        b"GET /nacos/v1/ns/instance?serviceName=pipe&ip=10.20.3.%d&port=81 HTTP/1.1\r\nHost: a\r\n\r\n" % (n, n) for n in range(20))
    requests += b"GET /health HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
    answer = raw(server, requests)
    statuses = re.findall(rb"HTTP/1\.1 (\d+) ", answer)
    assert statuses == [b"200", b"404"] * 20 + [b"200"]
    assert len(server.hosts("pipe")) == 20
