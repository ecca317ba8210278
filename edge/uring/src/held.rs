//! Memory that requests point to, parked until the kernel's final answer.

use crate::slots::Descriptor;
use crate::token::{Operation, SLOT_LIMIT, Token};

/// What one request points to. The pointed-to memory is on the heap: moving this moves no byte of it.
#[derive(Debug)]
pub(crate) enum Memory {
    Send { buffer: Vec<u8>, offset: usize },
    Address(Box<libc::sockaddr_storage>),
}

#[derive(Debug)]
struct Place {
    generation: u32,
    content: Option<(Descriptor, Memory)>,
}

/// Places for held memory; a token names place and generation.
#[derive(Debug, Default)]
pub(crate) struct Held {
    places: Vec<Place>,
    free: Vec<u32>,
}

impl Held {
    /// Parks `memory` and names its place.
    pub(crate) fn park(&mut self, operation: Operation, descriptor: Descriptor, memory: Memory) -> Token {
        let index = self.free.pop().unwrap_or_else(|| {
            let index = self.places.len() as u32;
            assert!(index < SLOT_LIMIT, "fewer requests than a token can name");
            self.places.push(Place { generation: 0, content: None });
            index
        });
        let place = &mut self.places[index as usize];
        assert!(place.content.is_none(), "invariant 1: a held place is free");
        place.generation = place.generation.wrapping_add(1);
        place.content = Some((descriptor, memory));
        Token::new(operation, index, place.generation)
    }

    /// Looks at what is parked.
    pub(crate) fn peek(&self, token: Token) -> Option<&Memory> {
        let place = self.places.get(token.slot as usize)?;
        let (_, memory) = place.content.as_ref()?;
        (place.generation == token.generation).then_some(memory)
    }

    /// Takes back what was parked. `None`: a stale token.
    pub(crate) fn release(&mut self, token: Token) -> Option<(Descriptor, Memory)> {
        let place = self.places.get_mut(token.slot as usize)?;
        if place.generation != token.generation {
            return None;
        }
        let content = place.content.take()?;
        self.free.push(token.slot);
        Some(content)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_given_back_once_and_by_its_own_token() {
        let mut held = Held::default();
        let descriptor = Descriptor::new(1, 1);
        let park = |held: &mut Held| {
            let memory = Memory::Send { buffer: vec![1], offset: 0 };
            held.park(Operation::Send, descriptor, memory)
        };
        let first = park(&mut held);
        assert!(held.release(first).is_some());
        assert!(held.release(first).is_none());
        let second = park(&mut held);
        assert_eq!(first.slot, second.slot, "places are reused");
        assert!(held.release(first).is_none(), "a stale token takes nothing");
        assert!(held.peek(second).is_some());
    }
}
