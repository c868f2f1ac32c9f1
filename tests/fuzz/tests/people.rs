//! What programs of the user and people give: RPC frames, configuration.

use std::collections::HashSet;
use std::path::Path;
use std::time::Duration;

use xbt_fuzz::target;
use xbtd::config::{AcceptFrom, Config, PasswordSource};
use xbtd::rpc::fuzzing::{Frame, frame};

const JSON: &[&str] = &[
    "{",
    "}",
    "[",
    "]",
    "[[[[[[[[",
    ":",
    ",",
    "\"",
    "null",
    "-1",
    "18446744073709551615",
    "4294967295",
    "1e99",
    "0.5",
    "\"deadline\":{\"secs\":1,\"nanos\":1},",
    "\"Hello\":{}",
    "\"id\":1,",
    "\"\\ud800\"",
    "\"\\u0000\"",
    "true",
];
const TOML: &[&str] = &[
    "\n",
    "#",
    "[account]\n",
    "[network]\n",
    "[accept]\n",
    "[files]\n",
    "jid = \"a@b\"\n",
    "= ",
    "\"",
    "'",
    "[",
    "]",
    "{",
    "}",
    "listen = [\"0.0.0.0:0\"]\n",
    "upload_limit = 0x10\n",
    "max_size = \"1.5 GiB\"\n",
    "99999999999999999999",
    "-1",
    "\\u001b",
    "\u{1b}",
    "\\u202e",
    "1979-05-27",
    "inf",
    "true",
    "a.b.c = 1\n",
    "\"\"\"",
    "~/",
    "server = \"[::1]:5222\"\n",
];

/// A frame as the server reads it.
fn frames_hold(bytes: &[u8]) {
    let Ok(Frame::Call(id, time, message)) = frame(bytes) else { return };
    assert!(time <= Duration::from_secs(xbt_api::MAX_DEADLINE_S), "no call takes longer than the longest");
    let written = serde_json::to_value(&message).expect("JSON");
    let again = serde_json::json!({ "Request": { "id": id, "message": written } }).to_string();
    match frame(again.as_bytes()) {
        Ok(Frame::Call(same, _, message)) => {
            assert_eq!(same, id);
            assert_eq!(serde_json::to_value(&message).expect("JSON"), written, "the same call is read again");
        }
        other => panic!("a call that was understood is not: {other:?}"),
    }
}
target!(frames, JSON, frames_hold);

/// The configuration file.
fn configuration_holds(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let config = match Config::parse(&text, Path::new("xbtd.toml"), Path::new("/home/alice")) {
        Ok(config) => config,
        Err(error) => {
            assert!(error.code.starts_with("config-") && !error.hint.is_empty());
            let shown = [&error.message, &error.hint];
            assert!(!shown.iter().any(|text| text.is_empty() || text.chars().any(char::is_control)), "{error:?}");
            return;
        }
    };
    assert!(config.account.jid.as_str().contains('@') && !config.account.jid.as_str().contains('/'));
    assert!(config.account.server.is_none_or(|server| !server.host.is_empty() && server.port != 0));
    let password = match &config.account.password {
        Some(PasswordSource::File(file)) => Some(file),
        Some(PasswordSource::Command(command)) => {
            assert!(!command.trim().is_empty());
            None
        }
        None => None,
    };
    let files = &config.files;
    let paths = [
        files.state_dir.as_ref(),
        files.socket.as_ref(),
        password,
        config.account.ca_file.as_ref(),
    ];
    assert!(paths.iter().flatten().all(|path| path.is_absolute()));
    let folders = config.rules.iter().filter_map(|rule| rule.folder.as_ref());
    assert!(folders.chain([&files.download_dir]).all(|folder| folder.above().starts_with('/')));
    assert!(config.rules.iter().all(|rule| rule.who.iter().all(|who| !who.trim().is_empty())));
    assert!(config.schedules.iter().all(|s| s.days != 0 && s.days < 128 && s.from < 1_440 && s.to <= 1_440 && s.from != s.to));
    let commands = [&config.hooks.on_offer, &config.hooks.on_complete];
    assert!(commands.into_iter().flatten().all(|command| !command.is_empty()));
    let network = &config.network;
    for list in [&network.listen, &network.advertise] {
        assert!(list.len() <= 16 && list.iter().collect::<HashSet<_>>().len() == list.len());
    }
    assert!(network.advertise.iter().all(|address| address.port() != 0 && !address.ip().is_unspecified()));
    assert!(!network.ways.is_empty() && network.ways.iter().collect::<HashSet<_>>().len() == network.ways.len());
    for size in [network.upload_limit, network.download_limit, config.accept.max_size] {
        assert!(i64::try_from(size).is_ok());
    }
    assert!(config.accept.from.iter().all(|from| match from {
        AcceptFrom::Contact(jid) => jid.as_str().contains('@') || !jid.as_str().is_empty(),
        AcceptFrom::Group(name) => !name.trim().is_empty(),
    }));
}
target!(configuration, TOML, configuration_holds);
