#!/usr/bin/env bash
# Builds siphound and runs it, with nothing to configure.
#
#   ./run.sh                      follow the SIP traffic of this host
#   ./run.sh FILE.pcap…           say what is wrong in captures
#   ./run.sh COMMAND ARGUMENT…    anything else that `siphound --help` lists
set -euo pipefail
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
# shellcheck source=scripts/packages.sh
. "$here/scripts/packages.sh"

need_packages "${BUILD_PACKAGES[@]}"
need_rust
cargo build --release --locked --quiet --manifest-path "$here/Cargo.toml"
siphound="${CARGO_TARGET_DIR:-$here/target}/release/siphound"

# Whether this user may open a capture: root, or the capability on the binary.
may_capture() {
    [ "$(id -u)" -eq 0 ] && return
    PATH="$PATH:/usr/sbin:/sbin" getcap "$siphound" 2>/dev/null | grep -q cap_net_raw
}

if [ $# -eq 0 ]; then
    if ! may_capture; then
        say "Capturing needs one capability and nothing else. Grant it once, then start again:"
        say "  sudo setcap cap_net_raw+ep $siphound"
        exit 3
    fi
    exec "$siphound" run
elif [ -f "$1" ]; then
    exec "$siphound" replay "$@"
else
    exec "$siphound" "$@"
fi
