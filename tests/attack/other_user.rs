//! Another user of the same machine: a process with another uid. The permissions of folders keep him
//! out; where someone has loosened them, the kernel still says who he is.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::fixture::{ALICE, House};
use crate::probe::{PYTHON, Place, Probe};
use crate::wire::code_of;

/// The uid and gid of nobody.
const NOBODY: &str = "65534";
/// A group that nobody is in, unless the test puts him there.
const GROUP: &str = "54321";

/// A process of nobody's, in these groups; none where it can't be had, and the test's log says why.
fn nobody(groups: Option<&str>) -> Option<Probe> {
    let why = if !rustix::process::geteuid().is_root() {
        "not root"
    } else if !Path::new(PYTHON).exists() {
        "no /usr/bin/python3"
    } else if Command::new("setpriv").arg("--version").output().is_err() {
        "no setpriv"
    } else {
        let mut command = Command::new("setpriv");
        command.args(["--reuid", NOBODY, "--regid", NOBODY]);
        match groups {
            Some(groups) => command.args(["--groups", groups]),
            None => command.arg("--clear-groups"),
        };
        let mut probe = Probe::start(command);
        let groups: Vec<u32> = groups.iter().map(|group| group.parse().unwrap()).collect();
        assert_eq!(
            probe.try_it(json!({ "try": "who" })),
            json!({ "uid": 65_534, "groups": groups })
        );
        return Some(probe);
    };
    eprintln!("skipped: second user: {why}");
    None
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// A house whose outer folder, which the test made, is no obstacle.
fn open_house(config: &str) -> House {
    let house = House::start(config);
    set_mode(house.daemon.folder(), 0o755);
    house
}

#[track_caller]
fn assert_answer(answer: Result<(u64, Value), String>, status: u64, code: &str) {
    let (found, body) = answer.expect("could not connect");
    assert_eq!((found, code_of(&body).as_str()), (status, code), "{body}");
}

const WHOAMI: &str = "auth.whoami";

#[test]
fn another_user_reaches_nothing() {
    let Some(mut nobody) = nobody(None) else { return };
    let house = open_house("");
    let (root, pid) = (house.daemon.root(), house.daemon.pid());
    let bound = house.component_socket(ALICE);
    for socket in [&house.daemon.socket(), &house.component_path(), &bound] {
        assert!(socket.exists());
        let reached = nobody.call(&Place::Unix(socket), Some(&house.token()), WHOAMI, "{}");
        assert_eq!(reached.unwrap_err(), "EACCES", "{}", socket.display());
    }
    for file in ["run/token", "osnova.db", "osnova.db-wal"] {
        assert!(root.join(file).exists(), "{file}");
        nobody.assert_refused(json!({ "try": "read", "path": root.join(file) }), &["EACCES"]);
    }
    for folder in
        [root.join("blobs"), root.join("run"), root.clone(), house.daemon.folder().join("s")]
    {
        assert!(folder.exists(), "{}", folder.display());
        nobody.assert_refused(json!({ "try": "list_folder", "path": folder }), &["EACCES"]);
    }
    // The daemon's memory holds the key, its environment may hold paths.
    for file in ["environ", "maps", "mem", "auxv"] {
        let path = format!("/proc/{pid}/{file}");
        nobody.assert_refused(json!({ "try": "read", "path": path }), &["EACCES", "EPERM"]);
    }
    let list = json!({ "try": "list_folder", "path": format!("/proc/{pid}/fd") });
    nobody.assert_refused(list, &["EACCES", "EPERM"]);
    nobody.assert_refused(json!({ "try": "read_memory", "pid": pid }), &["EACCES", "EPERM"]);
    nobody.assert_refused(json!({ "try": "signal", "pid": pid }), &["EPERM"]);
    // TCP is open to anyone on the machine; without a token nobody is let in.
    let tcp = Place::Tcp(house.address());
    assert_answer(nobody.call(&tcp, None, WHOAMI, "{}"), 401, "unauthorized");
    let guess = "0".repeat(64);
    assert_answer(nobody.call(&tcp, Some(&guess), WHOAMI, "{}"), 401, "unauthorized");
    assert_eq!(nobody.ask(&tcp, "GET /blobs/x", None, "")["status"], 401);
    house.assert_serves_all();
}

/// A careless `chmod` gives away the way to the sockets, not what is behind them.
#[test]
fn behind_loosened_permissions_the_uid_still_counts() {
    let Some(mut nobody) = nobody(None) else { return };
    let house = open_house("");
    let (owners, components) = (house.daemon.socket(), house.component_path());
    for socket in [&owners, &components] {
        set_mode(socket.parent().unwrap(), 0o755);
        set_mode(socket, 0o666);
    }
    let (owner_token, alice_token) = (house.token(), house.component_token(ALICE));
    let owners = Place::Unix(&owners);
    for token in [None, Some(owner_token.as_str()), Some(alice_token.as_str()), Some("x")] {
        assert_answer(nobody.call(&owners, token, WHOAMI, "{}"), 401, "unauthorized");
    }
    let components = Place::Unix(&components);
    for token in [None, Some("x")] {
        assert_answer(nobody.call(&components, token, WHOAMI, "{}"), 401, "unauthorized");
    }
    let (status, told) = nobody.call(&components, Some(&alice_token), WHOAMI, "{}").unwrap();
    assert_eq!((status, &told["result"]["componentId"]), (200, &json!(ALICE)), "{told}");
    assert_eq!(told["result"]["caller"], "component");
    let set = nobody.call(&components, Some(&alice_token), "preferences.set", r#"["k", 1]"#);
    assert_answer(set, 200, "forbidden");
    house.assert_untouched();
    house.assert_serves_all();
}

/// `access.socket_group` opens the components' socket to a group, and nothing else.
#[test]
fn the_group_of_the_sockets_reaches_only_the_components() {
    let (Some(mut member), Some(mut other)) = (nobody(Some(GROUP)), nobody(None)) else { return };
    let house = open_house(&format!("[access]\nsocket_group = \"{GROUP}\"\n"));
    let (owners, components) = (house.daemon.socket(), house.component_path());
    let (owners, components) = (Place::Unix(&owners), Place::Unix(&components));
    let alice = house.component_token(ALICE);
    assert_answer(member.call(&components, None, WHOAMI, "{}"), 401, "unauthorized");
    let (status, told) = member.call(&components, Some(&alice), WHOAMI, "{}").unwrap();
    assert_eq!((status, &told["result"]["componentId"]), (200, &json!(ALICE)), "{told}");
    for token in [None, Some(house.token())] {
        let reached = member.call(&owners, token.as_deref(), WHOAMI, "{}");
        assert_eq!(reached.unwrap_err(), "EACCES");
    }
    for path in [house.daemon.root().join("run/token"), house.daemon.root().join("osnova.db")] {
        member.assert_refused(json!({ "try": "read", "path": path }), &["EACCES"]);
    }
    // The group may reach the socket, not replace it.
    let folder = house.component_path().parent().unwrap().to_owned();
    assert_eq!(fs::metadata(&folder).unwrap().permissions().mode() & 0o777, 0o750);
    assert_eq!(other.call(&components, Some(&alice), WHOAMI, "{}").unwrap_err(), "EACCES");
    house.assert_serves_all();
}
