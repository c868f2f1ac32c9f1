//! `xbtctl setup`: from an XMPP address to a daemon that runs.

mod document;
mod login;
mod password;
mod unit;

use std::path::{Path, PathBuf};

use serde_json::json;
use xbt_api::codes;

use self::document::Document;
use self::login::{Attempt, Trial};
use self::password::Store;
use crate::ask;
use crate::context::Context;
use crate::failure::Failure;
use crate::out::Tone;
use crate::paths::{absolute, config_home};
use crate::text::clean;

/// How often a person may type the password.
const TRIES: usize = 3;

/// What would be asked otherwise.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Your XMPP address, such as alice@example.org
    #[arg(long)]
    jid: Option<String>,

    /// Create the account first, if the server allows it (XEP-0077)
    #[arg(long, conflicts_with = "no_login")]
    register: bool,

    /// Read the password from the first line of standard input
    #[arg(long)]
    password_stdin: bool,

    /// The server to connect to, instead of the one from DNS
    #[arg(long, value_name = "HOST[:PORT]")]
    server: Option<String>,

    /// How to connect to the server [default: starttls]
    #[arg(long, value_name = "KIND", value_parser = ["starttls", "direct"])]
    tls: Option<String>,

    /// Weakest way to prove the password that is allowed, such as PLAIN [default: SCRAM-SHA-1]
    #[arg(long, value_name = "MECHANISM")]
    least_mechanism: Option<String>,

    /// Certificates (PEM) of your own authority; only these are trusted
    #[arg(long, value_name = "FILE")]
    ca_file: Option<PathBuf>,

    /// Where to keep the password
    #[arg(long, value_enum, default_value_t = Store::Auto, value_name = "WHERE")]
    keep: Store,

    /// The configuration to write [default: $XDG_CONFIG_HOME/xbt/xbtd.toml]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,

    /// Write the configuration without testing the login
    #[arg(long)]
    no_login: bool,

    /// Leave the systemd unit alone
    #[arg(long)]
    no_unit: bool,

    /// Answer every question with yes
    #[arg(short, long)]
    yes: bool,
}

/// Asks, tries, writes, starts.
pub async fn run(context: &Context, args: Args) -> Result<(), Failure> {
    let config = match &args.config {
        Some(path) => PathBuf::from(absolute(path)?),
        None => config_home()?.join("xbt/xbtd.toml"),
    };
    let old = may_replace(context, &config, &args).await?;
    let mut document = Document {
        jid: jid(&args).await?,
        server: args.server.clone(),
        tls: args.tls.clone(),
        least_mechanism: args.least_mechanism.clone(),
        ca_file: args.ca_file.as_deref().map(absolute).transpose()?,
        download_dir: document::own_download_dir(),
    };
    let password = log_in(context, &args, &mut document).await?;
    let folder = config.parent().unwrap_or(Path::new("/"));
    document::make_private_folder(folder)?;
    let place = password::keep(context, args.keep, &document.jid, &password, folder).await?;
    let backup = document::write(&config, &document.text(&place), old)?;
    if let Some(backup) = &backup {
        context.out.remark(&format!("The old configuration is now {}.", backup.display()))?;
    }
    context.out.remark(&format!("Written: {}. The password is in {}.", config.display(), place.told()))?;
    let started = unit::offer(context, args.no_unit, args.yes, args.config.is_some()).await?;
    if context.out.json {
        let written = config.to_string_lossy();
        context.out.json_line(&json!({
            "jid": document.jid, "config": written, "password": place.code(), "unit": started.as_str(),
        }))?;
    }
    if matches!(started, unit::Started::Enabled | unit::Started::Restarted) {
        unit::tell_connection(context).await?;
    }
    next_steps(context, started, args.config.as_ref().map(|_| config.as_path()))
}

/// Whether there is a configuration that the person lets us replace.
async fn may_replace(context: &Context, config: &Path, args: &Args) -> Result<bool, Failure> {
    let there = config.try_exists().unwrap_or(true);
    if !there || args.yes {
        return Ok(there);
    }
    let path = config.display();
    if !ask::is_possible() || args.password_stdin || context.out.json {
        let hint = "--yes replaces it and keeps the old one under another name";
        return Err(Failure::refused(codes::CONFIG_EXISTS, format!("a configuration already exists: {path}"), hint));
    }
    let question =
        format!("A configuration already exists: {path}\nReplace it? The old one is kept under another name.");
    match ask::yes(&question).await? {
        true => Ok(true),
        false => Err(Failure::refused(codes::CONFIG_EXISTS, "nothing was changed", "edit the file, or answer y")),
    }
}

async fn jid(args: &Args) -> Result<String, Failure> {
    let given = match &args.jid {
        Some(jid) => jid.trim().to_owned(),
        None if ask::is_possible() && !args.password_stdin => {
            ask::line("Your XMPP address (such as alice@example.org): ").await?
        }
        None => return Err(Failure::usage("missing: --jid", "give your address: --jid alice@example.org")),
    };
    // What exactly an address is the daemon knows; this catches slips.
    let sound = given.split_once('@').is_some_and(|(local, domain)| !local.is_empty() && !domain.is_empty());
    match sound && !given.contains(|c: char| c == '/' || c.is_whitespace() || c.is_control()) {
        true => Ok(given),
        false => Err(Failure::refused(
            codes::INVALID_JID,
            format!("\"{given}\" is not the address of an account"),
            "it looks like alice@example.org; your server's web page or your chat program shows it",
        )),
    }
}

/// Asks for the password and tries it until it is right, or the person gives up; the password.
async fn log_in(context: &Context, args: &Args, document: &mut Document) -> Result<String, Failure> {
    let asks = ask::is_possible() && !args.password_stdin;
    let daemon = if args.no_login { None } else { Some(login::find_daemon()?) };
    let mut tries = 0;
    let mut password = ask_password(args, &document.jid).await?;
    let Some(daemon) = &daemon else { return Ok(password) };
    let mut new = args.register;
    if new && asks {
        again(&password).await?;
    }
    loop {
        tries += 1;
        let host = document.jid.split_once('@').map_or("", |(_, domain)| domain);
        context.out.note(&format!("Logging in at {} …", document.server.as_deref().unwrap_or(host)));
        let attempt = if new { Attempt::Register } else { Attempt::LogIn };
        let error = match Trial::prepare(document, &password)?.run(daemon, attempt).await? {
            Ok(jid) if new => {
                let tick = context.out.paint(Tone::Good, "✓");
                context.out.remark(&format!("{tick} The server created the account {}.", clean(&jid)))?;
                new = false;
                continue;
            }
            Ok(jid) => {
                context.out.remark(&format!("{} {} can log in.", context.out.paint(Tone::Good, "✓"), clean(&jid)))?;
                document.jid = jid;
                return Ok(password);
            }
            Err(error) => error,
        };
        if !asks || tries >= TRIES {
            return Err(Failure { errors: vec![error], exit: 1 });
        }
        let unreachable = error.code == "server-unreachable";
        if !unreachable && error.code != "wrong-password" {
            return Err(Failure { errors: vec![error], exit: 1 });
        }
        let _ = context.out.fail(&Failure { errors: vec![error.clone()], exit: 1 });
        if unreachable {
            let server = ask::line("Another server, as host or host:port (empty: give up): ").await?;
            if server.is_empty() {
                let hint = "nothing was written; 'xbtctl setup --no-login' writes the configuration without testing it";
                return Err(Failure::refused(&error.code, "no login", hint));
            }
            document.server = Some(server);
        } else if ask::yes("Does the account not exist yet? Create it now with this password?").await? {
            again(&password).await?;
            new = true;
        } else {
            password = ask_password(args, &document.jid).await?;
        }
    }
}

/// A new password is typed twice: a slip would lock the person out.
async fn again(password: &str) -> Result<(), Failure> {
    match ask::hidden("The password again: ").await? == password {
        true => Ok(()),
        false => Err(Failure::refused("password-bad", "the two passwords differ", "nothing was done; try again")),
    }
}

async fn ask_password(args: &Args, jid: &str) -> Result<String, Failure> {
    let password = if args.password_stdin {
        ask::read_line().await?.trim_end_matches(['\n', '\r']).to_owned()
    } else if ask::is_possible() {
        ask::hidden(&format!("Password of {} (it is not shown): ", clean(jid))).await?
    } else {
        return Err(Failure::usage("there is no terminal to ask in", "give the password with --password-stdin"));
    };
    if password.is_empty() || password.chars().any(char::is_control) {
        let hint = "give it on one line, without control characters";
        return Err(Failure::refused("password-bad", "that is not a valid password", hint));
    }
    Ok(password)
}

fn next_steps(context: &Context, started: unit::Started, elsewhere: Option<&Path>) -> Result<(), Failure> {
    let out = &context.out;
    let by_hand = elsewhere.map_or("xbtd".to_owned(), |config| format!("xbtd --config {}", config.display()));
    let mut steps: Vec<(&str, &str)> = match started {
        unit::Started::No if elsewhere.is_some() => vec![(&by_hand, "the daemon; it stays in the foreground")],
        unit::Started::Enabled | unit::Started::Restarted => vec![("xbtctl status", "whether you are online")],
        unit::Started::Running => {
            vec![("systemctl --user restart xbtd", "restarts the daemon with the new configuration")]
        }
        unit::Started::No => vec![("systemctl --user enable --now xbtd", "starts the daemon now and at every login")],
        unit::Started::Unavailable => vec![(&by_hand, "the daemon; it stays in the foreground")],
    };
    steps.extend([
        ("xbtctl contacts", "who is there, and who runs xbt"),
        ("xbtctl send bob@example.org Pictures/holiday", "sends a file or folder, now or when Bob is next online"),
        ("xbtctl top", "watches it go"),
    ]);
    out.remark("\nNext:")?;
    let width = steps.iter().map(|(command, _)| command.len()).max().unwrap_or_default();
    for (command, what) in steps {
        let padding = " ".repeat(width - command.len());
        out.remark(&format!("  {}{padding}  {what}", out.paint(Tone::Strong, command)))?;
    }
    Ok(())
}
