use std::fs;
use std::os::unix::fs::PermissionsExt;

use crate::*;

#[test]
fn a_new_identity_is_kept_with_mode_0600_and_nothing_else_is_left_in_the_folder() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state").join("identity.key");
    let made = Identity::load_or_create(&path).unwrap().fingerprint();
    assert_eq!(Identity::load_or_create(&path).unwrap().fingerprint(), made);
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o600);
    assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
    let other = Identity::load_or_create(&folder.path().join("other")).unwrap();
    assert_ne!(other.fingerprint(), made);
}

#[test]
fn a_damaged_identity_is_an_error_and_stays_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("identity.key");
    Identity::load_or_create(&path).unwrap();
    let good = fs::read(&path).unwrap();
    let mut flipped = good.clone();
    flipped[20] ^= 1;
    for damaged in [Vec::new(), good[..good.len() / 2].to_vec(), flipped, b"-----BEGIN".to_vec(), vec![7; 100_000]] {
        fs::write(&path, &damaged).unwrap();
        let error = Identity::load_or_create(&path).unwrap_err();
        assert_eq!(error.code(), "identity-damaged");
        assert!(error.hint().contains("identity.key"), "{}", error.hint());
        assert_eq!(fs::read(&path).unwrap(), damaged);
    }
}

#[test]
fn an_identity_that_others_can_read_or_that_cannot_be_read_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("identity.key");
    Identity::load_or_create(&path).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
    assert_eq!(Identity::load_or_create(&path).unwrap_err().code(), "identity-exposed");
    // A folder in its place cannot be read by anybody, not even root.
    let path = folder.path().join("folder");
    fs::create_dir(&path).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o700)).unwrap();
    assert_eq!(Identity::load_or_create(&path).unwrap_err().code(), "identity-unreadable");
}

#[test]
fn many_that_start_at_once_become_one_device() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("identity.key");
    let fingerprints: Vec<_> = std::thread::scope(|scope| {
        let make = || Identity::load_or_create(&path).unwrap().fingerprint();
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(make)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert!(fingerprints.iter().all(|fingerprint| *fingerprint == fingerprints[0]));
}
