//! `docs/man/xbtd.toml.5`, made from the table of keys like the example file, so that neither can lack a key.

use std::fmt::Write as _;

use super::keys::{Given, SECTIONS};

/// After a change of the table: XBT_WRITE_EXAMPLE=1 cargo test -p xbtd manual
#[test]
fn the_manual_page_is_the_one_that_the_table_of_keys_makes() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/man/xbtd.toml.5");
    if std::env::var_os("XBT_WRITE_EXAMPLE").is_some() {
        std::fs::write(file, page()).unwrap();
    }
    assert_eq!(std::fs::read_to_string(file).unwrap(), page());
    for section in SECTIONS {
        assert!(page().contains(&format!(".SS {}\n", section.heading())), "{}", section.heading());
        assert!(section.keys.iter().all(|key| page().contains(&format!(".TP\n\\fB{}\\fR", key.name))));
    }
}

#[test]
fn nothing_in_a_text_is_taken_for_a_command_of_roff() {
    assert_eq!(roff(".a `b` c\\d 'e' ~/f-g"), "\\&.a \\fBb\\fR c\\ed \\(aqe\\(aq \\(ti/f\\-g");
    assert_eq!(roff("one\n'two"), "one\n\\(aqtwo");
}

fn page() -> String {
    let mut text = String::from(INTRODUCTION);
    for section in SECTIONS {
        let _ = writeln!(text, ".SS {}\n{}", section.heading(), roff(section.doc));
        for key in section.keys {
            let about = match key.given {
                Given::Needed(value) => format!("Needed, such as: {value}"),
                Given::Optional(value) => format!("Example: {value}"),
                Given::Default(value) => format!("Default: {value}"),
            };
            let _ = writeln!(text, ".TP\n\\fB{}\\fR\n{}\n.br\n{}", key.name, roff(key.doc), roff(&about));
        }
    }
    text + END
}

/// Text as roff shows it: what stands between backticks in bold, and nothing that it would take for a command.
fn roff(text: &str) -> String {
    let mut shown = String::new();
    let (mut bold, mut begins) = (false, true);
    for c in text.chars() {
        match c {
            '`' => {
                bold = !bold;
                shown.push_str(if bold { "\\fB" } else { "\\fR" });
            }
            '\\' => shown.push_str("\\e"),
            '\'' => shown.push_str("\\(aq"),
            '~' => shown.push_str("\\(ti"),
            '-' => shown.push_str("\\-"),
            '.' if begins => shown.push_str("\\&."),
            other => shown.push(other),
        }
        begins = c == '\n';
    }
    shown
}

const INTRODUCTION: &str = r#".\" Made from the table of keys: XBT_WRITE_EXAMPLE=1 cargo test -p xbtd manual
.TH XBTD.TOML 5 "" "xbt" "File Formats"
.SH NAME
xbtd.toml \- configuration of xbtd
.SH SYNOPSIS
.I $XDG_CONFIG_HOME/xbt/xbtd.toml
.br
.I \(ti/.config/xbt/xbtd.toml
.SH DESCRIPTION
A TOML file (https://toml.io) for
.BR xbtd (1).
Only
.B jid
and a place for the password are needed;
.B xbtctl setup
writes both.
A key that there is not is an error.
.B xbtd \-\-check\-config
says whether the file is good, and
.B systemctl \-\-user reload xbtd
has it read again.
Sizes are texts such as "4 MiB" or plain numbers of bytes, rates such as "2 MiB/s".
.SH SECTIONS AND KEYS
"#;

const END: &str = r#".SH EXAMPLE
.EX
[account]
jid = "alice@example.org"
password_file = "\(ti/.config/xbt/password"

[[rule]]
contact = ["Family"]
accept = "always"
download_dir = "\(ti/Pictures/{contact}"
.EE
.SH SEE ALSO
.BR xbtd (1),
.BR xbtctl (1),
.BR xbtctl\-rules (1)
"#;
