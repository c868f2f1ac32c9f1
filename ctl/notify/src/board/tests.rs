use super::*;
use crate::note::Urgency;

const KEY: Key = Key::Transfer(7);

fn note(title: &str, stays: bool) -> Note {
    Note {
        title: title.into(),
        body: Vec::new(),
        icon: "x",
        category: "transfer",
        urgency: Urgency::Normal,
        value: None,
        actions: Vec::new(),
        instead: None,
        stays,
    }
}

fn one(note: Note) -> BTreeMap<Key, Note> {
    BTreeMap::from([(KEY, note)])
}

fn show(title: &str, stays: bool, replaces: u32) -> Vec<Step> {
    vec![Step::Show(KEY, Box::new(note(title, stays)), replaces)]
}

#[test]
fn an_update_takes_the_place_of_what_is_shown_at_most_once_a_second() {
    let (mut board, now) = (Board::default(), Instant::now());
    assert_eq!(board.plan(&one(note("1%", true)), now), show("1%", true, 0));
    board.shows(KEY, note("1%", true), 3, now);
    assert_eq!(board.plan(&one(note("1%", true)), now), []);
    assert_eq!(board.plan(&one(note("2%", true)), now), []);
    assert!(board.holds_back());
    assert_eq!(board.plan(&one(note("2%", true)), now + UPDATE), show("2%", true, 3));
    // How it ended does not wait.
    assert_eq!(board.plan(&one(note("done", false)), now), show("done", false, 3));
}

#[test]
fn what_is_not_so_any_more_is_taken_away_and_what_happened_is_left() {
    let (mut board, now) = (Board::default(), Instant::now());
    board.shows(KEY, note("offer", true), 3, now);
    assert_eq!(board.plan(&BTreeMap::new(), now), [Step::Close(3)]);
    assert_eq!(board.closed(3), None, "the server says what we did");
    board.shows(KEY, note("done", false), 4, now);
    assert_eq!(board.plan(&BTreeMap::new(), now), []);
}

#[test]
fn a_new_server_is_told_how_things_are_and_not_what_the_old_one_has_told() {
    let (mut board, now) = (Board::default(), Instant::now());
    board.shows(KEY, note("done", false), 4, now);
    let offer = Key::Transfer(8);
    board.shows(offer, note("offer", true), 5, now);
    board.gone();
    assert_eq!(board.key(4), None);
    let wanted = BTreeMap::from([(KEY, note("done", false)), (offer, note("offer", true))]);
    assert_eq!(board.plan(&wanted, now), [Step::Show(offer, Box::new(note("offer", true)), 0)]);
}
