//! Writes `openrpc/openrpc.json` and `openrpc/openrpc.flat.json`, or with `--check` says whether they
//! are what the code generates.
#![allow(clippy::print_stderr, reason = "a command for developers")]

use std::path::Path;
use std::process::ExitCode;

use osnova_storage_api::openrpc::{Naming, document_text};

fn main() -> ExitCode {
    let check = std::env::args().any(|argument| argument == "--check");
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../openrpc");
    let mut result = ExitCode::SUCCESS;
    for (name, naming) in [("openrpc.json", Naming::Dotted), ("openrpc.flat.json", Naming::Flat)] {
        let path = folder.join(name);
        let text = document_text(naming);
        let same = std::fs::read_to_string(&path).is_ok_and(|known| known == text);
        if check && !same {
            eprintln!(
                "{} is not what the code generates: run this without --check",
                path.display()
            );
            result = ExitCode::FAILURE;
        } else if !same && let Err(error) = std::fs::write(&path, text) {
            eprintln!("{}: {error}", path.display());
            result = ExitCode::FAILURE;
        }
    }
    result
}
