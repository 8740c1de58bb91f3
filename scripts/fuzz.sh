#!/usr/bin/env bash
# Fuzzes siphound with libFuzzer (docs/fuzzing.md); needs the nightly toolchain and cargo-fuzz.
#
#   scripts/fuzz.sh seeds [FOLDER…]           writes seeds made from pcaps/ and from all captures below FOLDER
#   scripts/fuzz.sh run TARGET SECONDS [ARG…] fuzzes one target; ARG goes to libFuzzer
#   scripts/fuzz.sh smoke [SECONDS]           each target for some seconds (5), from seeds of pcaps/ alone
#
# Seeds and what is found stay below tests/fuzz and are never committed: captures belong to others.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

fuzz=tests/fuzz
# No sanitizer: siphound has no unsafe code, and without one five times as much is tried. Assertions and overflow checks are on.
options=(--fuzz-dir "$fuzz" --sanitizer none)

missing() {
    if ! cargo +nightly --version >/dev/null 2>&1; then
        echo "the nightly toolchain is missing: rustup toolchain install nightly"
    elif ! cargo fuzz --version >/dev/null 2>&1; then
        echo "cargo-fuzz is missing: cargo install --locked cargo-fuzz"
    fi
}

targets() {
    sed -n 's/^name = "\(.*\)"$/\1/p' "$fuzz/Cargo.toml" | tail -n +2
}

seeds() {
    FUZZ_SEEDS="$fuzz/seeds" FUZZ_CAPTURES="$(printf '%s\n' "$@")" \
        cargo test --locked --quiet --test smoke_fuzz -- --ignored --exact seeds_are_written
}

run() {
    local target="$1" seconds="$2" max
    shift 2
    max="$(sed -n "s/.*name: \"$target\",.*max_len: \([0-9_]*\).*/\1/p" "$fuzz/src/bodies/mod.rs" | tr -d _)"
    mkdir -p "$fuzz/corpus/$target" "$fuzz/seeds/$target"
    cargo +nightly fuzz run "${options[@]}" "$target" "$fuzz/corpus/$target" "$fuzz/seeds/$target" -- \
        -max_total_time="$seconds" -max_len="${max:?no such target}" -timeout=10 -rss_limit_mb=2048 -dict="$fuzz/sip.dict" \
        -print_final_stats=1 "$@"
}

case "${1-}" in
    seeds) shift; seeds "$@" ;;
    run) shift; run "$@" ;;
    smoke)
        why="$(missing)"
        if [ -n "$why" ]; then
            echo "skipped: $why"
            exit 0
        fi
        seeds
        for target in $(targets); do
            echo "== $target"
            run "$target" "${2-5}" -verbosity=0 -print_final_stats=0
        done
        ;;
    *) sed -n '2,/^set/{/^#/s/^# \{0,1\}//p}' "$0"; exit 2 ;;
esac
