#!/usr/bin/env python3
"""Holds the report of a flood against that of the calm site, prints a row of a table, and fails where a phone is told of otherwise.

    scripts/floods.py CALM FLOODED NAME KB_CALM KB_FLOODED USER_SECONDS SYSTEM_SECONDS

Compared are registrations, calls, sites and findings of the phones, without the numbers of frames, and doubts about the capture.
"""

import json
import re
import sys


def plain(value):
    """Without the numbers of frames, which count the flood too, and without how many others are served: whoever floods may be."""
    if isinstance(value, dict):
        return {key: plain(inner) for key, inner in value.items() if key != "frame"}
    if isinstance(value, list):
        return [plain(inner) for inner in value]
    return re.sub(r"\d+ other sources are served", "other sources are served", value) if isinstance(value, str) else value


def main():
    calm_path, flooded_path, name, before, peak, user, system = sys.argv[1:]
    with open(calm_path) as calm, open(flooded_path) as flooded:
        calm, flooded = json.load(calm), json.load(flooded)
    of = {
        "registrations": ("aor", {entry["aor"] for entry in calm["registrations"]}),
        "calls": ("call_id", {entry["call_id"] for entry in calm["calls"]}),
        "nat": ("site", {entry["site"] for entry in calm["nat"]}),
    }
    subjects = set().union(*(names for _, names in of.values())) | {entry["subject"] for entry in calm["findings"]}
    subjects |= {entry["source"].rsplit(":", 1)[0] for entry in calm["calls"]}
    of["findings"] = ("subject", subjects)
    differences, wrong = [], set()
    for part, (key, names) in of.items():
        before_, after = ([plain(entry) for entry in report[part] if entry[key] in names] for report in (calm, flooded))
        differences += [f"- {part} {entry}" for entry in before_ if entry not in after]
        differences += [f"+ {part} {entry}" for entry in after if entry not in before_]
        wrong |= {entry["aor"] for entry in before_ if part == "registrations" and entry not in after}
    doubts = [[plain(entry) for entry in report["findings"] if entry["id"].startswith("capture-")] for report in (calm, flooded)]
    if doubts[0] != doubts[1]:
        differences.append(f"doubts about the capture: {doubts[1]}")
    capture = flooded["capture"]
    evicted = ", ".join(f"{table} {count:,}" for table, count in capture["evicted"].items()) or "–"
    phones = len(calm["registrations"])
    seconds = float(user) + float(system)
    megabytes = [f"{int(kilobytes) / 1024:,.0f}" for kilobytes in (before, peak)]
    followed = f"{phones - len(wrong)} of {phones}"
    print(f"| `{name}` | {capture['frames']:,} | {' | '.join(megabytes)} | {seconds:.1f} | {evicted} | {followed} |", flush=True)
    for difference in differences[:20]:
        print(f"{name}: {difference}", file=sys.stderr)
    return 1 if differences or phones != 20 else 0


if __name__ == "__main__":
    sys.exit(main())
