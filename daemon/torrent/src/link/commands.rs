//! Carries out the commands of the swarm.

use bytes::BytesMut;
use tokio::sync::mpsc;

use super::metadata::{self, Incoming};
use super::send_queue::plain;
use super::{Link, LinkCommand, Report, framing};
use crate::event::CloseReason;
use crate::piece::PieceBuf;

/// The reason left by a swarm that is gone.
pub(super) fn close_reason(commands: &mut mpsc::UnboundedReceiver<LinkCommand>) -> Option<CloseReason> {
    std::iter::from_fn(|| commands.try_recv().ok()).find_map(|command| match command {
        LinkCommand::Close(reason) => Some(reason),
        LinkCommand::Ready(..)
        | LinkCommand::Have(_)
        | LinkCommand::HaveAll(..)
        | LinkCommand::Download(_)
        | LinkCommand::Release(_)
        | LinkCommand::GetMetadata(_)
        | LinkCommand::Unchoke(_)
        | LinkCommand::Complete => None,
    })
}

impl Link {
    pub(super) fn on_command(&mut self, command: LinkCommand) -> Result<(), CloseReason> {
        match command {
            LinkCommand::Ready(view, ours) => {
                self.send_queue.control(|out| {
                    // Announces that we have the metadata now (BEP 10: a repeated handshake updates the first).
                    if self.extended {
                        metadata::put_handshake(out, Some(view.meta.info.len()));
                    }
                    ours.iter().for_each(|piece| framing::put_have(out, piece));
                })?;
                self.ours = ours;
                self.know(view)
            }
            LinkCommand::Have(piece) => {
                self.ours.set(piece);
                self.tell_have(piece)
            }
            LinkCommand::HaveAll(all, advertised) => {
                self.send_queue.control(|out| {
                    all.iter().filter(|piece| !advertised.has(*piece)).for_each(|piece| framing::put_have(out, piece));
                })?;
                self.ours = all;
                Ok(())
            }
            LinkCommand::Download(pieces) => {
                self.download(pieces);
                Ok(())
            }
            LinkCommand::Release(piece) => self.release(piece),
            LinkCommand::GetMetadata(size) => {
                self.incoming = Some(Incoming::new(size));
                self.ask_metadata()
            }
            LinkCommand::Unchoke(unchoke) => {
                self.choking = !unchoke;
                if self.choking {
                    self.send_queue.forget_blocks();
                }
                self.send_queue.control(plain(if unchoke { framing::UNCHOKE } else { framing::CHOKE }))
            }
            LinkCommand::Complete => {
                self.tell_withheld()?;
                self.send_queue.control(|out| {
                    framing::put_plain(out, framing::NOT_INTERESTED);
                    if let Some(id) = self.done_id {
                        metadata::put_done(out, id);
                    }
                })
            }
            LinkCommand::Close(reason) => Err(reason),
        }
    }

    fn download(&mut self, pieces: Vec<PieceBuf>) {
        self.downloads.answered();
        if self.downloads.is_choked() {
            self.pending.push(Report::Released(pieces));
            return;
        }
        pieces.into_iter().for_each(|piece| self.downloads.add(piece));
    }

    fn release(&mut self, piece: u32) -> Result<(), CloseReason> {
        let mut cancels = BytesMut::new();
        if let Some(piece) = self.downloads.give_up(piece, &mut cancels) {
            self.pending.push(Report::Released(vec![piece]));
        }
        self.send_queue.control(|out| out.extend_from_slice(&cancels))
    }
}
