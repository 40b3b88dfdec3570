//! The project's benchmark: one command, one table.
//!
//! `cargo bench -p osnova-storage-server --bench table [-- [--quick] [--json] [--list] [--dir DIR] [NAME...]]`
//!
//! Each target of the design is a row, measured against a limit of the machine or a peer in the
//! same run. Every write below is answered only after it was synced, ours and the peers'. A floor
//! that is missed, or a row that failed, makes the exit status 1; aims are only reported. Names
//! choose groups of rows; a few that take long are measured only where they are named. Everything runs on Unix sockets, in temporary directories that are
//! removed, under `--dir` (it must lie on a real disk: what tmpfs syncs costs nothing and proves
//! nothing).
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a command line program")]
#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "figures for people to read, all far from the limits of their types"
)]

mod backup;
mod bench;
mod client;
mod daemon;
mod framing;
mod limits;
mod load;
mod measure;
mod postgres;
mod process;
mod records;
mod redis;
mod rows;
mod table;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use bench::Bench;
use table::Table;

const USAGE: &str = "usage: table [--quick] [--json] [--list] [--dir DIR] [NAME...]";

/// What the command line asks for.
#[derive(Default)]
struct Arguments {
    quick: bool,
    json: bool,
    list: bool,
    /// `cargo bench` says this, and a test run over all targets does not.
    bench: bool,
    directory: Option<PathBuf>,
    names: Vec<String>,
}

fn main() -> ExitCode {
    let arguments = match parse(std::env::args().skip(1)) {
        Ok(arguments) => arguments,
        Err(why) => {
            eprintln!("{why}\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    if arguments.list {
        for group in rows::GROUPS {
            println!("{:<12} {}", group.name, group.about);
        }
        return ExitCode::SUCCESS;
    }
    if !arguments.bench {
        println!("left out: use cargo bench, or --bench where this is started by hand");
        return ExitCode::SUCCESS;
    }
    let bench = match Bench::new(arguments.directory, arguments.quick) {
        Ok(bench) => bench,
        Err(why) => {
            eprintln!("{why}");
            return ExitCode::from(2);
        }
    };
    let table = measure(&bench, &arguments.names);
    if arguments.json {
        println!("{:#}", table.json());
    } else {
        println!("{}\n\n{}", bench.title(), table.text());
    }
    if table.holds() {
        ExitCode::SUCCESS
    } else {
        eprintln!("a floor was missed, or a row failed");
        ExitCode::FAILURE
    }
}

/// Measures the groups that `names` chooses, or all.
fn measure(bench: &Bench, names: &[String]) -> Table {
    let mut table = Table::default();
    for group in rows::GROUPS {
        let asked_for = names.iter().any(|name| name == group.name);
        let chosen = asked_for || names.is_empty() && !group.only_by_name;
        if !chosen {
            continue;
        }
        let begin = Instant::now();
        eprintln!("{} ...", group.name);
        table.begin(group.name);
        if let Err(why) = (group.measure)(bench, &mut table) {
            table.failed(group.about, why);
        }
        eprintln!("{:.1} s", begin.elapsed().as_secs_f64());
    }
    table
}

fn parse(words: impl Iterator<Item = String>) -> Result<Arguments, String> {
    let mut arguments = Arguments::default();
    let mut words = words;
    while let Some(word) = words.next() {
        match word.as_str() {
            "--quick" => arguments.quick = true,
            "--json" => arguments.json = true,
            "--list" => arguments.list = true,
            "--bench" => arguments.bench = true,
            "--dir" => {
                let directory = words.next().ok_or("--dir needs a directory")?;
                arguments.directory = Some(PathBuf::from(directory));
            }
            name if rows::GROUPS.iter().any(|group| group.name == name) => {
                arguments.names.push(word);
            }
            _ => return Err(format!("neither an option nor a group of rows: {word}")),
        }
    }
    Ok(arguments)
}
