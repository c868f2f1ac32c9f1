#!/bin/sh
# What the demo needs beside Rust: a Prosody. Where none is installed, fetches one below TARGET, without root. Does nothing where all is there.
# Usage: tests/setup-demo.sh TARGET
set -eu
# shellcheck source=tests/setup-lib.sh
. "$(dirname "$0")/setup-lib.sh"

if ! echo '#include <stdio.h>' | cc -E -x c - >/dev/null 2>&1; then
    fail "Rust needs a C compiler" "install it as your system does (on Debian as root: apt-get install gcc libc6-dev)"
fi
has prosody && exit 0
if ! has apt-get || ! has dpkg-deb; then
    fail "Prosody is missing, and there is no apt to fetch it with" "install prosody as your system does, then try again"
fi

mkdir -p "$1"
target=$(cd "$1" && pwd)
# Another `make demo` waits here, and then finds what this one brought.
exec 9>"$target/prosody.lock"
flock 9
[ -e "$target/prosody" ] && exit 0

# Only what is whole gets the name prosody.
new=$target/prosody.new
rm -rf "$new"
trap 'rm -rf "$new"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP
mkdir -p "$new/apt/cache/archives/partial" "$new/apt/lists/partial" "$new/packages" "$new/root"

# Hooks of the system's apt clean and announce elsewhere.
cat > "$new/apt.conf" <<END
#clear APT::Update::Pre-Invoke;
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
APT::Sandbox::User "";
Debug::NoLocking "true";
Dir::Cache "$new/apt/cache";
END
apt() {
    apt-get -c "$new/apt.conf" -q "$@" 9>&-
}

# The lines of apt about each package that the system has not: 'address' file bytes hash. What only scripts of the installation
# would need is left out, as is the C library: that of the system stays.
packages() {
    apt --print-uris -qq -y --no-install-recommends install prosody 2>"$new/why" |
        grep -v -E " (adduser|debconf|init-system-helpers|libc6|libc-bin|openssl|passwd|perl-base|ssl-cert)_[^ ]* "
}

fetch() {
    found=$(packages) || return 1
    number=$(echo "$found" | wc -l)
    size=$(echo "$found" | awk '{ sum += $3 } END { printf "%.1f", sum / 1e6 }')
    echo "The demo needs the XMPP server Prosody. Fetching $number Debian packages ($size MB) into $target/prosody;"
    echo "nothing is installed or started, and nothing is written outside of that folder:"
    echo "$found" | awk '{ split($2, part, "_"); printf "  %s %d kB\n", part[1], ($3 + 500) / 1000 }'
    # shellcheck disable=SC2046 # one word for each package
    (cd "$new/packages" && apt download $(echo "$found" | awk '{ split($2, part, "_"); print part[1] }'))
}

# The system's lists of packages may be missing, as in a fresh container, or older than what the servers have.
if ! fetch; then
    echo "Fetching lists of packages (for the demo only) …"
    printf 'Dir::State::Lists "%s";\nAcquire::Languages "none";\n' "$new/apt/lists" >> "$new/apt.conf"
    rm -f "$new/packages/"*
    if ! apt update || ! fetch; then
        cat "$new/why" >&2
        fail "Prosody could not be fetched" "is there a network? Else install prosody as your system does, then try again"
    fi
fi
for package in "$new/packages/"*.deb; do
    dpkg-deb -x "$package" "$new/root"
done

# Debian's start script names folders of the system.
sed "s|^\(CFG_[A-Z]*=\)'/|\1os.getenv('XBT_PROSODY')..'/|" "$new/root/usr/bin/prosody" > "$new/start.lua"
lua=$(sed -n '1s/.*\(lua[0-9.]*\)$/\1/p' "$new/start.lua")
version=${lua#lua}
libraries=usr/lib/$(dpkg-architecture -qDEB_HOST_MULTIARCH 2>/dev/null || cc -print-multiarch)
cat > "$new/prosody" <<END
#!/bin/sh
# Starts the Prosody that lies below this folder (tests/setup-demo.sh).
XBT_PROSODY=\$(cd "\$(dirname "\$0")" && pwd)/root
export XBT_PROSODY
export LD_LIBRARY_PATH="\$XBT_PROSODY/$libraries:\$XBT_PROSODY/${libraries#usr/}"
export LUA_PATH="\$XBT_PROSODY/usr/share/lua/$version/?.lua;\$XBT_PROSODY/usr/share/lua/$version/?/init.lua;;"
export LUA_CPATH="\$XBT_PROSODY/$libraries/lua/$version/?.so;;"
exec "\$XBT_PROSODY/usr/bin/$lua" "\$XBT_PROSODY/../start.lua" "\$@"
END
chmod 755 "$new/prosody"
rm -rf "$new/apt" "$new/apt.conf" "$new/packages" "$new/why"
mv "$new" "$target/prosody"
