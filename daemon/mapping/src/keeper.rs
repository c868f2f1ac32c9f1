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
use super::grant::Ask;
use super::want::Want;
use super::{route, search};

/// More addresses than this are not told to contacts either.
const MAX_PINHOLES: usize = 4;
/// A network that comes up brings several changes at once, and first of all no route.
const SETTLE: Duration = Duration::from_secs(1);
/// So that who only pretends to be the router cannot keep us busy.
const QUIET: Duration = Duration::from_secs(10);

/// Owns all mappings of this process.
pub(super) struct Keeper {
    /// What is the same in all our requests.
    pub ask: Arc<Ask>,
    /// Whether IPv4 is wanted.
    pub ipv4: bool,
    /// Our addresses that want pinholes.
    pub ipv6: watch::Receiver<Vec<Ipv6Addr>>,
    /// Counts changes of the network.
    pub network: watch::Receiver<u64>,
    /// What we tell.
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
    /// Runs until told to stop, or until nobody is left to tell it; then removes what is mapped.
    pub async fn run(mut self, mut stop: oneshot::Receiver<()>) {
        let announcements = Announcements::listen();
        let mut wants: Vec<Want> = self.ipv4.then(|| Want::new(None, &self.ask)).into_iter().collect();
        self.choose_pinholes(&mut wants).await;
        let mut quiet_until = Instant::now();
        loop {
            tokio::select! {
                biased;
                _ = &mut stop => break,
                () = self.work(&mut wants) => {}
            }
            match self.wait(&wants, &announcements, quiet_until, &mut stop).await {
                Woken::Stop => break,
                Woken::Due => {}
                Woken::Pinholes => self.choose_pinholes(&mut wants).await,
                Woken::Network => {
                    wants.iter_mut().for_each(Want::anew);
                }
                Woken::Announced => {
                    tracing::debug!("a router announces itself; looking at all mappings");
                    quiet_until = Instant::now() + QUIET;
                    wants.iter_mut().for_each(Want::anew);
                }
            }
        }
        self.remove_all(&wants).await;
        self.state.send_replace(MappingState::default());
    }

    /// Does what is due, all at once, and tells each result when it is there.
    async fn work(&self, wants: &mut [Want]) {
        let now = Instant::now();
        let mut doing = FuturesUnordered::new();
        for (index, want) in wants.iter_mut().enumerate().filter(|(_, want)| want.due <= now) {
            want.busy = true;
            let work = want.work(self.ask.clone());
            doing.push(async move { (index, work.await) });
        }
        self.publish(wants);
        let mut forgot = None;
        while let Some((index, outcome)) = doing.next().await {
            let began = outcome.began;
            if let Some(want) = wants.get_mut(index)
                && want.take(&self.ask, outcome)
            {
                forgot = Some((index, began));
            }
            self.publish(wants);
        }
        if let Some((index, _)) = forgot {
            tracing::info!("the router has forgotten its mappings; mapping anew");
            wants.iter_mut().enumerate().filter(|(other, _)| *other != index).for_each(|(_, want)| want.anew());
        }
    }

    async fn wait(
        &mut self,
        wants: &[Want],
        announcements: &Announcements,
        quiet_until: Instant,
        stop: &mut oneshot::Receiver<()>,
    ) -> Woken {
        let due = wants.iter().map(|want| want.due).min();
        let routers = || known_routers(wants);
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
    async fn choose_pinholes(&mut self, wants: &mut Vec<Want>) {
        let mut addresses = self.ipv6.borrow_and_update().clone();
        addresses.truncate(MAX_PINHOLES);
        let (kept, gone) = wants.drain(..).partition(|want| want.ipv6.is_none_or(|ip| addresses.contains(&ip)));
        *wants = kept;
        self.remove_all(&gone).await;
        for address in addresses {
            if wants.iter().all(|want| want.ipv6 != Some(address)) {
                wants.push(Want::new(Some(address), &self.ask));
            }
        }
    }

    async fn remove_all(&self, wants: &[Want]) {
        join_all(wants.iter().map(|want| self.remove(want))).await;
    }

    async fn remove(&self, want: &Want) {
        if let Some(grant) = &want.grant {
            search::remove(&self.ask, grant).await;
        } else if want.busy {
            let ways = want.ipv6.map_or_else(route::ways_v4, route::ways_v6);
            join_all(ways.into_iter().map(|way| search::forget(&self.ask, way))).await;
        }
    }

    fn publish(&self, wants: &[Want]) {
        let new = MappingState {
            gateway: wants.iter().find_map(|want| want.gateway),
            mapped: wants.iter().filter_map(|want| want.grant.as_ref()).map(|grant| grant.mapped(&self.ask)).collect(),
            failures: wants.iter().flat_map(|want| want.failures.iter().cloned()).collect(),
            searching: wants.iter().any(|want| want.busy && want.grant.is_none()),
        };
        self.state.send_if_modified(|old| {
            let is_new = *old != new;
            *old = new;
            is_new
        });
    }
}

/// Those we asked, and those of now: one that has just come up was not there to be asked.
fn known_routers(wants: &[Want]) -> Vec<IpAddr> {
    let asked = wants.iter().filter_map(|want| want.gateway);
    asked.chain(route::ways_v4().into_iter().map(|way| way.gateway)).collect()
}

/// A change; never again where nobody is left to make one.
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
