"""DNS cookies with dig: given with every answer, never required, good after a restart, good after a change of secrets."""
import os
import re
import subprocess

from conftest import SLOW
from test_reload import reload, with_file

ZONE = "muster.internal"
FIRST, SECOND = "00112233445566778899aabbccddeeff", "0123456789abcdef0123456789abcdef"


def dig(server, *arguments, question=True):
    """dig's text; it says (good) when the server's cookie begins with the client's part."""
    at = [f"@{server.dns[0]}", "-p", str(server.dns[1]), "+tries=1", f"+time={5 * SLOW}", "+norec", *arguments]
    return subprocess.run(["dig", *at, *(["soa", ZONE] if question else [])], capture_output=True, text=True, timeout=60).stdout


def cookie_of(text):
    return re.search(r"COOKIE: ([0-9a-f]{48}) \(good\)", text)[1]


def counted(server, state):
    return int(re.search(rf'^muster_dns_cookies_total{{state="{state}"}} (\d+)$', server.get("/metrics").text, re.M)[1])


def good(server, cookie):
    """Does the server take this cookie for its own? With no question behind it, it says BADCOOKIE if not (RFC 7873, 5.4)."""
    text = dig(server, f"+cookie={cookie}", "+header-only", "+nobadcookie", question=False)
    status = re.search(r"status: (\w+)", text)[1]
    assert status in ("NOERROR", "BADCOOKIE"), text
    return status == "NOERROR"


def test_every_answer_carries_a_cookie_and_none_is_required(server):
    before = {state: counted(server, state) for state in ("client", "wrong", "good")}
    text = dig(server, "+cookie=0011223344556677")
    assert "status: NOERROR" in text and "ANSWER: 1" in text
    cookie = cookie_of(text)
    assert cookie.startswith("0011223344556677" + "01000000")
    text = dig(server, f"+cookie={cookie}")
    assert "status: NOERROR" in text and cookie_of(text) == cookie
    text = dig(server, "+cookie=0011223344556677" + "01000000" + "0" * 24)
    assert "status: NOERROR" in text and "ANSWER: 1" in text and "(good)" in text
    assert "COOKIE" not in dig(server, "+nocookie")
    assert cookie_of(dig(server, "+cookie=0011223344556677", "+tcp")).startswith("0011223344556677")
    after = {state: counted(server, state) for state in before}
    assert {s: after[s] - before[s] for s in before} == {"client": 2, "wrong": 1, "good": 1}


def test_a_cookie_alone_is_judged(server):
    cookie = cookie_of(dig(server, "+cookie"))
    assert good(server, cookie)
    assert not good(server, cookie[:-2] + ("00" if cookie[-2:] != "00" else "11"))
    assert good(server, cookie[:16])


def test_generated_secrets_outlive_a_restart_and_nobody_else_reads_them(make_server):
    server = make_server().start()
    cookie = cookie_of(dig(server, "+cookie"))
    assert os.stat(server.see("cookie-secrets")).st_mode & 0o777 == 0o600
    server.restart()
    assert good(server, cookie)
    server.stop()
    os.unlink(server.see("cookie-secrets"))
    server.start()
    assert not good(server, cookie)


def test_secrets_of_the_settings_change_by_a_reload(make_server):
    text = "[dns]\nlisten = 127.0.0.1:0\n{}[http]\nlisten = 127.0.0.1:0\n"
    server = with_file(make_server, text.format(f"cookie_secrets = {FIRST}\n")).start()
    cookie = cookie_of(dig(server, "+cookie"))
    said = reload(server, text.format(f"cookie_secrets = {SECOND}, {FIRST}\n"))
    assert "dns.cookie_secrets has changed" in said and FIRST not in said and SECOND not in said
    assert good(server, cookie)
    fresh = cookie_of(dig(server, f"+cookie={cookie}"))
    assert fresh != cookie
    reload(server, text.format(f"cookie_secrets = {SECOND}\n"))
    assert good(server, fresh) and not good(server, cookie)
    reload(server, text.format(""))
    assert not good(server, fresh)
    assert good(server, cookie_of(dig(server, "+cookie")))


def test_a_wrong_secret_is_named_with_its_line_and_not_shown(make_server):
    server = with_file(make_server, f"[dns]\nlisten = 127.0.0.1:0\ncookie_secrets = {FIRST}, {SECOND[:-1]}\n")
    server.start(wait=False)
    assert server.process.wait(20 * SLOW) == 2
    server.process = None
    said = server.log_text()
    assert "muster.conf:3: dns.cookie_secrets: a secret of 31 characters" in said
    assert SECOND[:-1] not in said
