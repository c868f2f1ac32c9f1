//! A device of a contact, written by hand from `docs/protocol.md` and BEP 3 alone, so that it can misbehave.

use std::fmt::Write as _;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;

use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConnection, StreamOwned};
use sha2::{Digest, Sha256};

use crate::{ChatClient, Stage, certs, stranger, wait};

mod bait;

pub use bait::{Accepted, Bait};

/// How the SubjectPublicKeyInfo of every Ed25519 key begins (RFC 8410, section 4); 32 bytes of key follow.
const ED25519: [u8; 12] = [0x30, 0x2A, 0x30, 0x05, 0x06, 0x03, 0x2B, 0x65, 0x70, 0x03, 0x21, 0x00];

/// An account's device that speaks as it likes.
#[derive(Debug)]
pub struct Device {
    /// Its XMPP stream.
    pub chat: ChatClient,
    identity: (CertificateDer<'static>, PrivateKeyDer<'static>),
    fingerprint: String,
    /// Whether it lets others who receive the same know its address.
    pub introduce: bool,
    /// Bound and never accepted from: who dials us waits.
    silent: TcpListener,
    answered: usize,
    asked: u64,
    /// Who has accepted contents of ours.
    accepted: Vec<Accepted>,
}

/// What somebody offers us.
#[derive(Clone, Debug)]
pub struct Offer {
    /// The full JID of the sender's device.
    pub from: String,
    /// Its id.
    pub id: String,
    /// 40 hex digits.
    pub info_hash: String,
}

/// A link that we dialled.
pub type Link = StreamOwned<ClientConnection, TcpStream>;

impl Device {
    /// Logs in as a device that runs xbt.
    pub fn login(stage: &Stage, user: &str) -> Self {
        Self::login_as(stage, user, certs::device())
    }

    /// Logs in as a device whose fingerprint is smaller than this one, so that it is the one to choose links.
    pub fn login_before(stage: &Stage, user: &str, fingerprint: &str) -> Self {
        loop {
            let identity = certs::device();
            if self::fingerprint(&identity.0).as_str() < fingerprint {
                return Self::login_as(stage, user, identity);
            }
        }
    }

    fn login_as(stage: &Stage, user: &str, identity: (CertificateDer<'static>, PrivateKeyDer<'static>)) -> Self {
        let fingerprint = fingerprint(&identity.0);
        let silent = TcpListener::bind("127.0.0.1:0").expect("loopback has ports");
        let chat = stage.chat(user);
        let mut device =
            Self { chat, identity, fingerprint, introduce: false, silent, answered: 0, asked: 0, accepted: Vec::new() };
        device.chat.raw(
            "<presence><priority>-1</priority>\
             <c xmlns='http://jabber.org/protocol/caps' hash='sha-1' node='urn:x-xbt:0:test' ver='bm90aGluZyBnb29k'/></presence>",
        );
        device
    }

    /// Answers what it is asked (what it can, and that it took an offer) until there is an offer.
    #[track_caller]
    pub fn offer(&mut self) -> Offer {
        wait::until("there is an offer", wait::SOON, || self.answer_next())
    }

    /// Accepts; the other side's addresses, or nothing where it refused.
    #[track_caller]
    pub fn connect(&mut self, offer: &Offer) -> Vec<SocketAddr> {
        self.asked += 1;
        let id = format!("connect{}", self.asked);
        let port = self.silent.local_addr().expect("it is bound").port();
        self.chat.raw(&format!(
            "<iq type='set' id='{id}' to='{}'><connect xmlns='urn:x-xbt:0' id='{}' info-hash='{}' introduce='{}'><fingerprint>{}</fingerprint>\
             <candidate kind='host' ip='127.0.0.1' port='{port}'/></connect></iq>",
            offer.from, offer.id, offer.info_hash, self.introduce, self.fingerprint
        ));
        let answer = wait::until("connect is answered", wait::SOON, || {
            let _ = self.answer_next();
            self.stanzas().into_iter().find(|one| attribute(one, "id") == Some(&id))
        });
        candidates(&answer)
    }

    /// The addresses of other receivers of which it was told.
    pub fn introduced(&mut self) -> Vec<SocketAddr> {
        let _ = self.answer_next();
        self.stanzas().iter().filter(|one| one.contains("<introduce ")).flat_map(|one| candidates(one)).collect()
    }

    /// Dials with our own key. TLS is finished when it returns.
    ///
    /// # Errors
    /// What the system or TLS say.
    pub fn dial(&self, address: SocketAddr) -> io::Result<Link> {
        let mut tcp = TcpStream::connect(address)?;
        tcp.set_read_timeout(Some(wait::SOON))?;
        tcp.set_write_timeout(Some(wait::SOON))?;
        let config = stranger::config(Some((self.identity.0.clone(), self.identity.1.clone_key())));
        let name = ServerName::from(address.ip());
        let mut tls = ClientConnection::new(Arc::new(config), name).map_err(io::Error::other)?;
        tls.complete_io(&mut tcp)?;
        Ok(StreamOwned::new(tls, tcp))
    }

    fn answer_next(&mut self) -> Option<Offer> {
        let stanzas = self.stanzas();
        let mut offer = None;
        for stanza in &stanzas[self.answered..] {
            let (Some("get" | "set"), Some(id), Some(from)) =
                (attribute(stanza, "type"), attribute(stanza, "id"), attribute(stanza, "from"))
            else {
                continue;
            };
            let inside = if stanza.contains("disco#info") {
                let node = stanza.split("<query").nth(1).and_then(|query| attribute(query, "node")).unwrap_or_default();
                format!(
                    "<query xmlns='http://jabber.org/protocol/disco#info' node='{node}'><identity category='client' type='bot'/>\
                     <feature var='http://jabber.org/protocol/disco#info'/><feature var='urn:x-xbt:0'/></query>"
                )
            } else {
                self.connect_answer(stanza).unwrap_or_default()
            };
            self.chat.raw(&format!("<iq type='result' id='{id}' to='{from}'>{inside}</iq>"));
            if let Some(part) = stanza.split("<offer ").nth(1) {
                let of = |name| attribute(part, name).map(str::to_owned);
                offer =
                    of("id").zip(of("info-hash")).map(|(id, info_hash)| Offer { from: from.to_owned(), id, info_hash });
            }
        }
        self.answered = stanzas.len();
        offer
    }

    /// All IQs that have come, whole ones only.
    fn stanzas(&mut self) -> Vec<String> {
        self.chat.has("");
        let parts = self.chat.received().split("<iq ").skip(1);
        parts
            .filter_map(|part| {
                let head = part.find('>')?;
                let end = if part[..head].ends_with('/') { head } else { part.find("</iq>")? };
                Some(part[..end].to_owned())
            })
            .collect()
    }
}

/// The first handshake of BitTorrent (BEP 3) with the extension protocol (BEP 10), and what the other side says to it.
///
/// # Errors
/// The link broke, or nothing came.
pub fn handshake(link: &mut Link, info_hash: &str) -> io::Result<[u8; 68]> {
    let mut hello = b"\x13BitTorrent protocol\0\0\0\0\0\x10\0\0".to_vec();
    hello.extend(stranger::info_hash(info_hash));
    hello.extend(b"-XX0000-a-bad-friend");
    link.write_all(&hello)?;
    link.flush()?;
    let mut theirs = [0; 68];
    link.read_exact(&mut theirs)?;
    Ok(theirs)
}

/// SHA-256 of the SubjectPublicKeyInfo of a device's certificate, in hex.
fn fingerprint(certificate: &CertificateDer<'_>) -> String {
    let at = certificate.windows(ED25519.len()).position(|window| window == ED25519).expect("it holds the key");
    let digest = Sha256::digest(&certificate[at..at + ED25519.len() + 32]);
    digest.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("a string can be written to");
        text
    })
}

fn candidates(stanza: &str) -> Vec<SocketAddr> {
    let candidate = |part: &str| {
        Some(SocketAddr::new(attribute(part, "ip")?.parse().ok()?, attribute(part, "port")?.parse().ok()?))
    };
    stanza.split("<candidate ").skip(1).filter_map(candidate).collect()
}

/// The first attribute of this name.
fn attribute<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(&format!("{name}='")).or_else(|| text.split_once(&format!("{name}=\"")))?;
    rest.split(['\'', '"']).next()
}
