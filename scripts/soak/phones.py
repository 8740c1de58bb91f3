"""Phones that register, are qualified, call and hang up, and write down what they sent and what became of it."""
import asyncio
import collections
import hashlib
import random
import re
import secrets
import socket
import time

from lab import PBX, PHONES

SERVER = (PBX, 5060)
T1, T2, LIFE = 0.5, 4.0, 32.0
# How long a caller who hangs up listens for the ringing that may be lost on its way.
PATIENCE = 10.0
PASSWORD = "right"
EXPIRES = 240
KEEPALIVE = b"\r\n\r\n"
# How soon repeats of the same bytes follow that a sender makes.
ECHO = (0.06, 0.3)


def parse(data):
    """First line and headers of a message; None for anything else."""
    head = data.decode("utf-8", "replace").split("\r\n\r\n")[0].split("\r\n")
    headers = collections.defaultdict(list)
    for line in head[1:]:
        name, _, value = line.partition(":")
        headers[name.strip().lower()].append(value.strip())
    return (head[0], headers) if "SIP/2.0" in head[0] else None


def new_branch():
    return f"z9hG4bK{secrets.token_hex(8)}"


def tag(value):
    found = re.search(r";tag=([^;>]+)", value)
    return found.group(1) if found else None


def digest(challenge, method, uri, user):
    """The credentials that answer a challenge without qop."""
    field = {name: value for name, value in re.findall(r'(\w+)="([^"]*)"', challenge)}
    md5 = lambda text: hashlib.md5(text.encode()).hexdigest()
    realm, nonce = field["realm"], field["nonce"]
    response = md5(f"{md5(f'{user}:{realm}:{PASSWORD}')}:{nonce}:{md5(f'{method}:{uri}')}")
    return f'Digest username="{user}", realm="{realm}", nonce="{nonce}", uri="{uri}", response="{response}"'


class Wire:
    """One socket and its impairments; counts what really went out."""

    def __init__(self, world, port):
        self.world = world
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        self.socket.bind((PHONES, port))
        self.socket.setblocking(False)

    def put(self, data, key):
        world, chance = self.world, random.random
        if chance() < world.loss:
            world.sent["(lost by the sender)"] += 1
        elif chance() < world.reorder:
            self.later(random.uniform(0.02, 0.2), data, key)
        else:
            self.now(data, key)
            if chance() < world.duplicate:
                self.later(random.uniform(*ECHO), data, key)

    def later(self, delay, data, key):
        self.world.pending += 1

        def send():
            self.world.pending -= 1
            self.now(data, key)

        asyncio.get_running_loop().call_later(delay, send)

    def now(self, data, key):
        try:
            self.socket.sendto(data, SERVER)
            self.world.sent[key] += 1
        except OSError:
            self.world.sent["(refused by the kernel)"] += 1


class Phone:
    """A user agent with one account."""

    def __init__(self, world, number):
        self.world, self.user, self.port = world, str(number), 10_000 + number
        self.wire = Wire(world, self.port)
        self.aor = f"sip:{self.user}@{PBX}"
        self.contact = f"<sip:{self.user}@{PHONES}:{self.port}>"
        self.identity = secrets.token_hex(6)
        self.cseq = 0
        self.until = 0.0
        self.waiting, self.answered, self.invited = {}, {}, {}
        asyncio.get_running_loop().add_reader(self.wire.socket, self.read)

    def read(self):
        for _ in range(64):
            try:
                data = self.wire.socket.recv(65_535)
            except OSError:
                return
            parsed = parse(data)
            if parsed is None or random.random() < self.world.deaf:
                continue
            first, headers = parsed
            if first.startswith("SIP/2.0"):
                self.response(int(first.split()[1]), headers)
            else:
                self.request(first.split()[0], headers)

    # What others want.

    def response(self, code, headers):
        branch = re.search(r"branch=([^;,\s]+)", headers["via"][0]).group(1)
        method = headers["cseq"][0].split()[1]
        waiting = self.waiting.get((branch, method))
        if waiting:
            waiting.put_nowait((code, headers))

    def request(self, method, headers):
        call = headers["call-id"][0]
        key = (headers["via"][0], method)
        if method == "ACK":
            if call in self.invited:
                self.invited[call].set()
            return
        if key in self.answered:
            for data, code in self.answered[key]:
                self.wire.put(data, code)
            return
        if method == "OPTIONS":
            self.reply(key, 200, headers)
            self.world.told["qualify answered"] += 1
        elif method == "BYE":
            self.reply(key, 200, headers)
            self.world.open.pop(call, None)
        elif method == "CANCEL":
            self.reply(key, 200, headers)
            if call in self.invited:
                self.invited.pop(call).set()
        elif method == "INVITE":
            self.world.spawn(self.ring(key, call, headers))

    def reply(self, key, code, headers, extra="", to_tag=None, keep=True):
        lines = [f"SIP/2.0 {code} Soak"] + [f"Via: {via}" for via in headers["via"]]
        lines += [f"Record-Route: {route}" for route in headers["record-route"]]
        to = headers["to"][0]
        to = to if tag(to) else f"{to};tag={to_tag or self.identity}"
        lines += [f"From: {headers['from'][0]}", f"To: {to}", f"Call-ID: {headers['call-id'][0]}", f"CSeq: {headers['cseq'][0]}"]
        data = ("\r\n".join(lines) + f"\r\n{extra}Content-Length: 0\r\n\r\n").encode()
        if keep:
            self.answered[key] = [(data, str(code))]
            asyncio.get_running_loop().call_later(LIFE, self.answered.pop, key, None)
        self.wire.put(data, str(code))
        return data

    async def ring(self, key, call, headers):
        """A call comes in; its Call-ID says what the user does."""
        plan, contact = call.split("-")[0], f"Contact: {self.contact}\r\n"
        if plan == "busy":
            return await self.refuse(key, 486, headers)
        self.reply(key, 180, headers, contact)
        if plan == "cancel":
            cancelled = self.invited[call] = asyncio.Event()
            try:
                await asyncio.wait_for(cancelled.wait(), LIFE)
                await self.refuse(key, 487, headers)
            except asyncio.TimeoutError:
                self.invited.pop(call, None)
            return None
        await asyncio.sleep(random.uniform(0.1, 0.5))
        await self.until_acknowledged(call, self.reply(key, 200, headers, contact), "200")
        return None

    async def refuse(self, key, code, headers):
        """Refuses a call."""
        await self.until_acknowledged(headers["call-id"][0], self.reply(key, code, headers), str(code))

    async def until_acknowledged(self, call, data, code):
        """Repeats a final response until its ACK comes (RFC 3261 §13.3.1.4, §17.2.1)."""
        acknowledged = self.invited[call] = asyncio.Event()
        pause, end = T1, time.monotonic() + LIFE
        while time.monotonic() < end:
            try:
                await asyncio.wait_for(acknowledged.wait(), pause)
                break
            except asyncio.TimeoutError:
                self.wire.put(data, code)
                pause = min(pause * 2, T2)
        self.invited.pop(call, None)

    # What it wants.

    def via(self, branch):
        return f"Via: SIP/2.0/UDP {PHONES}:{self.port};branch={branch}"

    async def transact(self, method, uri, headers, routes=(), branch=None, rings=None):
        """Sends a request as RFC 3261 has it, until its final response; None when there is none. Sets `rings` at the first 18x."""
        branch = branch or new_branch()
        lines = [f"{method} {uri} SIP/2.0", self.via(branch), "Max-Forwards: 70"]
        data = "\r\n".join(lines + [f"Route: {route}" for route in routes] + headers + ["Content-Length: 0", "", ""]).encode()
        queue = self.waiting[(branch, method)] = asyncio.Queue()
        pause, end, proceeding = T1, time.monotonic() + LIFE, False
        self.wire.put(data, method)
        try:
            while time.monotonic() < end or (proceeding and method == "INVITE"):
                try:
                    code, answer = await asyncio.wait_for(queue.get(), pause)
                    proceeding = True
                    if code >= 200:
                        return code, answer, branch
                    if rings and code >= 180:
                        rings.set()
                    if method == "INVITE":
                        pause, end = LIFE * 2, time.monotonic() + LIFE * 2
                except asyncio.TimeoutError:
                    if proceeding and method == "INVITE":
                        return None
                    self.wire.put(data, method)
                    pause = pause * 2 if method == "INVITE" else min(pause * 2, T2)
            return None
        finally:
            # Repeats of a final response are answered for as long as they may come.
            if method != "INVITE":
                self.waiting.pop((branch, method), None)
            else:
                asyncio.get_running_loop().call_later(LIFE, self.waiting.pop, (branch, method), None)

    async def register(self):
        call, uri = f"reg-{self.identity}", f"sip:{PBX}"
        common = [f"From: <{self.aor}>;tag={self.identity}", f"To: <{self.aor}>", f"Call-ID: {call}", f"Contact: {self.contact}",
                  f"Expires: {EXPIRES}", "User-Agent: Soak"]
        credentials = []
        for _ in range(2):
            self.cseq += 1
            answer = await self.transact("REGISTER", uri, common + [f"CSeq: {self.cseq} REGISTER"] + credentials)
            if answer is None:
                self.world.told["registration without answer"] += 1
                return
            code, headers, _ = answer
            if code == 200:
                self.until = time.time() + EXPIRES
                self.world.told["registration accepted"] += 1
                return
            credentials = [f"Authorization: {digest(headers['www-authenticate'][0], 'REGISTER', uri, self.user)}"]
        self.world.told[f"registration refused {code}"] += 1

    async def call(self, other, plan):
        """Calls another phone; what becomes of it is written down under the plan."""
        call, uri, own = f"{plan}-{secrets.token_hex(8)}", other, secrets.token_hex(4)
        frm = f"From: <{self.aor}>;tag={own}"
        extra, to, answer = [], f"To: <{other}>", None
        for cseq in (1, 2):
            headers = [frm, to, f"Call-ID: {call}", f"CSeq: {cseq} INVITE", f"Contact: {self.contact}"] + extra
            if plan == "large":
                headers.append(f"X-Pad: {'p' * 1_800}")
            branch, rings = new_branch(), asyncio.Event()
            transaction, gave_up = self.world.spawn(self.transact("INVITE", uri, headers, branch=branch, rings=rings)), False
            if plan == "cancel" and cseq == 2:
                lines = [f"CANCEL {uri} SIP/2.0", self.via(branch), "Max-Forwards: 70", frm, to, f"Call-ID: {call}", "CSeq: 2 CANCEL",
                         "Content-Length: 0", "", ""]
                gave_up = await self.cancel(transaction, rings, lines, branch)
            answer = await transaction
            if answer is None:
                # Whoever cancelled waits for no answer any longer (RFC 3261 §9.1).
                self.world.note(call, "call given up" if gave_up else "call without answer")
                return
            code, got, branch = answer
            if code >= 300:
                self.acknowledge(uri, self.via(branch), branch, [frm, f"To: {got['to'][0]}", f"Call-ID: {call}", f"CSeq: {cseq} ACK"])
            if code != 407:
                break
            extra = [f"Proxy-Authorization: {digest(got['proxy-authenticate'][0], 'INVITE', uri, self.user)}"]
        self.world.note(call, f"call {code}")
        if code == 200:
            await self.talk(call, branch, frm, got)

    async def cancel(self, transaction, rings, lines, branch):
        """Hangs up once it rings, or after a while in which nothing is heard; says whether there was time for it."""
        ringing = asyncio.create_task(rings.wait())
        done, _ = await asyncio.wait({transaction, ringing}, timeout=PATIENCE, return_when=asyncio.FIRST_COMPLETED)
        ringing.cancel()
        if transaction in done:
            return False
        queue = self.waiting[(branch, "CANCEL")] = asyncio.Queue()
        pause = T1
        for _ in range(10):
            self.wire.put("\r\n".join(lines).encode(), "CANCEL")
            try:
                await asyncio.wait_for(queue.get(), pause)
                break
            except asyncio.TimeoutError:
                pause = min(pause * 2, T2)
        self.waiting.pop((branch, "CANCEL"), None)
        return True

    def acknowledge(self, uri, via, branch, headers):
        """Acknowledges the final response to the INVITE of that branch, and each repeat of it."""
        data = "\r\n".join([f"ACK {uri} SIP/2.0", via, "Max-Forwards: 70", *headers, "Content-Length: 0", "", ""]).encode()
        self.wire.put(data, "ACK")
        self.waiting[(branch, "INVITE")] = Repeats(lambda: self.wire.put(data, "ACK"))

    async def talk(self, call, branch, frm, got):
        target = re.search(r"<([^>]+)>", got["contact"][0]).group(1)
        routes, to = list(reversed(got["record-route"])), f"To: {got['to'][0]}"
        common = [frm, to, f"Call-ID: {call}"]
        self.acknowledge(target, self.via(new_branch()), branch, [f"Route: {route}" for route in routes] + common + ["CSeq: 2 ACK"])
        self.world.open[call] = self.user
        self.world.longest = max(self.world.longest, len(self.world.open))
        await asyncio.sleep(random.expovariate(1 / self.world.talk))
        while not self.world.going.is_set():
            await self.world.going.wait()
            await asyncio.sleep(random.uniform(0, self.world.linger) + random.expovariate(1 / self.world.talk))
        answer = await self.transact("BYE", target, common + ["CSeq: 3 BYE"], routes)
        self.world.open.pop(call, None)
        self.world.told["hung up" if answer else "hung up without answer"] += 1
        self.world.ended.append(call)


class Repeats:
    """Takes the place of a queue once only repeats can come."""

    def __init__(self, again):
        self.again = again

    def put_nowait(self, item):
        if item[0] >= 200:
            self.again()


class World:
    """All phones and what they share: how good their network is, whether they go on, and what they wrote down."""

    def __init__(self, count):
        self.sent, self.told, self.calls = collections.Counter(), collections.Counter(), {}
        self.loss = self.duplicate = self.reorder = self.deaf = 0.0
        # Seconds that a conversation lasts and calls a second, on average.
        self.talk, self.rate, self.linger = 4.0, 2.0, 0.0
        self.pending, self.longest, self.tasks, self.open, self.ended = 0, 0, set(), {}, []
        self.going = asyncio.Event()
        self.phones = [Phone(self, 1_000 + number) for number in range(count)]

    def note(self, call, outcome):
        """Writes down what a call came to."""
        self.told[outcome] += 1
        self.calls[call] = outcome

    def spawn(self, work):
        task = asyncio.get_running_loop().create_task(work)
        self.tasks.add(task)
        task.add_done_callback(self.done)
        return task

    def done(self, task):
        self.tasks.discard(task)
        if not task.cancelled() and task.exception():
            self.told[f"error {task.exception()!r}"] += 1

    async def live(self):
        """What the phones do by themselves, for ever."""
        await asyncio.gather(self.keep_registered(), self.keep_alive(), self.make_calls())

    async def keep_registered(self):
        while True:
            for phone in self.phones:
                await self.going.wait()
                self.spawn(phone.register())
                await asyncio.sleep(30 / len(self.phones) if phone.until else 0.02)

    async def keep_alive(self):
        while True:
            await asyncio.sleep(20)
            for phone in self.phones:
                await self.going.wait()
                # Always alike: one that is repeated soon would be taken for a copy of the capture.
                phone.wire.now(KEEPALIVE, "keep-alive")

    async def make_calls(self):
        while True:
            await self.going.wait()
            known = [phone for phone in self.phones if phone.until > time.time() + 60]
            if len(known) > 1:
                caller, callee = random.sample(known, 2)
                # A copy of what comes in fragments counts once for each of them.
                large = 0 if self.duplicate else 8
                plan = random.choices(("answer", "busy", "cancel", "nobody", "large"), (70, 8, 8, 6, large))[0]
                number = callee.aor if plan != "nobody" else f"sip:9{random.randrange(10**6)}@{PBX}"
                self.spawn(caller.call(number, plan))
            await asyncio.sleep(random.expovariate(self.rate))

    # Orders of the harness.

    def go(self, **quality):
        for name, value in quality.items():
            setattr(self, name, value)
        self.going.set()

    def halt(self):
        self.going.clear()
        self.loss = self.duplicate = self.reorder = self.deaf = 0.0

    def calls_made(self):
        return self.calls

    def is_quiet(self):
        """Whether nothing is under way but conversations."""
        return self.pending == 0 and len(self.tasks) <= len(self.open) and not any(phone.invited for phone in self.phones)

    def ledger(self):
        now = time.time()
        return {"sent": dict(self.sent), "told": dict(self.told), "open": sorted(self.open), "ended": self.ended, "longest": self.longest,
                "registered": sorted(phone.user for phone in self.phones if phone.until > now)}
