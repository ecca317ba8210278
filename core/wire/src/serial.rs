//! Records within values that serde writes: as the bytes that the log would hold.

use bytes::Bytes;
use prost::Message;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::records::{Effective, Profile};

macro_rules! as_bytes {
    ($($record:ty),*) => {$(
        impl Serialize for $record {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_bytes(&self.encode_to_vec())
            }
        }

        impl<'de> Deserialize<'de> for $record {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                Self::decode(Bytes::deserialize(deserializer)?).map_err(D::Error::custom)
            }
        }
    )*};
}

as_bytes!(Effective, Profile);
