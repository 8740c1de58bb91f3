#!/usr/bin/env bash
# Builds the Debian package; its path is the last line.
#
#   scripts/package.sh
#
# Needs cargo-deb, which is installed from the registry where it is missing.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=packages.sh
. scripts/packages.sh

need_packages "${BUILD_PACKAGES[@]}" dpkg-dev
need_rust
command -v cargo-deb >/dev/null || cargo install --locked cargo-deb
cargo build --release --locked

siphound=target/release/siphound
rm -rf target/package
mkdir -p target/package/man target/package/completions
"$siphound" man >target/package/man/siphound.1
"$siphound" man --list | while read -r command; do
    "$siphound" man "$command" >"target/package/man/siphound-$command.1"
done
gzip --best --no-name target/package/man/*.1
"$siphound" completions bash >target/package/completions/siphound.bash
"$siphound" completions zsh >target/package/completions/_siphound
"$siphound" completions fish >target/package/completions/siphound.fish

cargo deb --locked --no-build
