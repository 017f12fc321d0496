"""What stands between clients and a server: both ports, and connections that can be cut in the middle."""
import socket
import struct
import threading

from conftest import listen_at_two


def close_hard(one):
    """A reset, not an orderly end."""
    one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    try:
        one.shutdown(socket.SHUT_RD)  # wakes its carrier
    except OSError:
        pass
    one.close()


class Relay:
    """To a client it is the server: http_address is its own."""

    def __init__(self, server):
        self.pairs, self.lock = [], threading.Lock()
        grpc = server.split(server.ports["grpc"][0])
        self.listeners = listen_at_two()
        self.http_address = self.listeners[0].getsockname()
        for listener, to in zip(self.listeners, (server.http_address, grpc)):
            threading.Thread(target=self.accept, args=(listener, to), daemon=True).start()

    def accept(self, listener, to):
        while True:
            try:
                one, _ = listener.accept()
            except OSError:
                return
            try:
                other = socket.create_connection(to, timeout=5)
            except OSError:
                one.close()
                continue
            other.settimeout(None)
            with self.lock:
                self.pairs.append((one, other))
            for a, b in ((one, other), (other, one)):
                threading.Thread(target=self.carry, args=(a, b), daemon=True).start()

    @staticmethod
    def carry(a, b):
        try:
            while data := a.recv(65536):
                b.sendall(data)
            b.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def cut(self):
        """Both ends of every connection are reset; new ones are carried."""
        with self.lock:
            pairs, self.pairs = self.pairs, []
        for pair in pairs:
            for one in pair:
                close_hard(one)

    def close(self):
        for listener in self.listeners:
            listener.close()
        self.cut()
