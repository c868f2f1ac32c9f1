//! What our server does for links: its SOCKS5 proxies (XEP-0065), its STUN servers (XEP-0215), and the address from
//! which it sees us (XEP-0279).

use std::collections::VecDeque;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use tokio_xmpp::jid::Jid;
use tokio_xmpp::minidom::Element;
use tokio_xmpp::parsers::disco::{DiscoInfoQuery, DiscoInfoResult, DiscoItemsQuery, DiscoItemsResult};
use xbt_core::session::{ServerServices, SessionEvent, StunServer};
use xbt_core::signal::{MAX_PROXIES, Proxy};

use super::sent::ServiceQuestion as Question;
use super::{Agent, Payload, Purpose};
use crate::convert::MAX_SERVICE;
use crate::payload::{address, bytestreams, services};

/// How long the search may take; what is known then is reported.
pub(super) const SEARCH: Duration = Duration::from_secs(20);

/// Most services of the server that are looked at, and questions to them at once.
const MOST_ITEMS: usize = 32;
const MOST_QUESTIONS: usize = 8;

/// Most STUN servers that are reported.
const MOST_STUN: usize = 4;

/// A search under way.
#[derive(Debug)]
pub(super) struct Search {
    /// Tells its questions from those of earlier searches.
    number: u64,
    until: Instant,
    /// Services that wait to be asked.
    items: VecDeque<Jid>,
    /// Questions under way, and those of them to services.
    questions: usize,
    to_services: usize,
    /// Whether to report the outcome also if nothing is new.
    fresh: bool,
    found: ServerServices,
}

/// What was reported last, and the search under way.
#[derive(Debug, Default)]
pub(super) struct ServiceDiscovery {
    search: Option<Search>,
    searches: u64,
    reported: ServerServices,
}

impl ServiceDiscovery {
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.search.as_ref().map(|search| search.until)
    }

    /// The stream is gone, and the questions with it.
    pub(super) fn stop(&mut self) {
        self.search = None;
    }
}

impl Agent {
    /// Begins a search. `fresh`: after a new login, so that the outcome is reported in any case.
    pub(super) fn search_services(&mut self, fresh: bool, now: Instant) {
        if self.services.search.is_some() {
            return;
        }
        self.services.searches += 1;
        self.services.search = Some(Search {
            number: self.services.searches,
            until: now + SEARCH,
            items: VecDeque::new(),
            questions: 0,
            to_services: 0,
            fresh,
            found: ServerServices::default(),
        });
        let server = self.account.server();
        let items = DiscoItemsQuery { node: None, rsm: None };
        self.ask_service(Some(server.clone()), items.into(), Question::Services, now);
        let stun = services::Services { type_: Some("stun".to_owned()), services: Vec::new() };
        self.ask_service(Some(server), stun.into(), Question::Stun, now);
        self.ask_service(None, address::Address::default().into(), Question::Address { older: false }, now);
    }

    fn ask_service(&mut self, to: Option<Jid>, query: Element, question: Question, now: Instant) {
        let Some(search) = &mut self.services.search else { return };
        search.questions += 1;
        let search = search.number;
        self.ask(to, Payload::Get(query), Purpose::Service { search, question }, now);
    }

    /// An answer, or none.
    pub(super) fn service_answered(&mut self, number: u64, question: Question, answer: Option<Element>, now: Instant) {
        let Some(search) = self.services.search.as_mut().filter(|search| search.number == number) else { return };
        search.questions -= 1;
        match question {
            Question::Services => {
                let items = answer.and_then(|element| DiscoItemsResult::try_from(element).ok());
                let items = items.map(|result| result.items).unwrap_or_default();
                // One with a node is a part of a service, and a proxy has none.
                let services = items.into_iter().filter(|item| item.node.is_none()).map(|item| item.jid);
                search.items = services.take(MOST_ITEMS).collect();
            }
            Question::Kind(jid) => {
                search.to_services -= 1;
                let info = answer.and_then(|element| DiscoInfoResult::try_from(element).ok());
                let is_proxy = |info: DiscoInfoResult| {
                    info.identities.iter().any(|it| it.category == "proxy" && it.type_ == "bytestreams")
                };
                if info.is_some_and(is_proxy) {
                    let query = bytestreams::Query::default();
                    self.ask_service(Some(jid), query.into(), Question::StreamHosts, now);
                }
            }
            Question::StreamHosts => {
                let query = answer.and_then(|element| bytestreams::Query::try_from(element).ok());
                for proxy in query.into_iter().flat_map(|query| query.hosts).filter_map(proxy) {
                    if search.found.proxies.len() < MAX_PROXIES && !search.found.proxies.contains(&proxy) {
                        search.found.proxies.push(proxy);
                    }
                }
            }
            Question::Stun => {
                let services = answer.and_then(|element| services::Services::try_from(element).ok());
                let stun = services.into_iter().flat_map(|services| services.services).filter_map(stun);
                search.found.stun = stun.take(MOST_STUN).collect();
            }
            Question::Address { older: false } if answer.is_none() => {
                self.ask_service(None, address::Ip::default().into(), Question::Address { older: true }, now);
            }
            Question::Address { older } => search.found.external = answer.and_then(|answer| external(answer, older)),
        }
        self.search_on(now);
    }

    /// Asks the next services, and reports the outcome when there is nothing left to ask.
    fn search_on(&mut self, now: Instant) {
        while let Some(search) = self.services.search.as_mut().filter(|search| search.to_services < MOST_QUESTIONS) {
            let Some(jid) = search.items.pop_front() else { break };
            search.to_services += 1;
            let query = DiscoInfoQuery { node: None };
            self.ask_service(Some(jid.clone()), query.into(), Question::Kind(jid), now);
        }
        if let Some(search) = self.services.search.take_if(|search| search.questions == 0) {
            self.report_services(search);
        }
    }

    /// Time is up: what was found is reported.
    pub(super) fn expire_search(&mut self, now: Instant) {
        if let Some(search) = self.services.search.take_if(|search| search.until <= now) {
            self.report_services(search);
        }
    }

    fn report_services(&mut self, search: Search) {
        let Search { fresh, found, .. } = search;
        tracing::debug!(?found, "what the server does for links");
        if fresh || found != self.services.reported {
            self.services.reported = found.clone();
            self.tell(SessionEvent::Services(found));
        }
    }
}

/// A host that can be resolved, and a port; none if either makes no sense.
fn place(host: Option<String>, port: Option<&str>) -> Option<(String, u16)> {
    let host = host.map(|host| host.trim().to_owned())?;
    let nowhere = host.parse::<IpAddr>().is_ok_and(|ip| ip.is_unspecified());
    let sound = !host.is_empty() && host.len() <= MAX_SERVICE && !nowhere;
    let port = port?.trim().parse().ok().filter(|port| *port != 0)?;
    (sound && !host.contains(|c: char| c.is_whitespace() || c.is_control())).then_some((host, port))
}

fn proxy(streamhost: bytestreams::StreamHost) -> Option<Proxy> {
    let (host, port) = place(streamhost.host, streamhost.port.as_deref())?;
    let jid = Jid::new(&streamhost.jid).ok()?.to_string();
    (jid.len() <= MAX_SERVICE).then_some(Proxy { jid, host, port })
}

fn stun(service: services::Service) -> Option<StunServer> {
    let over_udp = service.transport.as_deref().is_none_or(|transport| transport == "udp");
    if service.type_.as_deref() != Some("stun") || !over_udp {
        return None;
    }
    // RFC 8489, section 8.1: the default port of STUN.
    let (host, port) = place(service.host, service.port.as_deref().or(Some("3478")))?;
    Some(StunServer { host, port })
}

/// The address from which the server sees us.
fn external(answer: Element, older: bool) -> Option<IpAddr> {
    let text =
        if older { address::Ip::try_from(answer).ok()?.ip } else { address::Address::try_from(answer).ok()?.ip? };
    let ip = text.trim().parse::<IpAddr>().ok()?.to_canonical();
    (!ip.is_unspecified() && !ip.is_multicast()).then_some(ip)
}

/// What an answer to any of the questions says, for [`crate::fuzzing`].
#[cfg(feature = "fuzzing")]
pub(crate) fn read(element: &Element) -> ServerServices {
    let query = bytestreams::Query::try_from(element.clone()).ok();
    let services = services::Services::try_from(element.clone()).ok();
    ServerServices {
        proxies: query.into_iter().flat_map(|query| query.hosts).filter_map(proxy).collect(),
        stun: services.into_iter().flat_map(|services| services.services).filter_map(stun).collect(),
        external: external(element.clone(), false).or_else(|| external(element.clone(), true)),
    }
}
