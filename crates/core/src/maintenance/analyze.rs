//! Looks at samples of every table, so that SQLite plans queries well.
//!
//! A table is a write of its own, bounded by `analysis_limit`. Connections read what was found when they
//! are opened; the pool renews its own every half hour.

use osnova_storage_api::maintenance::AnalyzeResult;
use osnova_storage_api::wire::UnsignedInteger;

use crate::db::Database;
use crate::error::Result;
use crate::jobs::Progress;

/// Rows of an index that are looked at (<https://www.sqlite.org/lang_analyze.html> recommends 100 to
/// 1000).
const ROWS: u32 = 1000;
/// About how many bytes the statistics of a table take.
const WEIGHT: usize = 4096;

pub(super) fn run(db: &Database, progress: &Progress) -> Result<AnalyzeResult> {
    // Not the tables inside a search index, which SQLite plans for by itself.
    let tables: Vec<String> = db.read(|reader| {
        let mut statement = reader.connection().prepare_cached(
            "SELECT name FROM pragma_table_list
             WHERE schema = 'main' AND type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'
             ORDER BY name",
        )?;
        let names = statement.query_map([], |row| row.get(0))?;
        Ok(names.collect::<rusqlite::Result<_>>()?)
    })?;
    let count = tables.len() as u64;
    progress.set_total(count);
    for table in tables {
        progress.check()?;
        // The name is the schema's, not a caller's.
        let sql = format!(
            "PRAGMA analysis_limit = {ROWS}; ANALYZE main.\"{}\"",
            table.replace('"', "\"\"")
        );
        db.write(WEIGHT, move |tx| Ok(tx.connection().execute_batch(&sql)?))?;
        progress.advance(1);
    }
    Ok(AnalyzeResult { tables: UnsignedInteger(count) })
}
