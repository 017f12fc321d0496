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


OPERATOR_ONLY = ("/metrics", "/health", "/muster/v1/log", "/muster/v1/instances?serviceName=split", "/nacos/v1/ns/operator/switches")
CLIENT_ONLY = ("/nacos/v1/ns/instance/list?serviceName=split", "/nacos/v1/ns/service/list?pageNo=1&pageSize=10", "/nacos/v1/console/namespaces")
BOTH = ("/nacos/v1/ns/operator/metrics", "/nacos/v1/console/health/readiness", "/nacos/v3/admin/core/state/liveness")


def test_without_a_listener_of_their_own_operators_are_served_with_everybody(make_server):
    server = make_server().start()
    server.register("split", "10.61.0.1", 80)
    assert "operator" not in server.ports
    for path in OPERATOR_ONLY + CLIENT_ONLY + BOTH:
        assert server.get(path).status == 200, path


def test_operator_routes_move_to_their_listener_and_clients_keep_theirs(make_server):
    server = make_server(http_operator_listen="127.0.0.1:0, [::1]:0").start()
    server.register("split", "10.61.0.1", 80)
    assert len(server.ports["operator"]) == 2
    public, operator = server.http_address, server.split(server.ports["operator"][0])
    for path in OPERATOR_ONLY:
        reply = server.get(path)
        assert reply.status == 403 and f"http.operator_listen = 127.0.0.1:{operator[1]}" in reply.text, (path, reply)
    for path in CLIENT_ONLY + BOTH:
        assert server.get(path).status == 200, path
    assert server.get("/nothing").status == 404
    for address in server.ports["operator"]:
        server.http_address, server.connection = server.split(address), None
        for path in OPERATOR_ONLY + BOTH:
            assert server.get(path).status == 200, path
        for path in CLIENT_ONLY:
            reply = server.get(path)
            assert reply.status == 403 and f"http.listen = 127.0.0.1:{public[1]}" in reply.text, (path, reply)
        assert server.get("/nothing").status == 404
    assert "HTTP for operators on 127.0.0.1:" in server.log_text()


def test_an_exposed_operator_listener_needs_the_allow_list_too(make_server):
    server = make_server(http_operator_listen="0.0.0.0:0")
    server.start(wait=False)
    assert server.process.wait(20) == 2
    server.process = None
    assert "http.operator_listen: 0.0.0.0:0 can be reached from other machines" in server.log_text()
    server.start(http_allow="127.0.0.0/8")


def test_several_threads_serve_both_kinds_of_listener(make_server):
    server = make_server(http_operator_listen="127.0.0.1:0", server_io_threads="3").start()
    for _ in range(30):  # each connection may fall to another thread
        server.connection = None
        assert server.get("/metrics").status == 403
        assert server.get("/nacos/v1/ns/operator/metrics").status == 200


def test_the_start_says_that_two_servers_are_two_registries(make_server):
    server = make_server().start()
    assert "a second Muster in one server-addr list would be another registry, not a cluster" in server.log_text()
