"""A gRPC client by hand: HTTP/2 by the h2 library, payloads and frames as bytes (nacos-naming 5)."""
import json
import socket
import struct
import time

import h2.config
import h2.connection
import h2.events
from conftest import SLOW, eventually

REQUEST, STREAM = "/Request/request", "/BiRequestStream/requestBiStream"


def varint(n):
    out = b""
    while n > 0x7F:
        out += bytes([n & 0x7F | 0x80])
        n >>= 7
    return out + bytes([n])


def field(number, value):
    return varint(number << 3 | 2) + varint(len(value)) + value


def payload(kind, body):
    text = body if isinstance(body, bytes) else json.dumps(body).encode()
    return field(2, field(3, kind.encode()) + field(8, b"10.0.0.9")) + field(3, field(2, text))


def fields(data):
    at, found = 0, {}
    while at < len(data):
        n = length = shift = 0
        tag, at = data[at], at + 1
        while True:
            byte, at = data[at], at + 1
            length |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                break
        found[tag >> 3] = data[at:at + length]
        at += length
    return found


def unpack(message):
    outer = fields(message)
    return fields(outer[2])[3].decode(), json.loads(fields(outer[3])[2])


def framed(message, flag=0):
    return struct.pack(">BI", flag, len(message)) + message


class Client:
    """One HTTP/2 connection, by hand."""

    def __init__(self, server, port=None, preface_parts=None):
        address = server.split(server.ports["grpc"][0]) if port is None else ("127.0.0.1", port)
        self.socket = socket.create_connection(address, timeout=20)
        self.h2 = h2.connection.H2Connection(h2.config.H2Configuration(client_side=True, header_encoding="utf-8"))
        self.h2.initiate_connection()
        first = self.h2.data_to_send()
        for i in preface_parts or []:
            self.socket.sendall(first[:i])
            first = first[i:]
            time.sleep(0.05)
        self.socket.sendall(first)
        self.calls, self.closed, self.goaway, self.pongs = {}, False, None, 0

    def flush(self):
        data = self.h2.data_to_send()
        if data:
            self.socket.sendall(data)

    def open(self, path, content_type="application/grpc", method="POST", more=()):
        number = self.h2.get_next_available_stream_id()
        self.h2.send_headers(number, [(":method", method), (":path", path), (":scheme", "http"), (":authority", "x"),
                                      ("content-type", content_type), ("te", "trailers"), *more])
        self.calls[number] = {"data": b"", "headers": {}, "trailers": {}, "ended": False, "reset": None}
        self.flush()
        return number

    def send(self, number, data, end=False, step=16000):
        for at in range(0, len(data), step):
            while self.h2.local_flow_control_window(number) < min(step, len(data) - at):
                self.read_once()
            self.h2.send_data(number, data[at:at + step])
            self.flush()
        if end:
            self.h2.end_stream(number)
            self.flush()

    def read_once(self):
        data = self.socket.recv(65536)
        if not data:
            self.closed = True
            return
        for e in self.h2.receive_data(data):
            call = self.calls.get(getattr(e, "stream_id", None))
            if isinstance(e, h2.events.ResponseReceived):
                call["headers"] = dict(e.headers)
            elif isinstance(e, h2.events.TrailersReceived):
                call["trailers"] = dict(e.headers)
            elif isinstance(e, h2.events.DataReceived):
                call["data"] += e.data
                self.h2.acknowledge_received_data(e.flow_controlled_length, e.stream_id)
            elif isinstance(e, h2.events.StreamEnded):
                call["ended"] = True
            elif isinstance(e, h2.events.StreamReset):
                call["reset"] = e.error_code
            elif isinstance(e, h2.events.ConnectionTerminated):
                self.goaway = e.error_code
            elif isinstance(e, h2.events.PingAckReceived):
                self.pongs += 1
        self.flush()

    def until(self, true, limit=10):
        self.socket.settimeout(limit * SLOW)
        while not true() and not self.closed:
            try:
                self.read_once()
            except ConnectionError:
                self.closed = True

    def finish(self, number):
        call = self.calls[number]
        self.until(lambda: call["ended"] or call["reset"] is not None, 30)  # a machine may be busy
        return call

    def status(self, number):
        call = self.finish(number)
        found = call["trailers"].get("grpc-status", call["headers"].get("grpc-status"))
        return None if found is None else int(found)

    def ask(self, kind, body=None):
        number = self.open(REQUEST)
        self.send(number, framed(payload(kind, {} if body is None else body)), end=True)
        assert self.status(number) == 0, self.calls[number]
        return unpack(self.calls[number]["data"][5:])

    def set_up(self, **more):
        self.stream = self.open(STREAM)
        self.say("ConnectionSetupRequest", {"clientVersion": "Test:v1", "tenant": "public",
                                            "labels": {"source": "sdk", "module": "naming"}, **more})
        eventually(lambda: self.ask("HealthCheckRequest")[0] == "HealthCheckResponse")
        return self

    def say(self, kind, body):
        self.send(self.stream, framed(payload(kind, body)))

    def hear(self, limit=10):
        """The next message on the stream."""
        return unpack(self.hear_message(limit))

    def hear_message(self, limit=10):
        """Its bytes."""
        call = self.calls[self.stream]
        whole = lambda: len(call["data"]) >= 5 and len(call["data"]) >= 5 + struct.unpack(">I", call["data"][1:5])[0]  # noqa: E731
        self.until(whole, limit)
        assert whole(), "nothing was heard"
        length = struct.unpack(">I", call["data"][1:5])[0]
        message, call["data"] = call["data"][5:5 + length], call["data"][5 + length:]
        return message

    def register(self, service, ip="10.0.0.1", **more):
        return self.ask("InstanceRequest", {"namespace": "public", "serviceName": service, "groupName": "DEFAULT_GROUP",
                                            "type": "registerInstance", "instance": {"ip": ip, "port": 80, **more}})

    def subscribe(self, service):
        return self.ask("SubscribeServiceRequest", {"namespace": "public", "serviceName": service,
                                                    "groupName": "DEFAULT_GROUP", "subscribe": True, "clusters": ""})

    def close(self):
        self.socket.close()
