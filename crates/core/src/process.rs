//! Processes of this machine: whether one is there, and whether it is still the same.
//!
//! A pid is given again once its process is gone, so it is told apart by the boot and the moment at
//! which the process started (proc_pid_stat(5), field 22). Where the system does not tell, the pid alone
//! counts.

use std::sync::OnceLock;

use rustix::process::{Pid, test_kill_process};

/// What there is under a pid.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Process {
    /// Nothing, or one that has ended and was not waited for.
    Gone,
    /// A process; by what it is told apart from another of the same pid, where the system tells.
    Alive(Option<String>),
}

impl Process {
    /// Looks a pid up.
    pub(crate) fn find(pid: u32) -> Self {
        let Some(id) = i32::try_from(pid).ok().and_then(Pid::from_raw) else {
            return Process::Gone;
        };
        if let Some(stat) = read(&format!("/proc/{pid}/stat")) {
            return Self::from_stat(&stat);
        }
        match test_kill_process(id) {
            Ok(()) | Err(rustix::io::Errno::PERM) => Process::Alive(None),
            Err(_) => Process::Gone,
        }
    }

    fn from_stat(stat: &str) -> Self {
        // The name stands in brackets and may hold anything, brackets too.
        let after_name = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
        let mut fields = after_name.split_ascii_whitespace();
        if matches!(fields.next(), Some("Z" | "X" | "x") | None) {
            return Process::Gone;
        }
        // The state is field 3.
        let started = fields.nth(22 - 4);
        Process::Alive(started.map(|started| format!("{}/{started}", boot())))
    }
}

/// Which boot of the machine this is; empty where the system does not tell.
pub(crate) fn boot() -> &'static str {
    static BOOT: OnceLock<String> = OnceLock::new();
    BOOT.get_or_init(|| {
        read("/proc/sys/kernel/random/boot_id").map_or_else(String::new, |id| id.trim().to_owned())
    })
}

fn read(path: &str) -> Option<String> {
    std::fs::read(path).ok().map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_told_by_when_it_started() {
        let own = Process::find(std::process::id());
        assert_eq!(own, Process::find(std::process::id()));
        assert!(matches!(own, Process::Alive(_)));
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let pid = child.id();
        assert!(matches!(Process::find(pid), Process::Alive(_)));
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(Process::find(pid), Process::Gone);
        assert_eq!(Process::find(0), Process::Gone);
    }

    #[test]
    fn the_line_of_the_kernel_is_read_behind_the_name() {
        let fields = "1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 777 20";
        let told = Process::from_stat(&format!("12 (a) b) S {fields}"));
        assert_eq!(told, Process::Alive(Some(format!("{}/777", boot()))));
        assert_eq!(Process::from_stat(&format!("12 (a) Z {fields}")), Process::Gone);
        assert_eq!(Process::from_stat("nothing"), Process::Gone);
    }
}
