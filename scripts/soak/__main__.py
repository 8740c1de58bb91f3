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
import collections
import functools
import json
import os
import pathlib
import shutil
import statistics
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import hostile
import lab
import phones
from watch import Metrics, Watch, descriptors, growth, memory_line
from worker import Worker

PROGRAMS = ("ip", "nft", "kamailio", "kamcmd", "unshare", "mount")
PHONES = 40
# Bytes of the disk of the history, and how much of memory may come and go.
DISK, SLACK_KIB, SLACK_SHARE = 48 << 20, 2_048, 0.03
# Seconds after the warm-up that say something about growth.
ENOUGH = 600
# What must have come to rest before it is compared.
MOVING = ("siphound_messages", "siphound_session", "siphound_capture_frames")
# What the phones are told a call came to, in the words of siphound.
OUTCOMES = {"call 200": "answered", "call 486": "busy", "call 487": "cancelled", "call 480": "unavailable"}
SHORT = ("everything", "full disk", "flaps", "interface made anew")
IMPAIRED = {"loss": 0.1, "duplicate": 0.1, "reorder": 0.1, "deaf": 0.05}


class Phase:
    """One kind of weather: what the crowd does, how good the phones' network is, and what happens meanwhile."""

    def __init__(self, name, crowd=None, quality=None, event=None, exact=True):
        self.name, self.crowd, self.quality, self.event, self.exact = name, crowd, quality or {}, event, exact


class Row(dict):
    """What one phase came to."""

    __getattr__ = dict.__getitem__


class Soak:
    def __init__(self, arguments, folder):
        self.seconds, self.folder = arguments.seconds or arguments.minutes * 60, folder
        self.violations, self.rows, self.notes = [], [], []
        self.state = folder / "state"
        self.state.mkdir()
        lab.run("mount", "-t", "tmpfs", "-o", f"size={DISK}", "tmpfs", self.state)
        lab.build()
        self.kamailio = lab.Kamailio(folder)
        self.phones = Worker("phones", functools.partial(phones.World, PHONES))
        self.crowd = Worker("phones", hostile.Crowd)
        self.clients = Worker("pbx", hostile.Clients)
        lab.enter("pbx")
        self.siphound = lab.Siphound(arguments.siphound, folder, self.state)
        self.watch = Watch(self.siphound)
        self.base = None
        self.missed = 0

    def wrong(self, what):
        self.violations.append(what)
        print(f"WRONG  {what}", flush=True)

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
        if self.seconds < 60:
            cycle = [phase for phase in cycle if phase.name in SHORT]
        # Twice all of it at least: the first time fills the tables.
        length = max(3, min(75, self.seconds / len(cycle) / 2))
        self.before = self.snapshot()
        self.watch.start()
        self.phones.ask("go")
        time.sleep(min(5, length))
        number = 0
        while number < len(cycle) or time.monotonic() - began < self.seconds:
            self.weather(cycle[number % len(cycle)], length)
            number += 1
        self.hang_up()
        self.watch.ending.set()
        self.judge_growth(length * len(cycle))
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
        stores = ("database", "traces")
        lab.until(lambda: all(self.scrape().sum("history_up", store=store) == 0 for store in stores), "a full disk is not told", self.siphound)
        time.sleep(length / 2)
        ballast.unlink()
        lab.until(lambda: all(self.scrape().sum("history_up", store=store) == 1 for store in stores), "a freed disk is not used", self.siphound)

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

    def captures_again(self):
        """Waits until siphound captures, and starts it where it ended, as its unit would."""
        def ready():
            if self.siphound.revive():
                self.notes.append("siphound ended when its interface went, and was started again")
            return self.siphound.is_ready()
        lab.until(ready, "siphound does not take the interface up again", self.siphound, 60)

    # The accounts.

    def scrape(self):
        status, text = lab.page("/metrics")
        if status != 200:
            raise SystemExit(f"/metrics says {status}\n{self.siphound.path.read_text()[-3000:]}")
        return Metrics(text)

    def snapshot(self):
        """What everybody counted, at a moment in which nothing moves."""
        previous, still = None, 0
        for _ in range(200):
            metrics, kernel = self.scrape(), lab.kernel_counts()
            ledgers = [worker.ask("ledger") for worker in (self.phones, self.crowd)]
            key = (ledgers, kernel, [series for series in metrics.series if series[0].startswith(MOVING)])
            still = still + 1 if key == previous else 0
            # What siphound holds back until later frames have come is out by then.
            if still == 3:
                break
            previous = key
            time.sleep(0.25)
        else:
            self.wrong("the counters do not come to rest")
        sent = collections.Counter()
        for ledger in ledgers:
            sent.update(ledger["sent"])
        return Row(sent=sent, told=collections.Counter(ledgers[0]["told"]), phones=ledgers[0], kernel=kernel, metrics=metrics,
                   starts=self.siphound.starts)

    def settled(self):
        """As soon as each call has its outcome, which siphound waits for a moment with, or after a while."""
        for _ in range(12):
            now = self.snapshot()
            counted = sum(now.told[key] - self.before.told[key] for key in OUTCOMES)
            if counted == now.metrics.sum("session_outcomes_total", peer_class="endpoint") - self.before.metrics.sum("session_outcomes_total", peer_class="endpoint"):
                break
        return now

    def compare(self, phase, took):
        now, before = self.settled(), self.before
        if now.starts != before.starts:
            before = Row(before, metrics=Metrics(""))
        self.before = now

        def gained(family, **labels):
            return now.metrics.sum(family, **labels) - before.metrics.sum(family, **labels)

        def moved(counter):
            return {key: value - before[counter][key] for key, value in now[counter].items()}

        sent, told = moved("sent"), moved("told")
        offered = {key: count for key, count in sent.items() if not key.startswith(("(", "keep"))}
        other = sent.get("keep-alive", 0) + sent.get("(no SIP)", 0)
        kernel = {way: now.kernel[way] - before.kernel[way] for way in ("in", "out")}
        row = Row(name=phase.name, took=took, offered=sum(offered.values()), arrived=kernel["in"] - other, other=other,
                  seen=gained("messages_total", dir="in"), copies=gained("capture_duplicates_total"), sent=kernel["out"],
                  seen_out=gained("messages_total", dir="out"), dropped=gained("capture_dropped_total"),
                  calls=sum(told.get(key, 0) for key in OUTCOMES), calls_seen=gained("session_outcomes_total", peer_class="endpoint"),
                  registered=len(now.phones["registered"]), fds=descriptors(self.siphound.process.pid))
        self.rows.append(row)
        row["difference"] = row.offered + row.sent - row.seen - row.seen_out - row.copies
        print(show(row), flush=True)
        for key in [key for key in told if key.startswith("error")]:
            self.wrong(f"{phase.name}: a phone of the harness failed: {key}")
        if phase.exact:
            self.exact(phase, row, offered, told, gained)
        else:
            self.bounded(phase, row, told, gained)
        self.who_is_registered(phase, now)
        self.check_descriptors(phase, row)

    def exact(self, phase, row, offered, told, gained):
        """The capture was up all the time: each number is the same on both sides."""
        if row.offered != row.arrived:
            self.notes.append(f"{phase.name}: {row.offered - row.arrived} of {row.offered} datagrams were lost before the PBX (kernel counters)")
            row["difference"] -= row.offered - row.arrived
        if not 0 <= row.difference <= row.dropped:
            self.wrong(f"{phase.name}: {row.difference} messages were not seen, and {row.dropped} are said to be dropped")
        if row.copies == 0 and row.dropped == 0 and row.offered == row.arrived:
            for key, count in offered.items():
                labels = {"code": key} if key.isdigit() else {"method": key}
                seen = gained("messages_total", dir="in", **labels)
                if seen != count:
                    self.wrong(f"{phase.name}: {count} {key} were sent, {seen} counted")
        if row.dropped:
            return
        for key, outcome in OUTCOMES.items():
            seen = gained("session_outcomes_total", peer_class="endpoint", outcome=outcome)
            if seen != told.get(key, 0):
                self.wrong(f"{phase.name}: {told.get(key, 0)} calls came to {key}, {seen} are counted as {outcome}")
        completed = gained("sessions_completed_total")
        if completed != told.get("hung up", 0):
            self.wrong(f"{phase.name}: {told.get('hung up', 0)} calls were hung up, {completed} are counted")
        active = self.before.metrics.sum("calls_active", state="confirmed")
        if active != self.before.phones["open"] + self.missed:
            self.wrong(f"{phase.name}: {self.before.phones['open']} calls are up, {active} are counted, {self.missed} ended unseen")

    def bounded(self, phase, row, told, gained):
        """The capture was away for a while: nothing is counted that was not there, and no silence is taken for a failure."""
        if row.difference < 0:
            self.wrong(f"{phase.name}: {-row.difference} messages were counted that nobody sent")
        without = told.get("call without answer", 0)
        if gained("session_outcomes_total", peer_class="endpoint", outcome="no_response") > without:
            self.wrong(f"{phase.name}: calls are said to have no answer that had one")
        active = self.before.metrics.sum("calls_active", state="confirmed")
        self.missed = active - self.before.phones["open"]
        self.notes.append(f"{phase.name}: {row.offered - row.arrived} datagrams went to an interface that was away, {row.arrived + row.sent - row.seen - row.seen_out - row.copies} "
                          f"passed between its return and its capture; calls in progress differ by {self.missed}")

    def who_is_registered(self, phase, now):
        """Each phone that holds a registration is known to, and nobody else is."""
        status, text = lab.page("/api/v1/registrations?state=registered&limit=1000")
        known = sorted(entry["aor"].split("@")[0] for entry in json.loads(text)["items"]) if status == 200 else []
        held = now.phones["registered"]
        if known != held:
            self.wrong(f"{phase.name}: registered and not known {sorted(set(held) - set(known))}, known and not registered {sorted(set(known) - set(held))}")
        if (at_pbx := self.kamailio.registered()) != len(held):
            self.wrong(f"{phase.name}: Kamailio has {at_pbx} users, the phones say {len(held)}")

    def check_descriptors(self, phase, row):
        self.base = self.base or row.fds
        if row.fds > self.base + 3:
            self.wrong(f"{phase.name}: {row.fds} descriptors are open, at first there were {self.base}")

    def hang_up(self):
        """Lets all calls come to their end."""
        self.phones.ask("go", rate=1e-6)
        lab.until(lambda: self.phones.ask("ledger")["open"] == 0, "calls do not end", patience=60)
        self.phones.settle()
        self.compare(Phase("hanging up"), 0)

    def judge_growth(self, warm_up):
        if self.watch.failed:
            self.wrong(f"{self.watch.failed} of {self.watch.scrapes} scrapes failed")
        last = [sample for sample in self.watch.samples if sample[0] == self.siphound.starts]
        warm = [sample for sample in last if sample[1] - last[0][1] >= warm_up]
        if len(warm) < 10:
            self.notes.append("too short to tell whether memory is flat")
            return
        median = statistics.median(resident for _, _, resident, _ in warm)
        grown = growth([(second, resident) for _, second, resident, _ in warm])
        self.notes.append(f"memory after warm-up: median {median / 1024:.1f} MiB, grown by {grown / 1024:+.2f} MiB along its line")
        if len(warm) < ENOUGH:
            self.notes.append("that is too short to tell whether memory is flat")
        elif grown > max(SLACK_KIB, SLACK_SHARE * median):
            self.wrong(f"memory grows: by {grown / 1024:.1f} MiB in {warm[-1][1] - warm[0][1]:.0f} s")
        rising = growth([(second, count) for _, second, _, count in warm])
        if rising > 5:
            self.wrong(f"descriptors grow: by {rising:.0f}")

    # The tables.

    def print_tables(self):
        print("\n" + HEAD)
        print("\n".join(show(row) for row in self.rows))
        total = collections.Counter()
        for row in self.rows:
            total.update({key: value for key, value in row.items() if isinstance(value, (int, float))})
        print(show(Row(total, name="all", registered=self.rows[-1].registered, fds=self.rows[-1].fds)))
        print("\nresident memory, MiB\n  from s    least  median    most")
        for second, least, median, most in memory_line(self.watch.samples, 300 if self.seconds > 600 else 60):
            print(f"  {second:6.0f}  {least:7.1f} {median:7.1f} {most:7.1f}")
        counts = [count for _, _, _, count in self.watch.samples]
        print(f"\ndescriptors: {min(counts)} to {max(counts)}, at rest {self.base} at first and {self.rows[-1].fds} at last")
        print(f"scrapes: {self.watch.scrapes}, failed {self.watch.failed}, slowest {self.watch.slowest:.2f} s")
        print(f"starts of siphound: {self.siphound.starts}")
        metrics = self.before.metrics
        print(f"evicted: {dict(metrics.by('evicted_total', 'kind'))}")
        print(f"history dropped: {dict(metrics.by('history_dropped_total', 'store'))}")
        print(f"findings: {dict(metrics.by('findings_total', 'finding'))}")
        print(f"HTTP clients: {self.clients.ask('ledger')['told']}")
        print(f"phones: {dict(self.before.told)}, at most {self.before.phones['longest']} calls at a time")
        for note in self.notes:
            print(f"note   {note}")


HEAD = ("phase                  s   offered  arrived     seen | PBX sent     seen   copies  dropped  difference | calls   seen  phones | fds")


def show(row):
    return (f"{row['name']:<19}{row['took']:5.0f} {row['offered']:9} {row['arrived']:8} {row['seen']:8} | {row['sent']:8} {row['seen_out']:8} {row['copies']:8} "
            f"{row['dropped']:8} {row['difference']:11} | {row['calls']:5} {row['calls_seen']:6} {row['registered']:7} | {row['fds']:3}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--seconds", type=float)
    parser.add_argument("--siphound", default="target/release/siphound", type=pathlib.Path)
    arguments = parser.parse_args()
    missing = [program for program in PROGRAMS if not shutil.which(program)]
    if os.geteuid() or missing or not arguments.siphound.exists():
        print(f"skipped: needs root, {', '.join(PROGRAMS)} and {arguments.siphound}; missing: {', '.join(missing) or 'root or siphound'}")
        return 2
    arguments.siphound = arguments.siphound.resolve()
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
