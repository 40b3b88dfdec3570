//! A real daemon for tests: started on a data root of its own, called over its real socket, killed or
//! stopped. The client here is a few lines of HTTP over a Unix socket, so that tests see exactly what
//! goes over the wire and do not depend on the client crate.
#![allow(
    dead_code,
    unreachable_pub,
    reason = "each test binary includes it, and uses a part of it"
)]
#![allow(clippy::needless_pass_by_value, reason = "`json!` makes params where they are passed")]

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// The phrase of the test vectors; its master key in hexadecimal is [`MASTER_KEY`].
pub const PHRASE: &str =
    "abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon about";
/// The master key of [`PHRASE`].
pub const MASTER_KEY: &str = "4fb05a6ea25cdb612d596e34e1f9361e5b489fea083aa450aa111447971f97b9";

/// Waits longer than this fail the test: something hangs.
const PATIENCE: Duration = Duration::from_secs(60);

/// How a daemon is started.
pub struct Options {
    /// Hand over the key in a key file.
    pub key: Option<String>,
    /// Flags after those of the fixture.
    pub flags: Vec<String>,
    /// The configuration file's text.
    pub config: String,
    /// Environment beside an otherwise empty one.
    pub env: Vec<(String, String)>,
    /// Listen for components too, on a socket beside the owner's.
    pub component_socket: bool,
    /// Listen on TCP too, on a free port of localhost.
    pub tcp: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            key: Some(MASTER_KEY.to_owned()),
            flags: Vec::new(),
            config: String::new(),
            env: Vec::new(),
            component_socket: false,
            tcp: false,
        }
    }
}

impl Options {
    /// A daemon with every kind of listener.
    pub fn with_every_listener() -> Self {
        Self { component_socket: true, tcp: true, ..Self::default() }
    }

    /// The flags for what is listened on beside the owner's socket.
    fn further_endpoints(&self, folder: &Path) -> Vec<String> {
        let component = format!("component:{}", component_socket(folder).display());
        let further =
            [(self.component_socket, component), (self.tcp, "tcp:127.0.0.1:0".to_owned())];
        let asked = further.into_iter().filter(|(asked, _)| *asked);
        asked.flat_map(|(_, endpoint)| ["--listen".to_owned(), endpoint]).collect()
    }
}

fn component_socket(folder: &Path) -> PathBuf {
    folder.join("s").join("component.sock")
}

/// A running daemon with a data root of its own.
pub struct Daemon {
    child: Child,
    folder: tempfile::TempDir,
    endpoints: Vec<String>,
}

/// What a daemon that did not start left behind.
#[derive(Debug)]
pub struct Refused {
    /// Its exit code.
    pub code: Option<i32>,
    /// What it wrote to stderr.
    pub stderr: String,
}

impl Daemon {
    /// Starts the daemon with its key on an empty root, and waits until it is ready.
    pub fn start() -> Self {
        Self::start_with(&Options::default())
    }

    /// Starts the daemon on an empty root.
    pub fn start_with(options: &Options) -> Self {
        let folder = tempfile::Builder::new().prefix("osnova-test").tempdir().unwrap();
        Self::start_in(folder, options).unwrap_or_else(|refused| panic!("{refused:?}"))
    }

    /// Starts the daemon in a folder whose `root/` may exist already.
    pub fn start_in(folder: tempfile::TempDir, options: &Options) -> Result<Self, Refused> {
        let command = Self::command(folder.path(), options);
        Self::start_command(folder, command)
    }

    /// Starts the daemon by a command made of [`Self::command`], and waits until it is ready.
    pub fn start_command(folder: tempfile::TempDir, mut command: Command) -> Result<Self, Refused> {
        let mut child = command.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        if line.is_empty() {
            let code = child.wait().unwrap().code();
            let stderr = fs::read_to_string(folder.path().join("stderr")).unwrap();
            return Err(Refused { code, stderr });
        }
        let ready: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(ready["event"], "ready");
        assert_eq!(ready["pid"], child.id());
        let endpoints = ready["endpoints"].as_array().unwrap();
        let endpoints =
            endpoints.iter().map(|endpoint| endpoint.as_str().unwrap().to_owned()).collect();
        Ok(Self { child, folder, endpoints })
    }

    /// The command that starts the daemon in this folder; stderr goes to the file `stderr` in it.
    pub fn command(folder: &Path, options: &Options) -> Command {
        let root = folder.join("root");
        let socket = folder.join("s").join("storage.sock");
        fs::write(folder.join("config.toml"), &options.config).unwrap();
        let stderr =
            fs::OpenOptions::new().create(true).append(true).open(folder.join("stderr")).unwrap();
        let mut command = Command::new(daemon_binary());
        command
            .env_clear()
            .env("HOME", folder)
            .envs(options.env.iter().map(|(name, value)| (name, value)))
            .arg("--data-root")
            .arg(root)
            .arg("--config")
            .arg(folder.join("config.toml"))
            .args(["--listen".to_owned(), format!("unix:{}", socket.display())])
            .args(options.further_endpoints(folder))
            .args(&options.flags)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(stderr);
        if let Some(key) = &options.key {
            let path = folder.join("key");
            fs::write(&path, key).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
            command.arg("--key-file").arg(path);
        }
        command
    }

    /// The folder that holds the root, the socket, the key and stderr.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The data root.
    pub fn root(&self) -> PathBuf {
        self.folder.path().join("root")
    }

    /// The Unix socket.
    pub fn socket(&self) -> PathBuf {
        self.folder.path().join("s").join("storage.sock")
    }

    /// The socket for components, where the daemon was started with one.
    pub fn component_socket(&self) -> PathBuf {
        component_socket(self.folder.path())
    }

    /// The address of the TCP listener, where the daemon was started with one.
    pub fn tcp_address(&self) -> &str {
        let mut endpoints = self.endpoints.iter();
        endpoints.find_map(|endpoint| endpoint.strip_prefix("http://")).expect("no TCP endpoint")
    }

    /// The owner's token, as its file has it now.
    pub fn owner_token(&self) -> String {
        fs::read_to_string(self.root().join("run/token")).unwrap().trim().to_owned()
    }

    /// The endpoints of the ready line.
    pub fn endpoints(&self) -> &[String] {
        &self.endpoints
    }

    /// The process's id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What the daemon has logged so far.
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("stderr")).unwrap()
    }

    /// Connects to the Unix socket.
    pub fn connect(&self) -> UnixStream {
        connect(&self.socket())
    }

    /// Calls a method by name; the error object where it fails.
    pub fn call(&self, method: &str, params: Value) -> Result<Value, Value> {
        let request = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
        let mut answer: Value = serde_json::from_str(&self.post(&request.to_string())).unwrap();
        assert_eq!(answer["jsonrpc"], "2.0");
        assert_eq!(answer["id"], 1);
        match answer.get("error") {
            Some(error) => Err(error.clone()),
            None => Ok(answer["result"].take()),
        }
    }

    /// Calls a method that must succeed.
    pub fn ok(&self, method: &str, params: Value) -> Value {
        self.call(method, params).unwrap_or_else(|error| panic!("{method}: {error}"))
    }

    /// Calls a method that must fail with this code; the error's `data`.
    pub fn fails(&self, code: &str, method: &str, params: Value) -> Value {
        let error = self.call(method, params).expect_err("the call succeeded");
        assert_eq!(error["data"]["code"], code, "{method}: {error}");
        error["data"].clone()
    }

    /// Posts a JSON-RPC body and returns the answer's body.
    pub fn post(&self, body: &str) -> String {
        let head = format!(
            "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {}\r\n",
            body.len()
        );
        String::from_utf8(self.http(&head, body.as_bytes()).body).unwrap()
    }

    /// Sends one HTTP request (head without its last empty line) on a connection of its own.
    pub fn http(&self, head: &str, body: &[u8]) -> HttpAnswer {
        exchange(&mut self.connect(), head, body)
    }

    /// Kills the daemon as a crash would, and returns its folder.
    pub fn kill(mut self) -> tempfile::TempDir {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        self.into_folder()
    }

    /// Sends SIGTERM and waits for the end.
    pub fn stop(mut self) -> (ExitStatus, tempfile::TempDir) {
        self.signal(rustix::process::Signal::TERM);
        let status = self.wait();
        (status, self.into_folder())
    }

    /// Sends a signal.
    pub fn signal(&self, signal: rustix::process::Signal) {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, signal).unwrap();
    }

    /// Closes the daemon's stdin, where its command had made it a pipe.
    pub fn close_stdin(&mut self) {
        drop(self.child.stdin.take());
    }

    /// Waits until the daemon has ended by itself.
    pub fn wait(&mut self) -> ExitStatus {
        let deadline = Instant::now() + PATIENCE;
        wait_until("the daemon to end", || {
            assert!(Instant::now() < deadline);
            self.child.try_wait().unwrap()
        })
    }

    fn into_folder(mut self) -> tempfile::TempDir {
        let empty = tempfile::TempDir::new().unwrap();
        std::mem::replace(&mut self.folder, empty)
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // Only ever this test's own child; one that has ended already is not an error.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("the daemon's log:\n{}", self.log());
        }
    }
}

/// An HTTP answer.
#[derive(Debug)]
pub struct HttpAnswer {
    /// The status code.
    pub status: u16,
    /// The headers, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body; shorter than its `Content-Length` where the connection broke.
    pub body: Vec<u8>,
}

impl HttpAnswer {
    /// The value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

/// Connects to a socket.
pub fn connect(socket: &Path) -> UnixStream {
    let stream = UnixStream::connect(socket).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// Sends one request on an open connection and reads its answer. `HEAD` answers have no body.
pub fn exchange<S: Read + Write>(stream: &mut S, head: &str, body: &[u8]) -> HttpAnswer {
    stream.write_all(format!("{head}\r\n").as_bytes()).unwrap();
    // A daemon that refuses a request early may close before it has read all of it.
    let _ = stream.write_all(body);
    read_answer(stream, !head.starts_with("HEAD "))
}

/// Reads the answer to a request that was sent.
pub fn read_answer<S: Read>(stream: &mut S, has_body: bool) -> HttpAnswer {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line).unwrap();
    let status = line.split(' ').nth(1).unwrap_or_else(|| panic!("{line:?}")).parse().unwrap();
    let mut headers = Vec::new();
    loop {
        line.clear();
        reader.read_line(&mut line).unwrap();
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    let length = headers.iter().find(|(name, _)| name == "content-length");
    let length = length.map_or(0, |(_, value)| value.parse().unwrap());
    let mut body = Vec::new();
    if has_body {
        let _ = reader.take(length).read_to_end(&mut body);
    }
    HttpAnswer { status, headers, body }
}

/// Asks again and again until there is an answer; fails the test when there is none for too long.
pub fn wait_until<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(Instant::now() < deadline, "waited in vain for {what}");
        std::thread::yield_now();
        std::thread::park_timeout(Duration::from_millis(5));
    }
}

/// The daemon that was built with the tests.
pub fn daemon_binary() -> PathBuf {
    match option_env!("CARGO_BIN_EXE_osnova-storaged") {
        Some(path) => path.into(),
        // Tests of other crates find it beside themselves: the workspace's tests build it first.
        None => {
            std::env::current_exe().unwrap().ancestors().nth(2).unwrap().join("osnova-storaged")
        }
    }
}
