//! The outbox. Its rows are written under their channel's row lock, so of one channel they become visible in the order of their
//! versions, and their ids have the same order. Relays of several processes may take the same rows to the log: readers know a
//! version that they have seen.

use bytes::Bytes;
use ringside_ports::EngineError;
use ringside_ports::channels::{Outbox, OutboxRow};
use ringside_types::ChannelId;
use ringside_wire::records::Membership;
use sqlx::PgConnection;
use sqlx::postgres::PgRow;

use crate::directory::Directory;
use crate::failure::Failure;
use crate::rows::{self, to_column};
use crate::transaction::Ending::Commit;
use crate::transaction::{read, transaction};

impl Outbox for Directory {
    async fn unsent(&self, channel: Option<ChannelId>, limit: usize) -> Result<Vec<OutboxRow>, EngineError> {
        let found = read!(self, connection, {
            // Two statements, so that each is planned for the one index that it reads.
            let found = match channel {
                None => {
                    sqlx::query("SELECT id, channel_id, version, record FROM outbox ORDER BY id LIMIT $1")
                }
                Some(_) => sqlx::query(
                    "SELECT id, channel_id, version, record FROM outbox WHERE channel_id = $2 ORDER BY version LIMIT $1",
                ),
            };
            let found = found.bind(limit as i64);
            let found = match channel {
                None => found,
                Some(channel) => found.bind(channel.0),
            };
            Ok(found.fetch_all(connection).await?)
        })?;
        found.iter().map(outbox_row).collect()
    }

    async fn confirm(&self, rows: &[i64]) -> Result<(), EngineError> {
        if rows.is_empty() {
            return Ok(());
        }
        transaction!(self, connection, {
            // In one order, so that relays which confirm the same rows don't wait in a circle.
            let done = sqlx::query(
                "DELETE FROM outbox WHERE id IN (SELECT id FROM outbox WHERE id = ANY($1) ORDER BY id FOR UPDATE)",
            );
            done.bind(rows).execute(&mut *connection).await?;
            Ok(Commit(()))
        })
    }
}

pub(super) async fn insert(
    connection: &mut PgConnection,
    channel: ChannelId,
    version: u64,
    record: &Membership,
) -> Result<(), Failure> {
    let inserted = sqlx::query("INSERT INTO outbox (channel_id, version, record) VALUES ($1, $2, $3)");
    let inserted = inserted.bind(channel.0).bind(to_column(version)).bind(&ringside_wire::encode(record)[..]);
    inserted.execute(connection).await?;
    Ok(())
}

fn outbox_row(row: &PgRow) -> Result<OutboxRow, EngineError> {
    Ok(OutboxRow {
        id: rows::get(row, "id")?,
        channel_id: rows::channel_id(row, "channel_id")?,
        version: rows::number(row, "version")?,
        record: Bytes::from(rows::get::<Vec<u8>>(row, "record")?),
    })
}
