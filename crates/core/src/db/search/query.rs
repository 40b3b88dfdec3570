//! Searches: the records in which all that was typed is found, the best first.

use osnova_storage_api::ApiError;
use osnova_storage_api::applications::{ApplicationHit, ApplicationHits};
use osnova_storage_api::components::{ComponentHit, ComponentHits};
use osnova_storage_api::messages::{MessageHit, MessageHits};
use osnova_storage_api::search::SearchParams;
use osnova_storage_api::wire::{JsonText, Name, Text};
use rusqlite::{ErrorCode, ToSql};

use super::super::messages as message_rows;
use super::super::page::{ESCAPED, PAGE_BYTES};
use super::super::tx::Reader;
use super::super::{applications as application_rows, components as component_rows};
use super::text::{Holder, Query};
use super::{index, snippet};
use crate::caller::Caller;
use crate::error::{Result, StoreError};

/// How many records are shown where the caller does not say.
const DEFAULT_LIMIT: u16 = 20;
/// What the caller of a search in a broken index is told to wait: a small index is built by then.
const RETRY_AFTER_MS: u64 = 1000;

/// The statement that finds records. The weights say how much a word counts in which text: what a
/// thing is called more than what is said of it.
macro_rules! find {
    ($table:literal, $weights:literal) => {
        concat!(
            "SELECT record_key, bm25(",
            $table,
            ", ",
            $weights,
            ") AS score FROM ",
            $table,
            " JOIN search_records ON search_id = ",
            $table,
            ".rowid WHERE ",
            $table,
            " MATCH :expression ORDER BY score, record_key LIMIT :limit"
        )
    };
}

const FIND_COMPONENTS: &str = find!("search_components", "10, 4, 2, 6");
const FIND_APPLICATIONS: &str = find!("search_applications", "10, 4, 2, 6");
const FIND_MESSAGES: &str = find!("search_messages", "2, 2, 4");
/// A component's own, the newest first: how much a word is worth is counted over the messages of all.
const FIND_OWN_MESSAGES: &str = "
    SELECT record_key, 0.0 FROM search_own_messages
      JOIN search_records ON search_id = search_own_messages.rowid
      JOIN messages ON message_id = record_key
    WHERE search_own_messages MATCH :expression AND component_id = :component
    ORDER BY timestamp DESC, message_id LIMIT :limit";

/// A record that was found.
struct Found<T> {
    record: T,
    snippet: String,
    score: Option<f64>,
}

/// Searches components.
///
/// # Errors
/// `unavailable` while the index is broken.
pub fn components(
    reader: Reader<'_>,
    caller: &Caller,
    params: &SearchParams,
) -> Result<ComponentHits> {
    let found = search(reader, caller, params, FIND_COMPONENTS, |query, key| {
        let Some(record) = component_rows::find(reader, &parse(key)?)? else { return Ok(None) };
        let description = text(record.description.as_ref());
        let author = name(record.author.as_ref());
        let (snippet, bytes) =
            described(query, description, &record.manifest, author, record.name.as_str());
        Ok(Some((snippet, bytes, record)))
    })?;
    let items = found
        .into_iter()
        .map(|Found { record, snippet, score }| ComponentHit { record, snippet, score })
        .collect();
    Ok(ComponentHits { items })
}

/// Searches applications.
///
/// # Errors
/// `unavailable` while the index is broken.
pub fn applications(
    reader: Reader<'_>,
    caller: &Caller,
    params: &SearchParams,
) -> Result<ApplicationHits> {
    let found = search(reader, caller, params, FIND_APPLICATIONS, |query, key| {
        let Some(record) = application_rows::find_any(reader, &parse(key)?)? else {
            return Ok(None);
        };
        let description = text(record.description.as_ref());
        let author = name(record.author.as_ref());
        let (snippet, bytes) =
            described(query, description, &record.manifest, author, record.name.as_str());
        Ok(Some((snippet, bytes, record)))
    })?;
    let items = found
        .into_iter()
        .map(|Found { record, snippet, score }| ApplicationHit { record, snippet, score })
        .collect();
    Ok(ApplicationHits { items })
}

/// Searches messages: all for the owner, its own for a component.
///
/// # Errors
/// `unavailable` while the index is broken.
pub fn messages(reader: Reader<'_>, caller: &Caller, params: &SearchParams) -> Result<MessageHits> {
    let sql = match caller {
        Caller::Owner => FIND_MESSAGES,
        Caller::Component { .. } => FIND_OWN_MESSAGES,
    };
    let found = search(reader, caller, params, sql, |query, key| {
        let record = message_rows::find(reader, &parse(key)?)?;
        // It may have become another's since it was found.
        let Some(record) = record.filter(|record| caller.sees(record.component_id.as_ref())) else {
            return Ok(None);
        };
        let texts = [text(record.body.as_ref()), record.channel.as_str(), record.sender.as_str()];
        let bytes = record.metadata.as_ref().map_or(0, |json| json.get().len())
            + 70 * record.attachments.len()
            + texts.iter().map(|t| t.len()).sum::<usize>();
        Ok(Some((snippet::of(query, &texts), bytes, record)))
    })?;
    let items = found
        .into_iter()
        .map(|Found { record, snippet, score }| MessageHit { record, snippet, score })
        .collect();
    Ok(MessageHits { items })
}

/// The snippet of what has a manifest, and about its size.
fn described(
    query: &Query,
    description: &str,
    manifest: &JsonText,
    author: &str,
    name: &str,
) -> (String, usize) {
    let keywords = index::keyword_line(manifest);
    let texts = [description, keywords.as_str(), author, name];
    let bytes = manifest.get().len() + texts.iter().map(|text| text.len()).sum::<usize>();
    (snippet::of(query, &texts), bytes)
}

fn text(text: Option<&Text>) -> &str {
    text.map_or("", Text::as_str)
}

fn name(name: Option<&Name>) -> &str {
    name.map_or("", Name::as_str)
}

/// A key of the index as the record's id.
fn parse<T: std::str::FromStr<Err = String>>(key: &str) -> Result<T> {
    key.parse().map_err(|why| StoreError::Internal(format!("a key in the search index {why}")))
}

/// Finds keys and reads their records, until the limit or the size of an answer is reached. `read`
/// gives a record with its snippet and about its size; none where it is gone meanwhile.
fn search<T>(
    reader: Reader<'_>,
    caller: &Caller,
    params: &SearchParams,
    sql: &'static str,
    read: impl Fn(&Query, &str) -> Result<Option<(String, usize, T)>>,
) -> Result<Vec<Found<T>>> {
    let Some(query) = Query::parse(params.query.as_str()) else { return Ok(Vec::new()) };
    let limit = params.limit.map_or(DEFAULT_LIMIT, |limit| limit.0);
    let keys =
        keys(reader, caller, &query, sql, limit).map_err(|error| index_error(reader, error))?;
    let mut found: Vec<Found<T>> = Vec::new();
    let mut bytes = 0;
    for (key, rank) in keys {
        let Some((snippet, size, record)) = read(&query, &key)? else { continue };
        bytes += ESCAPED * (size + snippet.len()) + 3000;
        // As a page of a list, an answer always fits.
        if bytes > PAGE_BYTES && !found.is_empty() {
            break;
        }
        // A score tells of how often a word stands in records that are another's.
        let score = caller.is_owner().then_some(-rank);
        found.push(Found { record, snippet, score });
    }
    Ok(found)
}

/// The keys of the records that are found, with their ranks: the lower, the better.
fn keys(
    reader: Reader<'_>,
    caller: &Caller,
    query: &Query,
    sql: &'static str,
    limit: u16,
) -> rusqlite::Result<Vec<(String, f64)>> {
    let component = (sql == FIND_OWN_MESSAGES).then(|| caller.holder());
    let expression = match component {
        Some(component) => query.expression_of(&Holder::of(component)),
        None => query.expression(),
    };
    let all: [(&str, &dyn ToSql); 3] =
        [(":expression", &expression), (":limit", &limit), (":component", &component)];
    let bound = if component.is_some() { &all[..] } else { &all[..2] };
    let mut statement = reader.connection().prepare_cached(sql)?;
    let rows = statement.query_map(bound, |row| Ok((row.get(0)?, row.get(1)?)))?;
    rows.collect()
}

/// What a failed look into the index means: where it is the index's own fault, it is built anew.
fn index_error(reader: Reader<'_>, error: rusqlite::Error) -> StoreError {
    if !is_broken(&error) {
        return error.into();
    }
    tracing::warn!(%error, "the search index is broken");
    reader.search_state().report_broken();
    StoreError::Refused(ApiError::unavailable(
        "the search index is being built anew",
        RETRY_AFTER_MS,
    ))
}

/// Whether an error is an index's own: its tables are damaged, or are not there. What is asked of it is
/// always well-formed.
pub(super) fn is_broken(error: &rusqlite::Error) -> bool {
    matches!(error, rusqlite::Error::SqlInputError { .. })
        || matches!(
            error.sqlite_error_code(),
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::Unknown)
        )
}
