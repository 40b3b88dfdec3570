//! The rows, in groups that share a daemon: which there are, in the order of the table.

mod blobs;
mod compress;
mod events;
mod flat;
mod life;
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
}

fn connections(count: usize) -> String {
    let ending = if count == 1 { "" } else { "s" };
    format!("{count} connection{ending}")
}

/// All groups.
pub(crate) const GROUPS: &[Group] = &[
    Group {
        name: "metadata",
        about: "reads of one caller among 1,000 components",
        measure: reads::metadata,
    },
    Group {
        name: "queries",
        about: "lists, searches and stored values, among 10,000 transactions",
        measure: queries::measure,
    },
    Group {
        name: "reads",
        about: "point reads, against an empty method and PostgreSQL",
        measure: reads::points,
    },
    Group {
        name: "access",
        about: "point reads by a component, against the owner's",
        measure: reads::access,
    },
    Group {
        name: "writes",
        about: "durable writes, against PostgreSQL, Redis and a commit per write",
        measure: writes::many,
    },
    Group {
        name: "set",
        about: "a durable preferences.set of one caller, against the disk",
        measure: writes::one,
    },
    Group {
        name: "batch",
        about: "a JSON-RPC batch of 100 writes, against one write",
        measure: writes::batch,
    },
    Group {
        name: "events",
        about: "a hundred subscribers, and what they cost a writer",
        measure: events::measure,
    },
    Group {
        name: "blobs",
        about: "blobs of up to 10 MB, and many of 4 KiB",
        measure: blobs::measure,
    },
    Group {
        name: "stream",
        about: "1 GiB in and out, against one core and the disk",
        measure: streams::speed,
    },
    Group {
        name: "compress",
        about: "256 MiB of JSON, against content that does not compress",
        measure: compress::measure,
    },
    Group {
        name: "memory",
        about: "memory when idle and while streaming",
        measure: streams::memory,
    },
    Group { name: "start", about: "from start to ready", measure: life::start },
    Group { name: "size", about: "size of the database", measure: life::size },
    Group { name: "flat", about: "1,000,000 components, against 10,000", measure: flat::measure },
];
