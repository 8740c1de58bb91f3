#!/usr/bin/env bash
# Runs all benches and writes their tables into docs/performance.md.
#
#   scripts/bench.sh [--quick]
#
# --quick   the smaller half of the memory and growth benches, and nothing under callgrind
# Instructions are counted where valgrind is installed, up to sizes that take a minute or two.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=scripts/packages.sh
. scripts/packages.sh
need_packages "${BUILD_PACKAGES[@]}"
need_rust

quick=()
[ "${1-}" = --quick ] && quick=(--quick)
# The profile of the benches: that of a release unless the environment says otherwise.
profile="${BENCH_PROFILE:-bench}"
command="scripts/bench.sh${1:+ $1}"
rows="$(mktemp)"
trap 'rm -f "$rows" "$rows".*' EXIT

# executable NAME: builds a bench and prints where it is.
executable() {
    cargo bench --locked --profile "$profile" --bench "$1" --no-run --message-format=json-render-diagnostics |
        python3 -c 'import json, sys
# The program comes along with its benches, in any order.
told = map(json.loads, sys.stdin)
print(*[one["executable"] for one in told if one.get("executable") and one["target"]["name"] == sys.argv[1]])' "$1"
}

say "Building"
speed="$(executable speed)"
memory="$(executable memory)"
growth="$(executable growth)"
criterion="${CARGO_TARGET_DIR:-target}/criterion"

say "Stages"
rm -rf "$criterion"
CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-target}" "$speed" --bench "${quick[@]}"
scripts/performance.py speed "$command" --criterion "$criterion"

say "Memory"
"$memory" "${quick[@]}" | tee "$rows"
scripts/performance.py memory "$command" <"$rows"

say "Growth"
# instructions AXIS SIZE: what callgrind counts for the measured messages of a row.
instructions() {
    valgrind --tool=callgrind --callgrind-out-file=/dev/null --collect-atstart=no --toggle-collect='*growth::measured*' "$growth" "$1" "$2" counted \
        2>&1 >/dev/null | sed -n 's/.*Collected : *\([0-9]*\).*/\1/p'
}
"$growth" "${quick[@]}" | while IFS= read -r row; do
    counted=0
    size="$(sed 's/.*"size":\([0-9]*\).*/\1/' <<<"$row")"
    if [ ${#quick[@]} -eq 0 ] && [ "$size" -le 100000 ] && command -v valgrind >/dev/null; then
        counted="$(instructions "$(sed 's/.*"axis":"\([a-z]*\)".*/\1/' <<<"$row")" "$size")"
    fi
    python3 -c 'import json, sys
row, counted = json.loads(sys.argv[1]), int(sys.argv[2] or 0)
print(json.dumps(row | ({"instructions": counted / row["messages"]} if counted else {})))' "$row" "${counted:-0}"
done | tee "$rows"
scripts/performance.py growth "$command" <"$rows"
