//! `xbtctl setup`: from an address and a password to a daemon that is online.

use std::fs::{self, Permissions};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use xbt_tests::ctl::text;
use xbt_tests::ports::Port;
use xbt_tests::stage::password;
use xbt_tests::terminal::Terminal;
use xbt_tests::{Daemon, Stage};

/// A home without a configuration.
fn newcomer(stage: &Stage) -> Daemon {
    let alice = stage.person("alice");
    fs::remove_dir_all(alice.home().join(".config/xbt")).unwrap();
    alice
}

/// `xbtctl setup` for alice@localhost at the stage's server.
fn setup(stage: &Stage, alice: &Daemon, more: &[&str]) -> Command {
    let ca = text(&stage.prosody.ca_file()).to_owned();
    let server = stage.prosody.address();
    let mut args = vec!["setup", "--jid", "alice@localhost", "--ca-file", &ca, "--no-unit"];
    if !more.contains(&"--server") {
        args.extend(["--server", &server]);
    }
    args.extend(more);
    alice.ctl.command(&args)
}

/// Runs it with a password on standard input.
fn with_password(mut command: Command, password: &str) -> Output {
    command.arg("--password-stdin").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // A command that refuses at once does not read it.
    let _ = child.stdin.take().unwrap().write_all(format!("{password}\n").as_bytes());
    child.wait_with_output().unwrap()
}

fn error(output: &Output) -> Value {
    let said = String::from_utf8_lossy(&output.stderr);
    let value: Value = serde_json::from_str(&said).unwrap_or_else(|error| panic!("{error}: {said}"));
    value["error"].clone()
}

/// An address at which nobody listens, as long as the port is held.
fn closed_port() -> (Port, String) {
    let port = Port::take();
    let address = format!("127.0.0.1:{}", port.number());
    (port, address)
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn with_the_right_password_a_private_configuration_is_written_with_which_the_daemon_comes_online() {
    let stage = Stage::new();
    let mut alice = newcomer(&stage);
    let done = with_password(setup(&stage, &alice, &["--json"]), &password("alice"));
    assert!(done.status.success(), "{done:?}");
    let told: Value = serde_json::from_slice(&done.stdout).unwrap();
    assert_eq!((&told["jid"], &told["password"]), (&"alice@localhost".into(), &"file".into()));
    assert_eq!(told["config"], text(&alice.config_file()));
    let secret = alice.home().join(".config/xbt/password");
    assert_eq!((mode(&alice.config_file()), mode(&secret)), (0o600, 0o600));
    assert!(!fs::read_to_string(alice.config_file()).unwrap().contains(&password("alice")));
    alice.start();
    alice.ctl.connection_becomes("online", xbt_tests::wait::SOON);
}

#[test]
fn a_wrong_password_is_told_as_that_and_nothing_is_written() {
    let stage = Stage::new();
    let alice = newcomer(&stage);
    let done = with_password(setup(&stage, &alice, &["--json"]), "guess");
    assert_eq!(done.status.code(), Some(1), "{done:?}");
    let error = error(&done);
    assert_eq!(error["code"], "wrong-password");
    assert!(error["hint"].as_str().is_some_and(|hint| !hint.is_empty()), "{error}");
    assert!(!alice.home().join(".config/xbt").exists());
}

#[test]
fn a_server_that_is_not_there_and_one_of_another_domain_are_told_apart() {
    let stage = Stage::new();
    let alice = newcomer(&stage);
    let (_port, closed) = closed_port();
    let nobody = with_password(setup(&stage, &alice, &["--json", "--server", &closed]), &password("alice"));
    let error_of_nobody = error(&nobody);
    assert_eq!(error_of_nobody["code"], "server-unreachable");
    assert!(error_of_nobody["message"].as_str().unwrap().contains(&closed), "{error_of_nobody}");
    let (ca, server) = (stage.prosody.ca_file(), stage.prosody.address());
    let args = ["setup", "--jid", "a@elsewhere.example", "--server", &server, "--ca-file", text(&ca), "--json"];
    let other = error(&with_password(alice.ctl.command(&args), &password("alice")));
    assert_eq!(other["code"], "server-unreachable");
    assert!(other["message"].as_str().unwrap().contains("does not serve this domain"), "{other}");
    // Without its authority the server's certificate is worth nothing.
    let args = ["setup", "--jid", "alice@localhost", "--server", &server, "--json"];
    let untrusted = error(&with_password(alice.ctl.command(&args), &password("alice")));
    assert_eq!(untrusted["code"], "bad-certificate");
    assert!(untrusted["message"].as_str().unwrap().contains("not signed by an authority"), "{untrusted}");
    assert!(!alice.home().join(".config/xbt").exists());
}

#[test]
fn a_configuration_is_replaced_only_when_that_was_said_and_the_old_one_is_kept() {
    let stage = Stage::new();
    let alice = newcomer(&stage);
    fs::create_dir_all(alice.config_file().parent().unwrap()).unwrap();
    fs::write(alice.config_file(), "precious").unwrap();
    let refused = with_password(setup(&stage, &alice, &["--json"]), &password("alice"));
    assert_eq!((refused.status.code(), &error(&refused)["code"]), (Some(1), &"config-exists".into()));
    assert_eq!(fs::read_to_string(alice.config_file()).unwrap(), "precious");
    let done = with_password(setup(&stage, &alice, &["--yes"]), &password("alice"));
    assert!(done.status.success(), "{done:?}");
    assert!(fs::read_to_string(alice.config_file()).unwrap().contains("alice@localhost"));
    assert_eq!(fs::read_to_string(alice.config_file().with_extension("toml.old")).unwrap(), "precious");
}

#[test]
fn on_a_terminal_everything_is_asked_the_password_is_hidden_and_a_slip_can_be_mended() {
    let stage = Stage::new();
    let mut alice = newcomer(&stage);
    fs::create_dir_all(alice.config_file().parent().unwrap()).unwrap();
    fs::write(alice.config_file(), "precious").unwrap();
    let ca = text(&stage.prosody.ca_file()).to_owned();
    let (_port, closed) = closed_port();
    let mut seat = Terminal::run(&alice.ctl.command(&["setup", "--ca-file", &ca, "--server", &closed]));
    seat.shows("Replace it?", 1);
    seat.types("y\n");
    seat.shows("Your XMPP address", 1);
    seat.types("alice@localhost\n");
    seat.shows("Password of alice@localhost", 1);
    seat.types("guess-work\n");
    seat.shows("Another server", 1);
    seat.types(&format!("{}\n", stage.prosody.address()));
    seat.shows("rejected the password", 1);
    seat.shows("Does the account not exist yet?", 1);
    seat.types("n\n");
    seat.shows("Password of alice@localhost", 2);
    seat.types(&format!("{}\n", password("alice")));
    seat.shows("Next:", 1);
    let (code, screen) = seat.ends();
    assert_eq!(code, 0, "{screen}");
    assert!(!screen.contains("guess-work") && !screen.contains(&password("alice")), "{screen}");
    assert!(screen.contains("alice@localhost can log in"), "{screen}");
    alice.start();
    alice.ctl.connection_becomes("online", xbt_tests::wait::SOON);
}

#[test]
fn an_interrupt_at_the_password_leaves_the_terminal_as_it_was_and_writes_nothing() {
    let stage = Stage::new();
    let alice = newcomer(&stage);
    let xbtctl = xbt_tests::programs::xbtctl();
    let plain = alice.ctl.command(&[]);
    // The shell looks at the terminal after xbtctl was interrupted.
    let script = alice.home().join("seat.sh");
    let line = format!("trap : INT; {} setup --jid alice@localhost; echo ended $?; stty -a", xbtctl.display());
    fs::write(&script, line).unwrap();
    let mut command = Command::new("/bin/sh");
    command
        .arg(&script)
        .current_dir(alice.home())
        .envs(plain.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let mut seat = Terminal::run(&command);
    seat.shows("Password of alice@localhost", 1);
    seat.types("\u{3}");
    seat.shows("ended 130", 1);
    seat.shows(" echo ", 1);
    assert!(!alice.home().join(".config/xbt").exists());
}

#[test]
fn the_unit_is_started_only_with_leave_and_only_where_there_is_one() {
    let stage = Stage::new();
    let alice = newcomer(&stage);
    let (tools, told) = (alice.home().join("tools"), alice.home().join("told"));
    fs::create_dir(&tools).unwrap();
    // What setup asks of systemctl; it says that the unit is installed and does not run.
    let script = format!("#!/bin/sh\necho \"$*\" >> '{}'\n[ \"$2\" != is-active ]\n", told.display());
    fs::write(tools.join("systemctl"), script).unwrap();
    fs::set_permissions(tools.join("systemctl"), Permissions::from_mode(0o755)).unwrap();
    let path = format!("{}:{}", tools.display(), std::env::var("PATH").unwrap());
    let (ca, server) = (stage.prosody.ca_file(), stage.prosody.address());
    let run = |more: &[&str]| {
        let _ = fs::remove_file(&told);
        let args = ["setup", "--jid", "alice@localhost", "--ca-file", text(&ca), "--server", &server, "--json"];
        let mut command = alice.ctl.command(&[&args, more].concat());
        command.env("PATH", &path);
        let done = with_password(command, &password("alice"));
        assert!(done.status.success(), "{done:?}");
        let unit = serde_json::from_slice::<Value>(&done.stdout).unwrap()["unit"].as_str().unwrap().to_owned();
        (unit, fs::read_to_string(&told).unwrap_or_default())
    };
    let (unit, told) = run(&[]);
    assert_eq!(unit, "not-enabled", "nobody could be asked");
    assert!(!told.contains("enable"), "{told}");
    let (unit, told) = run(&["--yes", "--no-unit"]);
    assert_eq!(unit, "not-enabled");
    assert!(!told.contains("enable"), "{told}");
    let (unit, told) = run(&["--yes"]);
    assert_eq!(unit, "enabled");
    assert!(told.contains("--user enable xbtd.service\n--user restart xbtd.service\n"), "{told}");
}

#[test]
fn the_password_goes_to_the_secret_service_where_there_is_one_and_the_daemon_finds_it_there() {
    let stage = Stage::new();
    let mut alice = newcomer(&stage);
    // The tool's own interface over a file: a keyring needs a desktop.
    let tools = alice.home().join("tools");
    fs::create_dir(&tools).unwrap();
    let kept = alice.home().join("keyring");
    let tool = tools.join("secret-tool");
    let script = format!(
        "#!/bin/sh\ncase \"$1\" in\nstore) head -n 1 > '{0}'; shift 2; echo \"$*\" > '{0}.attributes';;\n\
         lookup) shift; [ \"$*\" = \"$(cat '{0}.attributes')\" ] && tr -d '\\n' < '{0}';;\nesac\n",
        kept.display()
    );
    fs::write(&tool, script).unwrap();
    fs::set_permissions(&tool, Permissions::from_mode(0o755)).unwrap();
    let path = format!("{}:{}", tools.display(), std::env::var("PATH").unwrap());
    let mut command = setup(&stage, &alice, &["--json"]);
    command.env("PATH", &path);
    let done = with_password(command, &password("alice"));
    assert!(done.status.success(), "{done:?}");
    let told: Value = serde_json::from_slice(&done.stdout).unwrap();
    assert_eq!(told["password"], "secret-service");
    assert!(!alice.home().join(".config/xbt/password").exists());
    // The daemon's environment has no such path, so the command gets it from the configuration.
    let config = fs::read_to_string(alice.config_file()).unwrap();
    fs::write(alice.config_file(), config.replace("\"secret-tool ", &format!("\"{} ", tool.display()))).unwrap();
    alice.start();
    alice.ctl.connection_becomes("online", xbt_tests::wait::SOON);
}

#[test]
fn a_new_account_is_made_where_the_server_lets_people_do_that_and_the_daemon_comes_online_with_it() {
    let mut stage = Stage::new();
    stage.prosody.stop();
    stage.prosody.let_people_register();
    stage.prosody.start();
    let mut alice = newcomer(&stage);
    let (ca, server) = (stage.prosody.ca_file(), stage.prosody.address());
    let base = ["setup", "--register", "--ca-file", text(&ca), "--server", &server, "--no-unit", "--json"];
    let args = |jid| [&base[..], &["--jid", jid]].concat();
    let done = with_password(alice.ctl.command(&args("newcomer@localhost")), "a brand new secret");
    assert!(done.status.success(), "{done:?}");
    alice.start();
    alice.ctl.connection_becomes("online", xbt_tests::wait::SOON);
    assert_eq!(alice.ctl.status()["jid"], "newcomer@localhost");
    // Somebody has that name already: nothing is written, nothing of theirs is changed.
    fs::remove_dir_all(alice.home().join(".config/xbt")).unwrap();
    let taken = with_password(alice.ctl.command(&args("bob@localhost")), "mine now");
    assert_eq!((taken.status.code(), &error(&taken)["code"]), (Some(1), &"account-exists".into()));
    assert!(!alice.home().join(".config/xbt").exists());
}

#[test]
fn a_server_that_makes_no_accounts_for_people_is_told_as_that() {
    let stage = Stage::new();
    let alice = newcomer(&stage);
    let done = with_password(setup(&stage, &alice, &["--register", "--json"]), "a brand new secret");
    let told = error(&done);
    assert_eq!((done.status.code(), &told["code"]), (Some(1), &"registration-closed".into()), "{told}");
    assert!(told["hint"].as_str().unwrap().contains("web page"), "{told}");
    assert!(!alice.home().join(".config/xbt").exists());
}

#[test]
fn on_a_terminal_an_unknown_account_can_be_made_on_the_way() {
    let mut stage = Stage::new();
    stage.prosody.stop();
    stage.prosody.let_people_register();
    stage.prosody.start();
    let alice = newcomer(&stage);
    let (ca, server) = (text(&stage.prosody.ca_file()).to_owned(), stage.prosody.address());
    let mut seat = Terminal::run(&alice.ctl.command(&["setup", "--ca-file", &ca, "--server", &server]));
    seat.shows("Your XMPP address", 1);
    seat.types("frank@localhost\n");
    seat.shows("Password of frank@localhost", 1);
    seat.types("open-sesame\n");
    seat.shows("Does the account not exist yet?", 1);
    seat.types("y\n");
    seat.shows("The password again", 1);
    seat.types("open-sesame\n");
    seat.shows("created the account frank@localhost", 1);
    seat.shows("frank@localhost can log in", 1);
    seat.shows("Next:", 1);
    let (code, screen) = seat.ends();
    assert_eq!(code, 0, "{screen}");
    assert!(!screen.contains("open-sesame"), "{screen}");
}

#[test]
fn a_real_keyring_keeps_the_password_and_the_daemon_logs_in_with_it() {
    let stage = Stage::new();
    let alice = newcomer(&stage);
    let folder = alice.home().join("run");
    // A bus and a keyring of its own; the keyring has no window in which it could ask for anything.
    let script = "printf unlock | gnome-keyring-daemon --unlock --components=secrets \
                  --control-directory=\"$XDG_RUNTIME_DIR/keyring\" >&2 && \"$XBTCTL\" \"$@\" && exec \"$XBTD\" --try-login";
    let plain = setup(&stage, &alice, &["--json", "--keep", "secret-service", "--password-stdin"]);
    let mut seat = Command::new("dbus-run-session");
    seat.args(["--", "sh", "-c", script, "sh"]).args(plain.get_args()).current_dir(alice.home()).env_clear();
    seat.env("PATH", std::env::var_os("PATH").unwrap()).envs(alice.env()).env("XDG_DATA_HOME", folder.join("data"));
    seat.env("XBTCTL", xbt_tests::programs::xbtctl()).env("XBTD", xbt_tests::programs::xbtd());
    seat.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let password = password("alice");
    // The keyring daemon has a standard input of its own.
    let mut child = seat.spawn().unwrap();
    child.stdin.take().unwrap().write_all(format!("{password}\n").as_bytes()).unwrap();
    let done = child.wait_with_output().unwrap();
    assert!(done.status.success(), "{done:?}");
    let said: Vec<Value> =
        String::from_utf8(done.stdout).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(said[0]["password"], "secret-service");
    assert_eq!(said[1]["ok"], true, "{said:?}");
    assert!(!alice.home().join(".config/xbt/password").exists());
    assert!(!fs::read_to_string(alice.config_file()).unwrap().contains(&password));
}
