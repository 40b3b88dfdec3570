//! The users' cocoons: `identity/<name of the user's id>/`, the daemon's own files.
//!
//! ```text
//! id                    the user's id, for its name may be a hash
//! keys.cocoon           the present cocoon
//! keys.cocoon.previous  the one before, where there was one
//! keys.cocoon.new       being written
//! keys.cocoon.old       the present one, while another takes its place
//! ```
//!
//! A folder appears with its first cocoon in it and goes as a whole. In between a cocoon is replaced in
//! steps, each on disk before the next: a copy of the present one as `old`, the new one in its place,
//! `old` as `previous`. Whatever step a crash comes after, the present cocoon is complete, and the next
//! call finishes or undoes the change: where `old` is still the present one it is dropped, else it
//! becomes the previous one. Neither a cocoon nor whose it is ever reaches an error's text.

use std::sync::{Mutex, MutexGuard, PoisonError};

use osnova_storage_api::identity::{
    Cocoon, CocoonInfo, CocoonPage, ListParams, MAX_COCOON_BYTES, PutCocoonParams, UserParams,
};
use osnova_storage_api::wire::{Base64Data, BlobHash, Deleted, Timestamp, UnsignedInteger, UserId};
use osnova_storage_api::{ApiError, ErrorCode};
use sha2::{Digest, Sha256};

use crate::caller::Caller;
use crate::db::page::Query;
use crate::error::{Result, StoreError};
use crate::layout::Layout;
use crate::names::file_name;
use crate::tree::{Folder, YARD, Yard};

/// The most users. Each call on the list reads whose every folder is.
const MAX_USERS: usize = 10_000;
/// The longest name of a user's folder, in bytes: what every file system takes.
const MAX_NAME_BYTES: usize = 200;
/// The longest id, in bytes: 256 characters of at most four.
const MAX_ID_BYTES: usize = 1024;
/// About how much an item of a page takes beside the user's id.
const ITEM_BYTES: usize = 256;

const ID: &str = "id";
const PRESENT: &str = "keys.cocoon";
const PREVIOUS: &str = "keys.cocoon.previous";
const NEW: &str = "keys.cocoon.new";
const OLD: &str = "keys.cocoon.old";

/// The folder of the cocoons.
#[derive(Debug)]
pub struct Identity {
    root: Folder,
    yard: Yard,
    /// Held by every call: a change is several steps.
    turn: Mutex<()>,
}

impl Identity {
    /// Opens the folder and removes what a crash has left in the making.
    pub(crate) fn open(layout: &Layout) -> Result<Self> {
        let root = Folder::open_own(layout.files(), &layout.identity(), "identity")?;
        let yard = Yard::open(&root)?;
        for name in yard.names()? {
            yard.remove(&name)?;
        }
        Ok(Self { root, yard, turn: Mutex::default() })
    }

    /// Stores a cocoon in the place of the one before; the bytes that are there already change nothing.
    ///
    /// # Errors
    /// `too_large` past 1 MiB; `quota_exceeded` past so many users.
    pub fn put(&self, _caller: &Caller, params: &PutCocoonParams) -> Result<CocoonInfo> {
        let cocoon = &params.data.0;
        if cocoon.is_empty() {
            return Err(ApiError::field("data", "must not be empty").into());
        }
        if cocoon.len() > MAX_COCOON_BYTES {
            let message = format!("a cocoon has at most {MAX_COCOON_BYTES} bytes");
            return Err(ApiError::new(ErrorCode::TooLarge, message).into());
        }
        let _turn = self.take_turn();
        let folder = match self.user(&params.user_id)? {
            Some(folder) => {
                if present(&folder)?.as_ref() != Some(cocoon) {
                    replace(&folder, cocoon)?;
                }
                folder
            }
            None => self.add(&params.user_id, cocoon)?,
        };
        info(&folder, params.user_id.clone())?.ok_or_else(absent).map(|(_, info)| info)
    }

    /// Reads a cocoon.
    ///
    /// # Errors
    /// `not_found` where the user has none.
    pub fn get(&self, _caller: &Caller, params: &UserParams) -> Result<Cocoon> {
        let _turn = self.take_turn();
        let folder = self.user(&params.user_id)?.ok_or_else(absent)?;
        let (data, info) = info(&folder, params.user_id.clone())?.ok_or_else(absent)?;
        Ok(Cocoon { data: Base64Data(data), info })
    }

    /// Exchanges the present cocoon and the one before it.
    ///
    /// # Errors
    /// `not_found` where there is none before it.
    pub fn restore_previous(&self, _caller: &Caller, params: &UserParams) -> Result<CocoonInfo> {
        let _turn = self.take_turn();
        let folder = self.user(&params.user_id)?.ok_or_else(absent)?;
        let previous = folder.read(PREVIOUS, MAX_COCOON_BYTES)?;
        let previous = previous.ok_or_else(|| StoreError::not_found("previous cocoon"))?;
        replace(&folder, &previous)?;
        info(&folder, params.user_id.clone())?.ok_or_else(absent).map(|(_, info)| info)
    }

    /// Lists the cocoons by user id.
    ///
    /// # Errors
    /// `validation_error` where the cursor is another list's.
    pub fn list(&self, _caller: &Caller, params: &ListParams) -> Result<CocoonPage> {
        let query = Query::new("identity.list", &[], params.limit);
        let after: Option<UserId> = query.after(params.cursor.as_ref())?;
        let _turn = self.take_turn();
        let mut users = Vec::new();
        for name in self.names()? {
            let Some(folder) = self.root.child(name.as_str())? else { continue };
            let id = folder.read(ID, MAX_ID_BYTES)?.and_then(|id| String::from_utf8(id).ok());
            let id = id.and_then(|id| UserId::try_from(id).ok());
            users.push(id.ok_or_else(damaged)?);
        }
        users.sort_unstable();
        let mut page = query.page();
        for id in users.into_iter().filter(|id| Some(id) > after.as_ref()) {
            let Some(folder) = self.user(&id)? else { continue };
            let Some((_, info)) = info(&folder, id.clone())? else { continue };
            let bytes = id.as_str().len() + ITEM_BYTES;
            if !page.push(info, id, bytes) {
                break;
            }
        }
        let (items, next_cursor) = page.finish()?;
        Ok(CocoonPage { items, next_cursor })
    }

    /// Deletes a user's cocoon with the one before it.
    ///
    /// # Errors
    /// Where it can't be removed.
    pub fn delete(&self, _caller: &Caller, params: &UserParams) -> Result<Deleted> {
        let _turn = self.take_turn();
        let name = folder_name(&params.user_id);
        let Some(taken) = self.yard.take(&self.root, &name)? else {
            return Ok(Deleted { deleted: false });
        };
        self.yard.remove(&taken)?;
        Ok(Deleted { deleted: true })
    }

    fn take_turn(&self) -> MutexGuard<'_, ()> {
        self.turn.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The folder of a user, with nothing left half done in it.
    fn user(&self, id: &UserId) -> Result<Option<Folder>> {
        let folder = self.root.child(folder_name(id).as_str())?;
        if let Some(folder) = &folder {
            settle(folder)?;
        }
        Ok(folder)
    }

    /// The folders of all users.
    fn names(&self) -> Result<Vec<String>> {
        let mut names = self.root.names(MAX_USERS + 1)?;
        names.retain(|name| name != YARD);
        Ok(names)
    }

    fn add(&self, id: &UserId, cocoon: &[u8]) -> Result<Folder> {
        if self.names()?.len() >= MAX_USERS {
            let message = format!("there are {MAX_USERS} users already");
            return Err(ApiError::new(ErrorCode::QuotaExceeded, message).into());
        }
        let (made, folder) = self.yard.make()?;
        let fill = || {
            folder.write_new(ID, id.as_str().as_bytes())?;
            folder.write_new(PRESENT, cocoon)?;
            folder.sync()?;
            self.yard.put(&made, &self.root, &folder_name(id))
        };
        match fill() {
            Ok(true) => Ok(folder),
            Ok(false) => Err(damaged()),
            Err(error) => {
                self.yard.forget(&made);
                Err(error)
            }
        }
    }
}

fn absent() -> StoreError {
    StoreError::not_found("cocoon")
}

/// Someone else has changed what only the daemon writes.
fn damaged() -> StoreError {
    let message = "the files of the users' cocoons are damaged";
    ApiError::new(ErrorCode::IntegrityError, message).into()
}

fn folder_name(id: &UserId) -> String {
    file_name(id.as_str(), MAX_NAME_BYTES)
}

fn present(folder: &Folder) -> Result<Option<Vec<u8>>> {
    folder.read(PRESENT, MAX_COCOON_BYTES)
}

/// Puts a cocoon in the place of the present one, and that in the place of the previous one.
fn replace(folder: &Folder, cocoon: &[u8]) -> Result<()> {
    if let Some(present) = present(folder)? {
        folder.replace(OLD, NEW, &present)?;
    }
    folder.replace(PRESENT, NEW, cocoon)?;
    settle(folder)
}

/// Finishes or undoes a change that was begun.
fn settle(folder: &Folder) -> Result<()> {
    let Some(old) = folder.read(OLD, MAX_COCOON_BYTES)? else { return Ok(()) };
    if present(folder)?.as_ref() == Some(&old) {
        folder.unlink(OLD)?;
    } else {
        folder.rename(OLD, folder, PREVIOUS)?;
    }
    folder.sync()
}

/// A cocoon and what is known of it.
fn info(folder: &Folder, user_id: UserId) -> Result<Option<(Vec<u8>, CocoonInfo)>> {
    let Some(cocoon) = present(folder)? else { return Ok(None) };
    let updated_at = folder.file_times(PRESENT)?.map_or(0, |(modified, _)| modified);
    let info = CocoonInfo {
        user_id,
        size: UnsignedInteger(cocoon.len() as u64),
        sha256: BlobHash::new(Sha256::digest(&cocoon).into()),
        updated_at: Timestamp(updated_at),
        has_previous: folder.file_times(PREVIOUS)?.is_some(),
    };
    Ok(Some((cocoon, info)))
}
