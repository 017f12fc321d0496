"""What an application asks that uses one address for everything: to log in, for the list of servers, for its configuration."""
import http.client
import subprocess
import time

import pytest
from conftest import MUSTERD, SLOW

LOGINS = ["/nacos/v1/auth/login", "/nacos/v1/auth/users/login", "/nacos/v3/auth/user/login", "/v1/auth/users/login", "/v3/auth/user/login"]
LISTENER = "/nacos/v1/cs/configs/listener"


# ---- login

@pytest.mark.parametrize("path", LOGINS)
@pytest.mark.parametrize("way", ["java", "go", "python"])
def test_every_sdk_gets_its_token(server, path, way):
    """Java sends the user name in the query and the password in the form, Go both in the form, Python both in the query."""
    query = {"go": {}, "java": {"username": "nacos"}, "python": {"username": "nacos", "password": "x"}}[way]
    body = {"go": {"username": "nacos", "password": "x"}, "java": {"password": "x"}, "python": None}[way]
    reply = server.call("POST", path, query, body=body)
    assert reply.status == 200 and reply.headers["Content-Type"].startswith("application/json"), reply
    answer = reply.json()
    assert answer["username"] == "nacos" and answer["globalAdmin"] is True
    assert type(answer["accessToken"]) is str and answer["accessToken"]
    assert type(answer["tokenTtl"]) is int and answer["tokenTtl"] > 60
    assert reply.headers["Authorization"] == "Bearer " + answer["accessToken"]


def test_a_login_without_a_user_is_refused(server):
    for path in LOGINS:
        reply = server.post(path, password="x")
        assert reply.status == 400 and "username" in reply.text, reply


def test_a_token_and_a_user_are_taken_everywhere_and_mean_nothing(server):
    token = server.post(LOGINS[0], username="nacos", password="x").json()["accessToken"]
    for more in ({"accessToken": token}, {"username": "nacos", "password": "x"}, {"accessToken": "wrong"}):
        server.register("with-token", "10.80.0.1", 80, **more)
        assert len(server.hosts("with-token", **more)) == 1
    reply = server.call("GET", "/nacos/v1/ns/instance/list", {"serviceName": "with-token"},
                        headers={"Authorization": "Bearer " + token, "accessToken": token, "Spas-AccessKey": "a"})
    assert len(reply.json()["hosts"]) == 1


# ---- the list of servers

def test_the_server_list_names_the_address_that_was_asked(server):
    for path in ("/nacos/serverlist", "/serverlist", "/nacos/serverlist?namespace=public"):
        reply = server.get(path)
        assert reply.status == 200 and reply.headers["Content-Type"].startswith("text/plain"), reply
        assert reply.text == f"{server.http_address[0]}:{server.http_address[1]}"
    assert server.get("/nacos/serverlist-other").status == 404


def test_a_second_address_gives_out_the_first(make_server):
    """Port 8080 stands in for the address server, and clients go on to where gRPC is."""
    server = make_server(http_listen="127.0.0.1:0, 127.0.0.1:0, [::1]:0").start()
    first, second, six = [server.split(a)[1] for a in server.ports["http"]]
    for host, port, wanted in (("127.0.0.1", first, f"127.0.0.1:{first}"), ("127.0.0.1", second, f"127.0.0.1:{first}"), ("::1", six, f"[::1]:{six}")):
        connection = http.client.HTTPConnection(host, port, timeout=20)
        connection.request("GET", "/nacos/serverlist")
        assert connection.getresponse().read().decode() == wanted
        connection.close()


def test_a_listener_on_every_address_gives_out_the_one_that_was_reached(make_server):
    server = make_server(http_listen="0.0.0.0:0", http_allow="127.0.0.0/8").start()
    port = server.http_address[1]
    for host in ("127.0.0.1", "127.0.0.77"):
        connection = http.client.HTTPConnection(host, port, timeout=20)
        connection.request("GET", "/nacos/serverlist")
        assert connection.getresponse().read().decode() == f"{host}:{port}"
        connection.close()


@pytest.mark.parametrize("advertise,line,ip,port", [
    ("registry.example", "registry.example", "registry.example", 8848), ("registry.example:18848", "registry.example:18848", "registry.example", 18848),
    ("203.0.113.7:8848", "203.0.113.7", "203.0.113.7", 8848), ("[2001:db8::7]:9000", "[2001:db8::7]:9000", "2001:db8::7", 9000),
    ("[2001:db8::7]", "[2001:db8::7]:8848", "2001:db8::7", 8848)])
def test_what_is_advertised_is_given_out(make_server, advertise, line, ip, port):
    server = make_server(http_advertise=advertise).start()
    assert server.get("/nacos/serverlist").text == line
    member = server.get("/nacos/v3/admin/core/cluster/node/self").json()["data"]
    assert (member["ip"], member["port"]) == (ip, port)


@pytest.mark.parametrize("bad", ["a b", "host:0", "host:65536", "host:", "host:x", "[::1", ":8848", "2001:db8::7", "http://host", "[host]:80"])
def test_a_wrong_address_to_advertise_stops_the_start(tmp_path, bad):
    run = subprocess.run([MUSTERD, f"--server.data_dir={tmp_path}", f"--http.advertise={bad}", "--check-config"], stdin=subprocess.DEVNULL,
                         stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=20 * SLOW)
    assert run.returncode == 2 and "http.advertise" in run.stdout and bad in run.stdout, run.stdout


# ---- configuration, which is not in this release

@pytest.mark.parametrize("method,path", [("GET", "/v1/cs/configs"), ("POST", "/v1/cs/configs"), ("DELETE", "/v1/cs/configs"), ("GET", "/v2/cs/config"),
                                         ("GET", "/v3/client/cs/config"), ("GET", "/v3/admin/cs/config/list")])
def test_configuration_over_http_is_501_and_says_why(server, method, path):
    reply = server.call(method, "/nacos" + path, {"dataId": "d", "group": "g", "content": "c"})
    assert reply.status == 501 and "configuration" in reply.json()["message"], reply


def poll(server, timeout_ms="30000", **headers):
    return server.call("POST", LISTENER, body={"Listening-Configs": "d\x02g\x02\x02t\x01"}, headers={"Long-Pulling-Timeout": timeout_ms, **headers})


def test_a_client_that_starts_is_answered_at_once(server):
    for reply in (poll(server, **{"Long-Pulling-Timeout-No-Hangup": "true"}), server.call("POST", LISTENER, body="Listening-Configs=x")):
        assert (reply.status, reply.body) == (200, b"")


def test_a_long_poll_waits_out_its_time_and_hears_of_nothing(make_server):
    """SDKs ask again at once, whatever the answer: whoever is refused does so without end."""
    server = make_server().start()
    began = time.monotonic()
    reply = poll(server, timeout_ms="10600")
    assert (reply.status, reply.body) == (200, b"")
    assert time.monotonic() - began >= 10


def test_many_polls_wait_beside_the_work_and_end_with_the_server(make_server):
    server = make_server().start()
    connections = []
    for _ in range(200):
        connection = http.client.HTTPConnection(*server.http_address, timeout=60)
        connection.request("POST", LISTENER, body="Listening-Configs=x", headers={"Long-Pulling-Timeout": "30000"})
        connections.append(connection)
    server.register("beside", "10.81.0.1", 80)
    assert len(server.hosts("beside")) == 1
    for connection in connections[:100]:  # these go before their answer
        connection.close()
    server.register("beside", "10.81.0.2", 80)
    assert len(server.hosts("beside")) == 2  # and by now all were read
    began = time.monotonic()
    server.stop()
    assert time.monotonic() - began < 4 * SLOW
    for connection in connections[100:]:
        answer = connection.getresponse()
        assert (answer.status, answer.read()) == (200, b"")
        connection.close()
