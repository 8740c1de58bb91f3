"""What siphound counted, held against what the generators wrote down and what the kernel counted."""
import collections
import json
import statistics
import time

import lab
from watch import Metrics, consumption, descriptors, growth, memory_line

# How much of memory may come and go: KiB, or a share of it.
SLACK_KIB, SLACK_SHARE = 2_048, 0.03
# Seconds after the warm-up that say something about growth.
ENOUGH = 600
# How Call-IDs of the phones begin, by what the callee does.
PLANS = ("answer-", "large-", "busy-", "cancel-", "nobody-")
# What must have come to rest before it is compared.
MOVING = ("siphound_messages", "siphound_session", "siphound_capture_frames")
# What the phones are told a call came to, in the words of siphound.
OUTCOMES = {"call 200": "answered", "call 486": "busy", "call 487": "cancelled", "call 480": "unavailable"}


class Row(dict):
    """What one phase came to, or what everybody counted at a moment."""

    __getattr__ = dict.__getitem__


class Accounts:
    """Compares, and keeps what came of it."""

    def __init__(self):
        self.violations, self.rows, self.notes = [], [], []
        self.base = None
        # Calls that are up and whose answer was not seen, and calls that are over and whose end was not.
        self.unseen, self.unended = set(), set()

    def wrong(self, what):
        self.violations.append(what)
        print(f"WRONG  {what}", flush=True)

    def scrape(self):
        status, text = lab.page("/metrics")
        if status != 200:
            raise SystemExit(f"/metrics says {status}\n{self.siphound.path.read_text()[-3000:]}")
        return Metrics(text)

    def snapshot(self):
        """What everybody counted, at a moment in which nothing moves."""
        previous, still = None, 0
        for _ in range(500):
            metrics, kernel = self.scrape(), lab.kernel_counts()
            ledgers = [worker.ask("ledger") for worker in (self.phones, self.crowd)]
            key = (ledgers, kernel, [series for series in metrics.series if series[0].startswith(MOVING)])
            still = still + 1 if key == previous else 0
            # What siphound holds back until later frames have come is out by then. The PBX qualifies some phones each second.
            if still == 4:
                break
            previous = key
            time.sleep(0.1)
        else:
            self.wrong("the counters do not come to rest")
        sent = collections.Counter()
        for ledger in ledgers:
            sent.update(ledger["sent"])
        return Row(sent=sent, told=collections.Counter(ledgers[0]["told"]), phones=ledgers[0], kernel=kernel, metrics=metrics,
                   starts=self.siphound.starts)

    def settled(self):
        """As soon as each call has its outcome, which siphound waits for a moment with, and all frames are counted, or after a while."""
        for _ in range(12):
            now = self.snapshot()
            passed = sum(now.kernel[way] - self.before.kernel[way] for way in ("in", "out"))
            frames = now.metrics.sum("capture_frames_total") - self.before.metrics.sum("capture_frames_total")
            if frames >= passed and all(
                    self.counted(now, outcome) - self.counted(self.before, outcome) >= now.told[key] - self.before.told[key]
                    for key, outcome in OUTCOMES.items()):
                break
            time.sleep(0.5)
        return now

    def counted(self, snapshot, outcome):
        return snapshot.metrics.sum("session_outcomes_total", peer_class="endpoint", outcome=outcome)

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
        kernel = moved("kernel")
        other = kernel["keepalives"] + sent.get("(no SIP)", 0)
        row = Row(name=phase.name, took=took, offered=sum(offered.values()), arrived=kernel["in"] - other, other=other,
                  seen=gained("messages_total", dir="in"), copies=gained("capture_duplicates_total"), sent=kernel["out"],
                  seen_out=gained("messages_total", dir="out"), dropped=gained("capture_dropped_total"),
                  calls=sum(told.get(key, 0) for key in OUTCOMES), calls_seen=gained("session_outcomes_total", peer_class="endpoint"),
                  registered=len(now.phones["registered"]), fds=descriptors(self.siphound.process.pid),
                  memory=consumption(self.siphound.process.pid)[0] // 1024, objects=now.metrics.by("tracked_objects", "kind"))
        self.rows.append(row)
        row["difference"] = row.offered + row.sent - row.seen - row.seen_out - row.copies
        print(show(row), flush=True)
        for key in [key for key in told if key.startswith("error")]:
            self.wrong(f"{phase.name}: a phone of the harness failed: {key}")
        if gained("session_outcomes_total", peer_class="endpoint", outcome="no_response") > told.get("call without answer", 0):
            self.wrong(f"{phase.name}: calls are said to have no answer that had one")
        if phase.exact:
            self.exact(phase, row, (before, now), offered, told, gained)
        else:
            self.bounded(phase, row, told, gained)
        self.who_is_registered(phase, now)
        self.check_descriptors(phase, row)

    def exact(self, phase, row, moments, offered, told, gained):
        """The capture was up all the time: each number is the same on both sides."""
        before, now = moments
        if row.offered != row.arrived:
            lost = row.offered - row.arrived
            self.notes.append(f"{phase.name}: {lost} of {row.offered} datagrams were lost before the PBX (kernel counters)")
            row["difference"] -= lost
        if row.seen > row.arrived or row.seen_out > row.sent:
            self.wrong(f"{phase.name}: more messages are counted than were sent")
        if not 0 <= row.difference <= row.dropped:
            self.wrong(f"{phase.name}: {row.difference} messages were not seen, and {row.dropped} are said to be dropped")
        if row.copies == 0 and row.dropped == 0 and row.offered == row.arrived:
            for key, count in offered.items():
                labels = {"code": key} if key.isdigit() else {"method": key}
                seen = gained("messages_total", dir="in", **labels)
                if seen != count:
                    self.wrong(f"{phase.name}: {count} {key} were sent, {seen} counted")
        if row.dropped:
            self.notes.append(f"{phase.name}: {row.dropped} frames were dropped and counted; the calls are not compared")
            return
        for key, outcome in OUTCOMES.items():
            seen = gained("session_outcomes_total", peer_class="endpoint", outcome=outcome)
            # An answer that was not seen may show later; whoever cancelled and heard no more counts as cancelled.
            more = {"answered": len(self.unseen), "cancelled": told.get("call given up", 0)}.get(outcome, 0)
            if not told.get(key, 0) <= seen <= told.get(key, 0) + more:
                self.wrong(f"{phase.name}: {told.get(key, 0)} calls came to {key}, {seen} are counted as {outcome}")
        ended, completed = now.phones["ended"][len(before.phones["ended"]):], gained("sessions_completed_total")
        if not len(set(ended) - self.unseen) <= completed <= len(ended):
            self.wrong(f"{phase.name}: {len(ended)} calls were hung up, {completed} are counted")
        held, known = set(self.before.phones["open"]), self.calls_up()
        if known - held - self.unended or held - known - self.unseen:
            up, over = held - known - self.unseen, known - held - self.unended
            self.wrong(f"{phase.name}: calls are up and not known {up}, known and not up {over}")
        active = self.before.metrics.sum("calls_active", state="confirmed")
        if active != len(known):
            self.wrong(f"{phase.name}: {len(known)} calls are listed as answered and open, {active} are counted")

    def calls_up(self):
        """The Call-IDs of the phones' calls that siphound takes to be up."""
        known, after = set(), ""
        while True:
            status, text = lab.page(f"/api/v1/calls?state=open&limit=1000{after}")
            listed = json.loads(text)
            if status != 200:
                raise SystemExit(f"the calls are not told: {listed}")
            known.update(call["call_id"] for call in listed["items"] if call["answered"] and call["call_id"].startswith(PLANS))
            if not listed.get("next"):
                return known
            after = f"&after={listed['next']}"

    def bounded(self, phase, row, told, gained):
        """The capture was away for a while: nothing is counted that was not there, and no silence is taken for a failure."""
        if row.seen > row.offered or row.seen_out > row.sent:
            self.wrong(f"{phase.name}: messages were counted that nobody sent")
        held, known = set(self.before.phones["open"]), self.calls_up()
        self.unseen, self.unended = held - known, known - held
        # A copy of what comes in fragments counts once for each of them.
        after = max(0, row.arrived + row.sent - row.seen - row.seen_out - row.copies)
        self.notes.append(f"{phase.name}: {row.offered - row.arrived} datagrams went to an interface that was away, {after} passed between "
                          f"its return and its capture; the answer of {len(self.unseen)} calls and the end of {len(self.unended)} were not seen")

    def who_is_registered(self, phase, now):
        """Each phone that holds a registration is known to, and nobody else is."""
        status, text = lab.page("/api/v1/registrations?state=registered&limit=1000")
        known = sorted(entry["aor"].split("@")[0] for entry in json.loads(text)["items"]) if status == 200 else []
        held = now.phones["registered"]
        if known != held:
            unknown, gone = sorted(set(held) - set(known)), sorted(set(known) - set(held))
            self.wrong(f"{phase.name}: registered and not known {unknown}, known and not registered {gone}")
        if (at_pbx := self.kamailio.registered()) != len(held):
            self.wrong(f"{phase.name}: Kamailio has {at_pbx} users, the phones say {len(held)}")

    def check_descriptors(self, phase, row):
        self.base = self.base or row.fds
        if row.fds > self.base + 3:
            self.wrong(f"{phase.name}: {row.fds} descriptors are open, at first there were {self.base}")

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

    def print_tables(self):
        print("\n" + HEAD)
        print("\n".join(show(row) for row in self.rows))
        total = collections.Counter()
        for row in self.rows:
            total.update({key: value for key, value in row.items() if isinstance(value, (int, float))})
        last = self.rows[-1]
        print(show(Row(total, name="all", registered=last.registered, fds=last.fds, memory=last.memory)))
        print("\nresident memory, MiB\n  from s    least  median    most")
        for second, least, median, most in memory_line(self.watch.samples, 300 if self.seconds > 600 else 60):
            print(f"  {second:6.0f}  {least:7.1f} {median:7.1f} {most:7.1f}")
        counts = [count for _, _, _, count in self.watch.samples]
        print(f"\ndescriptors: {min(counts)} to {max(counts)}, at rest {self.base} at first and {self.rows[-1].fds} at last")
        print(f"scrapes: {self.watch.scrapes}, failed {self.watch.failed}, slowest {self.watch.slowest:.2f} s")
        print(f"starts of siphound: {self.siphound.starts}")
        metrics = self.before.metrics
        print("objects in tables after each phase, where there are many:")
        for kind in sorted({kind for row in self.rows for kind, count in row.objects.items() if count > 100}):
            print(f"  {kind:<22} {' '.join(f'{row.objects[kind]:6}' for row in self.rows)}")
        print(f"evicted: {dict(metrics.by('evicted_total', 'kind'))}")
        print(f"history dropped: {dict(metrics.by('history_dropped_total', 'store'))}")
        print(f"findings: {dict(metrics.by('findings_total', 'finding'))}")
        print(f"HTTP clients: {self.clients.ask('ledger')['told']}")
        print(f"phones: {dict(self.before.told)}, at most {self.before.phones['longest']} calls at a time")
        for note in self.notes:
            print(f"note   {note}")


HEAD = ("phase                  s   offered  arrived     seen | PBX sent     seen   copies  dropped  difference | calls   seen  phones | fds  MiB")


def show(row):
    return (f"{row['name']:<19}{row['took']:5.0f} {row['offered']:9} {row['arrived']:8} {row['seen']:8} | {row['sent']:8} "
            f"{row['seen_out']:8} {row['copies']:8} {row['dropped']:8} {row['difference']:11} | {row['calls']:5} {row['calls_seen']:6} "
            f"{row['registered']:7} | {row['fds']:3} {row['memory']:4}")
