//! The requests of hostile pages, byte by byte. Each carries the owner's own token, as if the page had
//! got hold of it: nothing but the origin and the host tells them from the owner's.

use serde_json::Value;

use crate::fixture::House;
use crate::support::HttpAnswer;
use crate::web_socket::WebSocket;
use crate::wire::{Door, code, request};

const LISTED: &str = "http://localhost:5173";

fn house() -> House {
    House::start(&format!("[access]\nallowed_origins = [\"{LISTED}\"]\n"))
}

fn write_call() -> String {
    request("preferences.set", r#"{"key":"k","value":1}"#)
}

/// Sends a write with exactly these lines before its length.
fn send_write(door: &Door, line: &str, headers: &str) -> HttpAnswer {
    let body = write_call();
    let mut connection = door.connect();
    let request =
        format!("{line} HTTP/1.1\r\n{headers}Content-Length: {}\r\n\r\n{body}", body.len());
    connection.send(request.as_bytes());
    connection.answer(true).expect("no answer")
}

#[track_caller]
fn assert_forbidden(answer: &HttpAnswer, what: &str) {
    assert_eq!((answer.status, code(answer).as_str()), (403, "forbidden"), "{what}");
    let allowed = answer.headers.iter().find(|(name, _)| name.starts_with("access-control-"));
    assert_eq!(allowed, None, "{what}");
}

/// A page whose name was made to lead here (DNS rebinding): its requests name its own host.
#[test]
fn foreign_hosts_are_refused() {
    let house = house();
    let port = house.address().rsplit_once(':').unwrap().1.to_owned();
    let json = format!("{}Content-Type: application/json\r\n", house.owner());
    let hosts = [
        "evil.example".to_owned(),
        format!("evil.example:{port}"),
        format!("EVIL.EXAMPLE:{port}"),
        format!("evil.example.:{port}"),
        format!("localhost.:{port}"),
        format!("localhost.evil.example:{port}"),
        format!("127.0.0.1.evil.example:{port}"),
        format!("127.0.0.1@evil.example:{port}"),
        format!("localhost:{port}@evil.example"),
        format!("localhost:{port}.evil.example"),
        format!("localhost:{port}, evil.example"),
        format!("[::1].evil.example:{port}"),
        format!("[::1]evil.example:{port}"),
        format!("[::2]:{port}"),
        format!("[fe80::1%25lo]:{port}"),
        format!("[::1:{port}"),
        format!("::1:{port}"),
        format!("0.0.0.0:{port}"),
        format!("192.168.0.1:{port}"),
        format!("2130706433:{port}"),
        format!("0x7f000001:{port}"),
        format!("127.1:{port}"),
        "localhost:".to_owned() + "evil",
        "evil.example/localhost".to_owned(),
        String::new(),
    ];
    for host in &hosts {
        let answer = send_write(&house.tcp_door(), "POST /", &format!("Host: {host}\r\n{json}"));
        assert!(answer.status == 403 || answer.status == 400, "{host:?}: {answer:?}");
    }
    for headers in [
        json.clone(),
        format!("Host: localhost\r\nHost: evil.example\r\n{json}"),
        format!("Host: evil.example\r\nHost: localhost\r\n{json}"),
        format!("Host: localhost\r\nHost: localhost\r\n{json}"),
    ] {
        assert_forbidden(&send_write(&house.tcp_door(), "POST /", &headers), &headers);
    }
    house.assert_untouched();
    // The same request by this machine's own names, so that it is the host that was refused.
    let own = ["localhost", "LOCALHOST", "127.0.0.1", "127.8.9.10", "[::1]", "[0:0:0:0:0:0:0:1]"];
    for host in own {
        let headers = format!("Host: {host}:{port}\r\n{json}");
        let answer = send_write(&house.tcp_door(), "POST /", &headers);
        assert_eq!(answer.status, 200, "{host}");
    }
    house.assert_serves_all();
}

/// A target with a host in it counts more than the header (RFC 9112, section 3.2.2).
#[test]
fn foreign_hosts_in_the_target_are_refused() {
    let house = house();
    let json = format!("{}Content-Type: application/json\r\n", house.owner());
    for target in ["http://evil.example/", "http://evil.example:80/", "https://evil.example/"] {
        for host in ["evil.example", "localhost"] {
            let headers = format!("Host: {host}\r\n{json}");
            let answer = send_write(&house.tcp_door(), &format!("POST {target}"), &headers);
            assert!(answer.status == 403 || answer.status == 400, "{target} of {host}: {answer:?}");
        }
    }
    house.assert_untouched();
    house.assert_serves_all();
}

/// What any page may send anywhere without asking (a "simple request" of the Fetch standard), and what it
/// would ask for.
#[test]
fn requests_of_foreign_origins_are_refused() {
    let house = house();
    let origins = [
        "http://evil.example",
        "null",
        "http://localhost",
        "http://localhost:51730",
        "https://localhost:5173",
        "HTTP://LOCALHOST:5173",
        "http://localhost:5173/",
        "http://localhost:5173.evil.example",
        "http://localhost:5173, http://evil.example",
        "file://",
        "chrome-extension://abcdefghijklmnop",
        "",
    ];
    for (door, token) in house.doors() {
        for origin in origins {
            let headers = format!("Host: localhost\r\nOrigin: {origin}\r\n{token}");
            for kind in ["text/plain", "application/x-www-form-urlencoded", "application/json"] {
                let headers = format!("{headers}Content-Type: {kind}\r\n");
                assert_forbidden(&send_write(&door, "POST /", &headers), &headers);
                let path = format!("POST /t/{}/", house.token());
                assert_forbidden(&send_write(&door, &path, &headers), &headers);
            }
            for line in [
                "PUT /blobs",
                "POST /blobs",
                "GET /blobs/x",
                "HEAD /blobs/x",
                "DELETE /",
                "OPTIONS /",
            ] {
                let answer = ask(&door, line, &headers);
                assert_eq!(answer.status, 403, "{line} from {origin}");
            }
            // Any page may open a WebSocket anywhere: only this header tells.
            let headers = format!("Origin: {origin}\r\n{token}");
            let refused = WebSocket::open(&door, "/", &headers).expect_err(origin);
            assert_forbidden(&refused, origin);
        }
        let both = format!(
            "Host: localhost\r\nOrigin: {LISTED}\r\nOrigin: http://evil.example\r\n{token}"
        );
        assert_forbidden(&send_write(&door, "POST /", &both), &both);
    }
    house.assert_untouched();
    house.assert_serves_all();
}

/// A request without a body and with exactly these headers.
fn ask(door: &Door, line: &str, headers: &str) -> HttpAnswer {
    let mut connection = door.connect();
    let request = format!("{line} HTTP/1.1\r\n{headers}Content-Length: 0\r\n\r\n");
    connection.send(request.as_bytes());
    connection.answer(!line.starts_with("HEAD ")).expect("no answer")
}

/// A form that is posted as text reads as JSON-RPC; without an `Origin` (an old browser) its type is
/// refused.
#[test]
fn a_form_that_looks_like_a_call_is_refused_by_its_type() {
    let house = house();
    for (door, token) in house.doors() {
        for kind in
            ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"]
        {
            let headers = format!("Host: localhost\r\n{token}Content-Type: {kind}\r\n");
            assert_eq!(send_write(&door, "POST /", &headers).status, 415, "{kind}");
        }
        let untyped = format!("Host: localhost\r\n{token}");
        assert_eq!(send_write(&door, "POST /", &untyped).status, 415);
    }
    house.assert_untouched();
}

/// What a browser asks before it sends more than a simple request; it shows no token then.
fn preflight(door: &Door, origin: &str) -> HttpAnswer {
    let headers = format!(
        "Host: localhost\r\nOrigin: {origin}\r\nAccess-Control-Request-Method: POST\r\n\
         Access-Control-Request-Headers: authorization,content-type\r\n\
         Access-Control-Request-Private-Network: true\r\n"
    );
    ask(door, "OPTIONS /", &headers)
}

#[test]
fn only_listed_origins_are_told_that_they_may() {
    let house = house();
    for (door, token) in house.doors() {
        for origin in ["http://evil.example", "null", "http://localhost:5174"] {
            assert_forbidden(&preflight(&door, origin), origin);
        }
        let told = preflight(&door, LISTED);
        assert_eq!(told.status, 204);
        assert_eq!(told.header("access-control-allow-origin"), Some(LISTED));
        assert_eq!(told.header("access-control-allow-private-network"), Some("true"));
        // No cookies or passwords of the browser's: a token must be shown.
        assert_eq!(told.header("access-control-allow-credentials"), None);
        for (header, needed) in [
            ("access-control-allow-methods", ["POST", "PUT"]),
            ("access-control-allow-headers", ["authorization", "content-type"]),
        ] {
            let list = told.header(header).unwrap();
            assert!(needed.iter().all(|word| list.split(", ").any(|it| it == *word)), "{list}");
        }

        let headers = format!(
            "Host: localhost\r\nOrigin: {LISTED}\r\n{token}Content-Type: application/json\r\n"
        );
        let answer = send_write(&door, "POST /", &headers);
        assert_eq!(answer.status, 200);
        assert_readable(&answer);
        // What is refused for another reason must be readable too, or the page can't tell why.
        let missing =
            ask(&door, "GET /blobs/x", &format!("Host: localhost\r\nOrigin: {LISTED}\r\n{token}"));
        assert_eq!(missing.status, 400);
        assert_readable(&missing);
    }
    let untold =
        ask(&house.tcp_door(), "GET /blobs/x", &format!("Host: localhost\r\nOrigin: {LISTED}\r\n"));
    assert_eq!(untold.status, 401);
    assert_readable(&untold);
    let mut socket =
        WebSocket::open(&house.tcp_door(), "/", &format!("Origin: {LISTED}\r\n{}", house.owner()))
            .unwrap();
    let told: Value = socket.ask(&request("preferences.get", r#"["k"]"#));
    assert_eq!(told["result"]["value"], 1);
    house.assert_serves_all();
}

#[track_caller]
fn assert_readable(answer: &HttpAnswer) {
    assert_eq!(answer.header("access-control-allow-origin"), Some(LISTED), "{answer:?}");
    let varies = answer.header("vary").is_some_and(|list| list.eq_ignore_ascii_case("origin"));
    assert!(varies, "{answer:?}");
}

/// A page that loads a content as an image, a script or a frame sends no `Origin`; its browser says in
/// `Sec-Fetch-Site` that it comes from elsewhere (Fetch Metadata Request Headers, W3C).
#[test]
fn contents_are_not_embedded_by_foreign_pages() {
    let house = house();
    let put = house.daemon.ok("blobs.put", serde_json::json!({ "data": "aGVsbG8=" }));
    let path = format!("/t/{}/blobs/{}", house.token(), put["hash"].as_str().unwrap());
    let door = house.tcp_door();
    for site in ["cross-site", "same-site"] {
        let headers = format!("Host: localhost\r\nSec-Fetch-Site: {site}\r\n");
        assert_forbidden(&ask(&door, &format!("GET {path}"), &headers), site);
    }
    // The owner who opens it himself, or a listed page.
    for headers in [
        String::new(),
        "Sec-Fetch-Site: none\r\n".to_owned(),
        format!("Origin: {LISTED}\r\nSec-Fetch-Site: cross-site\r\n"),
    ] {
        let answer = ask(&door, &format!("GET {path}"), &format!("Host: localhost\r\n{headers}"));
        assert_eq!((answer.status, &answer.body[..]), (200, &b"hello"[..]), "{headers}");
        // A content that is a page itself must be no page of ours: it could read what else is here.
        let policy = answer.header("content-security-policy").unwrap_or_default();
        assert!(policy.contains("sandbox"), "{answer:?}");
    }
}
