//! What is installed: the Debian package, the units, the manual.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use xbt_tests::ctl::text;
use xbt_tests::programs;

/// What systemd makes of a unit's hardening may not get worse than this (`systemd-analyze security`); docs/systemd.md has
/// the same figures.
const SYSTEM_UNIT_EXPOSURE: f64 = 1.3;
const USER_UNIT_EXPOSURE: f64 = 6.4;

fn root() -> PathBuf {
    fs::canonicalize(Path::new(env!("CARGO_MANIFEST_DIR")).join("..")).unwrap()
}

fn has(program: &str) -> bool {
    let found = Command::new("sh").args(["-c", &format!("command -v {program}")]).output();
    found.is_ok_and(|found| found.status.success())
}

#[track_caller]
fn said(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{command:?}: {said}{}", String::from_utf8_lossy(&output.stderr));
    said
}

/// Makes the Debian package of the programs under test in `folder`.
pub fn package(folder: &Path) -> PathBuf {
    let programs = [programs::xbtd(), programs::xbtctl()];
    let mut build = Command::new(root().join("config/debian/build.sh"));
    build.arg(programs[0].parent().unwrap()).arg(folder).env("XBT_DEB_FLAGS", "-Zgzip -z1");
    said(&mut build);
    let mut made = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    made.find(|path| text(path).ends_with(".deb")).unwrap()
}

#[test]
fn the_debian_package_holds_everything_and_its_programs_run() {
    if !has("dpkg-deb") || !has("objdump") {
        println!("not run: this is no Debian with binutils");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let package = package(folder.path());
    let laid = folder.path().join("laid");
    said(Command::new("dpkg-deb").arg("-x").args([&package, &laid]));
    for file in [
        "bin/xbtd",
        "bin/xbtctl",
        "lib/systemd/user/xbtd.service",
        "lib/systemd/user/xbtd.socket",
        "lib/systemd/system/xbtd.service",
        "lib/systemd/system/xbtd.socket",
        "share/man/man1/xbtd.1.gz",
        "share/man/man5/xbtd.toml.5.gz",
        "share/man/man1/xbtctl.1.gz",
        "share/man/man1/xbtctl-rules.1.gz",
        "share/man/man1/xbtctl-setup.1.gz",
        "bin/xbt-notify",
        "lib/systemd/user/xbt-notify.service",
        "share/man/man1/xbt-notify.1.gz",
        "share/applications/xbt.desktop",
        "share/icons/hicolor/scalable/apps/xbt.svg",
        "share/Thunar/sendto/xbt.desktop",
        "share/kio/servicemenus/xbt.desktop",
        "share/nautilus-python/extensions/xbt.py",
        "../etc/xdg/autostart/xbt-notify.desktop",
        "share/bash-completion/completions/xbtctl",
        "share/zsh/vendor-completions/_xbtctl",
        "share/fish/vendor_completions.d/xbtctl.fish",
        "share/doc/xbt/config/xbtd.toml",
        "share/doc/xbt/copyright",
        "share/doc/xbt/docs/quickstart.md",
    ] {
        let length = fs::metadata(laid.join("usr").join(file)).unwrap_or_else(|error| panic!("{file}: {error}")).len();
        assert!(length > 0, "{file} is empty");
    }
    every_link_leads_somewhere(&laid.join("usr/share/doc/xbt"));
    for program in ["xbtd", "xbtctl", "xbt-notify"] {
        assert!(said(Command::new(laid.join("usr/bin").join(program)).arg("--version")).starts_with(program));
    }
    let unit = fs::read_to_string(laid.join("usr/lib/systemd/user/xbtd.service")).unwrap();
    assert!(unit.contains("ExecStart=/usr/bin/xbtd\n"), "{unit}");
    let about = said(Command::new("dpkg-deb").arg("-f").arg(&package));
    assert!(about.contains("Package: xbt") && about.contains("libc6 (>= 2."), "{about}");
}

/// Follows the links of every page below `folder` that do not lead to the web.
fn every_link_leads_somewhere(folder: &Path) {
    let (mut folders, mut followed) = (vec![folder.to_owned()], 0);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "md") {
                let page = fs::read_to_string(&path).unwrap();
                for link in page.split("](").skip(1).map(|rest| rest.split([')', '#']).next().unwrap()) {
                    let away = link.is_empty() || link.starts_with("http");
                    assert!(away || folder.join(link).exists(), "{}: {link}", path.display());
                    followed += 1;
                }
            }
        }
    }
    assert!(followed > 50, "only {followed} links were found");
}

#[test]
fn the_units_are_as_closed_as_they_were() {
    if !has("systemd-analyze") {
        println!("not run: there is no systemd-analyze");
        return;
    }
    for (unit, most) in [("xbtd-system.service", SYSTEM_UNIT_EXPOSURE), ("xbtd.service", USER_UNIT_EXPOSURE)] {
        let mut analyze = Command::new("systemd-analyze");
        analyze.args(["security", "--no-pager", "--offline=yes"]).arg(root().join("systemd").join(unit));
        let told = said(&mut analyze);
        let (_, score) = told.split_once(": ").filter(|_| told.contains("Overall")).unwrap();
        let score = score.rsplit_once("exposure level for").map_or(score, |(_, tail)| tail);
        let score: f64 = score.split_whitespace().find_map(|word| word.parse().ok()).unwrap();
        assert!(score <= most, "{unit}: {score}");
    }
}

#[test]
fn lintian_finds_no_error_in_the_package() {
    if !has("dpkg-deb") || !has("objdump") {
        println!("not run: this is no Debian with binutils");
        return;
    }
    assert!(has("lintian"), "lintian is missing: run tests/setup.sh");
    let folder = tempfile::tempdir().unwrap();
    let package = package(folder.path());
    let output = Command::new("lintian").args(["--fail-on", "error", "--allow-root"]).arg(&package).output().unwrap();
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{told}{}", String::from_utf8_lossy(&output.stderr));
}
