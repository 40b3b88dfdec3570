//! The one table: what was measured, what it is compared with, how far the aim and the floor of
//! the design are kept. It decides the verdicts and knows nothing of how anything was measured.

use std::fmt::Write as _;

use serde_json::{Value, json};

/// A figure with its unit.
#[derive(Clone, Copy)]
pub(crate) enum Figure {
    PerSecond(f64),
    Millis(f64),
    Seconds(f64),
    Mebibytes(f64),
    Megabytes(f64),
    Bytes(f64),
}

impl Figure {
    fn value(self) -> f64 {
        match self {
            Self::PerSecond(value)
            | Self::Millis(value)
            | Self::Seconds(value)
            | Self::Mebibytes(value)
            | Self::Megabytes(value)
            | Self::Bytes(value) => value,
        }
    }

    fn unit(self) -> &'static str {
        match self {
            Self::PerSecond(_) => "/s",
            Self::Millis(_) => "ms",
            Self::Seconds(_) => "s",
            Self::Mebibytes(_) => "MiB",
            Self::Megabytes(_) => "MB",
            Self::Bytes(_) => "B",
        }
    }

    fn text(self) -> String {
        let (value, unit) = (self.value(), self.unit());
        match self {
            Self::PerSecond(_) if value >= 10_000.0 => format!("{:.1}k/s", value / 1000.0),
            Self::PerSecond(_) => format!("{value:.0}/s"),
            Self::Millis(_) if value < 10.0 => format!("{value:.3} {unit}"),
            Self::Seconds(_) => format!("{value:.2} {unit}"),
            Self::Bytes(_) => format!("{value:.0} {unit}"),
            _ => format!("{value:.1} {unit}"),
        }
    }
}

/// What a figure must or should keep to.
#[derive(Clone, Copy)]
pub(crate) enum Bound {
    /// At least so many times what it is compared with.
    RatioAtLeast(f64),
    /// At most so many times what it is compared with.
    RatioAtMost(f64),
    /// At most so many times what it is compared with, and so much more.
    RatioAtMostPlus(f64, f64),
    /// Less than so much, in the figure's own unit.
    Below(f64),
}

impl Bound {
    /// Whether `row` keeps to it. Figures that are no numbers keep to nothing.
    fn holds(self, row: &Row) -> bool {
        let measured = row.measured.value();
        let other = row.against.as_ref().map(|(_, other)| other.value());
        let other = other.unwrap_or(f64::NAN);
        match self {
            Self::RatioAtLeast(times) => measured >= times * other,
            Self::RatioAtMost(times) => measured <= times * other,
            Self::RatioAtMostPlus(times, more) => measured <= times * other + more,
            Self::Below(limit) => measured < limit,
        }
    }

    fn text(self, unit: &str) -> String {
        match self {
            Self::RatioAtLeast(times) => format!(">= {times}x"),
            Self::RatioAtMost(times) => format!("<= {times}x"),
            Self::RatioAtMostPlus(times, more) => format!("<= {times}x + {more} {unit}"),
            Self::Below(limit) => format!("< {limit} {unit}"),
        }
    }
}

/// One measured row.
pub(crate) struct Row {
    what: String,
    measured: Figure,
    against: Option<(String, Figure)>,
    aim: Option<Bound>,
    floor: Option<Bound>,
    detail: String,
}

impl Row {
    pub(crate) fn new(what: impl Into<String>, measured: Figure) -> Self {
        Self {
            what: what.into(),
            measured,
            against: None,
            aim: None,
            floor: None,
            detail: String::new(),
        }
    }

    pub(crate) fn against(mut self, what: impl Into<String>, other: Figure) -> Self {
        self.against = Some((what.into(), other));
        self
    }

    pub(crate) fn aim(mut self, aim: Bound) -> Self {
        self.aim = Some(aim);
        self
    }

    pub(crate) fn floor(mut self, floor: Bound) -> Self {
        self.floor = Some(floor);
        self
    }

    pub(crate) fn detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = detail.into();
        self
    }

    pub(crate) fn more_detail(mut self, more: impl AsRef<str>) -> Self {
        if !self.detail.is_empty() {
            self.detail.push_str("; ");
        }
        self.detail.push_str(more.as_ref());
        self
    }

    fn ratio(&self) -> Option<f64> {
        let (_, other) = self.against.as_ref()?;
        Some(self.measured.value() / other.value())
    }

    fn verdict(&self) -> &'static str {
        match (self.floor, self.aim) {
            (Some(floor), _) if !floor.holds(self) => "FLOOR MISSED",
            (_, Some(aim)) if aim.holds(self) => "met",
            (_, Some(_)) => "aim missed",
            (Some(_), None) => "floor met",
            (None, None) => "",
        }
    }

    fn cells(&self) -> [String; 8] {
        let unit = self.measured.unit();
        let bound = |bound: Option<Bound>| bound.map(|bound| bound.text(unit)).unwrap_or_default();
        [
            self.what.clone(),
            self.measured.text(),
            self.against
                .as_ref()
                .map(|(what, other)| format!("{} {what}", other.text()))
                .unwrap_or_default(),
            self.ratio().map(|ratio| format!("{ratio:.2}x")).unwrap_or_default(),
            bound(self.aim),
            bound(self.floor),
            self.verdict().to_owned(),
            self.detail.clone(),
        ]
    }

    fn json(&self, group: &str) -> Value {
        let unit = self.measured.unit();
        json!({
            "group": group,
            "row": self.what,
            "measured": self.measured.value(),
            "unit": unit,
            "against": self.against.as_ref().map(|(what, other)| json!({
                "what": what,
                "measured": other.value(),
            })),
            "ratio": self.ratio(),
            "aim": self.aim.map(|aim| aim.text(unit)),
            "aimMet": self.aim.map(|aim| aim.holds(self)),
            "floor": self.floor.map(|floor| floor.text(unit)),
            "floorMet": self.floor.map(|floor| floor.holds(self)),
            "detail": self.detail,
        })
    }
}

/// What became of a row.
enum Outcome {
    Measured(Row),
    /// It can't be measured here, and that is no fault.
    LeftOut(String, String),
    /// It should have been measured.
    Failed(String, String),
}

/// The rows so far, each with the group it was asked for by.
#[derive(Default)]
pub(crate) struct Table {
    group: &'static str,
    outcomes: Vec<(&'static str, Outcome)>,
}

impl Table {
    /// Names the group of the rows that follow.
    pub(crate) fn begin(&mut self, group: &'static str) {
        self.group = group;
    }

    /// Adds a row, and says so at once: what comes after it, the removal of a million files not
    /// least, may take long.
    pub(crate) fn add(&mut self, row: Row) {
        let [what, measured, against, ratio, ..] = row.cells();
        eprintln!("  {what}: {measured} {ratio} {against}");
        self.outcomes.push((self.group, Outcome::Measured(row)));
    }

    /// Adds the row, or why `what` could not be measured; the rows after it get their chance.
    pub(crate) fn add_or_fail(&mut self, what: impl Into<String>, row: Result<Row, String>) {
        match row {
            Ok(row) => self.add(row),
            Err(why) => self.failed(what, why),
        }
    }

    pub(crate) fn left_out(&mut self, what: impl Into<String>, why: impl Into<String>) {
        let outcome = Outcome::LeftOut(what.into(), why.into());
        self.outcomes.push((self.group, outcome));
    }

    pub(crate) fn failed(&mut self, what: impl Into<String>, why: impl Into<String>) {
        let outcome = Outcome::Failed(what.into(), why.into());
        self.outcomes.push((self.group, outcome));
    }

    /// Whether every row was measured and every floor holds.
    pub(crate) fn holds(&self) -> bool {
        self.outcomes.iter().all(|(_, outcome)| match outcome {
            Outcome::Measured(row) => row.floor.is_none_or(|floor| floor.holds(row)),
            Outcome::LeftOut(..) => true,
            Outcome::Failed(..) => false,
        })
    }

    pub(crate) fn json(&self) -> Value {
        let rows = self.outcomes.iter().map(|(group, outcome)| match outcome {
            Outcome::Measured(row) => row.json(group),
            Outcome::LeftOut(what, why) => json!({"group": group, "row": what, "leftOut": why}),
            Outcome::Failed(what, why) => json!({"group": group, "row": what, "failed": why}),
        });
        Value::Array(rows.collect())
    }

    /// The table as aligned text.
    pub(crate) fn text(&self) -> String {
        const HEADINGS: [&str; 8] =
            ["row", "measured", "against", "ratio", "aim", "floor", "verdict", "detail"];
        let rows: Vec<_> = self
            .outcomes
            .iter()
            .map(|(group, outcome)| match outcome {
                Outcome::Measured(row) => (group, row.cells(), None),
                Outcome::LeftOut(what, why) => {
                    (group, line_of(what), Some(format!("left out: {why}")))
                }
                Outcome::Failed(what, why) => {
                    (group, line_of(what), Some(format!("FAILED: {why}")))
                }
            })
            .collect();
        let mut widths = HEADINGS.map(str::len);
        for (_, cells, _) in &rows {
            for (width, cell) in widths.iter_mut().zip(cells) {
                *width = (*width).max(cell.chars().count());
            }
        }
        let mut text = String::new();
        write_line(&mut text, &HEADINGS.map(str::to_owned), &widths);
        let rules = widths.map(|width| "-".repeat(width));
        write_line(&mut text, &rules, &widths);
        let mut present = "";
        for (group, cells, note) in rows {
            if *group != present {
                present = group;
                let _ = writeln!(text, "[{group}]");
            }
            match note {
                None => write_line(&mut text, &cells, &widths),
                Some(note) => {
                    let _ = writeln!(text, "{:<width$}  {note}", cells[0], width = widths[0]);
                }
            }
        }
        text
    }
}

fn line_of(what: &str) -> [String; 8] {
    let mut cells: [String; 8] = Default::default();
    what.clone_into(&mut cells[0]);
    cells
}

fn write_line(text: &mut String, cells: &[String; 8], widths: &[usize; 8]) {
    /// The columns of numbers stand to the right.
    const TO_THE_RIGHT: [bool; 8] = [false, true, false, true, false, false, false, false];
    let mut line = String::new();
    for ((cell, width), right) in cells.iter().zip(widths).zip(TO_THE_RIGHT) {
        let _ =
            if right { write!(line, "{cell:>width$}  ") } else { write!(line, "{cell:<width$}  ") };
    }
    text.push_str(line.trim_end());
    text.push('\n');
}
