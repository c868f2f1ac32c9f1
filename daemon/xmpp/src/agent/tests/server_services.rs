//! What the server does for links is found out, and only from those who were asked.

use std::net::IpAddr;

use xbt_core::session::StunServer;
use xbt_core::signal::Proxy;

use super::*;
use crate::agent::server_services::SEARCH;

impl Bench {
    /// Answers the question about this element with that payload.
    fn explain_to(&mut self, questions: &[Iq], what: &str, payload: &str) {
        let question = questions.iter().find(|iq| shown(iq).contains(what)).unwrap_or_else(|| panic!("{what}"));
        let from = question.to().map(|to| format!(" from='{to}'")).unwrap_or_default();
        self.feed(&format!("<iq type='result' id='{}'{from}>{payload}</iq>", question.id()));
    }

    fn services(&mut self) -> ServerServices {
        match &self.events()[..] {
            [SessionEvent::Services(found)] => found.clone(),
            other => panic!("{other:?}"),
        }
    }
}

fn shown(iq: &Iq) -> String {
    String::from_utf8(xso::to_vec(iq).unwrap()).unwrap()
}

const ITEMS: &str = "<query xmlns='http://jabber.org/protocol/disco#items'><item jid='proxy.a'/><item jid='muc.a'/>\
                     <item jid='a' node='x'/></query>";
const STUN: &str = "<services xmlns='urn:xmpp:extdisco:2'><service type='turn' host='t' port='3478'/><service type='stun' \
                    host='one' transport='udp' port='3479'/><service type='stun' host='two'/><service type='stun' \
                    host='three' transport='tcp' port='1'/><service type='stun' host='four' port='0'/><service \
                    type='stun' host='five' port='70000'/><service type='stun' host=''/><service/></services>";
const PROXY_INFO: &str = "<query xmlns='http://jabber.org/protocol/disco#info'><identity category='proxy' \
                          type='bytestreams'/></query>";
const MUC_INFO: &str = "<query xmlns='http://jabber.org/protocol/disco#info'><identity category='conference' \
                        type='text'/></query>";

fn hosts(list: &[(&str, &str, &str)]) -> String {
    let hosts: String =
        list.iter().map(|(jid, host, port)| format!("<streamhost jid='{jid}' host='{host}' port='{port}'/>")).collect();
    format!("<query xmlns='http://jabber.org/protocol/bytestreams'>{hosts}</query>")
}

#[test]
fn everything_is_found_and_told_once() {
    let mut bench = Bench::fresh();
    let questions = bench.iqs();
    assert_eq!(questions.len(), 3);
    bench.explain_to(&questions, "disco#items", ITEMS);
    bench.explain_to(&questions, "extdisco", STUN);
    bench.explain_to(&questions, "sic:1", "<address xmlns='urn:xmpp:sic:1'><ip>192.0.2.7</ip><port>1</port></address>");
    let questions = bench.iqs();
    assert_eq!(questions.len(), 2, "parts of services are not asked");
    bench.explain_to(&questions, "muc.a", MUC_INFO);
    bench.explain_to(&questions, "proxy.a", PROXY_INFO);
    let questions = bench.iqs();
    let list =
        [("proxy.a", "0.0.0.0", "5000"), ("proxy.a", "", "5000"), ("proxy.a", "p", "0"), ("proxy.a", "p.a", "5000")];
    assert_eq!(bench.events(), []);
    bench.explain_to(&questions, "bytestreams", &hosts(&list));
    let stun = |host: &str, port| StunServer { host: host.to_owned(), port };
    let found = ServerServices {
        proxies: vec![Proxy { jid: "proxy.a".to_owned(), host: "p.a".to_owned(), port: 5000 }],
        stun: vec![stun("one", 3479), stun("two", 3478)],
        external: Some(IpAddr::from([192, 0, 2, 7])),
    };
    assert_eq!(bench.services(), found);
    // A stream that goes on elsewhere: the same again is not told, something else is.
    for (ip, news) in [("192.0.2.7", 0), ("192.0.2.8", 1)] {
        bench.agent.resumed(bench.now);
        let questions = bench.iqs();
        bench.explain_to(&questions, "disco#items", &ITEMS.replace("muc.a", "proxy.a"));
        bench.explain_to(&questions, "extdisco", STUN);
        bench.explain_to(&questions, "sic:1", &format!("<address xmlns='urn:xmpp:sic:1'><ip>{ip}</ip></address>"));
        for kind in bench.iqs() {
            bench.explain_to(&[kind], "disco#info", PROXY_INFO);
        }
        for streamhosts in bench.iqs() {
            bench.explain_to(&[streamhosts], "bytestreams", &hosts(&list));
        }
        assert_eq!(bench.events().len(), news);
    }
}

#[test]
fn older_servers_tell_the_address_in_their_own_way() {
    let mut bench = Bench::fresh();
    bench.refuse_all();
    let questions = bench.iqs();
    bench.explain_to(&questions, "sic:0", "<ip xmlns='urn:xmpp:sic:0'>::ffff:192.0.2.7</ip>");
    assert_eq!(bench.services().external, Some(IpAddr::from([192, 0, 2, 7])));
}

#[test]
fn strangers_cannot_tell_us_proxies() {
    let mut bench = Bench::fresh();
    let questions = bench.iqs();
    for question in &questions {
        for from in ["eve@e/1", "bob@b/1", "proxy.e", "b"] {
            for payload in [ITEMS, STUN, "<address xmlns='urn:xmpp:sic:1'><ip>192.0.2.7</ip></address>"] {
                bench.feed(&format!("<iq type='result' id='{}' from='{from}'>{payload}</iq>", question.id()));
            }
        }
    }
    assert_eq!((bench.iqs().len(), bench.events()), (0, vec![]));
    bench.pass(SEARCH);
    assert_eq!(bench.services(), ServerServices::default());
    // An answer that comes after the end changes nothing.
    for question in &questions {
        bench.feed(&format!("<iq type='result' id='{}' from='a'>{ITEMS}</iq>", question.id()));
    }
    assert_eq!((bench.iqs().len(), bench.events()), (0, vec![]));
}

#[test]
fn a_server_with_very_many_services_is_asked_about_some_a_few_at_a_time() {
    let mut bench = Bench::fresh();
    let questions = bench.iqs();
    let items: String = (0..500).map(|n| format!("<item jid='p{n}.a'/>")).collect();
    let items = format!("<query xmlns='http://jabber.org/protocol/disco#items'>{items}</query>");
    bench.explain_to(&questions, "disco#items", &items);
    bench.explain_to(&questions, "extdisco", &STUN.replace("<services", "<services x='y'"));
    bench.explain_to(&questions, "sic:1", "<address xmlns='urn:xmpp:sic:1'><ip>224.0.0.1</ip></address>");
    let (mut asked, mut at_once) = (0, 0);
    loop {
        let questions = bench.iqs();
        if questions.is_empty() {
            break;
        }
        at_once = at_once.max(questions.len());
        for question in questions {
            if shown(&question).contains("disco#info") {
                asked += 1;
                bench.explain_to(&[question], "disco#info", PROXY_INFO);
            } else {
                let list: Vec<_> = (1..30).map(|n| ("proxy.a", "p.a", n.to_string())).collect();
                let list: Vec<_> = list.iter().map(|(jid, host, port)| (*jid, *host, port.as_str())).collect();
                bench.explain_to(&[question], "bytestreams", &hosts(&list));
            }
        }
    }
    assert_eq!(asked, 32);
    assert!(at_once <= 16, "{at_once}");
    let found = bench.services();
    assert_eq!((found.proxies.len(), found.external), (4, None));
}
