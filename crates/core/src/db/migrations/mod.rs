//! The versions of the database, and how it gets from one to the next.
//!
//! Migrations only go forward and, so far, only add. Each is applied in one transaction with its row
//! in `schema_version`, with foreign keys off (a table that is rebuilt would drop what points at it),
//! and checked before COMMIT.

use rusqlite::{Connection, OptionalExtension, TransactionBehavior};

use super::connection::APPLICATION_ID;
use super::{meta, search, transactions};

/// One step.
pub struct Migration {
    /// Its number; they follow each other without a gap, from 1.
    pub version: u32,
    /// What it does, for `schema.history`.
    pub description: &'static str,
    sql: &'static str,
    /// What SQL can't do, after it.
    then: Option<fn(&Connection) -> rusqlite::Result<()>>,
}

/// All steps, in order. Migration 1 is the seed's schema, name by name.
pub const MIGRATIONS: &[Migration] = &[
    Migration {
        version: 1,
        description: "Initial schema",
        sql: include_str!("0001_initial.sql"),
        then: None,
    },
    Migration {
        version: 2,
        description: "Revisions, change feed, request ids, dependencies",
        sql: include_str!("0002_revisions_and_feed.sql"),
        then: None,
    },
    Migration {
        version: 3,
        description: "Blob contents, holders and references",
        sql: include_str!("0003_blobs.sql"),
        then: None,
    },
    Migration {
        version: 4,
        description: "Request answers pruned in order",
        sql: include_str!("0004_request_answers_in_order.sql"),
        then: None,
    },
    Migration {
        version: 5,
        description: "Tokens and sockets of components",
        sql: include_str!("0005_access.sql"),
        then: None,
    },
    Migration {
        version: 6,
        description: "All records of components, search, jobs",
        sql: include_str!("0006_records.sql"),
        then: None,
    },
    Migration {
        version: 7,
        description: "What keeps contents, uploads",
        sql: include_str!("0007_blob_life.sql"),
        then: Some(transactions::count_anew),
    },
];

/// The version that this program brings a database to.
pub fn latest() -> u32 {
    MIGRATIONS.last().map_or(0, |migration| migration.version)
}

/// Why a database can't be brought to the latest version. It is untouched.
#[derive(Debug, thiserror::Error)]
pub enum MigrationError {
    /// A later program wrote it.
    #[error(
        "the database has version {found}, this program knows {}: use a newer osnova-storaged",
        latest()
    )]
    Newer {
        /// Its version.
        found: u32,
    },
    /// It is a database of something else.
    #[error("the file is a database, but not one of osnova-storage")]
    Foreign,
    /// Its list of versions has a gap, or it breaks its own rules.
    #[error("the database is damaged: {0}")]
    Damaged(String),
    /// SQLite failed.
    #[error("database: {0}")]
    Sqlite(#[from] rusqlite::Error),
}

/// Applies what is missing, up to and including `target`.
///
/// # Errors
/// [`MigrationError`]; what was committed before stays, the rest is untouched.
pub fn migrate(
    connection: &mut Connection,
    target: u32,
    now: i64,
) -> Result<Vec<u32>, MigrationError> {
    let found = version(connection)?;
    let mut applied = Vec::new();
    let missing = MIGRATIONS.iter().filter(|step| step.version > found && step.version <= target);
    for step in missing {
        connection.pragma_update(None, "foreign_keys", "OFF")?;
        let outcome = apply(connection, step, now);
        connection.pragma_update(None, "foreign_keys", "ON")?;
        outcome?;
        applied.push(step.version);
    }
    Ok(applied)
}

fn apply(connection: &mut Connection, step: &Migration, now: i64) -> Result<(), MigrationError> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    if step.version == 1 {
        transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
    }
    transaction.execute_batch(step.sql)?;
    if let Some(then) = step.then {
        then(&transaction)?;
    }
    transaction.execute(
        "INSERT INTO schema_version (version, applied_at, description) VALUES (?1, ?2, ?3)",
        (step.version, now, step.description),
    )?;
    let dangling: Option<String> = transaction
        .query_row("SELECT \"table\" FROM pragma_foreign_key_check LIMIT 1", [], |row| row.get(0))
        .optional()?;
    if let Some(table) = dangling {
        return Err(MigrationError::Damaged(format!("{table} points at what is not there")));
    }
    let mut check = transaction.prepare("PRAGMA quick_check")?;
    let lines =
        check.query_map([], |row| row.get(0))?.collect::<rusqlite::Result<Vec<String>>>()?;
    drop(check);
    // An index that broke is no reason to keep anyone from the records: it is built anew.
    let (of_index, lines): (Vec<String>, Vec<String>) =
        lines.into_iter().partition(|line| search::is_about_index(line));
    if !of_index.is_empty() {
        meta::mark_search_stale(&transaction)?;
    }
    if let Some(verdict) = lines.into_iter().find(|line| line != "ok") {
        return Err(MigrationError::Damaged(verdict));
    }
    transaction.commit()?;
    Ok(())
}

/// The version of a database: 0 where it is empty.
///
/// # Errors
/// [`MigrationError`] where it is not one of ours, newer, or damaged. Nothing is written.
pub fn version(connection: &Connection) -> Result<u32, MigrationError> {
    let id: i32 = connection.query_row("PRAGMA application_id", [], |row| row.get(0))?;
    let tables: u32 = connection.query_row(
        "SELECT count(*) FROM sqlite_master WHERE type = 'table'",
        [],
        |row| row.get(0),
    )?;
    if tables == 0 && id == 0 {
        return Ok(0);
    }
    let ours: bool = connection.query_row(
        "SELECT count(*) = 1 FROM sqlite_master WHERE type = 'table' AND name = 'schema_version'",
        [],
        |row| row.get(0),
    )?;
    if !ours || (id != 0 && id != APPLICATION_ID) {
        return Err(MigrationError::Foreign);
    }
    let (count, highest): (u32, u32) = connection.query_row(
        "SELECT count(*), coalesce(max(version), 0) FROM schema_version",
        [],
        |row| Ok((row.get(0)?, row.get(1)?)),
    )?;
    if highest > latest() {
        return Err(MigrationError::Newer { found: highest });
    }
    if count != highest || highest == 0 {
        return Err(MigrationError::Damaged("its list of versions has a gap".to_owned()));
    }
    Ok(highest)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Name, type, NOT NULL, default and key position of each column of a table.
    fn columns(connection: &Connection, table: &str) -> Vec<String> {
        let mut statement = connection
            .prepare("SELECT name || ' ' || type || iif(\"notnull\", '!', '') || iif(dflt_value IS NULL, '', '=' || dflt_value) || iif(pk, ' pk', '') FROM pragma_table_info(?1)")
            .unwrap();
        let rows = statement.query_map([table], |row| row.get(0)).unwrap();
        rows.map(Result::unwrap).collect()
    }

    #[test]
    fn version_1_is_the_seeds_schema() {
        let mut connection = Connection::open_in_memory().unwrap();
        assert_eq!(migrate(&mut connection, 1, 42).unwrap(), [1]);
        let expected = [
            (
                "components",
                "component_id TEXT pk|name TEXT!|version TEXT!|type TEXT!|description TEXT|author TEXT|license TEXT|manifest_json TEXT!|autonomi_address TEXT|installed_at INTEGER!|last_used INTEGER",
            ),
            (
                "applications",
                "application_id TEXT pk|name TEXT!|version TEXT!|description TEXT|author TEXT|icon_blob_hash TEXT|manifest_json TEXT!|autonomi_address TEXT|installed_at INTEGER!|last_launched INTEGER|launch_count INTEGER=0",
            ),
            (
                "component_registry",
                "component_id TEXT pk|version TEXT!|pid INTEGER!|endpoint TEXT!|status TEXT!|started_at INTEGER!|last_heartbeat INTEGER|restart_count INTEGER=0",
            ),
            (
                "keys_metadata",
                "id INTEGER pk|component_id TEXT!|derivation_index INTEGER!|public_key TEXT!|key_type TEXT!|purpose TEXT|created_at INTEGER!|last_used INTEGER",
            ),
            (
                "wallet_transactions",
                "tx_hash TEXT pk|from_address TEXT!|to_address TEXT!|amount TEXT!|token_address TEXT|network TEXT!|status TEXT!|gas_used TEXT|gas_price_gwei TEXT|purpose TEXT|component_id TEXT|timestamp INTEGER!|confirmed_at INTEGER",
            ),
            (
                "autonomi_cache",
                "autonomi_address TEXT pk|content_hash TEXT!|blob_hash TEXT!|size INTEGER!|data_type TEXT!|cached_at INTEGER!|last_accessed INTEGER!|access_count INTEGER=1",
            ),
            ("user_preferences", "key TEXT pk|value TEXT!|updated_at INTEGER!"),
            ("schema_version", "version INTEGER pk|applied_at INTEGER!|description TEXT"),
        ];
        for (table, text) in expected {
            assert_eq!(columns(&connection, table).join("|"), text, "{table}");
        }
        let named: Vec<String> = connection
            .prepare("SELECT name FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL ORDER BY name")
            .unwrap()
            .query_map([], |row| row.get(0))
            .unwrap()
            .map(Result::unwrap)
            .collect();
        assert_eq!(
            named,
            [
                "idx_applications_last_launched",
                "idx_cache_accessed",
                "idx_cache_content",
                "idx_components_installed",
                "idx_components_type",
                "idx_keys_component",
                "idx_keys_public",
                "idx_registry_status",
                "idx_tx_from",
                "idx_tx_status",
            ]
        );
        let row: (u32, i64, String) = connection
            .query_row("SELECT version, applied_at, description FROM schema_version", [], |row| {
                Ok((row.get(0)?, row.get(1)?, row.get(2)?))
            })
            .unwrap();
        assert_eq!(row, (1, 42, "Initial schema".to_owned()));
        // The constraints bite.
        for bad in [
            "INSERT INTO components VALUES ('a','n','1','sideways',NULL,NULL,NULL,'{}',NULL,0,NULL)",
            "INSERT INTO component_registry VALUES ('absent','1',1,'e','running',0,NULL,0)",
            "INSERT INTO keys_metadata VALUES (NULL,'c',0,'pk','rsa',NULL,0,NULL)",
            "INSERT INTO wallet_transactions VALUES ('h','a','b','1',NULL,'n','lost',NULL,NULL,NULL,NULL,0,NULL)",
        ] {
            assert!(connection.execute(bad, []).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_database_with_rows_at_version_1_comes_up_to_date() {
        let mut connection = Connection::open_in_memory().unwrap();
        migrate(&mut connection, 1, 1).unwrap();
        connection
            .execute_batch(
                "INSERT INTO components VALUES ('b','B','1','backend',NULL,NULL,NULL,'{}',NULL,5,20);
                 INSERT INTO components VALUES ('a','A','1','backend',NULL,NULL,NULL,'{}',NULL,5,30);
                 INSERT INTO components VALUES ('c','C','1','backend',NULL,NULL,NULL,'{}',NULL,5,NULL);
                 INSERT INTO user_preferences VALUES ('k','1',9);",
            )
            .unwrap();
        assert_eq!(migrate(&mut connection, latest(), 2).unwrap(), [2, 3, 4, 5, 6, 7]);
        let order: Vec<String> = connection
            .prepare("SELECT component_id FROM components WHERE revision = 1 AND last_used_seq IS NOT NULL ORDER BY last_used_seq DESC")
            .unwrap()
            .query_map([], |row| row.get(0))
            .unwrap()
            .map(Result::unwrap)
            .collect();
        assert_eq!(order, ["a", "b"]);
        assert!(migrate(&mut connection, latest(), 3).unwrap().is_empty());
    }

    /// Sums of transactions came with version 6, which counted none of those that were there: statistics
    /// said that there were none, and none that was pending could ever be confirmed.
    #[test]
    fn transactions_from_before_there_were_totals_are_counted() {
        let mut connection = Connection::open_in_memory().unwrap();
        migrate(&mut connection, 1, 1).unwrap();
        connection
            .execute_batch(
                "INSERT INTO components VALUES ('c','C','1','backend',NULL,NULL,NULL,'{}',NULL,5,20);
                 INSERT INTO applications VALUES ('a','A','1',NULL,NULL,NULL,'{}',NULL,5,NULL,0);
                 INSERT INTO component_registry VALUES ('c','1',7,'e','running',1,NULL,0);
                 INSERT INTO keys_metadata VALUES (NULL,'c',4,'pk','ed25519',NULL,1,NULL);
                 INSERT INTO autonomi_cache VALUES ('ant://1','h','h',5,'d',1,1,1);
                 INSERT INTO user_preferences VALUES ('k','1',9);
                 INSERT INTO wallet_transactions VALUES
                   ('1','f','t','0.1',NULL,'n','pending',NULL,NULL,NULL,NULL,1,NULL),
                   ('2','f','t','0.2',NULL,'n','pending',NULL,NULL,NULL,NULL,2,NULL),
                   ('3','f','t','99999999999999999999',NULL,'n','confirmed',NULL,NULL,NULL,'c',3,3),
                   ('4','f','t','1e3',NULL,'n','failed',NULL,NULL,NULL,NULL,4,NULL),
                   ('5','f','t','7','0xA','n','pending',NULL,NULL,NULL,'c',5,NULL);",
            )
            .unwrap();
        migrate(&mut connection, 6, 2).unwrap();
        // What version 6 itself has counted is not counted twice.
        connection
            .execute("INSERT INTO transaction_totals VALUES ('', '', 'pending', 1, '0.1')", [])
            .unwrap();
        migrate(&mut connection, latest(), 3).unwrap();
        let totals: Vec<String> = connection
            .prepare(
                "SELECT concat_ws('|', component_id, token_address, status, count, amount)
                 FROM transaction_totals",
            )
            .unwrap()
            .query_map([], |row| row.get(0))
            .unwrap()
            .map(Result::unwrap)
            .collect();
        assert_eq!(
            totals,
            [
                "||failed|1|0",
                "||pending|2|0.3",
                "c||confirmed|1|99999999999999999999",
                "c|0xa|pending|1|7",
            ]
        );
    }

    /// A broken search index made `quick_check` fail, and with it every later migration: the daemon would
    /// have refused a root whose records were whole.
    #[test]
    fn a_broken_index_is_no_damage_and_is_marked() {
        let mut connection = Connection::open_in_memory().unwrap();
        migrate(&mut connection, latest(), 1).unwrap();
        connection
            .execute_batch(
                "DELETE FROM meta WHERE key = 'search_stale';
                 INSERT INTO search_components (rowid, name) VALUES (1, 'barometer');
                 DELETE FROM search_components_data;",
            )
            .unwrap();
        let step = Migration {
            version: latest() + 1,
            description: "later",
            sql: "CREATE TABLE later (x)",
            then: None,
        };
        apply(&mut connection, &step, 2).unwrap();
        assert!(meta::search_is_stale(&connection).unwrap());
        // A record that breaks its own table's rules.
        connection
            .execute_batch(
                "INSERT INTO user_preferences (key, value, updated_at) VALUES ('k', '1', 1);
                 PRAGMA writable_schema = ON;
                 UPDATE sqlite_schema SET sql = replace(sql, 'updated_at INTEGER NOT NULL',
                   'updated_at INTEGER NOT NULL CHECK (updated_at > 1)')
                 WHERE name = 'user_preferences';
                 PRAGMA writable_schema = RESET;",
            )
            .unwrap();
        let step = Migration { version: latest() + 2, ..step };
        let step = Migration { sql: "CREATE TABLE still_later (x)", ..step };
        assert!(apply(&mut connection, &step, 3).is_err(), "real damage is still refused");
    }

    #[test]
    fn newer_foreign_and_gapped_databases_are_refused() {
        let mut newer = Connection::open_in_memory().unwrap();
        migrate(&mut newer, latest(), 1).unwrap();
        newer
            .execute("INSERT INTO schema_version VALUES (?1, 0, 'later')", [latest() + 1])
            .unwrap();
        assert!(matches!(migrate(&mut newer, latest(), 1), Err(MigrationError::Newer { .. })));

        let mut foreign = Connection::open_in_memory().unwrap();
        foreign.execute_batch("CREATE TABLE theirs (x)").unwrap();
        assert!(matches!(migrate(&mut foreign, latest(), 1), Err(MigrationError::Foreign)));

        let mut gapped = Connection::open_in_memory().unwrap();
        migrate(&mut gapped, latest(), 1).unwrap();
        gapped.execute("DELETE FROM schema_version WHERE version = 2", []).unwrap();
        assert!(matches!(migrate(&mut gapped, latest(), 1), Err(MigrationError::Damaged(_))));
    }
}
