//! `unlock` and `lock`. A secret comes from the terminal, a file or standard input, never from an
//! argument, which every program of the machine could read.

use std::io::{self, IsTerminal};
use std::path::Path;

use osnova_storage_client::api::vault;
use osnova_storage_client::api::wire::Secret;

use super::Session;
use super::ask;
use super::failure::Failure;
use super::input::{self, Source};

/// A phrase of 24 words has less than 220 bytes; the daemon takes as much from its key file.
const MAX_SECRET_BYTES: u64 = 4 << 10;

/// Loads the master key.
pub(super) async fn unlock(session: &Session, file: Option<&Path>) -> Result<(), Failure> {
    let text = match file {
        Some(path) if path != Path::new("-") => {
            input::read_text(Source::File(path.to_owned()), MAX_SECRET_BYTES).await?
        }
        None if io::stdin().is_terminal() => ask_terminal().await?,
        _ => input::read_text(Source::Standard, MAX_SECRET_BYTES).await?,
    };
    let secret = match text.trim() {
        "" => return Err(Failure::usage("no phrase was given")),
        phrase => Secret::new(phrase.to_owned()),
    };
    // Overwritten as far as safe code can, as the secret itself is when it is dropped.
    wipe(text);
    ask::show::<vault::Unlock>(session, vault::UnlockParams { secret }, |status| {
        let key = status.key_id.as_deref().unwrap_or("unknown");
        session.output.line(&format!("unlocked, key {key}"))
    })
    .await
}

/// Wipes the master key.
pub(super) async fn lock(session: &Session) -> Result<(), Failure> {
    ask::show::<vault::Lock>(session, vault::NoParams {}, |_| session.output.line("locked")).await
}

fn wipe(text: String) {
    let mut bytes = text.into_bytes();
    bytes.fill(0);
    std::hint::black_box(&bytes);
}

async fn ask_terminal() -> Result<String, Failure> {
    // A read of the terminal blocks; on a thread of its own, Ctrl-C still ends the program.
    let asked = tokio::task::spawn_blocking(terminal::ask).await;
    asked
        .map_err(io::Error::other)
        .and_then(|answer| answer)
        .map_err(|error| Failure::usage(format!("the terminal: {error}")))
}

#[cfg(unix)]
mod terminal {
    //! Asking on the terminal without showing what is typed.

    use std::fs::File;
    use std::io::{self, BufRead, BufReader, Write};
    use std::os::fd::AsFd;

    use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};

    /// Shows again what is typed when it is dropped.
    struct Hidden<'a> {
        terminal: &'a File,
        before: Termios,
    }

    impl Drop for Hidden<'_> {
        fn drop(&mut self) {
            let _ = tcsetattr(self.terminal, OptionalActions::Flush, &self.before);
        }
    }

    pub(super) fn ask() -> io::Result<String> {
        let terminal = File::options().read(true).write(true).open("/dev/tty")?;
        let before = tcgetattr(terminal.as_fd())?;
        let mut quiet = before.clone();
        // Without signals too: Ctrl-C arrives as a character, and the terminal is put right before
        // the program ends.
        quiet.local_modes.remove(LocalModes::ECHO | LocalModes::ISIG);
        quiet.local_modes.insert(LocalModes::ICANON);
        let mut line = String::new();
        {
            let hidden = Hidden { terminal: &terminal, before };
            tcsetattr(&terminal, OptionalActions::Flush, &quiet)?;
            (&terminal).write_all(b"Phrase: ")?;
            BufReader::new(&terminal).read_line(&mut line)?;
            drop(hidden);
            (&terminal).write_all(b"\n")?;
        }
        if line.contains(['\u{3}', '\u{1c}']) {
            return Err(io::ErrorKind::Interrupted.into());
        }
        Ok(line)
    }
}

#[cfg(not(unix))]
mod terminal {
    //! Where what is typed can't be hidden, it is not asked for.

    pub(super) fn ask() -> std::io::Result<String> {
        Err(std::io::Error::other("use --file"))
    }
}
