//! What is signed, and how: written from `docs/protocol.md`, section 5, alone. Reads XML as servers pass it on, with a
//! few searches in the text.

use jiff::Timestamp;

use super::attribute;

/// The text of a request: `inner` is the element in the envelope.
pub fn request(inner: &str, from: &str, to: &str, epoch: &[u8], number: u64) -> Vec<u8> {
    let mut text = Text::default();
    let kind = match name(inner) {
        "cancel" if attribute(inner, "reason") == Some("expired") => "expired",
        other => other,
    };
    text.field("urn:x-xbt:1 request").field(kind);
    for jid in [from, to] {
        let (bare, resource) = jid.split_once('/').expect("devices have full JIDs");
        text.field(bare).field(resource);
    }
    text.field(epoch).number(number);
    text.content(inner);
    text.0
}

/// The text of an answer that is no error: `inner` is the element in the envelope, or nothing.
pub fn answer(request: &[u8], inner: &str) -> Vec<u8> {
    let mut text = Text::default();
    text.field("urn:x-xbt:1 answer").field(request);
    if inner.is_empty() {
        text.field("acknowledged");
    } else {
        text.field(name(inner)).content(inner);
    }
    text.0
}

#[derive(Default)]
struct Text(Vec<u8>);

impl Text {
    fn field(&mut self, bytes: impl AsRef<[u8]>) -> &mut Self {
        let bytes = bytes.as_ref();
        self.0.extend(u32::try_from(bytes.len()).expect("stanzas are small").to_be_bytes());
        self.0.extend(bytes);
        self
    }

    fn number(&mut self, number: u64) -> &mut Self {
        self.field(number.to_be_bytes())
    }

    fn option(&mut self, value: Option<impl AsRef<[u8]>>) -> &mut Self {
        self.number(u64::from(value.is_some()));
        if let Some(value) = value {
            self.field(value);
        }
        self
    }

    fn hex(&mut self, digits: &str) -> &mut Self {
        let byte = |at: usize| u8::from_str_radix(&digits[at..at + 2], 16).expect("hex digits");
        self.field((0..digits.len()).step_by(2).map(byte).collect::<Vec<u8>>())
    }

    fn content(&mut self, inner: &str) {
        let of = |name: &str| attribute(inner, name).map(unescaped);
        let must = |name: &str| of(name).unwrap_or_else(|| panic!("no {name} in {inner}"));
        let count = |name: &str| of(name).map_or(0, |text| text.parse().expect("a number"));
        match name(inner) {
            "hello" => {
                if let Some(epoch) = of("epoch") {
                    self.field(crate::chat::from_base64(&epoch));
                }
            }
            "offer" => {
                let expires = of("expires").map(|text| text.parse::<Timestamp>().expect("a time").as_millisecond());
                self.field(must("id")).hex(&must("info-hash")).number(count("size")).number(count("files"));
                self.number(count("metadata-size")).option(expires.map(i64::to_be_bytes));
                self.field(child(inner, "name").expect("a name")).option(child(inner, "desc"));
                self.hex(&child(inner, "fingerprint").expect("a fingerprint"));
            }
            "connect" => {
                self.field(must("id")).hex(&must("info-hash"));
                self.hex(&child(inner, "fingerprint").expect("a fingerprint")).candidates(inner);
                let proxies: Vec<&str> = inner.split("<proxy ").skip(1).collect();
                self.number(proxies.len() as u64);
                for proxy in proxies {
                    let port = attribute(proxy, "port").and_then(|port| port.parse().ok()).expect("a port");
                    self.field(attribute(proxy, "jid").expect("a JID"));
                    self.field(attribute(proxy, "host").expect("a host")).number(port);
                }
                let stream_id = of("stream-id");
                let in_band = stream_id.is_some() && inner.contains("<in-band");
                self.option(stream_id).number(u64::from(in_band)).number(count("delay")).option(of("better-than"));
                self.number(u64::from(matches!(of("introduce").as_deref(), Some("true" | "1"))));
            }
            "introduce" => {
                self.field(must("id")).hex(&must("info-hash"));
                self.hex(&child(inner, "fingerprint").expect("a fingerprint")).candidates(inner);
            }
            "decline" => drop(self.field(must("id")).option(child(inner, "desc").filter(|text| !text.is_empty()))),
            "failed" => drop(self.field(must("id")).field(of("reason").unwrap_or_default())),
            "cancel" | "done" | "taken" => drop(self.field(must("id"))),
            "sync" => {
                let items: Vec<&str> = inner.split("<item ").skip(1).collect();
                self.number(items.len() as u64);
                for item in items {
                    for name in ["id", "role", "state"] {
                        self.field(attribute(item, name).expect("all three are there"));
                    }
                }
            }
            other => panic!("nothing is known of <{other}/>"),
        }
    }

    fn candidates(&mut self, inner: &str) {
        let all: Vec<&str> = inner.split("<candidate ").skip(1).collect();
        self.number(all.len() as u64);
        for one in all {
            let of = |name| attribute(one, name).expect("a candidate has all");
            self.field(of("kind"));
            match of("ip").parse().expect("an address") {
                std::net::IpAddr::V4(ip) => self.field(ip.octets()),
                std::net::IpAddr::V6(ip) => self.field(ip.octets()),
            };
            self.number(of("port").parse().expect("a number"));
        }
    }
}

/// The name of the first element.
pub fn name(xml: &str) -> &str {
    xml.trim_start_matches('<').split([' ', '/', '>']).next().unwrap_or_default()
}

/// The text in the first child of this name.
fn child(xml: &str, name: &str) -> Option<String> {
    let (_, rest) = xml.split_once(&format!("<{name}>"))?;
    rest.split('<').next().map(unescaped)
}

fn unescaped(text: impl AsRef<str>) -> String {
    let entities = [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&apos;", "'"), ("&amp;", "&")];
    entities.iter().fold(text.as_ref().to_owned(), |text, (entity, char)| text.replace(entity, char))
}
