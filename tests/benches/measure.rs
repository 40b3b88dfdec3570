//! What was measured, as numbers: samples of how long calls took, and the summary that the table
//! shows. It owns no clock and knows nothing of what was called.

use std::time::Duration;

/// The times that calls took, gathered while they run and sorted only once, at the end.
#[derive(Default)]
pub(crate) struct Samples {
    nanos: Vec<u32>,
}

impl Samples {
    /// Adds one call. A call of more than 4.29 s counts as one of 4.29 s.
    pub(crate) fn add(&mut self, took: Duration) {
        self.nanos.push(u32::try_from(took.as_nanos()).unwrap_or(u32::MAX));
    }

    pub(crate) fn append(&mut self, mut other: Self) {
        self.nanos.append(&mut other.nanos);
    }

    /// The summary of these calls, made in `seconds`.
    pub(crate) fn summary(mut self, seconds: f64) -> Summary {
        self.nanos.sort_unstable();
        Summary {
            calls: self.nanos.len(),
            per_second: self.nanos.len() as f64 / seconds,
            p50_ms: self.percentile_ms(50),
            p95_ms: self.percentile_ms(95),
            p99_ms: self.percentile_ms(99),
        }
    }

    fn percentile_ms(&self, percent: usize) -> f64 {
        if self.nanos.is_empty() {
            return f64::NAN;
        }
        let rank = (self.nanos.len() * percent).div_ceil(100).max(1) - 1;
        f64::from(self.nanos[rank]) / 1e6
    }
}

/// One measurement.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Summary {
    pub(crate) calls: usize,
    pub(crate) per_second: f64,
    pub(crate) p50_ms: f64,
    pub(crate) p95_ms: f64,
    pub(crate) p99_ms: f64,
}

impl Summary {
    /// The percentiles, as they stand in the last column of the table.
    pub(crate) fn percentiles(&self) -> String {
        let [p50, p95, p99] = [self.p50_ms, self.p95_ms, self.p99_ms].map(short);
        format!("p50 {p50} p95 {p95} p99 {p99} ms")
    }
}

/// Milliseconds with as many digits as mean something.
pub(crate) fn short(millis: f64) -> String {
    if millis < 1.0 {
        format!("{millis:.3}")
    } else if millis < 10.0 {
        format!("{millis:.2}")
    } else {
        format!("{millis:.1}")
    }
}

/// Measures two things in turns, `rounds` times each, so that what disturbs the machine for a
/// while disturbs both; the medians of what each of them gave.
pub(crate) fn in_turns(
    rounds: usize,
    mut ours: impl FnMut() -> Result<f64, String>,
    mut other: impl FnMut() -> Result<f64, String>,
) -> Result<(f64, f64), String> {
    let (mut measured, mut against) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        measured.push(ours()?);
        against.push(other()?);
    }
    Ok((median(measured), median(against)))
}

/// The middle one of a few repeated measurements, so that one disturbed round does not decide.
pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    match values.len() {
        0 => f64::NAN,
        n if n % 2 == 1 => values[n / 2],
        n => f64::midpoint(values[n / 2 - 1], values[n / 2]),
    }
}
