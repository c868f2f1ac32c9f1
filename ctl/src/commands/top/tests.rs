//! What `top` makes of inputs, and how that looks.
#![allow(clippy::unwrap_used)]

use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::crossterm::event::KeyCode;
use xbt_api::{Counts, Direction, EventKind, Limits, LimitsBy, Pace, State, Status, Transfer, Way, Why};

use super::model::{Deed, Input, Model, Request, Word};
use super::view;
use crate::sample;
use crate::time::Clock;

fn busy() -> Model {
    let mut model = Model::default();
    let counts = Counts { total: 4, active: 2, waiting: 1, asking: 1, ..Counts::default() };
    for (second, up) in [(0, 0), (1, 1 << 20), (2, 3 << 20), (3, 2 << 20)] {
        let status = Status { upload_rate: up, download_rate: second << 10, counts, ..sample::status() };
        model.update(Input::Status(Box::new(status)));
    }
    let offered = Transfer {
        direction: Direction::In,
        contact: "eve@example.org".into(),
        name: "notes\u{1b}.txt".into(),
        size: 2_048,
        ..sample::transfer(9, State::Offered)
    };
    let why = Why { code: "contact-offline".into(), text: "carol is offline".into() };
    model.update(Input::Transfers(vec![
        Transfer {
            done_bytes: 644_245_094,
            rate: 2 << 20,
            eta_s: Some(307),
            way: Some(Way::DirectTcp6),
            ..sample::transfer(7, State::Sending)
        },
        Transfer {
            direction: Direction::In,
            done_bytes: 128_849_018,
            rate: 3 << 10,
            way: Some(Way::Proxy65),
            ..sample::transfer(8, State::Receiving)
        },
        offered,
        Transfer { contact: "carol@example.org".into(), why: Some(why), ..sample::transfer(10, State::Queued) },
        sample::transfer(6, State::Done),
    ]));
    model
}

/// The screen as lines, without the spaces at their ends.
fn screen(model: &Model, columns: u16, lines: u16) -> Vec<String> {
    let mut terminal = Terminal::new(TestBackend::new(columns, lines)).unwrap();
    let clock = Clock::at("2026-01-31T12:00:00Z", Some(jiff::tz::TimeZone::UTC));
    terminal.draw(|frame| view::draw(frame, model, true, &clock)).unwrap();
    let buffer = terminal.backend().buffer().clone();
    let rows = buffer.content.chunks(usize::from(columns));
    rows.map(|row| row.iter().map(|cell| cell.symbol()).collect::<String>().trim_end().to_owned()).collect()
}

fn key(model: &mut Model, key: char) -> Option<Request> {
    model.update(Input::Key(KeyCode::Char(key)))
}

#[test]
fn the_head_tells_of_a_new_key_and_of_limits_that_hold_now() {
    let mut model = busy();
    let pace = Pace { by: LimitsBy::Schedule, schedule: Some(1), until: Some("2026-01-31T18:00:00Z".into()) };
    let new_keys = vec!["bob@example.org".to_owned(), "eve@example.org".to_owned()];
    let limits = Limits { upload: 1 << 20, download: 0 };
    let status = Status { limits, new_keys, pace: Some(pace), ..sample::status() };
    model.update(Input::Status(Box::new(status)));
    let head = screen(&model, 200, 20).remove(0);
    assert!(head.contains("  NEW KEY of bob@example.org and 1 more  "), "{head}");
    assert!(head.contains("  limited to 1.0 MiB/s up by schedule 1 until 18:00  "), "{head}");
}

#[test]
fn a_wide_screen_shows_all_there_is() {
    let shown = screen(&busy(), 140, 20);
    println!("{}", shown.join("\n"));
    assert!(shown[0].starts_with(" xbt  alice@example.org  online  2 active, 1 waiting, 1 to answer"), "{}", shown[0]);
    assert!(shown[0].ends_with("by 1× direct-tcp6, 1× proxy65"), "{}", shown[0]);
    assert!(shown[1].contains("↑ up 2.0 MiB/s") && shown[1].contains("most 3.0 MiB/s"), "{}", shown[1]);
    let find = |id: &str| shown.iter().position(|line| line.trim_start().starts_with(id)).unwrap();
    // Offers to answer come first, ended transfers last.
    assert!(find("9 ←") < find("7 →") && find("7 →") < find("10 →") && find("10 →") < find("6 →"));
    let sending = &shown[find("7 →")];
    for part in ["bob@example.org", "holiday", "1.2 GiB", "█████░░░░░  50%", "sending", "2.0 MiB/s", "5m 7s"]
    {
        assert!(sending.contains(part), "{part} is missing in {sending}");
    }
    assert!(shown[find("9 ←")].contains("notes\u{fffd}.txt"));
    assert!(shown.iter().any(|line| line.contains("│bob@example.org") && line.contains("2.0 MiB    3.0 KiB")));
}

#[test]
fn the_longest_rate_is_shown_whole() {
    let mut model = Model::default();
    model.update(Input::Status(Box::new(sample::status())));
    let rate = 1_023 * 1_024 + 900;
    let sending = Transfer { rate, done_bytes: 1_000, eta_s: Some(22), ..sample::transfer(7, State::Sending) };
    model.update(Input::Transfers(vec![sending]));
    for columns in [80, 110, 160] {
        let shown = screen(&model, columns, 24);
        assert!(shown.iter().any(|line| line.contains("7 →") && line.contains("1023.9 KiB/s")), "{shown:#?}");
        let all = shown.join("\n");
        assert_eq!(all.matches("1023.9 KiB").count(), 2, "of the transfer and of the contact: {all}");
    }
}

#[test]
fn a_very_wide_screen_names_the_way_of_each_transfer() {
    let shown = screen(&busy(), 160, 20);
    assert!(shown.iter().any(|line| line.contains("7 →") && line.contains("5m 7s   direct-tcp6")), "{shown:#?}");
    assert!(shown.iter().any(|line| line.contains("10 →") && line.contains("queued (carol is offline)")), "{shown:#?}");
}

#[test]
fn a_small_screen_shows_what_matters() {
    let tall = screen(&busy(), 80, 24);
    println!("{}", tall.join("\n"));
    assert!(tall.iter().any(|line| line.starts_with("bob@example.org") && line.ends_with("2.0 MiB    3.0 KiB")));
    assert!(tall.iter().any(|line| line.contains("7 →") && line.contains("sending")));
    let shown = screen(&busy(), 50, 8);
    println!("{}", shown.join("\n"));
    assert_eq!(shown.len(), 8);
    assert!(shown[0].starts_with(" xbt  alice@example.org  online"));
    assert!(!shown.iter().any(|line| line.contains("most")));
    assert!(shown.iter().any(|line| line.contains("50%") && line.contains("2.0 MiB/s")), "{shown:#?}");
}

#[test]
fn no_size_is_too_small_to_be_drawn() {
    let model = busy();
    for columns in [1, 2, 10, 69, 110] {
        for lines in [1, 2, 3, 16] {
            screen(&model, columns, lines);
        }
    }
    screen(&Model::default(), 80, 24);
}

#[test]
fn an_offer_is_accepted_and_declined_with_a_key_and_nothing_else_is() {
    let mut model = busy();
    assert_eq!(key(&mut model, 'a'), Some(Request::Do(Deed::Accept, 9)));
    assert_eq!(key(&mut model, 'd'), Some(Request::Do(Deed::Decline, 9)));
    key(&mut model, 'j');
    assert_eq!(key(&mut model, 'a'), None);
    assert_eq!(model.word, Word::Bad("7 is not an incoming offer".into()));
    assert_eq!(key(&mut model, 'p'), Some(Request::Do(Deed::Pause, 7)));
    let paused = Transfer { paused: true, ..sample::transfer(7, State::Sending) };
    model.update(Input::Event(Box::new(sample::event(EventKind::Transfer, Some(paused)))));
    assert_eq!(key(&mut model, 'p'), Some(Request::Do(Deed::Resume, 7)));
    model.update(Input::Answer(Ok("7 resumed".into())));
    assert!(screen(&model, 80, 24)[23].contains("7 resumed"));
}

#[test]
fn cancelling_asks_first() {
    let mut model = busy();
    model.update(Input::Key(KeyCode::Down));
    assert_eq!(key(&mut model, 'c'), None);
    assert!(screen(&model, 80, 24)[23].contains("Cancel 7 holiday → bob@example.org? y/n"));
    // Every other key means no, also one that has a meaning of its own.
    assert_eq!(key(&mut model, 'q'), None);
    assert_eq!(model.word, Word::Keys);
    key(&mut model, 'c');
    assert_eq!(key(&mut model, 'y'), Some(Request::Do(Deed::Cancel, 7)));
    model.update(Input::Key(KeyCode::End));
    assert_eq!(key(&mut model, 'c'), None);
    assert_eq!(model.word, Word::Bad("6 has ended".into()));
    assert_eq!(key(&mut model, 'q'), Some(Request::Quit));
}

#[test]
fn the_selection_stays_on_its_transfer_when_others_come_and_go() {
    let mut model = busy();
    model.update(Input::Key(KeyCode::Down));
    let offer = Transfer { direction: Direction::In, ..sample::transfer(11, State::Offered) };
    model.update(Input::Event(Box::new(sample::event(EventKind::Transfer, Some(offer)))));
    assert_eq!(key(&mut model, 'p'), Some(Request::Do(Deed::Pause, 7)));
    let gone = sample::event(EventKind::Removed, Some(sample::transfer(7, State::Cancelled)));
    model.update(Input::Event(Box::new(gone)));
    assert_eq!(key(&mut model, 'a'), Some(Request::Do(Deed::Accept, 9)), "the first one, when it is gone");
    key(&mut model, 'e');
    assert!(model.rows().iter().all(|transfer| !transfer.state.has_ended()));
}

#[test]
fn memory_is_bounded_and_lost_events_are_made_good() {
    let mut model = Model::default();
    for id in 0..1_000 {
        let done = sample::event(EventKind::Transfer, Some(sample::transfer(id, State::Done)));
        model.update(Input::Event(Box::new(done)));
        model.update(Input::Status(Box::new(sample::status())));
    }
    assert_eq!((model.rows().len(), model.history.len()), (20, 400));
    assert_eq!(model.update(Input::Lagged), Some(Request::List));
}
