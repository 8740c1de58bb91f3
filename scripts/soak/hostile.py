"""Those who wish siphound ill: scanners, floods of strangers, bytes that mean nothing, and bad clients of its HTTP port."""
import asyncio
import collections
import random
import secrets
import socket

from lab import PBX

SERVER = (PBX, 5060)
HTTP = ("127.0.0.1", 15_060)
SCANNER, GUESSER, DIALLER = "198.18.0.66", "198.18.0.67", "198.18.0.68"
# Strangers who still listen for an answer.
STRANGERS = 64


def message(method, user, source, call=None, extra=""):
    """A request of a stranger."""
    host, port = source
    call = call or secrets.token_hex(8)
    return (f"{method} sip:{user}@{PBX} SIP/2.0\r\nVia: SIP/2.0/UDP {host}:{port};branch=z9hG4bK{secrets.token_hex(6)}\r\n"
            f"Max-Forwards: 70\r\nFrom: <sip:{user}@{PBX}>;tag={secrets.token_hex(4)}\r\nTo: <sip:{user}@{PBX}>\r\nCall-ID: {call}\r\n"
            f"CSeq: 1 {method}\r\nContact: <sip:{user}@{host}:{port}>\r\n{extra}Content-Length: 0\r\n\r\n").encode()


def stranger(host=None):
    """A socket of somebody whom nobody knows."""
    opened = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    opened.setblocking(False)
    host = host or f"198.{random.randrange(18, 20)}.{random.randrange(1, 255)}.{random.randrange(1, 255)}"
    opened.bind((host, 0))
    return opened


class Crowd:
    """Scanners and floods; counts what really went out."""

    def __init__(self):
        self.sent = collections.Counter()
        self.going, self.rate, self.kinds = asyncio.Event(), 0.0, ()
        self.sockets = collections.deque(stranger() for _ in range(STRANGERS))
        self.fixed = {host: stranger(host) for host in (SCANNER, GUESSER, DIALLER)}
        self.number = 0

    async def live(self):
        while True:
            await self.going.wait()
            # So many each fiftieth of a second.
            for _ in range(max(1, round(self.rate / 50))):
                self.one(random.choice(self.kinds))
            await asyncio.sleep(0.02)
            for opened in self.fixed.values():
                self.empty(opened)

    def one(self, kind):
        self.number += 1
        if kind == "scan":
            opened, method = self.fixed[SCANNER], random.choice(("OPTIONS", "REGISTER"))
            self.put(opened, message(method, str(100 + self.number % 9_000), opened.getsockname()), method)
        elif kind == "guess":
            opened = self.fixed[GUESSER]
            user = str(1_000 + self.number % 10)
            guess = (f'Authorization: Digest username="{user}", realm="{PBX}", nonce="{secrets.token_hex(16)}", uri="sip:{PBX}", '
                     f'response="{secrets.token_hex(16)}"\r\n')
            self.put(opened, message("REGISTER", user, opened.getsockname(), extra=guess), "REGISTER")
        elif kind == "dial":
            opened = self.fixed[DIALLER]
            self.put(opened, message("INVITE", f"00{random.randrange(10**11)}", opened.getsockname()), "INVITE")
        elif kind == "flood":
            opened = self.renew()
            method = random.choice(("OPTIONS", "REGISTER", "INVITE"))
            self.put(opened, message(method, secrets.token_hex(5), opened.getsockname()), method)
        else:
            opened = self.renew()
            # Never the same twice: siphound would take that for a copy of the capture.
            own = secrets.token_hex(8).encode()
            noise = random.choice((b"\x01" + secrets.token_bytes(random.randrange(16, 1_200)), b"\xff" * 40 + own, b"GET /" + own))
            self.put(opened, noise, "(no SIP)")

    def renew(self):
        """A stranger who says but one thing; the one who said his first is gone by then."""
        self.sockets.popleft().close()
        self.sockets.append(stranger())
        return self.sockets[-1]

    def put(self, opened, data, key):
        try:
            opened.sendto(data, SERVER)
            self.sent[key] += 1
        except OSError:
            self.sent["(refused by the kernel)"] += 1

    def empty(self, opened):
        try:
            while True:
                opened.recv(65_535)
        except OSError:
            return

    # Orders of the harness.

    def go(self, rate, kinds):
        self.rate, self.kinds = rate, kinds
        self.going.set()

    def halt(self):
        self.going.clear()

    def is_quiet(self):
        return True

    def ledger(self):
        return {"sent": dict(self.sent)}


class Clients:
    """Bad clients of the HTTP port, fewer than it serves at a time, and some that ask for pages in a hurry."""

    def __init__(self):
        self.told = collections.Counter()
        self.going, self.open = asyncio.Event(), 0

    async def live(self):
        many = [self.slow] * 8 + [self.idle] * 8 + [self.deaf] * 6 + [self.huge, self.noise, self.torn] + [self.reader] * 2
        await asyncio.gather(*(self.again(one) for one in many))

    async def again(self, one):
        while True:
            await self.going.wait()
            try:
                reader, writer = await asyncio.open_connection(*HTTP)
            except OSError:
                self.told["no connection"] += 1
                await asyncio.sleep(1)
                continue
            self.open += 1
            try:
                self.told[await one(reader, writer)] += 1
            except (OSError, asyncio.IncompleteReadError):
                self.told[f"{one.__name__}: cut off"] += 1
            finally:
                self.open -= 1
                writer.transport.abort()
            await asyncio.sleep(random.uniform(0.05, 0.5))

    async def until_halt(self, reader, writer, step=None):
        """Goes on until siphound has enough of it, or the harness has."""
        while self.going.is_set() and not reader.at_eof():
            if step:
                writer.write(step)
                await writer.drain()
            try:
                await asyncio.wait_for(reader.read(4_096), 0.5)
            except asyncio.TimeoutError:
                pass

    async def slow(self, reader, writer):
        writer.write(b"GET /metrics HTTP/1.1\r\n")
        await self.until_halt(reader, writer, b"X")
        return "slow: one byte after the other"

    async def idle(self, reader, writer):
        await self.until_halt(reader, writer)
        return "idle"

    async def deaf(self, reader, writer):
        """Wants all events and reads none."""
        writer.transport.pause_reading()
        writer.write(b"GET /api/v1/events HTTP/1.1\r\nHost: x\r\n\r\n")
        for _ in range(40):
            await asyncio.sleep(0.5)
            if not self.going.is_set():
                break
        return "events that nobody read"

    async def huge(self, reader, writer):
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\nX-Pad: " + b"a" * 200_000 + b"\r\n\r\n")
        return f"huge header: {await self.status(reader)}"

    async def noise(self, reader, writer):
        writer.write(secrets.token_bytes(3_000))
        return f"noise: {await self.status(reader)}"

    async def torn(self, reader, writer):
        writer.write(b"GET /api/v1/calls HTTP/1.1\r\nHost: x\r\n\r\n")
        return "gone before the answer"

    async def reader(self, reader, writer):
        page = random.choice(("calls?limit=1000", "registrations?limit=1000", "findings", "summary", "calls?user=%00%ff", "nope"))
        writer.write(f"GET /api/v1/{page} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
        status = await self.status(reader)
        while await reader.read(65_536):
            pass
        return f"page: {status}"

    async def status(self, reader):
        line = await asyncio.wait_for(reader.readline(), 15)
        return line.split(b" ")[1].decode() if line.startswith(b"HTTP/1.") else "closed"

    # Orders of the harness.

    def go(self):
        self.going.set()

    def halt(self):
        self.going.clear()

    def is_quiet(self):
        return self.open == 0

    def ledger(self):
        return {"told": dict(self.told)}
