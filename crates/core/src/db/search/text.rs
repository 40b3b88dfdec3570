//! Words: how a text is cut into them for the index, and how what a person types is looked for.
//!
//! The tokenizer of FTS5 knows words by the blanks between them. Scripts that write none (Han, kana,
//! Thai, Lao, Khmer, Burmese), and Hangul, which glues endings to its words, are indexed a character
//! at a time: blanks are put around each, and what is typed in them is looked for as a phrase. So one
//! character finds as well as ten, which a trigram index could not do.
//!
//! What a person types never reaches FTS5 as syntax: it is cut into words here, and each stands in
//! quotes. A word holds letters, digits and marks only, so it can hold no quote.

use sha2::{Digest, Sha256};

use super::fold;

/// What is typed beyond this many words is not looked at: no person types more, and each costs a look
/// into the index.
const MAX_TERMS: usize = 32;

/// Something that is looked for; a record must have all of them.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Term {
    /// A word; of the last one the beginning is enough.
    Word {
        /// As it was typed.
        typed: String,
        /// In small letters, without marks.
        folded: String,
        /// Whether words that begin with it are meant too.
        prefix: bool,
    },
    /// Characters that stand side by side.
    Run(Vec<char>),
}

/// Whose words they are. In the index of the components' own messages each word begins with this, so that
/// a look for a component's words meets no other's: not even the time it takes tells of them.
#[derive(Debug)]
pub(super) struct Holder(String);

impl Holder {
    /// That of a component: as long for each, so that none is the beginning of another.
    pub(super) fn of(component: &str) -> Self {
        let hash = Sha256::digest(component);
        let mut mark = String::with_capacity(16);
        for byte in &hash[..8] {
            // Letters alone: between a digit and a letter no tokenizer may see the end of a word.
            mark.extend([byte >> 4, byte & 15].map(|half| char::from(b'a' + half)));
        }
        Self(mark)
    }

    /// Appends the words of a text, marked.
    pub(super) fn mark(&self, into: &mut String, text: &str) {
        for piece in pieces(text) {
            into.extend([" ", self.0.as_str(), piece.text]);
        }
    }
}

/// What a person looks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Query {
    terms: Vec<Term>,
}

/// A piece of a text: where it stands, in bytes, and what it is.
struct Piece<'t> {
    start: usize,
    text: &'t str,
    /// Whether it is one character that is a word by itself.
    alone: bool,
}

impl Piece<'_> {
    fn end(&self) -> usize {
        self.start + self.text.len()
    }

    fn folded(&self) -> String {
        let mut folded = String::with_capacity(self.text.len());
        self.text.chars().for_each(|character| fold::push(&mut folded, character));
        folded
    }
}

/// Whether a character is of a script that is indexed a character at a time.
fn stands_alone(character: char) -> bool {
    matches!(u32::from(character),
        0x0e00..=0x0eff                                         // Thai, Lao
        | 0x1000..=0x109f | 0xa9e0..=0xa9ff | 0xaa60..=0xaa7f   // Burmese
        | 0x1780..=0x17ff | 0x19e0..=0x19ff                     // Khmer
        | 0x1100..=0x11ff | 0x3130..=0x318f | 0xa960..=0xa97f | 0xac00..=0xd7ff // Hangul
        | 0x2e80..=0x2fdf | 0x3005..=0x3007 | 0x3021..=0x3029 | 0x3031..=0x303c // Han
        | 0x3400..=0x4dbf | 0x4e00..=0x9fff | 0xf900..=0xfaff | 0x20000..=0x3ffff
        | 0x3041..=0x312f | 0x31a0..=0x31bf | 0x31f0..=0x31ff   // kana, bopomofo
        | 0xff66..=0xffdc | 0x1aff0..=0x1b16f
    )
}

/// The words of a text, in order.
fn pieces(text: &str) -> impl Iterator<Item = Piece<'_>> {
    let mut rest = text.char_indices().peekable();
    std::iter::from_fn(move || {
        loop {
            let (start, character) = rest.next()?;
            if stands_alone(character) {
                let text = &text[start..start + character.len_utf8()];
                return Some(Piece { start, text, alone: true });
            }
            if !character.is_alphanumeric() {
                continue;
            }
            let mut end = start + character.len_utf8();
            let of_word = |c: char| (c.is_alphanumeric() || fold::is_mark(c)) && !stands_alone(c);
            while let Some((at, next)) = rest.next_if(|(_, c)| of_word(*c)) {
                end = at + next.len_utf8();
            }
            return Some(Piece { start, text: &text[start..end], alone: false });
        }
    })
}

/// Appends a text as the index is given it.
pub(super) fn segment(into: &mut String, text: &str) {
    into.reserve(text.len());
    for character in text.chars() {
        if stands_alone(character) {
            into.extend([' ', character, ' ']);
        } else {
            into.push(character);
        }
    }
}

impl Query {
    /// Reads what a person typed; none where there is no word in it.
    pub(super) fn parse(typed: &str) -> Option<Self> {
        let mut terms: Vec<Term> = Vec::new();
        let mut run_ends = None;
        for piece in pieces(typed) {
            let character = piece.text.chars().next().filter(|_| piece.alone);
            match (character, terms.last_mut()) {
                (Some(character), Some(Term::Run(run))) if run_ends == Some(piece.start) => {
                    run.push(character);
                }
                (Some(character), _) => terms.push(Term::Run(vec![character])),
                (None, _) => terms.push(Term::Word {
                    typed: piece.text.to_owned(),
                    folded: piece.folded(),
                    prefix: false,
                }),
            }
            run_ends = character.map(|_| piece.end());
        }
        // A run of marks alone is no word to FTS5 either.
        terms.retain(|term| match term {
            Term::Word { .. } => true,
            Term::Run(run) => run.iter().any(|character| character.is_alphanumeric()),
        });
        terms.truncate(MAX_TERMS);
        if let Some(Term::Word { prefix, .. }) = terms.last_mut() {
            *prefix = true;
        }
        (!terms.is_empty()).then_some(Self { terms })
    }

    /// The same for FTS5: texts in quotes. Side by side they are joined by AND, and one in which FTS5
    /// finds no word is passed over, which after an explicit AND it would not be.
    pub(super) fn expression(&self) -> String {
        self.marked("")
    }

    /// The same for the index of the components' own messages.
    pub(super) fn expression_of(&self, holder: &Holder) -> String {
        self.marked(&holder.0)
    }

    fn marked(&self, mark: &str) -> String {
        let mut expression = String::new();
        for term in &self.terms {
            if !expression.is_empty() {
                expression.push(' ');
            }
            expression.push('"');
            match term {
                Term::Word { typed, .. } => expression.extend([mark, typed]),
                Term::Run(run) => {
                    for character in run {
                        expression.push_str(mark);
                        expression.extend([*character, ' ']);
                    }
                }
            }
            expression.push('"');
            if matches!(term, Term::Word { prefix: true, .. }) {
                expression.push('*');
            }
        }
        expression
    }

    /// Where in a text it is found: ranges of bytes, in order, that do not overlap.
    pub(super) fn matches(&self, text: &str) -> Vec<(usize, usize)> {
        let pieces: Vec<Piece<'_>> = pieces(text).collect();
        let mut found: Vec<(usize, usize)> = Vec::new();
        for (index, piece) in pieces.iter().enumerate() {
            let end = if piece.alone {
                self.end_of_run(&pieces[index..])
            } else {
                self.has_word(&piece.folded()).then(|| piece.end())
            };
            let Some(end) = end else { continue };
            match found.last_mut() {
                // Runs that overlap, or stand side by side, are marked as one.
                Some(last) if last.1 >= piece.start => last.1 = last.1.max(end),
                _ => found.push((piece.start, end)),
            }
        }
        found
    }

    fn has_word(&self, word: &str) -> bool {
        self.terms.iter().any(|term| match term {
            Term::Word { folded, prefix: true, .. } => word.starts_with(folded.as_str()),
            Term::Word { folded, .. } => word == folded,
            Term::Run(_) => false,
        })
    }

    /// Where the longest run ends that begins with the first of these pieces.
    fn end_of_run(&self, pieces: &[Piece<'_>]) -> Option<usize> {
        let ends = self.terms.iter().filter_map(|term| {
            let Term::Run(run) = term else { return None };
            let here = pieces.get(..run.len())?;
            let same = here
                .iter()
                .zip(run)
                .all(|(piece, character)| piece.alone && piece.text.starts_with(*character));
            if same { here.last().map(Piece::end) } else { None }
        });
        ends.max()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expression(typed: &str) -> Option<String> {
        Query::parse(typed).map(|query| query.expression())
    }

    #[test]
    fn what_is_typed_becomes_texts_in_quotes() {
        let expect = |typed, expected: &str| {
            assert_eq!(expression(typed).as_deref(), Some(expected), "{typed}");
        };
        expect("weather", "\"weather\"*");
        expect("  old  barometer ", "\"old\" \"barometer\"*");
        expect("a OR (b* NEAR \"c\")", "\"a\" \"OR\" \"b\" \"NEAR\" \"c\"*");
        expect("name:x -y ^z", "\"name\" \"x\" \"y\" \"z\"*");
        expect("天気予報", "\"天 気 予 報 \"");
        expect("天気 app", "\"天 気 \" \"app\"*");
        expect("app天気", "\"app\" \"天 気 \"");
        for nothing in ["", "  ", "\"", "\"*", "-- !? ()", "🎉", "・"] {
            assert_eq!(expression(nothing), None, "{nothing}");
        }
    }

    #[test]
    fn a_holders_words_are_marked_alike_in_the_index_and_in_what_is_looked_for() {
        let holder = Holder::of("org.example.a");
        let mark = holder.0.as_str();
        let mut marked = String::new();
        holder.mark(&mut marked, "Old «rain», 天気");
        assert_eq!(marked, format!(" {mark}Old {mark}rain {mark}天 {mark}気"));
        let expression = Query::parse("天気 ra").unwrap().expression_of(&holder);
        assert_eq!(expression, format!("\"{mark}天 {mark}気 \" \"{mark}ra\"*"));
        assert_eq!(mark.len(), Holder::of("b").0.len());
        assert_ne!(mark, Holder::of("b").0);
    }

    #[test]
    fn scripts_without_blanks_are_cut_into_characters() {
        let mut segmented = String::new();
        segment(&mut segmented, "a天気b 안녕");
        assert_eq!(segmented, "a 天  気 b  안  녕 ");
    }

    #[test]
    fn matches_are_found_whatever_their_case_and_marks() {
        let marked = |typed: &str, text: &str| -> Vec<String> {
            let query = Query::parse(typed).unwrap();
            query.matches(text).iter().map(|(start, end)| text[*start..*end].to_owned()).collect()
        };
        assert_eq!(marked("cafe", "Le CAFÉ, le cafe\u{301}s"), ["CAFÉ", "cafe\u{301}s"]);
        assert_eq!(marked("le cafe", "Les CAFÉ le"), ["CAFÉ", "le"]);
        assert_eq!(marked("気予", "天気予報"), ["気予"]);
        assert_eq!(marked("天気", "天天気気"), ["天気"]);
        assert!(marked("x", "no such word").is_empty());
    }
}
