"""Settings: every error at once with its file and line, exit code 2; what is in force and where it came from."""
import os
import subprocess

from conftest import MUSTERD, SLOW


def musterd(*arguments, env=None):
    return subprocess.run([MUSTERD, *arguments], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                          timeout=20 * SLOW, env=dict(os.environ, **(env or {})))


def test_all_errors_of_a_file_are_told_at_once_with_file_and_line(tmp_path):
    conf = tmp_path / "bad.conf"
    conf.write_text("[dns]\nlisten = 127.0.0.1:99999\nttl = 5\nthread = 2\n\n[nonsense]\nx = 1\n[http]\nidle_timeout = 5 parsecs\nlisten = 0.0.0.0:8848\n")
    run = musterd("-c", str(conf), "--check-config")
    text = run.stdout + run.stderr
    assert run.returncode == 2, text
    for line, word in ((2, "99999"), (3, "ttl"), (4, "threads"), (7, "nonsense"), (9, "parsecs"), (10, "http.allow")):
        assert any(f"{conf}:{line}:" in row and word in row for row in text.splitlines()), (line, word, text)


def test_wrong_flags_and_environment_are_told_too(tmp_path):
    run = musterd(f"--server.data_dir={tmp_path}", "--dns.capp=3", "--check-config", env={"MUSTER_DNS_TTL": "soon"})
    text = run.stdout + run.stderr
    assert run.returncode == 2 and "--dns.capp" in text and "dns.cap" in text and "MUSTER_DNS_TTL" in text, text


def test_a_wrong_setting_stops_a_start_with_exit_code_2_and_touches_nothing(tmp_path):
    data = tmp_path / "data"
    run = musterd(f"--server.data_dir={data}", "--dns.ttl=forever")
    assert run.returncode == 2 and not data.exists(), run.stderr


def test_print_config_shows_every_value_and_where_it_came_from(tmp_path):
    conf = tmp_path / "muster.conf"
    conf.write_text("# a comment\n[dns]\nttl = 7s\n\n[zone prod.example]\nlayout = bound\nnamespace = prod\n")
    run = musterd("-c", str(conf), "--print-config", "--dns.cap=8", env={"MUSTER_LOG_LEVEL": "warn"})
    assert run.returncode == 0, run.stderr
    rows = run.stdout.splitlines()
    assert any("ttl = 7s" in r and f"{conf}:3" in r for r in rows), run.stdout
    assert any("cap = 8" in r and "--dns.cap" in r for r in rows), run.stdout
    assert any("level = warn" in r and "MUSTER_LOG_LEVEL" in r for r in rows), run.stdout
    assert any("udp_size = 1232" in r and "default" in r for r in rows), run.stdout
    assert "[zone prod.example]" in run.stdout
    again = tmp_path / "again.conf"
    again.write_text(run.stdout)
    assert musterd("-c", str(again), "--check-config").returncode == 0


def test_check_config_accepts_a_right_file_and_says_so(tmp_path):
    conf = tmp_path / "muster.conf"
    conf.write_text("[http]\nlisten = 0.0.0.0:8848\nallow = 10.0.0.0/8, 127.0.0.0/8\n")
    run = musterd("-c", str(conf), "--check-config")
    assert run.returncode == 0, run.stderr


def test_an_exposed_listener_without_an_allow_list_is_refused_with_a_cure(tmp_path):
    run = musterd(f"--server.data_dir={tmp_path}", "--http.listen=0.0.0.0:0")
    assert run.returncode == 2 and "http.allow" in run.stderr, run.stderr


def test_zones_listeners_and_layouts_of_the_settings_serve(make_server):
    server = make_server(dns_listen="127.0.0.1:0, [::1]:0").zone("muster.internal", layout="full").zone("prod.example", layout="bound", namespace="prod")
    server.start()
    server.register("web", "10.50.0.1", 80, namespaceId="prod")
    assert server.addresses("web.prod.example") == ["10.50.0.1"]
    assert server.addresses("web.default.prod.ns.muster.internal") == ["10.50.0.1"]
    assert server.dig("web.svc.muster.internal").rcode() == 3
    assert server.addresses("_web._tcp.prod.example", "SRV") == ["10 32768 80 10-50-0-1.i.prod.example."]
    assert len(server.ports["dns"]) == 2 and server.ports["dns"][1].startswith("[::1]:")
    server.dns = server.split(server.ports["dns"][1])
    assert server.addresses("web.prod.example") == ["10.50.0.1"]
    assert server.addresses("web.prod.example", tcp=True) == ["10.50.0.1"]
