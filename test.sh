#!/usr/bin/env bash
# Runs all tests; the last line is the closing line of the test runner.
#
#   ./test.sh [--with-servers] [ARGUMENT…]
#
# --with-servers   installs the servers and clients first that some tests talk to (Kamailio, SIPp, Prometheus, …); without it those tests
#                  say that they were skipped where a server is missing
# ARGUMENT…        goes to the test runner: cargo nextest if it is there, else cargo test
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
# shellcheck source=scripts/packages.sh
. scripts/packages.sh

need_packages "${BUILD_PACKAGES[@]}"
need_rust
if [ "${1-}" = --with-servers ]; then
    shift
    need_servers
fi

log="$(mktemp)"
trap 'rm -f "$log"' EXIT
status=0
if cargo nextest --version >/dev/null 2>&1; then
    # nextest runs no examples of the documentation.
    cargo test --locked --quiet --doc
    cargo nextest run --locked --no-fail-fast --color never "$@" 2>&1 | tee "$log" || status=$?
    closing="$(grep -E '^ +Summary \[' "$log" | tail -n 1 || true)"
else
    cargo test --locked --no-fail-fast --color never "$@" 2>&1 | tee "$log" || status=$?
    # One result a test binary: their sum closes the run.
    closing="$(awk '/^test result: / {
        if ($3 != "ok.") bad = 1
        for (i = 4; i < NF; i++) if ($(i + 1) ~ /^(passed|failed|ignored);?$/) sum[substr($(i + 1), 1, 6)] += $i
    } END {
        printf "test result: %s. %d passed; %d failed; %d ignored\n", bad ? "FAILED" : "ok", sum["passed"], sum["failed"], sum["ignore"]
    }' "$log")"
fi
printf '%s\n' "${closing:-The test runner ended without a closing line.}"
exit "$status"
