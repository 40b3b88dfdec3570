//! Imports npm packages as components, applications and messages, with a history of transactions, and
//! verifies that all comes back as it was given.
//!
//! `import_npm import DIR` and `import_npm verify DIR`, where DIR holds `index.json`:
//! `[{name, version, tarball, manifest, readme?, notices?}]`, the file names relative to DIR. The data
//! root must hold no transactions of others: the sums are compared as a whole. The endpoint and the token
//! come from the environment, as for every client. The exit code is 1 where anything differs.
//!
//! A package becomes the component of its npm name; where the index has several versions of a name,
//! the greatest does, and the others are `name@version`, so that a dependency finds one of them. Each
//! package that its name finds is an application too, made of itself and of what it depends on, with its
//! readme as a blob; the first of them have a channel, on which their change log and license hang.

mod import;
mod index;
mod records;
mod verify;
mod verify_records;

use std::error::Error;
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use osnova_storage_client::Client;

/// So many packages are on their way at a time.
const CONCURRENCY: usize = 16;

type AnyError = Box<dyn Error + Send + Sync>;

/// What a run adds up.
#[derive(Default)]
struct Totals {
    packages: AtomicU64,
    bytes: AtomicU64,
    mismatches: AtomicU64,
}

impl Totals {
    #[allow(clippy::print_stderr)]
    fn mismatch(&self, package: &str, what: &str) {
        self.mismatches.fetch_add(1, Ordering::Relaxed);
        eprintln!("{package}: {what}");
    }

    fn package(&self, bytes: u64) {
        self.packages.fetch_add(1, Ordering::Relaxed);
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }
}

#[tokio::main]
#[allow(clippy::print_stderr, clippy::print_stdout)]
async fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [action, directory] = arguments.as_slice() else {
        eprintln!("usage: import_npm import|verify DIR");
        return ExitCode::from(2);
    };
    let totals = Totals::default();
    let began = Instant::now();
    let outcome = match action.as_str() {
        "import" => run_import(directory, &totals).await,
        "verify" => run_verify(directory, &totals).await,
        _ => Err(format!("{action} is neither import nor verify").into()),
    };
    let seconds = began.elapsed().as_secs_f64();
    let mismatches = totals.mismatches.load(Ordering::Relaxed);
    println!(
        "{action}: {} packages, {} bytes, {seconds:.2} seconds, {mismatches} mismatches",
        totals.packages.load(Ordering::Relaxed),
        totals.bytes.load(Ordering::Relaxed),
    );
    match outcome {
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
        Ok(()) if mismatches > 0 => ExitCode::FAILURE,
        Ok(()) => ExitCode::SUCCESS,
    }
}

async fn run_import(directory: &str, totals: &Totals) -> Result<(), AnyError> {
    let packages = index::read(directory.as_ref())?;
    import::all(&Client::from_env()?, &packages, totals).await
}

async fn run_verify(directory: &str, totals: &Totals) -> Result<(), AnyError> {
    let packages = index::read(directory.as_ref())?;
    let client = Client::from_env()?;
    verify::all(&client, &packages, totals).await?;
    verify_records::all(&client, &packages, totals).await
}
