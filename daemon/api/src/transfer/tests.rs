#![allow(clippy::unwrap_used)]

use super::*;

/// The example of the documented interface, with `info_hash` spelled out.
const DOCUMENTED: &str = r#"{"id":7,"direction":"out","contact":"bob@example.org","name":"holiday","files":12,"size":1288490188,"state":"sending","paused":false,"done_bytes":401221,"rate":11200000,"eta_s":110,"info_hash":"0123456789abcdef0123456789abcdef01234567","way":"direct-tcp6","message":null,"why":null,"error":null,"path":"/home/a/holiday","created":"2026-01-31T12:00:00Z","updated":"2026-01-31T12:00:41Z"}"#;

fn holiday() -> Transfer {
    Transfer {
        id: 7,
        direction: Direction::Out,
        contact: "bob@example.org".into(),
        name: "holiday".into(),
        files: 12,
        size: 1_288_490_188,
        state: State::Sending,
        paused: false,
        done_bytes: 401_221,
        rate: 11_200_000,
        eta_s: Some(110),
        info_hash: Some("0123456789abcdef0123456789abcdef01234567".into()),
        way: Some(Way::DirectTcp6),
        message: None,
        why: None,
        error: None,
        path: Some("/home/a/holiday".into()),
        created: "2026-01-31T12:00:00Z".into(),
        updated: "2026-01-31T12:00:41Z".into(),
    }
}

#[test]
fn a_transfer_is_written_exactly_as_documented() {
    assert_eq!(serde_json::to_string(&holiday()).unwrap(), DOCUMENTED);
    assert_eq!(serde_json::from_str::<Transfer>(DOCUMENTED).unwrap(), holiday());
}

#[test]
fn why_and_error_are_written_as_documented() {
    let mut transfer = holiday();
    transfer.why = Some(Why { code: "contact-offline".into(), text: "bob is offline".into() });
    transfer.error = Some(ApiError::new("disk-full", "the disk is full", "make room"));
    let json = serde_json::to_value(&transfer).unwrap();
    assert_eq!(json["why"], serde_json::json!({"code": "contact-offline", "text": "bob is offline"}));
    assert_eq!(
        json["error"],
        serde_json::json!({"code": "disk-full", "message": "the disk is full", "hint": "make room"})
    );
}

#[test]
fn the_words_of_states_and_ways_are_the_documented_ones() {
    let states: Vec<_> = State::ALL.iter().map(|state| state.as_str()).collect();
    assert_eq!(
        states.join(" "),
        "preparing queued offered connecting sending receiving done declined cancelled expired elsewhere failed"
    );
    let ways: Vec<_> = Way::ALL.iter().map(|way| way.as_str()).collect();
    assert_eq!(
        ways.join(" "),
        "direct-udp6 direct-udp4 direct-tcp6 direct-tcp4 mapped-tcp4 punched-udp proxy65 in-band"
    );
    for state in State::ALL {
        assert_eq!(serde_json::to_value(state).unwrap(), state.as_str());
        assert_eq!(State::from_word(state.as_str()), Some(*state));
    }
}

#[test]
fn details_carry_the_fields_of_the_transfer_at_the_top() {
    let details = TransferDetails {
        transfer: holiday(),
        file_list: vec![FileInfo { path: "a/b.jpg".into(), size: 3 }],
        more_files: true,
        omitted: 0,
        history: vec![HistoryItem { at: "2026-01-31T12:00:00Z".into(), state: "queued".into(), reason: None }],
        relay: None,
        attempts: vec![Attempt { way: Way::DirectTcp6, reason: "no IPv6 here".into() }],
        device: Some("bob@example.org/xbt-1".into()),
        fingerprint: None,
        verified: false,
        expires: None,
        uploaded: 0,
        downloaded: 0,
        introduced: 0,
        limits: Default::default(),
        priority: Default::default(),
        magnet: Some("magnet:?xt=urn:btih:00".into()),
    };
    let json = serde_json::to_value(&details).unwrap();
    assert_eq!(json["id"], 7);
    assert_eq!(json["files"], 12);
    assert_eq!(json["file_list"][0]["path"], "a/b.jpg");
    assert_eq!(json["attempts"][0]["way"], "direct-tcp6");
    assert_eq!(serde_json::from_value::<TransferDetails>(json).unwrap(), details);
}

#[test]
fn an_empty_query_is_the_default_list() {
    assert_eq!(serde_json::from_str::<ListQuery>("{}").unwrap(), ListQuery::default());
}

#[test]
fn unknown_fields_of_a_newer_daemon_are_passed_over() {
    let newer = DOCUMENTED.replacen('{', r#"{"colour":"green","#, 1);
    assert_eq!(serde_json::from_str::<Transfer>(&newer).unwrap(), holiday());
}
