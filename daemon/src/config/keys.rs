//! Every section and key of the configuration, declared once.
//!
//! From this table come the defaults, the hints about misspelt keys and the file `config/xbtd.toml`.

use std::fmt::Write as _;

/// A section of the configuration.
pub(super) struct Section {
    pub name: &'static str,
    /// It may stand several times, as `[[name]]`; what is not in one has no default.
    pub repeated: bool,
    pub doc: &'static str,
    pub keys: &'static [Key],
}

impl Section {
    /// How it is written.
    pub fn heading(&self) -> String {
        if self.repeated { format!("[[{}]]", self.name) } else { format!("[{}]", self.name) }
    }
}

/// A key of a section.
pub(super) struct Key {
    pub name: &'static str,
    pub given: Given,
    pub doc: &'static str,
}

/// Where the value of a key comes from when it is not in the file; all values are TOML.
pub(super) enum Given {
    /// It must be in the file; with an example.
    Needed(&'static str),
    /// It may be missing, and then nothing takes its place; with an example.
    Optional(&'static str),
    /// Its default.
    Default(&'static str),
}

use Given::{Default, Needed, Optional};

const fn key(name: &'static str, given: Given, doc: &'static str) -> Key {
    Key { name, given, doc }
}

/// The whole configuration.
pub(super) const SECTIONS: &[Section] = &[
    Section {
        name: "account",
        repeated: false,
        doc: "The XMPP account. It needs `jid`, and one place that the password comes from: `password_command`,\n\
              `password_file`, or a systemd credential named xbt-password. The password itself never stands here.",
        keys: &[
            key("jid", Needed("\"alice@example.org\""), "Your address."),
            key(
                "password_file",
                Optional("\"~/.config/xbt/password\""),
                "A file that contains only the password and that only you can read (chmod 600).",
            ),
            key(
                "password_command",
                Optional("\"pass show xmpp\""),
                "Instead of a file: a shell command that prints the password on its first line, without a terminal, within\n\
                 30 seconds.",
            ),
            key(
                "server",
                Optional("\"xmpp.example.org:5222\""),
                "The server to connect to, instead of the one from DNS: host, host:port or [IPv6]:port.",
            ),
            key(
                "tls",
                Default("\"starttls\""),
                "How to connect to `server`: \"starttls\" (port 5222) or \"direct\" (TLS from the first byte, port 5223).\n\
                 Never plain text.",
            ),
            key(
                "ca_file",
                Optional("\"/etc/ssl/own-ca.pem\""),
                "Certificates (PEM) of your own authority; only these are trusted.",
            ),
            key(
                "least_mechanism",
                Default("\"SCRAM-SHA-1\""),
                "The weakest way to prove the password that is allowed, of these, weakest first: \"PLAIN\" \"SCRAM-SHA-1\"\n\
                 \"SCRAM-SHA-256\" \"SCRAM-SHA-512\" \"SCRAM-SHA-1-PLUS\" \"SCRAM-SHA-256-PLUS\" \"SCRAM-SHA-512-PLUS\". \"PLAIN\" shows the\n\
                 password to the server; those with \"-PLUS\" notice somebody between you and it. Whatever is allowed here, a login\n\
                 weaker than an earlier one is refused (xbtctl login).",
            ),
        ],
    },
    Section {
        name: "files",
        repeated: false,
        doc: "Files and folders. Paths are absolute or start with `~/`.",
        keys: &[
            key(
                "download_dir",
                Default("\"~/Downloads\""),
                "The folder for received files, unless a rule or `--to` selects another. Placeholders: {contact} {name} (address\n\
                 and name of the contact), {date} {year} {month} {day} (of acceptance), as in\n\
                 \"~/Downloads/xbt/{contact}/{date}\". Write {{ or }} for a plain brace.",
            ),
            key(
                "state_dir",
                Optional("\"~/.local/state/xbt\""),
                "The database of transfers and the device key. If unset: $XDG_STATE_HOME/xbt.",
            ),
            key(
                "socket",
                Optional("\"/run/user/1000/xbt/xbtd.sock\""),
                "The socket for xbtctl. If unset: $XDG_RUNTIME_DIR/xbt/xbtd.sock, or xbtd.sock in the state directory if\n\
                 there is no runtime directory.",
            ),
        ],
    },
    Section {
        name: "network",
        repeated: false,
        doc: "Links to other devices, and how fast they may be.",
        keys: &[
            key(
                "listen",
                Default("[\"[::]:0\", \"0.0.0.0:0\"]"),
                "Addresses to listen on. Port 0: a free port, chosen once and kept, the same for all. Contacts learn a\n\
                 loopback address only if it is listed explicitly. Empty: xbtd connects but does not listen.",
            ),
            key("map_port", Default("true"), "Ask the router to map the port (PCP, NAT-PMP or UPnP)."),
            key(
                "advertise",
                Default("[]"),
                "Additional addresses for contacts, such as [\"203.0.113.7:51413\"] for a port that you forwarded by hand.",
            ),
            key(
                "ways",
                Default("[\"direct\", \"mapped\", \"punched\", \"proxy65\", \"in-band\"]"),
                "Ways to reach other devices; xbtd uses the best one that works. \"direct\": TCP; \"mapped\": TCP to a port mapped\n\
                 by a router; \"punched\": UDP hole punching; \"proxy65\": a SOCKS5 proxy of either XMPP server; \"in-band\": the XMPP\n\
                 servers themselves. Remove those that must not be used:\n\
                 with [\"proxy65\", \"in-band\"] no contact learns an address of this computer.",
            ),
            key(
                "in_band_max_size",
                Default("\"4 MiB\""),
                "The largest content that may go through the XMPP servers (\"in-band\"), the last resort: servers allow only a\n\
                 few KiB per second.",
            ),
            key(
                "upload_limit",
                Default("\"0\""),
                "Upload limit for all contacts together, such as \"2 MiB/s\"; \"0\": no limit.",
            ),
            key("download_limit", Default("\"0\""), "Download limit for all contacts together; \"0\": no limit."),
        ],
    },
    Section {
        name: "accept",
        repeated: false,
        doc: "What to accept automatically, and what others may see.",
        keys: &[
            key(
                "from",
                Default("[]"),
                "Contacts (\"bob@example.org\") and groups of the contact list (\"Family\") whose offers are accepted automatically.\n\
                 What has an @ is an address, never a group. Your server keeps the contact list and so decides who is in a group.",
            ),
            key(
                "verified_groups",
                Default("false"),
                "Accept automatically by group, here and in rules, only from contacts whose safety number you have compared.",
            ),
            key("max_size", Default("\"1 GiB\""), "Always ask about larger offers."),
            key(
                "quota",
                Default("\"10 GiB\""),
                "How much one contact may fill automatically within a day; you are asked about the rest. \"0\": no limit.",
            ),
            key(
                "strangers",
                Default("\"ignore\""),
                "Offers from people who are not on the contact list are ignored; there is no other value yet.",
            ),
            key(
                "subscriptions",
                Default("\"added\""),
                "Who may see when you are online: \"added\": contacts that you added; \"ask\": you are asked about others.",
            ),
            key(
                "courtesy_message",
                Default("true"),
                "Send one chat message to a contact who has never run xbt, to say that a file is waiting.",
            ),
            key(
                "introduce",
                Default("true"),
                "Let recipients of the same content help each other. They learn each other's network addresses, but no names.\n\
                 Both recipients and the sender must allow it.",
            ),
        ],
    },
    Section {
        name: "rule",
        repeated: true,
        doc: "Exceptions for some contacts; can be repeated. The first rule that matches a contact decides; keys that it omits\n\
              follow [accept] and [files].",
        keys: &[
            key(
                "contact",
                Optional("[\"bob@example.org\", \"Family\"]"),
                "Contacts and groups of the contact list that the rule is for. If unset: everyone.",
            ),
            key(
                "accept",
                Optional("\"always\""),
                "\"always\": accept automatically up to max_size; \"ask\": ask, even after 'xbtctl contacts allow';\n\
                 \"never\": decline automatically.",
            ),
            key("max_size", Optional("\"10 GiB\""), "Ask about larger offers."),
            key(
                "download_dir",
                Optional("\"~/Pictures/{contact}\""),
                "The download folder for these contacts; with placeholders, as in [files].",
            ),
        ],
    },
    Section {
        name: "schedule",
        repeated: true,
        doc: "Limits by time of the week, in local time; can be repeated. The first whose time it is applies; keys that it omits\n\
              follow [network].",
        keys: &[
            key(
                "days",
                Optional("[\"mon\", \"tue\", \"wed\", \"thu\", \"fri\"]"),
                "Days on which it begins: \"mon\" \"tue\" \"wed\" \"thu\" \"fri\" \"sat\" \"sun\". If unset: every day.",
            ),
            key("from", Optional("\"08:00\""), "When it begins. If unset: midnight."),
            key("to", Optional("\"18:00\""), "When it ends; the next day if not after `from`. If unset: \"24:00\"."),
            key("upload_limit", Optional("\"500 KiB/s\""), "As in [network]; \"0\": no limit."),
            key("download_limit", Optional("\"0\""), "As in [network]; \"0\": no limit."),
        ],
    },
    Section {
        name: "hooks",
        repeated: false,
        doc: "Your own commands: a program and its arguments, without a shell. Details are in the environment (XBT_EVENT,\n\
              XBT_ID, XBT_CONTACT, XBT_NAME, XBT_PATH and more: docs/configuration.md). At most four run at a time.",
        keys: &[
            key("on_offer", Optional("[\"~/bin/xbt-offer\"]"), "Runs once for each offer that no rule declines."),
            key(
                "on_complete",
                Optional("[\"~/bin/xbt-complete\", \"--quiet\"]"),
                "Runs for each completed transfer, sent or received; again if the daemon stopped meanwhile.",
            ),
            key(
                "timeout",
                Default("\"30 s\""),
                "Time limit for each; then it and everything it started is killed. At most \"1 h\".",
            ),
        ],
    },
];

/// All defaults as one TOML document.
pub(super) fn defaults() -> String {
    let mut text = String::new();
    for section in SECTIONS.iter().filter(|section| !section.repeated) {
        let _ = writeln!(text, "[{}]", section.name);
        for key in section.keys {
            if let Default(value) = key.given {
                let _ = writeln!(text, "{} = {value}", key.name);
            }
        }
    }
    text
}

/// The text of `config/xbtd.toml`: every key, explained. A line that starts with `#` and no space is a default.
pub fn example() -> String {
    let mut text = String::from(
        "# xbtd.toml: the configuration of xbtd, with every key.\n\
         # It belongs at ~/.config/xbt/xbtd.toml. `#key = value` shows the default; take the # away to change it.\n",
    );
    for section in SECTIONS {
        let mark = if section.repeated { "# " } else { "" };
        let _ = writeln!(text, "\n{}{mark}{}", commented(section.doc), section.heading());
        for (i, key) in section.keys.iter().enumerate() {
            let (mark, value) = match key.given {
                Needed(value) => ("", value),
                // One place for the password is needed, and the file is the one that works everywhere.
                Optional(value) if key.name == "password_file" => ("", value),
                Optional(value) => ("# ", value),
                Default(value) => ("#", value),
            };
            let gap = if i == 0 { "" } else { "\n" };
            let _ = writeln!(text, "{gap}{}{mark}{} = {value}", commented(key.doc), key.name);
        }
    }
    text
}

fn commented(doc: &str) -> String {
    doc.lines().map(|line| format!("# {line}\n")).collect()
}

/// The declaration of a section.
pub(super) fn section(name: &str) -> Option<&'static Section> {
    SECTIONS.iter().find(|section| section.name == name)
}

/// What to tell a person who wrote a section that there is not.
pub(super) fn hint_for_section(wrong: &str) -> String {
    match nearest(wrong, SECTIONS.iter().map(|section| section.name)) {
        Some(near) => format!("did you mean {}?", section(near).map_or_else(|| near.to_owned(), Section::heading)),
        None => format!("the sections are {}", listed(SECTIONS.iter().map(Section::heading))),
    }
}

/// What to tell a person who wrote a key that there is not in `section` (none: before the first section).
pub(super) fn hint_for_key(section: Option<&Section>, wrong: &str) -> String {
    if wrong == "password" {
        return "the password does not go into this file: use `password_file` or `password_command` in [account]"
            .to_owned();
    }
    let home = SECTIONS.iter().find(|section| section.keys.iter().any(|key| key.name == wrong));
    if let Some(home) = home {
        return format!("`{wrong}` belongs in {}", home.heading());
    }
    let Some(section) = section else {
        return format!("keys stand in a section: {}", listed(SECTIONS.iter().map(Section::heading)));
    };
    match nearest(wrong, section.keys.iter().map(|key| key.name)) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!(
            "the keys of {} are {}",
            section.heading(),
            listed(section.keys.iter().map(|k| format!("`{}`", k.name)))
        ),
    }
}

/// What to tell a person who wrote none of the words that are allowed.
pub(super) fn hint_for_word<'a>(wrong: &str, words: impl Iterator<Item = &'a str> + Clone) -> String {
    match nearest(wrong, words.clone()) {
        Some(near) => format!("did you mean \"{near}\"?"),
        None => format!("write one of {}", listed(words.map(|word| format!("\"{word}\"")))),
    }
}

/// What to tell a person who wrote a word in braces that there is not.
pub(super) fn hint_for_brace<'a>(wrong: &str, words: impl Iterator<Item = &'a str> + Clone) -> String {
    match nearest(wrong, words.clone()) {
        Some(near) => format!("did you mean {{{near}}}?"),
        None => format!("choose from {}", listed(words.map(|word| format!("{{{word}}}")))),
    }
}

/// The known word that is a few slips of the finger away.
fn nearest<'a>(wrong: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    // The distance costs length × length: no known word is near a very long one.
    if wrong.len() > 64 {
        return None;
    }
    let wrong = wrong.to_lowercase().replace('-', "_");
    known
        .map(|word| (strsim::damerau_levenshtein(&wrong, &word.replace('-', "_")), word))
        .filter(|(distance, word)| *distance <= 1 + word.len() / 4)
        .min()
        .map(|(_, word)| word)
}

fn listed(words: impl Iterator<Item = String>) -> String {
    words.collect::<Vec<_>>().join(", ")
}
