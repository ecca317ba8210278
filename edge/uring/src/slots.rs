//! The life of each direct descriptor: open, cancelling, closing, free, under a new generation each time.

/// A direct descriptor: slot and generation. Stale once its `Closed` completion was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Descriptor {
    pub(crate) slot: u32,
    pub(crate) generation: u32,
}

impl Descriptor {
    /// The descriptor of this name. Any numbers are harmless: using one that is not open panics.
    #[must_use]
    pub fn new(slot: u32, generation: u32) -> Descriptor {
        Descriptor { slot, generation }
    }

    /// The place in the ring's file table.
    #[must_use]
    pub fn slot(self) -> u32 {
        self.slot
    }

    /// How often the slot was opened, this time included.
    #[must_use]
    pub fn generation(self) -> u32 {
        self.generation
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Phase {
    #[default]
    Free,
    Open,
    /// Asked to close while requests are outstanding: they are being cancelled.
    Cancelling,
    /// The close itself is outstanding.
    Closing,
}

#[derive(Clone, Copy, Debug, Default)]
struct Slot {
    generation: u32,
    /// Requests on this descriptor without their final completion; the close is not counted.
    outstanding: u16,
    phase: Phase,
    receiving: bool,
    sending: bool,
}

/// What a slot needs next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    Nothing,
    Cancel,
    Close,
}

#[derive(Debug, Default)]
pub(crate) struct Slots {
    slots: Vec<Slot>,
}

impl Slots {
    /// The kernel put a socket into `slot`.
    pub(crate) fn open(&mut self, slot: u32) -> Descriptor {
        let index = slot as usize;
        if self.slots.len() <= index {
            self.slots.resize(index + 1, Slot::default());
        }
        let entry = &mut self.slots[index];
        assert!(
            entry.phase == Phase::Free && entry.outstanding == 0,
            "invariant 5: the kernel reused a slot that is not free"
        );
        *entry = Slot {
            // Zero is never a generation.
            generation: entry.generation.wrapping_add(1).max(1),
            phase: Phase::Open,
            ..Slot::default()
        };
        Descriptor { slot, generation: entry.generation }
    }

    fn find(&mut self, descriptor: Descriptor) -> Option<&mut Slot> {
        self.slots
            .get_mut(descriptor.slot as usize)
            .filter(|slot| slot.generation == descriptor.generation && slot.phase != Phase::Free)
    }

    fn require_open(&mut self, descriptor: Descriptor) -> &mut Slot {
        self.find(descriptor)
            .filter(|slot| slot.phase == Phase::Open)
            .expect("a request on a descriptor that is not open")
    }

    /// A request on `descriptor` is about to be submitted.
    pub(crate) fn begin(&mut self, descriptor: Descriptor) {
        self.require_open(descriptor).outstanding += 1;
    }

    /// As [`Slots::begin`], for the one receive (or poll in its place).
    pub(crate) fn begin_receive(&mut self, descriptor: Descriptor) {
        let slot = self.require_open(descriptor);
        assert!(!slot.receiving, "invariant 6: one receive at a time");
        slot.receiving = true;
        slot.outstanding += 1;
    }

    /// As [`Slots::begin`], for the one send (or connect).
    pub(crate) fn begin_send(&mut self, descriptor: Descriptor) {
        let slot = self.require_open(descriptor);
        assert!(!slot.sending, "invariant 6: one send at a time");
        slot.sending = true;
        slot.outstanding += 1;
    }

    /// A final completion. `None`: it is of another generation, nothing was touched.
    pub(crate) fn finish(&mut self, descriptor: Descriptor) -> Option<Next> {
        let slot = self.find(descriptor)?;
        slot.outstanding =
            slot.outstanding.checked_sub(1).expect("invariant 2: one final completion per request");
        if slot.phase == Phase::Cancelling && slot.outstanding == 0 {
            slot.phase = Phase::Closing;
            return Some(Next::Close);
        }
        Some(Next::Nothing)
    }

    /// As [`Slots::finish`], for the receive.
    pub(crate) fn finish_receive(&mut self, descriptor: Descriptor) -> Option<Next> {
        self.find(descriptor)?.receiving = false;
        self.finish(descriptor)
    }

    /// As [`Slots::finish`], for the send.
    pub(crate) fn finish_send(&mut self, descriptor: Descriptor) -> Option<Next> {
        self.find(descriptor)?.sending = false;
        self.finish(descriptor)
    }

    /// True if `descriptor` is the present one of its slot.
    pub(crate) fn is_current(&mut self, descriptor: Descriptor) -> bool {
        self.find(descriptor).is_some()
    }

    /// True if requests may be made on `descriptor`.
    pub(crate) fn is_open(&self, descriptor: Descriptor) -> bool {
        self.slots
            .get(descriptor.slot as usize)
            .is_some_and(|slot| slot.generation == descriptor.generation && slot.phase == Phase::Open)
    }

    /// The program wants `descriptor` closed.
    pub(crate) fn close(&mut self, descriptor: Descriptor) -> Next {
        let slot = self.require_open(descriptor);
        if slot.outstanding == 0 {
            slot.phase = Phase::Closing;
            return Next::Close;
        }
        slot.phase = Phase::Cancelling;
        // The cancel itself.
        slot.outstanding += 1;
        Next::Cancel
    }

    /// The cancel found nothing, yet a request is still outstanding: it was on its way between two
    /// places in the kernel. Cancel again.
    pub(crate) fn cancel_again(&mut self, descriptor: Descriptor) -> bool {
        match self.find(descriptor) {
            Some(slot) if slot.phase == Phase::Cancelling => {
                slot.outstanding += 1;
                true
            }
            _ => false,
        }
    }

    /// The close is done.
    pub(crate) fn closed(&mut self, descriptor: Descriptor) {
        let slot = self
            .find(descriptor)
            .filter(|slot| slot.phase == Phase::Closing && slot.outstanding == 0)
            .expect("invariant 5: closed after the last completion");
        slot.phase = Phase::Free;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_is_closed_after_its_last_completion() {
        let mut slots = Slots::default();
        let descriptor = slots.open(4);
        slots.begin_receive(descriptor);
        slots.begin_send(descriptor);
        assert_eq!(slots.close(descriptor), Next::Cancel);
        assert_eq!(slots.finish(descriptor), Some(Next::Nothing), "the cancel");
        assert_eq!(slots.finish_send(descriptor), Some(Next::Nothing));
        assert_eq!(slots.finish_receive(descriptor), Some(Next::Close));
        slots.closed(descriptor);
        assert_eq!(slots.finish(descriptor), None);
    }

    #[test]
    fn a_completion_of_an_earlier_generation_touches_nothing() {
        let mut slots = Slots::default();
        let old = slots.open(0);
        assert_eq!(slots.close(old), Next::Close);
        slots.closed(old);
        let new = slots.open(0);
        slots.begin_receive(new);
        assert_ne!(old, new);
        assert_eq!(slots.finish_receive(old), None);
        assert_eq!(slots.finish_send(old), None);
        assert!(!slots.cancel_again(old));
        // The new one's receive is still counted and still armed.
        assert_eq!(slots.close(new), Next::Cancel);
        assert_eq!(slots.finish(new), Some(Next::Nothing));
        assert_eq!(slots.finish_receive(new), Some(Next::Close));
    }

    #[test]
    #[should_panic(expected = "one receive at a time")]
    fn a_second_receive_is_refused() {
        let mut slots = Slots::default();
        let descriptor = slots.open(0);
        slots.begin_receive(descriptor);
        slots.begin_receive(descriptor);
    }

    #[test]
    #[should_panic(expected = "not open")]
    fn a_request_on_a_closing_descriptor_is_refused() {
        let mut slots = Slots::default();
        let descriptor = slots.open(0);
        slots.close(descriptor);
        slots.begin_send(descriptor);
    }
}
