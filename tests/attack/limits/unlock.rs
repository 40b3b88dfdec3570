//! Wrong keys: after a few, `vault.unlock` pauses, for the right key too; nothing else does.

use serde_json::json;

use crate::fixture::House;
use crate::support::{MASTER_KEY, wait_until};

/// Attempts that may fail before the first pause.
const FREE_ATTEMPTS: usize = 3;

fn lock_and_guess(house: &House) {
    house.daemon.ok("vault.lock", json!({}));
    for guess in 0..FREE_ATTEMPTS {
        let secret = format!("{guess:064x}");
        house.daemon.fails("wrong_key", "vault.unlock", json!({ "secret": secret }));
    }
}

#[test]
fn after_wrong_keys_unlocking_pauses() {
    let house = House::start("[access]\nunlock_backoff_ms = 60000\n");
    lock_and_guess(&house);
    for secret in ["f".repeat(64), MASTER_KEY.to_owned()] {
        let data = house.daemon.fails("unavailable", "vault.unlock", json!({ "secret": secret }));
        let millis = data["retryAfterMs"].as_u64().unwrap();
        assert!((1..=60_001).contains(&millis), "{data}");
    }
    // What is no key was not tried, and pauses nothing.
    house.daemon.fails("validation_error", "vault.unlock", json!({ "secret": "no key" }));
    assert_eq!(house.daemon.ok("vault.status", json!({}))["locked"], true);
    house.daemon.ok("preferences.set", json!(["k", 1]));
    house.assert_serves_all();
}

/// A component, or a guesser without a token, brings about no pause: neither may try at all.
#[test]
fn only_the_owner_tries_keys() {
    let house = House::start("[access]\nunlock_backoff_ms = 60000\n");
    let mallory = house.component(crate::fixture::MALLORY);
    house.daemon.ok("vault.lock", json!({}));
    for guess in 0..2 * FREE_ATTEMPTS {
        let params = format!(r#"["{guess:064x}"]"#);
        let door = house.tcp_door();
        let tried = crate::fixture::call(&door, &mallory, "vault.unlock", &params);
        assert_eq!(tried.unwrap_err(), "forbidden");
        let tried = crate::fixture::call(&door, "", "vault.unlock", &params);
        assert_eq!(tried.unwrap_err(), "unauthorized");
    }
    house.daemon.ok("vault.unlock", json!({ "secret": MASTER_KEY }));
}

#[test]
fn the_pause_ends() {
    let house = House::start("[access]\nunlock_backoff_ms = 300\n");
    lock_and_guess(&house);
    let unlocked = wait_until("the end of the pause", || {
        house.daemon.call("vault.unlock", json!({ "secret": MASTER_KEY })).ok()
    });
    assert_eq!(unlocked["locked"], false);
    // The count begins anew.
    lock_and_guess(&house);
}
