//! The floor: what the disk itself asks for, without any store.

use std::fs::File;
use std::io::Write as _;
use std::path::Path;

use super::{Engine, Outcome};
use crate::load::{Batch, Channel, Message};

/// A file that grows.
pub struct Floor {
    file: File,
    bytes: Vec<u8>,
}

impl Floor {
    pub fn open(folder: &Path) -> Outcome<Self> {
        Ok(Self {
            file: File::options().create(true).append(true).open(folder.join("floor"))?,
            bytes: Vec::new(),
        })
    }
}

impl Engine for Floor {
    fn commit(&mut self, batch: &Batch) -> Outcome<()> {
        self.bytes.clear();
        for message in &batch.messages {
            self.bytes.extend_from_slice(&message.log_key());
            self.bytes.extend_from_slice(message.payload());
            self.bytes.extend_from_slice(&message.row_key());
            self.bytes.extend_from_slice(message.payload());
            self.bytes.extend_from_slice(&message.idempotency_key());
            self.bytes.extend_from_slice(&message.idempotency_value());
        }
        for (channel, head) in &batch.heads {
            self.bytes.extend_from_slice(channel);
            self.bytes.extend_from_slice(head);
        }
        self.file.write_all(&self.bytes)?;
        Ok(self.file.sync_data()?)
    }

    fn page(&self, _: &Channel, _: usize) -> Outcome<usize> {
        Err("the floor can't be read".into())
    }

    fn holds(&self, _: &Message) -> Outcome<bool> {
        Err("the floor can't be read".into())
    }
}
