//! `xbtctl contacts [add|remove|allow|deny|limit|verify JID]`

use serde_json::json;
use xbt_api::{Accept, Client, ClientError, Contact, Trust, Verification};

use super::{limit, moved};
use crate::ask;
use crate::complete;
use crate::context::Context;
use crate::describe::{self, new_key, presence, request};
use crate::failure::Failure;
use crate::out::Tone;
use crate::table::{self, Cell, Column};
use crate::text::{clean, size};

const COLUMNS: [Column; 9] = [
    Column::new("CONTACT").elastic(3),
    Column::new("NAME").elastic(2),
    Column::new("PRESENCE"),
    Column::new("DEVICES").spare(3),
    Column::new("TRUST").spare(4),
    Column::new("ACCEPT").spare(5),
    Column::new("LIMITS").spare(0),
    Column::new("SUBSCRIPTION").spare(1),
    Column::new("GROUPS").elastic(1).spare(2),
];

/// What to do with the contact list.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    action: Option<Action>,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Add a contact and ask to see each other's presence; also says yes to somebody who asks. Both sides must add each other
    Add {
        /// An address, such as bob@example.org
        jid: String,
        /// A name for the contact
        #[arg(long)]
        name: Option<String>,
    },
    /// Remove a contact, or say no to somebody who asks
    Remove {
        /// An address, or a name on your contact list
        #[arg(add = complete::contacts())]
        jid: String,
    },
    /// Accept offers of this contact automatically
    Allow {
        /// An address, or a name on your contact list
        #[arg(add = complete::contacts())]
        jid: String,
    },
    /// Ask before accepting offers of this contact
    Deny {
        /// An address, or a name on your contact list
        #[arg(add = complete::contacts())]
        jid: String,
    },
    /// Say whom a name means now, after it has moved to another address
    Call {
        /// An address
        #[arg(add = complete::contacts())]
        jid: String,
        /// The name on your contact list
        name: String,
    },
    /// Limit all transfers with this contact together
    Limit {
        /// An address, or a name on your contact list
        #[arg(add = complete::contacts())]
        jid: String,
        #[command(flatten)]
        rates: limit::Rates,
    },
    /// Compare safety numbers with the contact; from then on unknown keys are blocked
    Verify {
        /// An address, or a name on your contact list
        #[arg(add = complete::contacts())]
        jid: String,
        /// The safety number that the contact read out; verifies without a question
        #[arg(long, value_name = "SAFETY-NUMBER")]
        confirm: Option<String>,
    },
}

/// Shows or changes the contact list.
pub async fn run(context: &Context, args: Args) -> Result<(), Failure> {
    if let Some(Action::Limit { rates, .. }) = &args.action {
        rates.needed()?;
    }
    let client = context.connect().await?;
    match args.action {
        None => show(context, &client).await,
        Some(Action::Add { jid, name }) => {
            let contact = client.contact_add(jid, name).await.map_err(Failure::needs_connection)?;
            changed(context, &contact, if contact.asked { "added; waiting for them to say yes" } else { "added" })
        }
        Some(Action::Remove { jid }) => {
            let removed = asking(context, &client, &jid, || client.contact_remove(jid.clone())).await;
            removed.map_err(Failure::or_no_connection)?;
            if context.out.json {
                context.out.json_line(&json!({ "jid": jid, "removed": true }))?;
            }
            Ok(context.out.remark(&format!("{} removed", clean(&jid)))?)
        }
        Some(Action::Allow { jid }) => {
            let contact = asking(context, &client, &jid, || client.contact_allow(jid.clone())).await?;
            changed(context, &contact, "allowed")
        }
        Some(Action::Deny { jid }) => {
            let contact = asking(context, &client, &jid, || client.contact_deny(jid.clone())).await?;
            changed(context, &contact, "no longer allowed")
        }
        Some(Action::Call { jid, name }) => {
            let contact = client.contact_call(jid, name.clone()).await?;
            changed(context, &contact, &format!("is meant by “{}”", clean(&name)))
        }
        Some(Action::Limit { jid, rates }) => {
            let contact = asking(context, &client, &jid, || client.contact_limit(jid.clone(), rates.change())).await?;
            let what = describe::limits(contact.limits).map(|limits| format!("limited to {limits}"));
            changed(context, &contact, what.as_deref().unwrap_or("no longer limited"))
        }
        Some(Action::Verify { jid, confirm }) => verify(context, &client, jid, confirm).await,
    }
}

/// Makes a call that names one contact, see [`moved::asking`].
async fn asking<T>(
    context: &Context,
    client: &Client,
    name: &str,
    call: impl AsyncFn() -> Result<T, ClientError>,
) -> Result<T, Failure> {
    moved::asking(context, client, &[name.to_owned()], call).await
}

fn changed(context: &Context, contact: &Contact, what: &str) -> Result<(), Failure> {
    if context.out.json {
        context.out.json_line(contact)?;
    }
    Ok(context.out.remark(&format!("{} {what}", clean(&contact.jid)))?)
}

async fn show(context: &Context, client: &Client) -> Result<(), Failure> {
    let mut contacts = client.contacts().await?;
    if context.out.json {
        return Ok(context.out.json_array(&contacts)?);
    }
    let requests = client.status().await?.requests;
    requests.iter().for_each(|contact| context.out.note(&request(contact)));
    if contacts.is_empty() {
        context.out.note("no contacts; add one with 'xbtctl contacts add JID'");
        return Ok(());
    }
    // Whom something can be sent to now comes first.
    contacts.sort_by_key(|contact| (!contact.xbt, !contact.online));
    let rows: Vec<_> = contacts.iter().map(row).collect();
    table::print(&context.out, &COLUMNS, &rows)?;
    context.out.flush()?;
    for contact in contacts.iter().filter(|contact| contact.devices.iter().any(|device| device.unseen)) {
        context.out.note(&new_key(&contact.jid));
    }
    Ok(())
}

/// What becomes of their offers, and by which rule.
fn accepts(contact: &Contact) -> String {
    let Some(ruling) = &contact.ruling else {
        return if contact.allowed { "always" } else { "ask" }.to_owned();
    };
    let how = match ruling.accept {
        Accept::Always => format!("up to {}", size(ruling.max_size)),
        Accept::Ask | Accept::Never => ruling.accept.to_string(),
    };
    match ruling.rule {
        Some(number) => format!("{how} (rule {number})"),
        None => how,
    }
}

/// Trust as people read it; in JSON it keeps the word of the protocol between the programs.
fn trust(trust: Trust) -> &'static str {
    match trust {
        Trust::Verified => "verified",
        Trust::Unverified => "unverified",
    }
}

fn row(contact: &Contact) -> [Cell; 9] {
    let (presence, tone) = presence(contact);
    let devices = match contact.devices.len() {
        0 => String::new(),
        count => format!("{} of {count} online", contact.devices.iter().filter(|device| device.online).count()),
    };
    let keys = match (contact.devices.iter().any(|device| device.unseen), contact.trust) {
        (true, _) => Cell::new("NEW KEY").tone(Tone::Bad),
        (false, Trust::Verified) => Cell::new(trust(Trust::Verified)).tone(Tone::Good),
        (false, Trust::Unverified) => Cell::new(trust(Trust::Unverified)),
    };
    [
        Cell::new(clean(&contact.jid)),
        Cell::new(clean(contact.name.as_deref().unwrap_or(""))),
        Cell::new(presence).tone(tone),
        Cell::new(devices),
        keys,
        Cell::new(accepts(contact)),
        Cell::new(describe::limits(contact.limits).unwrap_or_default()),
        Cell::new(contact.subscription.as_str()),
        Cell::new(clean(&contact.groups.join(", "))),
    ]
}

async fn verify(context: &Context, client: &Client, jid: String, confirm: Option<String>) -> Result<(), Failure> {
    if let Some(safety_number) = confirm {
        let confirm = || client.contact_confirm(jid.clone(), safety_number.clone());
        return changed(context, &asking(context, client, &jid, confirm).await?, "verified");
    }
    let verification = asking(context, client, &jid, || client.contact_verify(jid.clone())).await?;
    // From here on it is about this address, whatever the name means.
    let jid = verification.jid.clone();
    if context.out.json {
        return Ok(context.out.json_line(&verification)?);
    }
    show_safety_numbers(context, &verification)?;
    if !ask::is_possible() {
        let jid = clean(&verification.jid);
        context.out.note(&format!("if both sides show the same number: xbtctl contacts verify {jid} --confirm '…'"));
        return Ok(());
    }
    for device in verification.devices.into_iter().filter(|device| !device.verified) {
        let question = format!(
            "Call each other or meet, and read {} aloud. Does your contact have the same number there?",
            clean(&device.safety_number)
        );
        if ask::yes(&question).await? {
            let contact = client.contact_confirm(jid.clone(), device.safety_number).await?;
            changed(context, &contact, "verified")?;
        } else {
            context.out.remark("nothing was changed")?;
        }
    }
    Ok(())
}

fn show_safety_numbers(context: &Context, verification: &Verification) -> Result<(), Failure> {
    let out = &context.out;
    out.field("contact", &clean(&verification.jid))?;
    out.field("trust", trust(verification.trust))?;
    out.field("own key", &clean(&verification.own_fingerprint))?;
    for device in &verification.devices {
        let (how, tone) = match (device.verified, device.blocked, device.unseen) {
            (true, _, _) => ("verified", Tone::Good),
            (false, true, _) => ("NEW KEY, blocked until you verify it", Tone::Bad),
            (false, false, true) => ("NEW KEY, not verified", Tone::Bad),
            (false, false, false) => ("not verified", Tone::Attention),
        };
        let resource =
            if device.resource.is_empty() { "not seen recently".to_owned() } else { clean(&device.resource) };
        out.field("device", &format!("{resource} ({})", out.paint(tone, how)))?;
        out.field("their key", &clean(&device.fingerprint))?;
        out.field("safety number", &out.paint(Tone::Strong, &clean(&device.safety_number)))?;
    }
    out.flush()?;
    if verification.devices.iter().any(|device| !device.verified) {
        let jid = clean(&verification.jid);
        out.note(&format!("{jid} must see the same number in 'xbtctl contacts verify' for you"));
    }
    Ok(())
}
