//! A client that sends any text, and says what it got.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_xmpp::parsers::sasl::{Auth, Mechanism};

use super::SOON;
use super::prosody::{PASSWORD, Prosody};
use crate::login;

const HEADER: &str = "<?xml version='1.0'?><stream:stream to='localhost' version='1.0' xmlns='jabber:client' \
                      xmlns:stream='http://etherx.jabber.org/streams'>";

pub(super) struct Raw {
    stream: TlsStream<TcpStream>,
    got: String,
}

impl Raw {
    /// Logs in by direct TLS and PLAIN, binds the resource, sends no presence.
    pub(super) async fn log_in(prosody: &Prosody, account: &str, resource: &str) -> Self {
        let tcp = TcpStream::connect(("127.0.0.1", prosody.direct)).await.unwrap();
        let config = login::Trust::load(Some(&prosody.ca())).unwrap().config();
        let stream = TlsConnector::from(config).connect("localhost".try_into().unwrap(), tcp).await.unwrap();
        let mut raw = Self { stream, got: String::new() };
        raw.send(HEADER).await;
        raw.until("</stream:features>").await;
        let data = format!("\0{account}\0{PASSWORD}").into_bytes();
        let auth = xso::to_vec(&Auth { mechanism: Mechanism::Plain, data }).unwrap();
        raw.send(&String::from_utf8(auth).unwrap()).await;
        raw.until("<success").await;
        raw.send(HEADER).await;
        raw.until("</stream:features>").await;
        raw.send(&format!(
            "<iq type='set' id='bind'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'>\
             <resource>{resource}</resource></bind></iq>"
        ))
        .await;
        raw.until("</iq>").await;
        raw
    }

    pub(super) async fn send(&mut self, text: &str) {
        self.stream.write_all(text.as_bytes()).await.unwrap();
        self.stream.flush().await.unwrap();
    }

    /// Everything up to and including `needle`.
    pub(super) async fn until(&mut self, needle: &str) -> String {
        let read = async {
            let mut buffer = vec![0; 65536];
            loop {
                if let Some(at) = self.got.find(needle) {
                    let rest = self.got.split_off(at + needle.len());
                    return std::mem::replace(&mut self.got, rest);
                }
                let count = self.stream.read(&mut buffer).await.unwrap();
                assert!(count > 0, "closed without {needle}: {}", self.got);
                self.got.push_str(&String::from_utf8_lossy(&buffer[..count]));
            }
        };
        match tokio::time::timeout(SOON, read).await {
            Ok(text) => text,
            Err(_) => panic!("never got {needle}"),
        }
    }

    /// Sends an IQ with this id and gives the answer.
    pub(super) async fn ask(&mut self, to: &str, id: &str, type_: &str, payload: &str) -> String {
        self.send(&format!("<iq to='{to}' id='{id}' type='{type_}'>{payload}</iq>")).await;
        let mut answer = String::new();
        while !(answer.contains(&format!("id='{id}'")) || answer.contains(&format!("id=\"{id}\""))) {
            answer = self.until_iq().await;
        }
        answer
    }

    async fn until_iq(&mut self) -> String {
        let before = self.until("<iq").await;
        // Either form of the end.
        let head = self.until(">").await;
        let all = format!("{before}{head}");
        if head.ends_with("/>") { all } else { format!("{all}{}", self.until("</iq>").await) }
    }
}
