//! `messages`: what was said on channels. Each is the component's that put it, or the owner's.

use std::collections::BTreeMap;

use osnova_storage_api::components::Direction;
use osnova_storage_api::messages::{
    DeleteParams, GetParams, ListParams, ManyInput, Message, MessageInput, MessagePage,
    PutManyParams, PutParams, StoredMessages,
};
use osnova_storage_api::wire::{
    BlobHash, ComponentId, Deleted, JsonText, MessageId, Name, Revision, Role, Text, Timestamp,
};
use rusqlite::{OptionalExtension, Row};

use super::keyset::{self, Listed, Range, Scan};
use super::page::ESCAPED;
use super::search::Searched;
use super::tx::{ChangeKind, Reader, Tx, check_revision};
use super::{blobs, columns};
use crate::caller::Caller;
use crate::error::{Result, StoreError};

const NAMESPACE: &str = "messages";
const WHAT: &str = "message";

/// A query of whole rows, as [`from_row`] reads them.
macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT message_id, channel, sender, timestamp, body, metadata_json,
                    coalesce(attachments_json, '[]'), component_id, revision
             FROM messages ",
            $rest
        )
    };
}

fn from_row(row: &Row<'_>) -> rusqlite::Result<Message> {
    Ok(Message {
        message_id: columns::text(row, 0)?,
        channel: columns::text(row, 1)?,
        sender: columns::text(row, 2)?,
        timestamp: Timestamp(row.get(3)?),
        body: columns::optional_text(row, 4)?,
        metadata: columns::optional_json(row, 5)?,
        attachments: columns::json_as::<Vec<BlobHash>>(row, 6)?,
        component_id: columns::optional_text(row, 7)?,
        revision: Revision(row.get(8)?),
    })
}

pub(super) fn find(reader: Reader<'_>, id: &MessageId) -> Result<Option<Message>> {
    let found = reader
        .connection()
        .prepare_cached(select!("WHERE message_id = ?1"))?
        .query_row([id.as_str()], from_row)
        .optional()?;
    Ok(found)
}

/// Reads one message.
///
/// # Errors
/// `not_found`.
pub fn get(reader: Reader<'_>, caller: &Caller, params: &GetParams) -> Result<Message> {
    find(reader, &params.message_id)?
        .filter(|found| caller.sees(found.component_id.as_ref()))
        .ok_or_else(|| StoreError::not_found(WHAT))
}

/// Stores one message and its references.
///
/// # Errors
/// `conflict`: `revision` where `ifRevision` does not match, `exists` where the id is another's,
/// `foreign_key` where it names a blob that the caller can't see. `not_found` where a component names
/// another.
pub fn put(tx: &Tx<'_>, caller: &Caller, params: &PutParams) -> Result<Message> {
    store(tx, caller, &params.message, params.if_revision)
}

/// Stores many messages, in order; the first that can't be stored fails them all.
///
/// # Errors
/// As [`put`], with the `index` of the message.
pub fn put_many(tx: &Tx<'_>, caller: &Caller, params: &PutManyParams) -> Result<StoredMessages> {
    let store_one = |(index, item): (usize, &ManyInput)| {
        store(tx, caller, &item.message, item.if_revision).map_err(|error| error.at_index(index))
    };
    let items = params.items.iter().enumerate().map(store_one).collect::<Result<_>>()?;
    Ok(StoredMessages { items })
}

fn store(
    tx: &Tx<'_>,
    caller: &Caller,
    input: &MessageInput,
    if_revision: Option<Revision>,
) -> Result<Message> {
    let component = caller.of_record(input.component_id.as_ref(), WHAT)?;
    let known = match &input.message_id {
        Some(id) => find(tx.reader(), id)?,
        None => None,
    };
    if known.as_ref().is_some_and(|known| !caller.sees(known.component_id.as_ref())) {
        return Err(StoreError::exists("there is a message of this id already"));
    }
    check_revision(if_revision, known.as_ref().map(|known| known.revision))?;
    let id = match &input.message_id {
        Some(id) => id.clone(),
        None => new_id()?,
    };
    // What is the owner's to say and he does not say stays as it is.
    let component = component.or(known.as_ref().and_then(|known| known.component_id.as_ref()));
    let attachments = input.attachments.clone().unwrap_or_default();
    let named = attachments.iter().enumerate().map(|(index, hash)| {
        let role = Role::try_from(index.to_string()).map_err(StoreError::Internal)?;
        Ok((role, *hash))
    });
    let named: BTreeMap<Role, BlobHash> = named.collect::<Result<_>>()?;
    if known.is_some() || !named.is_empty() {
        blobs::set_references(tx, caller, NAMESPACE, id.as_str(), &named)?;
    }
    let listed = match attachments.is_empty() {
        true => None,
        false => Some(serde_json::to_string(&attachments).map_err(|error| {
            StoreError::Internal(format!("attachments can't be written: {error}"))
        })?),
    };
    tx.note_search(Searched::Messages, id.as_str());
    let holder = component.map(ComponentId::as_str);
    // Whoever had it is told that it is gone: of the put it sees nothing.
    if let Some(left) = known.as_ref().and_then(|known| known.component_id.as_ref())
        && Some(left) != component
    {
        tx.record_change_of(Some(left.as_str()), NAMESPACE, &[id.as_str()], ChangeKind::Delete)?;
    }
    let revision = tx.record_change_of(holder, NAMESPACE, &[id.as_str()], ChangeKind::Put)?;
    tx.connection()
        .prepare_cached(
            "INSERT INTO messages (message_id, component_id, channel, sender, timestamp, body,
               metadata_json, attachments_json, revision)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)
             ON CONFLICT (message_id) DO UPDATE SET component_id = excluded.component_id,
               channel = excluded.channel, sender = excluded.sender, timestamp = excluded.timestamp,
               body = excluded.body, metadata_json = excluded.metadata_json,
               attachments_json = excluded.attachments_json, revision = excluded.revision",
        )?
        .execute((
            id.as_str(),
            holder,
            input.channel.as_str(),
            input.sender.as_str(),
            input.timestamp.0,
            input.body.as_ref().map(Text::as_str),
            input.metadata.as_ref().map(JsonText::get),
            listed,
            revision.0,
        ))?;
    Ok(Message {
        message_id: id,
        channel: input.channel.clone(),
        sender: input.sender.clone(),
        timestamp: input.timestamp,
        body: input.body.clone(),
        metadata: input.metadata.clone(),
        attachments,
        component_id: component.cloned(),
        revision,
    })
}

/// An id that no other message has: 128 random bits.
fn new_id() -> Result<MessageId> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes)
        .map_err(|error| StoreError::Internal(format!("no randomness: {error}")))?;
    let text: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    MessageId::try_from(text).map_err(StoreError::Internal)
}

/// A page of messages, by time.
///
/// # Errors
/// `validation_error` where the cursor is another list's; `not_found` where a component names another.
pub fn list(reader: Reader<'_>, caller: &Caller, params: &ListParams) -> Result<MessagePage> {
    let component = caller.of_record(params.component_id.as_ref(), WHAT)?;
    let direction = params.direction.unwrap_or(Direction::Descending);
    let channel = params.channel.as_ref().map(Name::as_str);
    let bound = [
        (":component", keyset::text(component.map(ComponentId::as_str))),
        (":channel", keyset::text(channel)),
        (":from", keyset::time(params.from)),
        (":to", keyset::time(params.to)),
    ];
    let mut filters = Vec::new();
    filters.extend(component.map(|_| "component_id = :component"));
    filters.extend(channel.map(|_| "channel = :channel"));
    filters.extend(params.from.map(|_| "timestamp >= :from"));
    filters.extend(params.to.map(|_| "timestamp < :to"));
    let scan = Scan {
        select: select!(""),
        ranges: &[Range::by("timestamp")],
        id: "message_id",
        direction,
        arms: &["1"],
        filters: &filters,
        bound: &bound,
    };
    let query = scan.query("messages.list", params.limit);
    let (items, next_cursor) =
        keyset::list(reader, &query, params.cursor.as_ref(), &scan, |row| {
            let item = from_row(row)?;
            Ok(Listed {
                order: item.timestamp.0.into(),
                id: item.message_id.as_str().to_owned(),
                bytes: ESCAPED * item.body.as_ref().map_or(0, |text| text.as_str().len())
                    + item.metadata.as_ref().map_or(0, |text| text.get().len())
                    + 70 * item.attachments.len()
                    + 3000,
                item,
            })
        })?;
    Ok(MessagePage { items, next_cursor })
}

/// Deletes one message and its references.
///
/// # Errors
/// `conflict` where `ifRevision` does not match.
pub fn delete(tx: &Tx<'_>, caller: &Caller, params: &DeleteParams) -> Result<Deleted> {
    let id = &params.message_id;
    let known = find(tx.reader(), id)?.filter(|found| caller.sees(found.component_id.as_ref()));
    check_revision(params.if_revision, known.as_ref().map(|known| known.revision))?;
    let Some(known) = known else { return Ok(Deleted { deleted: false }) };
    blobs::set_references(tx, &Caller::Owner, NAMESPACE, id.as_str(), &BTreeMap::new())?;
    tx.connection()
        .prepare_cached("DELETE FROM messages WHERE message_id = ?1")?
        .execute([id.as_str()])?;
    tx.note_search(Searched::Messages, id.as_str());
    let holder = known.component_id.as_ref().map(ComponentId::as_str);
    tx.record_change_of(holder, NAMESPACE, &[id.as_str()], ChangeKind::Delete)?;
    Ok(Deleted { deleted: true })
}
