#!/bin/sh
# Makes a Debian package out of what `make install-files` lays down: build.sh PROGRAMS OUTPUT
# PROGRAMS is the folder of xbtd and xbtctl, OUTPUT the folder that the package is put into.
set -eu
cd "$(dirname "$0")/../.."
programs=$1
output=$2

# Debian's own changes are counted behind the dash.
version=$("$programs/xbtctl" --version | cut -d ' ' -f 2)-1
arch=$(dpkg --print-architecture)
stage=$(mktemp -d)
trap 'rm -rf "$stage"' EXIT
root=$stage/root

make --no-print-directory install-files PROGRAMS="$programs" DESTDIR="$root" PREFIX=/usr
strip "$root/usr/bin/xbtd" "$root/usr/bin/xbtctl"
install -Dm 644 systemd/xbtd-system.service "$root/usr/lib/systemd/system/xbtd.service"
install -m 644 systemd/xbtd-system.socket "$root/usr/lib/systemd/system/xbtd.socket"
# The notifier: what starts with every session is configuration, which Debian leaves as the administrator has it.
strip "$root/usr/bin/xbt-notify"
(cd "$root" && find etc -type f | sed 's|^|/|') > "$stage/conffiles"
# Man pages and change logs are compressed in Debian; -n keeps the time out, so that equal input gives equal packages.
gzip -9n "$root"/usr/share/man/man1/*.1 "$root"/usr/share/man/man5/*.5
# Debian has its own place for the completions of zsh.
mv "$root/usr/share/zsh/site-functions" "$root/usr/share/zsh/vendor-completions"
install -m 644 config/debian/copyright "$root/usr/share/doc/xbt/copyright"
gzip -9nc CHANGELOG.md > "$root/usr/share/doc/xbt/changelog.gz"
date=$(LC_ALL=C date -uR -d "@${SOURCE_DATE_EPOCH:-$(stat -c %Y CHANGELOG.md)}")
printf 'xbt (%s) unstable; urgency=medium\n\n  * See changelog.gz.\n\n -- The xbt developers <xbt@localhost>  %s\n' "$version" "$date" |
    gzip -9n > "$root/usr/share/doc/xbt/changelog.Debian.gz"
install -Dm 644 config/debian/lintian-overrides "$root/usr/share/lintian/overrides/xbt"

# The newest glibc that a program asks for, so that the package refuses to install where it could not start.
glibc=$(objdump -T "$programs/xbtd" "$programs/xbtctl" "$programs/xbt-notify" | grep -o 'GLIBC_[0-9.]*' | sort -uV | tail -n 1 | cut -d _ -f 2)
size=$(du -ks "$root" | cut -f 1)
mkdir "$root/DEBIAN"
install -m 755 config/debian/postinst config/debian/prerm config/debian/postrm "$root/DEBIAN/"
sed -e "s/@VERSION@/$version/" -e "s/@ARCH@/$arch/" -e "s/@GLIBC@/$glibc/" -e "s/@SIZE@/$size/" \
    config/debian/control.in > "$root/DEBIAN/control"
mv "$stage/conffiles" "$root/DEBIAN/conffiles"
(cd "$root" && find usr -type f -print0 | sort -z | xargs -0 md5sum) > "$root/DEBIAN/md5sums"
chmod -R u=rwX,go=rX "$root"
chmod 755 "$root"/DEBIAN/p*

mkdir -p "$output"
dpkg-deb --root-owner-group ${XBT_DEB_FLAGS:-} --build "$root" "$output/xbt_${version}_${arch}.deb"
