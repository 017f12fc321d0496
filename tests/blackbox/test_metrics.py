"""Metrics: the whole exposition is read strictly (text format 0.0.4), holds to Prometheus' conventions, is what
muster-metrics(7) lists and what the alert rules name, and each counter moves when its thing happens."""
import math
import os
import re
import socket
import struct
import time

import dns.message
import dns.query
import pytest
from conftest import TOP, eventually, free_port

MAN = os.path.join(TOP, "contrib", "man", "muster-metrics.7")
RULES = os.path.join(TOP, "contrib", "prometheus", "muster-alerts.yml")
NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"')
VALUE = re.compile(r"[+-]?(\d+(\.\d+)?([eE][+-]?\d+)?|Inf)|NaN")


class Family:
    def __init__(self, name, text):
        self.name, self.help, self.type, self.samples = name, text, None, {}


def parse_labels(text):
    labels, at = [], 0
    while at < len(text):
        m = LABEL.match(text, at)
        assert m, f"label syntax: {text[at:]!r}"
        labels.append((m[1], m[2]))
        at = m.end()
        if at < len(text):
            assert text[at] == "," and at + 1 < len(text), f"label separator: {text!r}"
            at += 1
    assert len({k for k, _ in labels}) == len(labels), f"a label twice: {text}"
    return tuple(labels)


def parse(text):
    """Families by name. Anything that the format forbids, or leaves to luck, is an error."""
    assert text.endswith("\n") and "\r" not in text
    families, now = {}, None
    for line in text[:-1].split("\n"):
        if m := re.fullmatch(rf"# HELP ({NAME}) (.+)", line):
            assert m[1] not in families, f"{m[1]} comes twice"
            assert not re.search(r"\\(?![\\n])", m[2]), line
            now = families[m[1]] = Family(m[1], m[2])
        elif m := re.fullmatch(rf"# TYPE ({NAME}) (counter|gauge|histogram)", line):
            assert now is not None and now.name == m[1] and now.type is None and not now.samples, line
            now.type = m[2]
        else:
            m = re.fullmatch(rf"({NAME})(?:\{{(.*)\}})? (\S+)", line)
            assert m and VALUE.fullmatch(m[3]), f"no sample: {line!r}"
            suffixes = ("_bucket", "_sum", "_count") if now.type == "histogram" else ("",)
            assert m[1] in [now.name + s for s in suffixes], f"{line!r} under {now.name}"
            key = (m[1], parse_labels(m[2] or ""))
            assert key not in now.samples, f"twice: {line}"
            now.samples[key] = float(m[3])
    return families


def check_histogram(f):
    series = {}
    for (name, labels), v in f.samples.items():
        rest = tuple(p for p in labels if p[0] != "le")
        series.setdefault(rest, {"buckets": []})
        if name.endswith("_bucket"):
            series[rest]["buckets"].append((float(dict(labels)["le"].replace("+Inf", "inf")), v))
        else:
            series[rest][name[len(f.name):]] = v
    for rest, s in series.items():
        bounds = [b for b, _ in s["buckets"]]
        counts = [c for _, c in s["buckets"]]
        assert bounds == sorted(bounds) and bounds[-1] == math.inf, (f.name, rest)
        assert counts == sorted(counts) and counts[-1] == s["_count"], (f.name, rest)
        assert s["_sum"] >= 0


def metrics(server):
    reply = server.get("/metrics")
    assert reply.status == 200 and reply.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    return parse(reply.text)


def value(families, name, **labels):
    """The sum over the samples of @name that have @labels."""
    base = name if name in families else re.sub(r"_(count|sum|bucket)$", "", name)
    return sum(v for (n, have), v in families[base].samples.items() if n == name and set(labels.items()) <= set(have))


def documented():
    rows = re.findall(r"^\.It Cm (\w+) No (counter|gauge|histogram)(?: by (.+))?$", open(MAN).read(), re.M)
    return {name: (kind, tuple(labels.split())) for name, kind, labels in rows}


def provoke_all(server):
    """So that sparse families have samples too."""
    server.register("mt-any", "10.60.0.1", 80)
    server.dig("mt-any.svc.muster.internal")


def test_the_exposition_is_strictly_valid_and_conventional(server):
    provoke_all(server)
    for f in metrics(server).values():
        assert f.type is not None, f"{f.name} has no TYPE"
        assert f.samples, f"{f.name} has no samples"
        assert (f.name.endswith("_total")) == (f.type == "counter"), f.name
        assert f.name.startswith("muster_") or f.name.startswith("process_"), f.name
        assert not re.search(r"_(ms|milliseconds|minutes|kb|mb|percent)(_|$)", f.name), f.name
        if f.type == "counter":
            assert all(v >= 0 for v in f.samples.values()), f.name
        if f.type == "histogram":
            check_histogram(f)


@pytest.mark.parametrize("bad", [
    'x 1', '# HELP a b\n# TYPE a counter\na{b="c} 1\n', '# HELP a b\n# TYPE a counter\na{b="c",} 1\n', '# HELP a b\n# TYPE a counter\na 1\na 2\n',
    '# HELP a b\n# TYPE a counter\nb 1\n', '# HELP a b\n# TYPE a counter\na one\n', '# HELP a b\n# TYPE a gauge\na 1\n# HELP a b\n', "a 1\n"])
def test_the_reader_of_this_file_is_strict(bad):
    with pytest.raises((AssertionError, AttributeError)):
        parse(bad)


def test_the_manual_lists_what_is_there_and_nothing_else(server):
    provoke_all(server)
    families, manual = metrics(server), documented()
    assert sorted(manual) == sorted(families)
    for name, (kind, labels) in manual.items():
        assert families[name].type == kind, name
        for _, have in families[name].samples:
            assert sorted(k for k, _ in have if k != "le") == sorted(labels), name


def test_every_metric_of_the_alert_rules_exists(server):
    provoke_all(server)
    families = metrics(server)
    rules = open(RULES).read()
    expressions = re.findall(r"^\s+expr: (.*)$", rules, re.M)
    assert len(expressions) == len(re.findall(r"^\s+- alert: Muster", rules, re.M)) >= 15
    for expression in expressions:
        for name, selector in re.findall(r"\b((?:muster|process)_\w+)(?:\{([^}]*)\})?", expression):
            base = re.sub(r"_bucket$", "", name)
            assert base in families, f"{name} in {expression}"
            for label, exact, text in re.findall(r'(\w+)=(~?)"([^"]*)"', selector):
                if label == "job":
                    continue
                values = {dict(have).get(label) for _, have in families[base].samples}
                assert any(v is not None and (re.fullmatch(text, v) if exact else v == text) for v in values), f"{name}{{{selector}}}"


class Moves:
    """How far samples moved between the making of this and the asking."""

    def __init__(self, server):
        self.server, self.before = server, metrics(server)

    def by(self, name, **labels):
        return value(metrics(self.server), name, **labels) - value(self.before, name, **labels)

    def reach(self, least, name, **labels):
        eventually(lambda: self.by(name, **labels) >= least)


def test_registry_counts_follow_what_happens(server):
    m = Moves(server)
    server.register("mt-a", "10.60.1.1", 80)
    server.register("mt-a", "10.60.1.2", 80, enabled="false")
    server.register("mt-p", "127.0.0.1", free_port(), ephemeral="false")
    server.register("mt-p", "10.60.1.3", 80, ephemeral="false", healthy="false")
    assert m.by("muster_instances", kind="ephemeral", state="healthy") == 2
    assert m.by("muster_instances", kind="persistent") == 2
    assert m.by("muster_instances_disabled") == 1
    assert m.by("muster_services") == 2
    assert m.by("muster_changes_total", what="register") == 4
    assert m.by("muster_changes_total", what="service_create") == 2
    assert m.by("muster_registry_number") > 0
    assert m.by("muster_registry_turn_seconds_count") >= 4 and m.by("muster_registry_publish_seconds_count") >= 4
    assert m.by("muster_store_batches_total", result="committed") >= 2
    assert m.by("muster_store_transactions_total") >= 1 and m.by("muster_store_commit_seconds_count") >= 1
    m.reach(4, "muster_change_log_lines_total")
    updates = m.by("muster_changes_total", what="update")
    server.put("/nacos/v1/ns/instance", serviceName="mt-a", ip="10.60.1.1", port=80, weight=4)
    assert m.by("muster_changes_total", what="update") > updates
    server.deregister("mt-a", "10.60.1.1", 80)
    assert m.by("muster_changes_total", what="deregister") == 1
    m.reach(1, "muster_health_flips_total", to="unhealthy", cause="probe")
    m.reach(1, "muster_probe_flips_total", to="unhealthy", cause="refused")
    assert m.by("muster_probes_total", kind="tcp") >= 1
    assert m.by("muster_probe_targets", kind="tcp") == 2
    server.post("/nacos/v1/console/namespaces", customNamespaceId="mt-ns", namespaceName="x", namespaceDesc="d")
    assert m.by("muster_namespaces") == 1 and m.by("muster_changes_total", what="namespace_create") == 1
    now = metrics(server)
    assert value(now, "muster_ready") == 1 and value(now, "muster_store_writable") == 1
    eventually(lambda: value(metrics(server), "muster_warm_copy_age_seconds") < 5)


def test_lost_beats_are_counted_by_step(server):
    m = Moves(server)
    server.register("mt-b", "10.60.2.1", 80, metadata='{"preserved.heart.beat.timeout":200,"preserved.ip.delete.timeout":400,"preserved.heart.beat.interval":100}')
    m.reach(1, "muster_beats_expired_total", step="removed")
    assert m.by("muster_beats_expired_total", step="unhealthy") == 1
    assert m.by("muster_health_flips_total", to="unhealthy", cause="beat_expired") == 1


def test_dns_counts_by_zone_type_rcode_transport_and_pick(server):
    for i in range(3):
        server.register("mt-d", f"10.60.3.{i + 1}", 80)
    m = Moves(server)
    server.dig("mt-d.svc.muster.internal")
    server.dig("mt-d.svc.muster.internal", "SRV", tcp=True)
    server.dig("mt-nothing.svc.muster.internal")
    server.dig("www.example.com")
    zone = {"zone": "muster.internal"}
    m.reach(1, "muster_dns_queries_total", **zone, type="A", rcode="NOERROR", transport="udp")
    m.reach(1, "muster_dns_queries_total", **zone, type="SRV", rcode="NOERROR", transport="tcp")
    m.reach(1, "muster_dns_queries_total", **zone, type="A", rcode="NXDOMAIN", transport="udp")
    m.reach(1, "muster_dns_queries_total", zone="", type="", rcode="REFUSED", transport="udp")
    assert m.by("muster_dns_picks_total", how="first") == 1
    assert m.by("muster_dns_answer_records_total", transport="udp") == 3
    assert m.by("muster_dns_refused_total", reason="zone") == 1
    assert m.by("muster_dns_received_bytes_total") > 0 and m.by("muster_dns_sent_bytes_total", transport="udp") > 0
    m.reach(1, "muster_dns_tcp_closed_total", reason="peer")
    assert m.by("muster_dns_tcp_opened_total") == 1 and m.by("muster_dns_tcp_connections") == 0


def raw(server, wire, answer=True):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.settimeout(5)
        s.sendto(wire, server.dns)
        if answer:
            s.recv(4096)


def test_dns_refusals_say_why(server):
    question = b"\x01a\x00\x00\x01\x00\x01"
    m = Moves(server)
    raw(server, struct.pack(">6H", 1, 0, 2, 0, 0, 0) + question)           # two questions announced
    raw(server, struct.pack(">6H", 2, 2 << 11, 1, 0, 0, 0) + question)     # STATUS
    raw(server, struct.pack(">6H", 3, 5 << 11, 1, 0, 0, 0) + question)     # UPDATE
    raw(server, struct.pack(">6H", 4, 4 << 11, 1, 0, 0, 0) + question)     # NOTIFY
    raw(server, struct.pack(">6H", 5, 0, 1, 0, 0, 0) + b"\x01a\x00\x00\x01\x00\x04")  # Hesiod
    raw(server, struct.pack(">6H", 6, 0, 1, 0, 0, 0) + b"\x01a\x00\x00\xfc\x00\x01")  # AXFR over UDP
    raw(server, struct.pack(">6H", 7, 0, 1, 0, 0, 0) + b"\x01a\x00\x00\x29\x00\x01")  # QTYPE OPT
    raw(server, struct.pack(">6H", 8, 0, 1, 0, 0, 1) + question + b"\x00\x00\x29\x10\x00\x00\x01\x00\x00\x00\x00")  # EDNS 1
    raw(server, b"\x00\x01", answer=False)
    raw(server, b"\x00" * 3000, answer=False)
    for reason in ("malformed", "opcode", "update", "notify", "class", "transfer", "type", "edns_version"):
        m.reach(1, "muster_dns_refused_total", reason=reason)
    m.reach(1, "muster_dns_dropped_total", reason="malformed")
    m.reach(1, "muster_dns_dropped_total", reason="oversize")


def test_http_counts_by_route_and_reason(server):
    m = Moves(server)
    server.register("mt-h", "10.60.4.1", 80)
    server.hosts("mt-h")
    server.hosts("mt-h")
    assert server.post("/nacos/v1/ns/instance", serviceName="mt-h", ip="10.60.4.1", port=80, weight=-1).status == 400
    assert server.post("/nacos/v1/ns/instance", ip="10.60.4.1", port=80).status == 400
    assert server.get("/nothing/like/this").status == 404
    assert m.by("muster_http_requests_total", **{"class": "instance", "status": "2xx"}) == 1
    assert m.by("muster_http_requests_total", **{"class": "unknown", "status": "4xx"}) == 1
    assert m.by("muster_http_route_requests_total", method="POST", route="/v1/ns/instance", status="2xx") == 1
    assert m.by("muster_http_route_requests_total", method="POST", route="/v1/ns/instance", status="4xx") == 2
    assert m.by("muster_http_request_duration_seconds_count", **{"class": "list"}) == 2
    assert 'route="/v3/client/ns/instance/list"' not in server.get("/metrics").text  # nobody asked
    assert m.by("muster_http_encodings_total", found="yes") >= 1
    assert m.by("muster_http_refused_total", reason="weight") == 1
    assert m.by("muster_http_refused_total", reason="parameter") == 1
    with socket.create_connection(server.http_address, 5) as s:
        s.sendall(b"NONSENSE\r\n\r\n")
        s.recv(1000)
        assert m.by("muster_http_connections_accepted_total") >= 1
    m.reach(1, "muster_http_malformed_total", reason="syntax")


def test_a_clients_names_make_no_new_series(server):
    provoke_all(server)
    count = lambda: sum(len(f.samples) for f in metrics(server).values())
    before = count()
    for i in range(50):
        server.register(f"mt-many-{i}", "10.60.5.1", 80)
        server.dig(f"mt-many-{i}.svc.muster.internal", dns.rdatatype.from_text(f"TYPE{1000 + i}"))
        server.get(f"/no/such/route/{i}")
    assert count() - before <= 2  # routes asked for the first time


def test_limits_leave_their_mark(make_server):
    server = make_server(limits_services="2", http_connections_per_address="2").start()
    m = Moves(server)
    server.register("mt-1", "10.60.6.1", 80)
    server.register("mt-2", "10.60.6.1", 80)
    assert server.post("/nacos/v1/ns/instance", serviceName="mt-3", ip="10.60.6.1", port=80).status == 503
    assert m.by("muster_http_refused_total", reason="limit") == 1
    held = [socket.create_connection(server.http_address, 5) for _ in range(3)]
    m.reach(1, "muster_http_connections_refused_total", reason="address_limit")
    assert value(metrics(server), "muster_http_connections") == 2
    for s in held:
        s.close()


def test_the_process_tells_what_it_takes(server):
    now = metrics(server)
    assert abs(value(now, "process_start_time_seconds") - time.time()) < 3600
    assert 1 << 20 < value(now, "process_resident_memory_bytes") < 1 << 32
    assert 5 < value(now, "process_open_fds") < value(now, "process_max_fds")
    assert value(now, "process_cpu_seconds_total") > 0
    for loop in ("control", "http", "dns", "health"):
        m = Moves(server)
        m.reach(1, "muster_loop_lag_seconds_count", loop=loop)
