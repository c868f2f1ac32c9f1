//! What `make demo` and `make test` bring to a machine, and what they leave alone: on a copy of this system with a systemd of its own.

use std::collections::BTreeSet;
use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::{Command, Output};

use xbt_tests::{Machine, Net, programs};

const SCRIPTS: [&str; 4] = ["setup-lib.sh", "setup-demo.sh", "setup-packages.sh", "setup.sh"];
const PATH: &str = "/home/anna/bin:/usr/sbin:/usr/bin:/sbin:/bin";
const POLICY: &str = "/usr/sbin/policy-rc.d";

/// Where systemd and the journal of the copy keep books while it runs.
const BOOKS: [&str; 4] = ["/var/log/", "/var/lib/systemd/", "/var/tmp/", "/home/anna/xbt/target"];

/// Anna's machine, on this machine's network and without Prosody. Her `~/bin` comes first in the PATH.
struct Fresh(Machine);

impl Fresh {
    fn machine() -> Option<Self> {
        if let Some(why) = Machine::missing() {
            assert!(std::env::var_os("CI").is_none(), "this has to run here: {why}");
            println!("not run: {why}");
            return None;
        }
        let fresh = Self(Machine::boot(&Net::machine()));
        // Of a machine with systemd-resolved this is a link to what is not there.
        let names = fs::read("/etc/resolv.conf").unwrap();
        let _ = fs::remove_file(fresh.0.at("/etc/resolv.conf"));
        fs::write(fresh.0.at("/etc/resolv.conf"), names).unwrap();
        fresh.0.ok(["useradd", "--create-home", "anna"]);
        for folder in ["bin", "xbt/tests", "xbt/target/debug"] {
            fs::create_dir_all(fresh.0.at("/home/anna").join(folder)).unwrap();
        }
        let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
        for script in SCRIPTS {
            fs::copy(tests.join(script), fresh.0.at("/home/anna/xbt/tests").join(script)).unwrap();
        }
        fresh.program("/home/anna/bin/cargo", "");
        // All that is Lua's goes with Prosody, by apt, so that dependencies stay right.
        fresh.0.ok([
            "sh",
            "-c",
            "apt-get -q -y purge prosody $(dpkg-query -W -f '${Package}\n' 'lua*' 'liblua*') 2>&1",
        ]);
        assert!(!fresh.0.at("/usr/bin/prosody").exists());
        Some(fresh)
    }

    fn program(&self, path: &str, text: &str) {
        fs::write(self.0.at(path), format!("#!/bin/sh\n{text}\n")).unwrap();
        fs::set_permissions(self.0.at(path), Permissions::from_mode(0o755)).unwrap();
    }

    /// Runs a line of a shell, with the proxies of this machine.
    fn shell(&self, prefix: &[&str], line: &str) -> (Output, String) {
        let proxies = std::env::vars().filter(|(name, _)| name.to_lowercase().ends_with("_proxy"));
        let mut words: Vec<String> = prefix.iter().map(|&word| word.to_owned()).collect();
        words.extend(["env".to_owned(), format!("PATH={PATH}")]);
        words.extend(proxies.map(|(name, value)| format!("{name}={value}")));
        words.extend(["sh".to_owned(), "-c".to_owned(), format!("exec 2>&1; cd /home/anna/xbt; {line}")]);
        let output = self.0.run(words);
        let told = String::from_utf8_lossy(&output.stdout).into_owned();
        (output, told)
    }

    fn anna(&self, line: &str) -> (Output, String) {
        let prefix = ["setpriv", "--reuid=anna", "--regid=anna", "--clear-groups", "env", "HOME=/home/anna"];
        self.shell(&prefix, line)
    }

    /// Every path with the time of its last change, apart from books.
    fn paths(&self) -> BTreeSet<String> {
        let find = "find /etc /home/anna /opt /srv /usr /var -xdev -not -type s -printf '%p %C@\\n'";
        let found = self.0.ok(["sh", "-c", find]);
        found.lines().filter(|path| !BOOKS.iter().any(|book| path.starts_with(book))).map(str::to_owned).collect()
    }

    fn property(&self, unit: &str, name: &str) -> String {
        self.0.ok(["systemctl", "show", "--value", "-p", name, unit]).trim().to_owned()
    }
}

#[test]
fn the_demo_needs_no_root_and_writes_only_below_the_target_folder() {
    let Some(fresh) = Fresh::machine() else { return };
    fresh.0.ok(["chown", "-R", "anna:", "/home/anna"]);
    let setup = "tests/setup-demo.sh target";
    let fetched = fresh.0.at("/home/anna/xbt/target/prosody");

    // What was killed while it unpacked is not taken for whole.
    fresh.program("/home/anna/bin/dpkg-deb", "kill -KILL $PPID");
    let (killed, told) = fresh.anna(setup);
    assert!(!killed.status.success() && told.contains("Prosody") && !fetched.exists(), "{told}");
    fs::remove_file(fresh.0.at("/home/anna/bin/dpkg-deb")).unwrap();

    // As in a fresh container, apt knows no packages, and hardly a library is there.
    fresh.0.ok(["sh", "-c", "rm -rf /var/lib/apt/lists/* /lib/*/libreadline.so* /usr/lib/*/libicu*.so*"]);
    fs::write(fresh.0.at("/etc/apt/no-packages"), "").unwrap();
    fs::write(fresh.0.at("/etc/apt/apt.conf.d/99bare"), "Dir::State::status \"/etc/apt/no-packages\";\n").unwrap();
    let before = fresh.paths();
    let (done, told) = fresh.anna(setup);
    assert!(done.status.success() && told.contains("libreadline") && told.contains(" MB)"), "{told}");
    let changed: Vec<_> = fresh.paths().symmetric_difference(&before).cloned().collect();
    assert!(changed.is_empty(), "outside of target: {changed:#?}");
    let left = fs::read_dir(fresh.0.at("/home/anna/xbt/target")).unwrap().map(|entry| entry.unwrap().file_name());
    assert_eq!(left.collect::<BTreeSet<_>>(), ["debug", "prosody", "prosody.lock"].map(Into::into).into());
    assert!(!fresh.0.run(["pgrep", "-u", "anna"]).status.success(), "nothing of hers runs");
    assert!(!fresh.0.run(["pgrep", "-f", "prosody"]).status.success(), "no Prosody runs");

    // Once more there is nothing to do, and no apt to do it with.
    for program in ["apt-get", "dpkg-deb"] {
        fresh.program(&format!("/home/anna/bin/{program}"), "exit 1");
    }
    let (again, told) = fresh.anna(setup);
    assert!(again.status.success() && told.is_empty(), "{told}");

    for program in ["demo", "xbtd", "xbtctl"] {
        let to = fresh.0.at("/home/anna/xbt/target/debug").join(program);
        fs::copy(programs::folder().join(program), to).unwrap();
    }
    let (shown, told) = fresh.anna("target/debug/demo 16");
    assert!(shown.status.success() && told.contains("the hashes are equal"), "{told}");
}

#[test]
fn the_demo_says_what_is_missing_where_there_is_no_apt_or_no_compiler() {
    let folder = tempfile::tempdir().unwrap();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("setup-demo.sh");
    let line = |have: &[&str]| {
        let bin = folder.path().join(have.len().to_string());
        fs::create_dir(&bin).unwrap();
        for (program, is) in have.iter().map(|&program| (program, "true")).chain([("dirname", "dirname")]) {
            symlink(Path::new("/usr/bin").join(is), bin.join(program)).unwrap();
        }
        let mut command = Command::new("/bin/sh");
        let output = command.arg(&script).arg(folder.path().join("target")).env("PATH", bin).output().unwrap();
        assert_eq!(output.status.code(), Some(1));
        String::from_utf8(output.stderr).unwrap()
    };
    assert!(line(&[]).contains("rustup.rs"));
    assert!(
        line(&["cargo"])
            .contains("hint: install it as your system does (on Debian as root: apt-get install gcc libc6-dev)")
    );
    assert!(line(&["cargo", "cc"]).contains("hint: install prosody as your system does"));
    assert!(!folder.path().join("target").exists());
}

/// How the packages' own scripts ask for a restart, and then what happens to apt, or to the script that called it.
const APT: &str = r#"[ "$1" = update ] && exit 0
/usr/sbin/policy-rc.d kept.service restart > /dev/null
echo "the policy answers $?"
deb-systemd-invoke restart kept.service
invoke-rc.d kept restart
eval "$THEN""#;

#[test]
fn packages_for_the_tests_leave_services_alone_and_what_held_them_is_taken_back() {
    let Some(fresh) = Fresh::machine() else { return };
    let unit = "[Service]\nExecStart=/bin/sleep infinity\n[Install]\nWantedBy=multi-user.target\n";
    fs::write(fresh.0.at("/etc/systemd/system/kept.service"), unit).unwrap();
    fresh.0.ok(["systemctl", "enable", "--now", "kept.service"]);
    let pid = fresh.property("kept.service", "MainPID");
    fresh.program("/home/anna/bin/apt-get", APT);

    let policy = || fs::read_to_string(fresh.0.at(POLICY)).ok();
    let own = "#!/bin/sh\n# the administrator's\nexit 0\n";
    for before in [None, Some(own)] {
        if before.is_some() {
            fresh.program(POLICY, "# the administrator's\nexit 0");
        }
        for then in ["exit 0", "exit 100", "kill -INT $PPID", "kill -TERM $PPID", "kill -HUP $PPID"] {
            // A shell cannot trap what its parent ignores, as under nohup.
            let (output, told) = fresh.shell(&["env", "--default-signal", &format!("THEN={then}")], "tests/setup.sh");
            assert!(told.contains("the policy answers 101"), "{told}");
            assert_eq!(output.status.success(), then == "exit 0", "{then}: {told}");
            assert_eq!(policy().as_deref(), before, "{then}: {told}");
        }
        // Nothing can be done while it dies; the next call puts it right.
        fresh.shell(&["env", "THEN=kill -KILL $PPID"], "tests/setup.sh");
        fresh.shell(&["env", "THEN=exit 0"], "tests/setup.sh");
        assert_eq!(policy().as_deref(), before);
    }
    assert_eq!(fresh.property("kept.service", "MainPID"), pid, "it was not restarted");
    assert_eq!(fresh.property("kept.service", "UnitFileState"), "enabled");
    let left = fs::read_dir(fresh.0.at("/usr/sbin")).unwrap().map(|entry| entry.unwrap().file_name());
    assert_eq!(left.filter(|name| name.to_string_lossy().starts_with("policy-rc.d")).count(), 1);
}

#[test]
fn the_service_of_a_package_for_the_tests_starts_neither_now_nor_at_boot() {
    let Some(fresh) = Fresh::machine() else { return };
    // The administrator's policy would let it start.
    fresh.program(POLICY, "exit 0");
    let (output, told) = fresh.shell(&[], "tests/setup.sh");
    assert!(output.status.success() && fresh.0.at("/usr/bin/prosody").exists(), "{told}");
    assert_eq!(fresh.property("prosody.service", "ActiveState"), "inactive", "{told}");
    assert_eq!(fresh.property("prosody.service", "UnitFileState"), "disabled", "{told}");
}
