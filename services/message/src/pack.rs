//! A batch as the engines take it: events packed per edge, records encoded.

use bytes::Bytes;
use prost::Message;
use ringside_domain::partition::Batch;
use ringside_ports::commit::CommitBatch;
use ringside_ports::log::Append;
use ringside_types::{Epoch, PartitionId, Slot, Topic};
use ringside_wire::encode;
use ringside_wire::records::{Control, EdgeBatch, EdgeItem, Stored, control};

/// Bytes of items in one record to an edge, about: one more item may exceed it.
pub const EDGE_RECORD_BYTES: usize = 256 * 1024;

/// Encodes what a batch of `partition` made.
///
/// # Panics
/// When the batch has no progress: it was not applied.
pub fn pack(partition: PartitionId, batch: Batch) -> CommitBatch {
    let mut outside = Vec::new();
    let mut append = |topic, partition, payload| outside.push(Append { topic, partition, payload });
    if !batch.stored.is_empty() {
        append(Topic::MessagesStored, partition, encode(&Stored { items: batch.stored }));
    }
    for added in batch.added {
        let control = Control { body: Some(control::Body::MemberAdded(added)) };
        append(Topic::Control, PartitionId(0), encode(&control));
    }
    for departed in batch.departed {
        let control = Control { body: Some(control::Body::Departed(departed)) };
        append(Topic::Control, PartitionId(0), encode(&control));
    }
    for dead in batch.dead {
        append(Topic::MessagesDead, partition, encode(&dead));
    }
    outside.extend(per_edge(batch.rejections));
    CommitBatch {
        partition,
        rows: batch.rows,
        outside,
        heads: batch.heads,
        edges: per_edge(batch.edges),
        progress: batch.progress.expect("an applied batch has progress"),
    }
}

/// Packs items per edge, in order.
fn per_edge(items: Vec<(Slot, Epoch, EdgeItem)>) -> Vec<Append> {
    let mut open: Vec<(Slot, EdgeBatch, usize)> = Vec::new();
    let mut done = Vec::new();
    for (slot, epoch, item) in items {
        let bytes = item.encoded_len();
        let same = open.iter_mut().find(|(of, batch, _)| *of == slot && batch.epoch == epoch.0);
        let Some((_, batch, size)) = same else {
            open.push((slot, EdgeBatch { epoch: epoch.0, items: vec![item] }, bytes));
            continue;
        };
        batch.items.push(item);
        *size += bytes;
        if *size >= EDGE_RECORD_BYTES {
            done.push(record(
                slot,
                &std::mem::replace(batch, EdgeBatch { epoch: epoch.0, items: Vec::new() }),
            ));
            *size = 0;
        }
    }
    let rest = open.iter().filter(|(_, batch, _)| !batch.items.is_empty());
    done.extend(rest.map(|(slot, batch, _)| record(*slot, batch)));
    done
}

fn record(slot: Slot, batch: &EdgeBatch) -> Append {
    let payload: Bytes = encode(batch);
    Append { topic: Topic::MessagesReceive, partition: slot.partition(), payload }
}
