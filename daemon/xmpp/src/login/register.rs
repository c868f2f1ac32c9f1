//! Making a new account where the server lets people do that by themselves (XEP-0077, in-band registration).
//!
//! Only a name and a password are given. What a server wants beyond that (an e-mail address, a picture with letters)
//! is for its web page or a chat program.

use futures::{SinkExt, StreamExt};
use tokio_xmpp::Stanza;
use tokio_xmpp::jid::{BareJid, Jid};
use tokio_xmpp::minidom::Element;
use tokio_xmpp::parsers::data_forms::{DataForm, DataFormType, Field, FieldType};
use tokio_xmpp::parsers::ibr::{FieldsQuery, FormQuery, LegacyQuery};
use tokio_xmpp::parsers::iq::Iq;
use tokio_xmpp::parsers::ns;
use tokio_xmpp::parsers::stanza_error::{DefinedCondition as Condition, StanzaError};
use tokio_xmpp::parsers::stream_error::DefinedCondition as StreamCondition;
use tokio_xmpp::xmlstream::{XmppStream, XmppStreamElement};

use super::connect::{self, in_time};
use super::tls::Trust;
use crate::SessionConfig;
use crate::failure::Failure;
use crate::jid;
use crate::stream::Io;

/// What children of `jabber:iq:register` ask nothing of the person.
const NO_FIELDS: [&str; 5] = ["instructions", "registered", "key", "username", "password"];

/// Longest text of the server that a person is shown, in characters.
const MOST_TEXT: usize = 200;

const ELSEWHERE: &str = "register with a chat program or on the server's web page, then run 'xbtctl setup' again";

/// What a server wants to know.
#[derive(Clone, Debug, PartialEq)]
enum Wanted {
    /// `<username/>` and `<password/>`.
    Fields,
    /// The same as a data form (XEP-0004).
    Form,
}

/// Makes the account of `config` with its password, at the first of its servers that can be reached.
pub(crate) async fn register(config: &SessionConfig) -> Result<(), Failure> {
    let account = jid::from_bare(&config.jid)
        .map_err(|_| Failure::refused("bad-jid", "that is not the address of an account", "correct the address"))?;
    let ca_file = config.ca_file.clone();
    let trust = tokio::task::spawn_blocking(move || Trust::load(ca_file.as_deref())).await;
    let trust = trust.map_err(|_| Failure::passing("the certificates cannot be read"))??;
    let mut stream = connect::open_first(config, &account, &trust).await?;
    let query = in_time("registration", ask(&mut stream, &account)).await?;
    let wanted = judge(&query)?;
    in_time("registration", submit(&mut stream, &account, config, wanted)).await
}

async fn ask(stream: &mut XmppStream<Io>, account: &BareJid) -> Result<Element, Failure> {
    match exchange(stream, to_server(account, Iq::from_get("fields", FieldsQuery))).await? {
        Iq::Result { payload: Some(payload), .. } if payload.is("query", ns::REGISTER) => Ok(payload),
        Iq::Error { error, .. } => Err(refusal(&error)),
        _ => Err(Failure::passing("the server answered the registration with something else")),
    }
}

async fn submit(
    stream: &mut XmppStream<Io>,
    account: &BareJid,
    config: &SessionConfig,
    wanted: Wanted,
) -> Result<(), Failure> {
    let username = account.node().map(|node| node.to_string()).unwrap_or_default();
    let password = config.password.expose().to_owned();
    let iq = match wanted {
        Wanted::Fields => {
            let (username, password) = (Some(username), Some(password));
            Iq::from_set("register", LegacyQuery { username, password, ..LegacyQuery::default() })
        }
        Wanted::Form => Iq::from_set("register", filled(&username, &password)),
    };
    match exchange(stream, to_server(account, iq)).await? {
        Iq::Result { .. } => Ok(()),
        Iq::Error { error, .. } => Err(refusal(&error)),
        _ => Err(Failure::passing("the server answered the registration with something else")),
    }
}

fn filled(username: &str, password: &str) -> FormQuery {
    let fields = vec![
        Field::text_single("username", username),
        Field::new("password", FieldType::TextPrivate).with_value(password),
    ];
    FormQuery { instructions: None, form: DataForm::new(DataFormType::Submit, ns::REGISTER, fields) }
}

fn to_server(account: &BareJid, iq: Iq) -> Iq {
    iq.with_to(Jid::from(BareJid::from_parts(None, account.domain())))
}

/// Sends a request; the answer to it.
async fn exchange(stream: &mut XmppStream<Io>, iq: Iq) -> Result<Iq, Failure> {
    let id = iq.id().to_owned();
    stream.send(&XmppStreamElement::Stanza(Stanza::Iq(iq))).await?;
    loop {
        let element = stream.next().await.ok_or_else(|| Failure::passing("the server closed the connection"))?;
        match element.and_then(|element| element.into_read_error())? {
            XmppStreamElement::Stanza(Stanza::Iq(answer)) if answer.id() == id => return Ok(answer),
            XmppStreamElement::StreamError(error) => {
                let closed =
                    matches!(error.0.condition, StreamCondition::NotAuthorized | StreamCondition::PolicyViolation);
                return Err(if closed { closed_to_us("") } else { Failure::from_stream_error(&error.0) });
            }
            _ => {}
        }
    }
}

/// What a server wants, if a name and a password are enough.
fn judge(query: &Element) -> Result<Wanted, Failure> {
    let has = |name: &str| query.has_child(name, ns::REGISTER);
    let more: Vec<_> = query
        .children()
        .filter(|child| child.ns() == ns::REGISTER && !NO_FIELDS.contains(&child.name()))
        .map(|child| child.name().to_owned())
        .collect();
    if has("username") && has("password") && more.is_empty() {
        return Ok(Wanted::Fields);
    }
    let form = query.get_child("x", ns::DATA_FORMS).map(|form| DataForm::try_from(form.clone()));
    let form_wants = match form {
        Some(Ok(form)) if form.type_ == DataFormType::Form => wanted_by_form(&form),
        Some(_) => vec!["a form that cannot be read".to_owned()],
        None if more.is_empty() && query.get_child("x", "jabber:x:oob").is_some() => vec!["its web page".to_owned()],
        None => more,
    };
    if form_wants.is_empty() && query.get_child("x", ns::DATA_FORMS).is_some() {
        return Ok(Wanted::Form);
    }
    Err(wants_more(query, &form_wants))
}

/// What is required beside a name and a password.
fn wanted_by_form(form: &DataForm) -> Vec<String> {
    let extra = form.fields.iter().filter(|field| {
        let known = matches!(field.var.as_deref(), Some("username" | "password" | "FORM_TYPE"));
        let asks = !matches!(field.type_, FieldType::Fixed | FieldType::Hidden);
        // Letters to be read off a picture are required whatever the form says (XEP-0158).
        !known && asks && (field.required || !field.media.is_empty() || field.var.as_deref() == Some("ocr"))
    });
    extra.map(|field| field.label.clone().or_else(|| field.var.clone()).unwrap_or_default()).collect()
}

fn wants_more(query: &Element, what: &[String]) -> Failure {
    let list = told(&what.join(", "));
    let url = query.get_child("x", "jabber:x:oob").and_then(|oob| oob.get_child("url", "jabber:x:oob"));
    let url = url.map(Element::text).filter(|url| url.starts_with("https://") || url.starts_with("http://"));
    let message = match list.is_empty() {
        true => "the server does not say how to register".to_owned(),
        false => format!("the server wants more than a name and a password for a new account: {list}"),
    };
    let hint = match url {
        Some(url) => format!("register at {} in a browser, then run 'xbtctl setup' again", told(&url)),
        None => ELSEWHERE.to_owned(),
    };
    Failure::refused("registration-form", message, hint)
}

/// What a server's error means.
fn refusal(error: &StanzaError) -> Failure {
    let said = error.texts.values().next().map(|text| told(text)).filter(|text| !text.is_empty());
    let said = said.map(|text| format!(": {text}")).unwrap_or_default();
    match error.defined_condition {
        Condition::Conflict => Failure::refused(
            "account-exists",
            "there is an account of that name already",
            "take another name; if it is yours, log in without --register",
        ),
        Condition::NotAcceptable | Condition::BadRequest | Condition::JidMalformed => Failure::refused(
            "registration-refused",
            format!("the server does not take that name or that password{said}"),
            "take a longer password, or another name",
        ),
        Condition::ResourceConstraint | Condition::PolicyViolation => Failure::refused(
            "registration-refused",
            format!("the server accepts no registration from here at the moment{said}"),
            "try again later, or register on the server's web page",
        ),
        _ => closed_to_us(&said),
    }
}

fn closed_to_us(said: &str) -> Failure {
    Failure::refused("registration-closed", format!("the server does not let clients create accounts{said}"), ELSEWHERE)
}

/// A server's text, for people.
fn told(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(MOST_TEXT).collect::<String>().trim().to_owned()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use super::*;

    fn query(inside: &str) -> Element {
        format!("<query xmlns='jabber:iq:register'>{inside}</query>").parse().unwrap()
    }

    fn refused(inside: &str) -> (&'static str, String, String) {
        match judge(&query(inside)) {
            Err(Failure::Refused(refused)) => (refused.code, refused.reason, refused.hint),
            other => panic!("{other:?}"),
        }
    }

    const FORM: &str = "<x xmlns='jabber:x:data' type='form'><field type='hidden' var='FORM_TYPE'>\
        <value>jabber:iq:register</value></field><field type='text-single' var='username'><required/></field>\
        <field type='text-private' var='password'><required/></field>";

    #[test]
    fn a_name_and_a_password_are_given_in_the_way_that_the_server_asks_for() {
        assert_eq!(judge(&query("<instructions>Hi</instructions><username/><password/>")).unwrap(), Wanted::Fields);
        assert_eq!(judge(&query(&format!("{FORM}</x>"))).unwrap(), Wanted::Form);
        let optional = "<field type='text-single' var='email' label='E-mail'/>";
        assert_eq!(judge(&query(&format!("{FORM}{optional}</x>"))).unwrap(), Wanted::Form);
    }

    #[test]
    fn a_server_that_wants_more_is_told_as_that_with_its_web_page() {
        let (code, reason, _) = refused("<username/><password/><email/>");
        assert_eq!(code, "registration-form");
        assert!(reason.contains("email"), "{reason}");
        let page = "<x xmlns='jabber:x:oob'><url>https://example.org/new</url></x>";
        let picture = "<field type='text-single' var='ocr' label='Letters in the picture'><media xmlns='urn:xmpp:media-element'>\
            <uri type='image/png'>cid:sha1+00@bob.xmpp.org</uri></media><required/></field>";
        let (code, reason, hint) = refused(&format!("<instructions>Go there</instructions>{page}{FORM}{picture}</x>"));
        assert_eq!(code, "registration-form");
        assert!(
            reason.contains("Letters in the picture") && hint.contains("https://example.org/new"),
            "{reason} {hint}"
        );
        let (_, _, hint) = refused(&format!("<instructions>Go there</instructions>{page}"));
        assert!(hint.contains("https://example.org/new"), "{hint}");
        let (_, _, hint) = refused("<x xmlns='jabber:x:oob'><url>javascript:alert(1)</url></x>");
        assert!(!hint.contains("javascript"), "{hint}");
    }

    #[test]
    fn an_answer_without_anything_is_no_invitation() {
        assert_eq!(refused("").0, "registration-form");
        assert_eq!(refused("<username/>").0, "registration-form");
    }
}
