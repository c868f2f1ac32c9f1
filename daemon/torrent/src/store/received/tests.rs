#![allow(clippy::unwrap_used, clippy::panic)]
use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::{Path, PathBuf};

use super::*;

/// A folder with files in folders, a link and an empty folder, and its record.
fn received() -> (tempfile::TempDir, PathBuf, Vec<u8>) {
    let home = tempfile::tempdir().unwrap();
    let root = home.path().join("got");
    fs::create_dir_all(root.join("a/b")).unwrap();
    fs::create_dir_all(root.join("empty")).unwrap();
    for name in ["one", "a/two", "a/b/three"] {
        fs::write(root.join(name), name).unwrap();
    }
    symlink("a/two", root.join("link")).unwrap();
    let ino = |path: &str| Ok(fs::metadata(root.join(path)).map_err(|_| Errno::NOENT)?.ino());
    let stamp = |path: &str| Stamp::of(&fs::symlink_metadata(root.join(path)).unwrap());
    let mut record = Received::folder(ino("").unwrap(), 0);
    for name in ["a/b/three", "a/two", "one"] {
        record.add(name, Kind::File, stamp(name), ino).unwrap();
    }
    record.add("link", Kind::Link("a/two".into()), stamp("link"), ino).unwrap();
    record.add_folder("empty", ino).unwrap();
    let bytes = record.to_bytes();
    assert_eq!(Received::from_bytes(&bytes).unwrap().entries, record.entries);
    (home, root, bytes)
}

fn names(deleted: &Deleted) -> Vec<&str> {
    let mut names: Vec<&str> = deleted.named.iter().map(|kept| kept.path.as_str()).collect();
    names.sort_unstable();
    names
}

#[test]
fn what_is_as_it_was_received_goes_and_once_more_is_no_harm() {
    let (home, root, record) = received();
    let deleted = delete_received(&record, &root);
    assert_eq!(deleted, Deleted { gone: 8, ..Deleted::default() });
    assert!(!root.exists() && home.path().exists());
    assert_eq!(delete_received(&record, &home.path().join("not mounted/got")).kept, 1);
    let again = delete_received(&record, &root);
    assert_eq!(again.gone, 0);
    assert!(again.named[0].why.starts_with("is not there"), "moved, or its disk is not mounted: {again:?}");
}

#[test]
fn own_edited_and_replaced_files_stay_and_are_named() {
    let (_home, root, record) = received();
    fs::write(root.join("a/mine"), "own").unwrap();
    fs::write(root.join("one"), "ONE").unwrap();
    fs::rename(root.join("a/two"), root.join("moved")).unwrap();
    fs::write(root.join("a/two"), "a/two").unwrap();
    fs::remove_file(root.join("link")).unwrap();
    symlink("/etc", root.join("link")).unwrap();
    let deleted = delete_received(&record, &root);
    assert_eq!(names(&deleted), ["got/a/mine", "got/a/two", "got/link", "got/moved", "got/one"]);
    assert_eq!((deleted.kept, deleted.gone), (5, 3), "{deleted:?}");
    assert!(!root.join("a/b").exists() && !root.join("empty").exists());
    for name in ["a/mine", "a/two", "moved", "one"] {
        assert!(root.join(name).exists(), "{name}");
    }
}

#[test]
fn another_file_or_folder_under_the_received_name_stays_whole() {
    let (home, root, record) = received();
    fs::rename(&root, home.path().join("elsewhere")).unwrap();
    fs::create_dir_all(root.join("a/b")).unwrap();
    fs::write(root.join("one"), "one").unwrap();
    let deleted = delete_received(&record, &root);
    assert_eq!((deleted.gone, names(&deleted)), (0, vec!["got"]), "{deleted:?}");
    assert!(root.join("one").exists() && home.path().join("elsewhere/a/two").exists());
}

#[test]
fn no_link_is_followed_on_the_way() {
    let (home, root, record) = received();
    let safe = home.path().join("safe");
    fs::rename(root.join("a"), &safe).unwrap();
    symlink(&safe, root.join("a")).unwrap();
    let deleted = delete_received(&record, &root);
    assert!(safe.join("two").exists() && safe.join("b/three").exists(), "{deleted:?}");
    assert_eq!(names(&deleted), ["got/a"]);

    let moved = home.path().join("moved");
    fs::rename(&root, &moved).unwrap();
    symlink(&moved, &root).unwrap();
    delete_received(&record, &root);
    assert!(moved.exists() && root.symlink_metadata().unwrap().is_symlink());
}

#[test]
fn a_single_file_goes_only_as_it_was() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("f.bin");
    let received = |path: &Path| {
        fs::write(path, "bytes").unwrap();
        Received::file(Stamp::of(&fs::symlink_metadata(path).unwrap())).to_bytes()
    };
    let record = received(&path);
    fs::write(&path, "other").unwrap();
    let deleted = delete_received(&record, &path);
    assert_eq!((deleted.kept, deleted.gone, names(&deleted)), (1, 0, vec!["f.bin"]));
    assert!(path.exists());
    let record = received(&path);
    assert_eq!(delete_received(&record, &path).gone, 1);
    assert!(!path.exists());
}

#[test]
fn a_damaged_record_deletes_nothing() {
    let (_home, root, record) = received();
    for cut in 0..record.len() {
        let deleted = delete_received(&record[..cut], &root);
        assert_eq!((deleted.kept, deleted.gone), (1, 0));
    }
    assert!(root.join("a/b/three").exists());
    let up = Entry::new(0, "..", Kind::File, Stamp::default());
    let mut hostile = Received::folder(0, 0);
    hostile.entries.push(up);
    assert!(Received::from_bytes(&hostile.to_bytes()).is_none());
}

#[test]
fn a_record_lists_its_files_with_their_paths_as_far_as_asked() {
    let (_home, _root, record) = received();
    let files = |most| list_received(&record, "got", most).unwrap();
    let (listing, more) = files(10);
    let expected =
        [("a/b/three", 9), ("a/two", 5), ("one", 3), ("link", 0)].map(|(path, size)| (path.to_owned(), size));
    assert_eq!((listing.files, more), (expected.to_vec(), false));
    let (listing, more) = files(2);
    assert_eq!((listing.files.len(), more), (2, true));
    let single = Received::file(Stamp { size: 7, ..Stamp::default() }).to_bytes();
    assert_eq!(list_received(&single, "a.txt", 1).unwrap().0.files, [("a.txt".to_owned(), 7)]);
}

#[test]
fn a_record_of_version_1_is_read() {
    let (home, root, record) = received();
    let old = [MAGIC_1, &record[16..]].concat();
    assert_eq!(delete_received(&old, &root).kept, 0);
    assert!(fs::read_dir(home.path()).unwrap().next().is_none());
}

#[test]
fn deep_folders_take_memory_for_each_name_once() {
    let path = (0..128).map(|level| format!("{level:015}")).collect::<Vec<_>>().join("/");
    let mut record = Received::folder(1, 0);
    record.add_folder(&path, |_| Ok(2)).unwrap();
    let bytes: usize = record.folders.keys().map(|(_, name)| name.len()).sum();
    assert_eq!((record.folders.len(), bytes), (128, 128 * 15));
}
