//! The records every row works on: components with a manifest of 2 KB, and preferences. The same
//! texts go to the daemon and to its peers.

use crate::client::{Client, envelope};
use crate::framing::{Protocol, Request};

/// The size of a manifest, and of whatever stands for one.
pub(crate) const MANIFEST_BYTES: usize = 2048;
/// How many records the rows that compare with a peer work on.
pub(crate) const RECORDS: usize = 10_000;
const BATCH: usize = 100;
const WORDS: [&str; 16] = [
    "archive", "wallet", "bridge", "editor", "gallery", "ledger", "market", "mailbox", "monitor",
    "notes", "planner", "relay", "search", "studio", "tracker", "vault",
];

/// Ids are counted from here, so that all have the same length.
pub(crate) const FIRST_NUMBER: usize = 1_000_000;
/// What every id begins with.
pub(crate) const ID_PREFIX: &str = "component-";

/// The id of component `number`.
pub(crate) fn component_id(number: usize) -> String {
    format!("{ID_PREFIX}{}", FIRST_NUMBER + number)
}

/// The manifest of component `number`: JSON text of exactly `MANIFEST_BYTES`.
pub(crate) fn manifest(number: usize) -> String {
    let word = |n: usize| WORDS[n % WORDS.len()];
    let mut text = format!(
        r#"{{"id":"{}","name":"{} {number}","version":"1.0.0","kind":"backend","keywords":["{}","{}"],"permissions":["storage","network"],"entries":["#,
        component_id(number),
        word(number),
        word(number / 16),
        word(number / 256),
    );
    let mut state = number as u64 + 1;
    loop {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let entry =
            format!(r#"{{"path":"bin/{}","hash":"{state:016x}"}}"#, word(state as usize >> 7));
        if text.len() + entry.len() + 40 > MANIFEST_BYTES {
            break;
        }
        if !text.ends_with('[') {
            text.push(',');
        }
        text.push_str(&entry);
    }
    text.push_str(r#"],"padding":""#);
    let missing = MANIFEST_BYTES - text.len() - 2;
    text.extend(std::iter::repeat_n('.', missing));
    text.push_str("\"}");
    text
}

/// The params of `components.put`.
pub(crate) fn component_params(number: usize) -> String {
    format!(
        r#"{{"component":{{"componentId":"{}","name":"Component {number}","version":"1.0.0","type":"backend","manifest":{}}}}}"#,
        component_id(number),
        manifest(number)
    )
}

/// `components.get` of each of `count` components, or of `RECORDS` of them, evenly spread.
pub(crate) fn reads(protocol: Protocol, count: usize) -> Vec<Request> {
    let step = (count / RECORDS).max(1);
    (0..count)
        .step_by(step)
        .map(|number| {
            let params = format!(r#"{{"componentId":"{}"}}"#, component_id(number));
            Request::call(protocol, "components.get", &params)
        })
        .collect()
}

/// `components.put` of components that are there already, evenly spread over `count`.
pub(crate) fn puts(protocol: Protocol, count: usize) -> Vec<Request> {
    let step = (count / RECORDS).max(1);
    (0..count)
        .step_by(step)
        .map(|number| Request::call(protocol, "components.put", &component_params(number)))
        .collect()
}

/// `preferences.set` of `RECORDS` keys, each a value of 2 KB.
pub(crate) fn sets(protocol: Protocol) -> Vec<Request> {
    (0..RECORDS)
        .map(|number| {
            Request::call(protocol, "preferences.set", &set_params(number, &manifest(number)))
        })
        .collect()
}

/// `preferences.set` of 1,000 keys with a small value, as a user's settings are.
pub(crate) fn small_sets(protocol: Protocol) -> Vec<Request> {
    (0..1000)
        .map(|number| {
            Request::call(protocol, "preferences.set", &set_params(number, &small_value(number)))
        })
        .collect()
}

/// A JSON-RPC batch of `count` small `preferences.set`.
pub(crate) fn batch_of_sets(count: usize, seed: usize) -> String {
    let calls: Vec<String> = (0..count)
        .map(|number| {
            let params = set_params(number, &small_value(number + seed));
            envelope("preferences.set", &params)
        })
        .collect();
    format!("[{}]", calls.join(","))
}

/// The call that does nothing: what remains is the cost of the way to a method and back.
pub(crate) fn empty(protocol: Protocol) -> Vec<Request> {
    vec![Request::call(protocol, "vault.status", "{}")]
}

/// The params of `preferences.set`.
pub(crate) fn set_params(number: usize, value: &str) -> String {
    format!(r#"{{"key":"settings.{number:05}","value":{value}}}"#)
}

fn small_value(number: usize) -> String {
    format!(r#"{{"theme":"dark","size":{number}}}"#)
}

/// How many values of a component the rows on `storage` work on.
pub(crate) const STORED: usize = 1000;

/// The params of `storage.write`, or of `storage.read`.
pub(crate) fn stored_params(number: usize, with_value: bool) -> String {
    let value =
        if with_value { format!(r#","value":{}"#, manifest(number)) } else { String::new() };
    format!(r#"{{"key":"values/{number:05}"{value},"componentId":"{}"}}"#, component_id(0))
}

/// `storage.write` or `storage.read` of `STORED` keys, each a value of 2 KB.
pub(crate) fn stored(protocol: Protocol, write: bool) -> Vec<Request> {
    let method = if write { "storage.write" } else { "storage.read" };
    (0..STORED)
        .map(|number| Request::call(protocol, method, &stored_params(number, write)))
        .collect()
}

/// Puts components `from..to`, in batches.
pub(crate) fn seed_components(client: &mut Client, from: usize, to: usize) -> Result<(), String> {
    seed(client, from..to, |number| envelope("components.put", &component_params(number)))
}

/// Puts so many transactions of a hundred wallets, in batches.
pub(crate) fn seed_transactions(client: &mut Client, count: usize) -> Result<(), String> {
    seed(client, 0..count, |number| {
        let (from, to) = (number % 100, number * 7 % 100);
        let status = ["confirmed", "confirmed", "pending", "failed"][number % 4];
        let transaction = format!(
            r#"{{"txHash":"0x{number:064x}","fromAddress":"0x0000a{from:03}","toAddress":"0x0000a{to:03}","amount":"{number}.000000000000000001","network":"arbitrum-one","status":"{status}","timestamp":{}}}"#,
            1_700_000_000 + number
        );
        envelope("transactions.put", &format!(r#"{{"transaction":{transaction}}}"#))
    })
}

/// Puts so many applications, and so many messages on ten channels, in batches.
pub(crate) fn seed_applications_and_messages(
    client: &mut Client,
    count: usize,
) -> Result<(), String> {
    seed(client, 0..count, |number| {
        let application = format!(
            r#"{{"applicationId":"application-{number:05}","name":"Component {number}","version":"1.0.0","manifest":{}}}"#,
            manifest(number)
        );
        envelope("applications.put", &format!(r#"{{"application":{application}}}"#))
    })?;
    seed(client, 0..count, |number| {
        let words = [WORDS[number % 16], WORDS[number / 16 % 16], WORDS[number / 256 % 16]];
        let message = format!(
            r#"{{"messageId":"message-{number:05}","channel":"channel-{}","sender":"sender-{}","timestamp":{number},"body":"{}"}}"#,
            number % 10,
            number % 7,
            words.join(" ")
        );
        envelope("messages.put", &format!(r#"{{"message":{message}}}"#))
    })
}

/// Makes a call for each number, in batches.
fn seed(
    client: &mut Client,
    numbers: std::ops::Range<usize>,
    call: impl Fn(usize) -> String,
) -> Result<(), String> {
    let mut next = numbers.start;
    while next < numbers.end {
        let end = (next + BATCH).min(numbers.end);
        let calls: Vec<String> = (next..end).map(&call).collect();
        client
            .batch(&format!("[{}]", calls.join(",")))
            .map_err(|error| format!("seeding: {error}"))?;
        next = end;
    }
    Ok(())
}
