//! Jobs that panic.

#![allow(clippy::unwrap_used, clippy::panic)]

use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::mpsc;

use super::{Phase, Role, Swarm};
use crate::error::codes;
use crate::shared::Shared;
use crate::{ContentKey, Event, Fetch};

fn fetch() -> Fetch {
    Fetch {
        owner: crate::Group(1),
        info_hash: [7; 20],
        name: "file".into(),
        size: 1,
        files: 1,
        metadata_size: 100,
        destination: PathBuf::from("/nowhere"),
        partial_id: "1".into(),
        info: None,
    }
}

/// The phase after a job has panicked in this one, and the reported code.
async fn after_a_panic(phase: Phase) -> (Phase, Option<&'static str>) {
    let dir = tempfile::tempdir().unwrap();
    let (shared, mut events) = Shared::new(dir.path().to_owned());
    let (reports, _inbox) = mpsc::channel(1);
    let mut swarm = Swarm::new(shared, ContentKey(1), reports);
    swarm.role = Some(Role::Fetch(Arc::new(fetch())));
    swarm.phase = phase;
    swarm.jobs.spawn_blocking(|| panic!("a fault of ours"));
    let ended = swarm.jobs.join_next().await.unwrap();
    swarm.job_ended(ended).await;
    let code = events.try_recv().ok().map(|event| match event {
        Event::Failed { error, .. } => error.code,
        other => panic!("{other:?}"),
    });
    (swarm.phase, code)
}

#[tokio::test]
async fn a_fetch_stops_with_a_fault_when_one_of_its_jobs_panics() {
    for phase in [Phase::Checking, Phase::Metadata, Phase::Fetching, Phase::Finishing] {
        let (after, code) = after_a_panic(phase.clone()).await;
        assert!(matches!(after, Phase::Halted(_)), "{phase:?} became {after:?}");
        assert_eq!(code, Some(codes::ENGINE_FAULT), "{phase:?}");
    }
}

#[tokio::test]
async fn what_is_complete_does_not_fail_when_a_job_panics() {
    let (after, code) = after_a_panic(Phase::Complete).await;
    assert!(matches!(after, Phase::Halted(_)), "{after:?}");
    assert_eq!(code, None);
}
