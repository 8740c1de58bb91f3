#!/usr/bin/env python3
"""python3 scripts/soak [--minutes N | --seconds N] [--siphound FILE]: runs siphound under changing live traffic and holds it to account.

Kamailio is the PBX; phones register, are qualified and call; others scan, guess, flood and send noise; networks lose, repeat and reorder;
the interface goes down, goes away and comes back; the disk of the history fills up and is freed; bad HTTP clients do what they can, and
Prometheus scrapes each second. All of it in namespaces that are gone with this process. After each phase the generators pause, and what
siphound counted is held against what they wrote down and what the kernel counted.

Exit code 1 where anything differs without a reason, or memory or descriptors grow; 2 where something is missing that it needs (root, ip,
nft, kamailio, kamcmd).
"""
import argparse
import functools
import json
import os
import pathlib
import shutil
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import hostile
import lab
import phones
from accounts import ENOUGH, Accounts
from watch import Watch
from worker import Worker

PROGRAMS = ("ip", "nft", "kamailio", "kamcmd", "unshare", "mount")
PHONES = 40
# Bytes of the disk of the history.
DISK = 48 << 20
# The largest table that no limit of the configuration is for.
SPEAKERS = 65_536
# Seconds within which conversations end that were under way in a pause: all at once would be a mass drop, and calls of one duration.
LINGER = 40
# Seconds of a conversation, on average.
TALK = 4
SHORT = ("everything", "full disk", "flaps", "interface made anew")
IMPAIRED = {"loss": 0.1, "duplicate": 0.1, "reorder": 0.1, "deaf": 0.05}


class Phase:
    """One kind of weather: what the crowd does, how good the phones' network is, and what happens meanwhile."""

    def __init__(self, name, crowd=None, quality=None, event=None, exact=True):
        self.name, self.crowd, self.quality, self.event, self.exact = name, crowd, quality or {}, event, exact


class Soak(Accounts):
    def __init__(self, arguments, folder):
        self.seconds, self.folder = arguments.seconds or arguments.minutes * 60, folder
        self.only, self.keep = [name for name in arguments.only.split(",") if name], arguments.keep
        super().__init__()
        self.state = folder / "state"
        self.state.mkdir()
        lab.run("mount", "-t", "tmpfs", "-o", f"size={DISK}", "tmpfs", self.state)
        lab.build()
        self.kamailio = lab.Kamailio(folder)
        self.phones = Worker("phones", functools.partial(phones.World, PHONES))
        self.crowd = Worker("phones", hostile.Crowd)
        self.clients = Worker("pbx", hostile.Clients)
        lab.enter("pbx")
        self.siphound = lab.Siphound(arguments.siphound, folder, self.state, arguments.interface)
        self.watch = Watch(self.siphound)
        self.capture = lab.capture(self.keep / "soak.pcap") if self.keep else None

    # The phases.

    def phases(self):
        flood = {"rate": 500, "kinds": ("flood",) * 9 + ("noise",)}
        scan = {"rate": 60, "kinds": ("scan", "guess", "dial")}
        return [
            Phase("calm"),
            Phase("flood", flood),
            Phase("impaired", None, IMPAIRED),
            Phase("full disk", scan, event=self.fill_disk),
            Phase("scanners", scan, {"deaf": 0.02}),
            Phase("flaps", scan, event=self.flap, exact=False),
            Phase("everything", flood, IMPAIRED),
            Phase("interface made anew", scan, event=self.remake, exact=False),
        ]

    def run(self):
        cycle, began = self.phases(), time.monotonic()
        if self.only:
            cycle = [phase for phase in cycle if phase.name in self.only]
        elif self.seconds < 60:
            cycle = [phase for phase in cycle if phase.name in SHORT]
        # Twice all of it at least: memory is judged from the second time on.
        length = max(3, min(40, self.seconds / len(cycle) / 2))
        self.before = self.snapshot()
        self.watch.start()
        self.phones.ask("go", linger=min(LINGER, length), talk=min(TALK, length / 4))
        time.sleep(min(5, length))
        if self.seconds > ENOUGH:
            self.weather(Phase("filling", {"rate": 1_000, "kinds": ("flood",)}, event=self.fill_tables), length)
        warm_up = time.monotonic() - began + length * len(cycle)
        number = 0
        while number < len(cycle) or time.monotonic() - began < self.seconds:
            self.weather(cycle[number % len(cycle)], length)
            number += 1
        self.hang_up()
        self.watch.ending.set()
        self.judge_growth(warm_up)
        if self.siphound.stop() != 0:
            self.wrong("siphound did not end in order")
        if "panicked" in self.siphound.path.read_text():
            self.wrong("siphound panicked: see its log")

    def weather(self, phase, length):
        began = time.monotonic()
        self.phones.ask("go", **phase.quality)
        self.clients.ask("go")
        if phase.crowd:
            self.crowd.ask("go", **phase.crowd)
        if phase.event:
            phase.event(length)
        time.sleep(max(0.5, length - (time.monotonic() - began)))
        if self.siphound.revive():
            self.wrong(f"{phase.name}: siphound ended by itself with {self.siphound.process.returncode}")
        for worker in (self.crowd, self.clients, self.phones):
            if not worker.settle():
                self.wrong(f"{phase.name}: something is under way for ever: {worker.ask('ledger')}")
        self.compare(phase, time.monotonic() - began)

    def hang_up(self):
        """Lets all calls come to their end."""
        self.phones.ask("go", rate=1e-6)
        lab.until(lambda: not self.phones.ask("ledger")["open"], "calls do not end", patience=150)
        self.phones.settle()
        self.compare(Phase("hanging up"), 0)

    def fill_tables(self, _):
        """Strangers until the largest table is full, and its queue of deadlines: that keeps two for each entry before it sorts them out."""
        lab.until(lambda: self.scrape().sum("evicted_total", kind="speakers") > 3 * SPEAKERS, "the tables do not fill", patience=400)

    def fill_disk(self, length):
        ballast = self.state / "ballast"
        with open(ballast, "wb", buffering=0) as file:
            try:
                while True:
                    file.write(bytes(1 << 16))
            except OSError:
                pass
        try:
            with open(ballast, "ab", buffering=0) as file:
                while True:
                    file.write(b"\0")
        except OSError:
            pass
        def are(up):
            return lambda: all(self.scrape().sum("history_up", store=store) == up for store in ("database", "traces"))
        lab.until(are(0), "a full disk is not told", self.siphound)
        time.sleep(length / 2)
        ballast.unlink()
        lab.until(are(1), "a freed disk is not used", self.siphound)

    def flap(self, length):
        for _ in range(2):
            lab.lower_link()
            time.sleep(min(3, length / 4))
            lab.raise_link()
            self.captures_again()
            time.sleep(min(3, length / 8))

    def remake(self, length):
        lab.remove_link()
        time.sleep(min(3, length / 4))
        lab.connect()
        self.captures_again()

    def keep_books(self):
        """Leaves what explains a difference where it was asked for."""
        if self.capture:
            self.capture.terminate()
            self.capture.wait()
            shutil.copy(self.siphound.path, self.keep / "siphound.log")
            (self.keep / "calls.json").write_text(json.dumps(self.phones.ask("calls_made"), indent=0))

    def captures_again(self):
        """Waits until siphound captures, and starts it where it ended, as its unit would."""
        def ready():
            if self.siphound.revive():
                self.notes.append("siphound ended when its interface went, and was started again")
            return self.siphound.is_ready()
        lab.until(ready, "siphound does not take the interface up again", self.siphound, 60)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--seconds", type=float)
    parser.add_argument("--siphound", default="target/release/siphound", type=pathlib.Path)
    parser.add_argument("--only", default="", help="these phases alone, with commas between them")
    parser.add_argument("--keep", type=pathlib.Path, help="a folder for a capture of all the traffic, the log of siphound and the phones' books")
    parser.add_argument("--interface", default="any", choices=("any", lab.LINK),
                        help="what is captured on: any goes on when the link goes away, the link alone makes siphound begin anew")
    arguments = parser.parse_args()
    missing = [program for program in PROGRAMS if not shutil.which(program)]
    if os.geteuid() or missing or not arguments.siphound.exists():
        print(f"skipped: needs root, {', '.join(PROGRAMS)} and {arguments.siphound}; missing: {', '.join(missing) or 'root or siphound'}")
        return 2
    arguments.siphound = arguments.siphound.resolve()
    if arguments.keep:
        arguments.keep.mkdir(parents=True, exist_ok=True)
    if "SOAK_INSIDE" not in os.environ:
        # What is mounted and started in there ends with it.
        inside = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", sys.executable, *sys.argv]
        os.execvpe(inside[0], inside, {**os.environ, "SOAK_INSIDE": "1"})
    with tempfile.TemporaryDirectory(prefix="soak-", ignore_cleanup_errors=True) as folder:
        soak = Soak(arguments, pathlib.Path(folder))
        try:
            soak.run()
        finally:
            if soak.rows:
                soak.print_tables()
            soak.keep_books()
            print(soak.siphound.path.read_text()[-2_000:] if soak.violations else "", flush=True)
            for worker in (soak.phones, soak.crowd, soak.clients):
                worker.process.terminate()
            soak.siphound.process.kill()
            soak.kamailio.process.terminate()
            soak.kamailio.process.wait()
            lab.run("umount", "-l", soak.state, check=False)
    for violation in soak.violations:
        print(f"WRONG  {violation}")
    print("soak: " + (f"{len(soak.violations)} violations" if soak.violations else "all accounts agree"))
    return 1 if soak.violations else 0


if __name__ == "__main__":
    sys.exit(main())
