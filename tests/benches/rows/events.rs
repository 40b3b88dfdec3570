//! Following what changes: what a hundred subscribers cost those who write, and how long a change takes
//! to reach the last of them.

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use osnova_storage_client::Client;
use osnova_storage_client::api::events::SubscribeParams;
use serde_json::Value;

use super::peers::Load;
use crate::bench::Bench;
use crate::daemon::{Daemon, Root};
use crate::framing::Protocol;
use crate::measure::Samples;
use crate::records;
use crate::table::{Bound, Figure, Row, Table};

const SUBSCRIBERS: usize = 100;
const CALLERS: usize = 16;
/// No change takes so long.
const LIMIT: Duration = Duration::from_secs(30);

/// All rows of this group.
pub(crate) fn measure(bench: &Bench, table: &mut Table) -> Result<(), String> {
    let root = Root::new(bench.directory())?;
    let (daemon, _) = Daemon::start(&root)?;
    let sets = records::small_sets(Protocol::JsonRpc);
    let load = Load {
        socket: daemon.socket(),
        protocol: Protocol::JsonRpc,
        requests: &sets,
        callers: CALLERS,
    };
    // Each key is there before it is measured.
    load.run(bench)?;
    let alone = load.run(bench)?.per_second;
    let followers = Followers::start(daemon.socket())?;
    let begin = Instant::now();
    let followed = load.run(bench)?;
    followers.wait_for(newest(&daemon)?)?;
    let delivered = followers.delivered.load(Ordering::Relaxed) as f64;
    let seconds = begin.elapsed().as_secs_f64();
    let what = format!("preferences.set, {CALLERS} connections, {SUBSCRIBERS} subscribers");
    table.add(
        Row::new(what, Figure::PerSecond(followed.per_second))
            .against("no subscribers", Figure::PerSecond(alone))
            .detail(followed.percentiles()),
    );
    table.add(Row::new(
        format!("events delivered to {SUBSCRIBERS} subscribers"),
        Figure::PerSecond(delivered / seconds),
    ));
    let reached = one_by_one(&daemon, &followers, bench.pick(50, 300))?;
    table.add(
        Row::new(
            format!("from a write to the last of {SUBSCRIBERS} subscribers, p95"),
            Figure::Millis(reached.p95_ms),
        )
        .floor(Bound::Below(100.0))
        .detail(reached.percentiles()),
    );
    followers.stop()?;
    daemon.stop()
}

/// How long single changes take, from the call to the last subscriber.
fn one_by_one(
    daemon: &Daemon,
    followers: &Followers,
    turns: usize,
) -> Result<crate::measure::Summary, String> {
    let mut client = daemon.client()?;
    let mut samples = Samples::default();
    followers.tell.store(true, Ordering::Release);
    let all = Instant::now();
    for turn in 0..turns {
        let begin = Instant::now();
        client.call("preferences.set", &records::set_params(turn, "1"))?;
        for _ in 0..SUBSCRIBERS {
            followers.heard.recv_timeout(LIMIT).map_err(|_| "a subscriber was not told")?;
        }
        samples.add(begin.elapsed());
    }
    Ok(samples.summary(all.elapsed().as_secs_f64()))
}

/// The position of the newest change.
fn newest(daemon: &Daemon) -> Result<u64, String> {
    let answer = daemon.client()?.call("events.list", r#"{"limit":1}"#)?;
    let position = answer.get("position").and_then(Value::as_u64);
    position.ok_or_else(|| format!("no position in {answer}"))
}

/// Subscribers, each on a WebSocket of its own, on one thread.
struct Followers {
    delivered: Arc<AtomicU64>,
    /// What each has heard last.
    positions: Arc<Vec<AtomicU64>>,
    /// Whether each event is told to `heard`.
    tell: Arc<AtomicBool>,
    heard: mpsc::Receiver<()>,
    stop: tokio::sync::watch::Sender<bool>,
    thread: JoinHandle<Result<(), String>>,
}

impl Followers {
    fn start(socket: &Path) -> Result<Self, String> {
        let endpoint = format!("unix:{}", socket.display());
        let delivered = Arc::new(AtomicU64::new(0));
        let positions: Arc<Vec<_>> =
            Arc::new((0..SUBSCRIBERS).map(|_| AtomicU64::new(0)).collect());
        let tell = Arc::new(AtomicBool::new(false));
        let (told, heard) = mpsc::channel();
        let (stop, stopped) = tokio::sync::watch::channel(false);
        let (ready, is_ready) = mpsc::channel();
        let shared = (Arc::clone(&delivered), Arc::clone(&positions), Arc::clone(&tell));
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.map_err(text)?.block_on(async move {
                let (delivered, positions, tell) = shared;
                let client = Client::connect(&endpoint).await.map_err(text)?;
                let mut tasks = tokio::task::JoinSet::new();
                for number in 0..SUBSCRIBERS {
                    let mut events =
                        client.events(SubscribeParams::default()).await.map_err(text)?;
                    let (delivered, positions, tell) =
                        (Arc::clone(&delivered), Arc::clone(&positions), Arc::clone(&tell));
                    let (told, mut stopped) = (told.clone(), stopped.clone());
                    tasks.spawn(async move {
                        loop {
                            let event = tokio::select! {
                                event = events.next() => event.map_err(text)?,
                                _ = stopped.changed() => return Ok::<(), String>(()),
                            };
                            delivered.fetch_add(1, Ordering::Relaxed);
                            positions[number].store(event.position.0, Ordering::Release);
                            if tell.load(Ordering::Acquire) {
                                // Nobody listens any more when the benchmark has failed.
                                let _ = told.send(());
                            }
                        }
                    });
                }
                let _ = ready.send(());
                while let Some(ended) = tasks.join_next().await {
                    ended.map_err(text)??;
                }
                Ok(())
            })
        });
        let this = Self { delivered, positions, tell, heard, stop, thread };
        if is_ready.recv().is_err() {
            this.stop()?;
            return Err("the subscribers could not begin".to_owned());
        }
        Ok(this)
    }

    /// Waits until each has heard of a change.
    fn wait_for(&self, position: u64) -> Result<(), String> {
        let begin = Instant::now();
        while self.positions.iter().any(|heard| heard.load(Ordering::Acquire) < position) {
            if begin.elapsed() > LIMIT {
                return Err("subscribers were not told of all changes".to_owned());
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        Ok(())
    }

    fn stop(self) -> Result<(), String> {
        self.stop.send_replace(true);
        self.thread.join().map_err(|_| "the subscribers panicked")?
    }
}

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}
