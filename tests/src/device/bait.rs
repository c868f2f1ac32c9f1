//! A device that offers contents and, once it has a link, holds what it was given there and delivers no data.

use std::io::{self, ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use sha1::{Digest, Sha1};

use super::{Device, Link, attribute, candidates, handshake};
use crate::wait;

const MIB: usize = 1 << 20;
const BLOCK: usize = 16 << 10;

/// A content whose data exists nowhere.
#[derive(Clone, Debug)]
pub struct Bait {
    name: String,
    info: Vec<u8>,
    size: u64,
    files: u64,
    pieces: usize,
}

/// What the other side asked for when it accepted one of ours.
#[derive(Clone, Debug)]
pub struct Accepted {
    /// The content.
    pub info_hash: String,
    /// Where it takes links.
    pub addresses: Vec<SocketAddr>,
}

impl Bait {
    /// One file with pieces of 16 MiB, the largest.
    pub fn of_large_pieces(name: &str, pieces: usize) -> Self {
        let size = pieces * 16 * MIB;
        let head = format!(
            "d6:lengthi{size}e4:name{}:{name}12:piece lengthi{}e6:pieces{}:",
            name.len(),
            16 * MIB,
            pieces * 20
        );
        let info = [head.into_bytes(), vec![7; pieces * 20], b"e".to_vec()].concat();
        Self { name: name.to_owned(), info, size: size as u64, files: 1, pieces }
    }

    /// One byte in one file, and many empty files with paths of some 1,000 bytes.
    pub fn of_long_paths(name: &str, files: usize) -> Self {
        let folder = format!("{}:{}", 240, "f".repeat(240)).repeat(3);
        let list: String =
            (0..files).map(|n| format!("d6:lengthi{}e4:pathl{folder}240:{n:0240}ee", u8::from(n == 0))).collect();
        Self::of_one_byte(name, list, files, "")
    }

    /// One byte in one file, some thousand empty files, and a key that no program knows.
    pub fn of_padding(name: &str, files: usize, padding: usize) -> Self {
        let list: String = (0..files).map(|n| format!("d6:lengthi{}e4:pathl5:{n:05}ee", u8::from(n == 0))).collect();
        Self::of_one_byte(name, list, files, &format!("1:z{padding}:{}", "x".repeat(padding)))
    }

    fn of_one_byte(name: &str, list: String, files: usize, rest: &str) -> Self {
        let hash = "h".repeat(20);
        let info = format!("d5:filesl{list}e4:name{}:{name}12:piece lengthi16384e6:pieces20:{hash}{rest}e", name.len());
        Self { name: name.to_owned(), info: info.into_bytes(), size: 1, files: files as u64, pieces: 1 }
    }

    /// 40 hex digits.
    pub fn info_hash(&self) -> String {
        Sha1::digest(&self.info).iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Bytes of the metadata.
    pub fn metadata(&self) -> usize {
        self.info.len()
    }
}

impl Device {
    /// Offers a content. Whether that is acknowledged is not waited for.
    pub fn bait(&mut self, to: &str, number: u32, bait: &Bait) {
        let Bait { name, size, files, .. } = bait;
        let offer = format!(
            "<offer xmlns='urn:x-xbt:1' id='0f2d3c4b-5a69-4788-9960-a1b2{number:08x}' kind='btih' \
             info-hash='{}' size='{size}' files='{files}' metadata-size='{}'><name>{name}</name><fingerprint>{}</fingerprint></offer>",
            bait.info_hash(),
            bait.info.len(),
            self.fingerprint
        );
        let signed = self.signed(to, &offer);
        self.send_raw(to, &signed);
    }

    /// Answers what it is asked until this content is accepted.
    #[track_caller]
    pub fn is_accepted(&mut self, bait: &Bait) -> Accepted {
        let info_hash = bait.info_hash();
        wait::until("the offer is accepted", wait::LONG, || {
            let _ = self.answer_next();
            self.accepted.iter().rev().find(|one| one.info_hash == info_hash).cloned()
        })
    }

    /// Dials and holds the link for a content: sends the metadata, says that it has all pieces, and then nothing but
    /// keep-alives. It ends with the link.
    ///
    /// # Errors
    /// No link.
    pub fn hold(&self, accepted: &Accepted, bait: &Bait) -> io::Result<JoinHandle<()>> {
        let mut last = io::Error::from(ErrorKind::AddrNotAvailable);
        for address in &accepted.addresses {
            let link = self.dial(*address).and_then(|mut link| {
                handshake(&mut link, &accepted.info_hash)?;
                Ok(link)
            });
            match link {
                Ok(link) => {
                    let bait = bait.clone();
                    return Ok(thread::spawn(move || drop(hold(link, &bait))));
                }
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    /// The answer to a `connect`, which is remembered.
    pub(super) fn connect_answer(&mut self, connect: &str) -> Option<String> {
        let (id, info_hash) = (attribute(connect, "id")?, attribute(connect, "info-hash")?);
        self.accepted.push(Accepted { info_hash: info_hash.to_owned(), addresses: candidates(connect) });
        let port = self.silent.local_addr().ok()?.port();
        Some(format!(
            "<connect xmlns='urn:x-xbt:1' id='{id}' info-hash='{info_hash}'><fingerprint>{}</fingerprint>\
             <candidate kind='host' ip='127.0.0.1' port='{port}'/></connect>",
            self.fingerprint
        ))
    }
}

fn frame(id: u8, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len() + 1).unwrap_or(u32::MAX);
    [&length.to_be_bytes()[..], &[id], payload].concat()
}

fn hold(mut link: Link, bait: &Bait) -> io::Result<()> {
    link.sock.set_read_timeout(Some(Duration::from_secs(1)))?;
    let hello = format!("\0d1:md11:ut_metadatai3ee13:metadata_sizei{}ee", bait.info.len());
    link.write_all(&frame(20, hello.as_bytes()))?;
    let bits: Vec<u8> = (0..bait.pieces.div_ceil(8))
        .map(|byte| (0..8).filter(|bit| byte * 8 + bit < bait.pieces).fold(0, |bits, bit| bits | 0x80 >> bit))
        .collect();
    link.write_all(&frame(5, &bits))?;
    link.write_all(&frame(1, &[]))?;
    link.flush()?;
    let (mut input, mut buffer) = (Vec::new(), vec![0; 65_536]);
    loop {
        match link.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(count) => input.extend_from_slice(&buffer[..count]),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                link.write_all(&[0; 4])?;
                link.flush()?;
            }
            Err(error) => return Err(error),
        }
        while let Some(length) = input.first_chunk::<4>().map(|length| u32::from_be_bytes(*length) as usize)
            && input.len() >= 4 + length
        {
            let message: Vec<u8> = input.drain(..4 + length).skip(4).collect();
            if message.first() == Some(&20) && message.get(1).is_some_and(|id| *id != 0) {
                send_metadata(&mut link, bait, &message)?;
            }
        }
    }
}

fn send_metadata(link: &mut Link, bait: &Bait, request: &[u8]) -> io::Result<()> {
    let text = String::from_utf8_lossy(request).into_owned();
    let number = text.split("piecei").nth(1).and_then(|rest| rest.split('e').next()).and_then(|n| n.parse().ok());
    let Some(block): Option<usize> = number else { return Ok(()) };
    let part = bait.info.chunks(BLOCK).nth(block).unwrap_or_default();
    let head = format!("d8:msg_typei1e5:piecei{block}e10:total_sizei{}ee", bait.info.len());
    link.write_all(&frame(20, &[b"\x01", head.as_bytes(), part].concat()))?;
    link.flush()
}
