//! The bar of a long transfer or of a job, on standard error, for a person only.

use std::io::{self, IsTerminal};
use std::sync::Arc;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use osnova_storage_client::Progress;
use osnova_storage_client::api::jobs::Job;

/// Shorter transfers are over before a bar could be read.
const MIN_BYTES: u64 = 8 << 20;
/// How often the bar is drawn in a second.
const DRAWS_PER_SECOND: u8 = 5;

/// A bar, or none. It vanishes when it is dropped.
pub(super) struct Bar(Option<ProgressBar>);

impl Bar {
    /// A bar for a transfer of so many bytes, where that is known.
    pub(super) fn new(length: Option<u64>) -> Self {
        let long = length.is_none_or(|bytes| bytes >= MIN_BYTES);
        if !long || !io::stderr().is_terminal() {
            return Self(None);
        }
        let target = ProgressDrawTarget::stderr_with_hz(DRAWS_PER_SECOND);
        let bar = ProgressBar::with_draw_target(length, target);
        let template = match length {
            Some(_) => "{bar:30} {bytes} of {total_bytes}, {bytes_per_sec}, {eta} left",
            None => "{spinner} {bytes}, {bytes_per_sec}",
        };
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        Self(Some(bar))
    }

    /// What to hand to the transfer.
    pub(super) fn progress(&self) -> Option<Arc<dyn Progress>> {
        let bar = self.0.clone()?;
        Some(Arc::new(move |bytes: u64| bar.set_position(bytes)))
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        if let Some(bar) = &self.0 {
            bar.finish_and_clear();
        }
    }
}

/// The bar of a job that is waited for, or none. It vanishes when it is dropped.
pub(super) struct JobBar(Option<ProgressBar>);

impl JobBar {
    pub(super) fn new() -> Self {
        if !io::stderr().is_terminal() {
            return Self(None);
        }
        let target = ProgressDrawTarget::stderr_with_hz(DRAWS_PER_SECOND);
        Self(Some(ProgressBar::with_draw_target(None, target)))
    }

    /// Shows the job as it is.
    pub(super) fn show(&mut self, job: &Job) {
        let Some(bar) = &self.0 else { return };
        let total = job.total.map(|total| total.0);
        // How much there is may become known only later.
        if bar.length() != total || bar.position() == 0 {
            if let Ok(style) = ProgressStyle::with_template(job_template(total)) {
                bar.set_style(style);
            }
            if let Some(total) = total {
                bar.set_length(total);
            }
            bar.set_message(job.job_id.to_string());
            bar.set_prefix(job.unit.clone());
        }
        bar.set_position(job.done.0);
        bar.tick();
    }
}

/// What is shown of a job. Of one whose end nobody knows it would say nothing how many of its units are
/// done, and where it can't count them either it would stand at 0.
fn job_template(total: Option<u64>) -> &'static str {
    match total {
        Some(_) => "{msg} {bar:30} {percent} %, {pos} of {len} {prefix}, {eta} left",
        None => "{msg} {spinner} {elapsed}",
    }
}

impl Drop for JobBar {
    fn drop(&mut self) {
        if let Some(bar) = &self.0 {
            bar.finish_and_clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An integrity check can't say how far it is, and stood at "0 steps" to its end.
    #[test]
    fn units_are_counted_only_where_their_number_is_known() {
        let counts = |total| job_template(total).contains("{pos}");
        assert!(counts(Some(7)) && job_template(Some(7)).contains("{percent}"));
        assert!(!counts(None) && job_template(None).contains("{spinner}"));
    }
}
