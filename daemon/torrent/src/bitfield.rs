//! Which pieces somebody has (BEP 3): one bit per piece, high bit first, spare bits zero.

/// A set of piece numbers below a fixed length.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub(crate) struct Bitfield {
    bytes: Vec<u8>,
    len: u32,
    count: u32,
}

impl Bitfield {
    pub(crate) fn empty(len: u32) -> Self {
        Self { bytes: vec![0; len.div_ceil(8) as usize], len, count: 0 }
    }

    pub(crate) fn full(len: u32) -> Self {
        let mut field = Self { bytes: vec![0xff; len.div_ceil(8) as usize], len, count: len };
        if let (Some(last), used @ 1..) = (field.bytes.last_mut(), len % 8) {
            *last = 0xff << (8 - used);
        }
        field
    }

    /// `None`: wrong length, or a spare bit is set.
    pub(crate) fn from_bytes(bytes: &[u8], len: u32) -> Option<Self> {
        if bytes.len() != len.div_ceil(8) as usize {
            return None;
        }
        if let (Some(last), used @ 1..) = (bytes.last(), len % 8)
            && last << used != 0
        {
            return None;
        }
        let count = bytes.iter().map(|byte| byte.count_ones()).sum();
        Some(Self { bytes: bytes.to_vec(), len, count })
    }

    /// As another program sent it. Spare bits count for nothing: some set them (cratetorrent), against BEP 3.
    /// `None`: wrong length.
    pub(crate) fn from_peer(mut bytes: Vec<u8>, len: u32) -> Option<Self> {
        if let (Some(last), used @ 1..) = (bytes.last_mut(), len % 8) {
            *last &= 0xff << (8 - used);
        }
        Self::from_bytes(&bytes, len)
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub(crate) fn len(&self) -> u32 {
        self.len
    }

    /// How many are set.
    pub(crate) fn count(&self) -> u32 {
        self.count
    }

    pub(crate) fn is_full(&self) -> bool {
        self.count == self.len
    }

    pub(crate) fn has(&self, index: u32) -> bool {
        self.bytes.get(index as usize / 8).is_some_and(|byte| byte & (0x80 >> (index % 8)) != 0)
    }

    /// 64 bits, the first piece's the highest; zero beyond the end.
    pub(crate) fn word(&self, at: usize) -> u64 {
        let rest = self.bytes.get(at * 8..).unwrap_or_default();
        match rest.first_chunk() {
            Some(word) => u64::from_be_bytes(*word),
            None => rest.iter().enumerate().fold(0, |word, (at, byte)| word | u64::from(*byte) << (56 - 8 * at)),
        }
    }

    /// Sets a bit; `false` if it was set already or is out of range.
    pub(crate) fn set(&mut self, index: u32) -> bool {
        if index >= self.len || self.has(index) {
            return false;
        }
        if let Some(byte) = self.bytes.get_mut(index as usize / 8) {
            *byte |= 0x80 >> (index % 8);
            self.count += 1;
        }
        true
    }

    /// Clears a bit.
    pub(crate) fn unset(&mut self, index: u32) {
        if self.has(index)
            && let Some(byte) = self.bytes.get_mut(index as usize / 8)
        {
            *byte &= !(0x80 >> (index % 8));
            self.count -= 1;
        }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        (0..self.len).filter(|index| self.has(*index))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use super::*;

    #[test]
    fn bits_are_counted_and_spare_bits_refused() {
        let mut field = Bitfield::empty(10);
        assert!(field.set(0) && field.set(9) && !field.set(9) && !field.set(10));
        assert_eq!(field.bytes(), [0x80, 0x40]);
        assert_eq!(field.iter().collect::<Vec<_>>(), [0, 9]);
        assert_eq!(Bitfield::from_bytes(&[0x80, 0x40], 10), Some(field));
        assert_eq!(Bitfield::from_bytes(&[0x80, 0x20], 10), None);
        assert_eq!(Bitfield::from_bytes(&[0x80], 10), None);
        assert_eq!(Bitfield::full(10).bytes(), [0xff, 0xc0]);
        assert_eq!(Bitfield::from_peer(vec![0xff, 0xff], 10), Some(Bitfield::full(10)));
        assert_eq!(Bitfield::from_peer(vec![0xff; 3], 10), None);
        assert!(Bitfield::full(16).is_full() && Bitfield::full(0).is_full());
        assert_eq!(Bitfield::from_bytes(Bitfield::full(8).bytes(), 8), Some(Bitfield::full(8)));
    }
}
