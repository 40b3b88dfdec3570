//! PostgreSQL as a peer: a cluster of its own in a temporary directory, on a Unix socket only,
//! with the defaults (fsync on) but for the number of connections; the same records by the same
//! text key; measured by its own pgbench with prepared statements. Absent binaries leave its rows
//! out.

use std::fs;
use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::Signal;
use tempfile::TempDir;

use crate::process;
use crate::records::{FIRST_NUMBER, ID_PREFIX, RECORDS, component_id, manifest};

const READY_LIMIT: Duration = Duration::from_secs(30);
const STOP_LIMIT: Duration = Duration::from_secs(20);
/// No command takes so long, on any machine, unless it hangs.
const COMMAND_LIMIT: Duration = Duration::from_secs(120);
/// Where distributions keep the server's programs out of the search path.
const LIBRARY: &str = "/usr/lib/postgresql";
/// PostgreSQL refuses to run as root; one of these takes its place.
const USERS: [&str; 2] = ["postgres", "nobody"];
/// Values stay in their row uncompressed: the cheapest way for PostgreSQL to read and write them.
const TABLE: &str =
    "CREATE TABLE records(id text PRIMARY KEY, body text NOT NULL, updated_at bigint NOT NULL);
ALTER TABLE records ALTER body SET STORAGE PLAIN;
COPY records FROM STDIN;
";

/// What pgbench does over and over.
#[derive(Clone, Copy)]
pub(crate) enum Script {
    /// Reads one record by its key.
    Read,
    /// Updates one record, durably.
    Update,
}

/// What pgbench reports.
pub(crate) struct Report {
    pub(crate) per_second: f64,
    pub(crate) latency_ms: f64,
}

/// A running cluster.
pub(crate) struct Postgres {
    directory: TempDir,
    programs: PathBuf,
    user: Option<(u32, u32)>,
    server: Child,
    /// Its name and version, for the table.
    pub(crate) version: String,
}

impl Postgres {
    /// Makes and starts a cluster under `parent`, and loads the records. `Err` says why not.
    pub(crate) fn start(parent: &Path) -> Result<Self, String> {
        let programs = find_programs().ok_or("PostgreSQL not found")?;
        let user = if rustix::process::geteuid().is_root() {
            Some(find_user().ok_or("PostgreSQL does not run as root, and no other user is there")?)
        } else {
            None
        };
        let directory =
            tempfile::Builder::new().prefix("osnova-bench-pg-").tempdir_in(parent).map_err(text)?;
        if let Some((uid, gid)) = user {
            std::os::unix::fs::chown(directory.path(), Some(uid), Some(gid)).map_err(text)?;
        }
        let tool = |name: &str| command(&programs, name, user, directory.path());
        let data = directory.path().join("data");
        let mut initdb = tool("initdb");
        initdb
            .args(["--no-sync", "-A", "trust", "-U", "bench", "-E", "UTF8"])
            .args(["--locale=C", "-D"])
            .arg(&data);
        output(&mut initdb, "")?;
        let version = output(tool("postgres").arg("--version"), "")?;
        let version = version.split_whitespace().nth(2).unwrap_or("?").to_owned();
        let log = fs::File::create(directory.path().join("log")).map_err(text)?;
        let server = tool("postgres")
            .arg("-D")
            .arg(&data)
            .arg("-k")
            .arg(directory.path())
            .args(["-c", "listen_addresses=", "-c", "max_connections=300"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .map_err(text)?;
        let mut postgres =
            Self { directory, programs, user, server, version: format!("PostgreSQL {version}") };
        postgres.wait_until_ready()?;
        postgres.load()?;
        Ok(postgres)
    }

    fn wait_until_ready(&mut self) -> Result<(), String> {
        let deadline = Instant::now() + READY_LIMIT;
        loop {
            let answer = output(&mut self.psql(), "SELECT 1;");
            match answer {
                Ok(_) => return Ok(()),
                Err(why) if Instant::now() > deadline => {
                    return Err(format!("PostgreSQL did not become ready: {why}"));
                }
                Err(_) => std::thread::sleep(Duration::from_millis(50)),
            }
            if let Some(status) = self.server.try_wait().map_err(text)? {
                let log = fs::read_to_string(self.directory.path().join("log"));
                let log = log.unwrap_or_default();
                let last = log.lines().last().unwrap_or_default();
                return Err(format!("PostgreSQL ended: {status}: {last}"));
            }
        }
    }

    fn load(&self) -> Result<(), String> {
        let mut sql = TABLE.to_owned();
        for number in 0..RECORDS {
            let id = component_id(number);
            sql.push_str(&format!("{id}\t{}\t0\n", manifest(number)));
        }
        sql.push_str("\\.\nVACUUM ANALYZE records;\nCHECKPOINT;\n");
        output(&mut self.psql(), &sql)?;
        for (script, sql) in [
            (Script::Read, "SELECT body FROM records"),
            (Script::Update, "UPDATE records SET body = :payload, updated_at = :n"),
        ] {
            let last = FIRST_NUMBER + RECORDS - 1;
            let script_text = format!(
                "\\set n random({FIRST_NUMBER}, {last})\n{sql} WHERE id = '{ID_PREFIX}' || :n;\n"
            );
            fs::write(self.script(script), script_text).map_err(text)?;
        }
        // The first calls of each kind fill the caches.
        self.bench(Script::Read, 4, 1)?;
        self.bench(Script::Update, 4, 1)?;
        Ok(())
    }

    /// Runs a script with `clients` for `seconds`.
    pub(crate) fn bench(
        &self,
        script: Script,
        clients: usize,
        seconds: u64,
    ) -> Result<Report, String> {
        let mut pgbench = self.tool("pgbench");
        pgbench
            .args(["-n", "-M", "prepared", "-c", &clients.to_string()])
            .args(["-j", &clients.min(2).to_string()])
            .args(["-T", &seconds.to_string()])
            .arg("-D")
            .arg(format!("payload={}", manifest(RECORDS)))
            .arg("-f")
            .arg(self.script(script))
            .arg("postgres");
        let report = output(&mut pgbench, "")?;
        let number = |label: &str| {
            report
                .lines()
                .filter_map(|line| line.strip_prefix(label))
                .filter_map(|rest| rest.split_whitespace().next()?.parse::<f64>().ok())
                .next()
                .ok_or_else(|| format!("pgbench did not say its {label}"))
        };
        Ok(Report { per_second: number("tps = ")?, latency_ms: number("latency average = ")? })
    }

    fn script(&self, script: Script) -> PathBuf {
        self.directory.path().join(match script {
            Script::Read => "read.sql",
            Script::Update => "update.sql",
        })
    }

    fn psql(&self) -> Command {
        let mut psql = self.tool("psql");
        psql.args(["-X", "-q", "-v", "ON_ERROR_STOP=1", "-d", "postgres"]);
        psql
    }

    fn tool(&self, name: &str) -> Command {
        let directory = self.directory.path();
        command(&self.programs, name, self.user, directory)
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        // SIGINT is PostgreSQL's fast shutdown: sessions are cut, files are left in order.
        process::end(&mut self.server, Signal::INT, STOP_LIMIT);
    }
}

/// A program of PostgreSQL's, as its user, knowing its socket and nothing of the caller's own
/// settings.
fn command(programs: &Path, name: &str, user: Option<(u32, u32)>, directory: &Path) -> Command {
    let mut command = Command::new(programs.join(name));
    command
        .env_clear()
        .env("PATH", "/usr/bin:/bin")
        .env("LC_ALL", "C")
        .env("PGHOST", directory)
        .env("PGUSER", "bench")
        .current_dir(directory);
    if let Some((uid, gid)) = user {
        command.uid(uid).gid(gid);
    }
    command
}

/// Runs a command to its end with `input`; its output, or what it complained of. None of these
/// commands says more than a pipe holds, so nobody needs to read along.
fn output(command: &mut Command, input: &str) -> Result<String, String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| format!("{name}: {error}"))?;
    let stdin = child.stdin.take();
    let status = std::thread::scope(|scope| {
        // A program that ends before it has read everything says why in its status.
        scope.spawn(move || stdin.map(|mut stdin| stdin.write_all(input.as_bytes())));
        let status = process::wait(&mut child, COMMAND_LIMIT);
        if !matches!(status, Ok(Some(_))) {
            process::end(&mut child, Signal::TERM, STOP_LIMIT);
        }
        status
    })?;
    let output = child.wait_with_output().map_err(text)?;
    match status {
        None => Err(format!("{name} did not end")),
        Some(status) if status.success() => {
            Ok(String::from_utf8_lossy(&output.stdout).into_owned())
        }
        Some(status) => {
            let complaint = String::from_utf8_lossy(&output.stderr);
            let last = complaint.lines().last().unwrap_or_default();
            Err(format!("{name}: {status}: {last}"))
        }
    }
}

/// The newest installed version's programs, or those in the search path.
fn find_programs() -> Option<PathBuf> {
    let has_all = |directory: &PathBuf| {
        ["initdb", "postgres", "pgbench", "psql"].iter().all(|name| directory.join(name).is_file())
    };
    let path = std::env::var_os("PATH").unwrap_or_default();
    let in_path = std::env::split_paths(&path).find(has_all);
    let mut installed: Vec<(u32, PathBuf)> = fs::read_dir(LIBRARY)
        .into_iter()
        .flatten()
        .filter_map(|entry| {
            let entry = entry.ok()?;
            let version = entry.file_name().to_str()?.parse().ok()?;
            Some((version, entry.path().join("bin")))
        })
        .collect();
    installed.sort();
    in_path.or_else(|| installed.into_iter().rev().map(|(_, directory)| directory).find(has_all))
}

/// The user and group id of the first of `USERS` that exists.
fn find_user() -> Option<(u32, u32)> {
    let users = fs::read_to_string("/etc/passwd").ok()?;
    USERS.iter().find_map(|wanted| {
        let line = users.lines().find(|line| line.split(':').next() == Some(wanted))?;
        let mut fields = line.split(':').skip(2);
        Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
    })
}

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}
