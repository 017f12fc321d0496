"""Questions that came in together while the server did not run are answered together (dns.udp_gso): each client gets each of
its answers as a datagram of its own, from the address it asked, whatever their sizes."""
import os
import random
import signal
import socket

import dns.message
import dns.rcode
import pytest

from conftest import SLOW

ZONE = "muster.internal"


@pytest.mark.parametrize("gso", ["on", "off"])
@pytest.mark.parametrize("family", ["IPv4", "IPv6"])
def test_each_question_of_a_burst_has_its_own_answer(make_server, gso, family):
    listen, hosts = ("0.0.0.0:0", ["127.0.0.1", "127.0.0.2"]) if family == "IPv4" else ("[::]:0", ["::1"])
    server = make_server(dns_udp_gso=gso, dns_listen=f"127.0.0.1:0, {listen}", dns_threads=1).start()
    for i in range(9):
        for k in range(i + 1):
            server.register(f"s{i}", f"10.1.{i}.{k + 1}", 80)
    port = server.split(server.ports["dns"][1])[1]
    pick = random.Random(7)
    names = [f"s{i}.svc.{ZONE}" for i in range(9)] + [f"{'n' * n}.svc.{ZONE}" for n in (1, 5, 40)]
    clients = []
    for host in hosts * 2:
        client = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM)
        client.settimeout(20 * SLOW)
        client.connect((host, port))  # takes only what comes from there
        clients.append(client)
    wanted = {client: {} for client in clients}
    os.kill(server.process.pid, signal.SIGSTOP)
    for i in range(16):
        client, name, edns = pick.choice(clients), pick.choice(names), pick.choice([-1, 0])
        for k in range(pick.choice([1, 2, 7, 35])):  # of one size each time
            question = dns.message.make_query(name, "A", use_edns=edns, id=100 * i + k)
            wanted[client][question.id] = question
            client.send(question.to_wire())
    os.kill(server.process.pid, signal.SIGCONT)
    for client in clients:
        while wanted[client]:
            reply = dns.message.from_wire(client.recv(4096))
            question = wanted[client].pop(reply.id)
            name = question.question[0].name.to_text()
            assert question.is_response(reply) and (reply.edns == 0) == (question.edns == 0)
            assert reply.rcode() == (dns.rcode.NOERROR if name[0] == "s" else dns.rcode.NXDOMAIN)
            if name[0] == "s":
                assert sorted(r.address for r in reply.answer[0]) == [f"10.1.{name[1]}.{k + 1}" for k in range(int(name[1]) + 1)]
        client.close()
