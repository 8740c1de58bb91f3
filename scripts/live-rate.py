#!/usr/bin/env python3
"""Measures the live capture on a veth pair, and writes the tables into docs/performance.md. Needs root; makes two network namespaces.

usage: live-rate.py [--rates 50000,100000,150000,200000,0] [--seconds N] [--runs N] [--only rates|daemon] [--siphound PATH] [--traffic PATH]

rates    frames offered at several rates (0: as fast as possible), what siphound and `tcpdump -w /dev/null` received and dropped, in turn
daemon   CPU at 500 messages a second, time from start to capture, time from a packet to its count in /metrics
"""
import argparse
import json
import os
import pathlib
import re
import signal
import socket
import statistics
import struct
import subprocess
import sys
import tempfile
import time
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parent.parent
LISTEN = "127.0.0.1:15060"
NAMESPACES = [f"siphound-{os.getpid()}-{side}" for side in ("a", "b")]
# MiB of kernel buffer, the default of siphound.
BUFFER = 16


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--rates", default="50000,100000,150000,200000,0")
    arguments.add_argument("--seconds", type=float, default=8.0)
    arguments.add_argument("--runs", type=int, default=3)
    arguments.add_argument("--only", choices=["rates", "daemon"])
    arguments.add_argument("--siphound")
    arguments.add_argument("--traffic")
    arguments.add_argument("--latency", help=argparse.SUPPRESS)
    options = arguments.parse_args()
    if options.latency:
        return latency(options.latency)
    target = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "release"
    if not (options.siphound and options.traffic):
        subprocess.run(["cargo", "build", "--locked", "--quiet", "--release", "--bin", "siphound", "--example", "traffic"], cwd=ROOT, check=True)
    tools = Tools(options.siphound or target / "siphound", options.traffic or target / "examples" / "traffic")
    try:
        namespaces()
        if options.only != "daemon":
            write("live", rates(tools, options))
        if options.only != "rates":
            write("daemon", daemon(tools))
    finally:
        for namespace in NAMESPACES:
            subprocess.run(["ip", "netns", "delete", namespace], stderr=subprocess.DEVNULL)


def namespaces():
    here, there = NAMESPACES
    ip = lambda *command: subprocess.run(["ip", *command], check=True)
    for namespace in NAMESPACES:
        ip("netns", "add", namespace)
        ip("-n", namespace, "link", "set", "lo", "up")
    ip("link", "add", "sip0", "netns", here, "type", "veth", "peer", "name", "sip0", "netns", there)
    for namespace in NAMESPACES:
        # Nothing but what is offered: no neighbour discovery of IPv6.
        subprocess.run(["ip", "netns", "exec", namespace, "sysctl", "-qw", "net.ipv6.conf.sip0.disable_ipv6=1"], check=False)
        ip("-n", namespace, "link", "set", "sip0", "up")


def inside(namespace, *command):
    return ["ip", "netns", "exec", namespace, *map(str, command)]


class Tools:
    def __init__(self, siphound, traffic):
        self.siphound, self.traffic = siphound, traffic

    def offer(self, rate, seconds):
        command = [self.traffic, "offer", "sip0", "--rate", rate, "--seconds", seconds]
        return json.loads(subprocess.run(inside(NAMESPACES[0], *command), stdout=subprocess.PIPE, check=True).stdout)


class Siphound:
    """The daemon on the receiving end."""
    name = "siphound"

    def __init__(self, tools, *options):
        self.state = tempfile.TemporaryDirectory()
        # A file, because a pipe that nobody empties would stop the daemon.
        self.log = tempfile.NamedTemporaryFile("r")
        command = [tools.siphound, "run", "-i", "sip0", "--listen", LISTEN, "--state-dir", self.state.name, *options]
        self.begun = time.monotonic()
        with open(self.log.name, "w") as log:
            self.process = subprocess.Popen(inside(NAMESPACES[1], *command), stdout=subprocess.DEVNULL, stderr=log)
        self.capturing = self.wait_for("Capturing")

    def wait_for(self, words):
        """Seconds until the log says so."""
        while self.process.poll() is None:
            if words in self.log.read():
                return time.monotonic() - self.begun
            self.log.seek(0)
            time.sleep(0.000_5)
        sys.exit(f"siphound ended: {self.log.read()}")

    def metrics(self):
        text = subprocess.run(inside(NAMESPACES[1], "python3", "-c", f"import urllib.request as u; print(u.urlopen('http://{LISTEN}/metrics').read().decode())"),
                              capture_output=True, text=True, check=True).stdout
        return lambda name: int(sum(float(value) for value in re.findall(rf"^{name}(?:{{.*}})? (\S+)$", text, flags=re.M)))

    def counts(self):
        value = self.metrics()
        dropped = value("siphound_capture_dropped_total")
        return value("siphound_capture_frames_total"), dropped

    def settled(self, offered):
        """Counts once all that was offered is accounted for, or nothing has been added for three seconds."""
        last, since = None, time.monotonic()
        while time.monotonic() - since < 3.0:
            counts = self.counts()
            if sum(counts) >= offered:
                break
            if counts != last:
                last, since = counts, time.monotonic()
            time.sleep(0.2)
        return counts

    def cpu(self):
        fields = pathlib.Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait()
        self.state.cleanup()


class Tcpdump:
    name = "tcpdump"

    def __init__(self, tools):
        command = ["tcpdump", "-i", "sip0", "-n", "-B", BUFFER * 1024, "-w", "/dev/null", "port", "5060"]
        self.process = subprocess.Popen(inside(NAMESPACES[1], *command), stderr=subprocess.PIPE, text=True)
        self.process.stderr.readline()
        time.sleep(0.5)

    cpu = Siphound.cpu

    def finish(self):
        self.process.send_signal(signal.SIGINT)
        told = self.process.communicate()[1]
        count = lambda what: int(re.search(rf"(\d+) packets? {what}", told)[1])
        return count("captured"), count("dropped by kernel")


def rates(tools, options):
    rows = []
    for rate in map(int, options.rates.split(",")):
        taken = {"siphound": [], "tcpdump": []}
        for _ in range(options.runs):
            for receiver in (Siphound, Tcpdump):
                run = receiver(tools)
                before = run.cpu()
                told = tools.offer(rate, options.seconds)
                time.sleep(0.5)
                if receiver is Siphound:
                    received, dropped = run.settled(told["offered"])
                    cpu = run.cpu() - before
                    run.stop()
                else:
                    cpu = run.cpu() - before
                    received, dropped = run.finish()
                row = {"rate": rate, "tool": receiver.name, "offered": told["offered"], "per_second": told["per_second"], "late_ms": told["late_ms"],
                       "received": received, "dropped": dropped, "cpu_s": cpu}
                print(json.dumps(row), flush=True)
                taken[receiver.name].append(row)
        # Of the runs the one with the median of drops.
        rows += [sorted(runs, key=lambda row: row["dropped"])[len(runs) // 2] for runs in taken.values()]
    return rows


def daemon(tools):
    starts = []
    for _ in range(20):
        run = Siphound(tools)
        starts.append(run.capturing * 1e3)
        run.stop()
    run = Siphound(tools)
    time.sleep(1.0)
    shares = []
    for _ in range(3):
        before, begun = run.cpu(), time.monotonic()
        tools.offer(500, 20)
        shares.append(100 * (run.cpu() - before) / (time.monotonic() - begun))
    run.stop()
    # Messages of a PBX that is not known yet are counted when it is.
    idle = Siphound(tools, "--pbx", "192.0.2.1")
    time.sleep(1.0)
    before = idle.cpu()
    time.sleep(10.0)
    share = 100 * (idle.cpu() - before) / 10
    rows = [
        row("start", "from start to capture", "ms", starts),
        row("cpu500", "CPU at 500 messages/s, of a core", "%", shares),
        row("idle", "CPU while nothing comes, of a core", "%", [share]),
    ]
    helper = subprocess.run(inside(NAMESPACES[1], sys.executable, __file__, "--latency", "200"), stdout=subprocess.PIPE, text=True, check=True)
    idle.stop()
    return rows + [json.loads(line) for line in helper.stdout.splitlines()]


def row(name, what, unit, values):
    values = sorted(values)
    told = {"name": name, "what": what, "unit": unit, "median": statistics.median(values), "times": len(values)}
    return told | ({"p99": values[min(len(values) - 1, int(len(values) * 0.99))]} if len(values) >= 20 else {})


def latency(times):
    """Sends one packet after the other and polls until its message is counted: once on a silent link, once beside other traffic."""
    raw = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
    raw.bind(("sip0", 0))
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    counted = re.compile(r"^siphound_messages_total(?:{.*})? (\S+)$", re.M)
    read = lambda: sum(float(value) for value in counted.findall(opener.open(f"http://{LISTEN}/metrics").read().decode()))
    spent, polls = [], []
    for index in range(int(times)):
        before = read()
        begun = time.monotonic()
        raw.send(options_frame(index))
        while read_after(read, polls) <= before:
            if time.monotonic() - begun > 10:
                sys.exit("a packet is not counted within 10 seconds")
        spent.append((time.monotonic() - begun) * 1e3)
    print(json.dumps(row("latency", "from a packet on a silent link to its count in /metrics", "ms", spent)))
    print(json.dumps(row("scrape", "one scrape of /metrics", "ms", polls)))


def read_after(read, polls):
    asked = time.monotonic()
    now = read()
    polls.append((time.monotonic() - asked) * 1e3)
    return now


def options_frame(index):
    payload = (f"OPTIONS sip:1001@192.0.2.2 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKlate{index}\r\nMax-Forwards: 70\r\n"
               f"From: <sip:a@192.0.2.1>;tag=l{index}\r\nTo: <sip:1001@192.0.2.2>\r\nCall-ID: late{index}@192.0.2.1\r\nCSeq: 1 OPTIONS\r\n"
               "Content-Length: 0\r\n\r\n").encode()
    udp = struct.pack("!HHHH", 5060, 5060, 8 + len(payload), 0) + payload
    head = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(udp), index, 0, 64, 17, 0, socket.inet_aton("192.0.2.1"), socket.inet_aton("192.0.2.2"))
    return b"\x02\0\x5e\0\0\x01\x02\0\x5e\0\0\x02\x08\0" + head + udp


def write(name, rows):
    command = "scripts/live-rate.py " + " ".join(sys.argv[1:])
    lines = "\n".join(json.dumps(row) for row in rows)
    subprocess.run([ROOT / "scripts" / "performance.py", name, command.strip()], input=lines, text=True, check=True)
    print(lines)


if __name__ == "__main__":
    main()
