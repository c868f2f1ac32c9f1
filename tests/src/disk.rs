//! Disks of a chosen size.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use rustix::process::geteuid;

use crate::process::{Launch, Process, read_log};
use crate::wait;

/// Mounts a disk and replaces itself by the program that follows. `$0` is the size, `$1` the folder.
const MOUNT: &str = "mount -t tmpfs -o size=\"$0\",mode=0700 tmpfs \"$1\" || {
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

/// A disk that outlives the programs on it: it goes when this is dropped.
#[derive(Debug)]
pub struct Disk {
    holder: Process,
    folder: PathBuf,
}

impl Disk {
    /// An empty disk of `bytes` at `folder`, for programs run [`through`](Self::through) it. Its log lies in `beside`. Panics, saying so,
    /// where there is neither root nor a kernel that lets people have user namespaces.
    pub fn mount(bytes: u64, folder: &Path, beside: &Path) -> Self {
        let log = beside.join("disk.log");
        let mut line = small(bytes, folder);
        let program = PathBuf::from(line.remove(0));
        line.extend(["sh", "-c", "echo mounted; exec sleep infinity"].map(OsString::from));
        let launch = Launch {
            name: "a disk",
            through: Vec::new(),
            program: &program,
            args: line,
            env: Vec::new(),
            folder: beside,
            log: log.clone(),
        };
        let mut holder = Process::start(launch);
        wait::until("the disk is mounted", wait::SOON, || {
            assert!(holder.ended().is_none(), "{}", read_log(&log));
            read_log(&log).contains("mounted").then_some(())
        });
        Self { holder, folder: folder.to_owned() }
    }

    /// What a program has to be run through to find it.
    pub fn through(&self) -> Vec<OsString> {
        let namespaces = format!("/proc/{}/ns", self.holder.pid());
        let mut line = vec!["nsenter".into(), format!("--mount={namespaces}/mnt").into()];
        if !geteuid().is_root() {
            line.extend([format!("--user={namespaces}/user").into(), "--preserve-credentials".into()]);
        }
        line
    }

    /// The folder as seen from outside.
    pub fn seen(&self) -> PathBuf {
        let relative = self.folder.strip_prefix("/").expect("homes are absolute");
        Path::new("/proc").join(self.holder.pid().to_string()).join("root").join(relative)
    }

    /// Fills it up to the last byte; dropping what is returned makes room again.
    pub fn filler(folder: &Path) -> Filler {
        use std::io::Write as _;
        let path = folder.join("filler");
        let mut file = std::fs::File::create(&path).expect("the disk can be written");
        for size in [65_536, 1] {
            while file.write_all(&[1; 65_536][..size]).is_ok() {}
        }
        Filler(path)
    }
}

/// A file that takes all room of a disk while it lives.
#[derive(Debug)]
pub struct Filler(PathBuf);

impl Drop for Filler {
    fn drop(&mut self) {
        // It is gone with its disk, too.
        let _ = std::fs::remove_file(&self.0);
    }
}
