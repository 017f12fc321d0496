"""server.user: started as root, the server drops to an ordinary user, in every thread, and still binds port 53."""
import os
import pwd
import re
import socket
import subprocess

import pytest
from conftest import MUSTERD, SLOW, in_network_of_its_own, need

USER = "daemon"  # every Debian has it
PORT_53 = 1 << 10  # CAP_NET_BIND_SERVICE

pytestmark = pytest.mark.skipif(os.getuid() != 0, reason="only root can become another user")


def own(server, user=USER):
    """A parent that the user may enter, with no data directory in it yet."""
    os.chmod(server.dir, 0o755)
    server.flags["server.user"] = user
    return server


def refused(server):
    run = subprocess.run(server.arguments(), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=20 * SLOW)
    assert run.returncode == 1, run.stdout
    return run.stdout


def threads(process):
    """The status of each thread, as a dict."""
    for task in os.listdir(f"/proc/{process.pid}/task"):
        yield dict(re.findall(r"^(\w+):\t(.*)$", open(f"/proc/{process.pid}/task/{task}/status").read(), re.M))


def test_every_thread_is_the_user_and_has_one_capability(make_server):
    server = own(make_server()).start()
    account = pwd.getpwnam(USER)
    seen = list(threads(server.process))
    assert len(seen) >= 4
    for status in seen:
        assert set(status["Uid"].split()) == {str(account.pw_uid)}, status["Name"]
        assert set(status["Gid"].split()) == {str(account.pw_gid)}, status["Name"]
        assert "0" not in status["Groups"].split(), status["Groups"]
        assert status["NoNewPrivs"] == "1"
        for name in ("CapPrm", "CapEff", "CapBnd"):
            assert int(status[name], 16) == PORT_53, (status["Name"], name, status[name])
        for name in ("CapInh", "CapAmb"):
            assert int(status[name], 16) == 0, (name, status[name])
    for name in ("", "muster.db", "warm.db", "ports.json", "lock"):
        assert os.stat(os.path.join(server.data, name)).st_uid == account.pw_uid, name
    server.register("mine", "10.60.0.1", 80, ephemeral="false")
    assert server.addresses("mine.svc.muster.internal") == ["10.60.0.1"]
    server.restart()
    assert server.addresses("mine.svc.muster.internal") == ["10.60.0.1"]


def test_a_user_that_is_not_there_is_refused_by_name(make_server):
    text = refused(own(make_server(), "nobody-knows"))
    assert "server.user: there is no user nobody-knows" in text
    assert "server.user: root is root" in refused(own(make_server(), "root"))


def test_a_data_directory_of_somebody_else_is_refused_with_the_cure(make_server):
    server = own(make_server())
    os.makedirs(server.data)
    text = refused(server)
    assert f"server.data_dir {server.data} belongs to root, not to {USER}: run chown -R {USER}: {server.data}" in text
    account = pwd.getpwnam(USER)
    os.chown(server.data, account.pw_uid, account.pw_gid)
    open(os.path.join(server.data, "muster.db"), "w").close()
    assert f"{server.data}/muster.db belongs to root" in refused(server)
    os.unlink(os.path.join(server.data, "muster.db"))
    server.start()


def test_an_ordinary_user_can_neither_become_another_nor_use_a_foreign_directory(make_server):
    setpriv = need("setpriv")
    account = pwd.getpwnam(USER)
    as_user = [setpriv, f"--reuid={account.pw_uid}", f"--regid={account.pw_gid}", "--clear-groups"]
    server = own(make_server(), "nobody")
    arguments = server.arguments
    server.arguments = lambda: as_user + arguments()
    os.makedirs(server.data)
    os.chmod(os.path.dirname(server.data), 0o755)
    del server.flags["server.user"]
    text = refused(server)
    assert "belongs to root, not to daemon" in text, text
    os.chown(server.data, account.pw_uid, account.pw_gid)
    server.flags["server.user"] = "nobody"
    assert "only root can become nobody" in refused(server)
    server.flags["server.user"] = USER
    server.start()


def test_port_53_is_served_as_the_user_in_a_network_of_its_own(make_server):
    """Its holder, when it is taken, is named although the user may not look into it."""
    server = own(make_server(dns_listen="127.0.0.1:53, [::1]:53", http_listen="127.0.0.1:8848"))
    arguments = server.arguments
    server.arguments = lambda: in_network_of_its_own(arguments())
    server.start()
    assert server.ports["dns"] == ["127.0.0.1:53", "[::1]:53"]
    enter = [need("nsenter"), f"--target={server.process.pid}", "--net"]
    call = subprocess.run(enter + [need("curl"), "-s", "-X", "POST", "http://127.0.0.1:8848/nacos/v1/ns/instance?serviceName=web&ip=10.60.0.2&port=80"],
                          stdout=subprocess.PIPE, text=True, timeout=20 * SLOW)
    assert call.stdout == "ok"
    dig = [need("dig"), "+short", "+time=5", "web.svc.muster.internal", "A"]
    for server_at in ("@127.0.0.1", "@::1"):
        for transport in ("+notcp", "+tcp"):
            answer = subprocess.run(enter + dig + [server_at, transport], stdout=subprocess.PIPE, text=True, timeout=20 * SLOW)
            assert answer.stdout.split() == ["10.60.0.2"], (server_at, transport)
    second = own(make_server(dns_listen="127.0.0.1:53", http_listen="127.0.0.1:0"), "nobody")
    inside = second.arguments
    second.arguments = lambda: enter + inside()
    text = refused(second)
    assert f"DNS address 127.0.0.1:53 is in use: port 53 is held by a process of user {USER}" in text, text
