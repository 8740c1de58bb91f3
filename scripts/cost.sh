#!/usr/bin/env bash
# Counts the instructions of a replay and holds them against the recorded figure, so that no change makes siphound slower unnoticed.
#
#   scripts/cost.sh            fails when it is more than 10 % above benches/cost.toml
#   scripts/cost.sh --record   records the present figure, on purpose
#
# The capture is made anew and is the same bytes everywhere; the replay runs on one thread under callgrind with a fixed seed, so that two
# runs differ by less than 0.1 %. The build is that of `[profile.cost]`. What differs between machines is what libc and memchr choose for
# the processor: record where it is checked.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=scripts/packages.sh
. scripts/packages.sh

recorded=benches/cost.toml
# Per cent that the figure may grow.
tolerance=10

if ! command -v valgrind >/dev/null && ! need_packages valgrind; then
    say "SKIPPED: the cost of a replay was not checked, because valgrind is not there."
    exit 0
fi
need_rust
target="${CARGO_TARGET_DIR:-target}"
cargo build --locked --quiet --profile cost --bin siphound
# The generator need not be fast, and comes with the tests.
cargo build --locked --quiet --example traffic

work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
told="$("$target/debug/examples/traffic" write "$work/cost.pcap" --messages 20000 --phones 1000 --hours 0.5 --mixed)"
messages="$(sed 's/.*"messages":\([0-9]*\).*/\1/' <<<"$told")"
capture="$(sha256sum "$work/cost.pcap" | cut -c1-16)"
# One processor makes it one thread; without an environment and without random addresses each run takes the same way.
env -i PATH="$PATH" taskset -c "$(taskset -cp $$ | sed 's/.*: *\([0-9]*\).*/\1/')" setarch -R \
    valgrind --tool=callgrind --callgrind-out-file="$work/out" "$target/cost/siphound" replay --format json "$work/cost.pcap" >"$work/report" 2>"$work/log" ||
    { cat "$work/log" >&2; exit 1; }
instructions="$(sed -n 's/.*Collected : *\([0-9]*\).*/\1/p' "$work/log")"
each=$((instructions / messages))
machine="$(uname -m)"
rustc="$(rustc --version | cut -d' ' -f2)"

# field NAME: what is recorded for this kind of machine.
field() { sed -n "/^\[$machine\]/,/^\[/s/^$1 = \"\{0,1\}\([^\"]*\)\"\{0,1\}/\1/p" "$recorded" 2>/dev/null; }

if [ "${1-}" = --record ]; then
    # Other kinds of machines keep theirs.
    others="$(sed "1,/^\$/d; /^\[$machine\]/,/^\$/d" "$recorded" 2>/dev/null || true)"
    {
        printf '# Instructions a message of a replay: written by `scripts/cost.sh --record`, checked by `scripts/cost.sh`.\n\n'
        printf '[%s]\ninstructions = %d\nmessages = %d\ncapture = "%s"\nrustc = "%s"\n\n' "$machine" "$each" "$messages" "$capture" "$rustc"
        [ -z "$others" ] || printf '%s\n' "$others"
    } >"$work/recorded"
    mv "$work/recorded" "$recorded"
    say "Recorded: $each instructions a message"
    exit 0
fi

before="$(field instructions)"
if [ -z "$before" ]; then
    say "SKIPPED: nothing is recorded for $machine. This build takes $each instructions a message; scripts/cost.sh --record keeps that."
    exit 0
fi
if [ "$(field capture)" != "$capture" ]; then
    say "The capture is another than the one of $recorded: the generator has changed. Record the figure again: scripts/cost.sh --record"
    exit 1
fi
change="$(awk -v now="$each" -v then="$before" 'BEGIN { printf "%+.2f", 100 * (now / then - 1) }')"
say "$each instructions a message, $change % against $before with rustc $(field rustc)"
if [ "$each" -gt $((before * (100 + tolerance) / 100)) ]; then
    say "That is more than $tolerance % above what is recorded in $recorded; the most expensive functions are:"
    callgrind_annotate "$work/out" 2>/dev/null | sed -n '/Ir.*file:function/,$p' | head -25 >&2
    [ "$rustc" = "$(field rustc)" ] || say "The toolchain is another too: $rustc."
    say "Find what costs, or record the new figure on purpose: scripts/cost.sh --record"
    exit 1
fi
