#!/usr/bin/env python3
"""Keeps what was measured in benches/figures and writes it into docs/performance.md.

usage: performance.py                      writes the tables of docs/performance.md again
       performance.py --check              fails when they are not what the figures say
       performance.py NAME COMMAND < ROWS  keeps rows (a line of JSON each) as the figures NAME, then writes the tables
       performance.py NAME COMMAND --criterion DIRECTORY   likewise, with the rows that criterion left there

The text between two markers `<!-- figures: NAME -->` and `<!-- end -->` belongs to this script; all else is written by people.
"""
import datetime
import json
import os
import pathlib
import platform
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
FIGURES = ROOT / "benches" / "figures"
PAGE = ROOT / "docs" / "performance.md"
# The peers whose wall time siphound's is held against.
PEERS = ("tshark", "sngrep", "sipnab")


def main():
    arguments = sys.argv[1:]
    check = arguments == ["--check"]
    if len(arguments) >= 2:
        name, command = arguments[:2]
        rows = from_criterion(pathlib.Path(arguments[3])) if arguments[2:3] == ["--criterion"] else [json.loads(line) for line in sys.stdin if line.strip()]
        keep(name, command, rows)
    elif arguments and not check:
        sys.exit(__doc__)
    before = PAGE.read_text()
    after = re.sub(r"(<!-- figures: ([\w-]+) -->\n).*?(<!-- end -->)", lambda at: at[1] + section(at[2]) + at[3], before, flags=re.S)
    if check:
        sys.exit(None if before == after else "docs/performance.md does not say what benches/figures says: run scripts/performance.py")
    PAGE.write_text(after)


def keep(name, command, rows):
    if not rows:
        sys.exit(f"{name}: nothing was measured")
    FIGURES.mkdir(exist_ok=True)
    kept = {"command": command, "rows": rows, **circumstances()}
    (FIGURES / f"{name}.json").write_text(json.dumps(kept, indent=1) + "\n")


def circumstances():
    run = lambda *command: subprocess.run(command, cwd=ROOT, capture_output=True, text=True).stdout.strip()
    changed = "" if not run("git", "status", "--porcelain", "--", "src", "Cargo.lock", "Cargo.toml") else " with changes"
    info = pathlib.Path("/proc/cpuinfo").read_text()
    model = re.search(r"model name\s*: (.*)", info)
    memory = re.search(r"MemTotal:\s+(\d+)", pathlib.Path("/proc/meminfo").read_text())
    return {
        "commit": run("git", "rev-parse", "--short=10", "HEAD") + changed,
        "day": datetime.date.today().isoformat(),
        "machine": f"{os.cpu_count()} × {model[1] if model else platform.machine()}, {int(memory[1]) / 2**20:.0f} GiB, Linux {platform.release().split('-')[0]}",
        "rustc": run("rustc", "--version").removeprefix("rustc ").split(" (")[0],
        "load_before": round(os.getloadavg()[2], 1),
    }


def from_criterion(directory):
    rows = []
    for file in sorted(directory.glob("**/new/benchmark.json")):
        about = json.loads(file.read_text())
        estimates = json.loads((file.parent / "estimates.json").read_text())
        kind, amount = next(iter((about.get("throughput") or {"Elements": 1}).items()))
        rows.append({
            "group": about["group_id"], "function": about["function_id"], "value": about["value_str"], "ns": estimates["median"]["point_estimate"],
            "spread_ns": estimates["median_abs_dev"]["point_estimate"], kind.lower(): amount,
        })
    return rows


def load(name):
    file = FIGURES / f"{name}.json"
    return json.loads(file.read_text()) if file.exists() else None


def rows_of(name):
    return (load(name) or {"rows": []})["rows"]


def section(name):
    if name == "targets":
        return table(["What", "Target", "Measured", ""], targets())
    figures = load(name)
    if not figures:
        return "Not measured yet.\n"
    write = globals()["section_" + name.split("-")[0]]
    f = figures
    told = f"`{f['command']}` at {f['commit']}, {f['day']}, {f['machine']}, rustc {f['rustc']}; load of the 15 minutes before: {f['load_before']}.\n\n"
    return told + write(figures["rows"])


def section_speed(rows):
    scanner = [row for row in rows if row["group"] == "scanner"]
    parsers = ["siphound", "rsip", "httparse"]
    kinds = sorted({row["value"] for row in scanner}, key=lambda kind: (kind.split()[0], int(kind.split()[1])))
    million = lambda parser, kind: next((f"{1e3 / row['ns']:.2f}" for row in scanner if (row["function"], row["value"]) == (parser, kind)), "–")
    text = "Scanner, million messages a second on one core:\n\n" + table(["Message", *parsers], [[kind, *(million(parser, kind) for parser in parsers)] for kind in kinds])
    rest = [row for row in rows if row["group"] != "scanner"]
    rest.sort(key=lambda row: (["decode", "ingest", "engine", "end to end"].index(row["group"]), row["function"], number(row["value"])))
    lines = []
    for row in rest:
        each = row["ns"] / row.get("elements", 1)
        lines.append([row["group"], row["function"], row["value"], f"{each:,.0f}", f"{1e3 / each:.2f}", f"± {100 * row['spread_ns'] / row['ns']:.0f} %"])
    return text + "\nStages:\n\n" + table(["Stage", "", "", "ns each", "million/s", "spread"], lines)


def section_memory(rows):
    return table(["What", "How many", "Live bytes each", "Resident bytes each"], [
        [row["what"], f"{row['count']:,}", f"{row['live']:,.0f}", f"{row['resident']:,.0f}"] for row in rows])


def section_growth(rows):
    return table(["What grows", "Size", "Instructions a message", "CPU ns a message"], [
        [row["what"], f"{row['count']:,}", f"{row['instructions']:,.0f}" if row.get("instructions") else "not counted", f"{row['cpu_ns']:,.0f}"] for row in rows])


def section_compare(rows):
    own = next((row for row in rows if row["tool"] == "siphound"), None)
    ratio = lambda row, key: f"{row[key] / own[key]:.2f}" if own and row.get(key) else "–"
    lines = []
    for row in rows:
        if "wall_s" not in row:
            lines.append([row["tool"], row["why"], "", "", "", "", ""])
            continue
        rate = f"{row['messages'] / row['wall_s'] / 1e6:.2f}" if row.get("messages") else ""
        lines.append([row["tool"], f"{row['wall_s']:.2f}", f"{row['cpu_s']:.2f}", f"{row['peak_mib']:.0f}", rate, ratio(row, "wall_s"), ratio(row, "cpu_s")])
    return table(["Tool", "Wall s", "CPU s", "Peak MiB", "Million messages/s", "Wall, siphound = 1", "CPU, siphound = 1"], lines)


def section_live(rows):
    return table(["Asked for, packets/s", "Offered, packets/s", "Tool", "Offered", "Received", "Dropped", "CPU s"], [
        ["as fast as possible" if not row["rate"] else f"{row['rate']:,}", f"{row['per_second']:,.0f}", row["tool"], f"{row['offered']:,}", f"{row['received']:,}", f"{row['dropped']:,}",
         f"{row['cpu_s']:.1f}"] for row in rows])


def section_daemon(rows):
    return table(["What", "Median", "p99", "Times"], [[row["what"], show(row, "median"), show(row, "p99"), str(row["times"])] for row in rows])


def section_flat(rows):
    lines = [[f"{row['wall_s']:.0f}", f"{row['packet_hours']:.1f}", f"{row['resident_mib']:.1f}"] for row in rows if "resident_mib" in row]
    summary = next((row for row in rows if "growth_mib" in row), None)
    told = f"\nFrom the middle to the end {summary['growth_mib']:+.1f} MiB over {summary['wall_s'] / 120:.0f} minutes, {summary['messages']:,} messages in all.\n" if summary else ""
    return table(["Wall s", "Packet time, h", "Resident MiB"], lines[:: max(1, len(lines) // 12)]) + told


def show(row, key):
    return f"{row[key]:.2f} {row['unit']}" if key in row else "–"


def number(text):
    found = re.match(r"\d+", text or "")
    return int(found[0]) if found else 0


def targets():
    """A line for each target: what, wanted, measured, whether it is met."""
    lines = []

    def line(what, wanted, value, met, form="{:,.2f}"):
        measured = form.format(value) if value is not None else "not measured"
        lines.append([what, wanted, measured, "" if value is None else "met" if met(value) else "**missed**"])

    tools = {row["tool"]: row for row in rows_of("compare") if "wall_s" in row}
    own, alone, floor = (tools.get(tool) for tool in ("siphound", "siphound, one core", "tcpdump"))
    rate = lambda row: row["messages"] / row["wall_s"] / 1e6 if row else None
    line("replay on two cores", "≥ 1 M messages/s", rate(own), lambda v: v >= 1, "{:.2f} M/s")
    line("replay on one core", "≥ 0.7 M messages/s", rate(alone), lambda v: v >= 0.7, "{:.2f} M/s")
    line("CPU time of a replay", "≤ 5 × tcpdump's", own["cpu_s"] / floor["cpu_s"] if own and floor else None, lambda v: v <= 5, "{:.1f} ×")
    for peer in PEERS:
        line(f"wall time of a replay, {peer}", "≥ 15 × shorter", tools[peer]["wall_s"] / own["wall_s"] if own and peer in tools else None, lambda v: v >= 15, "{:.1f} ×")
    scanner = [1e3 / row["ns"] for row in rows_of("speed") if row["group"] == "scanner" and row["function"] == "siphound" and row["value"].endswith(" 1000 B")]
    line("scanner, slowest message of 1 kB", "≥ 3 M messages/s", min(scanner, default=None), lambda v: v >= 3, "{:.2f} M/s")
    line("memory of that replay", "≤ 150 MiB", own["peak_mib"] if own else None, lambda v: v <= 150, "{:.0f} MiB")
    for name, most in (("device", 600), ("site", 8192), ("call", 1536), ("finished", 200)):
        sizes = [row for row in rows_of("memory") if row["row"] == name]
        line(sizes[0]["what"] if sizes else name, f"≤ {most:,} B", max((row["live"] for row in sizes), default=None), lambda v, most=most: v <= most, "{:,.0f} B")
    for axis in ("messages", "devices", "calls", "rate"):
        grown = [row for row in rows_of("growth") if row["axis"] == axis]
        counted = [row["instructions"] for row in grown if row.get("instructions")]
        line(f"instructions a message, by {axis}", "constant ± 10 %", 100 * (max(counted) / min(counted) - 1) if counted else None, lambda v: v <= 20, "{:+.0f} % from least to most")
        spent = [row["cpu_ns"] for row in grown]
        line(f"time a message, by {axis}", "≤ 2 ×", max(spent) / spent[0] if spent else None, lambda v: v <= 2, "{:.2f} ×")
    live = {(row["rate"], row["tool"]): row for row in rows_of("live")}
    at = live.get((200_000, "siphound"))
    line("dropped live at 200 k packets/s", "none", at["dropped"] if at else None, lambda v: v == 0, "{:,.0f}")
    daemon = {row["name"]: row for row in rows_of("daemon")}
    line("CPU at 500 messages/s", "< 2 % of a core", daemon.get("cpu500", {}).get("median"), lambda v: v < 2, "{:.2f} %")
    line("start to the first packet", "< 50 ms", daemon.get("start", {}).get("median"), lambda v: v < 50, "{:.0f} ms")
    flat = next((row for row in rows_of("flat") if "growth_mib" in row), None)
    line("memory over a long run", "a flat line", flat["growth_mib"] if flat else None, lambda v: v <= 2, "{:+.1f} MiB in its second half")
    return lines


def table(head, lines):
    text = ["| " + " | ".join(head) + " |", "| " + " | ".join("---" for _ in head) + " |"]
    text += ["| " + " | ".join(line) + " |" for line in lines]
    return "\n".join(text) + "\n"


if __name__ == "__main__":
    main()
