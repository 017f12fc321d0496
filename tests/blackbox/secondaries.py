"""BIND, Knot and NSD beside us: each takes our zones by AXFR, and answers on a port of its own."""
import os
import subprocess

import dns.exception
import dns.message
import dns.query

from conftest import SLOW, eventually, free_port
from machine import program as program_path, unpacked_environment

CONFIGURATIONS = {
    "named": """options {{ directory "{dir}"; listen-on port {port} {{ 127.0.0.1; }}; listen-on-v6 {{ none; }}; pid-file none;
 session-keyfile "{dir}/session.key"; recursion no; dnssec-validation no; notify no; max-transfer-time-in 1;
 max-records-per-type 0; {more} }};
controls {{ }};
{zones}""",
    "knotd": """server:
  rundir: "{dir}"
  listen: 127.0.0.1@{port}
  udp-workers: 1
{more}
database:
  storage: "{dir}"
remote:
  - id: muster
    address: 127.0.0.1@{primary}
zone:
{zones}""",
    "nsd": """server:
  ip-address: 127.0.0.1
  port: {port}
  username: ""
  zonesdir: "{dir}"
  pidfile: "{dir}/nsd.pid"
  xfrdfile: "{dir}/xfrd.state"
  xfrdir: "{dir}"
  zonelistfile: "{dir}/zone.list"
  database: ""
  rrl-ratelimit: 0
{more}
remote-control:
  control-enable: no
{zones}""",
}
ZONES = {
    "named": 'zone "{zone}" {{ type secondary; file "{dir}/copy-{zone}"; masterfile-format text; primaries port {primary} {{ 127.0.0.1; }}; }};\n',
    "knotd": '  - domain: {zone}\n    storage: "{dir}"\n    master: muster\n',
    "nsd": "zone:\n  name: {zone}\n  zonefile: copy-{zone}\n  request-xfr: AXFR 127.0.0.1@{primary} NOKEY\n",
}
ARGUMENTS = {"named": ["-g", "-n", "1", "-c"], "knotd": ["-c"], "nsd": ["-d", "-c"]}


class Secondary:
    """One of the three with @zones of the server whose DNS port is @primary. @more: lines for the options or server section."""

    def __init__(self, program, folder, primary, zones, more=""):
        self.program, self.zones = program, zones
        path, folder = program_path(program), str(folder)
        self.address = ("127.0.0.1", free_port())
        facts = {"dir": folder, "port": self.address[1], "primary": primary}
        text = CONFIGURATIONS[program].format(more=more, zones="".join(ZONES[program].format(zone=z, **facts) for z in zones), **facts)
        conf = os.path.join(folder, "conf")
        with open(conf, "w") as f:
            f.write(text)
        self.log = open(os.path.join(folder, "log"), "wb")
        self.process = subprocess.Popen([path, *ARGUMENTS[program], conf], stdout=self.log, stderr=self.log, stdin=subprocess.DEVNULL,
                                        env=unpacked_environment())

    def wait_ready(self):
        """Until it has every zone."""
        for zone in self.zones:
            eventually(lambda: self.serial(zone), limit=40)
        return self

    def serial(self, zone):
        assert self.process.poll() is None, f"{self.program} ended:\n{open(self.log.name).read()}"
        try:
            answer = dns.query.udp(dns.message.make_query(zone, "SOA"), self.address[0], port=self.address[1], timeout=1)
            return answer.answer and answer.answer[0][0].serial
        except (dns.exception.Timeout, OSError):
            return None

    def close(self):
        self.process.terminate()
        self.process.wait(30 * SLOW)
        self.log.close()
