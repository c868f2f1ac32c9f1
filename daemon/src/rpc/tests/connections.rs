//! Many clients, bad clients.

use std::sync::atomic::Ordering;
use std::time::Duration;

use futures::future::join_all;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::time::{sleep, timeout};
use xbt_api::{Client, ClientError, ListQuery, MAX_REQUEST_FRAME, PROTOCOL, SendRequest, Unreachable, codes};

use super::fake::{Server, transfer};
use crate::rpc::Limits;

const SOON: Duration = Duration::from_secs(20);

pub(super) async fn write_frame(stream: &mut UnixStream, json: &str) {
    stream.write_all(&u32::try_from(json.len()).unwrap().to_be_bytes()).await.unwrap();
    stream.write_all(json.as_bytes()).await.unwrap();
}

pub(super) async fn read_frame(stream: &mut UnixStream) -> serde_json::Value {
    let length = timeout(SOON, stream.read_u32()).await.unwrap().unwrap();
    let mut frame = vec![0; length as usize];
    stream.read_exact(&mut frame).await.unwrap();
    serde_json::from_slice(&frame).unwrap()
}

/// Waits until the server has closed the connection.
async fn closed(mut stream: UnixStream) {
    let mut rest = Vec::new();
    // Either an end or a reset.
    let _ = timeout(SOON, stream.read_to_end(&mut rest)).await.expect("the connection stays open");
}

async fn until(condition: impl Fn() -> bool) {
    timeout(SOON, async {
        while !condition() {
            sleep(Duration::from_millis(5)).await;
        }
    })
    .await
    .expect("the condition never held");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_clients_at_once_all_get_their_answers() {
    let server = Server::start(Limits::default());
    let clients = (0..200).map(|number| {
        let path = server.path.clone();
        tokio::spawn(async move {
            let client = Client::connect(&path).await.unwrap();
            let request = SendRequest {
                contacts: vec![format!("c{number}@example.org")],
                paths: vec!["/tmp/a".into()],
                ..SendRequest::default()
            };
            let sent = client.send(request).await.unwrap();
            assert_eq!(sent[0].contact, format!("c{number}@example.org"));
            client
        })
    });
    // Kept open, so that all two hundred are there at the same time.
    let clients: Vec<Client> = join_all(clients).await.into_iter().map(Result::unwrap).collect();
    let list = clients[0].list(ListQuery::default()).await.unwrap();
    assert_eq!(list.transfers.len(), 200);
}

#[tokio::test]
async fn hello_names_protocol_version_and_methods() {
    let server = Server::start(Limits::default());
    let client = server.client().await;
    assert_eq!(client.hello().protocol, PROTOCOL);
    assert_eq!(client.hello().version, env!("CARGO_PKG_VERSION"));
    assert!(client.hello().methods.iter().any(|method| method == "ContactConfirm"));
}

#[tokio::test]
async fn rubbish_and_oversize_frames_close_only_their_own_connection() {
    let server = Server::start(Limits::default());
    let client = server.client().await;
    let mut http = UnixStream::connect(&server.path).await.unwrap();
    http.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
    closed(http).await;
    let mut no_envelope = UnixStream::connect(&server.path).await.unwrap();
    write_frame(&mut no_envelope, "[1, 2").await;
    closed(no_envelope).await;
    let mut oversize = UnixStream::connect(&server.path).await.unwrap();
    oversize.write_all(&(MAX_REQUEST_FRAME as u32 + 1).to_be_bytes()).await.unwrap();
    closed(oversize).await;
    client.status().await.unwrap();
}

#[tokio::test]
async fn an_unknown_method_is_refused_and_the_connection_goes_on() {
    let server = Server::start(Limits::default());
    let mut stream = UnixStream::connect(&server.path).await.unwrap();
    write_frame(&mut stream, r#"{"Request":{"id":1,"message":{"Fly":{"to":"the moon"}}}}"#).await;
    let answer = read_frame(&mut stream).await;
    assert_eq!(answer["request_id"], 1);
    assert!(answer["message"]["Err"]["detail"].as_str().unwrap().contains("unknown variant `Fly`"));
    write_frame(&mut stream, r#"{"Request":{"id":2,"message":{"Status":{}}}}"#).await;
    assert_eq!(read_frame(&mut stream).await["message"]["Ok"]["Status"]["Ok"]["connection"], "online");
}

#[tokio::test]
async fn a_huge_deadline_kills_nothing() {
    let server = Server::start(Limits::default());
    let mut stream = UnixStream::connect(&server.path).await.unwrap();
    let context = format!(
        r#"{{"deadline":{{"secs":{},"nanos":999999999}},"trace_context":{{"trace_id":{:?},"span_id":0,"sampling_decision":"Unsampled"}}}}"#,
        u64::MAX,
        [0; 16]
    );
    let request = format!(r#"{{"Request":{{"context":{context},"id":1,"message":{{"Status":{{}}}}}}}}"#);
    write_frame(&mut stream, &request).await;
    assert_eq!(read_frame(&mut stream).await["message"]["Ok"]["Status"]["Ok"]["version"], "0.1.0");
}

#[tokio::test]
async fn more_than_the_allowed_calls_under_way_are_answered_with_busy() {
    let server = Server::start(Limits::default());
    let client = server.client().await;
    let seq = client.events(None, Duration::ZERO).await.unwrap().seq;
    let waiting: Vec<_> = (0..16)
        .map(|_| {
            let client = client.clone();
            tokio::spawn(async move { client.events(Some(seq), SOON).await })
        })
        .collect();
    until(|| server.fake.watching.load(Ordering::SeqCst) == 16).await;
    match client.status().await {
        Err(ClientError::Api(error)) => assert_eq!(error.code, codes::BUSY),
        other => panic!("not refused: {other:?}"),
    }
    server.client().await.status().await.unwrap();
    waiting.iter().for_each(tokio::task::JoinHandle::abort);
    // The client has told the server that nobody waits any more.
    until(|| server.fake.watching.load(Ordering::SeqCst) == 0).await;
    client.status().await.unwrap();
}

#[tokio::test]
async fn a_client_that_goes_in_the_middle_of_a_call_leaves_nothing_behind() {
    let server = Server::start(Limits { after_end: Duration::from_millis(50), ..Limits::default() });
    let mut stream = UnixStream::connect(&server.path).await.unwrap();
    let call = r#"{"Request":{"id":1,"message":{"Events":{"after_seq":1000,"max_wait_ms":60000}}}}"#;
    write_frame(&mut stream, call).await;
    until(|| server.fake.watching.load(Ordering::SeqCst) == 1).await;
    drop(stream);
    until(|| server.fake.watching.load(Ordering::SeqCst) == 0).await;
}

#[tokio::test]
async fn a_client_that_only_closed_its_sending_side_still_gets_its_answer() {
    let server = Server::start(Limits::default());
    let mut stream = UnixStream::connect(&server.path).await.unwrap();
    write_frame(&mut stream, r#"{"Request":{"id":1,"message":{"Status":{}}}}"#).await;
    stream.shutdown().await.unwrap();
    assert_eq!(read_frame(&mut stream).await["request_id"], 1);
}

#[tokio::test]
async fn a_client_that_does_not_read_is_disconnected_and_nobody_else_notices() {
    let server = Server::start(Limits { stall: Duration::from_millis(100), ..Limits::default() });
    server.fake.transfers.lock().unwrap().extend((1..=1_000).map(|id| transfer(id, "bob@example.org", "a file")));
    let client = server.client().await;
    let mut slow = UnixStream::connect(&server.path).await.unwrap();
    let flood = async {
        for id in 0..10_000 {
            let json = format!(r#"{{"Request":{{"id":{id},"message":{{"List":{{"query":{{}}}}}}}}}}"#);
            let mut frame = u32::try_from(json.len()).unwrap().to_be_bytes().to_vec();
            frame.extend(json.bytes());
            if slow.write_all(&frame).await.is_err() {
                return;
            }
        }
        panic!("the server takes everything from a client that reads nothing");
    };
    let others = async {
        for _ in 0..20 {
            client.status().await.unwrap();
        }
    };
    timeout(SOON, futures::future::join(flood, others)).await.expect("the slow client stays");
}

#[tokio::test]
async fn a_fault_of_the_backend_ends_only_the_connection_that_met_it() {
    let server = Server::start(Limits::default());
    let client = server.client().await;
    let unlucky = server.client().await;
    match unlucky.contact_add("panic@example.org".into(), None).await {
        Err(ClientError::Unreachable { why: Unreachable::Gone, .. }) => {}
        other => panic!("{other:?}"),
    }
    client.status().await.unwrap();
}

#[tokio::test]
async fn connections_above_the_limit_are_closed_and_work_again_when_others_have_gone() {
    let server = Server::start(Limits { connections: 3, ..Limits::default() });
    let mut clients = Vec::new();
    for _ in 0..3 {
        clients.push(server.client().await);
    }
    assert!(matches!(Client::connect(&server.path).await, Err(ClientError::Unreachable { .. })));
    clients.clear();
    timeout(SOON, async { while Client::connect(&server.path).await.is_err() {} }).await.unwrap();
}

#[tokio::test]
async fn calls_outside_the_bounds_are_refused_before_the_backend_sees_them() {
    let server = Server::start(Limits::default());
    let client = server.client().await;
    let request = |path: &str, message: &str| SendRequest {
        contacts: vec!["bob@example.org".into()],
        paths: vec![path.into()],
        message: Some(message.into()),
        ..SendRequest::default()
    };
    let long = "x".repeat(5_000);
    let refused = [
        client.send(request("relative", "")).await.unwrap_err(),
        client.send(request("/a\0b", "")).await.unwrap_err(),
        client.send(request("/a", &long)).await.unwrap_err(),
        client.send(SendRequest::default()).await.unwrap_err(),
        client.send(SendRequest { expire_s: Some(u64::MAX), ..request("/a", "") }).await.unwrap_err(),
        client.cancel(vec![]).await.unwrap_err(),
        client.cancel((0..2_000).collect()).await.unwrap_err(),
        client.accept(vec![1], Some("here".into())).await.unwrap_err(),
        client.contact_add(String::new(), None).await.unwrap_err(),
        client.contact_add(long, None).await.unwrap_err(),
    ];
    for error in refused {
        match error {
            ClientError::Api(error) => assert_eq!(error.code, codes::BAD_REQUEST, "{error}"),
            other => panic!("{other}"),
        }
    }
    assert!(server.fake.transfers.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_list_comes_in_bounded_pages() {
    let server = Server::start(Limits::default());
    server.fake.transfers.lock().unwrap().extend((1..=2_500).map(|id| transfer(id, "bob@example.org", "f")));
    let client = server.client().await;
    let mut query = ListQuery { limit: Some(u32::MAX), ..ListQuery::default() };
    let mut sizes = Vec::new();
    loop {
        let page = client.list(query.clone()).await.unwrap();
        sizes.push(page.transfers.len());
        query.after_id = page.transfers.last().map(|transfer| transfer.id);
        if !page.more {
            break;
        }
    }
    assert_eq!(sizes, [1_000, 1_000, 500]);
}
