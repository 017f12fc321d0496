"""What the DNS side answers about instances with host names, about itself, and while nobody is healthy: asked with
dnspython of the real server."""
import socket
import threading
import time

import dns.edns
import dns.flags
import dns.message
import dns.query
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import dns.rrset

from conftest import SLOW


class Upstream(threading.Thread):
    """A resolver of its own little world on a free port: a dict of (name, type) to (TTL, texts); None: SERVFAIL."""

    def __init__(self):
        super().__init__(daemon=True)
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        self.data = {}
        self.asked = 0
        self.dead = False

    def run(self):
        while True:
            packet, peer = self.socket.recvfrom(4096)
            if not packet:
                return
            query = dns.message.from_wire(packet)
            question = query.question[0]
            name, rdtype = question.name.to_text().lower(), dns.rdatatype.to_text(question.rdtype)
            reply = dns.message.make_response(query, recursion_available=True)
            self.asked += 1
            if self.dead:
                reply.set_rcode(dns.rcode.SERVFAIL)
            elif (name, rdtype) in self.data:
                ttl, texts = self.data[name, rdtype]
                reply.answer.append(dns.rrset.from_text(question.name, ttl, "IN", rdtype, *texts))
            elif not any(name == known for known, _ in self.data):
                reply.set_rcode(dns.rcode.NXDOMAIN)
            if not reply.answer:
                soa = "ns.example. host.example. 1 60 60 60 5"
                reply.authority.append(dns.rrset.from_text("example.", 5, "IN", "SOA", soa))
            self.socket.sendto(reply.to_wire(), peer)

    def close(self):
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"", ("127.0.0.1", self.port))
        self.join()
        self.socket.close()


def until(what, limit=60):
    end = time.monotonic() + limit * SLOW
    while not what():
        assert time.monotonic() < end, "it did not come to be"
        time.sleep(0.02)


def ede(reply):
    return [int(o.code) for o in reply.options if isinstance(o, dns.edns.EDEOption)]


def edns(**more):
    return dict(use_edns=0, **more)


def test_a_host_name_is_answered_with_what_an_upstream_says_until_the_name_is_gone(make_server):
    upstream = Upstream()
    upstream.data = {("db.example.", "A"): (5, ["192.0.2.1", "192.0.2.2"]), ("db.example.", "AAAA"): (5, ["2001:db8::1"])}
    upstream.start()
    server = make_server(dns_hostname_upstreams=f"127.0.0.1:{upstream.port}").start()
    patient = '{"preserved.heart.beat.timeout":"600000","preserved.ip.delete.timeout":"600000"}'
    server.register("far", "db.example", 443, metadata=patient)
    name = "far.svc.muster.internal"
    until(lambda: server.addresses(name) == ["192.0.2.1", "192.0.2.2"])
    assert server.addresses(name, "AAAA") == ["2001:db8::1"]
    srv = server.dig(name, "SRV")
    assert [r.to_text() for r in srv.answer[0]] == ["10 32768 443 db.example."] and not srv.additional
    assert [h["ip"] for h in server.hosts("far")] == ["db.example"]
    said = server.get("/muster/v1/explain", serviceName="far").text
    assert "the addresses of its host name are answered as its own" in said, said
    # another address after the time to live
    upstream.data = {("db.example.", "A"): (5, ["192.0.2.3"])}
    until(lambda: server.addresses(name) == ["192.0.2.3"])
    until(lambda: server.addresses(name, "AAAA") == [])
    # nobody knows: the last ones hold, and are called stale
    upstream.dead = True
    until(lambda: ede(server.dig(name, **edns())) == [3])
    assert server.addresses(name) == ["192.0.2.3"]
    upstream.dead = False
    until(lambda: ede(server.dig(name, **edns())) == [])
    # the name is no more: no ghost
    upstream.data = {("other.example.", "A"): (5, ["192.0.2.9"])}
    until(lambda: server.addresses(name) == [])
    server.deregister("far", "db.example", 443)
    upstream.close()


def test_the_server_tells_its_name_and_hides_its_version(make_server):
    server = make_server(dns_nsid="dns-7").start()

    def chaos(name):
        q = dns.message.make_query(name, "TXT", rdclass=dns.rdataclass.CH)
        return dns.query.udp(q, server.dns[0], port=server.dns[1], timeout=5)

    assert chaos("version.bind.").rcode() == dns.rcode.REFUSED
    for name in ("id.server.", "HOSTNAME.bind."):
        assert chaos(name).answer[0][0].to_text() == '"dns-7"' and chaos(name).answer[0].ttl == 0
    reply = server.dig("x.example.com", **edns(options=[dns.edns.GenericOption(dns.edns.OptionType.NSID, b"")]))
    nsid = [o for o in reply.options if o.otype == dns.edns.OptionType.NSID]
    assert nsid and (getattr(nsid[0], "data", None) or getattr(nsid[0], "nsid", None)) == b"dns-7"
    assert ede(reply) == [20]


def test_slow_start_moves_neither_lists_nor_their_number(make_server):
    server = make_server(dns_slow_start="2s").start()
    name = "slow.svc.muster.internal"
    server.register("slow", "10.0.0.1", 1)
    server.register("slow", "10.0.0.2", 2)

    def weights():
        return {r.port: r.weight for r in server.dig(name, "SRV").answer[0]}

    before = server.get("/nacos/v1/ns/instance/list", serviceName="slow").json()
    assert weights()[1] == 32768 and weights()[2] >= 3277
    until(lambda: weights() == {1: 32768, 2: 32768})
    after = server.get("/nacos/v1/ns/instance/list", serviceName="slow").json()
    assert after["lastRefTime"] == before["lastRefTime"] and after["hosts"] == before["hosts"]


def test_who_comes_later_starts_with_less_than_his_share(make_server):
    server = make_server(dns_slow_start="1h").start()
    for n in (1, 2):
        server.register("slower", f"10.0.0.{n}", n)
    weights = {r.port: r.weight for r in server.dig("slower.svc.muster.internal", "SRV").answer[0]}
    assert weights[1] == 32768 and 3277 <= weights[2] < 16384, weights


def test_what_is_answered_while_nobody_is_healthy(make_server):
    server = make_server(dns_protect="off", dns_last_max="3s").start()
    for policy in ("empty", "open", "servfail", "nxdomain", "last"):
        server.post("/nacos/v1/ns/service", serviceName=policy, ephemeral="false", 
                    metadata=f'{{"dns.all_unhealthy":"{policy}","dns.https":"1","dns.svcb":"1","dns.port-name":"web"}}')
        server.put("/nacos/v1/ns/cluster", serviceName=policy, clusterName="DEFAULT", checkPort=80,
                   useInstancePort4Check="true", healthChecker='{"type":"NONE"}')
        server.register(policy, "10.0.0.1", 80, ephemeral="false")
        server.put("/nacos/v1/ns/health/instance", serviceName=policy, ip="10.0.0.1", port=80, healthy="true")
        assert server.addresses(f"{policy}.svc.muster.internal") == ["10.0.0.1"]
        server.put("/nacos/v1/ns/health/instance", serviceName=policy, ip="10.0.0.1", port=80, healthy="false")

    def ask(policy, rdtype="A", before=""):
        reply = server.dig(f"{before}{policy}.svc.muster.internal", rdtype, **edns())
        return dns.rcode.to_text(reply.rcode()), sum(len(a) for a in reply.answer), ede(reply)

    assert ask("empty") == ("NOERROR", 0, [])
    assert ask("open") == ("NOERROR", 1, [])
    assert ask("servfail") == ("SERVFAIL", 0, [22])
    assert ask("nxdomain") == ("NXDOMAIN", 0, [])
    for rdtype, before in (("HTTPS", ""), ("SVCB", ""), ("SVCB", "_web._tcp."), ("SRV", "_web._tcp.")):
        assert ask("servfail", rdtype, before) == ("SERVFAIL", 0, [22])
        assert ask("empty", rdtype, before) == ("NOERROR", 0, [])
        assert ask("open", rdtype, before) == ("NOERROR", 1, [])
        assert ask("nxdomain", rdtype, before) == ("NXDOMAIN", 0, [])
    assert ask("servfail", "TXT")[0] == ask("servfail", "MX")[0] == "NOERROR"
    assert ask("last", "HTTPS") in (("NOERROR", 1, [3]), ("NOERROR", 0, []))  # its time may be over
    until(lambda: ask("last") == ("NOERROR", 0, []))


def test_a_restart_does_not_empty_a_service_whose_last_well_ones_are_answered(make_server):
    server = make_server(dns_protect="off", dns_all_unhealthy="last", dns_last_max="1h").start()
    server.post("/nacos/v1/ns/service", serviceName="kept", ephemeral="false", metadata='{"dns.ttl":"1"}')
    server.put("/nacos/v1/ns/cluster", serviceName="kept", clusterName="DEFAULT", checkPort=80, useInstancePort4Check="true",
               healthChecker='{"type":"NONE"}')
    server.register("kept", "10.0.0.1", 80, ephemeral="false")
    server.register("kept", "10.0.0.2", 80, ephemeral="false", enabled="false")
    server.put("/nacos/v1/ns/health/instance", serviceName="kept", ip="10.0.0.1", port=80, healthy="false")
    for again in (server.restart, lambda: (server.kill9(), server.start())):
        again()
        reply = server.dig("kept.svc.muster.internal", "A", **edns())
        assert [r.to_text() for a in reply.answer for r in a] == ["10.0.0.1"] and ede(reply) == [3]
    server.restart(dns_last_max="1s")
    until(lambda: server.addresses("kept.svc.muster.internal") == [])


def test_https_and_svcb_of_services_that_ask_for_it(server):
    said = '{"dns.https":"1","dns.svcb":"1","dns.alpn":"h2,http/1.1","dns.port-name":"web"}'
    server.post("/nacos/v1/ns/service", serviceName="site", metadata=said)
    server.put("/nacos/v1/ns/cluster", serviceName="site", clusterName="DEFAULT", checkPort=80, useInstancePort4Check="true",
               healthChecker='{"type":"NONE"}')
    server.register("site", "10.0.0.1", 8443, ephemeral="false")
    server.register("site", "2001:db8::1", 8443, ephemeral="false")
    zone = "svc.muster.internal."

    def ask(name, rdtype):
        reply = server.dig(name + zone, rdtype, **edns())
        return sorted(r.to_text() for a in reply.answer for r in a), sorted(r.to_text() for a in reply.additional for r in a)

    one = '1 . alpn="h2,http/1.1" port="8443" ipv4hint="10.0.0.1" ipv6hint="2001:db8::1"'
    assert ask("site.", "HTTPS") == ([one], ["10.0.0.1", "2001:db8::1"])
    assert ask("site.", "SVCB")[0] == [one]
    assert ask("_web._tcp.site.", "SVCB")[0] == [one.replace("1 . ", f"1 site.{zone} ")]
    assert ask("_site._tcp.", "SVCB") == ([], []) and ask("_web._tcp.site.", "HTTPS") == ([], [])
    server.register("site", "10.0.0.2", 443, ephemeral="false")
    assert ask("site.", "HTTPS")[0] == [
        '1 10-0-0-1.i.muster.internal. alpn="h2,http/1.1" port="8443" ipv4hint="10.0.0.1"',
        '1 10-0-0-2.i.muster.internal. alpn="h2,http/1.1" ipv4hint="10.0.0.2"',
        '1 2001-db8-0-0-0-0-0-1.i.muster.internal. alpn="h2,http/1.1" port="8443" ipv6hint="2001:db8::1"']
    server.register("site", "10.0.0.3", 443, ephemeral="false", metadata='{"dns.priority":"20","dns.alpn":"http/1.1"}')
    records, hosts = ask("site.", "HTTPS")
    assert records[2:] == ['1 2001-db8-0-0-0-0-0-1.i.muster.internal. alpn="h2,http/1.1" port="8443" ipv6hint="2001:db8::1"',
                           '2 10-0-0-3.i.muster.internal. alpn="http/1.1" ipv4hint="10.0.0.3"']
    assert hosts == ["10.0.0.1", "10.0.0.2", "10.0.0.3", "2001:db8::1"]
    for i in (1, 2): # all on one port, but not of one protocol
        server.post("/nacos/v1/ns/service", serviceName=f"one{i}", metadata=said)
        server.put("/nacos/v1/ns/cluster", serviceName=f"one{i}", clusterName="DEFAULT", checkPort=80, useInstancePort4Check="true",
                   healthChecker='{"type":"NONE"}')
        server.register(f"one{i}", "10.0.1.1", 443, ephemeral="false", metadata='{"dns.alpn":"h3"}')
        server.register(f"one{i}", "10.0.1.2", 443, ephemeral="false", metadata='{"dns.alpn":"%s"}' % ("h3" if i == 1 else "h2"))
    assert ask("one1.", "HTTPS")[0] in (['1 . alpn="h3" ipv4hint="10.0.1.1,10.0.1.2"'], ['1 . alpn="h3" ipv4hint="10.0.1.2,10.0.1.1"'])
    assert ask("one2.", "HTTPS")[0] == ['1 10-0-1-1.i.muster.internal. alpn="h3" ipv4hint="10.0.1.1"',
                                        '1 10-0-1-2.i.muster.internal. alpn="h2" ipv4hint="10.0.1.2"']
    server.register("plain", "10.0.0.1", 443)
    assert ask("plain.", "HTTPS") == ([], [])
