//! What its swarm tells a link to do.

use bytes::BytesMut;
use tokio::sync::mpsc;

use super::metadata::{self, Incoming};
use super::outbox::plain;
use super::{Link, Order, Report, wire};
use crate::event::CloseReason;

/// Why a swarm that is gone ended the link.
pub(super) fn last_word(orders: &mut mpsc::UnboundedReceiver<Order>) -> Option<CloseReason> {
    std::iter::from_fn(|| orders.try_recv().ok()).find_map(|order| match order {
        Order::Close(reason) => Some(reason),
        Order::Ready(..)
        | Order::Have(_)
        | Order::Show(..)
        | Order::Fetch(_)
        | Order::Drop(_)
        | Order::GetMetadata(_)
        | Order::Serve(_)
        | Order::Complete => None,
    })
}

impl Link {
    pub(super) fn obey(&mut self, order: Order) -> Result<(), CloseReason> {
        match order {
            Order::Ready(view, ours) => {
                self.outbox.control(|out| {
                    // Now that we have the metadata, others may have it from us (BEP 10: a repeated handshake updates).
                    if self.extended {
                        metadata::put_handshake(out, Some(view.meta.info.len()));
                    }
                    ours.iter().for_each(|piece| wire::put_have(out, piece));
                })?;
                self.ours = ours;
                self.know(view)
            }
            Order::Have(piece) => {
                self.ours.set(piece);
                self.tell_have(piece)
            }
            Order::Show(all, told) => {
                self.outbox.control(|out| {
                    all.iter().filter(|piece| !told.has(*piece)).for_each(|piece| wire::put_have(out, piece));
                })?;
                self.ours = all;
                Ok(())
            }
            Order::Fetch(pieces) => {
                self.downloads.answered();
                if self.downloads.is_choked() {
                    self.pending.push(Report::GiveBack(pieces));
                    return Ok(());
                }
                pieces.into_iter().for_each(|piece| self.downloads.add(piece));
                Ok(())
            }
            Order::Drop(piece) => {
                let mut cancels = BytesMut::new();
                if let Some(piece) = self.downloads.give_up(piece, &mut cancels) {
                    self.pending.push(Report::GiveBack(vec![piece]));
                }
                self.outbox.control(|out| out.extend_from_slice(&cancels))
            }
            Order::GetMetadata(size) => {
                self.incoming = Some(Incoming::new(size));
                self.ask_metadata()
            }
            Order::Serve(serve) => {
                self.choking = !serve;
                if self.choking {
                    self.outbox.forget_blocks();
                }
                self.outbox.control(plain(if serve { wire::UNCHOKE } else { wire::CHOKE }))
            }
            Order::Complete => {
                self.tell_withheld()?;
                self.outbox.control(|out| {
                    wire::put_plain(out, wire::NOT_INTERESTED);
                    if let Some(id) = self.done_id {
                        metadata::put_done(out, id);
                    }
                })
            }
            Order::Close(reason) => Err(reason),
        }
    }
}
