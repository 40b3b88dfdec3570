//! A component confined to its own socket by bubblewrap: it sees the folder its socket lies in, and of
//! the daemon nothing else. The way in stays open when the daemon starts anew.

use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::fixture::{ALICE, House, MALLORY};
use crate::probe::{PYTHON, Place, Probe};
use crate::wire::code_of;

/// What Python needs of the system; what is not there is left out.
const SYSTEM: [&str; 4] = ["/usr", "/lib", "/lib64", "/bin"];

/// A command that runs in a sandbox with this folder.
fn sandboxed(folder: &Path) -> Command {
    let mut command = Command::new("bwrap");
    for path in SYSTEM {
        command.args(["--ro-bind-try", path, path]);
    }
    command.args(["--proc", "/proc", "--dev", "/dev"]);
    command.arg("--ro-bind").args([folder, folder]);
    command.args(["--unshare-all", "--die-with-parent", "--new-session", "--"]);
    command
}

/// Whether sandboxes can be had here; the test's log says why not.
fn have_sandboxes(folder: &Path) -> bool {
    let why = match sandboxed(folder).arg(PYTHON).args(["-I", "-c", ""]).output() {
        Err(_) => "bwrap is not installed".to_owned(),
        Ok(run) if run.status.success() => return true,
        Ok(run) => String::from_utf8_lossy(&run.stderr).trim().to_owned(),
    };
    eprintln!("skipped: bubblewrap: {why}");
    false
}

fn whoami(probe: &mut Probe, socket: &Path) -> Value {
    let (status, told) = probe.call(&Place::Unix(socket), None, "auth.whoami", "{}").unwrap();
    assert_eq!(status, 200, "{told}");
    told["result"].clone()
}

/// Asserts that neither the owner's socket, nor the data root, nor TCP is there in the sandbox.
fn assert_confined(probe: &mut Probe, house: &House) {
    let (owners, components) = (house.daemon.socket(), house.component_path());
    for socket in [&owners, &components] {
        assert!(socket.exists());
        let reached = probe.call(&Place::Unix(socket), None, "auth.whoami", "{}");
        assert_eq!(reached.unwrap_err(), "ENOENT", "{}", socket.display());
    }
    let reached = probe.call(&Place::Tcp(house.address()), None, "auth.whoami", "{}");
    let why = reached.unwrap_err();
    assert!(["ECONNREFUSED", "ENETUNREACH"].contains(&why.as_str()), "{why}");
    for file in ["run/token", "osnova.db"] {
        let path = house.daemon.root().join(file);
        assert!(path.exists());
        probe.assert_refused(json!({ "try": "read", "path": path }), &["ENOENT"]);
    }
    let blobs = house.daemon.root().join("blobs");
    probe.assert_refused(json!({ "try": "list_folder", "path": blobs }), &["ENOENT"]);
    // No process but its own.
    let path = format!("/proc/{}/environ", house.daemon.pid());
    probe.assert_refused(json!({ "try": "read", "path": path }), &["ENOENT"]);
}

/// Asserts that a content of another component is not found, by any way to it.
fn assert_hidden(probe: &mut Probe, socket: &Path, hash: &str) {
    let socket = Place::Unix(socket);
    let params = format!(r#"["{hash}"]"#);
    for method in ["blobs.get", "blobs.stat", "blobs.pin"] {
        let (status, told) = probe.call(&socket, None, method, &params).unwrap();
        assert_eq!((status, code_of(&told).as_str()), (200, "not_found"), "{method}: {told}");
    }
    let (_, told) = probe.call(&socket, None, "blobs.list", "{}").unwrap();
    assert_eq!(told["result"]["items"], json!([]));
    for line in ["GET", "HEAD"] {
        let told = probe.ask(&socket, &format!("{line} /blobs/{hash}"), None, "");
        assert_eq!(told["status"], 404, "{line}: {told}");
    }
}

#[test]
fn a_component_in_a_sandbox_has_its_own_socket_and_nothing_else() {
    let probed = tempfile::tempdir().unwrap();
    if !have_sandboxes(probed.path()) {
        return;
    }
    let house = House::start("");
    let socket = house.component_socket(MALLORY);
    let alice = house.component(ALICE);
    let mut put = house.tcp_door().connect();
    let put = put.ask("PUT /blobs", &alice, b"Alice's own").unwrap().json();
    let hash = put["hash"].as_str().unwrap();

    let folder = socket.parent().unwrap();
    let mut probe = Probe::start(sandboxed(folder));
    let told = whoami(&mut probe, &socket);
    assert_eq!((&told["caller"], &told["componentId"]), (&json!("component"), &json!(MALLORY)));
    assert_eq!(told["credential"], "componentSocket");
    assert_confined(&mut probe, &house);
    assert_hidden(&mut probe, &socket, hash);
    // Even a token that it should not have makes it nobody else there.
    for token in [house.token(), house.component_token(ALICE)] {
        let reached = probe.call(&Place::Unix(&socket), Some(&token), "auth.whoami", "{}");
        let (status, told) = reached.unwrap();
        assert_eq!((status, code_of(&told).as_str()), (401, "unauthorized"), "{told}");
    }
    for (method, params) in
        [("preferences.set", r#"["k", 1]"#), ("auth.createToken", r#"["org.example.alice"]"#)]
    {
        let (_, told) = probe.call(&Place::Unix(&socket), None, method, params).unwrap();
        assert_eq!(code_of(&told), "forbidden", "{method}");
    }
    house.assert_untouched();

    // The sandbox goes on while the daemon starts anew; the socket comes back in the same folder.
    let (status, kept) = house.daemon.stop();
    assert!(status.success());
    let gone = probe.call(&Place::Unix(&socket), None, "auth.whoami", "{}").unwrap_err();
    assert!(["ENOENT", "ECONNREFUSED"].contains(&gone.as_str()), "{gone}");
    let house = House::start_in(kept, "");
    assert_eq!(whoami(&mut probe, &socket)["componentId"], MALLORY);
    assert_confined(&mut probe, &house);
    assert_hidden(&mut probe, &socket, hash);
    // Closed for good, it is gone from the sandbox too.
    house.daemon.ok("auth.closeSocket", json!({ "componentId": MALLORY }));
    let gone = probe.call(&Place::Unix(&socket), None, "auth.whoami", "{}").unwrap_err();
    assert!(["ENOENT", "ECONNREFUSED"].contains(&gone.as_str()), "{gone}");
}
