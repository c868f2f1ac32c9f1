//! In-band bytestreams (XEP-0047).

pub(crate) mod small_records;
