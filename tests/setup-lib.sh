# shellcheck shell=sh
# What the set-up scripts share; they read it with `.`.

# fail ERROR HINT
fail() {
    echo "error: $1" >&2
    echo "hint: $2" >&2
    exit 1
}

# Debian keeps some programs where only root looks.
has() {
    command -v "$1" >/dev/null 2>&1 || [ -x "/usr/sbin/$1" ] || [ -x "/sbin/$1" ]
}

has cargo || fail "cargo is missing" "install Rust as https://rustup.rs says, then open a new shell"
