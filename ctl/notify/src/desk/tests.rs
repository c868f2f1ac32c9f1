#![allow(clippy::unwrap_used, clippy::panic)]

use super::*;

fn transfer(id: u64, direction: Direction, state: State) -> Transfer {
    let time = || "2026-01-31T12:00:00Z".to_owned();
    Transfer {
        id,
        direction,
        contact: "bob@example.org".into(),
        name: format!("thing {id}"),
        files: 12,
        size: 1_000,
        state,
        paused: false,
        done_bytes: 0,
        rate: 0,
        eta_s: None,
        info_hash: None,
        way: None,
        message: None,
        why: None,
        error: None,
        path: Some(format!("/home/a/thing {id}")),
        created: time(),
        updated: time(),
    }
}

fn event(kind: EventKind, transfer: Option<Transfer>, text: &str) -> Event {
    Event { seq: 1, at: "2026-01-31T12:00:00Z".into(), kind, transfer, text: text.into() }
}

/// A desk that has had its first look at an empty list, and a clock.
struct Scene {
    desk: Desk,
    now: Instant,
}

impl Scene {
    fn new() -> Self {
        let mut desk = Desk::default();
        desk.names(HashMap::from([("bob@example.org".to_owned(), "Bob".to_owned())]));
        desk.look(Vec::new(), Instant::now());
        Self { desk, now: Instant::now() }
    }

    fn becomes(&mut self, transfer: Transfer) {
        self.desk.event(event(EventKind::Transfer, Some(transfer), ""), self.now);
    }

    fn incoming(&mut self, id: u64, state: State) {
        self.becomes(transfer(id, Direction::In, state));
    }

    fn outgoing(&mut self, id: u64, state: State) {
        self.becomes(transfer(id, Direction::Out, state));
    }

    fn titles(&self) -> Vec<String> {
        let first = |note: Note| format!("{}: {}", note.title, note.body.first().map_or("", |line| line.as_str()));
        self.desk
            .wanted(self.now)
            .into_values()
            .map(first)
            .map(|text| text.replace(" (12 files, 1000 B)", ""))
            .collect()
    }
}

#[test]
fn an_offer_is_shown_until_it_is_answered_and_then_its_progress_and_its_end() {
    let mut scene = Scene::new();
    scene.incoming(7, State::Offered);
    assert_eq!(scene.titles(), ["Bob wants to send you files: thing 7"]);
    assert_eq!(scene.desk.pressed(Key::Transfer(7), Action::Accept), Some(Intent::Accept(7)));
    assert!(scene.titles().is_empty(), "it is answered");
    assert_eq!(scene.desk.pressed(Key::Transfer(7), Action::Accept), None, "only once");
    scene.incoming(7, State::Receiving);
    assert!(scene.titles().is_empty(), "it may be over in a moment");
    scene.now += SHORT;
    assert_eq!(scene.titles(), ["Receiving from Bob: thing 7"]);
    scene.incoming(7, State::Connecting);
    assert!(scene.titles().is_empty(), "it does not move");
    scene.incoming(7, State::Done);
    assert_eq!(scene.titles(), ["Received from Bob: thing 7"]);
    assert_eq!(scene.desk.pressed(Key::Transfer(7), Action::Open), Some(Intent::Open("/home/a/thing 7".into())));
    scene.desk.closed(Key::Transfer(7));
    assert!(scene.titles().is_empty());
    scene.incoming(7, State::Done);
    assert!(scene.titles().is_empty(), "an end is told once");
}

#[test]
fn only_what_a_button_stands_for_can_be_done() {
    let mut scene = Scene::new();
    scene.incoming(1, State::Offered);
    scene.outgoing(2, State::Offered);
    scene.outgoing(3, State::Done);
    assert_eq!(scene.desk.pressed(Key::Transfer(1), Action::Open), None);
    assert_eq!(scene.desk.pressed(Key::Transfer(2), Action::Accept), None);
    assert_eq!(scene.desk.pressed(Key::Transfer(3), Action::Open), None);
    assert_eq!(scene.desk.pressed(Key::Transfer(9), Action::Decline), None);
    assert_eq!(scene.desk.pressed(Key::Offers, Action::Accept), None);
}

#[test]
fn an_offer_that_could_not_be_accepted_is_shown_again_with_the_reason() {
    let mut scene = Scene::new();
    scene.incoming(7, State::Offered);
    scene.desk.pressed(Key::Transfer(7), Action::Accept);
    scene.desk.refused(7, ApiError::new("no-space", "there is not enough room", "make some"));
    let wanted = scene.desk.wanted(scene.now);
    let note = wanted.get(&Key::Transfer(7)).unwrap();
    assert_eq!(note.title, "The offer was not accepted");
    assert_eq!(note.body[..2], ["thing 7 (12 files, 1000 B) from Bob (bob@example.org)", "there is not enough room"]);
    assert_eq!(note.actions, [Action::Accept, Action::Decline]);
}

#[test]
fn many_offers_are_few_notifications_and_the_next_one_moves_up() {
    let mut scene = Scene::new();
    (1..=100).for_each(|id| scene.incoming(id, State::Offered));
    let titles = scene.titles();
    assert_eq!(
        (titles.len(), titles.last().unwrap().as_str()),
        (4, "97 more offers are waiting: Bob (bob@example.org): thing 4 (1000 B)")
    );
    scene.incoming(2, State::Elsewhere);
    let titles = scene.titles();
    assert_eq!(
        (titles[2].as_str(), titles[3].as_str()),
        ("Bob wants to send you files: thing 4", "96 more offers are waiting: Bob (bob@example.org): thing 5 (1000 B)")
    );
    scene.desk.closed(Key::Offers);
    assert_eq!(scene.titles().len(), 3, "who closes the summary has seen what is in it");
    scene.incoming(101, State::Offered);
    assert_eq!(scene.titles()[3], "1 more offer is waiting: Bob (bob@example.org): thing 101 (1000 B)");
}

#[test]
fn what_the_person_closes_stays_closed() {
    let mut scene = Scene::new();
    scene.incoming(1, State::Offered);
    scene.desk.closed(Key::Transfer(1));
    scene.desk.look(vec![transfer(1, Direction::In, State::Offered)], scene.now);
    assert!(scene.titles().is_empty());
    scene.incoming(1, State::Receiving);
    scene.now += SHORT;
    assert_eq!(scene.titles().len(), 1, "accepted elsewhere, so its progress is news");
    scene.desk.closed(Key::Transfer(1));
    assert!(scene.titles().is_empty());
    scene.incoming(1, State::Failed);
    assert_eq!(scene.titles(), ["Receiving from Bob has failed: thing 1"], "its end is told all the same");
}

#[test]
fn many_ends_at_once_are_counted_together() {
    let mut scene = Scene::new();
    for id in 1..=10 {
        scene.incoming(id, if id == 9 { State::Failed } else { State::Done });
    }
    let wanted = scene.desk.wanted(scene.now);
    assert_eq!(wanted.len(), MAX_ENDED + 1);
    let all = wanted.get(&Key::Ended).unwrap();
    assert_eq!((all.title.as_str(), all.body[0].as_str()), ("6 more transfers have ended", "5 succeeded, 1 did not"));
    scene.now += BURST;
    scene.incoming(11, State::Done);
    assert!(scene.titles().contains(&"Received from Bob: thing 11".to_owned()));
}

#[test]
fn nothing_that_ended_before_the_first_look_is_told_and_what_ended_unseen_later_is() {
    let mut desk = Desk::default();
    let now = Instant::now();
    let list = |second: State| {
        vec![
            transfer(1, Direction::In, State::Done),
            transfer(2, Direction::In, second),
            transfer(3, Direction::Out, State::Declined),
        ]
    };
    desk.look(list(State::Receiving), now);
    assert!(desk.wanted(now).is_empty());
    // The daemon was away; meanwhile two ended, of which one had begun meanwhile, too.
    let mut transfers = list(State::Done);
    transfers.push(transfer(4, Direction::In, State::Failed));
    desk.look(transfers, now);
    assert_eq!(desk.wanted(now).into_keys().collect::<Vec<_>>(), [Key::Transfer(2), Key::Transfer(4)]);
}

#[test]
fn an_open_offer_that_has_vanished_from_the_list_is_not_shown_any_more() {
    let mut scene = Scene::new();
    scene.incoming(1, State::Offered);
    scene.desk.look(Vec::new(), scene.now);
    assert!(scene.titles().is_empty());
}

#[test]
fn senders_learn_how_it_ended_and_nothing_of_what_they_did_themselves() {
    let mut scene = Scene::new();
    let ends = [
        (State::Done, "Bob has received: thing 1"),
        (State::Failed, "Sending to Bob has failed: thing 1"),
        (State::Declined, "Bob has declined: thing 1"),
        (State::Expired, "Bob did not answer in time: thing 1"),
    ];
    for (end, title) in ends {
        let mut scene = Scene::new();
        scene.outgoing(1, State::Offered);
        assert!(scene.titles().is_empty());
        scene.outgoing(1, end);
        assert_eq!(scene.titles(), [title]);
    }
    scene.outgoing(1, State::Queued);
    scene.outgoing(1, State::Cancelled);
    scene.incoming(2, State::Offered);
    scene.incoming(2, State::Declined);
    assert!(scene.titles().is_empty());
    scene.outgoing(3, State::Sending);
    scene.outgoing(3, State::Cancelled);
    assert_eq!(scene.titles(), ["Sending to Bob was cancelled: thing 3"]);
}

fn key(contact: Option<&str>, first: bool, blocked: bool, text: &str) -> NewKey {
    NewKey { contact: contact.map(Into::into), first, blocked, text: text.into() }
}

#[test]
fn new_keys_of_devices_are_loud_and_bounded() {
    let mut scene = Scene::new();
    for number in 1..=50 {
        scene.desk.device(key(None, false, false, &format!("device {number}\n<b>")));
    }
    let wanted = scene.desk.wanted(scene.now);
    let note = wanted.get(&Key::Devices).unwrap();
    assert_eq!(note.urgency, crate::note::Urgency::Critical);
    assert_eq!((note.title.as_str(), note.body[2].as_str()), ("50 devices have new keys", "device 50 <b>"));
    scene.desk.closed(Key::Devices);
    assert!(scene.desk.wanted(scene.now).is_empty());
}

#[test]
fn only_a_key_beside_others_or_a_blocked_one_is_loud() {
    let bob = Some("bob@example.org");
    let mut scene = Scene::new();
    scene.desk.device(key(bob, true, false, ""));
    let wanted = scene.desk.wanted(scene.now);
    assert_eq!(wanted.values().map(|note| note.urgency).collect::<Vec<_>>(), [crate::note::Urgency::Low]);
    scene.desk.closed(Key::FirstDevice);
    scene.desk.device(key(bob, false, true, ""));
    let wanted = scene.desk.wanted(scene.now);
    assert_eq!(wanted[&Key::Devices].title, "A device of Bob was blocked");
    assert_eq!(wanted[&Key::Devices].body[1], "xbtctl contacts verify bob@example.org");
}

#[test]
fn whatever_names_come_what_is_told_is_short_and_has_no_control_characters() {
    let mut scene = Scene::new();
    let name = "\u{202e}a\u{1b}\n".repeat(10_000);
    let message = Some("x\r\n".repeat(2_000));
    scene.becomes(Transfer { name, message, ..transfer(1, Direction::In, State::Offered) });
    let wanted = scene.desk.wanted(scene.now);
    let note = wanted.get(&Key::Transfer(1)).unwrap();
    let all = format!("{}{}", note.title, note.body.concat());
    assert!(all.chars().count() < 500 && !all.contains(char::is_control), "{all}");
}

#[test]
fn a_login_that_the_server_refuses_is_shown_until_it_lets_us_in_or_the_person_has_seen_it() {
    let mut scene = Scene::new();
    let refused = || Some(ApiError::new("bad-password", "the server refuses the password", "run 'xbtctl setup'"));
    scene.desk.login(refused());
    assert_eq!(scene.titles(), ["xbt cannot log in: the server refuses the password"]);
    scene.desk.login(None);
    assert!(scene.titles().is_empty());
    scene.desk.login(refused());
    scene.desk.closed(Key::Login);
    assert!(scene.titles().is_empty());
}

#[test]
fn what_is_remembered_is_bounded() {
    let mut scene = Scene::new();
    (1..=MAX_SEEN as u64 + 100).for_each(|id| scene.incoming(id, State::Done));
    assert_eq!(scene.desk.seen.len(), MAX_SEEN);
    assert!(scene.desk.ended.len() <= KEPT_ENDED);
}
