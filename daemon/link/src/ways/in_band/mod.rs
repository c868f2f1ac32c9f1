//! In-band bytestreams (XEP-0047): through the XMPP streams themselves.
//!
//! The device with the smaller fingerprint opens them.

mod small_records;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::sleep;
use tokio_util::task::AbortOnDropHandle;
use xbt_core::ids::Fingerprint;
use xbt_core::way::Way;

use self::small_records::SmallRecords;
use super::reason::Failure;
use super::relays::{CurrentRelays, as_client, as_server};
use super::target::Target;
use super::transport::{self, Dial, Guard, Opened, Start, Transport};
use crate::addresses::local::Local;
use crate::addresses::outside::Outside;
use crate::identity::tls::Tls;
use crate::stream::BoxedStream;
use crate::times::Times;
use crate::ways::link::{Incoming, Link, LinkInfo};
use xbt_core::effect::DialRequest;

const NAME: &str = "the XMPP stream";

/// What both directions share.
#[derive(Clone)]
pub(crate) struct InBand {
    pub tls: Arc<Tls>,
    pub relays: CurrentRelays,
    pub incoming: mpsc::Sender<Incoming>,
    pub times: Times,
}

impl Transport for InBand {
    fn ways(&self) -> &'static [Way] {
        &[Way::InBand]
    }

    fn targets(&self, request: &DialRequest) -> Vec<Target> {
        let will_do = request.ours.in_band && request.theirs.in_band;
        will_do.then(|| Target::only(Way::InBand, NAME)).into_iter().collect()
    }

    fn start(&self, _request: &DialRequest) -> Start {
        Start::Behind(self.times.before_in_band)
    }

    fn expect(&self, request: &Arc<DialRequest>, _local: &Local) -> Option<Guard> {
        if self.opens(request.peer) {
            return None;
        }
        let expecting = take_all(self.clone(), request.clone(), self.times.redial);
        Some(Box::new(AbortOnDropHandle::new(tokio::spawn(expecting))))
    }

    fn opens(&self, peer: Fingerprint) -> bool {
        self.tls.own() < peer
    }

    fn connect<'a>(&'a self, dial: Dial<'a>) -> transport::Future<'a, Result<Option<Opened>, Failure>> {
        Box::pin(async move {
            let stream = self.open(dial.request).await?;
            Ok(Some(Opened { stream, remote: None }))
        })
    }

    fn untried(&self, _way: Way, request: &DialRequest, _outside: &Outside) -> Option<String> {
        (!request.theirs.in_band).then(|| format!("{} takes nothing in-band (`ways`)", request.device.bare))
    }
}

impl InBand {
    pub(crate) async fn open(&self, request: &DialRequest) -> Result<BoxedStream, Failure> {
        let stream_id = request.ours.stream_id.clone().unwrap_or_default();
        let stream = self.relays.get()?.open_in_band(request.device.clone(), stream_id).await?;
        Ok(Box::new(SmallRecords(as_client(&self.tls, request.peer, stream, self.times.relay, NAME).await?)))
    }

    /// Takes the bytestream that the other device opens.
    pub(crate) async fn take(&self, request: &DialRequest) -> Result<BoxedStream, Failure> {
        let stream_id = request.theirs.stream_id.clone().unwrap_or_default();
        let stream = self.relays.get()?.expect_in_band(request.device.clone(), stream_id).await?;
        Ok(Box::new(SmallRecords(as_server(&self.tls, request.peer, stream, self.times.relay, NAME).await?)))
    }
}

/// Takes all bytestreams that the other device opens, until dropped.
async fn take_all(in_band: InBand, request: Arc<DialRequest>, pause: Duration) {
    loop {
        match in_band.take(&request).await {
            Ok(stream) => {
                let info = LinkInfo { peer: request.peer, way: Way::InBand, remote: None, dialed: None };
                let _ = in_band.incoming.send(Incoming::Link(Link { info, stream })).await;
            }
            Err(Failure { reason, text }) => {
                tracing::debug!(transfer = %request.transfer, %reason, text, "no in-band bytestream");
                sleep(pause).await;
            }
        }
    }
}
