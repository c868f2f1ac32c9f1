//! Names on the contact list that mean somebody else than when they were last used.

use xbt_api::{Client, ClientError, Named, codes};

use crate::ask;
use crate::context::Context;
use crate::failure::Failure;
use crate::text::clean;

/// Makes a call that names contacts. Where a name has moved to another address, a person at a terminal is asked whether
/// that one is meant; a script gets the error, which has both addresses.
pub async fn asking<T>(
    context: &Context,
    client: &Client,
    names: &[String],
    call: impl AsyncFn() -> Result<T, ClientError>,
) -> Result<T, Failure> {
    // Each name is asked about once at most.
    for _ in names {
        match call().await {
            Err(ClientError::Api(error))
                if error.code == codes::NAME_MOVED && ask::is_possible() && !context.out.json =>
            {
                let question = format!("{}. Do you mean that one from now on?", clean(&error.message));
                let Some((name, jid)) = moved(client, names, &error.message).await? else {
                    return Err(ClientError::Api(error).into());
                };
                if !ask::yes(&question).await? {
                    return Err(ClientError::Api(error).into());
                }
                client.contact_call(jid, name).await?;
            }
            other => return Ok(other?),
        }
    }
    Ok(call().await?)
}

/// Which of the names it is, and whom it means now: as the message says that the person reads.
async fn moved(client: &Client, names: &[String], message: &str) -> Result<Option<(String, String)>, Failure> {
    let contacts = client.contacts().await?;
    let known: Vec<_> = contacts.iter().map(|contact| (contact.jid.as_str(), contact.name.as_deref())).collect();
    let found = names.iter().find_map(|name| match xbt_api::named(&known, name) {
        Named::One(jid) if message.starts_with(&format!("{name} is {jid} now")) => Some((name.clone(), jid.to_owned())),
        Named::One(_) | Named::Several(..) | Named::Nobody(_) => None,
    });
    Ok(found)
}
