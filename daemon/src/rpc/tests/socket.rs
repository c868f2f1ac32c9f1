//! The socket file.

use std::fs::{self, Permissions};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{SocketAddr, UnixListener};

use xbt_api::{Client, ClientError, Unreachable};

use super::fake::Server;
use crate::rpc::{Limits, RpcError, adopt, bind};

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

/// Needs root, who alone can become somebody else; without it the test says nothing.
#[tokio::test]
async fn a_program_of_another_user_is_turned_away_even_if_the_file_lets_it_in() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let server = Server::start(Limits::default());
    for path in [server.dir.path(), server.path.parent().unwrap(), &server.path] {
        fs::set_permissions(path, Permissions::from_mode(0o777)).unwrap();
    }
    let script = r#"
import socket, sys
s = socket.socket(socket.AF_UNIX)
s.settimeout(20)
s.connect(sys.argv[1])
try:
    s.sendall(b'\0\0\0\x2c{"Request":{"id":1,"message":{"Status":{}}}}')
    print(len(s.recv(4)))
except (BrokenPipeError, ConnectionResetError):
    print(0)
"#;
    let run = |uid| {
        let mut python = tokio::process::Command::new("python3");
        python.args(["-c", script]).arg(&server.path).uid(uid).output()
    };
    assert_eq!(run(65_534).await.unwrap().stdout, b"0\n");
    assert_eq!(run(0).await.unwrap().stdout, b"4\n");
}

#[test]
fn a_socket_of_systemd_is_taken_as_it_is_and_its_file_stays() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("xbtd.sock");
    let socket = UnixListener::bind(&path).unwrap();
    fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
    let listener = adopt(socket).unwrap();
    assert_eq!(listener.path(), path);
    // Nobody binds a second one beside it.
    assert!(matches!(bind(&path), Err(RpcError::InUse(_))));
    drop(listener);
    assert!(path.exists());
}

#[test]
fn a_socket_of_systemd_that_others_could_use_or_replace_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("xbtd.sock");
    let socket = UnixListener::bind(&path).unwrap();
    for (file, folder) in [(0o660, 0o700), (0o666, 0o700), (0o600, 0o770), (0o600, 0o777)] {
        fs::set_permissions(&path, Permissions::from_mode(file)).unwrap();
        fs::set_permissions(dir.path(), Permissions::from_mode(folder)).unwrap();
        let error = adopt(socket.try_clone().unwrap()).unwrap_err();
        assert!(matches!(error, RpcError::Handed { .. } | RpcError::UnsafeDirectory { .. }), "{error}");
        assert!(!error.hint().is_empty());
    }
}

#[test]
fn what_systemd_hands_over_has_to_listen_at_a_path() {
    let (connected, _other) = std::os::unix::net::UnixStream::pair().unwrap();
    let not_listening = UnixListener::from(std::os::fd::OwnedFd::from(connected));
    assert!(matches!(adopt(not_listening), Err(RpcError::Handed { .. })));
    let name = SocketAddr::from_abstract_name(format!("xbt-{}", std::process::id())).unwrap();
    let without_path = UnixListener::bind_addr(&name).unwrap();
    assert!(matches!(adopt(without_path), Err(RpcError::Handed { .. })));
}
