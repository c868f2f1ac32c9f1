//! A peer played by hand.

use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use xbt_torrent::{Group, LinkTag, Prepared, handshake::OUR_RESERVED};

use super::{KEY, Node, tag};

/// The piece length of contents of a few MiB.
pub const PIECE: usize = 256 << 10;

/// A block as `piece` sends it.
pub fn block(bytes: &[u8], [piece, begin, len]: [u32; 3]) -> Vec<u8> {
    let at = piece as usize * PIECE + begin as usize;
    [&piece.to_be_bytes(), &begin.to_be_bytes(), &bytes[at..at + len as usize]].concat()
}

/// A peer played by hand.
pub struct Peer {
    pub stream: DuplexStream,
}

impl Peer {
    pub fn attach(node: &Node) -> (Self, LinkTag) {
        let (ours, stream) = tokio::io::duplex(1 << 20);
        let tag = tag();
        node.engine.attach(KEY, tag, ours, OUR_RESERVED);
        (Self { stream }, tag)
    }

    /// As one of a group.
    pub fn attach_in(group: Group, node: &Node) -> (Self, LinkTag) {
        let (ours, stream) = tokio::io::duplex(1 << 20);
        let tag = tag();
        node.engine.attach_in_group(group, KEY, tag, ours, OUR_RESERVED);
        (Self { stream }, tag)
    }

    /// As a device that one of `group` introduced; its lies are those of `blamed`.
    pub fn attach_introduced(group: Group, blamed: Group, node: &Node) -> (Self, LinkTag) {
        let (ours, stream) = tokio::io::duplex(1 << 20);
        let tag = tag();
        node.engine.attach_introduced((group, blamed), KEY, tag, ours, OUR_RESERVED);
        (Self { stream }, tag)
    }

    pub async fn send(&mut self, id: u8, payload: &[u8]) {
        let mut message = (payload.len() as u32 + 1).to_be_bytes().to_vec();
        message.push(id);
        message.extend_from_slice(payload);
        // The node may have closed already, which is what some tests want.
        let _ = self.stream.write_all(&message).await;
    }

    /// Answers a request out of the content's bytes.
    pub async fn give(&mut self, bytes: &[u8], request: [u32; 3]) {
        self.send(7, &block(bytes, request)).await;
    }

    pub async fn receive(&mut self) -> Option<(u8, Vec<u8>)> {
        loop {
            let length = self.stream.read_u32().await.ok()?;
            if length == 0 {
                continue;
            }
            let mut message = vec![0; length as usize];
            self.stream.read_exact(&mut message).await.ok()?;
            return Some((message[0], message[1..].to_vec()));
        }
    }

    /// Says that it has everything, and unchokes.
    pub async fn greet(&mut self, prepared: &Prepared) {
        let hello = format!("d1:md11:ut_metadatai7ee13:metadata_sizei{}ee", prepared.info.len());
        self.send(20, &[b"\0", hello.as_bytes()].concat()).await;
        let pieces = (prepared.size as usize).div_ceil(PIECE);
        let bits: Vec<u8> = (0..pieces.div_ceil(8))
            .map(|byte| (0..8).fold(0, |bits, bit| bits | if byte * 8 + bit < pieces { 0x80 >> bit } else { 0 }))
            .collect();
        self.send(5, &bits).await;
        self.send(1, &[]).await;
    }

    /// The next request for a block: piece, begin, length.
    pub async fn request(&mut self) -> Option<[u32; 3]> {
        loop {
            if let (6, payload) = self.receive().await? {
                let word = |at: usize| u32::from_be_bytes(payload[at..at + 4].try_into().unwrap());
                return Some([word(0), word(4), word(8)]);
            }
        }
    }

    /// Serves a content whose bytes `lie` may change, until the node closes.
    pub async fn serve(mut self, prepared: Prepared, bytes: Vec<u8>, lie: impl Fn(u32, &mut Vec<u8>)) {
        let size = prepared.info.len();
        let piece_length = PIECE;
        self.greet(&prepared).await;
        while let Some((id, payload)) = self.receive().await {
            let word = |at: usize| u32::from_be_bytes(payload[at..at + 4].try_into().unwrap()) as usize;
            match id {
                6 => {
                    let start = word(0) * piece_length + word(4);
                    let mut block = bytes[start..start + word(8)].to_vec();
                    lie(word(0) as u32, &mut block);
                    self.send(7, &[&payload[..8], &block].concat()).await;
                }
                20 if payload[0] == 7 => {
                    let text = String::from_utf8_lossy(&payload[1..]).into_owned();
                    let block: usize = text.split("piecei").nth(1).unwrap().split('e').next().unwrap().parse().unwrap();
                    let part = &prepared.info[block * 16384..size.min((block + 1) * 16384)];
                    let head = format!("d8:msg_typei1e5:piecei{block}e10:total_sizei{size}ee");
                    self.send(20, &[b"\x01", head.as_bytes(), part].concat()).await;
                }
                _ => {}
            }
        }
    }
}
