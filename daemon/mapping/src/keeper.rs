//! Keeps all mappings: renews what is due, searches for what is missing, removes everything at the end.

use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use futures::stream::{FuturesUnordered, StreamExt};
use tokio::sync::{oneshot, watch};
use tokio::time::{Instant, sleep, sleep_until};

use super::MappingState;
use super::announce::Announcements;
use super::grant::Client;
use super::mapping::Mapping;
use super::{route, search};

/// Contacts learn no more addresses than this either.
const MAX_PINHOLES: usize = 4;
/// A network that comes up brings several changes at once, and first of all no route.
const SETTLE: Duration = Duration::from_secs(1);
/// So that a host that only pretends to be the router cannot keep us busy.
const QUIET: Duration = Duration::from_secs(10);

/// Owns all mappings of this process.
pub(super) struct Keeper {
    /// What is the same in all our requests.
    pub client: Arc<Client>,
    /// Whether IPv4 is wanted.
    pub ipv4: bool,
    /// Our addresses that mapping pinholes.
    pub ipv6: watch::Receiver<Vec<Ipv6Addr>>,
    /// Counts changes of the network.
    pub network: watch::Receiver<u64>,
    /// Where the state is published.
    pub state: watch::Sender<MappingState>,
}

/// What woke us.
enum Woken {
    Due,
    Network,
    Pinholes,
    Announced,
    Stop,
}

impl Keeper {
    /// Runs until `stop` is sent or dropped; then removes what is mapped.
    pub async fn run(mut self, mut stop: oneshot::Receiver<()>) {
        let announcements = Announcements::listen();
        let mut mappings: Vec<Mapping> = self.ipv4.then(|| Mapping::new(None, &self.client)).into_iter().collect();
        self.choose_pinholes(&mut mappings).await;
        let mut quiet_until = Instant::now();
        loop {
            tokio::select! {
                biased;
                _ = &mut stop => break,
                () = self.work(&mut mappings) => {}
            }
            match self.wait(&mappings, &announcements, quiet_until, &mut stop).await {
                Woken::Stop => break,
                Woken::Due => {}
                Woken::Pinholes => self.choose_pinholes(&mut mappings).await,
                Woken::Network => {
                    mappings.iter_mut().for_each(Mapping::anew);
                }
                Woken::Announced => {
                    tracing::debug!("a router announces itself; looking at all mappings");
                    quiet_until = Instant::now() + QUIET;
                    mappings.iter_mut().for_each(Mapping::anew);
                }
            }
        }
        self.remove_all(&mappings).await;
        self.state.send_replace(MappingState::default());
    }

    /// Does what is due, all at once, and publishes each result as it comes.
    async fn work(&self, mappings: &mut [Mapping]) {
        let now = Instant::now();
        let mut doing = FuturesUnordered::new();
        for (index, mapping) in mappings.iter_mut().enumerate().filter(|(_, mapping)| mapping.due <= now) {
            mapping.busy = true;
            let work = mapping.work(self.client.clone());
            doing.push(async move { (index, work.await) });
        }
        self.publish(mappings);
        let mut forgot = None;
        while let Some((index, outcome)) = doing.next().await {
            let began = outcome.began;
            if let Some(mapping) = mappings.get_mut(index)
                && mapping.take(&self.client, outcome)
            {
                forgot = Some((index, began));
            }
            self.publish(mappings);
        }
        if let Some((index, _)) = forgot {
            tracing::info!("the router lost its port mappings; mapping again");
            mappings
                .iter_mut()
                .enumerate()
                .filter(|(other, _)| *other != index)
                .for_each(|(_, mapping)| mapping.anew());
        }
    }

    async fn wait(
        &mut self,
        mappings: &[Mapping],
        announcements: &Announcements,
        quiet_until: Instant,
        stop: &mut oneshot::Receiver<()>,
    ) -> Woken {
        let due = mappings.iter().map(|mapping| mapping.due).min();
        let routers = || known_routers(mappings);
        let announced = async {
            sleep_until(quiet_until).await;
            announcements.drain();
            announcements.next(routers).await;
        };
        tokio::select! {
            biased;
            _ = &mut *stop => Woken::Stop,
            () = changed(&mut self.ipv6) => Woken::Pinholes,
            () = changed(&mut self.network) => {
                tokio::select! {
                    _ = &mut *stop => return Woken::Stop,
                    () = sleep(SETTLE) => {}
                }
                self.network.mark_unchanged();
                Woken::Network
            }
            () = announced => Woken::Announced,
            () = until(due) => Woken::Due,
        }
    }

    /// Brings the wanted pinholes in line with the addresses we have now.
    async fn choose_pinholes(&mut self, mappings: &mut Vec<Mapping>) {
        let mut addresses = self.ipv6.borrow_and_update().clone();
        addresses.truncate(MAX_PINHOLES);
        let (kept, gone) =
            mappings.drain(..).partition(|mapping| mapping.ipv6.is_none_or(|ip| addresses.contains(&ip)));
        *mappings = kept;
        self.remove_all(&gone).await;
        for address in addresses {
            if mappings.iter().all(|mapping| mapping.ipv6 != Some(address)) {
                mappings.push(Mapping::new(Some(address), &self.client));
            }
        }
    }

    async fn remove_all(&self, mappings: &[Mapping]) {
        join_all(mappings.iter().map(|mapping| self.remove(mapping))).await;
    }

    async fn remove(&self, mapping: &Mapping) {
        if let Some(grant) = &mapping.grant {
            search::remove(&self.client, grant).await;
        } else if mapping.busy {
            let uplinks = mapping.ipv6.map_or_else(route::uplinks_v4, route::uplinks_v6);
            join_all(uplinks.into_iter().map(|uplink| search::forget(&self.client, uplink))).await;
        }
    }

    fn publish(&self, mappings: &[Mapping]) {
        let new = MappingState {
            gateway: mappings.iter().find_map(|mapping| mapping.gateway),
            mapped: mappings
                .iter()
                .filter_map(|mapping| mapping.grant.as_ref())
                .map(|grant| grant.mapped(&self.client))
                .collect(),
            failures: mappings.iter().flat_map(|mapping| mapping.failures.iter().cloned()).collect(),
            searching: mappings.iter().any(|mapping| mapping.busy && mapping.grant.is_none()),
        };
        self.state.send_if_modified(|old| {
            let is_new = *old != new;
            *old = new;
            is_new
        });
    }
}

/// Those that were asked, and those of now: one that has just come up could not be asked.
fn known_routers(mappings: &[Mapping]) -> Vec<IpAddr> {
    let asked = mappings.iter().filter_map(|mapping| mapping.gateway);
    asked.chain(route::uplinks_v4().into_iter().map(|uplink| uplink.gateway)).collect()
}

/// Waits for a change; for good once the sender is gone.
async fn changed<T>(watched: &mut watch::Receiver<T>) {
    if watched.changed().await.is_err() {
        std::future::pending().await
    }
}

async fn until(due: Option<Instant>) {
    match due {
        Some(due) => sleep_until(due).await,
        None => std::future::pending().await,
    }
}
