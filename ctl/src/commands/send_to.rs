//! `xbtctl send-to PATH…`: asks in a window to whom.

mod dialog;

use std::path::PathBuf;

use xbt_api::{Contact, SendRequest, Subscription, codes};

use self::dialog::{Choice, Dialog};
use super::send;
use crate::context::Context;
use crate::describe::presence;
use crate::failure::Failure;
use crate::paths::absolute;
use crate::text::{clean, files};

/// Most contacts in the window; a command line has its limits.
const MOST: usize = 500;

/// What to send.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Files and folders, which become one content
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
}

/// Lets the person choose a contact, and queues the send. Errors appear in a window, too: the caller has no terminal.
pub async fn run(context: &Context, args: Args) -> Result<(), Failure> {
    let dialog = Dialog::find()?;
    let result = choose_and_send(context, &dialog, args).await;
    if let Err(failure) = &result {
        let told = failure.errors.iter().map(|error| [error.message.as_str(), error.hint.as_str()].join("\n"));
        dialog.error(&told.collect::<Vec<_>>().join("\n")).await;
    }
    result
}

async fn choose_and_send(context: &Context, dialog: &Dialog, args: Args) -> Result<(), Failure> {
    let paths = args.paths.iter().map(|path| absolute(path)).collect::<Result<Vec<_>, _>>()?;
    let client = context.connect().await?;
    let choices = choices(client.contacts().await?);
    if choices.is_empty() {
        let hint = "add a contact with 'xbtctl contacts add JID'";
        return Err(Failure::refused(codes::UNKNOWN_CONTACT, "there are no contacts to send to", hint));
    }
    let what = match args.paths.as_slice() {
        [one] => one.file_name().map(|name| clean(&name.to_string_lossy())).unwrap_or_else(|| files(1)),
        several => files(several.len() as u64),
    };
    let Some(contact) = dialog.choose(&format!("Send {what}"), &choices).await? else { return Ok(()) };
    let queued = client.send(SendRequest { contacts: vec![contact], paths, ..SendRequest::default() }).await?;
    send::print(context, &queued)
}

/// Those to whom something can be sent; who can take it now comes first.
fn choices(mut contacts: Vec<Contact>) -> Vec<Choice> {
    contacts.retain(|contact| matches!(contact.subscription, Subscription::To | Subscription::Both));
    let name = |contact: &Contact| clean(contact.name.as_deref().unwrap_or(&contact.jid));
    contacts.sort_by_key(|contact| (!contact.xbt, !contact.online, name(contact).to_lowercase()));
    contacts.truncate(MOST);
    let choice = |contact: Contact| Choice { name: name(&contact), presence: presence(&contact).0, jid: contact.jid };
    contacts.into_iter().map(choice).collect()
}

#[cfg(test)]
mod tests {
    use xbt_api::Trust;

    use super::*;

    fn contact(jid: &str, name: Option<&str>, subscription: Subscription, online: bool, xbt: bool) -> Contact {
        Contact {
            jid: jid.into(),
            name: name.map(Into::into),
            subscription,
            asked: false,
            groups: Vec::new(),
            online,
            xbt,
            devices: Vec::new(),
            trust: Trust::Unverified,
            allowed: false,
            ruling: None,
            limits: Default::default(),
        }
    }

    #[test]
    fn who_can_take_it_now_comes_first_and_who_cannot_be_sent_to_not_at_all() {
        let both = Subscription::Both;
        let chosen = choices(vec![
            contact("anna@example.org", Some("Anna"), both, false, false),
            contact("zoe@example.org", Some("Zoë"), both, true, true),
            contact("carl@example.org", None, both, true, false),
            contact("bob@example.org", Some("\u{1b}Bob"), Subscription::To, true, true),
            contact("erin@example.org", None, Subscription::From, true, true),
        ]);
        let jids: Vec<_> = chosen.iter().map(|choice| choice.jid.as_str()).collect();
        assert_eq!(jids, ["zoe@example.org", "bob@example.org", "carl@example.org", "anna@example.org"]);
        assert_eq!((chosen[1].name.as_str(), chosen[1].presence), ("\u{fffd}Bob", "online, xbt"));
    }
}
