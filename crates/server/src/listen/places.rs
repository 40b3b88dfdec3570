//! The places of an endpoint: how many connections it may have, and who gives way when all are taken.
//!
//! A connection is a stranger until a request of it has shown who it is. Where all places are taken, the
//! oldest stranger gives its own to the newcomer, so that a crowd that only connects keeps nobody out;
//! those who are known keep theirs. This knows nothing of sockets or of callers.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use tokio::task::AbortHandle;

/// The places of one endpoint.
#[derive(Debug)]
pub(super) struct Places {
    limit: usize,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Those who are known.
    known: usize,
    /// The strangers, the oldest first, each with what ends it once that can be done.
    strangers: BTreeMap<u64, Option<AbortHandle>>,
    next: u64,
}

impl State {
    fn taken(&self) -> usize {
        self.known + self.strangers.len()
    }

    /// Strikes the oldest stranger off; whoever asks then ends it.
    fn give_way(&mut self) -> Option<AbortHandle> {
        let (number, _) = self.strangers.iter().find(|(_, ending)| ending.is_some())?;
        let number = *number;
        self.strangers.remove(&number).flatten()
    }
}

impl Places {
    /// So many places, all free.
    pub(super) fn new(limit: usize) -> Arc<Self> {
        Arc::new(Self { limit, state: Mutex::default() })
    }

    /// Takes a place for a stranger; where none is free, the oldest stranger is ended for it. `None`
    /// where all are taken by those who are known.
    pub(super) fn take(self: &Arc<Self>) -> Option<Place> {
        let mut state = self.lock();
        let ended = if state.taken() < self.limit { None } else { Some(state.give_way()?) };
        let number = state.next;
        state.next += 1;
        state.strangers.insert(number, None);
        drop(state);
        if let Some(ended) = ended {
            ended.abort();
        }
        Some(Place { places: Arc::clone(self), number, held: Mutex::new(Held::Stranger) })
    }

    /// Whether all are taken.
    pub(super) fn are_taken(&self) -> bool {
        self.lock().taken() >= self.limit
    }

    fn end_oldest_stranger(&self) -> bool {
        let ended = self.lock().give_way();
        if let Some(ended) = &ended {
            ended.abort();
        }
        ended.is_some()
    }

    fn strangers(&self) -> usize {
        self.lock().strangers.len()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

/// How a place is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Held {
    Stranger,
    Known,
    Free,
}

/// A place that is held, until it is freed or dropped.
#[derive(Debug)]
pub(super) struct Place {
    places: Arc<Places>,
    number: u64,
    held: Mutex<Held>,
}

impl Place {
    /// Says how its holder is ended, should it have to give way. Until then it can't.
    pub(super) fn can_be_ended(&self, by: AbortHandle) {
        if let Some(ending) = self.places.lock().strangers.get_mut(&self.number) {
            *ending = Some(by);
        }
    }

    /// Its holder is known from now on; false where it had to give way before.
    pub(super) fn keep(&self) -> bool {
        let mut held = lock(&self.held);
        if *held == Held::Stranger {
            let mut state = self.places.lock();
            if state.strangers.remove(&self.number).is_none() {
                return false;
            }
            state.known += 1;
            *held = Held::Known;
        }
        *held == Held::Known
    }

    /// Gives it back.
    pub(super) fn free(&self) {
        let mut held = lock(&self.held);
        let mut state = self.places.lock();
        match *held {
            // Who had to give way is struck off already.
            Held::Stranger => drop(state.strangers.remove(&self.number)),
            Held::Known => state.known -= 1,
            Held::Free => {}
        }
        *held = Held::Free;
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.free();
    }
}

/// The places of all endpoints, for when the process itself has room for no more: whichever endpoint
/// has the crowd must then make some.
#[derive(Debug, Default)]
pub(super) struct AllPlaces(Mutex<Vec<Weak<Places>>>);

impl AllPlaces {
    /// Places of an endpoint that is opened.
    pub(super) fn of_endpoint(&self, limit: usize) -> Arc<Places> {
        let places = Places::new(limit);
        let mut all = lock(&self.0);
        all.retain(|known| known.strong_count() > 0);
        all.push(Arc::downgrade(&places));
        places
    }

    /// Ends the oldest stranger where most of them are; false where there is none.
    pub(super) fn end_a_stranger(&self) -> bool {
        let all: Vec<Arc<Places>> = lock(&self.0).iter().filter_map(Weak::upgrade).collect();
        let crowded = all.into_iter().max_by_key(|places| places.strangers());
        crowded.is_some_and(|places| places.end_oldest_stranger())
    }
}

// A panic while one of these locks is held leaves nothing half done.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use tokio::task::JoinHandle;

    use super::*;

    /// A holder of a place; its task ends when it must give way.
    fn come(places: &Arc<Places>) -> (Arc<Place>, JoinHandle<()>) {
        let place = Arc::new(places.take().unwrap());
        let task = tokio::spawn(std::future::pending());
        place.can_be_ended(task.abort_handle());
        (place, task)
    }

    async fn was_ended(task: JoinHandle<()>) -> bool {
        tokio::task::yield_now().await;
        task.is_finished() && task.await.unwrap_err().is_cancelled()
    }

    #[tokio::test]
    async fn the_oldest_stranger_gives_way() {
        let places = Places::new(3);
        let (first, first_task) = come(&places);
        let (second, second_task) = come(&places);
        let (third, third_task) = come(&places);
        assert!(first.keep() && first.keep());
        assert!(places.are_taken());
        let (fourth, fourth_task) = come(&places);
        assert!(was_ended(second_task).await);
        // It is too late to be known; its end frees nobody else's place.
        assert!(!second.keep());
        drop(second);
        assert!(places.are_taken());
        assert!(third.keep() && fourth.keep());
        assert!(places.take().is_none());
        assert!(!first_task.is_finished() && !third_task.is_finished());
        assert!(!fourth_task.is_finished());
        third.free();
        drop(third);
        let fifth = places.take().unwrap();
        // Its end is not known yet, so it can't be brought about.
        assert!(places.take().is_none());
        drop((first, fourth, fifth));
        assert_eq!(places.lock().taken(), 0);
    }

    #[tokio::test]
    async fn the_endpoint_with_the_crowd_makes_room() {
        let all = AllPlaces::default();
        let (quiet, crowded) = (all.of_endpoint(9), all.of_endpoint(9));
        assert!(!all.end_a_stranger());
        let (_alone, alone_task) = come(&quiet);
        let (_oldest, oldest_task) = come(&crowded);
        let (_younger, younger_task) = come(&crowded);
        assert!(all.end_a_stranger());
        assert!(was_ended(oldest_task).await);
        assert!(!alone_task.is_finished() && !younger_task.is_finished());
        drop(crowded);
    }
}
