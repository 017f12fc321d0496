#!/usr/bin/env python3
"""A small real HTTP backend for the demonstration: answers every GET with its own address, /health with 200.

    backend.py ADDRESS PORT [--beat URL SERVICE WEIGHT]

With --beat it registers itself with the Muster at URL and sends a heartbeat every second, as an SDK of Nacos 1.x
does; killed, it simply falls silent.
"""
import http.server
import json
import sys
import threading
import time
import urllib.parse
import urllib.request


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        body = f"hello from {self.server.server_address[0]}\n".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


def beat(url, service, weight, address, port):
    metadata = {"preserved.heart.beat.interval": "1000", "preserved.heart.beat.timeout": "3000", "preserved.ip.delete.timeout": "6000"}
    fields = {"serviceName": service, "ip": address, "port": port, "weight": weight, "metadata": json.dumps(metadata)}
    call("POST", f"{url}/nacos/v1/ns/instance", fields)
    info = json.dumps({"ip": address, "port": port, "serviceName": f"DEFAULT_GROUP@@{service}", "cluster": "DEFAULT", "weight": float(weight),
                       "metadata": metadata})
    while True:
        time.sleep(1)
        try:
            call("PUT", f"{url}/nacos/v1/ns/instance/beat", {"serviceName": f"DEFAULT_GROUP@@{service}", "beat": info})
        except OSError:
            pass  # the server is away for a moment: the next beat tells


def call(method, url, fields):
    request = urllib.request.Request(url, data=urllib.parse.urlencode(fields).encode(), method=method)
    with urllib.request.urlopen(request, timeout=3) as answer:
        return answer.read()


def main():
    address, port = sys.argv[1], int(sys.argv[2])
    http.server.ThreadingHTTPServer.request_queue_size = 64
    server = http.server.ThreadingHTTPServer((address, port), Handler)
    if sys.argv[3:4] == ["--beat"]:
        threading.Thread(target=beat, args=(sys.argv[4], sys.argv[5], sys.argv[6], address, port), daemon=True).start()
    server.serve_forever()


main()
