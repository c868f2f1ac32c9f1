#![allow(clippy::unwrap_used, clippy::panic)]
use super::*;
use crate::bitfield::Bitfield;
use crate::error::codes;
use crate::names::MAX_DEPTH;
use proptest::prelude::*;

fn single(length: i64, piece_length: i64, hashes: usize) -> Result<Metainfo, EngineError> {
    let mut text = format!("d6:lengthi{length}e4:name1:x12:piece lengthi{piece_length}e6:pieces{}:", hashes * 20);
    text.push_str(&"h".repeat(hashes * 20));
    text.push('e');
    Metainfo::parse(text.into_bytes().into())
}

fn many(files: &[(&[&str], i64)]) -> Result<Metainfo, EngineError> {
    let mut text = String::from("d5:filesl");
    let mut total = 0i64;
    for (path, length) in files {
        text.push_str(&format!("d6:lengthi{length}e4:pathl"));
        path.iter().for_each(|part| text.push_str(&format!("{}:{part}", part.len())));
        text.push_str("ee");
        total = total.saturating_add(*length);
    }
    let hashes = usize::try_from(total).unwrap_or(0).div_ceil(16384).min(100) * 20;
    text.push_str(&format!("e4:name1:x12:piece lengthi16384e6:pieces{hashes}:{}e", "h".repeat(hashes)));
    Metainfo::parse(text.into_bytes().into())
}

fn refused(result: Result<Metainfo, EngineError>) {
    assert_eq!(result.err().expect("refused").code, codes::BAD_METADATA);
}

#[test]
fn hostile_numbers_are_refused() {
    assert!(single(20_000, 16384, 2).is_ok());
    assert!(single(0, 16384, 0).is_ok());
    for piece_length in [0, -1, 1, 16383, 8192, 20000, 32 << 20, 1 << 40] {
        refused(single(20_000, piece_length, 2));
    }
    refused(single(20_000, 16384, 1));
    refused(single(20_000, 16384, 3));
    refused(single(-1, 16384, 0));
    refused(single(0, 16384, 1));
    refused(many(&[(&["a"], i64::MAX / 2), (&["b"], i64::MAX / 2), (&["c"], i64::MAX / 2)]));
    refused(many(&[(&["a"], -5), (&["b"], 6)]));
    refused(many(&[]));
}

#[test]
fn hostile_paths_are_refused() {
    for path in [&[".."][..], &["a", ".."], &["."], &[""], &["a/b"], &["a\0b"], &[]] {
        refused(many(&[(path, 1)]));
    }
    refused(many(&[(&["a"], 1), (&["a"], 1)]));
    refused(many(&[(&["a"], 1), (&["a", "b"], 1)]));
    refused(many(&[(&["a", "b"], 1), (&["a"], 1)]));
    let long = "x".repeat(200);
    refused(many(&[(&[long.as_str(); 20], 1)]));
    refused(many(&[(&["x"; MAX_DEPTH + 1], 1)]));
}

#[test]
fn too_many_files_are_refused_without_unfolding_them() {
    let mut text = String::from("d5:filesl");
    for index in 0..=MAX_FILES {
        text.push_str(&format!("d6:lengthi0e4:pathl6:{index:06}ee"));
    }
    text.push_str("e4:name1:x12:piece lengthi16384e6:pieces0:e");
    refused(Metainfo::parse(text.into_bytes().into()));
}

#[test]
fn deep_paths_do_not_unfold_to_more_folders_than_files_are_allowed() {
    // 2 MiB of metadata that would make half a million folders.
    let mut text = String::from("d5:filesl");
    for index in 0..5_000 {
        text.push_str(&format!("d6:lengthi0e4:pathl5:{index:05}"));
        text.push_str(&"1:d".repeat(MAX_DEPTH - 1));
        text.push_str("ee");
    }
    text.push_str("e4:name1:x12:piece lengthi16384e6:pieces0:e");
    refused(Metainfo::parse(text.into_bytes().into()));
}

#[test]
fn names_made_to_be_alike_are_refused_before_they_cost_much() {
    let alike = |number: u32| (0..12).map(|bit| if number >> bit & 1 == 1 { '\u{1}' } else { '\u{2}' }).collect();
    let names: Vec<String> = (0..200).map(alike).collect();
    let paths: Vec<[&str; 1]> = names.iter().map(|name| [name.as_str()]).collect();
    let files = |count: usize| paths.iter().take(count).map(|path| (&path[..], 0)).collect::<Vec<(&[&str], i64)>>();
    assert_eq!(many(&files(100)).unwrap().files.len(), 100);
    refused(many(&files(101)));
}

#[test]
fn a_name_longer_than_any_disk_holds_is_refused_not_cut() {
    let (long, longer) = ("x".repeat(1024), "x".repeat(1025));
    assert!(many(&[(&[long.as_str()], 0)]).is_ok());
    refused(many(&[(&[longer.as_str()], 0)]));
}

#[test]
fn names_alike_after_defusing_get_numbers_in_order() {
    let meta = many(&[(&["a\u{1}"], 1), (&["a_"], 1), (&["d\u{1}", "x"], 1), (&["d_", "x"], 1)]).unwrap();
    let paths: Vec<_> = meta.files.iter().map(|file| file.path.as_str()).collect();
    assert_eq!(paths, ["a_", "a_ (2)", "d_/x", "d_/x (2)"]);
}

#[test]
fn segments_cover_a_range_in_order_and_skip_empty_files() {
    let files: &[(&[&str], i64)] = &[(&["a"], 10), (&["b"], 0), (&["c"], 5), (&["d"], 0)];
    let meta = many(files).unwrap();
    let segments: Vec<_> = meta.segments(4, 100).collect();
    assert_eq!(segments, [Segment { file: 0, offset: 4, len: 6 }, Segment { file: 2, offset: 0, len: 5 }]);
    assert_eq!(meta.segments(15, 10).count(), 0);
}

#[test]
fn a_draft_is_deterministic_and_the_last_piece_counts_its_own_length() {
    let file = |path, len| DraftFile { path, len, attributes: Attributes::default(), link: None };
    let draft = Draft {
        name: "n",
        piece_length: 1 << 18,
        hashes: &[1; 40],
        private: true,
        files: DraftFiles::Many(vec![file(vec!["a", "b"], 1 << 18), file(vec!["c"], 5)]),
        folders: Vec::new(),
        omitted: 0,
    };
    let (one, two) = (draft.build().unwrap(), draft.build().unwrap());
    assert_eq!(one.info, two.info);
    assert!(one.info.ends_with(b"7:privatei1ee"));
    let mut have = Bitfield::empty(2);
    have.set(1);
    assert_eq!(one.bytes_of(&have), 5);
    assert_eq!(one.bytes_of(&Bitfield::full(2)), (1 << 18) + 5);
}

/// A folder with one of everything that is carried.
fn everything() -> Draft<'static> {
    let plain = Attributes::default();
    let file = |path, attributes| DraftFile { path, len: 1, attributes, link: None };
    let link = |path, text| DraftFile { path, len: 0, attributes: plain, link: Some(text) };
    Draft {
        name: "n",
        piece_length: 1 << 18,
        hashes: &[1; 20],
        private: true,
        files: DraftFiles::Many(vec![
            file(vec!["a", "run"], Attributes::new(true, Some(1_700_000_000))),
            link(vec!["a", "to"], "../b/./c"),
            file(vec!["b", "c"], Attributes::new(false, Some(-5))),
            link(vec!["d"], "a/run"),
        ]),
        folders: vec![vec!["b", "e"]],
        omitted: 3,
    }
}

#[test]
fn what_is_carried_beside_bytes_is_written_and_read() {
    let meta = everything().build().unwrap();
    let [run, to, c, d] = &meta.files[..] else { panic!("four files") };
    assert_eq!(run.attributes, Attributes { executable: true, mtime: Some(1_700_000_000) });
    assert_eq!(c.attributes, Attributes { executable: false, mtime: Some(-5) });
    // The text as it was, also where a shorter one leads to the same place.
    assert_eq!((to.link.as_deref(), d.link.as_deref()), (Some("../b/./c"), Some("a/run")));
    assert_eq!((&meta.folders[..], meta.omitted, meta.size), (&["b/e".to_owned()][..], 3, 2));
    let has = |part: &str| meta.info.windows(part.len()).any(|window| window == part.as_bytes());
    assert!(has("4:attr1:x6:lengthi1e5:mtimei1700000000e"));
    assert!(has("12:symlink pathl1:b1:ce10:xbt target8:../b/./ce"));
    assert!(has("12:symlink pathl1:a3:rune") && !has("10:xbt target5:a/run"));
    assert!(meta.info.ends_with(b"7:privatei1e8:xbt dirsll1:b1:eee11:xbt omittedi3ee"));
}

/// A folder with a link and a file `f` beside it.
fn linked(link: &str) -> Result<Metainfo, EngineError> {
    let files = format!("d4:attr1:l6:lengthi0e{link}ed6:lengthi0e4:pathl1:d3:a\u{1}bee");
    Metainfo::parse(format!("d5:filesl{files}e4:name1:x12:piece lengthi16384e6:pieces0:e").into_bytes().into())
}

#[test]
fn links_that_lead_outside_or_lie_are_refused() {
    let ok = |meta: Result<Metainfo, EngineError>| meta.unwrap().files[0].link.as_deref().unwrap().to_owned();
    assert_eq!(ok(linked("4:pathl1:le12:symlink pathl1:d1:ee")), "d/e");
    for link in [
        "4:pathl1:le",                                           // leads nowhere
        "4:pathl1:le12:symlink pathl2:..1:xe",                   // outside
        "4:pathl1:le12:symlink pathl1:/e",                       // not a name
        "4:pathl1:le12:symlink pathl1:ee10:xbt target4:../e",    // outside
        "4:pathl1:le12:symlink pathl1:ee10:xbt target2:/e",      // absolute
        "4:pathl1:le12:symlink pathl1:ee10:xbt target1:d",       // elsewhere
        "4:pathl1:le12:symlink pathl1:ee10:xbt target7:d/../ee", // up through a name
        "4:pathl1:l1:xe12:symlink pathl1:ee10:xbt target7:../../e",
    ] {
        refused(linked(link));
    }
    // Bytes in a link.
    refused(Metainfo::parse(
        [&b"d5:filesld4:attr1:l6:lengthi1e4:pathl1:ae12:symlink pathl1:beee4:name1:x12:piece lengthi16384e6:pieces20:"[..], &[7; 20], b"e"]
            .concat()
            .into(),
    ));
    // Below a link.
    let files = "d4:attr1:l6:lengthi0e4:pathl1:ae12:symlink pathl1:bee";
    for below in ["d6:lengthi0e4:pathl1:a1:bee", ""] {
        let dirs = if below.is_empty() { "8:xbt dirsll1:a1:cee" } else { "" };
        let text = format!("d5:filesl{files}{below}e4:name1:x12:piece lengthi16384e6:pieces0:{dirs}e");
        refused(Metainfo::parse(text.into_bytes().into()));
    }
}

#[test]
fn a_link_follows_names_that_were_defused() {
    let text = |link: &str| linked(link).unwrap().files[0].link.as_deref().unwrap().to_owned();
    assert_eq!(text("4:pathl1:le12:symlink pathl1:d3:a\u{1}be10:xbt target7:./d/a\u{1}b"), "d/a_b");
}

#[test]
fn hostile_empty_folders_are_refused() {
    let with = |dirs: &str| {
        let files = "d6:lengthi0e4:pathl1:a1:bee";
        let text = format!("d5:filesl{files}e4:name1:x12:piece lengthi16384e6:pieces0:8:xbt dirsl{dirs}ee");
        Metainfo::parse(text.into_bytes().into())
    };
    assert_eq!(with("l1:cel1:a1:cel1:ae").unwrap().folders, ["c", "a/c", "a"]);
    for dirs in ["le", "l2:..e", "l1:a1:be", "l1:a1:b1:ce", "l3:x/ye", "l0:e", "l1:\0e"] {
        refused(with(dirs));
    }
    refused(with(&format!("l{}e", format!("200:{}", "x".repeat(200)).repeat(20))));
    refused(with(&format!("l{}e", "1:x".repeat(MAX_DEPTH + 1))));
    let many: String = (0..=MAX_FOLDERS).map(|index| format!("l6:{index:06}e")).collect();
    refused(with(&many));
}

proptest! {
    #[test]
    fn any_change_to_a_folder_with_everything_is_answered_without_a_panic(at in 0usize..2000, byte: u8) {
        let mut bytes = everything().build().unwrap().info.to_vec();
        let at = at % bytes.len();
        bytes[at] = byte;
        let _ = Metainfo::parse(bytes.into()).map(|meta| check_invariant(&meta));
    }

    #[test]
    fn no_chain_of_accepted_links_leaves_the_content(
        texts in proptest::collection::vec(proptest::collection::vec(prop_oneof!["[abc]", Just("..".to_owned()), Just(".".to_owned())], 1..5), 9),
    ) {
        // Links and folders meet: a, a/b and so on are links in one place and folders in another.
        let places = [&["a"][..], &["b"], &["c"], &["d", "a"], &["d", "b"], &["d", "c"], &["d", "e", "a"], &["d", "e", "b"], &["d", "e", "c"]];
        let mut links = std::collections::HashMap::new();
        for (place, text) in places.iter().zip(&texts) {
            let text = text.join("/");
            if inside(&place[..place.len() - 1], &text).is_some() {
                links.insert(place.join("/"), text);
            }
        }
        for place in places {
            // As the kernel walks.
            let mut at: Vec<String> = Vec::new();
            let mut steps: std::collections::VecDeque<String> = place.iter().map(|step| (*step).to_owned()).collect();
            let mut followed = 0;
            while let Some(step) = steps.pop_front() {
                match step.as_str() {
                    "" | "." => {}
                    ".." => prop_assert!(at.pop().is_some(), "{:?} leaves", links),
                    name => {
                        at.push(name.to_owned());
                        if let Some(text) = links.get(&at.join("/")) {
                            followed += 1;
                            if followed > 40 {
                                break;
                            }
                            at.pop();
                            text.split('/').rev().for_each(|step| steps.push_front(step.to_owned()));
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn any_change_to_an_info_dictionary_is_answered_without_a_panic(at in 0usize..2000, byte: u8, cut in 0usize..2000) {
        let files: &[(&[&str], i64)] = &[(&["a"], 10), (&["dir", "b"], 20_000), (&["c"], 0)];
        let mut bytes = many(files).unwrap().info.to_vec();
        let at = at % bytes.len();
        bytes[at] = byte;
        let _ = Metainfo::parse(bytes.clone().into()).map(|meta| check_invariant(&meta));
        bytes.truncate(cut);
        let _ = Metainfo::parse(bytes.into());
    }

    #[test]
    fn accepted_paths_stay_below_their_folder(parts in proptest::collection::vec("[a-c./\\x00-\\x02]{0,4}", 1..4), length in 0i64..40_000) {
        let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
        if let Ok(meta) = many(&[(&parts, length)]) {
            check_invariant(&meta);
        }
    }
}

fn check_invariant(meta: &Metainfo) {
    let total: u64 = meta.files.iter().map(|file| file.len).sum();
    assert_eq!(total, meta.size);
    assert_eq!(u64::from(meta.pieces()), meta.size.div_ceil(u64::from(meta.piece_length)));
    let lengths: u64 = (0..meta.pieces()).map(|piece| meta.piece_len(piece) as u64).sum();
    assert_eq!(lengths, meta.size);
    for file in &meta.files {
        if let Some(link) = &file.link {
            let folder: Vec<&str> =
                file.path.rsplit_once('/').map_or(Vec::new(), |(folder, _)| folder.split('/').collect());
            assert!(file.len == 0 && inside(&folder, link).is_some(), "{file:?}");
        }
        for part in file.path.split('/') {
            assert!(meta.single || (!part.is_empty() && part != "." && part != ".." && part.len() <= 255));
        }
    }
}

/// A content of one byte whose dictionary has some thousand empty files and a key that no program knows.
fn padded(files: usize, padding: usize) -> Vec<u8> {
    let list: String = (0..files).map(|n| format!("d6:lengthi{}e4:pathl4:{n:04}ee", u8::from(n == 0))).collect();
    let head = format!("d5:filesl{list}e4:name1:a12:piece lengthi16384e6:pieces20:aaaaaaaaaaaaaaaaaaaa1:z{padding}:");
    [head.into_bytes(), vec![b'x'; padding], b"e".to_vec()].concat()
}

#[test]
fn metadata_that_describes_next_to_nothing_is_refused() {
    assert!(Metainfo::parse(padded(4_088, 31 << 20).into()).is_err());
    assert!(Metainfo::parse(padded(1, 128 << 10).into()).is_err());
    assert!(Metainfo::parse(padded(1, 60 << 10).into()).is_ok(), "other programs have keys of their own");
    assert!(Metainfo::parse(padded(2_000, 400 << 10).into()).is_ok(), "and for each file");
}
