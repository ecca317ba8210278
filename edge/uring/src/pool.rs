//! The receive pool: buffers that the kernel fills, lent to the program, given back.

use std::alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error};
use std::fmt;
use std::ptr::NonNull;
use std::rc::Rc;
use std::sync::atomic::{AtomicU16, AtomicU32, Ordering};

use io_uring::types::BufRingEntry;

/// The kernel wants the ring of entries at the start of a page.
const PAGE_BYTES: usize = 4096;

const _: () = assert!(PAGE_BYTES.is_multiple_of(align_of::<BufRingEntry>()));

/// A buffer that the kernel filled. To be given back to the pool that it came from, exactly once;
/// one that is dropped is lost to the pool.
#[derive(Debug)]
#[must_use = "a buffer that is not given back is lost to the pool"]
pub struct Lease {
    pool: u32,
    buffer: u16,
    len: u32,
}

impl Lease {
    /// Bytes that the kernel wrote.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len as usize
    }

    /// True if the kernel wrote nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }
}

/// The memory of a pool, owned together by its ring and its [`BufferPool`].
pub(crate) struct Memory {
    name: u32,
    entries: NonNull<BufRingEntry>,
    entries_layout: Layout,
    buffers: NonNull<u8>,
    buffers_layout: Layout,
    count: u16,
    buffer_bytes: u32,
}

impl Memory {
    fn new(count: u16, buffer_bytes: u32) -> Memory {
        static NAMES: AtomicU32 = AtomicU32::new(0);
        assert!(count.is_power_of_two() && buffer_bytes > 0, "a pool has a power of two of buffers");
        let layout =
            |bytes: usize| Layout::from_size_align(bytes, PAGE_BYTES).expect("a pool is smaller than memory");
        let entries_layout = layout(usize::from(count) * size_of::<BufRingEntry>());
        let buffers_layout = layout(usize::from(count) * buffer_bytes as usize);
        Memory {
            name: NAMES.fetch_add(1, Ordering::Relaxed),
            entries: allocate(entries_layout).cast(),
            entries_layout,
            buffers: allocate(buffers_layout),
            buffers_layout,
            count,
            buffer_bytes,
        }
    }

    /// Where the kernel finds the entries.
    pub(crate) fn entries_address(&self) -> u64 {
        self.entries.as_ptr() as u64
    }

    pub(crate) fn count(&self) -> u16 {
        self.count
    }

    /// The lease for a completion's buffer.
    pub(crate) fn lease(&self, buffer: u16, len: u32) -> Lease {
        assert!(
            buffer < self.count && len <= self.buffer_bytes,
            "invariant 3: the kernel named a buffer that the pool does not have"
        );
        Lease { pool: self.name, buffer, len }
    }

    fn buffer_at(&self, buffer: u16) -> *mut u8 {
        let offset = usize::from(buffer) * self.buffer_bytes as usize;
        // SAFETY: invariant 1: the allocation holds `count` buffers, and `buffer` is below `count`
        // (asserted where leases are made, and by the loop that fills the pool).
        unsafe { self.buffers.as_ptr().add(offset) }
    }
}

fn allocate(layout: Layout) -> NonNull<u8> {
    assert!(layout.size() > 0, "a pool is not empty");
    // SAFETY: the layout's size is not zero.
    let memory = unsafe { alloc_zeroed(layout) };
    NonNull::new(memory).unwrap_or_else(|| handle_alloc_error(layout))
}

impl Drop for Memory {
    fn drop(&mut self) {
        // SAFETY: both were allocated with these layouts; invariants 1 and 4: the ring, which
        // co-owns this, drops its share only when no request can reach it.
        unsafe {
            dealloc(self.entries.as_ptr().cast(), self.entries_layout);
            dealloc(self.buffers.as_ptr(), self.buffers_layout);
        }
    }
}

/// The program's side of a ring's receive pool: looks into lent buffers and gives them back.
pub struct BufferPool {
    memory: Rc<Memory>,
    tail: u16,
}

impl fmt::Debug for BufferPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BufferPool")
            .field("count", &self.memory.count)
            .field("buffer_bytes", &self.memory.buffer_bytes)
            .finish_non_exhaustive()
    }
}

impl BufferPool {
    /// A pool with all buffers offered, and the ring's share of its memory.
    pub(crate) fn new(count: u16, buffer_bytes: u32) -> (BufferPool, Rc<Memory>) {
        let memory = Rc::new(Memory::new(count, buffer_bytes));
        let mut pool = BufferPool { memory: Rc::clone(&memory), tail: 0 };
        for buffer in 0..count {
            pool.offer(buffer);
        }
        (pool, memory)
    }

    /// The bytes of a lent buffer; may be changed in place.
    ///
    /// # Panics
    /// If the lease is another pool's.
    pub fn lent(&mut self, lease: &Lease) -> &mut [u8] {
        self.check(lease);
        let start = self.memory.buffer_at(lease.buffer);
        // SAFETY: invariant 3: the buffer is not the kernel's while its lease exists, no second
        // lease names it, and `&mut self` lends one slice at a time; `len` fits (asserted when
        // the lease was made) and all bytes were zeroed at first.
        unsafe { std::slice::from_raw_parts_mut(start, lease.len as usize) }
    }

    /// Offers a buffer to the kernel again.
    ///
    /// # Panics
    /// If the lease is another pool's.
    // By value: the lease ends here.
    #[allow(clippy::needless_pass_by_value)]
    pub fn give_back(&mut self, lease: Lease) {
        self.check(&lease);
        self.offer(lease.buffer);
    }

    fn check(&self, lease: &Lease) {
        assert!(lease.pool == self.memory.name, "invariant 3: a lease belongs to one pool");
    }

    fn offer(&mut self, buffer: u16) {
        let index = usize::from(self.tail & (self.memory.count - 1));
        let address = self.memory.buffer_at(buffer) as u64;
        // SAFETY: invariant 1: the allocation holds `count` entries and the index is masked.
        // Invariant 7: at most `count` buffers exist, so this entry is not between the kernel's
        // head and the tail, and the kernel does not read it.
        let entry = unsafe { &mut *self.memory.entries.as_ptr().add(index) };
        entry.set_addr(address);
        entry.set_len(self.memory.buffer_bytes);
        entry.set_bid(buffer);
        self.tail = self.tail.wrapping_add(1);
        // SAFETY: the pointer is to the first entry; its tail field is an aligned u16 that only
        // this thread writes and the kernel reads.
        let tail =
            unsafe { AtomicU16::from_ptr(BufRingEntry::tail(self.memory.entries.as_ptr()).cast_mut()) };
        // Invariant 7: the entry is written before the tail that shows it.
        tail.store(self.tail, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[should_panic(expected = "belongs to one pool")]
    fn a_lease_of_another_pool_is_refused() {
        let (mut first, _) = BufferPool::new(2, 64);
        let (_, second) = BufferPool::new(2, 64);
        first.give_back(second.lease(0, 1));
    }

    #[test]
    #[should_panic(expected = "does not have")]
    fn a_buffer_beyond_the_pool_is_refused() {
        let (_, memory) = BufferPool::new(2, 64);
        let _lease = memory.lease(2, 1);
    }

    #[test]
    fn buffers_go_round_many_times() {
        let (mut pool, memory) = BufferPool::new(4, 64);
        for n in 0..100_000u32 {
            let lease = memory.lease((n % 4) as u16, 64);
            pool.lent(&lease).fill(n as u8);
            pool.give_back(lease);
        }
    }
}
