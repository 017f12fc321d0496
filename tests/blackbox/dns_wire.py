"""DNS messages as octets: writing questions that no library would write, and reading answers without being polite about them."""
import struct

A, NS, CNAME, SOA, PTR, MX, TXT, SRV, DNAME, OPT, IXFR, AXFR = 1, 2, 5, 6, 12, 15, 16, 33, 39, 41, 251, 252
IN, CH, NONE, ANY = 1, 3, 254, 255
NOERROR, FORMERR, NOTIMP, REFUSED, NOTAUTH, BADVERS = 0, 1, 4, 5, 9, 16


# ---- writing

def name(text):
    """The wire form; a dot ends a label, so there is none inside of one."""
    return b"".join(bytes([len(part)]) + part.encode() for part in text.split(".") if part) + b"\0"


def question(text, rdtype=A, rdclass=IN):
    return name(text) + struct.pack(">HH", rdtype, rdclass)


def header(flags=0, qd=1, an=0, ns=0, ar=0, number=0x1234):
    return struct.pack(">HHHHHH", number, flags, qd, an, ns, ar)


def option(code, octets=b""):
    return struct.pack(">HH", code, len(octets)) + octets


def opt(options=b"", size=1232, version=0, flags=0):
    return b"\0" + struct.pack(">HHBBHH", OPT, size, 0, version, flags, len(options)) + options


# ---- reading

class Unreadable(Exception):
    pass


NAMES_IN_RDATA = {NS: (0, 1), CNAME: (0, 1), SOA: (0, 2), PTR: (0, 1), MX: (2, 1), SRV: (6, 1), DNAME: (0, 1)}  # skip, count


class Message:
    """An answer: header fields, @question as it stands there, sections as lists of (owner, type, class, ttl, rdata) with names
    whole and in lower case, @owners as they are spelt, the OPT's fields (@edns None: there is none)."""

    def __init__(self, octets):
        self.octets = octets
        if len(octets) < 12:
            raise Unreadable("no header")
        self.id, self.flags, *self.counts = struct.unpack(">HHHHHH", octets[:12])
        self.opcode, self.rcode = self.flags >> 11 & 15, self.flags & 15
        self.edns, self.size, self.options, self.last = None, None, {}, None
        self.owners = []
        at = 12
        for _ in range(self.counts[0]):
            at = self.read_name(at)[1] + 4
        self.question = octets[12:at]
        self.sections = []
        for count in self.counts[1:]:
            records = []
            for _ in range(count):
                record, at = self.read_record(at)
                if record is not None:
                    records.append(record)
            self.sections.append(records)
        if at != len(octets):
            raise Unreadable("octets behind the last record")

    def read_name(self, at):
        labels, end, jumps, octets = [], None, 0, self.octets
        while True:
            if at >= len(octets):
                raise Unreadable("a name that is cut")
            n = octets[at]
            if n >= 0xC0:
                if at + 1 >= len(octets):
                    raise Unreadable("a name that is cut")
                end = end or at + 2
                to = (n & 0x3F) << 8 | octets[at + 1]
                jumps += 1
                if to >= at or to < 12 or jumps > 127:
                    raise Unreadable("a pointer that does not lead back")
                at = to
                continue
            at += 1
            if n == 0:
                return b"".join(labels) + b"\0", end or at
            labels.append(octets[at - 1:at + n])
            at += n

    def read_record(self, at):
        owner, at = self.read_name(at)
        if at + 10 > len(self.octets):
            raise Unreadable("a record that is cut")
        rdtype, rdclass, ttl, length = struct.unpack(">HHIH", self.octets[at:at + 10])
        at += 10
        end = at + length
        if end > len(self.octets):
            raise Unreadable("a record that is cut")
        self.last = rdtype
        if rdtype == OPT:
            self.read_opt(owner, rdclass, ttl, self.octets[at:end])
            return None, end
        self.owners.append(owner)
        return (owner.lower(), rdtype, rdclass, ttl, self.read_rdata(rdtype, at, end)), end

    def read_rdata(self, rdtype, at, end):
        skip, count = NAMES_IN_RDATA.get(rdtype, (0, 0))
        if end - at <= skip:
            return self.octets[at:end]
        whole = self.octets[at:at + skip]
        at += skip
        for _ in range(count):
            text, at = self.read_name(at)
            whole += text.lower()
        return whole + self.octets[at:end]

    def read_opt(self, owner, size, ttl, rdata):
        if owner != b"\0" or self.edns is not None:
            raise Unreadable("an OPT that is none")
        self.edns, self.size = ttl, size
        self.rcode |= (ttl >> 24) << 4
        while rdata:
            code, n = struct.unpack(">HH", rdata[:4])
            self.options[code] = rdata[4:4 + n]
            rdata = rdata[4 + n:]
