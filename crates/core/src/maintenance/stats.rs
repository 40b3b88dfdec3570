//! How large the database is, table by table.
//!
//! The pages are counted by SQLite's `dbstat`, which reads each of them: so for a bounded time, and of
//! what was not reached the number of rows is what the last analyze estimated.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use osnova_storage_api::maintenance::{DatabaseStats, TableSize};
use osnova_storage_api::wire::UnsignedInteger;
use rusqlite::{Connection, OptionalExtension};

use super::vacuum::Pages;
use crate::db::Database;
use crate::error::Result;
use crate::jobs::Jobs;

/// How long pages are counted: about as many as are in memory anyway.
const COUNTING_TIME: Duration = Duration::from_millis(500);

pub(super) fn stats(db: &Database, jobs: &Jobs) -> Result<DatabaseStats> {
    db.read(|reader| {
        let connection = reader.connection();
        let pages = Pages::of(connection)?;
        // The feed is bounded, so it may be counted.
        let feed_length = connection
            .prepare_cached("SELECT count(*) FROM change_feed")?
            .query_row([], |row| row.get(0))?;
        Ok(DatabaseStats {
            database_bytes: UnsignedInteger(pages.bytes()),
            page_size: UnsignedInteger(pages.size),
            pages: UnsignedInteger(pages.all),
            free_pages: UnsignedInteger(pages.free),
            wal_bytes: UnsignedInteger(db.wal_file_bytes()),
            tables: tables(connection)?,
            queue_depth: UnsignedInteger(db.queue_depth() as u64),
            feed_length: UnsignedInteger(feed_length),
            jobs_running: UnsignedInteger(jobs.running() as u64),
        })
    })
}

/// A b-tree of the file: a table's own or an index.
struct Tree {
    table: String,
    is_index: bool,
    /// The rows of a table without rowids stand in inner pages too.
    rows_in_inner_pages: bool,
}

#[derive(Default)]
struct Counted {
    bytes: u64,
    rows: u64,
}

fn tables(connection: &Connection) -> Result<Vec<TableSize>> {
    let trees = trees(connection)?;
    let counted = count(connection, &trees)?;
    let estimates = estimates(connection)?;
    let mut tables: BTreeMap<&str, TableSize> = BTreeMap::new();
    for tree in trees.values().filter(|tree| !tree.is_index) {
        let table = TableSize {
            name: tree.table.clone(),
            rows: None,
            bytes: Some(UnsignedInteger(0)),
            index_bytes: Some(UnsignedInteger(0)),
            exact: true,
        };
        tables.insert(&tree.table, table);
    }
    for (name, tree) in &trees {
        let Some(table) = tables.get_mut(tree.table.as_str()) else { continue };
        let Some(counted) = counted.get(name) else {
            table.exact = false;
            continue;
        };
        let bytes = if tree.is_index { &mut table.index_bytes } else { &mut table.bytes };
        if let Some(bytes) = bytes {
            bytes.0 += counted.bytes;
        }
        if !tree.is_index {
            table.rows = Some(UnsignedInteger(counted.rows));
        }
    }
    let mut tables: Vec<TableSize> = tables.into_values().collect();
    for table in tables.iter_mut().filter(|table| !table.exact) {
        (table.bytes, table.index_bytes) = (None, None);
        table.rows = estimates.get(&table.name).copied().map(UnsignedInteger);
    }
    tables.sort_by_key(|table| {
        let bytes = |part: Option<UnsignedInteger>| part.map_or(0, |bytes| bytes.0);
        std::cmp::Reverse(bytes(table.bytes) + bytes(table.index_bytes))
    });
    Ok(tables)
}

/// The b-trees by their names.
fn trees(connection: &Connection) -> Result<BTreeMap<String, Tree>> {
    let mut statement = connection.prepare_cached(
        "SELECT s.name, s.tbl_name, s.type = 'index', coalesce(l.wr, 0)
         FROM sqlite_schema AS s LEFT JOIN pragma_table_list AS l
           ON l.schema = 'main' AND l.name = s.name AND s.type = 'table'
         WHERE s.rootpage > 0
         UNION ALL SELECT 'sqlite_schema', 'sqlite_schema', 0, 0",
    )?;
    let rows = statement.query_map([], |row| {
        let tree =
            Tree { table: row.get(1)?, is_index: row.get(2)?, rows_in_inner_pages: row.get(3)? };
        Ok((row.get(0)?, tree))
    })?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// Counts page by page, as far as the time goes. Only trees that were walked to their end are answered.
fn count(
    connection: &Connection,
    trees: &BTreeMap<String, Tree>,
) -> Result<BTreeMap<String, Counted>> {
    let started = Instant::now();
    // Its rows come tree by tree.
    let mut statement =
        connection.prepare_cached("SELECT name, pagetype, ncell, pgsize FROM dbstat")?;
    let mut rows = statement.query([])?;
    let mut counted: BTreeMap<String, Counted> = BTreeMap::new();
    let mut walking = String::new();
    while let Some(row) = rows.next()? {
        let name = row.get_ref(0)?.as_str().map_err(rusqlite::Error::from)?;
        if name != walking {
            name.clone_into(&mut walking);
        }
        if started.elapsed() > COUNTING_TIME {
            counted.remove(&walking);
            break;
        }
        let Some(tree) = trees.get(name) else { continue };
        let tree_counted = counted.entry(walking.clone()).or_default();
        tree_counted.bytes += row.get::<_, u64>(3)?;
        let holds_rows = match row.get_ref(1)?.as_str().map_err(rusqlite::Error::from)? {
            "leaf" => true,
            "internal" => tree.rows_in_inner_pages,
            _ => false,
        };
        if holds_rows {
            tree_counted.rows += row.get::<_, u64>(2)?;
        }
    }
    Ok(counted)
}

/// What the last analyze, where there was one, says of the rows of each table.
fn estimates(connection: &Connection) -> Result<BTreeMap<String, u64>> {
    let is_there = connection
        .prepare_cached("SELECT 1 FROM sqlite_schema WHERE name = 'sqlite_stat1'")?
        .query_row([], |_| Ok(()))
        .optional()?;
    if is_there.is_none() {
        return Ok(BTreeMap::new());
    }
    // A statistic begins with the number of rows; the number that begins a text is its value.
    let mut statement = connection.prepare_cached(
        "SELECT tbl, max(CAST(stat AS INTEGER)) FROM sqlite_stat1 WHERE tbl IS NOT NULL GROUP BY tbl",
    )?;
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}
