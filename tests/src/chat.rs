//! An ordinary chat client: XML over TLS, written by hand, so that it shares nothing with the daemon under test.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use crate::prosody::{DOMAIN, Prosody};
use crate::wait;

/// A client that is logged in with priority 0 and keeps everything it has received.
#[derive(Debug)]
pub struct ChatClient {
    stream: StreamOwned<ClientConnection, TcpStream>,
    received: String,
    /// The beginning of a character whose rest has not come yet.
    cut: Vec<u8>,
    jid: String,
}

impl ChatClient {
    /// Logs in (TLS from the first byte, PLAIN inside), binds a resource and becomes available.
    pub fn login(prosody: &Prosody, user: &str, password: &str) -> Self {
        Self::login_at(prosody, user, password, "chat")
    }

    /// The same at a resource, whose present user is thrown out.
    pub fn login_at(prosody: &Prosody, user: &str, password: &str, resource: &str) -> Self {
        let mut roots = RootCertStore::empty();
        roots
            .add(CertificateDer::from_pem_file(prosody.ca_file()).expect("the server has an authority"))
            .expect("a good one");
        let config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("ring knows TLS 1.3")
            .with_root_certificates(roots)
            .with_no_client_auth();
        let name = ServerName::try_from(DOMAIN).expect("a DNS name");
        let mut tls = ClientConnection::new(Arc::new(config), name).expect("a good configuration");
        let mut tcp = TcpStream::connect(prosody.direct_address()).expect("Prosody runs");
        // Before reading is cut into short waits: a handshake on a busy machine takes longer than one of them.
        tcp.set_read_timeout(Some(wait::SOON)).expect("not zero");
        tls.complete_io(&mut tcp).expect("Prosody speaks TLS");
        tcp.set_read_timeout(Some(Duration::from_millis(20))).expect("not zero");
        let jid = format!("{user}@{DOMAIN}/{resource}");
        let mut client = Self { stream: StreamOwned::new(tls, tcp), received: String::new(), cut: Vec::new(), jid };
        client.open();
        client.wait_for("</stream:features>");
        let plain = base64(format!("\0{user}\0{password}").as_bytes());
        client.raw(&format!("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>{plain}</auth>"));
        client.wait_for("<success");
        client.received.clear();
        client.open();
        client.wait_for("</stream:features>");
        client.raw(&format!(
            "<iq type='set' id='bind'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><resource>{resource}</resource></bind></iq>"
        ));
        client.wait_for("</bind>");
        client.raw("<presence/>");
        // The server's answer shows that the presence before it has been handled.
        client.raw("<iq type='get' id='after-presence'><ping xmlns='urn:xmpp:ping'/></iq>");
        client.wait_for("after-presence");
        client
    }

    /// Sends a chat message.
    pub fn say(&mut self, to: &str, body: &str) {
        self.raw(&format!("<message type='chat' to='{to}'><body>{body}</body></message>"));
    }

    /// Sends what is given, as it is.
    pub fn raw(&mut self, xml: &str) {
        self.stream.write_all(xml.as_bytes()).and_then(|()| self.stream.flush()).expect("Prosody takes it");
    }

    /// Waits until this text has been received.
    #[track_caller]
    pub fn wait_for(&mut self, text: &str) {
        let found = wait::within(wait::SOON, || self.has(text).then_some(()));
        assert!(found.is_some(), "waited in vain for {text:?}; received: {}", self.received);
    }

    /// Whether this text has been received.
    pub fn has(&mut self, text: &str) -> bool {
        let mut buffer = [0; 4096];
        loop {
            match self.stream.read(&mut buffer) {
                Ok(0) => panic!("the server closed the stream; received: {}", self.received),
                Ok(read) => self.take(&buffer[..read]),
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => break,
                Err(error) => panic!("the stream broke: {error}"),
            }
        }
        self.received.contains(text)
    }

    /// Its full JID.
    pub fn jid(&self) -> &str {
        &self.jid
    }

    /// Everything that has been received since the login.
    pub fn received(&self) -> &str {
        &self.received
    }

    /// Keeps what has come, up to its last whole character.
    fn take(&mut self, bytes: &[u8]) {
        self.cut.extend_from_slice(bytes);
        let whole = match std::str::from_utf8(&self.cut) {
            Err(error) if error.error_len().is_none() => error.valid_up_to(),
            _ => self.cut.len(),
        };
        let rest = self.cut.split_off(whole);
        self.received.push_str(&String::from_utf8_lossy(&self.cut));
        self.cut = rest;
    }

    fn open(&mut self) {
        self.raw(&format!("<stream:stream to='{DOMAIN}' version='1.0' xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>"));
    }
}

/// The bytes that this Base64 stands for.
pub(crate) fn from_base64(text: &str) -> Vec<u8> {
    let value = |digit: u8| DIGITS.iter().position(|one| *one == digit).unwrap_or(0);
    let bytes = text.as_bytes().chunks(4).flat_map(|four| {
        let bits = four.iter().fold(0, |bits, digit| bits << 6 | value(*digit));
        let padding = four.iter().filter(|digit| **digit == b'=').count();
        [(bits >> 16) as u8, (bits >> 8) as u8, bits as u8].into_iter().take(3 - padding)
    });
    bytes.collect()
}

const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Base64 with padding (RFC 4648, section 4).
pub(crate) fn base64(bytes: &[u8]) -> String {
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let bits = chunk.iter().chain([&0; 2]).take(3).fold(0_usize, |bits, byte| bits << 8 | usize::from(*byte));
        for place in 0..4 {
            text.push(if place > chunk.len() { '=' } else { char::from(DIGITS[bits >> (18 - 6 * place) & 63]) });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    #[test]
    fn base64_is_that_of_the_rfc() {
        for (bytes, text) in [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg==")] {
            assert_eq!(super::base64(bytes.as_bytes()), text);
            assert_eq!(super::from_base64(text), bytes.as_bytes());
        }
    }
}
