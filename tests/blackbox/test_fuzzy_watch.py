"""Services watched by patterns of names, as clients of 3.x do it (nacos-naming 5.13)."""
import pytest
from conftest import eventually
from grpc_client import Client

GROUP = "DEFAULT_GROUP"


@pytest.fixture
def client(server):
    made = []

    def make():
        made.append(Client(server).set_up())
        return made[-1]

    yield make
    for one in made:
        one.close()


def watch(c, pattern, received=(), initializing=True, kind="WATCH"):
    kind, body = c.ask("NamingFuzzyWatchRequest", {
        "namespace": "public", "groupKeyPattern": pattern, "initializing": initializing, "watchType": kind,
        "receivedGroupKeys": list(received)})
    assert kind == "NamingFuzzyWatchResponse"
    return body


def hear(c):
    kind, body = c.hear()
    assert isinstance(body["requestId"], str) and body["module"] == "naming"
    c.say("NamingFuzzyWatchChangeNotifyResponse", {"resultCode": 200, "errorCode": 0, "success": True,
                                                   "requestId": body["requestId"]})
    return kind, body


def batches(c, sync="FUZZY_WATCH_INIT_NOTIFY"):
    """What comes until the end of the first telling, as names; no batch has more than ten."""
    names = []
    while True:
        kind, body = hear(c)
        assert kind == "NamingFuzzyWatchSyncRequest", body
        if body["syncType"] == "FINISH_FUZZY_WATCH_INIT_NOTIFY":
            assert (body["contexts"], body["totalBatch"], body["currentBatch"]) == ([], 1, 1)
            return sorted(names)
        assert body["syncType"] == sync and 0 < len(body["contexts"]) <= 10
        assert 1 <= body["currentBatch"] <= body["totalBatch"]
        assert all(context["changedType"] == "ADD_SERVICE" for context in body["contexts"])
        names += [context["serviceKey"] for context in body["contexts"]]


def change(c):
    kind, body = hear(c)
    assert (kind, body["syncType"]) == ("NamingFuzzyWatchChangeNotifyRequest", "FUZZY_WATCH_RESOURCE_CHANGED")
    return body["changedType"], body["serviceKey"]


def key(name, group=GROUP, namespace="public"):
    return f"{namespace}@@{group}@@{name}"


def add(server, name, ip="10.0.0.1", **more):
    assert server.post("/nacos/v1/ns/instance", serviceName=name, ip=ip, port=80, ephemeral="false", **more).text == "ok"


def drop(server, name, ip="10.0.0.1", **more):
    assert server.delete("/nacos/v1/ns/instance", serviceName=name, ip=ip, port=80, ephemeral="false", **more).text == "ok"


def test_what_matches_is_told_in_batches_and_then_what_comes_and_goes(server, client):
    for i in range(23):
        add(server, f"first-{i:02}")
    add(server, "another")
    c = client()
    assert watch(c, f"public>>{GROUP}>>first-*")["success"] is True
    assert batches(c) == [key(f"first-{i:02}") for i in range(23)]
    add(server, "first-new")
    assert change(c) == ("ADD_SERVICE", key("first-new"))
    add(server, "first-new", ip="10.0.0.2")  # nothing is told of instances but the first and the last
    add(server, "another-one")
    drop(server, "first-new")
    drop(server, "first-new", ip="10.0.0.2")
    assert change(c) == ("DELETE_SERVICE", key("first-new"))
    add(server, "first-end")
    assert change(c) == ("ADD_SERVICE", key("first-end"))


def test_nothing_that_matches_is_told_at_once(client):
    c = client()
    assert watch(c, "public>>NO_SUCH>>*")["success"] is True
    assert batches(c) == []


def test_namespaces_and_groups_are_kept_apart(server, client):
    c = client()
    watch(c, "red>>G*>>*")
    assert batches(c) == []
    add(server, "apart", groupName="G1")
    add(server, "apart", groupName="G1", namespaceId="green")
    add(server, "apart", groupName="H1", namespaceId="red")
    add(server, "apart", groupName="G1", namespaceId="red")
    assert change(c) == ("ADD_SERVICE", key("apart", "G1", "red"))


def test_who_comes_back_is_told_what_differs_from_what_it_has(server, client):
    for name in ("back-a", "back-b", "back-c"):
        add(server, name)
    c = client()
    assert watch(c, f"public>>{GROUP}>>back-*", [key("back-a"), key("back-gone")], initializing=False)["success"] is True
    told = []
    while len(told) < 3:
        kind, body = hear(c)
        if kind == "NamingFuzzyWatchSyncRequest":
            assert body["syncType"] == "FUZZY_WATCH_DIFF_SYNC_NOTIFY"
            told += [(context["changedType"], context["serviceKey"]) for context in body["contexts"]]
        else:  # one that is gone: in a batch the Java client would take it for a new one
            assert body["changedType"] == "DELETE_SERVICE"
            told.append((body["changedType"], body["serviceKey"]))
    assert sorted(told) == [("ADD_SERVICE", key("back-b")), ("ADD_SERVICE", key("back-c")), ("DELETE_SERVICE", key("back-gone"))]
    # The same again, as every three minutes: nothing differs, so the next thing told is a change.
    have = [key(name) for name in ("back-a", "back-b", "back-c")]
    assert watch(c, f"public>>{GROUP}>>back-*", have, initializing=False)["success"] is True
    drop(server, "back-b")
    assert change(c) == ("DELETE_SERVICE", key("back-b"))


def test_a_cancelled_watch_is_quiet(server, client):
    c = client()
    for pattern in ("quiet-*", "loud-*"):
        watch(c, f"public>>{GROUP}>>{pattern}")
        assert batches(c) == []
    assert watch(c, f"public>>{GROUP}>>quiet-*", kind="CANCEL_WATCH")["success"] is True
    add(server, "quiet-1")
    add(server, "loud-1")
    assert change(c) == ("ADD_SERVICE", key("loud-1"))


def test_limits_have_the_codes_of_the_original(server, client):
    c = client()
    for i in range(20):
        assert watch(c, f"public>>{GROUP}>>limit-{i}-*")["success"] is True
    body = watch(c, f"public>>{GROUP}>>limit-over-*")
    assert (body["success"], body["errorCode"]) == (False, 50310)
    assert watch(c, f"public>>{GROUP}>>limit-0-*")["success"] is True  # it is there already
    assert watch(c, f"public>>{GROUP}>>limit-1-*", kind="CANCEL_WATCH")["success"] is True
    assert watch(c, f"public>>{GROUP}>>limit-over-*")["success"] is True
    for i in range(501):
        add(server, f"many-{i}")
    d = client()
    body = watch(d, f"public>>{GROUP}>>many-*")
    assert (body["success"], body["errorCode"]) == (False, 50311)
    assert len(batches(d)) == 500


@pytest.mark.parametrize("pattern", ["", "a", "a>>b", "a>>>>b", "a>>b>>c>>d", "x" * 2000])
def test_what_is_no_pattern_is_refused(client, pattern):
    body = watch(client(), pattern)
    assert (body["success"], body["errorCode"]) == (False, 400) and "groupKeyPattern" in body["message"]


def test_an_unknown_kind_of_watch_is_refused(client):
    body = watch(client(), "public>>a>>b", kind="STARE")
    assert (body["success"], body["errorCode"]) == (False, 400) and "STARE" in body["message"]


def test_watches_end_with_their_connection_and_with_the_server(make_server):
    server = make_server().start()
    for round_ in range(5):
        c = Client(server).set_up()
        for i in range(5):
            watch(c, f"public>>{GROUP}>>end-{i}-*")
        c.close()
        add(server, f"end-0-{round_}")
    c = Client(server).set_up()
    watch(c, f"public>>{GROUP}>>end-*")
    assert len(batches(c)) == 5
    eventually(lambda: server.get("/health").status == 200)
    server.stop()  # with a watch that is open: its status is 0
    c.close()
