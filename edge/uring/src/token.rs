//! A request's `user_data`: operation, slot and generation in 64 bits.

/// Slots that a token can name.
pub const SLOT_LIMIT: u32 = 1 << SLOT_BITS;

const SLOT_BITS: u32 = 24;
const GENERATION_BITS: u32 = 32;

const _: () = assert!(SLOT_BITS + GENERATION_BITS + u8::BITS == u64::BITS);

/// What was asked. `Send` and `Connect` name a held place, the others a descriptor's slot or nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Operation {
    AcceptMulti = 1,
    AcceptOnce,
    CancelAccept,
    Receive,
    Readable,
    Send,
    Connect,
    Cancel,
    Close,
    /// A socket option.
    Option,
    /// The end of our side of the stream.
    Shutdown,
    Doorbell,
    /// Waited for by the caller at once.
    Call,
    /// While the ring goes away.
    CancelAll,
}

const OPERATIONS: [Operation; 14] = [
    Operation::AcceptMulti,
    Operation::AcceptOnce,
    Operation::CancelAccept,
    Operation::Receive,
    Operation::Readable,
    Operation::Send,
    Operation::Connect,
    Operation::Cancel,
    Operation::Close,
    Operation::Option,
    Operation::Shutdown,
    Operation::Doorbell,
    Operation::Call,
    Operation::CancelAll,
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Token {
    pub(crate) operation: Operation,
    pub(crate) slot: u32,
    pub(crate) generation: u32,
}

impl Token {
    pub(crate) fn new(operation: Operation, slot: u32, generation: u32) -> Token {
        assert!(slot < SLOT_LIMIT, "a slot has 24 bits");
        Token { operation, slot, generation }
    }

    /// A request of the ring itself.
    pub(crate) fn of_ring(operation: Operation) -> Token {
        Token::new(operation, 0, 0)
    }

    pub(crate) fn to_user_data(self) -> u64 {
        (self.operation as u64) << (SLOT_BITS + GENERATION_BITS)
            | u64::from(self.slot) << GENERATION_BITS
            | u64::from(self.generation)
    }

    /// The token of a completion; `None` for a number that no token makes.
    pub(crate) fn from_user_data(data: u64) -> Option<Token> {
        let number = (data >> (SLOT_BITS + GENERATION_BITS)) as usize;
        Some(Token {
            operation: *OPERATIONS.get(number.checked_sub(1)?)?,
            slot: (data >> GENERATION_BITS) as u32 & (SLOT_LIMIT - 1),
            generation: data as u32,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_survives_the_kernel() {
        for operation in OPERATIONS {
            for (slot, generation) in [(0, 0), (SLOT_LIMIT - 1, u32::MAX), (5, 1)] {
                let token = Token::new(operation, slot, generation);
                assert_eq!(Token::from_user_data(token.to_user_data()), Some(token));
            }
        }
        assert_eq!(Token::from_user_data(0), None);
        assert_eq!(Token::from_user_data(u64::MAX), None);
    }
}
