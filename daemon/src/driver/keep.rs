//! Keeping: nothing goes out before it is on the disk, so while the state cannot be written everything waits; but
//! people are told, may look, and may stop the daemon. An error that does not pass by waiting ends the daemon: nothing is
//! lost by that, for what was not kept was not acted on.

use std::time::Duration;

use tokio::task::block_in_place;
use tokio::time::{Instant, sleep_until};
use xbt_api::{ApiError, EventKind};
use xbt_core::effect::Persist;
use xbt_core::fault::Fault;
use xbt_core::ids::ContentId;

use super::{Driver, INBOX, Message, views};
use crate::supervisor;
use xbt_store::{Store, StoreError};

/// Between two attempts to write the state while the disk is full, or the like.
const RETRY: Duration = Duration::from_secs(1);

impl Driver {
    /// Keeps a batch. `false`: it cannot be kept and the daemon is to stop, so nothing of it may go out.
    pub(super) async fn commit(&mut self, changes: &[Persist]) -> bool {
        let received = self.received.take();
        let received = received.as_ref().map(|(content, record)| (*content, record.as_ref()));
        while let Err(error) = block_in_place(|| self.rooms.store.commit_received(changes, received)) {
            if !error.may_pass() {
                self.give_up(error.into());
                return false;
            }
            if !self.wait_for_store(&error).await {
                return false;
            }
        }
        self.state_is_kept();
        true
    }

    /// Keeps what is needed to seed a content again. `Ok(false)`: as for [`Driver::commit`].
    ///
    /// # Errors
    /// What will not pass by waiting.
    pub(super) async fn put_blob(&mut self, content: ContentId, blob: &[u8]) -> Result<bool, StoreError> {
        let put = |store: &mut Store| block_in_place(|| store.put_blob(content, blob));
        while let Err(error) = put(&mut self.rooms.store) {
            if !error.may_pass() {
                return Err(error);
            }
            if !self.wait_for_store(&error).await {
                return Ok(false);
            }
        }
        self.state_is_kept();
        Ok(true)
    }

    /// Ends the daemon; callers that wait for an answer get the fault.
    fn give_up(&mut self, fault: Fault) {
        tracing::error!(code = fault.code, "the state cannot be written, and waiting will not help: {}", fault.message);
        for (_, caller) in self.calls.drain() {
            // The caller may have gone.
            let _ = caller.send(Err(fault.clone()));
        }
        self.fatal = Some(fault);
        self.stopping = true;
    }

    fn state_is_kept(&mut self) {
        if self.state_error.take().is_some() {
            tracing::info!("the state can be written again");
            self.notice("the state can be written again".to_owned());
        }
    }

    fn notice(&self, text: String) {
        self.rooms.ring.push(views::time(self.now().wall), EventKind::Notice, None, text);
    }

    /// Waits until it is worth trying again; meanwhile the state may be looked at, and commands are held, at most as
    /// many as the inbox has room for. `false`: the daemon is to stop.
    async fn wait_for_store(&mut self, error: &StoreError) -> bool {
        let told = ApiError::new(error.code(), error.message(), error.hint());
        if self.state_error.as_ref() != Some(&told) {
            tracing::error!(%error, "cannot write the state; waiting until it can be written");
            self.notice(format!("{error}; everything waits until it can be written"));
            self.state_error = Some(told);
            self.rooms.supervisor.changed();
        }
        let retry = Instant::now() + RETRY;
        while !self.stopping {
            // A full disk is no standstill of ours.
            self.supervise();
            tokio::select! {
                () = supervisor::until(self.rooms.supervisor.next()) => {}
                () = sleep_until(retry) => return true,
                message = self.inbox.recv(), if self.held.len() < INBOX => match message {
                    Some(Message::Look(look)) => look(self),
                    Some(Message::WrongConfig(error)) => self.config_error = Some(error),
                    Some(Message::Stop) | None => self.stopping = true,
                    Some(message @ (Message::Command(..) | Message::Settings(_) | Message::Session(_))) => {
                        self.held.push_back(message);
                    }
                },
            }
        }
        false
    }
}
