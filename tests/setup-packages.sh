#!/bin/sh
# As root: installs Debian packages and leaves services alone. Those that run are neither stopped nor restarted; those that
# come with the packages start neither now nor at the next boot.
# Usage: tests/setup-packages.sh PACKAGE…
set -eu
policy=/usr/sbin/policy-rc.d
aside=$policy.before-xbt
mark="written by the set-up of xbt's tests"

# Also what an earlier call left that was killed.
restore() {
    rm -f "$policy.new"
    if grep -qs "$mark" "$policy"; then rm -f "$policy"; fi
    if ! [ -e "$policy" ] && ! [ -L "$policy" ] && { [ -e "$aside" ] || [ -L "$aside" ]; }; then mv "$aside" "$policy"; fi
}

# invoke-rc.d and deb-systemd-invoke, through which packages start, stop and restart services, ask this program first.
hold_services() {
    restore
    printf '#!/bin/sh\n# %s\nexit 101\n' "$mark" > "$policy.new"
    chmod 755 "$policy.new"
    if [ -e "$policy" ] || [ -L "$policy" ]; then mv "$policy" "$aside"; fi
    mv "$policy.new" "$policy"
}

at_boot() {
    find /etc/systemd/system -path '*.wants/*' 2>/dev/null | sed -n 's,.*/\(.*\.\(service\|socket\)\)$,\1,p' | sort -u
}

# Packages enable their services when they are installed. What was enabled before stays so, and so does what is systemd's own.
disable_new() {
    command -v systemctl >/dev/null 2>&1 || return 0
    for unit in $(at_boot | grep -vxF "$enabled" | grep -v -e '^systemd-' -e '^getty@'); do
        echo "Not started, nor at boot (systemctl enable --now $unit would): $unit"
        systemctl disable --quiet "$unit" || echo "warning: $unit starts at boot" >&2
    done
}

# One call at a time.
exec 9</usr/sbin
flock 9
enabled=$(at_boot)
trap 'restore; disable_new' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP
hold_services
# needrestart, where it is installed, would restart services past all policies.
export DEBIAN_FRONTEND=noninteractive NEEDRESTART_SUSPEND=1
apt-get update -q 9<&-
apt-get install -q -y --no-install-recommends "$@" 9<&-
