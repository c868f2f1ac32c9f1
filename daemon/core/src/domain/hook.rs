//! The person's own commands: when they run, and what is kept of it.
//!
//! `on_offer` runs at most once for each offer: an offer that comes again makes no new transfer, and nothing is done at
//! the next start. `on_complete` runs at least once: that it is due is kept with the transfer until it has ended, and
//! what was due when the daemon ended is run at the next start.

use crate::domain::Domain;
use crate::effect::{Effect, Event};
use crate::hook::Hook;
use crate::ids::TransferId;

/// Characters of what is kept of a failure.
const REASON: usize = 200;

impl Domain {
    /// Has the person's command run, if there is one.
    pub(super) fn run_hook(&mut self, id: TransferId, hook: Hook) {
        if self.settings.hooks.command(hook).is_none() {
            return;
        }
        let Some(transfer) = self.transfers.change(id) else { return };
        transfer.hook_due |= hook == Hook::Complete;
        self.push(Effect::Hook(id, hook));
    }

    /// The daemon ended before these commands had.
    pub(super) fn hooks_at_start(&mut self) {
        let due: Vec<TransferId> = self.transfers.ours().filter(|t| t.hook_due).map(|t| t.id).collect();
        for id in due {
            if let Some(transfer) = self.transfers.change(id) {
                transfer.hook_due = false; // the command may be configured no more
            }
            self.run_hook(id, Hook::Complete);
        }
    }

    /// A command has ended, or could not be run.
    pub(super) fn hook_ended(&mut self, id: TransferId, hook: Hook, outcome: Result<(), String>) {
        let now = self.now.wall;
        let Some(transfer) = self.transfers.change(id) else { return };
        if hook == Hook::Complete {
            transfer.hook_due = false;
        }
        let Err(reason) = outcome else { return };
        let reason: String = reason.chars().take(REASON).collect();
        let reason = format!("{} {reason}", hook.name());
        transfer.note(now, "hook", Some(reason.clone()));
        self.push(Effect::Emit(Event::HookFailed { transfer: id, reason }));
    }
}
