//! A wire that can be cut: passes TCP connections on, counts them, breaks them.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

pub(super) struct Proxy {
    pub port: u16,
    count: Arc<AtomicUsize>,
    /// A new value ends all connections, or (`true`) stops them without a word.
    cut: watch::Sender<bool>,
}

impl Proxy {
    pub(super) async fn to(port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let own = listener.local_addr().unwrap().port();
        let count = Arc::new(AtomicUsize::new(0));
        let (cut, was_cut) = watch::channel(false);
        let counter = count.clone();
        tokio::spawn(async move {
            while let Ok((mut near, _)) = listener.accept().await {
                counter.fetch_add(1, Ordering::Relaxed);
                let mut was_cut = was_cut.clone();
                was_cut.mark_unchanged();
                tokio::spawn(async move {
                    let mut far = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
                    tokio::select! {
                        _ = tokio::io::copy_bidirectional(&mut near, &mut far) => {}
                        _ = was_cut.changed() => {}
                    }
                    while *was_cut.borrow() && was_cut.changed().await.is_ok() {}
                });
            }
        });
        Self { port: own, count, cut }
    }

    /// Connections so far.
    pub(super) fn connections(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }

    pub(super) fn cut(&self) {
        self.cut.send_replace(false);
    }

    /// As when a cable is pulled: nobody is told.
    pub(super) fn freeze(&self) {
        self.cut.send_replace(true);
    }
}
