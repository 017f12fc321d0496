"""What a new c-ares (pycares) has, with cookies and letters of random case: one line of addresses or of services a name."""
import select
import sys

import pycares

DNS_0X20 = 1 << 10  # ARES_FLAG_DNS_0x20, which pycares does not name
BAD = pycares.ARES_SOCKET_BAD


def wait(channel):
    while True:
        readers, writers = channel.getsock()
        if not readers and not writers:
            return
        readers, writers, _ = select.select(readers, writers, [], channel.timeout() or 0)
        for fd in readers:
            channel.process_fd(fd, BAD)
        for fd in writers:
            channel.process_fd(BAD, fd)
        if not readers and not writers:
            channel.process_fd(BAD, BAD)


def main():
    channel = pycares.Channel(flags=pycares.ARES_FLAG_EDNS | DNS_0X20)
    for name in sys.argv[1:]:
        found = []

        def told(answer, error):
            if error is not None:
                found.append("error")
            elif name.startswith("_"):
                found.extend(f"{r.priority} {r.weight} {r.port} {r.host}" for r in answer)
            else:
                found.extend(r.host for r in answer)
        channel.query(name, pycares.QUERY_TYPE_SRV if name.startswith("_") else pycares.QUERY_TYPE_A, told)
        wait(channel)
        print(",".join(found))


main()
