//! Rows of columns, drawn for a person or written for a program.

use comfy_table::{ContentArrangement, Table as Drawn, presets};

use super::format;

/// A column is cut to this many characters for a person; a program gets all of it.
const MAX_CELL_CHARACTERS: usize = 80;

/// A value in a cell: for a person and for a program it may look different.
pub(super) struct Cell {
    person: String,
    program: String,
}

impl Cell {
    /// A size in bytes, human readable for a person.
    pub(super) fn size(bytes: u64) -> Self {
        Self { person: format::size(bytes), program: bytes.to_string() }
    }

    /// A time, in UTC for a person, in Unix seconds for a program.
    pub(super) fn time(seconds: i64) -> Self {
        Self { person: format::time(seconds), program: seconds.to_string() }
    }

    /// A time that may be none.
    pub(super) fn maybe_time(seconds: Option<i64>) -> Self {
        seconds.map_or_else(|| Cell::from(""), Cell::time)
    }

    /// From when on something no longer counts. A person is told where that is past; a program has the
    /// time, or `never`.
    pub(super) fn expiry(seconds: Option<i64>, now: i64) -> Self {
        match seconds {
            None => Cell::from("never"),
            Some(seconds) if seconds > now => Cell::time(seconds),
            Some(seconds) => {
                let time = Cell::time(seconds);
                Self { person: format!("{} (expired)", time.person), ..time }
            }
        }
    }

    /// A text that may be none.
    pub(super) fn maybe(text: Option<impl ToString>) -> Self {
        text.map_or_else(|| Cell::from(""), |text| Cell::from(text.to_string()))
    }
}

impl<T: Into<String>> From<T> for Cell {
    fn from(text: T) -> Self {
        let program = text.into();
        Self { person: program.clone(), program }
    }
}

/// Rows under headings, or pairs of a name and a value.
pub(super) struct Table {
    headings: Vec<String>,
    rows: Vec<Vec<Cell>>,
}

impl Table {
    pub(super) fn new(headings: &[&str]) -> Self {
        let headings = headings.iter().map(|heading| format::one_line(heading)).collect();
        Self { headings, rows: Vec::new() }
    }

    /// Names and values, without headings.
    pub(super) fn pairs() -> Self {
        Self::new(&[])
    }

    pub(super) fn row(&mut self, cells: Vec<Cell>) {
        self.rows.push(cells);
    }

    pub(super) fn pair(&mut self, name: &str, value: impl Into<Cell>) {
        self.rows.push(vec![Cell::from(name), value.into()]);
    }

    /// Columns with two blanks between, headings in capitals.
    pub(super) fn for_people(&self) -> String {
        let mut drawn = Drawn::new();
        drawn.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
        if !self.headings.is_empty() {
            drawn.set_header(self.headings.iter().map(|heading| heading.to_uppercase()));
        }
        for row in &self.rows {
            drawn.add_row(row.iter().map(|cell| {
                let text = format::one_line(&cell.person);
                if self.headings.is_empty() {
                    text
                } else {
                    format::cut(&text, MAX_CELL_CHARACTERS)
                }
            }));
        }
        for column in drawn.column_iter_mut() {
            column.set_padding((0, 2));
        }
        let mut text = String::new();
        for line in drawn.to_string().lines() {
            text.push_str(line.trim_end());
            text.push('\n');
        }
        if self.rows.is_empty() { String::new() } else { text }
    }

    /// A line for each row, without headings.
    pub(super) fn tab_separated(&self) -> String {
        let mut text = String::new();
        for row in &self.rows {
            let cells: Vec<String> =
                row.iter().map(|cell| format::one_line(&cell.program)).collect();
            text.push_str(&cells.join("\t"));
            text.push('\n');
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_expired_is_marked() {
        let texts = |seconds| {
            let cell = Cell::expiry(seconds, 1000);
            (cell.person, cell.program)
        };
        assert_eq!(texts(None), ("never".to_owned(), "never".to_owned()));
        assert_eq!(texts(Some(1001)), ("1970-01-01 00:16:41Z".to_owned(), "1001".to_owned()));
        let expired = "1970-01-01 00:16:40Z (expired)";
        assert_eq!(texts(Some(1000)), (expired.to_owned(), "1000".to_owned()));
    }

    #[test]
    fn a_person_and_a_program_see_the_same_rows() {
        let mut table = Table::new(&["hash", "size"]);
        table.row(vec![Cell::from("ab\tc"), Cell::size(2048)]);
        table.row(vec![Cell::from("d"), Cell::size(1)]);
        assert_eq!(table.for_people(), "HASH  SIZE\nab c  2.0 KiB\nd     1 B\n");
        assert_eq!(table.tab_separated(), "ab c\t2048\nd\t1\n");
    }
}
