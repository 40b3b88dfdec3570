//! Who is let in: the owner by his socket or his token, and nobody from a web page.

use std::fs;
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use serde_json::{Value, json};

use crate::support::{Daemon, HttpAnswer, Options, connect, exchange};
use crate::websocket::WebSocket;

const CALL: &str = r#"{"jsonrpc":"2.0","id":1,"method":"vault.status"}"#;

/// A daemon that listens on TCP too, with this more in its configuration.
fn tcp_daemon(config: &str) -> Daemon {
    let flags = vec!["--listen".to_owned(), "tcp:127.0.0.1:0".to_owned()];
    Daemon::start_with(&Options { flags, config: config.to_owned(), ..Options::default() })
}

fn address(daemon: &Daemon) -> &str {
    let tcp = daemon.endpoints().iter().find_map(|endpoint| endpoint.strip_prefix("http://"));
    tcp.expect("no TCP endpoint")
}

fn token(daemon: &Daemon) -> String {
    let file = fs::read_to_string(daemon.root().join("run/token")).unwrap();
    file.trim().to_owned()
}

/// Posts a call over TCP with exactly these header lines, `Host` included.
fn post_tcp(daemon: &Daemon, path: &str, headers: &str) -> HttpAnswer {
    let mut stream = TcpStream::connect(address(daemon)).unwrap();
    let head = format!(
        "POST {path} HTTP/1.1\r\n{headers}Content-Type: application/json\r\nContent-Length: {}\r\n",
        CALL.len()
    );
    exchange(&mut stream, &head, CALL.as_bytes())
}

fn post_unix(daemon: &Daemon, path: &str, headers: &str) -> HttpAnswer {
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: x\r\n{headers}Content-Type: application/json\r\nContent-Length: {}\r\n",
        CALL.len()
    );
    daemon.http(&head, CALL.as_bytes())
}

fn assert_let_in(answer: &HttpAnswer) {
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(answer.json()["result"]["locked"], false);
}

fn assert_refused(answer: &HttpAnswer, status: u16, code: &str) {
    assert_eq!(answer.status, status, "{answer:?}");
    let body = answer.json();
    assert_eq!(body["error"]["data"]["code"], code);
    assert_eq!((&body["jsonrpc"], &body["id"]), (&json!("2.0"), &Value::Null));
    assert_eq!(answer.header("www-authenticate").is_some(), status == 401);
}

/// Who was denied, and what the admin did, stands in the log at its ordinary level; nothing else does.
#[test]
fn denied_and_admin_calls_leave_an_audit_line() {
    let daemon = Daemon::start();
    daemon.ok("preferences.set", json!(["k", 1]));
    daemon.ok("vault.lock", json!({}));
    let request = "POST / HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nAuthorization: Bearer no\r\nContent-Length: 2\r\n";
    assert_eq!(daemon.http(request, b"{}").status, 401);
    let log = daemon.log();
    let lines: Vec<Value> = log
        .lines()
        .filter_map(|line| serde_json::from_str(line).ok())
        .filter(|line: &Value| line["target"] == "audit")
        .collect();
    let told: Vec<_> = lines.iter().map(|line| (&line["method"], &line["outcome"])).collect();
    assert_eq!(told, [(&json!("vault.lock"), &json!("ok")), (&json!("/"), &json!("unauthorized"))]);
    assert_eq!(lines[0]["caller"], "owner");
    assert!(!log.contains("Bearer"));
}

#[test]
fn tcp_needs_the_owners_token() {
    let daemon = tcp_daemon("log = \"trace\"");
    let token = token(&daemon);
    let host = "Host: localhost\r\n";
    let bearer = |token: &str| format!("{host}Authorization: Bearer {token}\r\n");
    assert_let_in(&post_tcp(&daemon, "/", &bearer(&token)));
    assert_let_in(&post_tcp(&daemon, "/", &format!("{host}authorization: bEaReR {token}\r\n")));
    assert_let_in(&post_tcp(&daemon, &format!("/t/{token}/"), host));
    assert_let_in(&post_tcp(&daemon, &format!("/t/{token}"), host));
    let longer = format!("{token}0");
    for wrong in ["", "x", &token[1..], &longer, &token.to_uppercase(), "null", "owner"] {
        assert_refused(&post_tcp(&daemon, "/", &bearer(wrong)), 401, "unauthorized");
        let path = format!("/t/{wrong}/");
        assert_refused(&post_tcp(&daemon, &path, host), 401, "unauthorized");
        // A wrong token in the path is not made good by a right one beside it.
        assert_refused(&post_tcp(&daemon, &path, &bearer(&token)), 401, "unauthorized");
    }
    assert_refused(&post_tcp(&daemon, "/", host), 401, "unauthorized");
    for header in ["Basic b3duZXI6", "Bearer", &token, &format!("Token {token}")] {
        let headers = format!("{host}Authorization: {header}\r\n");
        assert_refused(&post_tcp(&daemon, "/", &headers), 401, "unauthorized");
    }
    // The plain routes and the upgrade as well; only whether it lives may be asked without one.
    let raw = |line: &str| {
        exchange(
            &mut TcpStream::connect(address(&daemon)).unwrap(),
            &format!("{line} HTTP/1.1\r\n{host}"),
            b"",
        )
    };
    for line in ["GET /", "GET /blobs/x", "PUT /blobs", "POST /blobs", "GET /none", "OPTIONS /"] {
        assert_eq!(raw(line).status, 401, "{line}");
    }
    assert_eq!(raw("GET /blobs/x").json()["data"]["code"], "unauthorized");
    assert_eq!(raw("GET /healthz").body, b"ok\n");
    assert_eq!(raw(&format!("GET /t/{token}/none")).status, 404);
    let upgrade = "GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    let answer = exchange(&mut TcpStream::connect(address(&daemon)).unwrap(), upgrade, b"");
    assert_eq!(answer.status, 401);
    let with_token = upgrade.replacen("GET /", &format!("GET /t/{token}/"), 1);
    let answer = exchange(&mut TcpStream::connect(address(&daemon)).unwrap(), &with_token, b"");
    assert_eq!(answer.status, 101);

    let log = daemon.log();
    assert!(log.contains("\"level\":\"DEBUG\""));
    assert!(!log.contains(&token) && !log.contains(&token[1..]), "the token stands in the log");
}

#[test]
fn an_invalid_token_never_falls_back_to_the_uid() {
    let daemon = tcp_daemon("");
    let token = token(&daemon);
    assert_let_in(&post_unix(&daemon, "/", ""));
    assert_let_in(&post_unix(&daemon, "/", &format!("Authorization: Bearer {token}\r\n")));
    assert_let_in(&post_unix(&daemon, &format!("/t/{token}/"), ""));
    for headers in [
        "Authorization: Bearer x\r\n",
        "Authorization: Bearer \r\n",
        "Authorization: \r\n",
        "Authorization: Basic eDp4\r\n",
    ] {
        assert_refused(&post_unix(&daemon, "/", headers), 401, "unauthorized");
    }
    for path in ["/t/x/", "/t//", "/t/x", "/t/%00/"] {
        assert_refused(&post_unix(&daemon, path, ""), 401, "unauthorized");
    }
    // A token is of one data root.
    let other = Daemon::start();
    let headers = format!("Authorization: Bearer {token}\r\n");
    assert_refused(&post_unix(&other, "/", &headers), 401, "unauthorized");
}

#[test]
fn pages_of_a_browser_are_refused() {
    let daemon = tcp_daemon("[access]\nallowed_origins = [\"http://localhost:5173\"]\n");
    let bearer = format!("Authorization: Bearer {}\r\n", token(&daemon));
    for host in ["localhost", "LOCALHOST:1", "127.0.0.1", "127.0.0.1:99", "[::1]", "[::1]:7"] {
        assert_let_in(&post_tcp(&daemon, "/", &format!("Host: {host}\r\n{bearer}")));
    }
    for host in [
        "evil.example",
        "localhost.evil.example",
        "127.0.0.1.evil.example",
        "192.168.0.1",
        "localhost@evil.example",
        "",
    ] {
        let answer = post_tcp(&daemon, "/", &format!("Host: {host}\r\n{bearer}"));
        assert_refused(&answer, 403, "forbidden");
    }
    let twice = format!("Host: localhost\r\nHost: evil.example\r\n{bearer}");
    assert_refused(&post_tcp(&daemon, "/", &twice), 403, "forbidden");
    assert_refused(&post_tcp(&daemon, "/", &bearer), 403, "forbidden");

    let listed = "Origin: http://localhost:5173\r\n";
    assert_let_in(&post_tcp(&daemon, "/", &format!("Host: localhost\r\n{listed}{bearer}")));
    assert_let_in(&post_unix(&daemon, "/", listed));
    let (status, mut socket) = WebSocket::upgrade(daemon.connect(), listed);
    assert_eq!(status, 101);
    assert_eq!(socket.ask(CALL)["result"]["locked"], false);
    for origin in [
        "null",
        "http://evil.example",
        "http://localhost",
        "http://localhost:51730",
        "HTTP://LOCALHOST:5173",
        "https://localhost:5173",
        "",
    ] {
        let headers = format!("Host: localhost\r\nOrigin: {origin}\r\n{bearer}");
        assert_refused(&post_tcp(&daemon, "/", &headers), 403, "forbidden");
        let headers = format!("Origin: {origin}\r\n");
        assert_refused(&post_unix(&daemon, "/", &headers), 403, "forbidden");
        // A browser lets any page open a WebSocket to anywhere: only this header tells.
        assert_eq!(WebSocket::upgrade(daemon.connect(), &headers).0, 403, "{origin}");
        let get = daemon.http(&format!("GET /blobs/x HTTP/1.1\r\nHost: x\r\n{headers}"), b"");
        assert_eq!((get.status, &get.json()["data"]["code"]), (403, &json!("forbidden")));
    }
    let two = format!("{listed}Origin: http://evil.example\r\n");
    assert_refused(&post_unix(&daemon, "/", &two), 403, "forbidden");
}

/// The kernel says who is at the other end of a Unix socket: another user is not let in, even where
/// the files let him reach it.
#[test]
fn another_user_is_not_the_owner() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("skipped: only root can become another user");
        return;
    }
    let daemon = Daemon::start();
    let socket = daemon.socket();
    let folders: [&Path; 2] = [daemon.folder(), socket.parent().unwrap()];
    for folder in folders {
        fs::set_permissions(folder, fs::Permissions::from_mode(0o755)).unwrap();
    }
    fs::set_permissions(&socket, fs::Permissions::from_mode(0o666)).unwrap();
    let answer = std::thread::scope(|scope| {
        let nobody = scope.spawn(|| {
            // Of this thread alone, which ends after the call.
            let uid = rustix::process::Uid::from_raw(65_534);
            rustix::thread::set_thread_res_uid(uid, uid, uid).unwrap();
            let head = format!(
                "POST / HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {}\r\n",
                CALL.len()
            );
            exchange(&mut connect(&socket), &head, CALL.as_bytes())
        });
        nobody.join().unwrap()
    });
    assert_refused(&answer, 401, "unauthorized");
    assert_let_in(&post_unix(&daemon, "/", ""));
}

#[test]
fn sockets_and_tokens_are_private_and_the_token_is_kept() {
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let daemon = tcp_daemon("");
    let file = daemon.root().join("run/token");
    assert_eq!(mode(&file), 0o600);
    assert_eq!(mode(&daemon.socket()), 0o600);
    assert_eq!(mode(daemon.socket().parent().unwrap()), 0o700);
    assert_eq!(mode(&daemon.root()), 0o700);
    assert_eq!(mode(&daemon.root().join("osnova.db")), 0o600);
    assert_eq!(mode(&daemon.root().join("blobs")), 0o700);
    let token_before = token(&daemon);
    assert_eq!(token_before.len(), 64);
    let (_, folder) = daemon.stop();
    let flags = vec!["--listen".to_owned(), "tcp:127.0.0.1:0".to_owned()];
    let options = Options { flags, ..Options::default() };
    let daemon = Daemon::start_in(folder, &options).unwrap();
    assert_eq!(token(&daemon), token_before);
    assert_let_in(&post_tcp(
        &daemon,
        "/",
        &format!("Host: localhost\r\nAuthorization: Bearer {token_before}\r\n"),
    ));
    // One that others can read may be known to them.
    let (_, folder) = daemon.stop();
    fs::set_permissions(folder.path().join("root/run/token"), fs::Permissions::from_mode(0o644))
        .unwrap();
    let refused = Daemon::start_in(folder, &options).err().unwrap();
    assert_eq!(refused.code, Some(2));
    assert!(refused.stderr.contains("chmod 600"), "{}", refused.stderr);
    assert!(!refused.stderr.contains(&token_before));
}
