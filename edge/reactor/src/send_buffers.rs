//! Send buffers go round: an idle connection holds none, a shard keeps a bounded store of spares.

/// Spare buffers that a shard keeps.
pub(crate) const SPARE_BUFFERS: usize = 256;
/// A buffer that grew beyond this is given back to the allocator.
pub(crate) const SPARE_CAPACITY_BYTES: usize = 16 * 1024;
/// What a fresh buffer can hold before it grows.
const FRESH_CAPACITY_BYTES: usize = 512;

const _: () = assert!(FRESH_CAPACITY_BYTES <= SPARE_CAPACITY_BYTES);

#[derive(Debug, Default)]
pub(crate) struct SendBuffers {
    spare: Vec<Vec<u8>>,
}

impl SendBuffers {
    /// An empty buffer with room.
    pub(crate) fn take(&mut self) -> Vec<u8> {
        self.spare.pop().unwrap_or_else(|| Vec::with_capacity(FRESH_CAPACITY_BYTES))
    }

    pub(crate) fn give(&mut self, mut buffer: Vec<u8>) {
        if self.spare.len() < SPARE_BUFFERS && (1..=SPARE_CAPACITY_BYTES).contains(&buffer.capacity()) {
            buffer.clear();
            self.spare.push(buffer);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_store_is_bounded_in_count_and_size() {
        let mut buffers = SendBuffers::default();
        for _ in 0..SPARE_BUFFERS + 10 {
            buffers.give(Vec::with_capacity(100));
        }
        assert_eq!(buffers.spare.len(), SPARE_BUFFERS);
        buffers.spare.clear();
        buffers.give(Vec::with_capacity(SPARE_CAPACITY_BYTES + 1));
        buffers.give(Vec::new());
        assert!(buffers.spare.is_empty());
        buffers.give(b"used".to_vec());
        assert!(buffers.take().is_empty(), "a spare buffer comes back empty");
    }
}
