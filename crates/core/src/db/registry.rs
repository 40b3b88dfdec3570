//! `component_registry`: which components run, as which processes.

use std::collections::HashMap;

use osnova_storage_api::components::Direction;
use osnova_storage_api::registry::{
    ComponentStatus, GetParams, HeartbeatParams, InitialStatus, ListParams, ReapParams, Reaped,
    RegisterParams, RegistryEntry, RegistryPage, RemoveParams, SetStatusParams,
};
use osnova_storage_api::wire::{
    ComponentId, Deleted, ProcessId, Revision, Timestamp, UnsignedInteger,
};
use osnova_storage_api::{ApiError, ConflictReason};
use rusqlite::{OptionalExtension, Row};

use super::columns;
use super::deferred::Heartbeat;
use super::keyset::{self, Listed, Range, Scan};
use super::page::Query;
use super::tx::{ChangeKind, Reader, Tx, check_revision};
use crate::caller::Caller;
use crate::error::{Result, StoreError};
use crate::process::{self, Process};

const NAMESPACE: &str = "registry";
const WHAT: &str = "process of the component";

/// What stands for the process that was not there when it was registered.
const UNSEEN: &str = "";

/// A query of whole rows, as [`from_row`] reads them.
macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT component_id, version, pid, endpoint, status, started_at, last_heartbeat,
                    coalesce(restart_count, 0), revision, process, boot, heartbeat_ms
             FROM component_registry ",
            $rest
        )
    };
}

/// A row, and by what its process is known.
struct Stored {
    entry: RegistryEntry,
    /// What tells the process apart from another of the same pid; [`UNSEEN`] where it was not there.
    process: Option<String>,
    /// The boot that `heartbeat_ms` is counted from.
    boot: Option<String>,
    heartbeat_ms: Option<u64>,
}

impl Stored {
    /// Whether its process is there, and still the same.
    fn is_alive(&self) -> bool {
        match (Process::find(self.entry.pid.0), &self.process) {
            (Process::Gone, _) => false,
            (Process::Alive(Some(found)), Some(known)) => found == *known,
            (Process::Alive(_), _) => true,
        }
    }

    /// Whether its process could not be seen when it was registered: it is of a sandbox with pids of its
    /// own, and what this system has under its pid says nothing.
    fn is_unseen(&self) -> bool {
        self.process.as_deref() == Some(UNSEEN)
    }

    /// Whether the row says that it is there.
    fn is_up(&self) -> bool {
        !matches!(self.entry.status, ComponentStatus::Stopped | ComponentStatus::Crashed)
    }
}

fn from_row(row: &Row<'_>) -> rusqlite::Result<Stored> {
    let entry = RegistryEntry {
        component_id: columns::text(row, 0)?,
        version: columns::text(row, 1)?,
        pid: ProcessId(row.get(2)?),
        endpoint: columns::text(row, 3)?,
        status: columns::word(row, 4, ComponentStatus::from_word)?,
        started_at: Timestamp(row.get(5)?),
        last_heartbeat: row.get::<_, Option<i64>>(6)?.map(Timestamp),
        restart_count: UnsignedInteger(row.get(7)?),
        revision: Revision(row.get(8)?),
    };
    Ok(Stored { entry, process: row.get(9)?, boot: row.get(10)?, heartbeat_ms: row.get(11)? })
}

fn find(reader: Reader<'_>, id: &ComponentId) -> Result<Option<Stored>> {
    let stored = reader
        .connection()
        .prepare_cached(select!("WHERE component_id = ?1"))?
        .query_row([id.as_str()], from_row)
        .optional()?;
    Ok(stored)
}

fn entry(reader: Reader<'_>, id: &ComponentId) -> Result<RegistryEntry> {
    let found = find(reader, id)?.ok_or_else(|| StoreError::not_found(WHAT))?;
    Ok(found.entry)
}

fn transition(message: &str) -> StoreError {
    StoreError::Refused(ApiError::conflict(ConflictReason::Transition, message))
}

/// Reads the row of a component.
///
/// # Errors
/// `not_found`.
pub fn get(reader: Reader<'_>, caller: &Caller, params: &GetParams) -> Result<RegistryEntry> {
    entry(reader, caller.own(params.component_id.as_ref(), WHAT)?)
}

/// Registers the process of a component.
///
/// # Errors
/// `conflict`: `revision` where `ifRevision` does not match, `foreign_key` where the component is not
/// installed, `transition` where another process of it is there.
pub fn register(tx: &Tx<'_>, caller: &Caller, params: &RegisterParams) -> Result<RegistryEntry> {
    let id = caller.own(params.component_id.as_ref(), WHAT)?;
    if !super::components::exists(tx.reader(), id)? {
        return Err(StoreError::foreign_key("the component is not installed"));
    }
    let known = find(tx.reader(), id)?;
    check_revision(params.if_revision, known.as_ref().map(|known| known.entry.revision))?;
    if let Some(known) = known.filter(|known| known.is_up() && !known.is_unseen()) {
        let alive = known.is_alive();
        if alive && known.entry.pid == params.pid {
            return renew(tx, known.entry, params);
        }
        if alive {
            return Err(transition("another process of the component is there"));
        }
    }
    let status = params.status.unwrap_or(InitialStatus::Starting).as_str();
    let revision =
        tx.record_change_of(Some(id.as_str()), NAMESPACE, &[id.as_str()], ChangeKind::Put)?;
    tx.connection()
        .prepare_cached(
            "INSERT INTO component_registry (component_id, version, pid, endpoint, status, started_at,
               restart_count, revision, process, boot, heartbeat_ms)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, 0, ?7, ?8, ?9, ?10)
             ON CONFLICT (component_id) DO UPDATE SET version = excluded.version, pid = excluded.pid,
               endpoint = excluded.endpoint, status = excluded.status,
               started_at = excluded.started_at, last_heartbeat = NULL,
               restart_count = coalesce(restart_count, 0) + 1, revision = excluded.revision,
               process = excluded.process, boot = excluded.boot, heartbeat_ms = excluded.heartbeat_ms",
        )?
        .execute((
            id.as_str(),
            params.version.as_str(),
            params.pid.0,
            params.endpoint.as_str(),
            status,
            tx.now(),
            revision.0,
            seen(params.pid),
            process::boot(),
            tx.monotonic_ms(),
        ))?;
    entry(tx.reader(), id)
}

/// By what the process under a pid is known, to be kept.
fn seen(pid: ProcessId) -> Option<String> {
    match Process::find(pid.0) {
        Process::Alive(process) => process,
        Process::Gone => Some(UNSEEN.to_owned()),
    }
}

/// Takes over what the process that is registered says of itself anew. One that serves is not starting
/// again: a repeat of its first registration changes nothing.
fn renew(tx: &Tx<'_>, known: RegistryEntry, params: &RegisterParams) -> Result<RegistryEntry> {
    let status = match (known.status, params.status) {
        (ComponentStatus::Starting, Some(InitialStatus::Running)) => ComponentStatus::Running,
        (status, _) => status,
    };
    let unchanged = known.version == params.version
        && known.endpoint == params.endpoint
        && known.status == status;
    if unchanged {
        return Ok(known);
    }
    let id = known.component_id.as_str();
    let revision = tx.record_change_of(Some(id), NAMESPACE, &[id], ChangeKind::Put)?;
    tx.connection()
        .prepare_cached(
            "UPDATE component_registry SET version = ?2, endpoint = ?3, status = ?4, revision = ?5
             WHERE component_id = ?1",
        )?
        .execute((
            id,
            params.version.as_str(),
            params.endpoint.as_str(),
            status.as_str(),
            revision.0,
        ))?;
    entry(tx.reader(), &known.component_id)
}

/// The component whose heartbeat a caller may give.
///
/// # Errors
/// `not_found`; `conflict`, reason `transition`, where it has stopped, or another process is registered.
pub(crate) fn heartbeat_of<'a>(
    reader: Reader<'_>,
    caller: &'a Caller,
    params: &'a HeartbeatParams,
) -> Result<&'a ComponentId> {
    let id = caller.own(params.component_id.as_ref(), WHAT)?;
    let known = find(reader, id)?.ok_or_else(|| StoreError::not_found(WHAT))?;
    if !known.is_up() {
        return Err(transition("the component has ended: register it again"));
    }
    if params.pid.is_some_and(|pid| pid != known.entry.pid) {
        return Err(transition("another process of the component is registered"));
    }
    Ok(id)
}

/// Writes pending heartbeats; components that were removed meanwhile are passed over.
///
/// # Errors
/// Where the rows can't be written.
pub(super) fn flush_heartbeats(tx: &Tx<'_>, beats: &HashMap<String, Heartbeat>) -> Result<()> {
    let mut update = tx.connection().prepare_cached(
        "UPDATE component_registry SET last_heartbeat = max(coalesce(last_heartbeat, ?2), ?2),
           boot = ?3, heartbeat_ms = ?4
         WHERE component_id = ?1",
    )?;
    for (id, beat) in beats {
        update.execute((id, beat.at, process::boot(), beat.monotonic_ms))?;
    }
    Ok(())
}

/// Changes how a component is.
///
/// # Errors
/// `not_found`; `conflict`: `revision` where `ifRevision` does not match, `transition` where the change is
/// none of those that there are.
pub fn set_status(tx: &Tx<'_>, caller: &Caller, params: &SetStatusParams) -> Result<RegistryEntry> {
    let id = caller.own(params.component_id.as_ref(), WHAT)?;
    let known = find(tx.reader(), id)?;
    check_revision(params.if_revision, known.as_ref().map(|known| known.entry.revision))?;
    let known = known.ok_or_else(|| StoreError::not_found(WHAT))?;
    if known.entry.status == params.status {
        return Ok(known.entry);
    }
    if !may_become(known.entry.status, params.status) {
        let (from, to) = (known.entry.status.as_str(), params.status.as_str());
        return Err(transition(&format!("{from} does not become {to}")));
    }
    store_status(tx, id, params.status)?;
    if params.status == ComponentStatus::Starting {
        // Its time to give a sign of life begins now, and what there is under its pid is its process.
        tx.connection()
            .prepare_cached(
                "UPDATE component_registry SET process = ?2, boot = ?3, heartbeat_ms = ?4
                 WHERE component_id = ?1",
            )?
            .execute((id.as_str(), seen(known.entry.pid), process::boot(), tx.monotonic_ms()))?;
    }
    entry(tx.reader(), id)
}

fn may_become(from: ComponentStatus, to: ComponentStatus) -> bool {
    use ComponentStatus::{Crashed, Running, Starting, Stopped, Stopping};
    matches!(
        (from, to),
        (Starting, Running | Stopped | Crashed)
            | (Running, Stopping | Crashed)
            | (Stopping, Stopped | Crashed)
            | (Stopped | Crashed, Starting)
    )
}

fn store_status(tx: &Tx<'_>, id: &ComponentId, status: ComponentStatus) -> Result<()> {
    let revision =
        tx.record_change_of(Some(id.as_str()), NAMESPACE, &[id.as_str()], ChangeKind::Put)?;
    tx.connection()
        .prepare_cached(
            "UPDATE component_registry SET status = ?2, revision = ?3 WHERE component_id = ?1",
        )?
        .execute((id.as_str(), status.as_str(), revision.0))?;
    Ok(())
}

/// A page of the registry, by component: all rows for the owner, its own for a component.
///
/// # Errors
/// `validation_error` where the cursor is another list's.
pub fn list(reader: Reader<'_>, caller: &Caller, params: &ListParams) -> Result<RegistryPage> {
    let status = params.status.map(ComponentStatus::as_str);
    let filter = [caller.holder(), status.unwrap_or_default()];
    let query = Query::new("registry.list", &filter, params.limit);
    let mut filters = Vec::new();
    filters.extend(status.map(|_| "status = :status"));
    filters.extend((!caller.is_owner()).then_some("component_id = :component"));
    let scan = Scan {
        select: select!(""),
        ranges: &[Range::BY_ID],
        id: "component_id",
        direction: Direction::Ascending,
        arms: &["1"],
        filters: &filters,
        bound: &[
            (":status", keyset::text(status)),
            (":component", keyset::text(Some(caller.holder()))),
        ],
    };
    let (items, next_cursor) =
        keyset::list(reader, &query, params.cursor.as_ref(), &scan, |row| {
            let Stored { entry, .. } = from_row(row)?;
            Ok(Listed {
                order: serde_json::Value::Null,
                id: entry.component_id.as_str().to_owned(),
                bytes: 3000,
                item: entry,
            })
        })?;
    Ok(RegistryPage { items, next_cursor })
}

/// Marks as ended what is not there any more. What was deferred is written before it.
///
/// # Errors
/// Where the rows can't be read or written.
pub fn reap(tx: &Tx<'_>, _caller: &Caller, params: &ReapParams) -> Result<Reaped> {
    let up: Vec<Stored> = tx
        .connection()
        .prepare_cached(select!(
            "WHERE status IN ('starting', 'running', 'stopping') ORDER BY component_id"
        ))?
        .query_map([], from_row)?
        .collect::<rusqlite::Result<_>>()?;
    let is_stale = |row: &Stored| {
        let Some(after) = params.stale_after_seconds else { return false };
        match (&row.boot, row.heartbeat_ms) {
            (Some(boot), Some(beat)) if boot == process::boot() => {
                tx.monotonic_ms().saturating_sub(beat) > after.0.saturating_mul(1000)
            }
            // Of another boot, or from before heartbeats were counted.
            _ => true,
        }
    };
    let mut items = Vec::new();
    let is_gone = |row: &Stored| !row.is_unseen() && !row.is_alive();
    for row in up.iter().filter(|row| is_gone(row) || is_stale(row)) {
        let ended = match row.entry.status {
            ComponentStatus::Stopping => ComponentStatus::Stopped,
            _ => ComponentStatus::Crashed,
        };
        store_status(tx, &row.entry.component_id, ended)?;
        items.push(entry(tx.reader(), &row.entry.component_id)?);
    }
    Ok(Reaped { items })
}

/// Removes the row of a component.
///
/// # Errors
/// `conflict` where `ifRevision` does not match; `not_found` where a component names another.
pub fn remove(tx: &Tx<'_>, caller: &Caller, params: &RemoveParams) -> Result<Deleted> {
    let id = caller.own(params.component_id.as_ref(), WHAT)?;
    let known = find(tx.reader(), id)?;
    check_revision(params.if_revision, known.as_ref().map(|known| known.entry.revision))?;
    if known.is_none() {
        return Ok(Deleted { deleted: false });
    }
    forget(tx, id)?;
    Ok(Deleted { deleted: true })
}

/// Removes a row that is there.
pub(super) fn forget(tx: &Tx<'_>, id: &ComponentId) -> Result<()> {
    tx.connection()
        .prepare_cached("DELETE FROM component_registry WHERE component_id = ?1")?
        .execute([id.as_str()])?;
    tx.record_change_of(Some(id.as_str()), NAMESPACE, &[id.as_str()], ChangeKind::Delete)?;
    Ok(())
}
