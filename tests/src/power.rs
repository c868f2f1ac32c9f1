//! A disk that can lose its power: what was not synced is gone.

use std::ffi::OsString;
use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::process::geteuid;

use crate::process::{Launch, Process, read_log};
use crate::wait;

/// Mounts the image `$0` at `$1` with the options `$2`, has it at `$4` (the state) and `$5` (the downloads) too, and makes `$3` the boot id:
/// a machine that lost its power has a new one.
const MOUNT: &str = "mount -t ext4 -o loop,\"$2\" \"$0\" \"$1\" && mkdir -p \"$1/state\" \"$1/downloads\" &&
chmod 700 \"$1/state\" && mount --bind \"$1/state\" \"$4\" && mount --bind \"$1/downloads\" \"$5\" &&
mount --bind \"$3\" /proc/sys/kernel/random/boot_id && echo mounted && exec sleep infinity";

/// Most tries to copy the image in a moment in which nothing is written to it.
const TRIES: u32 = 200;

/// State and downloads of one device on an ext4 file system of their own, in an image file on a loop device. The image holds what the file
/// system has written to its disk; what is only in its page cache is lost when the [power is cut](Self::cut).
///
/// The disk is one that keeps what it was told and keeps the order: its own cache is not modelled.
#[derive(Debug)]
pub struct PowerDisk {
    holder: Process,
    state: PathBuf,
    downloads: PathBuf,
    beside: PathBuf,
    image: PathBuf,
    cuts: u32,
}

impl PowerDisk {
    /// Why there can be no such disk here, if so.
    pub fn missing() -> Option<&'static str> {
        if !geteuid().is_root() {
            return Some("it needs root, for a loop device");
        }
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let image = folder.path().join("image");
        let made = make(&image, 4 << 20);
        let mount = "mount -t ext4 -o loop \"$0\" \"$1\" && umount \"$1\"";
        let mut line = Command::new("unshare");
        line.args(["--mount", "sh", "-c", mount]).args([&image, &folder.path().join("at")]);
        fs::create_dir(folder.path().join("at")).expect("a temporary folder can be written");
        let works = made && line.status().is_ok_and(|status| status.success());
        (!works).then_some("it needs loop devices, and the packages e2fsprogs and util-linux")
    }

    /// An empty disk of `bytes` for these two folders; it and its log lie in `beside`. Panics where there can be none.
    pub fn new(bytes: u64, state: &Path, downloads: &Path, beside: &Path) -> Self {
        let image = beside.join("disk-0");
        assert!(make(&image, bytes), "an ext4 file system can be made");
        for folder in [state, downloads, &beside.join("disk")] {
            fs::create_dir_all(folder).expect("the home can be written");
        }
        let holder = mount(&image, state, downloads, beside, 0);
        let (state, downloads, beside) = (state.to_owned(), downloads.to_owned(), beside.to_owned());
        Self { holder, state, downloads, beside, image, cuts: 0 }
    }

    /// What a program has to be run through to find it.
    pub fn through(&self) -> Vec<OsString> {
        vec!["nsenter".into(), format!("--mount=/proc/{}/ns/mnt", self.holder.pid()).into()]
    }

    /// The downloads as seen from outside.
    pub fn downloads(&self) -> PathBuf {
        self.seen(&self.downloads)
    }

    fn seen(&self, path: &Path) -> PathBuf {
        let relative = path.strip_prefix("/").expect("homes are absolute");
        Path::new("/proc").join(self.holder.pid().to_string()).join("root").join(relative)
    }

    /// Takes what is on the disk at this moment for the disk after a loss of power; `kill` ends whatever works on it. The caller has stopped
    /// that before (SIGSTOP), so that this is one moment.
    pub fn cut(&mut self, kill: impl FnOnce()) {
        self.cuts += 1;
        let copy = self.beside.join(format!("disk-{}", self.cuts));
        // The kernel itself may still be writing: then this was no single moment.
        let still = (0..TRIES).any(|_| {
            let before = stamp(&self.image);
            let copied = Command::new("cp").args(["--sparse=always"]).args([&self.image, &copy]).status();
            assert!(copied.is_ok_and(|status| status.success()), "the image can be copied");
            before == stamp(&self.image)
        });
        assert!(still, "the disk never comes to rest");
        kill();
        let new = mount(&copy, &self.state, &self.downloads, &self.beside, self.cuts);
        std::mem::replace(&mut self.holder, new).kill9();
        fs::remove_file(&self.image).expect("our own file");
        self.image = copy;
    }
}

fn stamp(image: &Path) -> (i64, i64, u64) {
    let data: Metadata = fs::metadata(image).expect("our own file");
    (data.mtime(), data.mtime_nsec(), data.blocks())
}

fn make(image: &Path, bytes: u64) -> bool {
    let file = fs::File::create(image).expect("the folder can be written");
    file.set_len(bytes).expect("a file can be sparse");
    let mut line = system("mkfs.ext4");
    line.args(["-q", "-F", "-E", "lazy_itable_init=0"]).arg(image);
    line.status().is_ok_and(|status| status.success())
}

fn mount(image: &Path, state: &Path, downloads: &Path, beside: &Path, cuts: u32) -> Process {
    let log = beside.join(format!("disk-{cuts}.log"));
    let boot = beside.join("boot-id");
    fs::write(&boot, format!("{cuts:08x}-0000-4000-8000-000000000000\n")).expect("the home can be written");
    // Data after metadata is what people have; the other way round is harder to bear, and allowed.
    let options = if cuts.is_multiple_of(2) { "data=ordered" } else { "data=writeback" };
    let mut args: Vec<OsString> = ["--mount", "sh", "-c", MOUNT].map(OsString::from).into();
    args.extend([image.into(), beside.join("disk").into(), options.into()]);
    args.extend([boot.into(), state.into(), downloads.into()]);
    let launch = Launch {
        name: "a disk",
        through: Vec::new(),
        program: Path::new("unshare"),
        args,
        env: Vec::new(),
        folder: beside,
        log: log.clone(),
    };
    let mut holder = Process::start(launch);
    wait::until("the disk is mounted", wait::SOON, || {
        assert!(holder.ended().is_none(), "{}", read_log(&log));
        read_log(&log).contains("mounted").then_some(())
    });
    holder
}

/// A disk that can hang, as a network drive does whose server has gone: an ext4 file system that can be frozen. See [`PowerDisk::missing`].
#[derive(Debug)]
pub struct HungDisk(PathBuf);

impl HungDisk {
    /// An empty disk of `bytes` at `folder`, which is made; its image lies in `beside`. Panics where there can be none.
    pub fn mount(bytes: u64, folder: &Path, beside: &Path) -> Self {
        let image = beside.join("disk-that-hangs");
        assert!(make(&image, bytes), "an ext4 file system can be made");
        fs::create_dir_all(folder).expect("the home can be written");
        run("mount", &["-t".as_ref(), "ext4".as_ref(), "-o".as_ref(), "loop".as_ref(), &image, folder]);
        Self(folder.to_owned())
    }

    /// From now on whoever writes to it waits, until what is returned is dropped. Drop that before the programs that wait: nothing
    /// else ends them.
    pub fn freeze(&self) -> Frozen {
        run("fsfreeze", &["--freeze".as_ref(), &self.0]);
        Frozen(self.0.clone())
    }
}

impl Drop for HungDisk {
    fn drop(&mut self) {
        // What still uses it ends with the test.
        let _ = system("umount").arg("-l").arg(&self.0).status();
    }
}

/// See [`HungDisk::freeze`].
#[derive(Debug)]
pub struct Frozen(PathBuf);

impl Drop for Frozen {
    fn drop(&mut self) {
        let _ = system("fsfreeze").arg("--unfreeze").arg(&self.0).status();
    }
}

fn run(program: &str, arguments: &[&Path]) {
    let status = system(program).args(arguments).status();
    assert!(status.is_ok_and(|status| status.success()), "{program} {arguments:?}");
}

fn system(program: &str) -> Command {
    let mut line = Command::new(program);
    line.env("PATH", "/usr/sbin:/sbin:/usr/bin:/bin");
    line
}
