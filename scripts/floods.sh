#!/usr/bin/env bash
# Replays floods with the program itself, at its default limits, and prints what each cost: a row of docs/fault-model.md each.
#
#   scripts/floods.sh [STEPS] [FLOOD…]
#
# STEPS   how often a flood does what it does; 200000 without
# FLOOD   names of tests in tests/floods/main.rs; a choice without
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

steps=${1:-200000}
shift || true
floods=("$@")
if [ ${#floods[@]} = 0 ]; then
    floods=(call_ids addresses_of_record addresses_of_record_challenged sources scanner_tools answered_options byes_of_unknown_calls findings)
fi
siphound=${SIPHOUND:-target/release/siphound}
[ -x "$siphound" ] || cargo build --locked --release

directory="$(mktemp -d)"
trap 'rm -rf "$directory"' EXIT

# Kilobytes held at most, and seconds of processor time, of a replay whose report goes to a file.
measure() {
    /usr/bin/time -f '%M %U %S' -o "$directory/cost" "$siphound" replay --format json "$1" >"$directory/report" || true
    tail -n 1 "$directory/cost"
}

echo "| flood | frames | calm, kB | flood, kB | CPU, s | evicted | phones followed |"
echo "| --- | --- | --- | --- | --- | --- | --- |"
# A flood of no steps is the site alone.
SIPHOUND_FLOODS="$directory" SIPHOUND_FLOOD_STEPS=0 cargo test --locked --quiet --test floods call_ids >/dev/null
read -r calm _ _ <<<"$(measure "$directory/call_ids.pcap")"
for flood in "${floods[@]}"; do
    SIPHOUND_FLOODS="$directory" SIPHOUND_FLOOD_STEPS="$steps" cargo test --locked --quiet --test floods -- --exact "$flood" >/dev/null
    read -r peak user system <<<"$(measure "$directory/$flood.pcap")"
    python3 - "$directory/report" "$flood" "$calm" "$peak" "$user" "$system" <<'PYTHON'
import json, sys
path, flood, calm, peak, user, system = sys.argv[1:]
report = json.load(open(path))
evicted = ", ".join(f"{table} {count}" for table, count in report["capture"]["evicted"].items()) or "–"
phones = sum(entry["aor"].startswith("11") and entry["accepted"] > 0 for entry in report["registrations"])
print(f"| `{flood}` | {report['capture']['frames']} | {calm} | {peak} | {float(user) + float(system):.1f} | {evicted} | {phones} of 20 |")
PYTHON
    rm -f "$directory/$flood.pcap"
done
