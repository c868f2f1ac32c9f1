//! JSON in frames.

use std::io;
use std::pin::Pin;

use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio_serde::{Deserializer, Serializer};
use tokio_util::bytes::{Bytes, BytesMut};

/// Reads each frame as the text that it is, checked once; `tokio_serde`'s own codec reads it byte by byte, which takes a long
/// list twice the time.
pub(crate) struct Json;

impl<T: DeserializeOwned> Deserializer<T> for Json {
    type Error = io::Error;

    fn deserialize(self: Pin<&mut Self>, frame: &BytesMut) -> io::Result<T> {
        let text = std::str::from_utf8(frame).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
        Ok(serde_json::from_str(text)?)
    }
}

impl<T: Serialize> Serializer<T> for Json {
    type Error = io::Error;

    fn serialize(self: Pin<&mut Self>, message: &T) -> io::Result<Bytes> {
        Ok(serde_json::to_vec(message)?.into())
    }
}
