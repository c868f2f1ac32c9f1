//! The dictionary as received, before any check.

use std::marker::PhantomData;

use serde::Deserialize;
use serde::de::{Deserializer, SeqAccess, Visitor};

use super::{MAX_FILES, MAX_FOLDERS};
use crate::names::MAX_DEPTH;

#[derive(Deserialize)]
pub(super) struct RawInfo<'a> {
    #[serde(borrow)]
    pub(super) name: &'a [u8],
    #[serde(rename = "piece length")]
    pub(super) piece_length: i64,
    #[serde(borrow)]
    pub(super) pieces: &'a [u8],
    pub(super) length: Option<i64>,
    /// Of a single file, as in [`RawFile`].
    #[serde(borrow)]
    pub(super) attr: Option<&'a [u8]>,
    pub(super) mtime: Option<i64>,
    #[serde(borrow)]
    pub(super) files: Option<Bounded<RawFile<'a>, MAX_FILES>>,
    #[serde(rename = "xbt dirs", borrow)]
    pub(super) folders: Option<Bounded<RawPath<'a>, MAX_FOLDERS>>,
    #[serde(rename = "xbt omitted")]
    pub(super) omitted: Option<i64>,
}

/// The components of a path.
pub(super) type RawPath<'a> = Bounded<&'a [u8], MAX_DEPTH>;

#[derive(Deserialize)]
pub(super) struct RawFile<'a> {
    pub(super) length: i64,
    #[serde(borrow)]
    pub(super) path: RawPath<'a>,
    /// BEP 47: `x` for executable, `l` for a symbolic link.
    #[serde(borrow)]
    pub(super) attr: Option<&'a [u8]>,
    pub(super) mtime: Option<i64>,
    /// BEP 47: where a symbolic link leads, from the root of the content.
    #[serde(rename = "symlink path", borrow)]
    pub(super) symlink_path: Option<RawPath<'a>>,
    /// The text of the symbolic link, where it is not the shortest that leads there.
    #[serde(rename = "xbt target", borrow)]
    pub(super) target: Option<&'a [u8]>,
}

/// Whether an `attr` has this letter.
pub(super) fn has(attr: Option<&[u8]>, letter: u8) -> bool {
    attr.is_some_and(|attr| attr.contains(&letter))
}

/// A list that stops being read at its bound: 32 MiB of metadata could otherwise unfold to gigabytes.
pub(super) struct Bounded<T, const N: usize>(pub(super) Vec<T>);

impl<'de, T: Deserialize<'de>, const N: usize> Deserialize<'de> for Bounded<T, N> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Items<T, const N: usize>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>, const N: usize> Visitor<'de> for Items<T, N> {
            type Value = Bounded<T, N>;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(f, "a list of at most {N}")
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
                let mut items = Vec::new();
                while let Some(item) = seq.next_element()? {
                    if items.len() == N {
                        return Err(serde::de::Error::custom("too many"));
                    }
                    items.push(item);
                }
                Ok(Bounded(items))
            }
        }
        deserializer.deserialize_seq(Items(PhantomData))
    }
}
