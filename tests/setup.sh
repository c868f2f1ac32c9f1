#!/bin/sh
# Installs what the tests need beside Rust, by apt, and says so first; no service is started or stopped by it (setup-packages.sh).
# Does nothing, and needs no root, where all is there.
set -eu
# shellcheck source=tests/setup-lib.sh
. "$(dirname "$0")/setup-lib.sh"

wanted=""
# program → Debian package
need() {
    has "$1" || wanted="$wanted $2"
}
need cc gcc            # links Rust programs, compiles SQLite
need prosody prosody   # the XMPP server that every test has one of
need ip iproute2       # private networks, whose bytes are counted
need ping iputils-ping # how far it is
need unshare util-linux
need aria2c aria2        # other people's BitTorrent programs, as peers
need transmission-cli transmission-cli
/usr/bin/python3 -c 'import libtorrent' 2>/dev/null || wanted="$wanted python3-libtorrent"
need nsenter util-linux
need setpriv util-linux
need mkfs.ext4 e2fsprogs # a disk that can lose its power
need mkfs.exfat exfatprogs # disks that take other names
need mount.exfat-fuse exfat-fuse
need mkfs.ntfs ntfs-3g
need faketime faketime   # daemons whose clock jumps
# The package is tried on a copy of this system with a systemd of its own.
need systemctl systemd
need strip binutils
need useradd passwd
need lintian lintian
# A keyring on a bus of its own.
need dbus-run-session dbus-daemon
need gnome-keyring-daemon gnome-keyring
need secret-tool libsecret-tools
# The network laboratory (docs/laboratory.md).
need nft nftables      # routers that translate addresses
need miniupnpd miniupnpd-nftables # UPnP, NAT-PMP, PCP
need turnserver coturn # STUN
need ejabberdctl ejabberd
need conntrack conntrack
need tc iproute2       # slow networks
need sysctl procps
# A desktop nobody sits at (docs/desktop.md).
need Xvfb xvfb
need dbus-daemon dbus-daemon
need dbus-monitor dbus-bin
need dunst dunst       # shows notifications
need xdotool xdotool   # the mouse and the keyboard
need zenity zenity     # asks in a window
need desktop-file-validate desktop-file-utils
# The context menu of Nautilus, without Nautilus.
/usr/bin/python3 -c 'import gi; assert gi.Repository.get_default().enumerate_versions("Nautilus")' 2>/dev/null || wanted="$wanted python3-nautilus"
ls /usr/share/fonts/*/*/* >/dev/null 2>&1 || wanted="$wanted fonts-dejavu-core"
# How Prosody finds another server by a table of names.
ls /usr/lib/*/lua/*/lunbound.so >/dev/null 2>&1 || wanted="$wanted lua-unbound"
command -v cc >/dev/null 2>&1 && ! [ -e /usr/include/stdio.h ] && wanted="$wanted libc6-dev"
# shellcheck disable=SC2086 # one word for each package
wanted=$(printf '%s\n' $wanted | sort -u | tr '\n' ' ')
[ -z "$(printf %s "$wanted" | tr -d ' ')" ] && exit 0

has apt-get || fail "missing: $wanted" "these are the names of Debian's packages; install them as your system does"
root=""
if [ "$(id -u)" -ne 0 ]; then
    has sudo || fail "missing: $wanted" "as root, run: tests/setup-packages.sh $wanted"
    root=sudo
fi
echo "The tests need these Debian packages, which are installed now: $wanted"
echo "(No service is started or stopped. The tests start what they need, on free ports or in networks of their own.)"
# shellcheck disable=SC2086
$root "$(dirname "$0")/setup-packages.sh" $wanted
