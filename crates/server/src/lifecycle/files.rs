//! Open files: how many the process may have, and how many connections that allows for.

use osnova_storage_core::blob::SYNCED_TOGETHER;
use osnova_storage_core::component_data::MAX_OPEN_FILES;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::config::Config;

/// Files of a connection to the database: the database, its WAL and their shared memory.
const FILES_PER_READER: u64 = 3;
/// Files of a blob stream: those that are being written, and one more.
const FILES_PER_STREAM: u64 = SYNCED_TOGETHER as u64 + 1;
/// Files of everything else: listeners, logs, the runtime's own, the writer's.
const OTHER_FILES: u64 = 64;
/// Readers where the configuration leaves their number to the machine, at least.
const LEAST_READERS: u64 = 4;
/// An endpoint has at least so many places, however few files there may be.
const LEAST_PLACES: u64 = 8;

/// Raises the limit on open files as far as it goes: each connection is one.
pub(super) fn raise_limit() {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: maximum, maximum };
    if let Err(error) = setrlimit(Resource::Nofile, raised) {
        tracing::debug!(%error, "the limit on open files could not be raised");
    }
}

/// How many connections each endpoint may have: as many as configured, or as the limit on open files
/// allows for, so that a crowd never leaves the store itself without.
pub(super) fn places(config: &Config) -> usize {
    let limit = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    let machine = std::thread::available_parallelism().map_or(0, |cores| cores.get() as u64);
    let readers = match u64::from(config.store.database.readers) {
        0 => machine.max(LEAST_READERS),
        readers => readers,
    };
    let endpoints = config.listen.len().max(1) as u64;
    let connections = config.limits.connections as u64;
    let streams = config.limits.streams as u64;
    let share = Share { limit, endpoints, connections, readers, streams };
    let places = share.places();
    if places < connections {
        tracing::warn!(
            limit,
            needed = share.needed(),
            "the limit on open files is too small for all connections, readers and streams: each \
             endpoint takes {places} connections, not {connections}"
        );
    }
    usize::try_from(places).unwrap_or(usize::MAX)
}

/// Who needs files.
struct Share {
    limit: u64,
    endpoints: u64,
    connections: u64,
    readers: u64,
    streams: u64,
}

impl Share {
    fn without_connections(&self) -> u64 {
        self.readers
            .saturating_mul(FILES_PER_READER)
            .saturating_add(self.streams.saturating_mul(FILES_PER_STREAM))
            .saturating_add(MAX_OPEN_FILES)
            .saturating_add(OTHER_FILES)
    }

    fn needed(&self) -> u64 {
        self.connections.saturating_mul(self.endpoints).saturating_add(self.without_connections())
    }

    fn places(&self) -> u64 {
        let left = self.limit.saturating_sub(self.without_connections());
        (left / self.endpoints).max(LEAST_PLACES).min(self.connections)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_fit_into_the_limit() {
        let share =
            |limit| Share { limit, endpoints: 3, connections: 1024, readers: 4, streams: 64 };
        assert_eq!(share(u64::MAX).places(), 1024);
        assert_eq!(share(share(0).needed()).places(), 1024);
        let small = share(1024);
        assert_eq!(small.places(), 36);
        assert!(small.places() * 3 + small.without_connections() <= 1024);
        assert_eq!(share(0).places(), LEAST_PLACES);
        let few = Share { connections: 1, ..share(0) };
        assert_eq!(few.places(), 1);
    }
}
