//! The documented client in another language, against the real server.

use std::path::Path;
use std::process::Output;

use super::fake::Server;
use crate::rpc::Limits;

async fn python(server: &Server, arguments: &[&str]) -> Output {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/examples/xbt_client.py");
    tokio::process::Command::new("python3")
        .arg(script)
        .args(arguments)
        .env("XBT_SOCKET", &server.path)
        .output()
        .await
        .expect("python3 runs")
}

#[tokio::test]
async fn the_python_client_says_hello_sends_and_lists() {
    let server = Server::start(Limits::default());
    let status = python(&server, &["status"]).await;
    assert!(status.status.success(), "{}", String::from_utf8_lossy(&status.stderr));
    let status: serde_json::Value = serde_json::from_slice(&status.stdout).unwrap();
    assert_eq!(status["connection"], "online");

    let sent = python(&server, &["send", "bob@example.org", "/home/a/holiday", "for you"]).await;
    assert!(sent.status.success(), "{}", String::from_utf8_lossy(&sent.stderr));
    assert_eq!(server.fake.transfers.lock().unwrap()[0].message.as_deref(), Some("for you"));

    let list = python(&server, &["list"]).await;
    let list: serde_json::Value = serde_json::from_slice(&list.stdout).unwrap();
    assert_eq!(list[0]["name"], "holiday");
    assert_eq!(list[0]["state"], "queued");
}

#[tokio::test]
async fn the_python_client_shows_errors_with_their_code() {
    let server = Server::start(Limits::default());
    let refused = python(&server, &["show", "99"]).await;
    assert_eq!(refused.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("no-such-transfer"));
}
