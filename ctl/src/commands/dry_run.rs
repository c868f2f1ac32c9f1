//! `xbtctl send --dry-run`: what would be sent to whom.

use serde_json::json;
use xbt_api::{Client, Contact, Named, SendRequest, Subscription, Survey, codes};

use crate::context::Context;
use crate::describe::{left_out, presence};
use crate::failure::Failure;
use crate::text::{clean, files, size};

/// Looks at everything that a send would meet, and says it.
pub async fn run(context: &Context, client: &Client, request: SendRequest) -> Result<(), Failure> {
    let SendRequest { contacts, paths, name, skip_special, exclude, .. } = request;
    if paths.is_empty() {
        return Err(Failure::usage("standard input cannot be examined in advance", "leave out --dry-run"));
    }
    let roster = client.contacts().await?;
    let whom = contacts.iter().map(|text| meant(&roster, text)).collect::<Result<Vec<_>, _>>()?;
    let found = client.survey(paths, name, skip_special, exclude).await?;
    let Survey { name, files: count, size: bytes, omitted, excluded, unfinished } = &found;
    let (count, bytes) = (*count, *bytes);
    if !context.out.json {
        context.out.line(&format!("would send {}: {}, {}", clean(name), files(count), size(bytes)))?;
        left_out(&found).iter().try_for_each(|text| context.out.line(text))?;
    }
    for contact in whom {
        if context.out.json {
            context.out.json_line(&json!({
                "dry_run": true, "contact": contact.jid, "name": name, "files": count, "size": bytes, "omitted": omitted,
                "excluded": excluded, "unfinished": unfinished, "online": contact.online, "xbt": contact.xbt,
            }))?;
            continue;
        }
        let (there, tone) = presence(contact);
        let when = match (contact.subscription, contact.xbt) {
            (Subscription::None | Subscription::From, false) => "once they approve your contact request",
            (_, true) => "at once",
            (_, false) => "when they are next online with xbt",
        };
        let there = context.out.paint(tone, there);
        context.out.line(&format!("  to {} ({there}): {when}", clean(&contact.jid)))?;
    }
    Ok(())
}

/// Whom a text means: as the daemon has it, a name that one contact has, else a bare JID of the roster.
fn meant<'a>(roster: &'a [Contact], text: &str) -> Result<&'a Contact, Failure> {
    let names: Vec<_> = roster.iter().map(|contact| (contact.jid.as_str(), contact.name.as_deref())).collect();
    let (jid, like) = match xbt_api::named(&names, text) {
        Named::One(jid) => (jid, None),
        Named::Several(one, other) => {
            let message = format!("{} and {} are both called {}", clean(one), clean(other), clean(text));
            return Err(Failure::refused(codes::AMBIGUOUS_CONTACT, message, "name the address instead"));
        }
        Named::Nobody(like) => (text, like),
    };
    roster.iter().find(|contact| contact.jid.eq_ignore_ascii_case(jid)).ok_or_else(|| {
        let text = clean(text);
        let message = match text.contains('@') {
            true => format!("{text} is not on your contact list"),
            false => format!("no contact is called {text}"),
        };
        let hint = match like {
            Some(name) => format!("did you mean {}? 'xbtctl contacts' lists them", clean(name)),
            None => "'xbtctl contacts' lists them; 'xbtctl contacts add' adds one".to_owned(),
        };
        Failure::refused(codes::UNKNOWN_CONTACT, message, hint)
    })
}
