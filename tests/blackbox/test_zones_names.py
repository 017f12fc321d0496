"""Names of zones with dig: layouts, zones below one another, export filters, reverse zones; what settings refuse."""
import subprocess

import pytest
from conftest import MUSTERD, SLOW, need


def dig(server, *arguments):
    """(status, answer lines as dig prints them) of one question."""
    need("dig")
    run = subprocess.run(["dig", f"@{server.dns[0]}", "-p", str(server.dns[1]), "+tries=1", f"+time={5 * SLOW}", *arguments],
                         stdout=subprocess.PIPE, text=True, timeout=30 * SLOW)
    assert run.returncode == 0, run.stdout
    status = run.stdout.split("status: ")[1].split(",")[0]
    answer = run.stdout.split(";; ANSWER SECTION:\n")
    rows = answer[1].split("\n\n")[0].splitlines() if len(answer) == 2 else []
    return status, [" ".join(row.split()) for row in rows]


def data(server, *arguments):
    status, rows = dig(server, *arguments)
    assert status == "NOERROR", (arguments, status)
    return sorted(row.split(" ", 4)[4] for row in rows)


def register(server):
    server.register("orders", "10.0.0.1", 80)
    server.register("orders", "10.0.0.2", 80, namespaceId="prod")
    server.register("orders", "10.0.0.3", 80, namespaceId="prod", groupName="PAY_GROUP")
    server.register("orders", "2001:db8::4", 80, groupName="PAY_GROUP")


def test_each_layout_has_its_names(make_server):
    server = make_server().zone("mesh.example", layout="full").zone("prod.mesh.example", layout="bound", namespace="prod")
    server.zone("svc.cluster.internal", layout="bound-group", group="PAY_GROUP").zone("prod.internal", layout="bound-ns", namespace="prod")
    server.start()
    register(server)
    assert data(server, "orders.svc.mesh.example") == ["10.0.0.1"]
    assert data(server, "orders.default.prod.ns.mesh.example") == ["10.0.0.2"]
    assert data(server, "orders.prod.mesh.example") == ["10.0.0.2"]
    assert data(server, "orders.prod.svc.cluster.internal") == ["10.0.0.3"]
    assert data(server, "orders.public.svc.cluster.internal", "AAAA") == ["2001:db8::4"]
    assert data(server, "orders.default.prod.internal") == ["10.0.0.2"]
    assert data(server, "orders.pay_group.prod.internal") == ["10.0.0.3"]
    # targets lie in the zone that was asked
    assert data(server, "_orders._tcp.prod.svc.cluster.internal", "SRV") == ["10 32768 80 10-0-0-3.i.svc.cluster.internal."]
    assert data(server, "10-0-0-3.i.svc.cluster.internal") == ["10.0.0.3"]
    assert dig(server, "10-0-0-1.i.svc.cluster.internal")[0] == "NXDOMAIN"
    assert data(server, "_orders._tcp.default.prod.internal", "SRV") == ["10 32768 80 10-0-0-2.i.prod.internal."]
    # what lies between exists, and nothing else
    for name in ("prod.svc.cluster.internal", "_tcp.prod.svc.cluster.internal", "default.prod.internal", "i.prod.internal"):
        assert dig(server, name) == ("NOERROR", []), name
    for name in ("dev.svc.cluster.internal", "orders.dev.svc.cluster.internal", "svc.prod.internal", "g0.prod.internal"):
        assert dig(server, name)[0] == "NXDOMAIN", name


def test_a_zone_below_another_answers_for_itself_and_the_upper_one_has_its_ds(make_server):
    server = make_server().zone("mesh.example", layout="full").zone("a.b.mesh.example", layout="bound", namespace="prod").start()
    register(server)
    assert data(server, "orders.a.b.mesh.example") == ["10.0.0.2"]
    assert dig(server, "orders.b.mesh.example")[0] == "NXDOMAIN"
    assert dig(server, "b.mesh.example") == ("NOERROR", [])  # the lower zone is below
    assert data(server, "a.b.mesh.example", "SOA")[0].startswith("ns1.a.b.mesh.example.")
    for name, apex in (("a.b.mesh.example", "mesh.example."), ("orders.a.b.mesh.example", "a.b.mesh.example.")):
        reply = server.dig(name, "DS")
        assert reply.rcode() == 0 and not reply.answer and reply.authority[0].name.to_text() == apex, reply


def test_an_export_filter_hides_what_it_does_not_name(make_server):
    server = make_server().zone("all.example", layout="full").zone("edge.example", layout="full", export_namespaces="prod, public",
                                                                   export_groups="PAY_GROUP")
    server.zone("web.example", layout="bound", export_metadata="tier=web").start()
    register(server)
    assert data(server, "orders.e-1--wpay-w-u-wgroup.prod.ns.edge.example") == ["10.0.0.3"]
    for name in ("orders.svc.edge.example", "orders.default.prod.ns.edge.example", "default.prod.ns.edge.example",
                 "10-0-0-1.i.edge.example", "10-0-0-2.i.edge.example", "orders.web.example", "10-0-0-1.i.web.example"):
        assert dig(server, name)[0] == "NXDOMAIN", name
    assert data(server, "10-0-0-3.i.edge.example") == ["10.0.0.3"]
    assert data(server, "10-0-0-1.i.all.example") == ["10.0.0.1"]
    # a service's own metadata show it, and hide it again
    assert server.put("/nacos/v1/ns/service", serviceName="orders", protectThreshold="0", metadata='{"tier":"web"}').status == 200
    assert data(server, "orders.web.example") == ["10.0.0.1"]
    assert data(server, "10-0-0-1.i.web.example") == ["10.0.0.1"]
    assert server.put("/nacos/v1/ns/service", serviceName="orders", protectThreshold="0", metadata='{"tier":"db"}').status == 200
    assert dig(server, "orders.web.example")[0] == "NXDOMAIN" and dig(server, "10-0-0-1.i.web.example")[0] == "NXDOMAIN"
    assert data(server, "orders.svc.all.example") == ["10.0.0.1"]


def test_addresses_point_to_names_with_dig_x(make_server):
    server = make_server(dns_reverse="10.0.0.0/8, 2001:db8::/32").zone("mesh.example", layout="full").start()
    register(server)
    assert data(server, "-x", "10.0.0.2") == ["10-0-0-2.i.mesh.example."]
    assert data(server, "-x", "2001:db8::4") == ["2001-db8-0-0-0-0-0-4.i.mesh.example."]
    assert dig(server, "-x", "10.0.0.9")[0] == "NXDOMAIN"
    assert dig(server, "-x", "2001:db8::5")[0] == "NXDOMAIN"
    assert dig(server, "-x", "192.0.2.1")[0] == "REFUSED"
    for name in ("0.10.in-addr.arpa", "0.0.10.in-addr.arpa", "0.0.8.b.d.0.1.0.0.2.ip6.arpa"):  # as with QNAME minimisation
        assert dig(server, name, "A") == ("NOERROR", []), name
    assert dig(server, "1.10.in-addr.arpa", "A")[0] == "NXDOMAIN"
    assert data(server, "10.in-addr.arpa", "NS") == ["ns1.mesh.example."]
    server.deregister("orders", "10.0.0.1", 80)
    assert dig(server, "-x", "10.0.0.1")[0] == "NXDOMAIN"
    server.register("other", "10.0.0.2", 81)
    server.deregister("orders", "10.0.0.2", 80, namespaceId="prod")
    assert data(server, "-x", "10.0.0.2") == ["10-0-0-2.i.mesh.example."]  # another service has it
    explained = server.get("/muster/v1/explain", serviceName="other", ip="10.0.0.2").text
    assert "2.0.0.10.in-addr.arpa." in explained, explained


def test_instances_are_asked_for_by_their_metadata(make_server):
    server = make_server().zone("mesh.example", layout="full").zone("all.example", layout="bound", transfer_allow="127.0.0.0/8")
    server.start(dns_selector_keys="version, zone=topology.zone")
    server.register("orders", "10.0.0.1", 80, metadata='{"version":"v1","topology.zone":"a"}')
    server.register("orders", "10.0.0.2", 80, metadata='{"version":"v2","topology.zone":"a"}')
    server.register("orders", "10.0.0.3", 80, metadata='{"version":"2.0_RC"}', clusterName="hz")
    for below in ("orders.svc.mesh.example", "orders.all.example"):
        assert data(server, f"v1.version.m.{below}") == ["10.0.0.1"]
        assert data(server, f"a.zone.m.{below}") == ["10.0.0.1", "10.0.0.2"]
        assert data(server, f"e-1-2-o0-u-qr-qc.version.m.{below}") == data(server, f"2\\.0_rc.version.m.{below}") == ["10.0.0.3"]
        for name in (f"m.{below}", f"version.m.{below}"):
            assert dig(server, name) == ("NOERROR", []), name
        for name in (f"v3.version.m.{below}", f"topology.m.{below}", f"_tcp.v1.version.m.{below}", f"v1.version.m.default.c.{below}"):
            assert dig(server, name)[0] == "NXDOMAIN", name
    assert data(server, "v1.version.m.orders.all.example", "SRV") == ["10 32768 80 10-0-0-1.i.all.example."]
    # they follow a change of metadata at once, and the last one takes its names along
    server.put("/nacos/v1/ns/instance", serviceName="orders", ip="10.0.0.1", port=80, metadata='{"version":"v2"}')
    assert data(server, "v2.version.m.orders.svc.mesh.example") == ["10.0.0.1", "10.0.0.2"]
    assert dig(server, "v1.version.m.orders.svc.mesh.example")[0] == "NXDOMAIN"
    # who takes the zone gets them too
    rows = axfr(server, "all.example")
    assert rows["v2.version.m.orders.all.example.", "A"] == ["10.0.0.1", "10.0.0.2"]
    assert rows["a.zone.m.orders.all.example.", "A"] == ["10.0.0.1", "10.0.0.2"]  # the change is merged into what was registered
    assert rows["default.c.orders.all.example.", "A"] == ["10.0.0.1", "10.0.0.2"] and rows["hz.c.orders.all.example.", "A"] == ["10.0.0.3"]
    for (name, kind), answers in rows.items():
        if kind in ("A", "AAAA"):
            assert data(server, name, kind) == answers, name
    server.deregister("orders", "10.0.0.3", 80, clusterName="hz")
    assert dig(server, "e-1-2-o0-u-qr-qc.version.m.orders.svc.mesh.example")[0] == "NXDOMAIN"


def axfr(server, zone):
    """{(owner, type): sorted data} of a whole zone."""
    rows = {}
    text = subprocess.run(["dig", f"@{server.dns[0]}", "-p", str(server.dns[1]), "+noall", "+answer", zone, "AXFR"],
                          stdout=subprocess.PIPE, text=True, timeout=30 * SLOW, check=True).stdout
    for row in text.splitlines():
        owner, _, _, kind, rest = row.split(None, 4)
        rows.setdefault((owner, kind), []).append(rest)
    return {key: sorted(value) for key, value in rows.items()}


def test_an_alias_at_an_apex_and_below_answers_without_a_cname(make_server, tmp_path):
    conf = tmp_path / "muster.conf"
    conf.write_text("[zone shop.example]\nlayout = static\nalias shop.example = prod/PAY_GROUP/orders\nalias www.shop.example = prod/DEFAULT_GROUP/orders:http\n"
                    "alias api.v1.shop.example = public/DEFAULT_GROUP/orders/hz\n[zone mesh.example]\nlayout = full\n")
    server = make_server()
    arguments = server.arguments
    server.arguments = lambda: arguments() + ["-c", str(conf), "--zone.mesh.example.alias=first.mesh.example=public/DEFAULT_GROUP/orders",
                                              "--zone.mesh.example.expand=on"]
    server.start()
    assert dig(server, "shop.example") == ("NOERROR", [])
    register(server)
    assert data(server, "shop.example") == ["10.0.0.3"]
    assert dig(server, "shop.example")[1] == ["shop.example. 5 IN A 10.0.0.3"]
    assert data(server, "shop.example", "SRV") == ["10 32768 80 10-0-0-3.i.shop.example."]
    assert data(server, "10-0-0-3.i.shop.example") == ["10.0.0.3"]
    assert data(server, "shop.example", "NS") == ["ns1.shop.example."]
    assert dig(server, "www.shop.example", "SRV") == ("NOERROR", [])
    server.register("orders", "10.0.0.2", 80, namespaceId="prod", metadata='{"port.http":"8080"}')
    assert data(server, "www.shop.example", "SRV") == ["10 32768 8080 10-0-0-2.i.shop.example."]
    assert dig(server, "v1.shop.example") == ("NOERROR", []) and dig(server, "v2.shop.example")[0] == "NXDOMAIN"
    server.register("orders", "10.0.0.8", 80, clusterName="hz")
    assert data(server, "api.v1.shop.example") == ["10.0.0.8"]
    assert data(server, "hz.c.first.mesh.example") == ["10.0.0.8"]
    explained = server.get("/muster/v1/explain", serviceName="orders", namespaceId="prod", groupName="PAY_GROUP").text
    assert '"shop.example."' in explained, explained
    shown = subprocess.run([MUSTERD, "-c", str(conf), "--print-config"], stdout=subprocess.PIPE, text=True, timeout=20 * SLOW).stdout
    conf.write_text(shown)  # what is printed can be read again
    assert "www.shop.example=prod/DEFAULT_GROUP/orders:http" in shown
    assert subprocess.run([MUSTERD, "-c", str(conf), "--check-config"], timeout=20 * SLOW).returncode == 0


@pytest.mark.parametrize("text, line, words", [
    ("[zone a.example]\nexpand = on\nalias b.example = x/y/z\n", 3, ["does not lie in the zone"]),
    ("[zone a.example]\nalias b.a.example = x/y\n", 2, ["NAMESPACE/GROUP/SERVICE"]),
    ("[zone a.example]\nalias b.a.example = x/y/z:HTTP\n", 2, ["no port name"]),
    ("[zone a.example]\nalias b.a.example = x/y/z\nalias B.a.example = x/y/w\n", 3, ["set already"]),
    ("[dns]\nselector_keys = version, topology.zone\n", 2, ["selector_keys", "topology.zone", "LABEL=KEY"]),
    ("[dns]\nselector_keys = a=x, a=y\n", 2, ["selector_keys", "twice"]),
    ("[dns]\nreverse = 10.0.0.0/12\n", 2, ["12 bits is no zone", "whole octets"]),
    ("[dns]\nreverse = 10.0.0.0/8, 2001:db8::/33\n", 2, ["range 2", "nibbles"]),
    ("[dns]\nreverse = 10.0.0.0/8, 10.0.0.0/8\n", 2, ["10.in-addr.arpa", "twice"]),
    ("[dns]\nreverse = 10.0.0.0/8\n[zone 10.in-addr.arpa]\nlayout = static\n", 2, ["10.in-addr.arpa", ":3"]),
    ("[zone 10.example]\nlayout = reverse\n", 2, ["10.example", "10.in-addr.arpa"]),
    ("[zone 300.in-addr.arpa]\nlayout = reverse\n", 2, ["300.in-addr.arpa", "layout"]),
    ("[zone 010.in-addr.arpa]\nlayout = reverse\n", 2, ["010.in-addr.arpa", "layout"]),
    ("[zone 4.3.2.1.in-addr.arpa]\nlayout = reverse\n", 2, ["4.3.2.1.in-addr.arpa", "layout"]),
    ("[zone 10.in-addr.arpa]\nlayout = reverse\nexport_groups = A\n", 3, ["10.in-addr.arpa", "zones of names"]),
    ("[zone a.example]\nlayout = bound-nss\n", 2, ["bound-ns"]),
    ("[zone a.example]\nlayout = bound-ns\ngroup = g\n", 3, ["bound-group"]),
    ("[zone a.example]\nlayout = bound-group\nnamespace = x\n", 3, ["bound-ns"]),
    ("[zone a.example]\nexport_namespaces = a/b\n", 2, ["export_namespaces"]),
    ("[zone a.example]\nexport_metadata = =x\n", 2, ["key=value"]),
    ("[zone a.example]\nlayout = static\nexport_groups = x\n", 3, ["static"]),
])
def test_settings_that_cannot_be_are_told_with_file_and_line(tmp_path, text, line, words):
    conf = tmp_path / "bad.conf"
    conf.write_text(text)
    run = subprocess.run([MUSTERD, "-c", str(conf), "--check-config"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                         stderr=subprocess.STDOUT, text=True, timeout=20 * SLOW)
    assert run.returncode == 2, run.stdout
    assert any(f"{conf}:{line}:" in row and all(w in row for w in words) for row in run.stdout.splitlines()), run.stdout
