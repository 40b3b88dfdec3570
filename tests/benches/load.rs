//! The load generator: callers that each send a request, wait for its answer and send the next,
//! over connections of their own or all on one WebSocket, for a fixed time. It is made to cost as
//! little processor as it can, since it shares the machine with the server it measures: requests
//! are rendered beforehand, at most two threads wait with epoll, answers are cut by their length.

use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rustix::buffer::spare_capacity;
use rustix::event::{Timespec, epoll};

use crate::framing::{self, Head, Protocol, Reply, Request, SLOTS_LIMIT};
use crate::measure::{Samples, Summary};

/// As pgbench is run, and as many as a small machine can spare.
const THREADS: usize = 2;
/// A server that answers none of a connection's calls for so long has hung.
const SILENCE_LIMIT: Duration = Duration::from_secs(20);
const WAIT: Duration = Duration::from_millis(100);
const FIRST_INBOX_BYTES: usize = 64 << 10;

/// No two stamped requests of one run carry the same serial number.
static SERIAL: AtomicU64 = AtomicU64::new(1);

/// Who calls, and for how long.
#[derive(Clone, Copy)]
pub(crate) struct Plan {
    pub(crate) callers: usize,
    pub(crate) warm_up: Duration,
    pub(crate) duration: Duration,
}

/// Runs `plan` against `socket`, every call one of `requests`, taken at random.
pub(crate) fn run(
    socket: &Path,
    protocol: Protocol,
    requests: &[Request],
    plan: Plan,
) -> Result<Summary, String> {
    if requests.is_empty() || plan.callers == 0 || plan.callers > SLOTS_LIMIT {
        return Err("a load of no requests, or of too few or too many callers".to_owned());
    }
    let mut lanes = Vec::new();
    if protocol == Protocol::WebSocket {
        lanes.push(Lane::upgraded(socket, plan.callers)?);
    } else {
        for number in 0..plan.callers {
            lanes.push(Lane::connect(socket, protocol, number)?);
        }
    }
    let start = Instant::now() + plan.warm_up;
    let phase = Phase { start, end: start + plan.duration };
    let share = lanes.len().div_ceil(THREADS);
    let mut samples = Samples::default();
    std::thread::scope(|scope| {
        let mut threads = Vec::new();
        while !lanes.is_empty() {
            let part = lanes.split_off(lanes.len().saturating_sub(share));
            threads.push(scope.spawn(move || drive(part, requests, phase)));
        }
        for thread in threads {
            let part = thread.join().map_err(|_| "a thread of the load generator panicked")?;
            samples.append(part?);
        }
        Ok::<(), String>(())
    })?;
    Ok(samples.summary(plan.duration.as_secs_f64()))
}

/// When calls are counted.
#[derive(Clone, Copy)]
struct Phase {
    start: Instant,
    end: Instant,
}

/// Runs the callers of `lanes` until the phase is over and every answer is in.
fn drive(mut lanes: Vec<Lane>, requests: &[Request], phase: Phase) -> Result<Samples, String> {
    let mut samples = Samples::default();
    // One caller alone may just as well block in its read, as any simple client would.
    let alone = lanes.len() == 1 && lanes[0].sent.len() == 1;
    let poll = epoll::create(epoll::CreateFlags::CLOEXEC).map_err(text)?;
    for (index, lane) in lanes.iter_mut().enumerate() {
        lane.stream.set_nonblocking(!alone).map_err(text)?;
        lane.stream.set_read_timeout(Some(WAIT)).map_err(text)?;
        let data = epoll::EventData::new_u64(index as u64);
        epoll::add(&poll, &lane.stream, data, epoll::EventFlags::IN).map_err(text)?;
        for slot in 0..lane.sent.len() {
            lane.send(slot, requests);
        }
        lane.flush()?;
    }
    let timeout = Timespec::try_from(WAIT).map_err(text)?;
    let mut events = Vec::with_capacity(lanes.len());
    let mut last_answer = Instant::now();
    let mut waiting: usize = lanes.iter().map(|lane| lane.sent.len()).sum();
    while waiting > 0 {
        if alone {
            events.clear();
            let data = epoll::EventData::new_u64(0);
            events.push(epoll::Event { flags: epoll::EventFlags::IN, data });
        } else {
            events.clear();
            match epoll::wait(&poll, spare_capacity(&mut events), Some(&timeout)) {
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(text(error)),
            }
        }
        let mut answered = false;
        for event in &events {
            let index = { event.data }.u64() as usize;
            let lane = &mut lanes[index];
            let before = lane.finished;
            waiting -= lane.answers(requests, phase, &mut samples)?;
            answered |= lane.finished != before;
            // While a write is stuck, wait for room too; else only for answers.
            let stuck = lane.flush()?;
            if stuck != lane.stuck {
                lane.stuck = stuck;
                let flags = if stuck {
                    epoll::EventFlags::IN | epoll::EventFlags::OUT
                } else {
                    epoll::EventFlags::IN
                };
                let data = epoll::EventData::new_u64(index as u64);
                epoll::modify(&poll, &lane.stream, data, flags).map_err(text)?;
            }
        }
        if answered {
            last_answer = Instant::now();
        } else if last_answer.elapsed() > SILENCE_LIMIT {
            return Err(format!("{waiting} calls got no answer"));
        }
    }
    Ok(samples)
}

/// One connection with its callers: one, or on a WebSocket many.
struct Lane {
    stream: UnixStream,
    protocol: Protocol,
    /// When each caller's present request was sent.
    sent: Vec<Instant>,
    inbox: Vec<u8>,
    received: usize,
    outbox: Vec<u8>,
    written: usize,
    stuck: bool,
    finished: u64,
    random: u64,
}

impl Lane {
    fn connect(socket: &Path, protocol: Protocol, number: usize) -> Result<Self, String> {
        let stream = UnixStream::connect(socket)
            .map_err(|error| format!("connecting caller {number}: {error}"))?;
        Ok(Self {
            stream,
            protocol,
            sent: vec![Instant::now()],
            inbox: vec![0; FIRST_INBOX_BYTES],
            received: 0,
            outbox: Vec::new(),
            written: 0,
            stuck: false,
            finished: 0,
            random: 0x9e37_79b9_7f4a_7c15_u64.wrapping_mul(number as u64 + 1),
        })
    }

    fn upgraded(socket: &Path, callers: usize) -> Result<Self, String> {
        let mut lane = Self::connect(socket, Protocol::WebSocket, 0)?;
        lane.sent = vec![Instant::now(); callers];
        lane.stream.write_all(framing::UPGRADE).map_err(text)?;
        lane.stream.set_read_timeout(Some(SILENCE_LIMIT)).map_err(text)?;
        loop {
            let count = lane.stream.read(&mut lane.inbox[lane.received..]).map_err(text)?;
            lane.received += count;
            match Head::parse(&lane.inbox[..lane.received])? {
                Some(head) if head.status == 101 && head.length == lane.received => {
                    lane.received = 0;
                    return Ok(lane);
                }
                Some(head) => return Err(format!("no WebSocket: status {}", head.status)),
                None if count == 0 => return Err("no WebSocket: connection closed".to_owned()),
                None => {}
            }
        }
    }

    /// Queues the next request of `slot`.
    fn send(&mut self, slot: usize, requests: &[Request]) {
        // xorshift64, good enough to spread keys and far cheaper than the call it chooses.
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        let request = &requests[(self.random % requests.len() as u64) as usize];
        let serial = SERIAL.fetch_add(1, Ordering::Relaxed);
        request.render(slot, serial, &mut self.outbox);
        self.sent[slot] = Instant::now();
    }

    /// Writes what is queued; true if the socket took only a part.
    fn flush(&mut self) -> Result<bool, String> {
        while self.written < self.outbox.len() {
            match self.stream.write(&self.outbox[self.written..]) {
                Ok(count) => self.written += count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(true),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(format!("sending: {error}")),
            }
        }
        self.outbox.clear();
        self.written = 0;
        Ok(false)
    }

    /// Takes the answers that have come, and queues what follows them; returns how many callers
    /// are done for good.
    fn answers(
        &mut self,
        requests: &[Request],
        phase: Phase,
        samples: &mut Samples,
    ) -> Result<usize, String> {
        let mut done = 0;
        if self.received == self.inbox.len() {
            self.inbox.resize(self.inbox.len() * 2, 0);
        }
        match self.stream.read(&mut self.inbox[self.received..]) {
            Ok(0) => return Err("the server closed a connection".to_owned()),
            Ok(count) => self.received += count,
            Err(error)
                if matches!(
                    error.kind(),
                    ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted
                ) =>
            {
                return Ok(0);
            }
            Err(error) => return Err(format!("receiving: {error}")),
        }
        let now = Instant::now();
        let mut at = 0;
        loop {
            match framing::next_reply(self.protocol, &self.inbox[at..self.received])? {
                Reply::Partial => break,
                Reply::Ping { payload, length } => {
                    let pong = framing::pong(payload);
                    self.outbox.extend_from_slice(&pong);
                    at += length;
                }
                Reply::Answer { slot, length } => {
                    at += length;
                    let sent = *self.sent.get(slot).ok_or("an answer nobody asked for")?;
                    self.finished += 1;
                    if now >= phase.start && now < phase.end {
                        samples.add(now - sent);
                    }
                    if now < phase.end {
                        self.send(slot, requests);
                    } else {
                        done += 1;
                    }
                }
            }
        }
        if at > 0 {
            self.inbox.copy_within(at..self.received, 0);
            self.received -= at;
        }
        Ok(done)
    }
}

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}
