//! Accepts connections and runs each in a task of its own.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use tarpc::server::limits::requests_per_channel::MaxRequests;
use tarpc::server::{BaseChannel, Channel};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::sleep;
use xbt_api::Xbt;

use super::calls::Calls;
use super::wire::Wire;
use super::{Backend, Listener, RpcError};

/// How long to wait when the system has no file descriptor for a further connection.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What the server bears. The default is for people; tests take less.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Most connections at once; further ones are closed at once.
    pub connections: usize,
    /// Most calls under way per connection; further ones are answered with "busy".
    pub in_flight: usize,
    /// How long a client may not read its answers before it is disconnected.
    pub stall: Duration,
    /// How long calls may still run after their client has closed its sending side.
    pub after_end: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self { connections: 1_200, in_flight: 16, stall: Duration::from_secs(30), after_end: Duration::from_secs(5) }
    }
}

/// Serves until `shutdown` completes. Then the socket file is gone and every connection closed.
///
/// # Errors
/// Only when the listener cannot be handed to the runtime.
pub async fn serve<B: Backend>(
    listener: Listener,
    backend: B,
    shutdown: impl Future<Output = ()> + Send,
) -> Result<(), RpcError> {
    serve_with(listener, backend, Limits::default(), shutdown).await
}

/// As [`serve`], with other limits.
///
/// # Errors
/// Only when the listener cannot be handed to the runtime.
pub async fn serve_with<B: Backend>(
    listener: Listener,
    backend: B,
    limits: Limits,
    shutdown: impl Future<Output = ()> + Send,
) -> Result<(), RpcError> {
    let (socket, _file) = listener.into_parts()?;
    // Dropping it when this function ends aborts the tasks.
    let mut connections = JoinSet::new();
    let mut shutdown = std::pin::pin!(shutdown);
    loop {
        tokio::select! {
            () = &mut shutdown => return Ok(()),
            Some(ended) = connections.join_next() => {
                if let Err(error) = ended {
                    tracing::error!(%error, "a connection failed inside the daemon");
                }
            }
            stream = accept(&socket) => {
                if !is_same_user(&stream) {
                    tracing::warn!("rejected a connection from another user");
                } else if connections.len() >= limits.connections {
                    tracing::warn!(limit = limits.connections, "too many connections; rejected one");
                } else {
                    connections.spawn(converse(stream, backend.clone(), limits));
                }
            }
        }
    }
}

/// The next connection; faults of single attempts are passed over.
async fn accept(socket: &UnixListener) -> UnixStream {
    loop {
        match socket.accept().await {
            Ok((stream, _)) => return stream,
            Err(error) => {
                // Out of file descriptors or memory, most likely: the connection stays in the backlog.
                tracing::warn!(%error, "a connection could not be accepted");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Only the user whose daemon this is, and root, who could do anything anyway.
fn is_same_user(stream: &UnixStream) -> bool {
    match stream.peer_cred() {
        Ok(peer) => peer.uid() == 0 || peer.uid() == rustix::process::geteuid().as_raw(),
        Err(error) => {
            tracing::warn!(%error, "could not determine the user of a connection");
            false
        }
    }
}

/// One connection. All its calls run in this task, so that they end when it does.
async fn converse<B: Backend>(stream: UnixStream, backend: B, limits: Limits) {
    let ended = Arc::new(Notify::new());
    let wire = Wire::new(stream, limits.stall, ended.clone());
    let channel = MaxRequests::new(BaseChannel::with_defaults(wire), limits.in_flight);
    // No limit needed here: the channel hands out no more than `in_flight`.
    let calls = channel.execute(Calls(backend).serve()).for_each_concurrent(None, |call| call);
    let abandoned = async {
        ended.notified().await;
        sleep(limits.after_end).await;
    };
    tokio::select! {
        () = calls => {}
        () = abandoned => tracing::debug!("a client left before its calls were answered"),
    }
}
