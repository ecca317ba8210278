//! Which of a cluster's slots a key is in, and which server has the slot.

use std::collections::BTreeSet;
use std::sync::Arc;

use redis::Value;

use crate::config::Address;

/// Slots of every Redis Cluster.
pub(crate) const SLOTS: u16 = 16_384;

/// A key's slot: of what stands between the first braces, if something does.
pub(crate) fn slot_of(key: &[u8]) -> u16 {
    let tag = key.iter().position(|byte| *byte == b'{').and_then(|open| {
        let rest = &key[open + 1..];
        let close = rest.iter().position(|byte| *byte == b'}')?;
        (close > 0).then_some(&rest[..close])
    });
    crc16(tag.unwrap_or(key)) % SLOTS
}

/// CRC-16/XMODEM, as the cluster's specification asks.
fn crc16(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0_u16, |crc, byte| {
        (0..8).fold(crc ^ (u16::from(*byte) << 8), |crc, _| {
            if crc & 0x8000 == 0 { crc << 1 } else { (crc << 1) ^ 0x1021 }
        })
    })
}

/// Which primary has which slot, as one of the servers said last.
#[derive(Clone, Debug)]
pub(crate) struct SlotMap {
    owners: Vec<Option<Arc<Address>>>,
}

impl SlotMap {
    /// Nothing is known.
    pub(crate) fn unknown() -> Self {
        Self { owners: vec![None; usize::from(SLOTS)] }
    }

    /// One server has them all.
    pub(crate) fn of_one(address: Address) -> Self {
        Self { owners: vec![Some(Arc::new(address)); usize::from(SLOTS)] }
    }

    pub(crate) fn owner(&self, slot: u16) -> Option<&Arc<Address>> {
        self.owners.get(usize::from(slot))?.as_ref()
    }

    pub(crate) fn set_owner(&mut self, slot: u16, address: Address) {
        if let Some(owner) = self.owners.get_mut(usize::from(slot)) {
            *owner = Some(Arc::new(address));
        }
    }

    /// Every primary once.
    pub(crate) fn primaries(&self) -> BTreeSet<Arc<Address>> {
        self.owners.iter().flatten().cloned().collect()
    }

    /// Slots that no primary has.
    pub(crate) fn uncovered(&self) -> usize {
        self.owners.iter().filter(|owner| owner.is_none()).count()
    }

    /// Reads the answer to `CLUSTER SLOTS`; `None`: it is none. A primary without a name is the one that answered.
    pub(crate) fn read(answer: &Value, from: &Address) -> Option<Self> {
        let Value::Array(ranges) = answer else { return None };
        let mut map = Self::unknown();
        for range in ranges {
            let Value::Array(range) = range else { return None };
            let [Value::Int(first), Value::Int(last), Value::Array(primary), ..] = range.as_slice() else {
                return None;
            };
            let [host, Value::Int(port), ..] = primary.as_slice() else { return None };
            let host = match host {
                Value::BulkString(name) if name.as_slice() != b"?" && !name.is_empty() => {
                    String::from_utf8(name.clone()).ok()?
                }
                Value::SimpleString(name) if name != "?" && !name.is_empty() => name.clone(),
                _ => from.host.clone(),
            };
            let owner = Arc::new(Address { host, port: u16::try_from(*port).ok()? });
            let (first, last) = (usize::try_from(*first).ok()?, usize::try_from(*last).ok()?);
            map.owners.get_mut(first..=last)?.fill(Some(owner));
        }
        Some(map)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_in_the_slots_of_the_specification() {
        // `CLUSTER KEYSLOT` of each.
        let check = |key: &str, slot| assert_eq!(slot_of(key.as_bytes()), slot, "{key}");
        check("123456789", 12_739);
        check("foo", 12_182);
        check("a{foo}b{bar}", 12_182);
        check("{}foo", 9_500);
        check("{foo", 13_308);
        check("", 0);
    }

    #[test]
    fn maps_are_read() {
        let from = Address { host: "seed".into(), port: 1 };
        let node = |host: &str, port| {
            let host = Value::BulkString(host.as_bytes().to_vec());
            Value::Array(vec![host, Value::Int(port), Value::BulkString(b"id".to_vec())])
        };
        let range =
            |first, last, node| Value::Array(vec![Value::Int(first), Value::Int(last), node, Value::Nil]);
        let answer = Value::Array(vec![range(0, 99, node("a", 7)), range(100, 199, node("", 8))]);
        let map = SlotMap::read(&answer, &from).expect("a map");
        let owner = |slot| map.owner(slot).map(|address| address.to_string());
        assert_eq!((owner(99), owner(100)), (Some("a:7".into()), Some("seed:8".into())));
        assert_eq!((owner(200), map.uncovered()), (None, usize::from(SLOTS) - 200));
        assert_eq!(map.primaries().len(), 2);
        let odd = |first, last, port| {
            SlotMap::read(&Value::Array(vec![range(first, last, node("a", port))]), &from).is_none()
        };
        assert!(odd(5, 99_999, 7) && odd(-1, 5, 7) && odd(0, 5, 70_000));
        assert!(odd(5, 3, 7), "a range that runs backwards");
    }
}
