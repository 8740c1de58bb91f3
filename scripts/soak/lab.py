"""Two hosts in network namespaces, what runs on them, and what the kernel counts between them.

The harness runs in mount and process namespaces of its own: all of this is gone with it, however it ends.
"""
import ctypes
import os
import pathlib
import re
import signal
import subprocess
import time
import urllib.error
import urllib.request

PBX, PHONES = "192.0.2.1", "192.0.2.2"
STRANGERS = "198.18.0.0/15"
LINK = "link0"
HERE = pathlib.Path(__file__).parent
URL = "http://127.0.0.1:15060"

CONFIG = """
[capture]
interfaces = ["{interface}"]
buffer = "32MiB"
[pbx]
addresses = ["192.0.2.1:5060"]
[history]
directory = "{state}"
bytes = "8MiB"
[traces]
directory = "{state}/traces"
bytes = "8MiB"
# Small, so that all are full when the first round is over.
[limits]
transactions = 2000
calls = 1000
recent_calls = 500
recent_messages = 5000
bindings = 1000
flows = 2000
sources = 500
findings = 200
"""


def enter(host):
    """Moves this thread, and what it starts, to a host."""
    namespace = os.open(f"/run/netns/{host}", os.O_RDONLY)
    if ctypes.CDLL(None, use_errno=True).setns(namespace, 0x40000000):
        raise OSError(ctypes.get_errno(), "setns")
    os.close(namespace)


def run(*command, check=True):
    return subprocess.run(command, check=check, capture_output=True, text=True).stdout


def build():
    """Makes the hosts and the link between them."""
    os.makedirs("/run/netns", exist_ok=True)
    run("mount", "-t", "tmpfs", "tmpfs", "/run/netns")
    for host in ("pbx", "phones"):
        run("ip", "netns", "add", host)
        run("ip", "-n", host, "link", "set", "lo", "up")
    connect()
    # The host with the phones answers for any stranger.
    run("ip", "-n", "phones", "route", "add", "local", STRANGERS, "dev", "lo")
    rules = """table inet soak {
        counter in { }
        counter out { }
        counter keepalives { }
        chain arriving {
            type filter hook input priority 0;
            udp dport 5060 counter name in
            udp dport 5060 udp length 12 counter name keepalives
        }
        chain leaving { type filter hook output priority 0; udp sport 5060 counter name out; }
    }"""
    subprocess.run(["ip", "netns", "exec", "pbx", "nft", "-f", "-"], input=rules, text=True, check=True)


def connect():
    """Puts the link between the hosts, or puts it back."""
    run("ip", "link", "add", LINK, "netns", "pbx", "type", "veth", "peer", "name", LINK, "netns", "phones")
    for host, address in (("pbx", PBX), ("phones", PHONES)):
        run("ip", "-n", host, "address", "add", f"{address}/24", "dev", LINK)
    raise_link()


def raise_link():
    """Brings the link up at both ends, with the routes that go when it goes down."""
    for host in ("pbx", "phones"):
        run("ip", "-n", host, "link", "set", LINK, "up")
    run("ip", "-n", "pbx", "route", "replace", STRANGERS, "via", PHONES)


def lower_link():
    run("ip", "-n", "pbx", "link", "set", LINK, "down")


def remove_link():
    run("ip", "-n", "pbx", "link", "delete", LINK)


def capture(path):
    """Writes down what passes the PBX."""
    command = ["ip", "netns", "exec", "pbx", "tcpdump", "-i", "any", "-U", "-B", "65536", "-w", path, "port 5060 or icmp or ip[6:2] & 0x1fff != 0"]
    return subprocess.Popen(command, stderr=subprocess.DEVNULL)


def kernel_counts():
    """Datagrams to and from port 5060 of the PBX, and the keep-alives of phones among them, as its kernel counted them."""
    said = run("ip", "netns", "exec", "pbx", "nft", "list", "counters")
    return {name: int(packets) for name, packets in re.findall(r"counter (in|out|keepalives) \{\s*packets (\d+)", said)}


class Kamailio:
    """The PBX."""

    def __init__(self, folder):
        self.folder = folder / "kamailio"
        self.folder.mkdir()
        self.control = f"unix:{self.folder}/control"
        command = ["ip", "netns", "exec", "pbx", "kamailio", "-f", HERE / "kamailio.cfg", "-DD", "-E", "-m", "64", "-M", "8", "-Y",
                   self.folder, "-A", f'CONTROL="{self.control}"']
        self.process = subprocess.Popen(command, stdout=open(folder / "kamailio.log", "w"), stderr=subprocess.STDOUT)
        until(lambda: "core.rcv_requests" in self.ask("stats.fetch", "all"), "Kamailio does not come up")

    def ask(self, *command):
        return run("ip", "netns", "exec", "pbx", "kamcmd", "-s", self.control, *command, check=False)

    def registered(self):
        """How many users it has a contact of."""
        found = re.search(r"usrloc.registered_users\D+(\d+)", self.ask("stats.fetch", "usrloc.registered_users"))
        return int(found.group(1)) if found else None


class Siphound:
    """The daemon, and the unit that starts it again."""

    def __init__(self, binary, folder, state, interface):
        self.command = ["ip", "netns", "exec", "pbx", binary, "run", "--config", folder / "siphound.toml"]
        (folder / "siphound.toml").write_text(CONFIG.format(interface=interface, state=state))
        self.path = folder / "siphound.log"
        self.log = open(self.path, "w")
        self.starts = 0
        self.start()

    def start(self):
        self.process = subprocess.Popen(self.command, stdout=self.log, stderr=self.log)
        self.starts += 1
        until(self.is_ready, "siphound does not become ready", self)

    def is_ready(self):
        return page("/readyz")[0] == 200

    def revive(self):
        """Starts it again where it ended, as its unit does. Says whether it had to."""
        ended = self.process.poll() is not None
        if ended:
            self.start()
        return ended

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(10)


def page(path, timeout=10):
    """The status and the text of a page of siphound; 0 where nobody answers. To be asked on the host of the PBX."""
    try:
        with urllib.request.urlopen(URL + path, timeout=timeout) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()
    except OSError:
        return 0, ""


def until(ready, complaint, siphound=None, patience=30):
    """Asks again and again until something holds."""
    end = time.monotonic() + patience
    while True:
        answer = ready()
        if answer:
            return answer
        if time.monotonic() > end:
            raise SystemExit(f"{complaint}\n{siphound.path.read_text()[-3000:] if siphound else ''}")
        time.sleep(0.1)
