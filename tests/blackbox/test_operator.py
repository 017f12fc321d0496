"""What an operator asks and sets while the server runs: the level of the log."""


def test_the_log_level_is_read_and_changed_over_http(make_server):
    server = make_server(log_level="info").start()
    assert server.get("/muster/v1/log").json() == {"level": "info"}
    for level in ("debug", "info", "warn", "error"):
        reply = server.put("/muster/v1/log", level=level)
        assert (reply.status, reply.json()) == (200, {"level": level})
        assert server.get("/muster/v1/log").json() == {"level": level}
    assert "the least level is error now, it was warn" in server.log_text()
    server.stop()
    assert "stopped" not in server.log_text(), "info lines are written at level error"


def test_a_wrong_log_level_is_refused_with_the_field_and_what_there_is(make_server):
    server = make_server().start()
    for call in (("/muster/v1/log", {"level": "loud"}), ("/muster/v1/log", {}), ("/nacos/v1/ns/operator/log", {"logName": "naming-main", "logLevel": "off"})):
        reply = server.put(call[0], **call[1])
        assert reply.status == 400 and "evel" in reply.text, reply
    assert "debug, info, warn or error" in server.put("/muster/v1/log", level="loud").text
    assert server.get("/muster/v1/log").json() == {"level": "info"}


def test_the_routes_of_nacos_set_the_same_level(make_server):
    server = make_server().start()
    reply = server.put("/nacos/v1/ns/operator/log", logName="naming-main", logLevel="DEBUG")
    assert (reply.status, reply.text) == (200, "ok")
    assert server.get("/muster/v1/log").json() == {"level": "debug"}
    reply = server.put("/nacos/v3/admin/ns/ops/log", logName="naming-main", logLevel="WARN")
    assert reply.status == 200 and reply.json()["data"] == "ok", reply
    assert server.get("/muster/v1/log").json() == {"level": "warn"}
