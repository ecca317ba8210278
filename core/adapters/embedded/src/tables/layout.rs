//! Bytes of keys and values: numbers big-endian, so that keys sort as their numbers do; texts with their length before.

/// The first byte of every value: how the rest is laid out. A later layout takes the next number and reads this one.
pub(crate) const FORMAT: u8 = 1;
/// Where the stamp (or the register's number) stands in every value that has one: right after the format.
const STAMP_AT: std::ops::Range<usize> = 1..9;

/// Builds a value, or a key.
#[derive(Default)]
pub(crate) struct Builder(Vec<u8>);

impl Builder {
    /// A value: it begins with the format and the stamp (or the register's number).
    pub(crate) fn value(stamp: u64, capacity: usize) -> Self {
        let mut bytes = Vec::with_capacity(STAMP_AT.end + capacity);
        bytes.push(FORMAT);
        Self(bytes).u64(stamp)
    }

    pub(crate) fn u8(mut self, number: u8) -> Self {
        self.0.push(number);
        self
    }

    pub(crate) fn u16(mut self, number: u16) -> Self {
        self.0.extend_from_slice(&number.to_be_bytes());
        self
    }

    pub(crate) fn u64(mut self, number: u64) -> Self {
        self.0.extend_from_slice(&number.to_be_bytes());
        self
    }

    /// Bytes whose length the reader knows, or that are the rest.
    pub(crate) fn raw(mut self, bytes: &[u8]) -> Self {
        self.0.extend_from_slice(bytes);
        self
    }

    /// Bytes with their length before them.
    pub(crate) fn sized(mut self, bytes: &[u8]) -> Self {
        let length = u32::try_from(bytes.len()).expect("a field is far below 4 GiB: the wire's limit is");
        self.0.extend_from_slice(&length.to_be_bytes());
        self.0.extend_from_slice(bytes);
        self
    }

    pub(crate) fn done(self) -> Vec<u8> {
        self.0
    }
}

/// Reads a value, or a key. `None` anywhere: it is not what was written.
pub(crate) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub(crate) fn key(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// The stamp and what follows it.
    pub(crate) fn value(bytes: &'a [u8]) -> Option<(u64, Self)> {
        let mut reader = Self(bytes);
        (reader.u8()? == FORMAT).then_some(())?;
        Some((reader.u64()?, reader))
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (head, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*head)
    }

    pub(crate) fn u8(&mut self) -> Option<u8> {
        self.array::<1>().map(|[byte]| byte)
    }

    pub(crate) fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_be_bytes)
    }

    pub(crate) fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_be_bytes)
    }

    pub(crate) fn uuid(&mut self) -> Option<uuid::Uuid> {
        self.array().map(uuid::Uuid::from_bytes)
    }

    pub(crate) fn sized(&mut self) -> Option<&'a [u8]> {
        let length = self.array().map(u32::from_be_bytes)? as usize;
        let (field, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(field)
    }

    pub(crate) fn text(&mut self) -> Option<String> {
        self.sized().and_then(|bytes| String::from_utf8(bytes.to_vec()).ok())
    }

    /// All that is left.
    pub(crate) fn rest(self) -> &'a [u8] {
        self.0
    }

    /// Whether nothing is left.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Nothing may be left.
    pub(crate) fn end(self) -> Option<()> {
        self.0.is_empty().then_some(())
    }
}

/// The stamp (or the register's number) of a value, without reading the rest.
pub(crate) fn stamp_of(value: &[u8]) -> Option<u64> {
    Reader::value(value).map(|(stamp, _)| stamp)
}
