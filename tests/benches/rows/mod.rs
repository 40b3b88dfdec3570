//! The rows, in groups that share a daemon: which there are, in the order of the table.

mod blobs;
mod compress;
mod events;
mod flat;
mod life;
mod many;
mod peers;
mod queries;
mod reads;
mod streams;
mod writes;

use crate::bench::Bench;
use crate::table::Table;

/// Rows that are measured together.
pub(crate) struct Group {
    pub(crate) name: &'static str,
    pub(crate) about: &'static str,
    pub(crate) measure: fn(&Bench, &mut Table) -> Result<(), String>,
    /// It takes so long that it is left out where all groups are measured.
    pub(crate) only_by_name: bool,
}

impl Group {
    const fn new(
        name: &'static str,
        about: &'static str,
        measure: fn(&Bench, &mut Table) -> Result<(), String>,
    ) -> Self {
        Self { name, about, measure, only_by_name: false }
    }

    const fn only_by_name(mut self) -> Self {
        self.only_by_name = true;
        self
    }
}

fn connections(count: usize) -> String {
    let ending = if count == 1 { "" } else { "s" };
    format!("{count} connection{ending}")
}

/// All groups.
pub(crate) const GROUPS: &[Group] = &[
    Group::new("metadata", "reads of one caller among 1,000 components", reads::metadata),
    Group::new(
        "queries",
        "lists, searches and stored values, among 10,000 transactions",
        queries::measure,
    ),
    Group::new("reads", "point reads, against an empty method and PostgreSQL", reads::points),
    Group::new("access", "point reads by a component, against the owner's", reads::access),
    Group::new(
        "writes",
        "durable writes, against PostgreSQL, Redis and a commit per write",
        writes::many,
    ),
    Group::new("set", "a durable preferences.set of one caller, against the disk", writes::one),
    Group::new("batch", "a JSON-RPC batch of 100 writes, against one write", writes::batch),
    Group::new("events", "a hundred subscribers, and what they cost a writer", events::measure),
    Group::new("blobs", "blobs of up to 10 MB, and many of 4 KiB", blobs::measure),
    Group::new("stream", "1 GiB in and out, against one core and the disk", streams::speed),
    Group::new("backup", "1 GiB in and out, against restic and rustic", streams::beside_backups),
    Group::new(
        "compress",
        "256 MiB of JSON, against content that does not compress",
        compress::measure,
    ),
    Group::new("memory", "memory when idle and while streaming", streams::memory),
    Group::new("start", "from start to ready", life::start),
    Group::new("size", "size of the database", life::size),
    Group::new("flat", "1,000,000 components, against 10,000", flat::measure),
    Group::new("many", "100,000 blobs, against 10,000", many::hundred_thousand),
    Group::new("million", "1,000,000 blobs, against 10,000", many::million).only_by_name(),
];
