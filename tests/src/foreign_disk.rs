//! Disks with file systems that take other names than Linux's own.

use std::ffi::OsString;
use std::path::Path;
use std::process::Command;

use rustix::process::geteuid;

/// Bytes of such a disk.
const SIZE: &str = "64M";

/// Makes the image `$0`, mounts it at `$1` with the programs `$2` (which makes it) and `$3`, and replaces itself by the program that follows.
/// A FUSE program wants a device; the loop device goes with the mount.
const MOUNT: &str = "PATH=$PATH:/usr/sbin:/sbin
truncate -s \"$SIZE\" \"$0\" && $2 \"$0\" >/dev/null 2>&1 && at=$(losetup --find --show \"$0\") &&
{ $3 \"$at\" \"$1\"; mounted=$?; losetup --detach \"$at\"; [ $mounted = 0 ]; } || {
    echo 'no such disk: this test needs root, loop devices and FUSE' >&2
    exit 1
}
shift 3
exec \"$@\"";

/// Which file system.
#[derive(Clone, Copy, Debug)]
pub enum ForeignDisk {
    /// No `?`, no difference between upper and lower case, no symbolic links.
    Exfat,
    /// With the names of Windows; no `?`.
    Ntfs,
}

impl ForeignDisk {
    fn programs(self) -> [&'static str; 2] {
        match self {
            Self::Exfat => ["mkfs.exfat", "mount.exfat-fuse"],
            Self::Ntfs => ["mkfs.ntfs -F -q", "ntfs-3g -o windows_names"],
        }
    }

    /// Why there can be no such disk here, if so.
    pub fn missing(self) -> Option<&'static str> {
        if !geteuid().is_root() {
            return Some("a disk of another kind needs root, for a loop device");
        }
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let mut line = self.through(&folder.path().join("image"), folder.path());
        let program = line.remove(0);
        let works = Command::new(program).args(line).arg("true").status().is_ok_and(|status| status.success());
        (!works).then_some("it needs loop devices, FUSE, and the packages exfatprogs, exfat-fuse and ntfs-3g")
    }

    /// What a program has to be run through to find an empty disk at `folder`. It goes with that program, as do the
    /// programs that FUSE has in the background: all are in a PID namespace.
    pub fn through(self, image: &Path, folder: &Path) -> Vec<OsString> {
        let [make, mount] = self.programs();
        let script = MOUNT.replace("$SIZE", SIZE);
        let mut line: Vec<OsString> =
            ["unshare", "--mount", "--pid", "--kill-child", "sh", "-c"].map(OsString::from).into();
        line.extend([script.into(), image.into(), folder.into(), make.into(), mount.into()]);
        line
    }
}
