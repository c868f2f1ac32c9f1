#!/bin/sh
# Installs what `make bench` compares xbt with: by apt what Debian has, from PyPI into TARGET/bench/venv, and librqbit's program.
# Usage: tests/bench/setup.sh TARGET
set -eu
target=$1
cd "$(dirname "$0")/../.."
wanted=""
need() {
    command -v "$1" >/dev/null 2>&1 || [ -x "/usr/sbin/$1" ] || wanted="$wanted $2"
}
need time time
need aria2c aria2
need scp openssh-client
need sshd openssh-server
need openssl openssl
need iperf3 iperf3
need python3 python3-venv
/usr/bin/python3 -c 'import libtorrent' 2>/dev/null || wanted="$wanted python3-libtorrent"
if [ -n "$wanted" ]; then
    root=""
    [ "$(id -u)" -eq 0 ] || root=sudo
    echo "The benchmark needs these Debian packages, which are installed now:$wanted"
    # shellcheck disable=SC2086
    $root tests/setup-packages.sh $wanted
fi
venv=$target/bench/venv
if ! [ -x "$venv/bin/wormhole" ] || ! [ -e "$venv/ready" ]; then
    python3 -m venv "$venv"
    "$venv/bin/pip" install -q --disable-pip-version-check -r tests/bench/requirements.txt
    touch "$venv/ready"
fi
${CARGO:-cargo} build --release --locked --manifest-path tests/peers/librqbit/Cargo.toml --target-dir "$target/librqbit"
