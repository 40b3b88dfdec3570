//! What a query may do, and what it may not see.
//!
//! SQLite asks an authorizer while it compiles a statement. But it does not ask of columns that are joined
//! by name: `SELECT h FROM (SELECT NULL AS h) FULL JOIN t USING (h)` shows `t.h` unasked, and a `NATURAL
//! JOIN` compares with it (seen with SQLite 3.40 and 3.53). So the compiled program is looked at too:
//! whichever way a statement was written, a column is read by the instruction `Column`, or with its whole
//! record.

use rusqlite::Connection;
use rusqlite::hooks::{AuthAction, AuthContext, Authorization};

use super::query::Parameters;
use crate::error::Result;

/// Columns that nobody is shown: by a token's hash guesses are checked, `meta` holds what is made from the
/// master key, and an answer that is kept for a repeat may hold a token.
const SECRETS: [(&str, &str); 3] =
    [("access_tokens", "token_hash"), ("meta", "value"), ("request_answers", "answer")];
/// Tables that can't be asked: the samples of an analyze are values of other tables, and `dbstat` can't
/// be stopped while it counts.
const TABLES: [&str; 2] = ["sqlite_stat4", "dbstat"];
/// Pragmas that only tell of the schema, or whether anything changed (a search asks that).
const PRAGMAS: [&str; 8] = [
    "data_version",
    "foreign_key_list",
    "index_info",
    "index_list",
    "index_xinfo",
    "table_info",
    "table_list",
    "table_xinfo",
];
/// Functions that neither reach out of the database nor make something large out of nothing.
const FUNCTIONS: &[&str] = &[
    "->",
    "->>",
    "abs",
    "avg",
    "bm25",
    "char",
    "coalesce",
    "concat",
    "concat_ws",
    "count",
    "cume_dist",
    "current_date",
    "current_time",
    "current_timestamp",
    "date",
    "datetime",
    "dense_rank",
    "first_value",
    "format",
    "glob",
    "group_concat",
    "hex",
    "highlight",
    "if",
    "ifnull",
    "iif",
    "instr",
    "json",
    "json_array",
    "json_array_length",
    "json_each",
    "json_error_position",
    "json_extract",
    "json_group_array",
    "json_group_object",
    "json_object",
    "json_quote",
    "json_tree",
    "json_type",
    "json_valid",
    "julianday",
    "lag",
    "last_value",
    "lead",
    "length",
    "like",
    "likelihood",
    "likely",
    "lower",
    "ltrim",
    "match",
    "max",
    "min",
    "nth_value",
    "ntile",
    "nullif",
    "octet_length",
    "percent_rank",
    "printf",
    "quote",
    "rank",
    "replace",
    "round",
    "row_number",
    "rtrim",
    "sign",
    "snippet",
    "sqlite_version",
    "strftime",
    "string_agg",
    "substr",
    "substring",
    "sum",
    "time",
    "timediff",
    "total",
    "trim",
    "typeof",
    "unhex",
    "unicode",
    "unixepoch",
    "unlikely",
    "upper",
];

/// The authorizer of a query.
pub(super) fn authorize(context: AuthContext<'_>) -> Authorization {
    let known = |list: &[&str], name: &str| list.iter().any(|it| it.eq_ignore_ascii_case(name));
    let permitted = match context.action {
        AuthAction::Select | AuthAction::Recursive => true,
        AuthAction::Read { table_name, column_name } => {
            // There is none where only rows are counted, nor of what a statement defines for itself.
            context.database_name.is_none_or(|name| name == "main")
                && !known(&TABLES, table_name)
                && !is_secret(table_name, column_name)
        }
        AuthAction::Function { function_name } => known(FUNCTIONS, function_name),
        AuthAction::Pragma { pragma_name, .. } => known(&PRAGMAS, pragma_name),
        _ => false,
    };
    if permitted { Authorization::Allow } else { Authorization::Deny }
}

fn is_secret(table: &str, column: &str) -> bool {
    SECRETS.iter().any(|(secret_table, secret_column)| {
        secret_table.eq_ignore_ascii_case(table) && secret_column.eq_ignore_ascii_case(column)
    })
}

/// Where secrets stand in the file: root pages of b-trees, each with a position in its records.
pub(super) struct Places(Vec<(i64, i64)>);

impl Places {
    /// Finds them; call in the transaction in which the query is then run, before the authorizer is set.
    pub(super) fn find(connection: &Connection) -> Result<Self> {
        let mut places = Vec::new();
        for (table, column) in SECRETS {
            // None of the tables has its columns in another order than its records, and none is indexed
            // by its secret; if one ever is, the second half finds it.
            let mut statement = connection.prepare(
                "SELECT s.rootpage, c.cid
                 FROM sqlite_schema AS s, pragma_table_info(s.name) AS c
                 WHERE s.type = 'table' AND s.name = ?1 AND c.name = ?2
                 UNION ALL SELECT s.rootpage, c.seqno
                 FROM sqlite_schema AS s, pragma_index_xinfo(s.name) AS c
                 WHERE s.type = 'index' AND s.tbl_name = ?1 AND c.name = ?2",
            )?;
            let rows =
                statement.query_map([table, column], |row| Ok((row.get(0)?, row.get(1)?)))?;
            places.extend(rows.collect::<rusqlite::Result<Vec<_>>>()?);
        }
        Ok(Self(places))
    }

    /// Whether the program that SQLite makes of a statement reads a secret. The parameters are bound, for
    /// a statement may be compiled anew for their values.
    pub(super) fn are_read_by(
        &self,
        connection: &Connection,
        sql: &str,
        parameters: Parameters<'_>,
    ) -> rusqlite::Result<bool> {
        let mut program = connection.prepare(&format!("EXPLAIN {sql}"))?;
        parameters.bind(&mut program)?;
        let mut rows = program.raw_query();
        // Cursors on trees that hold a secret, and what is read by each cursor: a position of its
        // records, or whole ones.
        let (mut cursors, mut reads) = (Vec::new(), Vec::new());
        while let Some(row) = rows.next()? {
            let (p1, p2): (i64, i64) = (row.get(2)?, row.get(3)?);
            match row.get_ref(1)?.as_str()? {
                "OpenRead" | "ReopenIdx" | "OpenWrite" => {
                    let held = self.0.iter().filter(|(root, _)| *root == p2);
                    cursors.extend(held.map(|(_, position)| (p1, *position)));
                }
                "Column" => reads.push((p1, Some(p2))),
                "RowData" => reads.push((p1, None)),
                "RowCell" => reads.push((p2, None)),
                _ => {}
            }
        }
        let is_read = |(cursor, position): &(i64, i64)| {
            reads.contains(&(*cursor, Some(*position))) || reads.contains(&(*cursor, None))
        };
        Ok(cursors.iter().any(is_read))
    }
}
