"""The payload protocol of gRPC against transcripts that were made by hand from the protocol's description: every byte of every
answer. Each file of tests/api/transcripts is a conversation with a server of its own:

    @ KEY VALUE           a setting of that server
    = TEXT                what comes now
    a+                    client a connects; a- goes
    a>  TYPE BODY         a asks by a unary call; a<  TYPE BODY  is the whole answer
    a>> TYPE BODY         a says that on its stream; a<< TYPE BODY  is what it hears next there
    a:  set up            a waits until it is; a:  quiet  it has heard nothing more on its stream
    GET PATH [TEXT]       an operator asks, until the answer has that text; POST PATH

<name> in what comes from the server is a run of letters, digits and ._:- that is kept: the same wherever the name stands."""
import glob
import os
import re

import pytest
from conftest import HERE, eventually
from grpc_client import REQUEST, Client, fields, framed, payload

FOLDER = os.path.join(HERE, "..", "api", "transcripts")
FILES = sorted(glob.glob(os.path.join(FOLDER, "*.txt")))
HELD = r"<([a-z0-9-]+)>"


def parts(message):
    outer = fields(message)
    return fields(outer[2])[3].decode(), fields(outer[3])[2].decode()


class Conversation:
    def __init__(self, server):
        self.server, self.clients, self.held = server, {}, {}

    def fill(self, text):
        return re.sub(HELD, lambda m: self.held[m[1]], text)

    def compare(self, what, kind, wanted, heard):
        assert heard[0] == kind, f"{what}: {heard}"
        seen = set()

        def group(m):
            name = m[1]
            if name in self.held:
                return re.escape(self.held[name])
            once = name in seen
            seen.add(name)
            return f"(?P={name.replace('-', '_')})" if once else f"(?P<{name.replace('-', '_')}>[A-Za-z0-9._:-]+)"

        at, pattern = 0, ""
        for m in re.finditer(HELD, wanted):
            pattern += re.escape(wanted[at:m.start()]) + group(m)
            at = m.end()
        found = re.fullmatch(pattern + re.escape(wanted[at:]), heard[1])
        assert found, f"{what}:\n{heard[1]}\nis not\n{wanted}"
        self.held.update({name: found[name.replace("-", "_")] for name in seen})

    def step(self, what, line):
        if line.startswith(("GET ", "POST ")):
            self.operator(line)
            return
        name, verb, kind, body = re.fullmatch(r"([a-z])(\+|-|:|>>|<<|>|<)\s*(\S*)\s*(.*)", line).groups()
        if verb == "+":
            self.clients[name] = Client(self.server)
            return
        client = self.clients[name]
        if verb == "-":
            client.close()
        elif verb == ":" and kind == "set":
            eventually(lambda: client.ask("HealthCheckRequest")[0] == "HealthCheckResponse")
        elif verb == ":":
            self.quiet(what, client)
        elif verb == ">":
            client.call = client.open(REQUEST)
            client.send(client.call, framed(payload(kind, self.fill(body).encode())), end=True)
        elif verb == "<":
            assert client.status(client.call) == 0, f"{what}: {client.calls[client.call]}"
            self.compare(what, kind, body, parts(client.calls[client.call]["data"][5:]))
        elif verb == ">>":
            if getattr(client, "stream", None) is None:
                client.stream = client.open("/BiRequestStream/requestBiStream")
            client.send(client.stream, framed(payload(kind, self.fill(body).encode())))
        else:
            self.compare(what, kind, body, parts(client.hear_message()))

    def quiet(self, what, client):
        """What the server says on the stream it says in the turn of what it answers: this answer comes behind it."""
        client.ask("HealthCheckRequest")
        assert client.calls[client.stream]["data"] == b"", f"{what}: {client.calls[client.stream]}"

    def operator(self, line):
        method, path, *wanted = self.fill(line).split(" ", 2)

        def told():
            reply = self.server.call(method, path)
            assert reply.status == 200, reply
            return not wanted or wanted[0] in reply.text
        eventually(told)


@pytest.mark.parametrize("path", FILES, ids=lambda p: os.path.basename(p)[:-4])
def test_the_payload_protocol_is_spoken_to_the_byte(path, make_server):
    lines = [line.rstrip("\n") for line in open(path, encoding="utf-8")]
    settings = dict(line[2:].split(" ", 1) for line in lines if line.startswith("@ "))
    server, what = make_server(), "at first"
    server.flags.update(settings)
    talk = Conversation(server.start())
    try:
        for number, line in enumerate(lines, 1):
            if line.startswith("= "):
                what = line[2:]
            elif line and line[0] not in "#@":
                talk.step(f"{os.path.basename(path)}:{number}, {what}", line)
    finally:
        for client in talk.clients.values():
            client.close()


def test_every_message_of_the_table_is_in_a_transcript():
    table = open(os.path.join(HERE, "..", "..", "api", "message.c")).read().split("message_kind kinds[] = {")[1].split("};")[0]
    said = "".join(open(path, encoding="utf-8").read() for path in FILES)
    for request, answer in re.findall(r'\{ "(\w+)", "(\w+)"', table):
        assert f"> {request}" in said.replace(">  ", "> ") and f"<  {answer}" in said, f"{request}, {answer}"
