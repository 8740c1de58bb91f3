# Sourced by run.sh and test.sh: installs the Debian packages that are missing, and only those.

# What the build needs: libpcap, a C compiler for the bundled C libraries, and pkg-config to find the former.
BUILD_PACKAGES=(libpcap-dev pkg-config gcc libc6-dev)

# What the tests with real servers and clients need.
SERVER_PACKAGES=(kamailio sip-tester prometheus prometheus-alertmanager chromium tcpdump iproute2 nftables python3)

say() { printf '%s\n' "$*" >&2; }

as_root() {
    if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo "$@"; fi
}

is_installed() {
    dpkg-query --show --showformat='${db:Status-Status}' "$1" 2>/dev/null | grep -qx installed
}

# need_packages NAME…: installs those of the packages that are not there.
need_packages() {
    local missing=() package
    if ! command -v dpkg-query >/dev/null; then
        say "This is no Debian: these must be there already: $*"
        return 0
    fi
    for package in "$@"; do
        is_installed "$package" || missing+=("$package")
    done
    [ ${#missing[@]} -gt 0 ] || return 0
    if [ "$(id -u)" -ne 0 ] && ! command -v sudo >/dev/null; then
        say "Missing, and neither root nor sudo to install them: apt-get install ${missing[*]}"
        return 1
    fi
    say "Installing with apt-get: ${missing[*]}"
    as_root apt-get update --quiet=2
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install --quiet=2 --yes --no-install-recommends "${missing[@]}" >&2
}

# need_servers: as need_packages for the servers, which Debian would start right after installing them.
need_servers() (
    local policy=/usr/sbin/policy-rc.d
    if ! [ -e "$policy" ]; then
        trap 'as_root rm -f "$policy"' EXIT
        as_root install -m 755 /dev/stdin "$policy" <<'POLICY'
#!/bin/sh
# Keeps packages from starting their services while the tests are being set up.
exit 101
POLICY
    fi
    need_packages "${SERVER_PACKAGES[@]}"
)

# need_rust: Rust comes from the distribution or from rustup, and is never installed behind anybody's back.
need_rust() {
    if ! command -v cargo >/dev/null && [ -f "$HOME/.cargo/env" ]; then
        # shellcheck source=/dev/null
        . "$HOME/.cargo/env"
    fi
    if ! command -v cargo >/dev/null; then
        say "Rust is missing: install it from https://rustup.rs and come back."
        return 1
    fi
}
