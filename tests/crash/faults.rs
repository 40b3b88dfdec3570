//! System calls that fail on command: `failsync.c`, compiled here and loaded into the daemon.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use crate::support::{Daemon, Options};

/// The shim's switches for one daemon.
pub(crate) struct Faults {
    folder: tempfile::TempDir,
}

impl Faults {
    /// Compiles the shim; `None`, said by name, where there is no C compiler.
    pub(crate) fn prepare(test: &str) -> Option<Self> {
        let compiler = Command::new("cc").arg("--version").stdout(Stdio::null()).status();
        if !compiler.is_ok_and(|status| status.success()) {
            eprintln!("SKIPPED {test}: there is no C compiler (cc) to build the shim with");
            return None;
        }
        let folder = tempfile::tempdir().unwrap();
        let faults = Self { folder };
        let source = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/crash/failsync.c");
        let built = Command::new("cc")
            .args(["-shared", "-fPIC", "-O1", "-Wall", "-Wextra", "-Werror", "-o"])
            .arg(faults.library())
            .arg(source)
            .status();
        assert!(built.unwrap().success(), "the shim does not compile");
        Some(faults)
    }

    /// Starts a daemon with the shim on an empty root.
    pub(crate) fn start(&self) -> Daemon {
        Daemon::start_with(&self.options())
    }

    fn options(&self) -> Options {
        let env = vec![
            ("LD_PRELOAD".to_owned(), self.library().to_str().unwrap().to_owned()),
            ("FAILSYNC_RULES".to_owned(), self.rules().to_str().unwrap().to_owned()),
        ];
        Options { env, ..Options::default() }
    }

    /// From now on these calls fail: `<call> <pattern of the path> <fault>`.
    pub(crate) fn set(&self, rules: &[&str]) {
        // Given its name when it is whole: the daemon reads it at any moment.
        let new = self.folder.path().join("new");
        fs::write(&new, rules.join("\n")).unwrap();
        fs::rename(&new, self.rules()).unwrap();
    }

    /// From now on nothing fails.
    pub(crate) fn clear(&self) {
        fs::remove_file(self.rules()).unwrap();
    }

    fn library(&self) -> PathBuf {
        self.folder.path().join("failsync.so")
    }

    fn rules(&self) -> PathBuf {
        self.folder.path().join("rules")
    }
}
