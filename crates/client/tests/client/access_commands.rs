//! The commands around who may come in, and what the program says to whoever may not.

use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::json;

use crate::program::{run, run_with, texts};
use crate::support::{Fake, Step};

const HASH: &str = "738e10c42fc3177b07bc6ea9c685e764abb4482c232963394fc91c4b30653745";
const CREATED: &str = r#"{"token":"osn_5f0c_b9a4","info":{"tokenId":"5f0c","componentId":"org.example.weather","name":"hall","scopes":["blobs:read","blobs:write"],"createdAt":1764028800,"expiresAt":4102444800}}"#;
const UNAUTHORIZED: &str =
    r#"{"code":-32003,"message":"a valid token is needed","data":{"code":"unauthorized"}}"#;
const FORBIDDEN: &str = r#"{"code":-32020,"message":"the credential does not allow this method","data":{"code":"forbidden"}}"#;
const DELETED: &str = r#"{"deleted":true}"#;
const ABSENT: &str = r#"{"deleted":false}"#;

#[tokio::test]
async fn a_new_token_stands_alone_on_standard_output() {
    let fake = Fake::start(vec![Step::result(CREATED)]);
    let create = ["token", "create", "org.example.weather"];
    let output = run(&fake.endpoint(), &create, "").await;
    let (code, out, err) = texts(&output);
    assert_eq!((code, out), (0, "osn_5f0c_b9a4\n"));
    for said in
        ["token 5f0c (hall)", "blobs:read,blobs:write", "2100-01-01 00:00:00Z", "only this once"]
    {
        assert!(err.contains(said), "{err}");
    }
    assert!(!err.contains("osn_"), "{err}");
    assert_eq!(fake.requests()[0].params(), json!({ "componentId": "org.example.weather" }));

    let output = run(&fake.endpoint(), &[&create[..], &["--json"]].concat(), "").await;
    assert_eq!(texts(&output), (0, format!("{CREATED}\n").as_str(), ""));
}

#[tokio::test]
async fn whoever_may_not_follow_events_is_told_what_to_do() {
    let fake = Fake::start(vec![Step::Answer(401, UNAUTHORIZED.to_owned())]);
    let output = run(&fake.endpoint(), &["events", "--namespace", "preferences"], "").await;
    let (code, out, err) = texts(&output);
    assert_eq!((code, out), (1, ""));
    assert!(
        err.starts_with("osnova-storage: unauthorized: ") && err.contains("--token-file"),
        "{err}"
    );
    for wrong in [
        &["--after", "yesterday"][..],
        &["--after", "-1"],
        &["--since", "-1"],
        &["--namespace", ""],
    ] {
        let output = run(&fake.endpoint(), &[&["events"], wrong].concat(), "").await;
        assert_eq!(texts(&output).0, 2, "{wrong:?}");
    }
}

#[tokio::test]
async fn a_new_token_is_what_was_asked_for() {
    let fake = Fake::start(vec![Step::result(CREATED)]);
    let create = |more: &[&'static str]| [&["token", "create", "a"], more].concat();
    let asked = create(&["--name", "hall", "--scope", "blobs:read", "--scope", "blobs:write"]);
    let output = run(&fake.endpoint(), &asked, "").await;
    assert_eq!(texts(&output).0, 0);
    let output = run(&fake.endpoint(), &create(&["--expires-in", "12h"]), "").await;
    assert_eq!(texts(&output).0, 0);
    let output = run(&fake.endpoint(), &create(&["--expires-at", "2100-01-01"]), "").await;
    assert_eq!(texts(&output).0, 0);
    let requests = fake.requests();
    let scopes = ["blobs:read", "blobs:write"];
    let params = json!({ "componentId": "a", "name": "hall", "scopes": scopes });
    assert_eq!(requests[0].params(), params);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() as i64;
    let left = requests[1].params()["expiresAt"].as_i64().unwrap() - now;
    assert!((12 * 3600 - 60..=12 * 3600).contains(&left), "{left}");
    assert_eq!(requests[2].params()["expiresAt"], 4_102_444_800_i64);

    // Preferences are the owner's: no component's credential can carry their scope.
    for wrong in [
        &["--scope", "preferences:read"][..],
        &["--scope", "blobs"],
        &["--expires-in", "soon"],
        &["--expires-at", "2026-02-30"],
        &["--expires-in", "1d", "--expires-at", "2100-01-01"],
    ] {
        let output = run(&fake.endpoint(), &create(wrong), "").await;
        let (code, _, err) = texts(&output);
        assert_eq!(code, 2, "{wrong:?}");
        assert!(wrong[0] != "--scope" || err.contains("components:read"), "{err}");
    }
    assert_eq!(fake.requests().len(), 3);
    let output = run("unix:/nowhere", &["completions", "bash"], "").await;
    let mut lines = texts(&output).1.lines().filter(|line| line.contains("compgen -W"));
    assert!(lines.any(|line| line.contains("blobs:read") && line.contains("components:read")));
}

#[tokio::test]
async fn a_token_goes_into_a_new_file_of_the_owners() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("token");
    let out = path.to_str().unwrap();
    let create = ["token", "create", "a", "--out", out];
    let fake = Fake::start(vec![Step::error(FORBIDDEN), Step::result(CREATED)]);
    // Where none was made, there is no file.
    let output = run(&fake.endpoint(), &create, "").await;
    assert_eq!((texts(&output).0, path.exists()), (1, false));

    let output = run(&fake.endpoint(), &create, "").await;
    let (code, printed, err) = texts(&output);
    assert_eq!((code, printed), (0, ""));
    assert!(err.contains(out) && !err.contains("osn_"), "{err}");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "osn_5f0c_b9a4\n");
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);

    // One that is there is left alone, and no token is made that could not be kept.
    std::fs::write(&path, "old").unwrap();
    for command in [&create[..], &["token", "rotate-owner", "--out", out]] {
        let output = run(&fake.endpoint(), command, "").await;
        assert_eq!(texts(&output).0, 1);
    }
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "old");
    let other = directory.path().join("other");
    let both = ["--json", "token", "create", "a", "--out", other.to_str().unwrap()];
    let output = run(&fake.endpoint(), &both, "").await;
    assert_eq!((texts(&output).0, other.exists()), (2, false));
    assert_eq!(fake.requests().len(), 2);
}

#[tokio::test]
async fn a_token_that_was_lost_is_named() {
    let fake = Fake::start(vec![Step::Drop]);
    let output = run(&fake.endpoint(), &["token", "create", "a"], "").await;
    let (code, out, err) = texts(&output);
    assert_eq!((code, out), (1, ""));
    assert!(err.contains("osnova-storage token ls"), "{err}");
    assert_eq!(fake.requests().len(), 1);

    // Elsewhere a reader that has gone is no failure. Here nobody would know that there is a token.
    let fake = Fake::start(vec![Step::result(CREATED)]);
    let endpoint = fake.endpoint();
    let run = move || {
        let mut child = std::process::Command::new(env!("CARGO_BIN_EXE_osnova-storage"))
            .args(["--endpoint", &endpoint, "token", "create", "a"])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        drop(child.stdout.take());
        child.wait_with_output().unwrap()
    };
    let output = tokio::task::spawn_blocking(run).await.unwrap();
    let (code, _, err) = texts(&output);
    assert_eq!(code, 1);
    assert!(err.contains("osnova-storage token revoke 5f0c"), "{err}");
}

#[tokio::test]
async fn tokens_are_listed_page_by_page() {
    let first = r#"{"items":[{"tokenId":"1","componentId":"a","createdAt":5},{"tokenId":"2","componentId":"b","name":"n","scopes":["blobs:read"],"createdAt":6,"expiresAt":7}],"nextCursor":"c"}"#;
    let last = r#"{"items":[{"tokenId":"3","componentId":"a","createdAt":8}]}"#;
    let fake = Fake::start(vec![Step::result(first), Step::result(last)]);
    let output = run(&fake.endpoint(), &["token", "ls", "--all", "--limit", "2"], "").await;
    let rows = "1\ta\t\tall\t5\tnever\n2\tb\tn\tblobs:read\t6\t7\n3\ta\t\tall\t8\tnever\n";
    assert_eq!(texts(&output), (0, rows, ""));
    assert_eq!(fake.requests()[1].params(), json!({ "limit": 2, "cursor": "c" }));

    let output = run(&fake.endpoint(), &["token", "ls", "--component", "a"], "").await;
    assert_eq!(texts(&output).0, 0);
    assert_eq!(fake.requests()[2].params(), json!({ "componentId": "a" }));
}

#[tokio::test]
async fn revoking_what_is_not_there_is_a_failure() {
    let fake = Fake::start(vec![Step::result(ABSENT), Step::result(DELETED)]);
    let output = run(&fake.endpoint(), &["token", "revoke", "1", "2"], "").await;
    let said = "1 there was nothing to revoke\n2 revoked\n";
    assert_eq!(texts(&output), (1, said, "osnova-storage: 1 of 2 tokens were not there\n"));
    assert_eq!(fake.requests()[1].params(), json!({ "tokenId": "2" }));
    let output = run(&fake.endpoint(), &["token", "revoke", "2"], "").await;
    assert_eq!(texts(&output), (0, "2 revoked\n", ""));

    for wrong in [&["token", "revoke"][..], &["token", "revoke", "1", "--component", "a"]] {
        assert_eq!(texts(&run(&fake.endpoint(), wrong, "").await).0, 2);
    }
    // A token in place of its id is not sent anywhere.
    let output = run(&fake.endpoint(), &["token", "revoke", "osn_5f0c_b9a4"], "").await;
    assert_eq!(texts(&output).0, 2);
    assert_eq!(fake.requests().len(), 3);
}

#[tokio::test]
async fn all_tokens_of_a_component_are_revoked() {
    let first = r#"{"items":[{"tokenId":"1","componentId":"a","createdAt":5},{"tokenId":"2","componentId":"a","createdAt":6}],"nextCursor":"c"}"#;
    let last = r#"{"items":[{"tokenId":"3","componentId":"a","createdAt":8}]}"#;
    let steps = [first, last, DELETED, ABSENT, DELETED, r#"{"items":[]}"#];
    let fake = Fake::start(steps.iter().map(|json| Step::result(json)).collect());
    let output = run(&fake.endpoint(), &["token", "revoke", "--component", "a"], "").await;
    // Somebody else was faster with one of them.
    assert_eq!(texts(&output), (0, "2 tokens of a revoked\n", ""));
    let requests = fake.requests();
    assert_eq!(requests[1].params()["cursor"], "c");
    assert!(requests[..2].iter().all(|request| request.params()["componentId"] == "a"));
    let revoked: Vec<_> = requests[2..].iter().map(|it| it.params()["tokenId"].clone()).collect();
    assert_eq!(revoked, ["1", "2", "3"]);
    let output = run(&fake.endpoint(), &["token", "revoke", "--component", "a"], "").await;
    assert_eq!(texts(&output), (0, "0 tokens of a revoked\n", ""));
}

#[tokio::test]
async fn the_owners_token_is_rotated() {
    let fake = Fake::start(vec![Step::result(r#"{"token":"b9a4"}"#)]);
    let output = run(&fake.endpoint(), &["token", "rotate-owner"], "").await;
    let (code, out, err) = texts(&output);
    assert_eq!((code, out), (0, "b9a4\n"));
    assert!(err.contains("no longer taken") && !err.contains("b9a4"), "{err}");
    let body = String::from_utf8(fake.requests()[0].body.clone()).unwrap();
    assert!(body.contains("auth.rotateOwnerToken"), "{body}");
}

#[tokio::test]
async fn sockets_are_opened_closed_and_listed() {
    let socket = |listening| {
        format!(
            r#"{{"componentId":"a","path":"/run/a.sock","scopes":["blobs:read"],"createdAt":5,"listening":{listening}}}"#
        )
    };
    let (open, dead) = (socket(true), socket(false));
    let list = format!(r#"{{"items":[{open},{dead}]}}"#);
    let steps = [open.as_str(), dead.as_str(), DELETED, ABSENT, list.as_str()];
    let fake = Fake::start(steps.iter().map(|json| Step::result(json)).collect());
    let here = std::env::current_dir().unwrap();

    let arguments = ["socket", "open", "a", "--scope", "blobs:read", "--path", "a.sock"];
    let output = run(&fake.endpoint(), &arguments, "").await;
    assert_eq!(texts(&output), (0, "/run/a.sock\n", ""));
    // The daemon works in another folder.
    let path = here.join("a.sock").display().to_string();
    let params = json!({ "componentId": "a", "scopes": ["blobs:read"], "path": path });
    assert_eq!(fake.requests()[0].params(), params);
    let output = run(&fake.endpoint(), &["socket", "open", "a"], "").await;
    let (code, out, err) = texts(&output);
    assert_eq!((code, out), (0, "/run/a.sock\n"));
    assert!(err.contains("does not listen"), "{err}");

    let output =
        run(&fake.endpoint(), &["socket", "close", "a", "--path", "/run/a.sock"], "").await;
    assert_eq!(texts(&output), (0, "closed\n", ""));
    assert_eq!(fake.requests()[2].params(), json!({ "componentId": "a", "path": "/run/a.sock" }));
    let output = run(&fake.endpoint(), &["socket", "close", "a"], "").await;
    assert_eq!(texts(&output), (0, "there was nothing to close\n", ""));
    let output = run(&fake.endpoint(), &["socket", "ls"], "").await;
    let rows =
        "a\t/run/a.sock\tblobs:read\t5\tlistening\na\t/run/a.sock\tblobs:read\t5\tnot listening\n";
    assert_eq!(texts(&output), (0, rows, ""));
}

#[tokio::test]
async fn contents_are_granted_and_the_grant_taken_back() {
    let stat =
        format!(r#"{{"hash":"{HASH}","size":14,"pinned":true,"createdAt":1,"references":0}}"#);
    let fake = Fake::start(vec![Step::result(&stat), Step::result(&stat), Step::result(DELETED)]);
    let output = run(&fake.endpoint(), &["blob", "grant", HASH, "a"], "").await;
    assert_eq!(texts(&output), (0, format!("{HASH} granted to a\n").as_str(), ""));
    let output = run(&fake.endpoint(), &["blob", "grant", HASH, "a", "--no-pin"], "").await;
    assert_eq!(texts(&output).0, 0);
    for arguments in [&["blob", "rm", HASH, "--component", "a"][..], &["blob", "rm", HASH]] {
        let output = run(&fake.endpoint(), arguments, "").await;
        assert_eq!(texts(&output), (0, format!("{HASH} deleted\n").as_str(), ""));
    }
    let params: Vec<_> = fake.requests().iter().map(|request| request.params()).collect();
    assert_eq!(params[0], json!({ "hash": HASH, "componentId": "a" }));
    assert_eq!(params[1], json!({ "hash": HASH, "componentId": "a", "pin": false }));
    assert_eq!(params[2], json!({ "hash": HASH, "componentId": "a" }));
    assert_eq!(params[3], json!({ "hash": HASH }));
}

#[tokio::test]
async fn one_learns_who_one_is() {
    let owner = r#"{"caller":"owner","credential":"socket"}"#;
    let component = r#"{"caller":"component","credential":"token","componentId":"a","scopes":["blobs:read","vault:read"],"tokenId":"5f0c","expiresAt":4102444800}"#;
    let fake = Fake::start(vec![Step::result(owner), Step::result(component)]);
    let output = run(&fake.endpoint(), &["whoami"], "").await;
    assert_eq!(texts(&output), (0, "caller\towner\nscopes\tall\ncredential\tsocket\n", ""));
    let output = run(&fake.endpoint(), &["whoami"], "").await;
    let rows = "caller\tcomponent\ncomponent\ta\nscopes\tblobs:read,vault:read\ncredential\ttoken\ntoken\t5f0c\nexpires\t4102444800\n";
    assert_eq!(texts(&output), (0, rows, ""));
}

#[tokio::test]
async fn whoever_is_refused_is_told_what_to_do() {
    let refused = |error: &str| Fake::start(vec![Step::error(error)]);
    let told = async |error: &str, arguments: &[&str], variables: &[(&str, &str)]| {
        let fake = refused(error);
        let endpoint = fake.endpoint();
        let arguments = [arguments, &["--endpoint", &endpoint]].concat();
        let output = run_with(&arguments, variables, "").await;
        let (code, out, err) = texts(&output);
        assert_eq!((code, out), (1, ""), "{err}");
        err.to_owned()
    };
    let token = [("OSNOVA_STORAGE_TOKEN", "t")];
    let line = told(UNAUTHORIZED, &["blob", "ls"], &[]).await;
    assert!(line.contains("--token-file FILE or in $OSNOVA_STORAGE_TOKEN"), "{line}");
    let line = told(UNAUTHORIZED, &["blob", "ls"], &token).await;
    assert!(line.contains("no longer, taken"), "{line}");

    let scope = "blobs.list needs the scope blobs:read; osnova-storage whoami";
    for command in [&["blob", "ls"][..], &["call", "blobs.list"]] {
        let line = told(FORBIDDEN, command, &token).await;
        assert!(line.contains(scope), "{line}");
    }
    let line = told(FORBIDDEN, &["token", "ls"], &token).await;
    assert!(line.contains("auth.listTokens needs admin, which only the owner has"), "{line}");
    let line = told(FORBIDDEN, &["ls", "preferences"], &token).await;
    assert!(
        line.contains("preferences.list needs preferences:read, which only the owner"),
        "{line}"
    );

    // Streams go over routes of their own.
    let fake = Fake::start(vec![Step::Answer(403, FORBIDDEN.to_owned())]);
    let output = run(&fake.endpoint(), &["blob", "put", "-"], "hello").await;
    assert!(texts(&output).2.contains("blobs.put needs the scope blobs:write"), "{output:?}");
    let output = run(&fake.endpoint(), &["blob", "get", HASH], "").await;
    assert!(texts(&output).2.contains("blobs.get needs the scope blobs:read"), "{output:?}");
}

#[tokio::test]
async fn every_command_takes_an_endpoint_and_a_token_wherever_they_stand() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("token");
    // What comes after the first line is no part of the token.
    std::fs::write(&path, " from-file \r\n# of the weather\n").unwrap();
    let file = path.to_str().unwrap();
    let fake = Fake::start(vec![Step::result(DELETED)]);
    let endpoint = fake.endpoint();
    let variables = [("OSNOVA_STORAGE_TOKEN", "from-variable")];

    let commands: [&[&str]; 4] = [
        &["blob", "rm", HASH, "--endpoint", &endpoint, "--token-file", file],
        &["--token-file", file, "token", "revoke", "1", "--endpoint", &endpoint],
        &["socket", "--endpoint", &endpoint, "close", "a", "--token", "osn_argument"],
        &["rm", "preference", "a", "--endpoint", &endpoint],
    ];
    for command in commands {
        let output = run_with(command, &variables, "").await;
        assert_eq!(texts(&output).0, 0, "{output:?}");
    }
    let shown = ["from-file", "from-file", "osn_argument", "from-variable"];
    for (request, token) in fake.requests().iter().zip(shown) {
        assert!(request.head.contains(&format!("authorization: bearer {token}\r\n")), "{token}");
    }
    // Every subcommand there is, however deep.
    let output = run_with(&["completions", "bash"], &[], "").await;
    let script = texts(&output).1.to_owned();
    let options: Vec<_> = script.lines().filter(|line| line.contains("opts=\"-")).collect();
    assert!(options.len() > 30, "{}", options.len());
    for line in options {
        assert!(line.contains("--endpoint --token --token-file "), "{line}");
    }
}

/// On the owner's socket whoever shows no token is the owner. A script whose token is empty by mistake
/// must not become him.
#[tokio::test]
async fn an_empty_token_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("token");
    std::fs::write(&path, "\nx\n").unwrap();
    let fake = Fake::start(vec![Step::result(DELETED)]);
    let file = path.to_str().unwrap();
    let long = directory.path().join("long");
    std::fs::write(&long, "x".repeat(5000)).unwrap();
    for given in [
        &["--token", ""][..],
        &["--token-file", file],
        &["--token-file", "/dev/null"],
        &["--token-file", "/nowhere/token"],
        &["--token-file", long.to_str().unwrap()],
        &["--token", "osn_a", "--token-file", file],
    ] {
        let output = run(&fake.endpoint(), &[given, &["rm", "preference", "a"]].concat(), "").await;
        let (code, _, err) = texts(&output);
        assert_eq!(code, 2, "{given:?}");
        // Which file it is that holds no token.
        assert!(given[0] != "--token-file" || err.contains(given[1]), "{err}");
    }
    assert_eq!(fake.requests().len(), 0);
}
