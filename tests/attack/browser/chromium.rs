//! A real browser on a hostile page that knows the owner's token. The same page from an origin that is
//! listed is the control: there everything works, so that it is the origin that was refused.

use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rustix::process::{Pid, Signal, kill_process_group};
use serde_json::{Value, json};

use super::page_server::PageServer;
use crate::fixture::House;
use crate::support::wait_until;

/// The smallest GIF: what loads as an image could be loaded by any page.
const IMAGE: &[u8] = b"GIF89a\x01\x00\x01\x00\x80\x00\x00\xff\xff\xff\x00\x00\x00!\xf9\x04\x01\x00\x00\x00\x00,\x00\x00\x00\x00\x01\x00\x01\x00\x00\x02\x02D\x01\x00;";
/// What is run by whoever includes it.
const SCRIPT: &[u8] = b"window.scriptRan = true;";

/// A running Chromium; it ends with all its processes when dropped.
struct Chromium {
    browser: Child,
    _profile: tempfile::TempDir,
}

impl Chromium {
    /// Opens a page; none where there is no Chromium, and the test's log says so.
    fn open(page: &str) -> Option<Self> {
        let profile = tempfile::Builder::new().prefix("osnova-chromium").tempdir().unwrap();
        let mut command = Command::new("chromium");
        command
            .args(["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"])
            .args(["--no-first-run", "--disable-extensions", "--disable-background-networking"])
            .args(["--disable-component-update", "--disable-sync", "--disable-breakpad"])
            .args(["--disable-crash-reporter", "--no-proxy-server"])
            .arg("--host-resolver-rules=MAP *.example 127.0.0.1, MAP * ~NOTFOUND, EXCLUDE localhost, EXCLUDE 127.0.0.1")
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .arg(page)
            .env("HOME", profile.path())
            .env("XDG_CONFIG_HOME", profile.path())
            .env("XDG_CACHE_HOME", profile.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0);
        match command.spawn() {
            Ok(browser) => Some(Self { browser, _profile: profile }),
            Err(why) => {
                eprintln!("skipped: chromium: not installed ({why})");
                None
            }
        }
    }

    /// Waits for something that the page is to bring about; fails the test where Chromium has ended.
    fn wait_for<T>(&mut self, what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
        wait_until(what, || {
            let ended = self.browser.try_wait().unwrap();
            assert!(ended.is_none(), "Chromium ended by itself: {ended:?}");
            ask()
        })
    }

    fn report(&mut self, server: &PageServer, page: &str) -> Value {
        self.wait_for(&format!("the report of the page {page}"), || server.report(page))
    }
}

impl Drop for Chromium {
    fn drop(&mut self) {
        // Its processes are a group of their own, which it leads.
        let _ = kill_process_group(Pid::from_child(&self.browser), Signal::KILL);
        let _ = self.browser.wait();
    }
}

/// A house with an image and a script in it, and what the page has to know of them.
fn house(server: &PageServer) -> (House, Value) {
    let port = server.port();
    let house = House::start(&format!(
        "log = \"debug\"\n[access]\nallowed_origins = [\"http://listed.example:{port}\"]\n"
    ));
    let put = |content, kind| {
        let put = json!({ "data": STANDARD.encode(content), "contentType": kind });
        house.daemon.ok("blobs.put", put)["hash"].clone()
    };
    let daemon_port = house.address().rsplit_once(':').unwrap().1;
    let told = json!({
        "token": house.token(),
        "port": daemon_port,
        "hash": put(IMAGE, "image/gif"),
        "scriptHash": put(SCRIPT, "text/javascript"),
        "reports": format!("127.0.0.1:{port}"),
    });
    server.tell(&told, house.address());
    (house, told)
}

/// A content that is a page itself, and reads what else it can by its own address.
fn stored_page(house: &House, told: &Value) -> String {
    let report = format!("http://{}/report", told["reports"].as_str().unwrap());
    let secret = format!("/t/{}/blobs/{}", house.token(), told["hash"].as_str().unwrap());
    let html = format!(
        "<script>fetch({secret:?}).then((answer) => 'read ' + answer.status, () => 'refused')\
         .then((end) => fetch({report:?}, {{ method: 'POST', mode: 'no-cors', \
         body: JSON.stringify({{ page: 'stored', end }}) }}))</script>"
    );
    let put = json!({ "data": STANDARD.encode(html), "contentType": "text/html" });
    let hash = house.daemon.ok("blobs.put", put)["hash"].clone();
    let hash = hash.as_str().unwrap();
    format!("http://{}/t/{}/blobs/{hash}", house.address(), house.token())
}

/// How an attempt may end that got nothing: what is only sent, or opaque, shows in the store.
fn got_nothing(how: &str, end: &str) -> bool {
    match how.split_once('.').map_or(how, |(_, attempt)| attempt) {
        "simplePost" if end == "opaque" => true,
        "beacon" => end == "sent",
        "form" => ["sent", "no answer"].contains(&end),
        "scriptRan" => end == "false",
        // A page of the daemon's own origin may read that it is refused.
        _ => end == "refused" || end.starts_with("read 403 "),
    }
}

fn assert_got_nothing(report: &Value) {
    let ends = report.as_object().unwrap().iter().filter(|(how, _)| *how != "page");
    let got: Vec<_> = ends.filter(|(how, end)| !got_nothing(how, end.as_str().unwrap())).collect();
    assert!(got.is_empty(), "the page {} got something: {got:?}", report["page"]);
}

/// That from a listed origin the same attempts succeed, as far as the standards let them.
fn assert_got_all(report: &Value) {
    for base in ["address", "name"] {
        for how in ["jsonPost", "bearerPost", "put", "bearerPut", "get", "bearerGet", "read"] {
            let end = report[format!("{base}.{how}")].as_str().unwrap();
            assert!(end.starts_with("read 200 "), "{base}.{how}: {end}");
        }
        let end = report[format!("{base}.webSocket")].as_str().unwrap();
        assert!(end.contains("\"result\""), "{base}.webSocket: {end}");
        // Its type is refused, whoever sends it.
        let end = report[format!("{base}.textPost")].as_str().unwrap();
        assert!(end.starts_with("read 415 "), "{base}.textPost: {end}");
    }
}

/// The contents that were read so far: at this level the log tells of every call.
fn contents_read(house: &House) -> usize {
    house.daemon.log().matches("\"method\":\"blobs.get\"").count()
}

#[test]
fn hostile_pages_of_a_real_browser_get_nothing() {
    let server = PageServer::start();
    let (house, told) = house(&server);
    let page = |name: &str| format!("http://{name}.example:{}/page?page={name}", server.port());
    let stored = stored_page(&house, &told);
    let before = house.daemon.ok("blobs.usage", json!({}))["count"].clone();
    // The first one's sandboxed frame has the origin null.
    for (name, reports) in [("evil", ["evil", "null"].as_slice()), ("rebind", &["rebind"])] {
        let Some(mut chromium) = Chromium::open(&page(name)) else { return };
        for report in reports {
            assert_got_nothing(&chromium.report(&server, report));
        }
    }
    house.assert_untouched();
    assert_eq!(house.daemon.ok("blobs.usage", json!({}))["count"], before);
    assert_eq!(contents_read(&house), 0);
    house.daemon.ok("status.get", json!({}));

    let mut opened = Chromium::open(&stored).unwrap();
    opened.wait_for("the stored page", || (contents_read(&house) > 0).then_some(()));

    let mut listed = Chromium::open(&page("listed")).unwrap();
    assert_got_all(&listed.report(&server, "listed"));
    // What a listed page wrote stands there, by the ways that are open to it.
    let set = house.daemon.ok("preferences.list", json!({}));
    let set: Vec<&str> =
        set["items"].as_array().unwrap().iter().map(|item| item["key"].as_str().unwrap()).collect();
    let ways = ["bearerPost", "jsonPost", "webSocket"];
    let bases = ["address", "name"].iter();
    let written: Vec<String> =
        bases.flat_map(|base| ways.map(|way| format!("listed.{base}.{way}"))).collect();
    assert_eq!(set, written);
    // The stored page's scripts do not run, or it would have read the image by now.
    opened.wait_for("the end", || Some(()));
    assert_eq!(server.report("stored"), None);
    house.assert_serves_all();
}
