//! What the file says is what the daemon gets; what is wrong is told with its line.
#![allow(clippy::unwrap_used, clippy::panic)]

use proptest::prelude::*;
use xbt_core::rate::RateChange;
use xbt_core::rule::Accept as Fate;

use super::*;

const SHIPPED: &str = include_str!("../../../config/xbtd.toml");
const MINIMAL: &str = "[account]\njid = \"alice@example.org\"\n";

fn parse(text: &str) -> Result<Config, ConfigError> {
    Config::parse(text, Path::new("xbtd.toml"), Path::new("/home/alice"))
}

fn error(text: &str) -> ConfigError {
    match parse(text) {
        Ok(config) => panic!("accepted: {text}\n{config:?}"),
        Err(error) => error,
    }
}

/// Asserts code, message and hint of what is wrong with a section that follows a good account in line 3.
fn refused(below: &str, code: &str, message: &str, hint: &str) {
    let error = error(&format!("{MINIMAL}{below}"));
    assert_eq!((error.code, error.message.as_str(), error.hint.as_str()), (code, message, hint));
}

#[test]
fn the_shipped_file_is_the_one_that_the_table_of_keys_makes() {
    // After a change of the table: XBT_WRITE_EXAMPLE=1 cargo test -p xbtd shipped_file
    if std::env::var_os("XBT_WRITE_EXAMPLE").is_some() {
        std::fs::write(concat!(env!("CARGO_MANIFEST_DIR"), "/../config/xbtd.toml"), example()).unwrap();
    }
    assert_eq!(SHIPPED, example());
}

#[test]
fn the_shipped_file_mentions_every_key_and_uncommented_gives_exactly_the_defaults() {
    for section in keys::SECTIONS {
        let heading = section.heading();
        let begin = SHIPPED.lines().position(|line| line.trim_start_matches(['#', ' ']) == heading);
        let rest: Vec<&str> = SHIPPED.lines().skip(begin.unwrap() + 1).collect();
        let is_heading = |line: &&str| line.trim_start_matches(['#', ' ']).starts_with('[');
        let end = rest.iter().position(is_heading).unwrap_or(rest.len());
        for key in section.keys {
            let stands = |line: &str| line.trim_start_matches(['#', ' ']).starts_with(&format!("{} = ", key.name));
            assert_eq!(rest[..end].iter().filter(|line| stands(line)).count(), 1, "{} in {heading}", key.name);
        }
    }
    let uncomment = |line: &str| match line.strip_prefix('#') {
        Some(setting) if !setting.starts_with(' ') => format!("{setting}\n"),
        Some(_) | None => format!("{line}\n"),
    };
    let uncommented: String = SHIPPED.lines().map(uncomment).collect();
    let account = "[account]\njid = \"alice@example.org\"\npassword_file = \"~/.config/xbt/password\"\n";
    let defaults = parse(account).unwrap();
    assert_eq!(parse(&uncommented).unwrap(), defaults);
    assert_eq!(parse(SHIPPED).unwrap(), defaults);
}

#[test]
fn every_example_in_the_shipped_file_is_accepted() {
    let setting =
        |line: &&str| keys::SECTIONS.iter().flat_map(|s| s.keys).any(|k| line.starts_with(&format!("{} = ", k.name)));
    let setting = |line: &&str| line.starts_with("[[") || setting(line);
    let example = |line: &str| line.strip_prefix("# ").filter(setting).unwrap_or(line).to_owned() + "\n";
    let text: String = SHIPPED.lines().filter(|line| !line.starts_with("password_file")).map(example).collect();
    let config = parse(&text).unwrap();
    assert_eq!(config.account.password, Some(PasswordSource::Command("pass show xmpp".to_owned())));
    assert_eq!(config.account.server, Some(Server { host: "xmpp.example.org".to_owned(), port: 5222 }));
    assert_eq!(config.files.state_dir, Some(PathBuf::from("/home/alice/.local/state/xbt")));
    assert_eq!((config.rules.len(), config.schedules.len()), (1, 1));
    assert_eq!(config.hooks.on_complete, Some(vec!["/home/alice/bin/xbt-complete".into(), "--quiet".into()]));
}

#[test]
fn defaults_are_those_that_are_promised() {
    let config = parse(MINIMAL).unwrap();
    assert_eq!(config.account.jid.as_str(), "alice@example.org");
    assert_eq!((config.account.password, config.account.tls), (None, Tls::StartTls));
    assert_eq!(config.files.download_dir, FolderPattern::plain("/home/alice/Downloads"));
    assert_eq!((config.rules.len(), config.schedules.len(), config.hooks), (0, 0, Hooks::default()));
    let network = config.network;
    assert_eq!(network.listen, ["[::]:0".parse().unwrap(), "0.0.0.0:0".parse().unwrap()]);
    assert_eq!(network.ways, [Way::Direct, Way::Mapped, Way::Punched, Way::Proxy65, Way::InBand]);
    assert_eq!((network.map_port, network.advertise.len()), (true, 0));
    assert_eq!((network.upload_limit, network.download_limit), (0, 0));
    let accept = config.accept;
    assert_eq!((accept.from.len(), accept.max_size), (0, 1 << 30));
    assert_eq!(accept.subscriptions, Subscriptions::Added);
    assert!(accept.courtesy_message && accept.introduce);
}

#[test]
fn every_key_is_read() {
    let text = "[account]\njid = 'Alice@Example.ORG'\npassword_command = 'pass xmpp'\nserver = '[2001:db8::1]'\n\
                tls = 'direct'\nca_file = '~/ca.pem'\n\
                [files]\ndownload_dir = '~'\nstate_dir = '/s'\nsocket = '/x/sock'\n\
                [network]\nlisten = ['127.0.0.1:7']\nmap_port = false\nadvertise = ['203.0.113.7:51413']\n\
                ways = ['in-band', 'direct']\nupload_limit = '2 MiB/s'\ndownload_limit = 1_000\n\
                [accept]\nfrom = ['Bob@example.org', 'Family']\nmax_size = '1500 KB'\nstrangers = 'ignore'\n\
                subscriptions = 'ask'\ncourtesy_message = false\nverified_groups = true\nintroduce = false\n";
    let config = parse(text).unwrap();
    let account = config.account;
    assert_eq!(account.jid.as_str(), "alice@example.org");
    assert_eq!(account.password, Some(PasswordSource::Command("pass xmpp".to_owned())));
    assert_eq!(account.server.map(|server| server.to_string()), Some("[2001:db8::1]:5223".to_owned()));
    assert_eq!((account.tls, account.ca_file), (Tls::Direct, Some(PathBuf::from("/home/alice/ca.pem"))));
    let files = Files {
        download_dir: FolderPattern::plain("/home/alice"),
        state_dir: Some(PathBuf::from("/s")),
        socket: Some(PathBuf::from("/x/sock")),
    };
    assert_eq!(config.files, files);
    let network = Network {
        listen: vec!["127.0.0.1:7".parse().unwrap()],
        map_port: false,
        advertise: vec!["203.0.113.7:51413".parse().unwrap()],
        ways: vec![Way::InBand, Way::Direct],
        in_band_max_size: 4 << 20,
        upload_limit: 2 << 20,
        download_limit: 1000,
    };
    assert_eq!(config.network, network);
    let bob = AcceptFrom::Contact(BareJid::from_normalised("bob@example.org"));
    let accept = Accept {
        from: vec![bob, AcceptFrom::Group("Family".to_owned())],
        max_size: 1_500_000,
        quota: 10 << 30,
        subscriptions: Subscriptions::Ask,
        courtesy_message: false,
        verified_groups: true,
        introduce: false,
    };
    assert_eq!(config.accept, accept);
}

#[test]
fn an_unknown_key_is_told_with_its_line_and_the_nearest_known_one() {
    let code = "config-unknown-key";
    refused("[network]\nlistn = []", code, "xbtd.toml:4: unknown key `listn` in [network]", "did you mean `listen`?");
    refused(
        "[network]\nUpload-Limit = 0",
        code,
        "xbtd.toml:4: unknown key `Upload-Limit` in [network]",
        "did you mean `upload_limit`?",
    );
    refused(
        "[files]\nlisten = []",
        code,
        "xbtd.toml:4: unknown key `listen` in [files]",
        "`listen` belongs in [network]",
    );
    let keys = "the keys of [files] are `download_dir`, `state_dir`, `socket`";
    refused("\n\n[files]\ncolour = 1", code, "xbtd.toml:6: unknown key `colour` in [files]", keys);
    let error = error("jid = 'a@example.org'");
    assert_eq!(error.message, "xbtd.toml:1: unknown key `jid` outside of every section");
    assert_eq!(error.hint, "`jid` belongs in [account]");
}

#[test]
fn an_unknown_section_is_told_with_its_line_and_the_nearest_known_one() {
    let code = "config-unknown-section";
    refused("[netwrok]\n", code, "xbtd.toml:3: unknown section [netwrok]", "did you mean [network]?");
    let all = "the sections are [account], [files], [network], [accept], [[rule]], [[schedule]], [hooks]";
    refused("[x]\n", code, "xbtd.toml:3: unknown section [x]", all);
    assert_eq!(error("[[account]]\njid = 'a@b'").code, "config-wrong-type");
}

#[test]
fn the_first_of_several_faults_is_told() {
    assert!(error("[zzz]\na = 1\n[accept]\nform = 1\n").message.starts_with("xbtd.toml:1: "));
}

#[test]
fn a_password_in_the_file_is_refused_and_not_repeated() {
    let error = error("[account]\njid = 'a@example.org'\npassword = 'hunter2'");
    assert!(error.hint.contains("`password_file` or `password_command`"), "{error:?}");
    for wrong in [
        "password_file = 'hunter2'",
        "password_command = ['hunter2']",
        "password_file = ['hunter2']",
        "password = 'hunter2",
    ] {
        let error = parse(&format!("{MINIMAL}{wrong}")).unwrap_err();
        assert!(!format!("{error:?}").contains("hunter2"), "{error:?}");
    }
}

#[test]
fn a_wrong_type_is_told_with_what_was_expected_and_what_stands_there() {
    let code = "config-wrong-type";
    let what = "xbtd.toml:4: `map_port` in [network] must be true or false, not a text";
    refused("[network]\nmap_port = 'yes'", code, what, "write it like this: map_port = true");
    let what = "xbtd.toml:4: `listen` in [network] must be a list in [brackets], not a text";
    refused("[network]\nlisten = '[::]:0'", code, what, "write it like this: listen = [\"[::]:0\", \"0.0.0.0:0\"]");
    let what = "xbtd.toml:5: `listen` in [network] must be a text in \"quotes\", not a number";
    refused("[network]\nlisten = [\n7]", code, what, "write it like this: listen = [\"[::]:0\", \"0.0.0.0:0\"]");
    let what = "xbtd.toml:4: `max_size` in [accept] must be a size such as \"1 GiB\", not a fraction";
    refused("[accept]\nmax_size = 1.5", code, what, "write it like this: max_size = \"1 GiB\"");
    assert_eq!(error("account = 1").message, "xbtd.toml:1: [account] must be a section, not a number");
}

#[test]
fn a_value_that_cannot_be_is_told_with_its_line_and_what_to_write() {
    for (section, value) in [
        ("account", "server = ''"),
        ("account", "server = 'a b'"),
        ("account", "server = '::1'"),
        ("account", "server = '[::1'"),
        ("account", "server = '[::1]5222'"),
        ("account", "server = 'host:0'"),
        ("account", "server = 'host:65536'"),
        ("account", "server = 'https://host'"),
        ("account", "tls = 'none'"),
        ("account", "tls = 'startls'"),
        ("account", "ca_file = 'ca.pem'"),
        ("account", "ca_file = '~bob/ca.pem'"),
        ("account", "password_command = ' '"),
        ("files", "download_dir = ''"),
        ("files", "download_dir = 'Downloads'"),
        ("files", "download_dir = '~/{conact}'"),
        ("files", "download_dir = '~/{'"),
        ("hooks", "on_offer = []"),
        ("hooks", "on_offer = ['notify-send hello']"),
        ("hooks", "on_offer = ['bin/x']"),
        ("hooks", "on_complete = ['']"),
        ("hooks", "timeout = '0 s'"),
        ("hooks", "timeout = '2 h'"),
        ("hooks", "timeout = '30'"),
        ("hooks", "timeout = -1"),
        ("[rule]", "contact = []"),
        ("[rule]", "contact = ['bob@example.org/phone']"),
        ("[rule]", "accept = 'yes'"),
        ("[rule]", "max_size = '1 GiB/s'"),
        ("[rule]", "download_dir = 'x'"),
        ("[schedule]", "days = []"),
        ("[schedule]", "days = ['monday']"),
        ("[schedule]", "days = ['mon', 'mon']"),
        ("[schedule]", "from = '8:00'"),
        ("[schedule]", "from = '24:00'"),
        ("[schedule]", "to = '24:01'"),
        ("[schedule]", "to = '12:60'"),
        ("[schedule]", "upload_limit = '2 M/s'"),
        ("network", "listen = ['0.0.0.0']"),
        ("network", "listen = ['localhost:1']"),
        ("network", "listen = ['224.0.0.1:1']"),
        ("network", "listen = ['[::]:0', '[::]:0']"),
        ("network", "advertise = ['203.0.113.7:0']"),
        ("network", "advertise = ['0.0.0.0:1']"),
        ("network", "ways = []"),
        ("network", "ways = ['direct', 'direct']"),
        ("network", "ways = ['carrier-pigeon']"),
        ("network", "upload_limit = -1"),
        ("network", "upload_limit = '2 M/s'"),
        ("accept", "max_size = '1 GiB/s'"),
        ("accept", "max_size = 9223372036854775808"),
        ("accept", "from = ['']"),
        ("accept", "from = ['@example.org']"),
        ("accept", "from = ['bob@example.org/phone']"),
        ("accept", "strangers = 'accept'"),
        ("accept", "strangers = 'ask'"),
        ("accept", "subscriptions = ''"),
    ] {
        let header = if section == "account" { String::new() } else { format!("[{section}]\n") };
        let line = if section == "account" { 3 } else { 4 };
        let error = error(&format!("{MINIMAL}{header}{value}"));
        let key = value.split(' ').next().unwrap();
        assert_eq!(error.code, "config-bad-value", "{value}: {error:?}");
        assert!(error.message.starts_with(&format!("xbtd.toml:{line}: `{key}` in [{section}] ")), "{value}: {error:?}");
        assert!(!error.hint.is_empty(), "{value}");
    }
}

#[test]
fn offers_of_strangers_cannot_be_asked_about_and_the_error_says_what_to_do() {
    parse(&format!("{MINIMAL}[accept]\nstrangers = 'ignore'\n")).unwrap();
    let error = error(&format!("{MINIMAL}[accept]\nstrangers = 'ask'\n"));
    let sentence = "`strangers` in [accept] is not supported: offers from outside the contact list are ignored";
    assert_eq!(error.message, format!("xbtd.toml:4: {sentence}"));
    assert!(error.hint.contains("xbtctl contacts add"), "{}", error.hint);
}

#[test]
fn a_key_or_section_that_stands_twice_is_named_with_its_second_line() {
    let told = |text: &str, message: &str| {
        let error = error(&format!("{MINIMAL}{text}"));
        assert_eq!((error.code, error.message.as_str()), ("config-syntax", message));
        assert!(!error.hint.is_empty());
    };
    let key = "duplicate key `listen`";
    told("[network]\nlisten = []\nmap_port = true\nlisten = []", &format!("xbtd.toml:6: {key}"));
    let section = "duplicate section [network]";
    told("[network]\n[accept]\n  [network]\nlisten = []", &format!("xbtd.toml:5: {section}"));
    told("[rule]\naccept = 'ask'\n[[rule]]\naccept = 'ask'", "xbtd.toml:5: duplicate section [rule]");
}

#[test]
fn rules_schedules_and_commands_are_read_in_their_order() {
    let text = "[[rule]]\ncontact = ['Bob@example.org', 'Family']\naccept = 'always'\nmax_size = '10 GiB'\n\
                [[rule]]\ndownload_dir = '~/in/{contact}/{date}'\n\
                [[schedule]]\ndays = ['mon', 'sun']\nfrom = '08:00'\nto = '24:00'\nupload_limit = '500 KiB/s'\n\
                [[schedule]]\nfrom = '22:30'\nto = '06:15'\ndownload_limit = '0'\n\
                [hooks]\non_offer = ['notify-send', 'a b']\non_complete = ['~/bin/x']\ntimeout = '5 min'\n";
    let config = parse(&format!("{MINIMAL}{text}")).unwrap();
    let folder = FolderPattern::parse("/home/alice/in/{contact}/{date}").unwrap();
    let who = vec!["bob@example.org".to_owned(), "Family".to_owned()];
    let rules = [
        Rule { who, accept: Some(Fate::Always), max_size: Some(10 << 30), folder: None },
        Rule { who: Vec::new(), accept: None, max_size: None, folder: Some(folder) },
    ];
    assert_eq!(config.rules, rules);
    let change = |up, down| RateChange { up, down };
    let schedules = [
        Schedule { days: 0b100_0001, from: 480, to: 1_440, change: change(Some(500 << 10), None) },
        Schedule { days: 0b111_1111, from: 22 * 60 + 30, to: 6 * 60 + 15, change: change(None, Some(0)) },
    ];
    assert_eq!(config.schedules, schedules);
    let hooks = Hooks {
        on_offer: Some(vec!["notify-send".to_owned(), "a b".to_owned()]),
        on_complete: Some(vec!["/home/alice/bin/x".to_owned()]),
        timeout_ms: 300_000,
    };
    assert_eq!(config.hooks, hooks);
}

#[test]
fn what_is_wrong_with_a_rule_or_schedule_is_told_with_its_line_and_what_to_write() {
    let below = |text: &str, code: &str, message: &str, hint: &str| {
        let error = error(&format!("{MINIMAL}[[rule]]\naccept = 'ask'\n{text}"));
        assert_eq!((error.code, error.message.as_str(), error.hint.as_str()), (code, message, hint));
    };
    let unknown = "config-unknown-key";
    below("[[rule]]\nacept = 'ask'", unknown, "xbtd.toml:6: unknown key `acept` in [[rule]]", "did you mean `accept`?");
    let what = "xbtd.toml:6: unknown key `upload_limits` in [[schedule]]";
    below("[[schedule]]\nupload_limits = 1", unknown, what, "did you mean `upload_limit`?");
    let what = "xbtd.toml:6: `accept` in [[rule]] is 'allways', which is not known here";
    below("[[rule]]\naccept = 'allways'", "config-bad-value", what, "did you mean \"always\"?");
    let what = "xbtd.toml:6: `download_dir` in [[rule]] is '~/{nme}', which is not a folder";
    below(
        "[[rule]]\ndownload_dir = '~/{nme}'",
        "config-bad-value",
        what,
        "there is no word {nme}: did you mean {name}?",
    );
    let hint = "write `accept`, `max_size` or `download_dir` into it";
    below("[[rule]]\ncontact = ['Family']", "config-bad-value", "xbtd.toml:5: this [[rule]] says nothing", hint);
    let hint = "write `upload_limit` or `download_limit` into it; \"0\" means none";
    below("[[schedule]]\nto = '12:00'", "config-bad-value", "xbtd.toml:5: this [[schedule]] limits nothing", hint);
    let hint = "leave `from` and `to` out for the whole day";
    let text = "[[schedule]]\nfrom = '12:00'\nto = '12:00'\nupload_limit = 1";
    below(text, "config-bad-value", "xbtd.toml:5: this [[schedule]] ends when it begins", hint);
    let hint = "write [[schedule]], with double brackets: it can be repeated";
    let what = "xbtd.toml:5: [[schedule]] must be a list of sections, not a section";
    below("[schedule]\nupload_limit = 1", "config-wrong-type", what, hint);
    let many = "[[rule]]\naccept = 'ask'\n".repeat(1_001);
    let error = error(&format!("{MINIMAL}{many}"));
    assert_eq!(error.message, "xbtd.toml:2003: this [[rule]] is one too many");
}

#[test]
fn plain_text_is_refused_by_name() {
    let hint = "a password is never sent in plain text: write \"starttls\" or \"direct\"";
    let what = "xbtd.toml:3: `tls` in [account] is \"none\", which is not possible";
    refused("tls = \"none\"", "config-bad-value", what, hint);
}

#[test]
fn servers_are_hosts_or_addresses_with_or_without_a_port() {
    for (text, server) in [
        ("host", "host:5222"),
        ("xmpp.example.org.", "xmpp.example.org.:5222"),
        ("192.0.2.1:1", "192.0.2.1:1"),
        ("[2001:DB8::1]:443", "[2001:db8::1]:443"),
    ] {
        let config = parse(&format!("{MINIMAL}server = '{text}'")).unwrap();
        assert_eq!(config.account.server.map(|server| server.to_string()).as_deref(), Some(server));
    }
}

#[test]
fn an_account_is_needed_and_has_a_local_part_and_no_device() {
    for text in ["", "[account]\n", "[files]\n"] {
        let error = error(text);
        assert_eq!(error.code, "config-missing-key");
        assert!(error.hint.contains("jid") && error.hint.contains("password_file"), "{error:?}");
    }
    // The last one has 80 letters in a part of its domain once it is normalised.
    let long = format!("alice@{}.org", "ß".repeat(40));
    assert_eq!(error(&format!("{MINIMAL}[accept]\nfrom = ['{long}']")).code, "config-bad-value");
    for jid in ["", "example.org", "a@b@c", "@example.org", "alice@example.org/home", "al ice@example.org", &long] {
        assert_eq!(error(&format!("[account]\njid = '{jid}'")).code, "config-bad-value", "{jid}");
    }
}

#[test]
fn two_places_for_one_password_are_refused() {
    let error = error(&format!("{MINIMAL}password_file = '/p'\npassword_command = 'c'"));
    assert_eq!(error.code, "config-conflict");
    assert!(error.message.starts_with("xbtd.toml:4: `password_command` in [account] and `password_file`"), "{error:?}");
}

#[test]
fn text_that_is_not_toml_is_told_with_its_line() {
    let error = error("[account]\njid = alice@example.org\n");
    assert_eq!(error.code, "config-syntax");
    assert!(error.message.starts_with("xbtd.toml:2: "), "{error:?}");
    assert!(!error.message.contains('\n'), "{error:?}");
}

#[test]
fn what_a_message_repeats_of_the_file_is_short_and_harmless() {
    let error = error(&format!("[account]\njid = \"\u{9b}{}\"", "x".repeat(10_000)));
    assert!(error.message.chars().count() < 200 && !error.message.chars().any(char::is_control), "{error:?}");
}

#[test]
fn a_missing_file_is_told_with_what_to_write() {
    let dir = tempfile::tempdir().unwrap();
    let error = Config::load(&dir.path().join("xbtd.toml")).unwrap_err();
    assert_eq!(error.code, "config-missing");
    assert!(error.hint.contains("jid = ") && error.hint.contains("password_file = "), "{error:?}");
    assert_eq!(Config::load(dir.path()).unwrap_err().code, "config-unreadable");
    let large = dir.path().join("large");
    std::fs::write(&large, "#".repeat(300_000)).unwrap();
    assert_eq!(Config::load(&large).unwrap_err().code, "config-unreadable");
}

#[test]
fn a_file_that_others_may_write_is_refused() {
    use std::os::unix::fs::PermissionsExt;
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), MINIMAL).unwrap();
    std::fs::set_permissions(file.path(), std::fs::Permissions::from_mode(0o646)).unwrap();
    let error = Config::load(file.path()).unwrap_err();
    assert!(error.code == "config-permissions" && error.hint.contains("chmod go-w"), "{error:?}");
    std::fs::set_permissions(file.path(), std::fs::Permissions::from_mode(0o644)).unwrap();
    assert!(Config::load(file.path()).is_ok());
}

#[test]
fn a_check_says_in_one_line_what_was_understood() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    let (path, password) = (dir.path().join("xbtd.toml"), dir.path().join("password"));
    std::fs::write(&path, format!("{MINIMAL}password_file = '{}'", password.display())).unwrap();
    assert_eq!(check(&path).unwrap_err().code, "password-file");
    std::fs::write(&password, "hunter2\n").unwrap();
    std::fs::set_permissions(&password, std::fs::Permissions::from_mode(0o600)).unwrap();
    let summary = check(&path).unwrap();
    assert!(summary.contains("is fine: alice@example.org"), "{summary}");
    assert!(!summary.contains("hunter2") && !summary.contains('\n'), "{summary}");
}

proptest! {
    #[test]
    fn no_text_makes_the_parser_panic(text in ".*") {
        let _ = parse(&text);
    }

    #[test]
    fn no_value_makes_the_parser_panic(
        key in (0..keys::SECTIONS.len(), any::<prop::sample::Index>()),
        value in "(\"[^\"\\\\]*\"|\\['.{0,9}'\\]|[0-9a-z.-]{1,9}|.{0,20})",
    ) {
        let section = &keys::SECTIONS[key.0];
        let name = key.1.get(section.keys).name;
        let _ = parse(&format!("{MINIMAL}{}\n{name} = {value}\n", if section.name == "account" { String::new() } else { section.heading() }));
    }
}
