"""What siphound says of itself and what the kernel says of it, each second."""
import collections
import os
import re
import statistics
import threading
import time

from lab import page

SERIES = re.compile(r'^(siphound_\w+?)(?:\{(.*)\})? (\S+)$', re.M)


class Metrics:
    """One scrape."""

    def __init__(self, text):
        self.series = [(name, dict(re.findall(r'(\w+)="([^"]*)"', labels)), float(value)) for name, labels, value in SERIES.findall(text)]

    def sum(self, family, **labels):
        """The sum over the series of a family that have these labels."""
        wanted = labels.items()
        return int(sum(value for name, have, value in self.series if name == f"siphound_{family}" and wanted <= have.items()))

    def by(self, family, label, **labels):
        """The sums of a family for each value of a label."""
        sums = collections.Counter()
        for name, have, value in self.series:
            if name == f"siphound_{family}" and labels.items() <= have.items():
                sums[have[label]] += int(value)
        return sums


class Watch(threading.Thread):
    """Scrapes each second and notes memory and descriptors: what a Prometheus and an operator would see."""

    def __init__(self, daemon):
        super().__init__(daemon=True)
        self.siphound = daemon
        # (start of the daemon, seconds, resident KiB, descriptors)
        self.samples = []
        self.scrapes, self.failed, self.slowest = 0, 0, 0.0
        self.began = time.monotonic()
        self.ending = threading.Event()

    def has_ended(self, start):
        return self.siphound.starts != start or self.siphound.process.poll() is not None

    def ends_soon(self, start):
        """Whether siphound was about to end: it stops serving before it has saved what it knows."""
        for _ in range(50):
            if self.has_ended(start):
                return True
            time.sleep(0.1)
        return False

    def run(self):
        while not self.ending.wait(1):
            began, start = time.monotonic(), self.siphound.starts
            status, _ = page("/metrics")
            if self.has_ended(start) or (status != 200 and self.ends_soon(start)):
                continue
            self.scrapes += 1
            self.failed += status != 200
            self.slowest = max(self.slowest, time.monotonic() - began)
            self.samples.append((start, began - self.began, *consumption(self.siphound.process.pid)))


def consumption(pid):
    """Resident memory in KiB and open descriptors of a process."""
    with open(f"/proc/{pid}/status") as status:
        resident = int(re.search(r"VmRSS:\s+(\d+)", status.read()).group(1))
    return resident, descriptors(pid)


def descriptors(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


def growth(samples):
    """The growth of the second of each pair along the first, by the line of least squares."""
    if len(samples) < 10:
        return 0.0
    times, values = zip(*samples)
    return statistics.linear_regression(times, values).slope * (times[-1] - times[0])


def memory_line(samples, width):
    """Least, median and most resident MiB of each stretch of `width` seconds."""
    stretches = collections.defaultdict(list)
    for _, second, resident, _ in samples:
        stretches[int(second // width)].append(resident / 1024)
    return [(nth * width, min(values), statistics.median(values), max(values)) for nth, values in sorted(stretches.items())]
