//! Sockets that are bound to a component.

use std::fs;
use std::io::Write;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::UnixListener;
use std::path::Path;

use serde_json::{Value, json};

use super::{A, B, bound, open_socket, rest_of, start, start_again, whoami};
use crate::support::{Daemon, connect};
use crate::ways::{Door, Way, frame, outcome_of, request};

fn sockets(daemon: &Daemon) -> Value {
    daemon.ok("auth.listSockets", json!({}))["items"].take()
}

/// How a call of the caller's at this socket ends.
fn code_of(daemon: &Daemon, path: &Path, method: &str) -> String {
    bound(path).call(daemon, method, &json!({})).code().to_owned()
}

#[test]
fn a_socket_is_its_components_over_restarts_until_it_is_closed() {
    let mut daemon = start();
    let given = daemon.folder().join("given.sock");
    let paths = [
        open_socket(&daemon, json!({ "componentId": A })),
        open_socket(
            &daemon,
            json!({ "componentId": A, "path": given, "scopes": ["components:read"] }),
        ),
        open_socket(&daemon, json!({ "componentId": B })),
    ];
    assert_eq!(paths[1], given);
    let listed = sockets(&daemon);
    let names: Vec<&Value> =
        listed.as_array().unwrap().iter().map(|socket| &socket["componentId"]).collect();
    assert_eq!(names, [B, A, A]);
    let who = |daemon: &Daemon| paths.clone().map(|path| whoami(daemon, &bound(&path)));
    let known = who(&daemon);
    assert_eq!(known[1]["scopes"], json!(["components:read"]));
    assert_eq!((&known[0]["componentId"], &known[2]["componentId"]), (&json!(A), &json!(B)));
    for is_clean in [true, false] {
        let folder = if is_clean { daemon.stop().1 } else { daemon.kill() };
        assert_eq!(paths.iter().any(|path| path.exists()), !is_clean);
        daemon = start_again(folder);
        assert_eq!(sockets(&daemon), listed);
        assert_eq!(who(&daemon), known);
        assert_eq!(daemon.ok("status.get", json!({}))["status"], "ok");
    }
    let close = |params: Value| daemon.ok("auth.closeSocket", params);
    let (gone, none) = (json!({ "deleted": true }), json!({ "deleted": false }));
    // Another's path closes nothing.
    assert_eq!(close(json!({ "componentId": B, "path": given })), none);
    assert_eq!(close(json!({ "componentId": A, "path": "/no/such.sock" })), none);
    assert_eq!(who(&daemon), known);
    assert_eq!(close(json!({ "componentId": A, "path": given })), gone);
    assert!(!given.exists() && paths[0].exists());
    assert_eq!(close(json!({ "componentId": A, "path": given })), none);
    assert_eq!(close(json!({ "componentId": A, "path": paths[0] })), gone);
    assert_eq!(close(json!({ "componentId": B })), gone);
    assert_eq!(sockets(&daemon), json!([]));
    let daemon = start_again(daemon.kill());
    assert_eq!(sockets(&daemon), json!([]));
    assert!(!paths.iter().any(|path| path.exists()), "a closed socket came back");
}

/// Nobody goes on with the scopes of before: who is connected is cut off, and comes back with the new.
#[test]
fn a_socket_that_is_opened_again_has_other_scopes() {
    let daemon = start();
    let path = open_socket(&daemon, json!({ "componentId": A }));
    let first = sockets(&daemon);
    let way = bound(&path);
    let mut kept = way.connect(&daemon);
    assert_eq!(way.call_on(&mut kept, "blobs.list", &json!({})).code(), "ok");
    let stream = way.unix(&daemon);
    let mut beside = stream.try_clone().unwrap();
    let (_, mut web_socket) = way.upgrade(stream);
    assert!(web_socket.ask(&request("blobs.list", &json!({})))["result"].is_object());

    let again = open_socket(&daemon, json!({ "componentId": A, "scopes": ["components:read"] }));
    assert_eq!(again, path);
    let late = request("blobs.put", &json!({ "data": "cHV0IHRvbyBsYXRl" }));
    let _ = beside.write_all(&frame(late.as_bytes()));
    let now = sockets(&daemon);
    assert_eq!(now[0]["scopes"], json!(["components:read"]));
    assert_eq!((now.as_array().unwrap().len(), &now[0]["createdAt"]), (1, &first[0]["createdAt"]));
    assert_eq!(code_of(&daemon, &path, "blobs.list"), "forbidden");
    assert_eq!(code_of(&daemon, &path, "components.list"), "ok");
    assert_eq!(rest_of(&mut kept), b"");
    while let Some(answer) = web_socket.receive() {
        let error = outcome_of(answer).unwrap_err();
        assert!(["forbidden", "unauthorized"].contains(&error["data"]["code"].as_str().unwrap()));
    }
    rest_of(&mut beside);
    assert_eq!(daemon.ok("blobs.usage", json!({}))["count"], 0);

    open_socket(&daemon, json!({ "componentId": A }));
    assert_eq!(code_of(&daemon, &path, "blobs.list"), "ok");
}

/// A socket of a component's is one, whether it is named by its path or by the component alone.
#[test]
fn a_socket_that_is_named_by_its_path_is_the_same() {
    let daemon = start();
    let path = open_socket(&daemon, json!({ "componentId": A }));
    let few = json!({ "componentId": A, "path": path, "scopes": ["components:read"] });
    open_socket(&daemon, few);
    assert_eq!(sockets(&daemon).as_array().unwrap().len(), 1, "{}", sockets(&daemon));
    assert_eq!(code_of(&daemon, &path, "blobs.list"), "forbidden");
    open_socket(&daemon, json!({ "componentId": A }));
    assert_eq!(code_of(&daemon, &path, "blobs.list"), "ok");
    // What was said last holds after a restart too.
    let daemon = start_again(daemon.kill());
    assert_eq!(code_of(&daemon, &path, "blobs.list"), "ok");
}

/// The path that is one component's can't be another's, however it was chosen.
#[test]
fn the_path_of_anothers_socket_is_refused() {
    let daemon = start();
    let given = daemon.folder().join("given.sock");
    let chosen = open_socket(&daemon, json!({ "componentId": A }));
    open_socket(&daemon, json!({ "componentId": A, "path": given }));
    let before = sockets(&daemon);
    let mut kept = bound(&chosen).connect(&daemon);
    assert_eq!(bound(&chosen).call_on(&mut kept, "components.list", &json!({})).code(), "ok");
    for path in [&chosen, &given] {
        let params = json!({ "componentId": B, "path": path });
        let error = daemon.fails("conflict", "auth.openSocket", params);
        assert_eq!(error["reason"], "exists");
        assert_eq!(sockets(&daemon), before);
        assert_eq!(whoami(&daemon, &bound(path))["componentId"], A);
    }
    assert_eq!(bound(&chosen).call_on(&mut kept, "components.list", &json!({})).code(), "ok");
    let daemon = start_again(daemon.kill());
    assert_eq!(sockets(&daemon), before);
    assert_eq!(whoami(&daemon, &bound(&chosen))["componentId"], A);
}

#[test]
fn a_path_that_can_not_be_bound_is_refused_and_nothing_is_kept() {
    let daemon = start();
    let kept = open_socket(&daemon, json!({ "componentId": A }));
    let folder = daemon.folder().to_owned();
    let before = sockets(&daemon);
    let at = |name: &str| folder.join(name).to_str().unwrap().to_owned();
    fs::write(at("file"), "not a socket").unwrap();
    fs::create_dir(at("folder")).unwrap();
    symlink(at("nowhere"), at("link")).unwrap();
    symlink(at("file"), at("link to a file")).unwrap();
    let open = |path: &str| {
        let params = json!({ "componentId": B, "path": path });
        let error = daemon.call("auth.openSocket", params).expect_err(path);
        assert_eq!(sockets(&daemon), before, "{path}");
        error["data"].clone()
    };
    let long = at(&"x".repeat(108));
    for path in [
        "x.sock".to_owned(),
        "./x.sock".to_owned(),
        "../x.sock".to_owned(),
        at("no such folder/x.sock"),
        at("file/x.sock"),
        at("file"),
        at("folder"),
        at("link"),
        at("link to a file"),
        "/".to_owned(),
        long,
        at("x\ny"),
        at("x\0y"),
    ] {
        let error = open(&path);
        assert_eq!(error["code"], "validation_error", "{path}: {error}");
        assert!(error["fields"]["path"].is_string(), "{path}: {error}");
    }
    assert!(!folder.join("no such folder").exists());
    assert_eq!(fs::read(at("file")).unwrap(), b"not a socket");
    assert!(
        fs::symlink_metadata(at("link")).unwrap().is_symlink() && folder.join("folder").is_dir()
    );

    let listener = UnixListener::bind(at("theirs")).unwrap();
    let taken = [
        at("theirs"),
        daemon.socket().to_str().unwrap().to_owned(),
        daemon.component_socket().to_str().unwrap().to_owned(),
    ];
    for path in &taken {
        let error = open(path);
        assert_eq!(
            (&error["code"], &error["reason"]),
            (&json!("conflict"), &json!("exists")),
            "{path}"
        );
    }
    // Whoever had it has it still.
    let _client = connect(&folder.join("theirs"));
    listener.set_nonblocking(false).unwrap();
    assert_eq!(whoami(&daemon, &Way::by(Door::Owner))["caller"], "owner");
    assert_eq!(whoami(&daemon, &bound(&kept))["componentId"], A);

    // A socket that nobody listens on any more is in nobody's way.
    drop(listener);
    let path = open_socket(&daemon, json!({ "componentId": B, "path": at("theirs") }));
    assert_eq!(whoami(&daemon, &bound(&path))["componentId"], B);
    let daemon = start_again(daemon.kill());
    assert_eq!(sockets(&daemon).as_array().unwrap().len(), 2);
}

#[test]
fn any_id_has_a_private_socket_of_its_own_inside_the_folder() {
    let daemon = start();
    let folder = daemon.root().join("run/components");
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let (long, longer) = ("\u{c9}".repeat(255), "\u{c9}".repeat(256));
    let ids = [
        "org.example.a",
        "ORG.EXAMPLE.A",
        "@scope/name",
        "%40scope%2fname",
        "../../x",
        "..",
        ".",
        "...",
        "/etc/passwd",
        "a/../../b",
        "~",
        "storage.sock",
        "a b",
        "\u{202e}x",
        &long,
        &longer,
    ];
    let mut paths = Vec::new();
    for id in ids {
        let path = open_socket(&daemon, json!({ "componentId": id }));
        let own = path.parent().unwrap();
        assert_eq!(own.parent(), Some(folder.as_path()), "{id}");
        assert!(own.file_name().is_some(), "{id}");
        assert_eq!((mode(&folder), mode(own), mode(&path)), (0o700, 0o700, 0o600), "{id}");
        assert!(path.as_os_str().len() < 108, "{id}");
        paths.push(path);
    }
    for (id, path) in ids.iter().zip(&paths) {
        assert_eq!(whoami(&daemon, &bound(path))["componentId"], *id);
    }
    // Not even a file system that does not know A from a may mix them up.
    paths.iter_mut().for_each(|path| *path = path.to_str().unwrap().to_lowercase().into());
    paths.sort_unstable();
    paths.dedup();
    assert_eq!(paths.len(), ids.len());
    let given = daemon.folder().join("given.sock");
    open_socket(&daemon, json!({ "componentId": A, "path": given }));
    assert_eq!(mode(&given), 0o600);
}

/// The daemon starts without it, says so, and has it again when the owner opens it anew.
#[test]
fn a_socket_whose_folder_is_gone_does_not_stop_the_start() {
    let daemon = start();
    let folder = daemon.folder().join("sandbox");
    fs::create_dir(&folder).unwrap();
    let given = folder.join("given.sock");
    open_socket(&daemon, json!({ "componentId": A, "path": given }));
    let other = open_socket(&daemon, json!({ "componentId": B }));
    let stopped = daemon.stop().1;
    fs::remove_dir_all(&folder).unwrap();
    let daemon = start_again(stopped);
    let listed = sockets(&daemon);
    assert_eq!((&listed[0]["componentId"], &listed[0]["listening"]), (&json!(B), &json!(true)));
    assert_eq!((&listed[1]["path"], &listed[1]["listening"]), (&json!(given), &json!(false)));
    assert_eq!(whoami(&daemon, &bound(&other))["componentId"], B);
    let status = daemon.ok("status.get", json!({}));
    assert_eq!(status["status"], "degraded");
    let service = |status: &Value| {
        let mut services = status["services"].as_array().unwrap().iter();
        services.find(|service| service["name"] == "sockets").unwrap()["status"].clone()
    };
    assert_eq!(service(&status), "degraded");
    assert_eq!(status["notices"].as_array().unwrap().len(), 1, "{status}");

    fs::create_dir(&folder).unwrap();
    open_socket(&daemon, json!({ "componentId": A, "path": given }));
    assert_eq!(whoami(&daemon, &bound(&given))["componentId"], A);
    let status = daemon.ok("status.get", json!({}));
    assert_eq!((&status["status"], service(&status)), (&json!("ok"), json!("ok")));

    // Or until it is closed, which needs no listener.
    let stopped = daemon.stop().1;
    fs::remove_dir_all(&folder).unwrap();
    let daemon = start_again(stopped);
    assert_eq!(daemon.ok("status.get", json!({}))["status"], "degraded");
    let closed = daemon.ok("auth.closeSocket", json!({ "componentId": A }));
    assert_eq!(closed, json!({ "deleted": true }));
    assert_eq!(sockets(&daemon).as_array().unwrap().len(), 1);
    assert_eq!(daemon.ok("status.get", json!({}))["status"], "ok");
}
