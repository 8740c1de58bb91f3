#!/usr/bin/env bash
# Builds siphound as its own replays show it to run: what is often run together lies together. Prints the path of the binary.
#
#   scripts/profiled.sh
#
# Takes three times as long as a build does. It is trained with replays of what the generator of the benches makes; what runs in a daemon
# alone (capture, history, HTTP) is taken for rare. Needs llvm-profdata of this toolchain: rustup component add llvm-tools.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=packages.sh
. scripts/packages.sh

need_packages "${BUILD_PACKAGES[@]}"
need_rust
profdata="$(find "$(rustc --print sysroot)/lib/rustlib" -name llvm-profdata -print -quit || true)"
[ -n "$profdata" ] || { say "llvm-profdata is not there. Install it: rustup component add llvm-tools"; exit 1; }

target="${CARGO_TARGET_DIR:-target}"
host="$(rustc -vV | sed -n 's/^host: //p')"
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
unset LLVM_PROFILE_FILE

# build DIRECTORY FLAGS: with a target named, the flags do not reach what runs while building.
build() { CARGO_ENCODED_RUSTFLAGS="$2" CARGO_TARGET_DIR="$target/$1" cargo build --locked --quiet --release --bin siphound --target "$host"; }

cargo build --locked --quiet --example traffic
traffic="$target/debug/examples/traffic"
"$traffic" write "$work/ordinary.pcap" --messages 100000 --phones 2000 --hours 0.4 >&2
"$traffic" write "$work/mixed.pcap" --messages 50000 --phones 2000 --hours 0.2 --mixed >&2
build training "-Cprofile-generate=$work/profiles"
for capture in ordinary mixed; do
    "$target/training/$host/release/siphound" replay --format json "$work/$capture.pcap" >/dev/null
done
"$profdata" merge --output="$work/profile" "$work/profiles"
build profiled "-Cprofile-use=$work/profile"
realpath "$target/profiled/$host/release/siphound"
