#!/usr/bin/env bash
# Replays floods with the program itself, at its default limits, and prints what each cost: a row of docs/fault-model.md each.
#
#   scripts/floods.sh [FLOOD[:STEPS]…]
#
# FLOOD   name of a test in tests/floods/main.rs; without, those that fill the tables of tracking and detection
# STEPS   how often it does what it does, 10,000 times a second; 300,000 where nothing else is said
#
# Fails where a phone, a call or a finding of the site beside the flood is told otherwise than without it.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

floods=("$@")
if [ ${#floods[@]} = 0 ]; then
    floods=(call_ids tags_of_one_call_id calls_from_strangers_that_ring byes_of_unknown_calls answered_options scanner_tools findings:450000
        addresses_of_record:1100000 addresses_of_record_challenged:1100000 sources:1100000)
fi
siphound=${SIPHOUND:-target/release/siphound}
[ -x "$siphound" ] || cargo build --locked --release --bin siphound

directory="$(mktemp -d)"
trap 'rm -rf "$directory"' EXIT

# Writes the capture of a flood of so many steps; none is the site alone.
scene() {
    SIPHOUND_FLOODS="$directory" SIPHOUND_FLOOD_STEPS="$2" cargo test --locked --quiet --test floods -- --exact "$1" >/dev/null
}

# Replays it into a report; prints the kilobytes held at most, and seconds of processor time. What it finds may make it end with 1.
replay() {
    /usr/bin/time -f '%M %U %S' -o "$directory/cost" "$siphound" replay --format json "$directory/$1.pcap" >"$directory/$2.json" || [ $? = 1 ]
    rm -f "$directory/$1.pcap"
    tail -n 1 "$directory/cost"
}

echo "| flood | frames | MB without | MB at most | CPU, s | evicted | phones followed |"
echo "| --- | --- | --- | --- | --- | --- | --- |"
scene call_ids 0
read -r calm _ _ <<<"$(replay call_ids calm)"
status=0
for flood in "${floods[@]}"; do
    name="${flood%%:*}" steps=300000
    case "$flood" in *:*) steps="${flood#*:}" ;; esac
    scene "$name" "$steps"
    read -r peak user system <<<"$(replay "$name" flooded)"
    python3 scripts/floods.py "$directory/calm.json" "$directory/flooded.json" "$name" "$calm" "$peak" "$user" "$system" || status=1
done
exit "$status"
