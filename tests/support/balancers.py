"""Programs that send real traffic where DNS says, or watch who is there."""
import http.client
import json
import socket

from machine import program
from story import MUSTER, PORT, SERVICE, Consumer, host, recipe, srv_weights


def get(address, port, path="/"):
    connection = http.client.HTTPConnection(address, port, timeout=5)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


class Nginx(Consumer):
    """Who answers 30 requests: it draws where it begins at each look-up, so two are both among them."""
    TAIL = """
daemon off;
pid {0}/nginx.pid;
error_log stderr;
events {{ }}
http {{
	access_log off;
	client_body_temp_path {0}/nginx-body;
	proxy_temp_path {0}/nginx-proxy;
	fastcgi_temp_path {0}/nginx-fastcgi;
	uwsgi_temp_path {0}/nginx-uwsgi;
	scgi_temp_path {0}/nginx-scgi;
	include {1};
}}
"""

    def start(self):
        site = self.machine.write("site.conf", recipe("nginx.conf"))
        conf = self.machine.write("nginx.conf", "user root;" + self.TAIL.format(self.machine.folder, site))
        self.machine.start(self.name, [program("nginx"), "-p", self.machine.folder, "-e", "stderr", "-c", conf])

    def look(self):
        said = [get("127.0.0.1", 8081) for _ in range(30)]
        return sorted({body for status, body in said if status == 200}), sorted({status for status, _ in said})

    def wanted(self, state):
        return sorted(state), [200] if state else [502]


class Haproxy(Consumer):
    """Servers by SRV with their weights, servers by A, and who answers its requests."""
    FRONT = """
global
	stats socket {0}/haproxy.sock
defaults
	mode http
	timeout connect 2s
	timeout client 5s
	timeout server 5s
frontend by-srv
	bind 127.0.0.1:8082
	default_backend orders
frontend by-address
	bind 127.0.0.1:8083
	default_backend orders-addresses
"""

    def start(self):
        conf = self.machine.write("haproxy.cfg", self.FRONT.format(self.machine.folder) + recipe("haproxy.cfg"))
        self.machine.start(self.name, [program("haproxy"), "-db", "-f", conf])

    def servers(self, backend):
        """{address: weight} of servers that have one and are up (srv_op_state 2)."""
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(5)
            s.connect(self.machine.path("haproxy.sock"))
            s.sendall(f"show servers state {backend}\n".encode())
            text = b""
            while part := s.recv(65536):
                text += part
        lines = [line.split() for line in text.decode().splitlines()]
        names = next(line[1:] for line in lines if line[:1] == ["#"])
        rows = [dict(zip(names, line)) for line in lines if len(line) == len(names)]
        return {r["srv_addr"]: int(r["srv_uweight"]) for r in rows if r["srv_addr"] != "-" and r["srv_op_state"] == "2" and r["srv_port"] == str(PORT)}

    def look(self):
        by_srv, by_address = self.servers("orders"), self.servers("orders-addresses")
        return by_srv, sorted(by_address), *[sorted({body for status, body in (get("127.0.0.1", port) for _ in range(40)) if status == 200})
                                             for port in (8082, 8083)]

    def wanted(self, state):
        return {a: (w + 255) // 256 for a, w in srv_weights(state).items()}, sorted(state), sorted(state), sorted(state)


class Prometheus(Consumer):
    """Its targets; those of SRV are names, scraped by their own addresses."""

    def start(self):
        text = recipe("prometheus.yml").replace("refresh_interval: 5s", "refresh_interval: 1s")
        conf = self.machine.write("prometheus.yml", text)
        self.machine.start(self.name, [program("prometheus"), f"--config.file={conf}", f"--storage.tsdb.path={self.machine.path('tsdb')}",
                                       "--web.listen-address=127.0.0.1:9090"], {"resolv.conf": f"nameserver {MUSTER}\n"})

    def look(self):
        status, body = get("127.0.0.1", 9090, "/api/v1/targets?state=active")
        active = json.loads(body)["data"]["activeTargets"]
        return sorted((t["labels"]["job"], t["discoveredLabels"]["__address__"]) for t in active)

    def wanted(self, state):
        return sorted([(SERVICE, f"{host(a)}:{PORT}") for a in state] + [(f"{SERVICE}-addresses", f"{a}:{PORT}") for a in state])


BALANCERS = [Nginx, Haproxy, Prometheus]
