//! STUN: against coturn, against liars, and against random bytes.

use std::path::Path;
use std::process::{Child, Command, Stdio};

use proptest::prelude::*;
use stun_types::attribute::{ErrorCode, XorMappedAddress};
use stun_types::message::{Message, MessageWrite, MessageWriteExt, MessageWriteVec};
use tokio::net::UdpSocket;

use super::stun::Answer;
use super::*;

/// A STUN server of coturn's, ended when dropped.
pub(super) struct Turnserver(Child);

impl Turnserver {
    /// None where coturn is not installed.
    fn start(address: SocketAddr, folder: &Path) -> Option<Self> {
        Self::start_through(&[], address, folder)
    }

    /// The same in another namespace, say.
    pub fn start_through(through: &[String], address: SocketAddr, folder: &Path) -> Option<Self> {
        let words: Vec<&str> = through.iter().map(String::as_str).chain(["turnserver"]).collect();
        let child = Command::new(words[0])
            .args(&words[1..])
            .args(["-n", "-S", "--no-cli", "--no-tcp", "--no-tls", "--no-dtls", "--log-file=stdout"])
            .arg(format!("--listening-ip={}", address.ip()))
            .arg(format!("--listening-port={}", address.port()))
            .arg(format!("--pidfile={}", folder.join("pid").display()))
            .arg(format!("--userdb={}", folder.join("db").display()))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        child.ok().map(Self)
    }
}

impl Drop for Turnserver {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test]
async fn a_real_stun_server_tells_our_address_and_quic_goes_on_beside_it() {
    let folder = tempfile::tempdir().unwrap();
    let port = std::net::UdpSocket::bind(V4).unwrap().local_addr().unwrap();
    let Some(_server) = Turnserver::start(port, folder.path()) else {
        eprintln!("not run: turnserver (coturn) is not installed");
        return;
    };
    let (small, mut large) = connected(&[V4]).await;
    let asked = async {
        // It needs a moment to start; meanwhile the kernel reports a closed port, or nothing at all.
        loop {
            if let Ok(seen) = small.punch.reflexive(&[port]).await {
                return seen;
            }
        }
    };
    let seen = timeout(PATIENCE, asked).await.unwrap();
    assert_eq!(seen, Reflexive { address: small.punch.local()[0], stable: None });
    let _streams = converse(&small, &mut large).await;
    let kept = small.punch.keep(vec![port]);
    let mut latest = kept.latest();
    let latest = timeout(PATIENCE, latest.wait_for(Option::is_some)).await.unwrap().unwrap().clone();
    assert_eq!(latest, Some(Ok(seen)));
}

/// A server that answers each request with what `answer` makes of it.
async fn server(answer: impl Fn(&Message<'_>, SocketAddr) -> Vec<u8> + Send + 'static) -> SocketAddr {
    let socket = UdpSocket::bind(V4).await.unwrap();
    let address = socket.local_addr().unwrap();
    tokio::spawn(async move {
        let mut bytes = [0; 1500];
        while let Ok((length, from)) = socket.recv_from(&mut bytes).await {
            let request = Message::from_bytes(&bytes[..length]).unwrap();
            let _ = socket.send_to(&answer(&request, from), from).await;
        }
    });
    address
}

fn success(request: &Message<'_>, address: SocketAddr) -> Vec<u8> {
    let mut answer = Message::builder_success(request, MessageWriteVec::new());
    answer.add_attribute(&XorMappedAddress::new(address, request.transaction_id())).unwrap();
    answer.add_fingerprint().unwrap();
    answer.finish()
}

#[tokio::test]
async fn two_servers_say_whether_the_address_is_stable() {
    let device = Device::start(&new_identity(), &[V4]);
    let honest = [server(success).await, server(success).await];
    let seen = device.punch.reflexive(&honest).await.unwrap();
    assert_eq!(seen, Reflexive { address: device.punch.local()[0], stable: Some(true) });
    let other = server(|request, from| success(request, SocketAddr::new(from.ip(), from.port() ^ 1))).await;
    assert_eq!(device.punch.reflexive(&[honest[0], other]).await.unwrap().stable, Some(false));
    // A dead one beside a living one costs a second, not five.
    let dead = UdpSocket::bind(V4).await.unwrap();
    let seen = device.punch.reflexive(&[dead.local_addr().unwrap(), honest[0]]).await.unwrap();
    assert_eq!(seen.stable, None);
}

#[test]
fn behind_a_router_that_gives_every_server_another_port_the_address_does_not_change_with_who_answers_first() {
    let seen = |port, stable| Ok(Reflexive { address: SocketAddr::from(([203, 0, 113, 7], port)), stable });
    let first = seen(1000, Some(false));
    assert_eq!(reflexive::settled(Some(&first), seen(1001, Some(false))), first, "another server was faster");
    assert_eq!(reflexive::settled(Some(&first), seen(1001, None)), first, "and the other one did not answer");
    // Everything else is news.
    let elsewhere = Ok(Reflexive { address: SocketAddr::from(([203, 0, 113, 8], 1000)), stable: Some(false) });
    for news in [seen(1001, Some(true)), elsewhere, Err(StunFailure::Silent)] {
        assert_eq!(reflexive::settled(Some(&first), news.clone()), news);
        assert_eq!(reflexive::settled(None, news.clone()), news);
    }
    let stable = seen(1000, Some(true));
    assert_eq!(reflexive::settled(Some(&stable), seen(1001, Some(false))), seen(1001, Some(false)));
}

#[tokio::test]
async fn nonsense_and_refusals_are_told_as_such() {
    let device = Device::start(&new_identity(), &[V4]);
    let nonsense: [fn(&Message<'_>, SocketAddr) -> Vec<u8>; 4] = [
        |request, _| success(request, "0.0.0.0:9".parse().unwrap()),
        |request, _| success(request, "224.0.0.1:9".parse().unwrap()),
        |request, _| success(request, "[2001:db8::1]:9".parse().unwrap()),
        |request, _| Message::builder_success(request, MessageWriteVec::new()).finish(),
    ];
    for answer in nonsense {
        let server = server(answer).await;
        assert_eq!(device.punch.reflexive(&[server]).await, Err(StunFailure::Nonsense { server }));
    }
    let server = server(|request, _| {
        let mut answer = Message::builder_error(request, MessageWriteVec::new());
        answer.add_attribute(&ErrorCode::new(403, "no").unwrap()).unwrap();
        answer.finish()
    })
    .await;
    assert_eq!(device.punch.reflexive(&[server]).await, Err(StunFailure::Refused { server, code: 403 }));
    assert_eq!(device.punch.reflexive(&[]).await.map_err(|failure| failure.code()), Err("stun-no-server"));
    assert_eq!(device.punch.reflexive(&["[::1]:9".parse().unwrap()]).await, Err(StunFailure::NoServer));
}

#[tokio::test]
async fn an_answer_counts_only_from_who_was_asked_and_to_what_was_asked() {
    let device = Device::start(&new_identity(), &[V4]);
    let asked = UdpSocket::bind(V4).await.unwrap();
    let liar = UdpSocket::bind(V4).await.unwrap();
    let servers = [asked.local_addr().unwrap()];
    let answering = async {
        let mut bytes = [0; 1500];
        let (length, from) = asked.recv_from(&mut bytes).await.unwrap();
        let request = Message::from_bytes(&bytes[..length]).unwrap();
        let lie = "203.0.113.1:1".parse().unwrap();
        // From elsewhere with the right transaction; from there with another one; and then the truth.
        liar.send_to(&success(&request, lie), from).await.unwrap();
        let other = stun::request(1.into());
        let other = Message::from_bytes(&other).unwrap();
        asked.send_to(&success(&other, lie), from).await.unwrap();
        asked.send_to(&success(&request, from), from).await.unwrap();
    };
    let (seen, ()) = tokio::join!(device.punch.reflexive(&servers), answering);
    assert_eq!(seen.unwrap().address, device.punch.local()[0]);
}

#[tokio::test]
async fn a_lost_question_is_repeated_and_silence_ends_in_five_seconds() {
    let device = Device::start(&new_identity(), &[V4]);
    let asked = UdpSocket::bind(V4).await.unwrap();
    let servers = [asked.local_addr().unwrap()];
    let answering = async {
        let mut bytes = [0; 1500];
        for _ in 0..2 {
            asked.recv_from(&mut bytes).await.unwrap();
        }
        let (length, from) = asked.recv_from(&mut bytes).await.unwrap();
        asked.send_to(&success(&Message::from_bytes(&bytes[..length]).unwrap(), from), from).await.unwrap();
    };
    let (seen, ()) = tokio::join!(device.punch.reflexive(&servers), answering);
    seen.unwrap();
    assert_eq!(device.punch.reflexive(&servers).await, Err(StunFailure::Silent));
}

proptest! {
    #[test]
    fn no_datagram_makes_the_codec_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = stun::answered(&bytes);
        let _ = stun::read(&bytes);
    }

    #[test]
    fn nor_does_one_that_begins_well(
        kind in proptest::sample::select(vec![0x0101_u16, 0x0111, 0x0001, 0x0011]),
        length in prop_oneof![Just(None), any::<u16>().prop_map(Some)],
        rest in proptest::collection::vec(
            (proptest::sample::select(vec![0x20_u16, 1, 9, 8, 0x1c, 0x8028, 0x8022, 0x8023]), 0..24_u16,
             proptest::collection::vec(any::<u8>(), 0..24)), 0..5),
    ) {
        let body: Vec<u8> = rest.iter().flat_map(|(kind, length, value)| {
            [kind.to_be_bytes(), length.to_be_bytes()].concat().into_iter().chain(value.clone())
        }).collect();
        let length = length.unwrap_or(u16::try_from(body.len()).unwrap());
        let mut bytes = [kind.to_be_bytes(), length.to_be_bytes()].concat();
        bytes.extend([0x21, 0x12, 0xa4, 0x42]);
        bytes.extend([5; 12]);
        bytes.extend(body);
        let _ = stun::answered(&bytes);
        let _ = stun::read(&bytes);
    }

    #[test]
    fn an_address_is_read_as_it_was_written(ip in any::<std::net::IpAddr>(), port in 1_u16.., id in any::<u128>()) {
        prop_assume!(!ip.is_unspecified() && !ip.is_multicast() && ip.to_string() != "255.255.255.255");
        let request = stun::request(id.into());
        prop_assert_eq!(request.len(), 20);
        let request = Message::from_bytes(&request).unwrap();
        let answer = success(&request, SocketAddr::new(ip, port));
        prop_assert!(stun::is_stun(&answer));
        prop_assert_eq!(stun::answered(&answer), Some(id.into()));
        prop_assert_eq!(stun::read(&answer), Answer::Seen(SocketAddr::new(ip, port)));
        prop_assert_eq!(stun::answered(&stun::indication(id.into())), None);
    }
}
