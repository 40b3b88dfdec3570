//! Following the feed for one subscription.
//!
//! Nothing is queued for a subscriber. It asks for what comes after its position, a bounded part at a
//! time, when its connection has taken the part before: from memory where it is up to date, from the
//! database where it is behind. So a slow one holds nobody back, and costs one part of memory.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::ws::Message;
use osnova_storage_api::ErrorCode;
use osnova_storage_api::events::{self as wire, ChangeKind};
use osnova_storage_api::wire::{Position, UnsignedInteger};
use osnova_storage_core::StoreError;
use osnova_storage_core::db::Sight;
use osnova_storage_core::db::events::Filter;
use osnova_storage_core::db::feed::{self, Change, Part};
use serde::Serialize;
use serde_json::value::RawValue;
use tokio::sync::mpsc;

use super::subscriptions::Outgoing;
use crate::app::App;
use crate::errors;

/// Changes that a subscription holds in memory at a time.
const PART_CHANGES: usize = 64;
/// Where the database can't be read now, it is asked again after this.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// One subscription's follower.
pub(super) struct Follower {
    pub(super) app: Arc<App>,
    pub(super) answers: mpsc::Sender<Outgoing>,
    pub(super) id: u64,
    pub(super) filter: Filter,
}

/// Why a follower ends.
enum End {
    /// Nobody listens any more.
    Closed,
    /// What came after its position is no longer kept: from here on the feed is whole.
    Gone(u64),
}

/// Why a part can't be read now.
enum Unread {
    /// It may be read later.
    Now,
    Gone(u64),
}

#[derive(Serialize)]
struct Notification<P> {
    jsonrpc: &'static str,
    method: &'static str,
    params: P,
}

/// The params of a [`wire::Notification`], with the key as it is kept.
#[derive(Serialize)]
struct EventParams<'a> {
    subscription: u64,
    position: u64,
    namespace: &'a str,
    key: &'a RawValue,
    kind: ChangeKind,
}

impl Follower {
    /// Sends what is committed after the position, until the connection or the feed ends it.
    pub(super) async fn follow(self, mut position: u64) {
        if let End::Gone(oldest) = self.send_all(&mut position).await {
            let (position, oldest) = (Position(position), Position(oldest));
            let params = wire::Gone { subscription: UnsignedInteger(self.id), position, oldest };
            let _ = self.send(wire::GONE, params).await;
        }
    }

    async fn send_all(&self, position: &mut u64) -> End {
        let mut committed = self.app.committed.subscribe();
        loop {
            // Before looking: what is committed meanwhile is another round.
            committed.borrow_and_update();
            loop {
                let part = match self.next_part(*position).await {
                    Ok(part) => part,
                    Err(Unread::Gone(oldest)) => return End::Gone(oldest),
                    Err(Unread::Now) => {
                        tokio::time::sleep(RETRY_AFTER).await;
                        continue;
                    }
                };
                for change in &part.changes {
                    if self.send_change(change).await.is_err() {
                        return End::Closed;
                    }
                    *position = change.position;
                }
                *position = part.position;
                if !part.more {
                    break;
                }
            }
            if committed.changed().await.is_err() {
                return End::Closed;
            }
        }
    }

    async fn next_part(&self, position: u64) -> Result<Part<Arc<Change>>, Unread> {
        let recent = self.app.store.db().recent();
        match recent.after(position, PART_CHANGES, |change| self.filter.sees(change)) {
            Sight::Part(part) => Ok(part),
            Sight::Behind => self.read_part(position).await,
        }
    }

    async fn read_part(&self, position: u64) -> Result<Part<Arc<Change>>, Unread> {
        // Many that are behind must not take every reader of the database from the calls.
        let Ok(turn) = Arc::clone(&self.app.feed_readers).acquire_owned().await else {
            return Err(Unread::Now);
        };
        let (app, filter) = (Arc::clone(&self.app), self.filter.clone());
        let read = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            let read = app.store.db().read(|reader| {
                feed::read(reader, position, PART_CHANGES, |change| filter.sees(change))
            });
            let failed = match read {
                Ok(Part { changes, position, more }) => {
                    let changes = changes.into_iter().map(Arc::new).collect();
                    return Ok(Part { changes, position, more });
                }
                Err(error) => error,
            };
            if !is_gone(&failed) {
                errors::to_api(&app.store, &failed);
                return Err(Unread::Now);
            }
            let oldest = app.store.db().read(feed::oldest);
            Err(oldest.map_or(Unread::Now, Unread::Gone))
        });
        read.await.unwrap_or(Err(Unread::Now))
    }

    async fn send_change(&self, change: &Change) -> Result<(), ()> {
        let params = EventParams {
            subscription: self.id,
            position: change.position,
            namespace: &change.namespace,
            key: &change.key,
            kind: change.kind,
        };
        self.send(wire::EVENT, params).await
    }

    /// Waits until the connection takes it.
    async fn send<P: Serialize>(&self, method: &'static str, params: P) -> Result<(), ()> {
        let notification = Notification { jsonrpc: "2.0", method, params };
        let text = serde_json::to_string(&notification).map_err(|error| {
            errors::internal(&error.to_string());
        })?;
        let message = Outgoing { message: Message::Text(text.into()), room: None };
        self.answers.send(message).await.map_err(drop)
    }
}

fn is_gone(error: &StoreError) -> bool {
    matches!(error, StoreError::Refused(refused) if refused.code() == ErrorCode::Gone)
}
