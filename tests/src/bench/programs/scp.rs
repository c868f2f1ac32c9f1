//! `scp` to an sshd of our own on loopback.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use tempfile::TempDir;

use super::free_port;
use crate::bench::timed::Timed;
use crate::bench::{Content, Contestant, Took};
use crate::ctl::text;

/// With keys made for the run.
#[derive(Debug)]
pub struct Scp {
    folder: TempDir,
}

impl Scp {
    /// Makes the keys.
    pub fn new() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        for key in ["host", "user"] {
            let path = folder.path().join(key);
            let made = Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(&path).status();
            assert!(made.is_ok_and(|status| status.success()), "ssh-keygen makes a key");
            let _ = fs::set_permissions(&path, fs::Permissions::from_mode(0o600));
        }
        // Where sshd confines what talks to strangers; Debian makes it at boot.
        let _ = fs::create_dir_all("/run/sshd");
        Self { folder }
    }
}

impl Default for Scp {
    fn default() -> Self {
        Self::new()
    }
}

impl Contestant for Scp {
    fn name(&self) -> &'static str {
        "scp"
    }

    fn hand_over(&mut self, content: &Content, into: &Path) -> Took {
        let (folder, port) = (self.folder.path(), free_port().to_string());
        let at = |name: &str| text(&folder.join(name)).to_owned();
        let options = [
            format!("-oHostKey={}", at("host")),
            format!("-oAuthorizedKeysFile={}", at("user.pub")),
            "-oListenAddress=127.0.0.1".into(),
            "-oStrictModes=no".into(),
            "-oUsePAM=no".into(),
            "-oPermitRootLogin=yes".into(),
            "-oPidFile=none".into(),
            "-oSubsystem=sftp internal-sftp".into(),
        ];
        let mut args = vec!["-D", "-e", "-f", "/dev/null", "-p", port.as_str()];
        args.extend(options.iter().map(String::as_str));
        let server = Timed::start(&["/usr/sbin/sshd"], &args, folder);
        crate::wait::until("sshd listens", crate::wait::SOON, || {
            std::net::TcpStream::connect(format!("127.0.0.1:{port}")).ok()
        });
        let (key, to) = (at("user"), format!("127.0.0.1:{}", text(into)));
        let args = [
            "-q",
            "-r",
            "-P",
            &port,
            "-i",
            &key,
            "-oStrictHostKeyChecking=no",
            "-oUserKnownHostsFile=/dev/null",
            "-oBatchMode=yes",
        ];
        let begun = Instant::now();
        let cost = Timed::start(&["scp"], &[&args[..], &[text(&content.path), &to]].concat(), folder).ended();
        let moved = begun.elapsed().as_secs_f64();
        Took { prepare: None, moved, cost: cost.and(server.stop()) }
    }
}
