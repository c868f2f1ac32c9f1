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
                "A file that holds nothing but the password. It must be yours and readable by nobody else (chmod 600).",
            ),
            key(
                "password_command",
                Optional("\"pass show xmpp\""),
                "Instead of a file: a shell command whose first line of output is the password. It has 30 seconds and no\n\
                 terminal.",
            ),
            key(
                "server",
                Optional("\"xmpp.example.org:5222\""),
                "The server to connect to, instead of the one that DNS names for your address: host, host:port or [IPv6]:port.",
            ),
            key(
                "tls",
                Default("\"starttls\""),
                "How `server` is spoken to: \"starttls\" (port 5222) or \"direct\" (TLS from the first byte, port 5223).\n\
                 Never plain text.",
            ),
            key(
                "ca_file",
                Optional("\"/etc/ssl/own-ca.pem\""),
                "Certificates (PEM) of an authority of your own; only these are trusted then.",
            ),
        ],
    },
    Section {
        name: "files",
        repeated: false,
        doc: "Where things lie. Paths are absolute or start with `~/`.",
        keys: &[
            key(
                "download_dir",
                Default("\"~/Downloads\""),
                "Received files go here, unless a rule or a person says otherwise. Words in braces stand for the transfer:\n\
                 {contact} {name} (address and name of the contact), {date} {year} {month} {day} (of acceptance), as in\n\
                 \"~/Downloads/xbt/{contact}/{date}\". A brace itself is written twice.",
            ),
            key(
                "state_dir",
                Optional("\"~/.local/state/xbt\""),
                "The daemon's own memory: transfers, device key. Without it: $XDG_STATE_HOME/xbt.",
            ),
            key(
                "socket",
                Optional("\"/run/user/1000/xbt/xbtd.sock\""),
                "Where xbtctl reaches the daemon. Without it: $XDG_RUNTIME_DIR/xbt/xbtd.sock, or xbtd.sock in the state\n\
                 directory where there is no runtime directory.",
            ),
        ],
    },
    Section {
        name: "network",
        repeated: false,
        doc: "How links to other devices are made, and how fast they may be.",
        keys: &[
            key(
                "listen",
                Default("[\"[::]:0\", \"0.0.0.0:0\"]"),
                "Addresses on which links are accepted. Port 0: a free port, chosen once and kept, the same for all.\n\
                 A loopback address is told to contacts only if it stands here by itself. Empty: links are only dialled.",
            ),
            key("map_port", Default("true"), "Ask the router to pass the port on to us (PCP, NAT-PMP or UPnP)."),
            key(
                "advertise",
                Default("[]"),
                "Further addresses to tell contacts, such as [\"203.0.113.7:51413\"] for a port that you forwarded by hand.",
            ),
            key(
                "ways",
                Default("[\"direct\", \"mapped\", \"punched\", \"proxy65\", \"in-band\"]"),
                "Ways by which devices may be reached; the best one that opens is taken. \"direct\": TCP; \"mapped\": TCP to a port that\n\
                 a router passes on; \"punched\": UDP through holes in both routers; \"proxy65\": a SOCKS5 proxy of either XMPP\n\
                 server; \"in-band\": the XMPP servers themselves. Leave out those that must not be used:\n\
                 with [\"proxy65\", \"in-band\"] no contact learns an address of this computer.",
            ),
            key(
                "in_band_max_size",
                Default("\"4 MiB\""),
                "Only contents up to this size may go through the XMPP server itself (\"in-band\"), the last resort: servers\n\
                 allow a few KiB per second there.",
            ),
            key(
                "upload_limit",
                Default("\"0\""),
                "Most bytes per second sent to all contacts together, such as \"2 MiB/s\"; \"0\": no limit.",
            ),
            key(
                "download_limit",
                Default("\"0\""),
                "Most bytes per second received from all contacts together; \"0\": no limit.",
            ),
        ],
    },
    Section {
        name: "accept",
        repeated: false,
        doc: "What is accepted without asking, and what others get to see.",
        keys: &[
            key(
                "from",
                Default("[]"),
                "Contacts (\"bob@example.org\") and groups of the contact list (\"Family\") whose offers are accepted at once.",
            ),
            key("max_size", Default("\"1 GiB\""), "Larger offers are asked about, whoever they come from."),
            key(
                "strangers",
                Default("\"ignore\""),
                "Offers of people who are not on the contact list are ignored; no other value is known yet.",
            ),
            key(
                "subscriptions",
                Default("\"added\""),
                "Who may see when we are online: \"added\", the contacts that we added ourselves, or \"ask\" about others too.",
            ),
            key(
                "courtesy_message",
                Default("true"),
                "Send one chat message to a contact who has never run xbt, to say that a file is waiting.",
            ),
            key(
                "introduce",
                Default("true"),
                "Let recipients of the same content help each other: those of what we send, and us with what we receive. They learn each\n\
                 other's network addresses by it, but no names. Nobody is introduced where the sender or either recipient says false.",
            ),
        ],
    },
    Section {
        name: "rule",
        repeated: true,
        doc: "What holds for some contacts instead. There may be several rules: the first that fits a contact decides, and what\n\
              it does not say is as in [accept] and [files].",
        keys: &[
            key(
                "contact",
                Optional("[\"bob@example.org\", \"Family\"]"),
                "Contacts and groups of the contact list that the rule is for. Without it: everybody.",
            ),
            key(
                "accept",
                Optional("\"always\""),
                "\"always\": accept what they offer at once, up to max_size; \"ask\": ask, also where 'xbtctl contacts allow' was\n\
                 said; \"never\": decline at once.",
            ),
            key("max_size", Optional("\"10 GiB\""), "Larger offers are asked about."),
            key(
                "download_dir",
                Optional("\"~/Pictures/{contact}\""),
                "What they send goes here; with words in braces, as in [files].",
            ),
        ],
    },
    Section {
        name: "schedule",
        repeated: true,
        doc: "Other limits at some times of the week, by the local clock. There may be several: the first whose time it is\n\
              holds, and what it does not say is as in [network].",
        keys: &[
            key(
                "days",
                Optional("[\"mon\", \"tue\", \"wed\", \"thu\", \"fri\"]"),
                "Days on which it begins: \"mon\" \"tue\" \"wed\" \"thu\" \"fri\" \"sat\" \"sun\". Without it: every day.",
            ),
            key("from", Optional("\"08:00\""), "When it begins. Without it: at midnight."),
            key(
                "to",
                Optional("\"18:00\""),
                "When it ends; a time that is not after `from` is one of the next day. Without it: \"24:00\".",
            ),
            key("upload_limit", Optional("\"500 KiB/s\""), "As in [network]; \"0\": no limit."),
            key("download_limit", Optional("\"0\""), "As in [network]; \"0\": no limit."),
        ],
    },
    Section {
        name: "hooks",
        repeated: false,
        doc: "Commands of yours: a program and its arguments. No shell sees them; the facts are in the environment (XBT_EVENT,\n\
              XBT_ID, XBT_CONTACT, XBT_NAME, XBT_PATH and more: docs/configuration.md). At most four run at a time.",
        keys: &[
            key("on_offer", Optional("[\"~/bin/xbt-offer\"]"), "Run once for each offer that no rule declines."),
            key(
                "on_complete",
                Optional("[\"~/bin/xbt-complete\", \"--quiet\"]"),
                "Run for each transfer that is done, sent or received; again if the daemon was ended meanwhile.",
            ),
            key(
                "timeout",
                Default("\"30 s\""),
                "The time that each has; then it is killed, with all that it started. At most \"1 h\".",
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
        None => format!("these are there: {}", listed(words.map(|word| format!("{{{word}}}")))),
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
