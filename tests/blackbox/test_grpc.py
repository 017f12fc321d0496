"""gRPC as bytes: framing, statuses, limits, garbage, and the payload protocol message by message (nacos-naming 5)."""
import socket
import struct
import time

import h2.exceptions
import h2.settings
import pytest
from conftest import SLOW, eventually
from grpc_client import REQUEST, STREAM, Client, framed, payload


@pytest.fixture
def client(server):
    made = []

    def make(**more):
        made.append(Client(server, **more))
        return made[-1]

    yield make
    for one in made:
        one.close()


# ---- HTTP/2 and gRPC

def test_both_ports_speak_grpc_and_the_http_port_still_http(server, client):
    assert client(port=server.http_address[1]).ask("ServerCheckRequest")[0] == "ServerCheckResponse"
    assert client().ask("ServerCheckRequest")[0] == "ServerCheckResponse"
    assert int(server.ports["grpc"][0].rpartition(":")[2]) == server.http_address[1] + 1000
    assert server.get("/health").status == 200


@pytest.mark.parametrize("parts", [[1], [2, 1], [3], [10, 7], [1, 1, 1, 1, 20]])
def test_a_preface_in_pieces_is_known(server, client, parts):
    assert client(port=server.http_address[1], preface_parts=parts).ask("ServerCheckRequest")[1]["success"] is True


def test_limits_are_announced(client):
    c = client()
    c.ask("ServerCheckRequest")
    settings = c.h2.remote_settings
    assert settings.max_concurrent_streams == 256
    assert settings.max_header_list_size == 16384
    assert settings.max_frame_size == 16384


def test_a_message_in_single_bytes_is_put_together(client):
    c = client()
    number = c.open(REQUEST)
    c.send(number, framed(payload("ServerCheckRequest", {})), end=True, step=1)
    assert c.status(number) == 0


@pytest.mark.parametrize("data, status", [
    (b"", 3), (b"\0\0", 3), (b"\0\0\0\0\x09abc", 3), (b"\x01\0\0\0\x01x", 12), (b"\0\xff\xff\xff\xff", 8),
    (framed(b"\xff\xff\xff"), 3), (framed(b""), 3), (framed(payload("ServerCheckRequest", {})) * 2, None)])
def test_every_broken_message_has_its_status(client, data, status):
    c = client()
    number = c.open(REQUEST)
    c.send(number, data, end=True)
    got = c.status(number)
    assert got == status or (status is None and got in (0, 3)), c.calls[number]
    assert c.ask("ServerCheckRequest")[0] == "ServerCheckResponse"  # the connection is well


def test_unknown_methods_and_other_types_are_refused(client):
    c = client()
    number = c.open("/Request/other")
    c.send(number, framed(b""), end=True)
    assert c.status(number) == 12
    number = c.open(REQUEST, content_type="application/json")
    assert c.finish(number)["headers"][":status"] == "415"
    number = c.open("/RequestStream/requestStream")
    assert c.status(number) == 12


def test_a_ping_is_answered_however_many_come(client):
    c = client()
    for i in range(50):
        c.h2.ping(struct.pack(">Q", i))
    c.flush()
    c.until(lambda: c.pongs == 50)
    assert c.pongs == 50 and c.goaway is None


def test_a_head_over_its_limit_ends_the_request_only(client):
    c = client()
    number = c.open(REQUEST, more=[("x-long", "y" * 3000)] * 6)
    assert c.finish(number)["reset"] is not None
    assert c.ask("ServerCheckRequest")[0] == "ServerCheckResponse"


def test_more_streams_than_announced_end_the_connection(client):
    c = client()
    c.ask("ServerCheckRequest")
    c.h2.remote_settings[h2.settings.SettingCodes.MAX_CONCURRENT_STREAMS] = 1000
    c.h2.remote_settings.acknowledge()
    try:
        for _ in range(300):
            c.open(REQUEST)
    except ConnectionError:
        pass
    c.until(lambda: False)
    assert c.closed
    assert client().ask("ServerCheckRequest")[0] == "ServerCheckResponse"


@pytest.mark.parametrize("bytes_", [b"PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\xff" * 64,
                                    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\x01\0\0\0\0", b"PRIX"])
def test_garbage_closes_its_connection_only(server, client, bytes_):
    with socket.create_connection(server.split(server.ports["grpc"][0]), timeout=10) as s:
        s.sendall(bytes_)
        try:
            while s.recv(4096):
                pass
        except ConnectionError:
            pass
    assert client().ask("ServerCheckRequest")[0] == "ServerCheckResponse"


def test_a_client_that_does_not_read_costs_only_itself(server, client):
    slow = client().set_up()
    for i in range(200):
        slow.register(f"slow-{i}", metadata={"k": "x" * 900})
    ask = framed(payload("ServiceListRequest", {"namespace": "public", "groupName": "DEFAULT_GROUP", "pageNo": 1, "pageSize": 200}))
    slow.socket.settimeout(0.5)
    try:
        for _ in range(100):
            number = slow.open(REQUEST)
            slow.h2.send_data(number, ask, end_stream=True)
            slow.flush()
    except (TimeoutError, h2.exceptions.TooManyStreamsError):
        pass  # it is not read any more, either
    started = time.monotonic()
    assert client().set_up().ask("HealthCheckRequest")[1]["success"] is True
    assert time.monotonic() - started < 5 * SLOW


def test_what_answers_a_first_subscription_is_pushed_as_well(server, client):
    """SDKs that subscribe again on a new connection do not read the answer."""
    one, other = client().set_up(), client().set_up()
    one.register("first")
    told = other.subscribe("first")[1]["serviceInfo"]
    kind, body = other.hear()
    assert (kind, body["serviceInfo"]) == ("NotifySubscriberRequest", told)
    other.say("NotifySubscriberResponse", {"resultCode": 200, "requestId": body["requestId"]})
    assert other.subscribe("first")[1]["serviceInfo"] == told  # once more: it hears of changes only
    one.register("first", ip="10.0.0.2")
    hosts = [h["ip"] for h in other.hear()[1]["serviceInfo"]["hosts"]]
    assert hosts == ["10.0.0.2"]


def test_every_subscription_of_one_connection_hears_of_one_moment(server, client):
    """More than a connection takes at once: what was held back follows, however soon the socket took the first part."""
    names = [f"moment-{i}" for i in range(150)]
    one, other = client().set_up(), client().set_up()
    for name in names:
        one.register(name, metadata={"k": "x" * 900})
        other.subscribe(name)
    one.close()
    left = set(names)
    while left:
        kind, body = other.hear(20)
        if kind == "NotifySubscriberRequest":
            other.say("NotifySubscriberResponse", {"resultCode": 200, "requestId": body["requestId"]})
            if not body["serviceInfo"]["hosts"]:
                left.discard(body["serviceInfo"]["name"])
        else:
            assert kind != "ClientDetectionRequest" or len(left) == len(names), f"not told of {len(left)} of {len(names)}"
            other.say("ClientDetectionResponse", {"resultCode": 200, "requestId": body["requestId"]})


def test_a_stopping_server_says_goodbye(make_server):
    server = make_server().start()
    c = Client(server).set_up()
    server.stop()
    c.until(lambda: False)
    assert c.goaway == 0 and c.closed
    assert b"ConnectResetRequest" not in c.calls[c.stream]["data"]  # two reasons to connect anew are one too many for Go
    c.close()


# ---- the payload protocol

def test_nothing_but_the_check_is_answered_before_the_set_up(client):
    c = client()
    kind, body = c.ask("ServerCheckRequest")
    assert kind == "ServerCheckResponse" and body["connectionId"] and body["supportAbilityNegotiation"] is True
    assert (body["resultCode"], body["errorCode"], body["success"]) == (200, 0, True)
    # Not 301 to a health check: SDKs of Go and Python take 300..399 there for "well" and would never set up again.
    for asked, code in (("HealthCheckRequest", -401), ("InstanceRequest", 301)):
        kind, body = c.ask(asked, {"requestId": "7"})
        assert (kind, body["errorCode"], body["resultCode"], body["success"]) == ("ErrorResponse", code, 500, False)
        assert body["requestId"] == "7"


def test_abilities_are_acknowledged_to_whoever_sends_a_table(client):
    kind, body = client().set_up(abilityTable={"fuzzyWatch": True}).hear()
    assert kind == "SetupAckRequest"
    assert body["abilityTable"] == {"supportPersistentInstanceByGrpc": True, "fuzzyWatch": True}
    assert isinstance(body["requestId"], str)
    silent = client().set_up()
    with pytest.raises((TimeoutError, AssertionError)):
        silent.hear(0.3)


def test_unknown_types_and_unreadable_bodies_get_an_error_response(client):
    c = client().set_up()
    assert c.ask("LockOperationRequest")[0:1] == ("ErrorResponse",)
    assert c.ask("LockOperationRequest")[1]["errorCode"] == 302
    for body in (b"{", b"[]", b"\xff\xfe", b"null"):
        kind, said = c.ask("InstanceRequest", body)
        assert (kind, said["errorCode"]) == ("ErrorResponse", 502)


@pytest.mark.parametrize("kind, answer, body", [
    ("InstanceRequest", "InstanceResponse", {"serviceName": "a b", "type": "registerInstance", "instance": {"ip": "1.1.1.1", "port": 1}}),
    ("InstanceRequest", "InstanceResponse", {"serviceName": "a", "type": "registerInstance", "instance": {"ip": "1.1.1.1", "port": 70000}}),
    ("InstanceRequest", "InstanceResponse", {"serviceName": "a", "type": "registerInstance", "instance": {"port": 1}}),
    ("InstanceRequest", "InstanceResponse", {"serviceName": "a", "type": "registerInstance"}),
    ("InstanceRequest", "InstanceResponse", {"serviceName": "a", "type": "other", "instance": {"ip": "1.1.1.1", "port": 1}}),
    ("InstanceRequest", "InstanceResponse", {"serviceName": "a", "type": "registerInstance",
                                             "instance": {"ip": "1.1.1.1", "port": 1, "metadata": {"k": "v" * 2000}}}),
    ("BatchInstanceRequest", "BatchInstanceResponse", {"serviceName": "a", "type": "batchRegisterInstance", "instances": 7}),
    ("ServiceQueryRequest", "QueryServiceResponse", {"serviceName": "x" * 600}),
    ("SubscribeServiceRequest", "SubscribeServiceResponse", {"subscribe": True}),
    ("ServiceListRequest", "ServiceListResponse", {"pageNo": "x"})])
def test_errors_come_in_the_class_of_the_answer(client, kind, answer, body):
    got, said = client().set_up().ask(kind, body)
    assert got == answer
    assert (said["resultCode"], said["errorCode"], said["success"]) == (500, 400, False), said
    assert said["message"]


def test_configuration_requests_are_refused_without_a_loop(client):
    c = client().set_up()
    for kind in ("ConfigQuery", "ConfigPublish", "ConfigRemove"):
        got, said = c.ask(f"{kind}Request", {"dataId": "d", "group": "g"})
        assert (got, said["errorCode"]) == (f"{kind}Response", 501) and "not in this release" in said["message"]
    got, said = c.ask("ConfigBatchListenRequest", {"listen": True})
    assert (got, said["success"], said["changedConfigs"]) == ("ConfigChangeBatchListenResponse", True, [])


def test_a_missing_service_is_an_empty_list_with_every_key(client):
    kind, said = client().set_up().ask("ServiceQueryRequest", {"namespace": "public", "serviceName": "none", "groupName": "G", "cluster": "c1"})
    info = said["serviceInfo"]
    assert kind == "QueryServiceResponse"
    assert (info["name"], info["groupName"], info["clusters"], info["hosts"], info["checksum"]) == ("none", "G", "c1", [], "")


def test_one_entry_for_each_connection_and_service(server, client):
    c, other = client().set_up(), client().set_up()
    c.register("entry", ip="10.0.0.1")
    other.register("entry", ip="10.0.0.9")
    c.register("entry", ip="10.0.0.2")
    assert sorted(h["ip"] for h in server.hosts("entry")) == ["10.0.0.2", "10.0.0.9"]
    c.ask("InstanceRequest", {"serviceName": "entry", "type": "deregisterInstance", "instance": {"ip": "1.2.3.4", "port": 9}})
    assert [h["ip"] for h in server.hosts("entry")] == ["10.0.0.9"]
    c.ask("InstanceRequest", {"serviceName": "entry", "type": "deregisterInstance", "instance": {"ip": "10.0.0.9", "port": 80}})
    assert [h["ip"] for h in server.hosts("entry")] == ["10.0.0.9"]  # another client's


def test_a_push_is_sent_again_until_it_is_acknowledged(server, client):
    c = client().set_up()
    c.subscribe("acked")
    server.register("acked", "10.0.0.1", 80)
    kind, first = c.hear()
    assert kind == "NotifySubscriberRequest" and isinstance(first["requestId"], str)
    assert [h["ip"] for h in first["serviceInfo"]["hosts"]] == ["10.0.0.1"] and first["serviceInfo"]["name"] == "acked"
    end = time.monotonic() + 20
    kind, again = c.hear(15)
    while kind != "NotifySubscriberRequest" and time.monotonic() < end:  # we are asked whether we live, too
        c.say("ClientDetectionResponse", {"resultCode": 200, "requestId": again["requestId"]})
        kind, again = c.hear(15)
    assert again["serviceInfo"] == first["serviceInfo"] and again["requestId"] != first["requestId"]
    c.say("NotifySubscriberResponse", {"resultCode": 200, "requestId": again["requestId"]})
    server.register("acked", "10.0.0.2", 80)
    kind, more = c.hear()
    assert len(more["serviceInfo"]["hosts"]) == 2
    assert more["serviceInfo"]["lastRefTime"] > first["serviceInfo"]["lastRefTime"]


def test_changes_in_quick_succession_are_pushed_together(make_server):
    server = make_server(push_merge="500ms").start()
    c = Client(server).set_up()
    c.subscribe("merged")
    for i in range(50):
        server.register("merged", f"10.0.1.{i}", 80)
    heard = [c.hear()[1]]
    while len(heard[-1]["serviceInfo"]["hosts"]) < 50:
        heard.append(c.hear()[1])
    assert len(heard) <= 6 * SLOW
    c.close()


def test_a_takeover_by_a_new_connection_is_not_seen(make_server):
    server = make_server(health_reconnect_grace="1s").start()
    first, watcher = Client(server).set_up(), Client(server).set_up()
    first.register("taken", ip="10.0.0.1")
    number = watcher.subscribe("taken")[1]["serviceInfo"]["lastRefTime"]
    first.close()
    second = Client(server).set_up()
    second.register("taken", ip="10.0.0.1")
    time.sleep(2)
    assert watcher.subscribe("taken")[1]["serviceInfo"]["lastRefTime"] == number
    second.close()
    eventually(lambda: server.hosts("taken") == [], 5)
    watcher.close()


def test_a_silent_connection_is_asked_and_then_closed(make_server):
    server = make_server(health_connection_idle="500ms", health_connection_probe="500ms").start()
    c = Client(server).set_up()
    c.register("silent")
    assert c.hear()[0] == "ClientDetectionRequest"
    c.until(lambda: False, 10)
    assert c.closed
    eventually(lambda: server.hosts("silent") == [], 5)


def test_connections_over_the_limit_are_refused(make_server):
    server = make_server(grpc_connections="2").start()
    two = [Client(server).set_up(), Client(server).set_up()]
    third = Client(server)
    third.until(lambda: False, 10)
    assert third.closed
    assert two[0].ask("HealthCheckRequest")[1]["success"] is True
    for c in two:
        c.close()
