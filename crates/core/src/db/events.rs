//! Who sees what of the change feed, and the reading of it.

use std::collections::BTreeSet;

use osnova_storage_api::events::{Event, EventPage, ListParams, SubscribeParams};
use osnova_storage_api::wire::{ComponentId, Name, Position};
use osnova_storage_api::{ApiError, NAMESPACES};

use super::feed::{self, Change, Part};
use super::tx::Reader;
use crate::caller::Caller;
use crate::error::{Result, StoreError};

/// The namespaces whose records every component may read.
const SHARED: &[&str] = &["components", "applications"];

/// Which changes a caller sees, of those that he asks for.
#[derive(Debug, Clone)]
pub struct Filter {
    /// Only of these namespaces, where there are any named.
    namespaces: Option<BTreeSet<&'static str>>,
    /// Only what this component may see; the owner sees everything.
    component: Option<ComponentId>,
}

impl Filter {
    /// What the caller sees of these namespaces, of all where none are named.
    ///
    /// # Errors
    /// `validation_error` where one is none of the contract's.
    pub fn new(caller: &Caller, asked: Option<&[Name]>) -> Result<Self> {
        let asked = asked.map(known).transpose()?;
        let Caller::Component { id, scopes } = caller else {
            return Ok(Self { namespaces: asked, component: None });
        };
        let readable = scopes.listed().map(|scopes| {
            let allowed = |name: &str| {
                scopes.iter().any(|scope| scope.as_str().strip_suffix(":read") == Some(name))
            };
            all_namespaces().filter(|name| allowed(name)).collect::<BTreeSet<_>>()
        });
        let namespaces = match (asked, readable) {
            (Some(asked), Some(readable)) => Some(asked.intersection(&readable).copied().collect()),
            (some, None) | (None, some) => some,
        };
        Ok(Self { namespaces, component: Some(id.clone()) })
    }

    /// Whether the caller sees this change.
    pub fn sees(&self, change: &Change) -> bool {
        let namespace = change.namespace.as_str();
        if self.namespaces.as_ref().is_some_and(|names| !names.contains(namespace)) {
            return false;
        }
        match &self.component {
            None => true,
            Some(id) => {
                SHARED.contains(&namespace) || change.component.as_deref() == Some(id.as_str())
            }
        }
    }
}

fn all_namespaces() -> impl Iterator<Item = &'static str> {
    NAMESPACES.iter().filter_map(|(_, methods)| Some(methods.first()?.namespace()))
}

fn known(asked: &[Name]) -> Result<BTreeSet<&'static str>> {
    let known = |(index, name): (usize, &Name)| {
        all_namespaces().find(|known| *known == name.as_str()).ok_or_else(|| {
            let field = format!("namespaces.{index}");
            StoreError::Refused(ApiError::field(&field, "is no namespace of the contract"))
        })
    };
    asked.iter().enumerate().map(known).collect()
}

/// What has changed since a position; without one, where the feed is now.
///
/// # Errors
/// `gone` where the position is no longer kept, or never was; `validation_error` of a namespace.
pub fn list(reader: Reader<'_>, caller: &Caller, params: &ListParams) -> Result<EventPage> {
    let filter = Filter::new(caller, params.namespaces.as_deref())?;
    let Some(Position(since)) = params.since else {
        let position = Position(feed::latest(reader)?);
        return Ok(EventPage { items: Vec::new(), position, more: false });
    };
    let max = usize::from(params.limit.unwrap_or_default().0);
    let Part { changes, position, more } =
        feed::read(reader, since, max, |change| filter.sees(change))?;
    let items = changes.iter().map(event).collect::<Result<_>>()?;
    Ok(EventPage { items, position: Position(position), more })
}

/// Where a subscription begins, and what is seen by it.
///
/// # Errors
/// As [`list`].
pub fn begin(
    reader: Reader<'_>,
    caller: &Caller,
    params: &SubscribeParams,
) -> Result<(u64, Filter)> {
    let filter = Filter::new(caller, params.namespaces.as_deref())?;
    let position = match params.since {
        Some(Position(since)) => feed::read(reader, since, 0, |_| false).map(|_| since)?,
        None => feed::latest(reader)?,
    };
    Ok((position, filter))
}

fn event(change: &Change) -> Result<Event> {
    let key = serde_json::from_str(change.key.get()).map_err(|error| {
        StoreError::RecordsDamaged(format!("a key of the change feed: {error}"))
    })?;
    Ok(Event {
        position: Position(change.position),
        namespace: change.namespace.clone(),
        key,
        kind: change.kind,
    })
}
