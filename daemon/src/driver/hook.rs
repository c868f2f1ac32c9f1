//! The person's own commands, as the rules want them run.

use std::time::Duration;

use xbt_core::hook::Hook;
use xbt_core::ids::TransferId;
use xbt_core::input::Input;

use super::Driver;
use crate::hooks::{Ended, Job, facts};

impl Driver {
    /// Hands a command over to be run in its turn, with the facts as they are now.
    pub(super) fn hook(&mut self, id: TransferId, hook: Hook) {
        let hooks = &self.domain.settings().hooks;
        let time = Duration::from_millis(hooks.timeout_ms);
        let (Some(command), Some(transfer)) = (hooks.command(hook), self.domain.transfer(id)) else { return };
        let job = Job {
            transfer: id,
            contact: transfer.contact.clone(),
            hook,
            command: command.to_vec(),
            facts: facts(&self.domain, transfer, hook, &self.rooms.socket),
            time,
        };
        if let Err(ended) = self.hooks.add(job) {
            self.again.push_back(told(ended));
        }
    }

    pub(super) async fn hook_ended(&mut self, ended: Ended) {
        self.handle(told(ended)).await;
    }
}

fn told(ended: Ended) -> Input {
    let Ended { transfer, hook, outcome } = ended;
    Input::Hook { transfer, hook, outcome }
}
