//! Disks of a chosen size.

use std::ffi::OsString;
use std::path::Path;

use rustix::process::geteuid;

/// Mounts a disk and replaces itself by the program that follows. `$0` is the size, `$1` the folder.
const MOUNT: &str = "mount -t tmpfs -o size=\"$0\" tmpfs \"$1\" || {
    echo 'no small disk: this test needs root or unprivileged user namespaces' >&2
    exit 1
}
shift
exec \"$@\"";

/// What a program has to be run through to find an empty disk of `bytes` at `folder`.
///
/// Only that program and its children see the disk, and it is gone with them; from outside it is at `/proc/<pid>/root`. Needs root or a
/// kernel that lets people have user namespaces; without, the program's log says so and it ends with 1.
pub fn small(bytes: u64, folder: &Path) -> Vec<OsString> {
    let mut line: Vec<OsString> = ["unshare", "--mount"].map(OsString::from).into();
    if !geteuid().is_root() {
        line.push("--map-root-user".into());
    }
    line.extend(["sh".into(), "-c".into(), MOUNT.into(), bytes.to_string().into(), folder.into()]);
    line
}
