//! What components need: taken out of manifests when they are stored, followed when asked.

use std::collections::{BTreeMap, HashSet, VecDeque};

use osnova_storage_api::components::{
    DependenciesParams, Dependency, DependencyList, Dependent, DependentList, DependentsParams,
};
use osnova_storage_api::wire::{ComponentId, JsonText};
use osnova_storage_api::{ApiError, ErrorCode};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::exists;
use crate::caller::Caller;
use crate::db::tx::{Reader, Tx};
use crate::db::{columns, semver};
use crate::error::{Result, StoreError};

/// A walk over more needs than this is refused: its answer would not fit.
const MAX_ITEMS: usize = 20_000;

/// A manifest's needs past this many are not followed: they would hold up the writer.
const MAX_NEEDS: usize = 1000;
/// No version range is longer than this, in bytes.
const MAX_REQUIREMENT_BYTES: usize = 512;

/// The parts of a manifest that say what is needed.
#[derive(Deserialize)]
struct Manifest<'a> {
    #[serde(borrow)]
    dependencies: Option<&'a RawValue>,
    #[serde(borrow)]
    components: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Need {
    id: String,
    version: Option<String>,
}

/// The needs of a manifest: ids with the range that is asked for. What is not of a known form is
/// passed over: a manifest is its author's, and is stored as it is.
fn needs(manifest: &JsonText) -> BTreeMap<String, Option<String>> {
    let mut found = BTreeMap::new();
    let Ok(manifest) = serde_json::from_str::<Manifest<'_>>(manifest.get()) else { return found };
    for part in [manifest.components, manifest.dependencies].into_iter().flatten() {
        let by_id = serde_json::from_str::<BTreeMap<String, serde_json::Value>>(part.get());
        if let Ok(by_id) = by_id {
            found.extend(
                by_id.into_iter().map(|(id, range)| (id, range.as_str().map(str::to_owned))),
            );
        } else if let Ok(listed) = serde_json::from_str::<Vec<serde_json::Value>>(part.get()) {
            let listed = listed.into_iter().filter_map(|entry| Need::deserialize(entry).ok());
            found.extend(listed.map(|need| (need.id, need.version)));
        }
    }
    found.retain(|id, requirement| {
        ComponentId::try_from(id.clone()).is_ok()
            && requirement.as_ref().is_none_or(|text| text.len() <= MAX_REQUIREMENT_BYTES)
    });
    found.into_iter().take(MAX_NEEDS).collect()
}

/// Stores what a component's manifest asks for, in place of what the one before asked for.
pub(super) fn store(tx: &Tx<'_>, id: &ComponentId, manifest: &JsonText) -> Result<()> {
    tx.connection()
        .prepare_cached("DELETE FROM component_dependencies WHERE component_id = ?1")?
        .execute([id.as_str()])?;
    for (dependency, requirement) in needs(manifest) {
        tx.connection()
            .prepare_cached(
                "INSERT INTO component_dependencies (component_id, dependency_id, requirement)
                 VALUES (?1, ?2, ?3)",
            )?
            .execute((id.as_str(), dependency, requirement))?;
    }
    Ok(())
}

/// What a component needs.
///
/// # Errors
/// `not_found`; `too_large` where the walk finds more than an answer can hold.
pub fn dependencies(
    reader: Reader<'_>,
    _caller: &Caller,
    params: &DependenciesParams,
) -> Result<DependencyList> {
    if !exists(reader, &params.component_id)? {
        return Err(StoreError::not_found("component"));
    }
    let items = walk(&params.component_id, params.transitive, |via| {
        let mut statement = reader.connection().prepare_cached(
            "SELECT dependency_id, requirement, version
             FROM component_dependencies AS needed
             LEFT JOIN components ON components.component_id = needed.dependency_id
             WHERE needed.component_id = ?1 ORDER BY dependency_id",
        )?;
        let rows = statement.query_map([via.as_str()], |row| {
            let requirement: Option<String> = row.get(1)?;
            let installed: Option<String> = row.get(2)?;
            let satisfied = semver::satisfies(installed.as_deref(), requirement.as_deref());
            let id: ComponentId = columns::text(row, 0)?;
            Ok((
                id.clone(),
                Dependency {
                    component_id: id,
                    requirement,
                    missing: installed.is_none(),
                    installed_version: columns::optional_text(row, 2)?,
                    satisfied,
                    via: via.clone(),
                },
            ))
        })?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    })?;
    Ok(DependencyList { items })
}

/// Which components need one.
///
/// # Errors
/// `too_large` where the walk finds more than an answer can hold.
pub fn dependents(
    reader: Reader<'_>,
    _caller: &Caller,
    params: &DependentsParams,
) -> Result<DependentList> {
    let items = walk(&params.component_id, params.transitive, |via| {
        let mut statement = reader.connection().prepare_cached(
            "SELECT needing.component_id, needing.requirement, asking.version, asked.version
             FROM component_dependencies AS needing
             JOIN components AS asking ON asking.component_id = needing.component_id
             LEFT JOIN components AS asked ON asked.component_id = needing.dependency_id
             WHERE needing.dependency_id = ?1 ORDER BY needing.component_id",
        )?;
        let rows = statement.query_map([via.as_str()], |row| {
            let requirement: Option<String> = row.get(1)?;
            let installed: Option<String> = row.get(3)?;
            let satisfied = semver::satisfies(installed.as_deref(), requirement.as_deref());
            let id: ComponentId = columns::text(row, 0)?;
            Ok((
                id.clone(),
                Dependent {
                    component_id: id,
                    version: columns::text(row, 2)?,
                    requirement,
                    satisfied,
                    via: via.clone(),
                },
            ))
        })?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    })?;
    Ok(DependentList { items })
}

/// Follows a relation breadth first, each component once, so that a circle ends.
fn walk<T>(
    start: &ComponentId,
    transitive: Option<bool>,
    mut neighbours: impl FnMut(&ComponentId) -> Result<Vec<(ComponentId, T)>>,
) -> Result<Vec<T>> {
    let mut found = Vec::new();
    let mut seen = HashSet::from([start.clone()]);
    let mut waiting = VecDeque::from([start.clone()]);
    while let Some(id) = waiting.pop_front() {
        for (next, item) in neighbours(&id)? {
            found.push(item);
            if found.len() > MAX_ITEMS {
                return Err(StoreError::Refused(ApiError::new(
                    ErrorCode::TooLarge,
                    format!("there are more than {MAX_ITEMS} of them"),
                )));
            }
            if transitive == Some(true) && seen.insert(next.clone()) {
                waiting.push_back(next);
            }
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn needs_are_read_in_every_form() {
        let read = |text: &str| needs(&JsonText::parse(text.to_owned()).unwrap());
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(
            read(r#"{"dependencies":{"a":"^1","b":"*"},"other":{"dependencies":{"no":"1"}}}"#),
            BTreeMap::from([("a".to_owned(), some("^1")), ("b".to_owned(), some("*"))])
        );
        assert_eq!(
            read(r#"{"dependencies":[{"id":"a","version":"2.x"},{"id":"b"},"odd",{"no":"id"}]}"#),
            BTreeMap::from([("a".to_owned(), some("2.x")), ("b".to_owned(), None)])
        );
        assert_eq!(
            read(
                r#"{"components":[{"id":"org.x","name":"X","kind":"backend","version":"1.0.0"}]}"#
            ),
            BTreeMap::from([("org.x".to_owned(), some("1.0.0"))])
        );
        for odd in ["[]", "7", "{}", r#"{"dependencies":"all"}"#, r#"{"dependencies":{"":"1"}}"#] {
            assert!(read(odd).is_empty(), "{odd}");
        }
    }
}
