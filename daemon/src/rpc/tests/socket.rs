//! The socket file.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;

use xbt_api::{Client, ClientError, Unreachable};

use super::fake::Server;
use crate::rpc::{Limits, RpcError, bind};

fn mode(path: &std::path::Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[tokio::test]
async fn socket_and_directory_are_private() {
    let server = Server::start(Limits::default());
    assert_eq!(mode(&server.path), 0o600);
    assert_eq!(mode(server.path.parent().unwrap()), 0o700);
}

#[tokio::test]
async fn the_socket_is_gone_after_the_server_and_clients_are_told() {
    let server = Server::start(Limits::default());
    let client = server.client().await;
    let path = server.path.clone();
    let _dir = server.stop().await;
    assert!(!path.exists());
    let error = client.status().await.unwrap_err();
    assert!(matches!(error, ClientError::Unreachable { why: Unreachable::Gone, .. }), "{error}");
    let error = Client::connect(&path).await.unwrap_err();
    assert!(matches!(error, ClientError::Unreachable { why: Unreachable::NotRunning, .. }), "{error}");
}

#[tokio::test]
async fn a_socket_that_a_dead_daemon_left_behind_is_replaced() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("xbt/xbtd.sock");
    fs::create_dir(path.parent().unwrap()).unwrap();
    drop(UnixListener::bind(&path).unwrap());
    assert!(path.exists());
    let listener = bind(&path).unwrap();
    assert_eq!(listener.path(), path);
    drop(listener);
    assert!(!path.exists());
    bind(&path).unwrap();
}

#[tokio::test]
async fn a_living_daemon_keeps_its_socket() {
    let server = Server::start(Limits::default());
    assert!(matches!(bind(&server.path), Err(RpcError::InUse(_))));
    server.client().await.status().await.unwrap();
}

#[test]
fn a_living_program_that_knows_nothing_of_the_lock_keeps_its_socket() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("xbtd.sock");
    let _other = UnixListener::bind(&path).unwrap();
    assert!(matches!(bind(&path), Err(RpcError::InUse(_))));
    assert!(path.exists());
}

#[test]
fn what_is_not_a_socket_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("xbtd.sock");
    fs::write(&path, "precious").unwrap();
    assert!(matches!(bind(&path), Err(RpcError::NotASocket(_))));
    assert_eq!(fs::read_to_string(&path).unwrap(), "precious");
}

#[test]
fn a_directory_that_others_may_write_to_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    fs::set_permissions(dir.path(), Permissions::from_mode(0o770)).unwrap();
    let error = bind(&dir.path().join("xbtd.sock")).unwrap_err();
    assert!(matches!(error, RpcError::UnsafeDirectory { .. }), "{error}");
    assert!(!error.hint().is_empty());
}

#[test]
fn paths_that_no_socket_can_have_are_refused() {
    for path in [format!("/tmp/{}", "x".repeat(200)), "relative.sock".into(), String::new()] {
        assert!(matches!(bind(path.as_ref()), Err(RpcError::BadPath(_))), "{path}");
    }
}

#[test]
fn another_file_in_the_place_of_the_socket_is_not_removed_at_the_end() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("xbtd.sock");
    let listener = bind(&path).unwrap();
    fs::remove_file(&path).unwrap();
    fs::write(&path, "precious").unwrap();
    drop(listener);
    assert!(path.exists());
}
