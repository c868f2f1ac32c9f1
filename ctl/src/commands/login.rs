//! `xbtctl login [--allow-weaker]`

use xbt_api::{Login, LoginProtection};

use crate::context::Context;
use crate::failure::Failure;
use crate::text::clean;

/// Whether to allow what was refused.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Allow a login as weak as the one that was refused, and try it at once
    #[arg(long)]
    allow_weaker: bool,
}

/// Shows what is remembered of the login, and allows what was refused.
pub async fn run(context: &Context, args: Args) -> Result<(), Failure> {
    let client = context.connect().await?;
    let out = &context.out;
    let login = if args.allow_weaker { client.login_allow_weaker().await? } else { client.login().await? };
    if out.json {
        return Ok(out.json_line(&login)?);
    }
    if args.allow_weaker {
        let allowed = login.known.as_ref().map(described).unwrap_or_default();
        return Ok(out.remark(&format!("allowed: {allowed}; the next login that is stronger counts again"))?);
    }
    for (name, text) in lines(&login) {
        out.field(name, &text)?;
    }
    Ok(())
}

fn lines(login: &Login) -> Vec<(&'static str, String)> {
    let mut lines = vec![("account", clean(&login.jid))];
    lines.push(("strongest", login.known.as_ref().map_or("not logged in yet".to_owned(), described)));
    if let Some(refused) = &login.refused {
        lines.push(("refused", described(refused)));
        lines.push(("hint", "if you know why the server has changed: xbtctl login --allow-weaker".to_owned()));
    }
    lines
}

fn described(login: &LoginProtection) -> String {
    let bound = if login.channel_binding { "bound to the connection" } else { "not bound to the connection" };
    let authority = login.authority.as_deref().map_or("an unknown authority".to_owned(), |name| format!("“{name}”"));
    clean(&format!("{} ({bound}), certificate by {authority}", login.mechanism))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_the_strongest_and_the_refused_login_are_told() {
        let protection = |mechanism: &str, authority: &str| LoginProtection {
            mechanism: mechanism.into(),
            channel_binding: mechanism.ends_with("-PLUS"),
            authority: Some(authority.into()),
            authority_id: None,
        };
        let known = Some(protection("SCRAM-SHA-256-PLUS", "ISRG Root X1"));
        let refused = Some(protection("SCRAM-SHA-1", "Other\u{1b}"));
        let told = lines(&Login { jid: "alice@example.org".into(), known, refused });
        assert_eq!(told[1].1, "SCRAM-SHA-256-PLUS (bound to the connection), certificate by “ISRG Root X1”");
        assert!(told[2].1.starts_with("SCRAM-SHA-1 (not bound") && !told[2].1.contains('\u{1b}'), "{}", told[2].1);
        assert_eq!(lines(&Login { jid: "a@b".into(), known: None, refused: None })[1].1, "not logged in yet");
    }
}
