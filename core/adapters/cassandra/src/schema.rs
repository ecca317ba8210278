//! The tables, as data: what is created, what is prepared, and what is compared with the tables that are there.

pub(crate) mod observed;
mod tables;

use uuid::Uuid;

pub(crate) use tables::*;

/// The version of the schema that this store works with. A keyspace of another one is not opened.
pub const SCHEMA_VERSION: i32 = 1;

/// The row of `schema_version` that is this store's.
pub(crate) const COMPONENT: &str = "messages";

/// The type of a column.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Type {
    Uuid,
    Text,
    BigInt,
    Int,
    Boolean,
    Blob,
}

impl Type {
    /// Its name in CQL.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Uuid => "uuid",
            Self::Text => "text",
            Self::BigInt => "bigint",
            Self::Int => "int",
            Self::Boolean => "boolean",
            Self::Blob => "blob",
        }
    }
}

/// What a column is to its table.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Place {
    /// Part of the partition's key.
    Partition,
    /// Part of a row's key within its partition, rising.
    Rising,
    /// The same, falling.
    Falling,
    /// A value.
    Value,
}

/// A column.
#[derive(Debug)]
pub(crate) struct Column {
    pub(crate) name: &'static str,
    pub(crate) kind: Type,
    pub(crate) place: Place,
}

/// A table. Its columns come in the order partition, clustering, values.
#[derive(Debug)]
pub(crate) struct Table {
    pub(crate) name: &'static str,
    pub(crate) columns: &'static [Column],
    /// Its properties in CQL.
    pub(crate) options: &'static str,
}

impl Table {
    pub(crate) fn names(&self) -> Vec<&'static str> {
        self.columns.iter().map(|column| column.name).collect()
    }

    /// How many columns make the partition's key.
    pub(crate) fn partition_columns(&self) -> usize {
        self.columns.iter().filter(|column| column.place == Place::Partition).count()
    }

    /// How many columns make a row's key.
    pub(crate) fn key_columns(&self) -> usize {
        self.columns.iter().filter(|column| column.place != Place::Value).count()
    }

    /// The statement that makes it.
    pub(crate) fn create(&self, keyspace: &str) -> String {
        let columns = self.columns.iter().map(|column| format!("{} {}", column.name, column.kind.name()));
        let columns: Vec<String> = columns.collect();
        let names = self.names();
        let (partition, clustering) = names[..self.key_columns()].split_at(self.partition_columns());
        let key = [&[format!("({})", partition.join(", ")).as_str()], clustering].concat().join(", ");
        let order: Vec<String> = self.columns.iter().filter_map(order).collect();
        let order = match order.is_empty() {
            true => String::new(),
            false => format!("CLUSTERING ORDER BY ({}) AND ", order.join(", ")),
        };
        format!(
            "CREATE TABLE IF NOT EXISTS {keyspace}.{} ({}, PRIMARY KEY ({key})) WITH {order}id = {} AND {}",
            self.name,
            columns.join(", "),
            self.id(keyspace),
            self.options
        )
    }

    /// The id that the table is made with. Left to the engine, two nodes that make it at once would each choose one, and
    /// the nodes that heard of the one would refuse rows of the other.
    fn id(&self, keyspace: &str) -> Uuid {
        let name = format!("ringside/{keyspace}.{}/{SCHEMA_VERSION}", self.name);
        Uuid::new_v5(&Uuid::NAMESPACE_URL, name.as_bytes())
    }
}

fn order(column: &Column) -> Option<String> {
    match column.place {
        Place::Rising => Some(format!("{} ASC", column.name)),
        Place::Falling => Some(format!("{} DESC", column.name)),
        Place::Partition | Place::Value => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_becomes_a_statement() {
        let expected = "CREATE TABLE IF NOT EXISTS rings.channel_changes (channel_id uuid, bucket bigint, change bigint, \
                        record_id bigint, prev bigint, seq bigint, body blob, \
                        PRIMARY KEY ((channel_id, bucket), change)) WITH CLUSTERING ORDER BY (change ASC) AND id = ";
        let made = CHANGES.create("rings");
        assert!(made.starts_with(expected), "{made}");
        assert!(made.contains("gc_grace_seconds"), "{made}");
        assert_eq!(CHANGES.id("rings"), CHANGES.id("rings"), "whoever makes it");
        assert_ne!(CHANGES.id("rings"), CHANGES.id("others"));
    }

    #[test]
    fn columns_stand_in_the_order_of_their_places_and_names_are_unique() {
        for table in TABLES {
            let rank = |column: &Column| match column.place {
                Place::Partition => 0,
                Place::Rising | Place::Falling => 1,
                Place::Value => 2,
            };
            assert!(table.columns.iter().map(rank).is_sorted(), "{}", table.name);
            assert!(table.partition_columns() > 0, "{}", table.name);
            let mut names = table.names();
            names.sort_unstable();
            names.dedup();
            assert_eq!(names.len(), table.columns.len(), "{}", table.name);
        }
        let mut names: Vec<_> = TABLES.iter().map(|table| table.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), TABLES.len());
    }
}
