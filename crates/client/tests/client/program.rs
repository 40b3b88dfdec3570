//! Running the program, and what it said.

use std::io::Write;
use std::process::{Command, Output, Stdio};

/// Runs the program against an endpoint.
pub(crate) async fn run(endpoint: &str, arguments: &[&str], input: &str) -> Output {
    run_with(&[&["--endpoint", endpoint], arguments].concat(), &[], input).await
}

/// Runs the program with these variables set, and none of its others, on a thread of its own, so that
/// the fake can answer it.
pub(crate) async fn run_with(
    arguments: &[&str],
    variables: &[(&str, &str)],
    input: &str,
) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_osnova-storage"));
    command.env_remove("OSNOVA_STORAGE_ENDPOINT").env_remove("OSNOVA_STORAGE_TOKEN");
    command.args(arguments).envs(variables.iter().copied());
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let input = input.to_owned();
    let run = move || {
        let mut child = command.spawn().unwrap();
        // One that needs no input may be gone already.
        let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
        child.wait_with_output().unwrap()
    };
    tokio::task::spawn_blocking(run).await.unwrap()
}

/// The exit code, standard output and standard error.
pub(crate) fn texts(output: &Output) -> (i32, &str, &str) {
    (
        output.status.code().unwrap(),
        std::str::from_utf8(&output.stdout).unwrap(),
        std::str::from_utf8(&output.stderr).unwrap(),
    )
}
