"""Resolvers and forwarders that Debian has, each on an address of its own."""
import os

from machine import program
from story import Resolver, recipe

UNBOUND = """
server:
	interface: {0}
	chroot: ""
	username: ""
	directory: "{1}"
	pidfile: ""
	use-syslog: no
	verbosity: 4
	qname-minimisation: yes
	qname-minimisation-strict: yes
	use-caps-for-id: yes
	cache-min-ttl: 0
	root-hints: ""
	module-config: "iterator"
remote-control:
	control-enable: no
"""
BIND = """
	directory "{1}";
	listen-on {{ {0}; }};
	listen-on-v6 {{ none; }};
	pid-file none;
	session-keyfile none;
	allow-query {{ any; }};
"""


class Dnsmasq(Resolver):
    address = "127.0.0.11"

    def start(self):
        conf = self.machine.write("dnsmasq.conf", recipe("dnsmasq.conf"))
        self.machine.start(self.name, [program("dnsmasq"), "--keep-in-foreground", "--no-resolv", "--no-hosts", "--bind-interfaces", "--user=root",
                                       f"--listen-address={self.address}", "--pid-file=", "--stop-dns-rebind", f"--conf-file={conf}"])


class Unbound(Resolver):
    """As a stub zone, with strict QNAME minimisation and letters of random case."""
    address = "127.0.0.12"
    recipe = "unbound.conf"
    complaint = "Capsforid: starting fallback"  # letters that came back in another case

    def start(self):
        conf = self.machine.write(f"{self.name}.conf", recipe(self.recipe) + UNBOUND.format(self.address, self.machine.folder))
        self.machine.start(self.name, [program("unbound"), "-d", "-p", "-c", conf])


class UnboundForward(Unbound):
    address = "127.0.0.13"
    recipe = "unbound-forward.conf"


class Bind(Resolver):
    address = "127.0.0.14"
    recipe = "bind.conf"

    def start(self):
        named, folder = program("named"), self.machine.path(self.name)
        self.machine.give(self.address)  # it looks for its addresses among those of the interfaces
        os.mkdir(folder)
        text = recipe(self.recipe, **{"options {": "options {" + BIND.format(self.address, folder)})
        conf = self.machine.write(f"{self.name}.conf", "controls { };\n" + text)
        self.machine.start(self.name, [named, "-g", "-n", "1", "-c", conf])


class BindStub(Bind):
    address = "127.0.0.15"
    recipe = "bind-stub.conf"


class Resolved(Resolver):
    """systemd-resolved without systemd: its stub answers without the bus, too."""
    address = "127.0.0.53"

    def start(self):
        user = "systemd-resolve:x:996:996::/:/usr/sbin/nologin\n"
        etc = {"systemd/resolved.conf": recipe("resolved.conf"), "passwd": "root:x:0:0::/root:/bin/sh\n" + user, "group": "root:x:0:\n" + "systemd-resolve:x:996:\n"}
        self.machine.start(self.name, [program("systemd-resolved")], etc)


RESOLVERS = [Dnsmasq, Unbound, UnboundForward, Bind, BindStub, Resolved]
