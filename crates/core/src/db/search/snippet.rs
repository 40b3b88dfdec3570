//! Snippets: the part of a text that shows why it was found.
//!
//! The index holds no text, so they are cut from the record. Each match stands between « and »; the
//! same signs in the text itself are shown as ‹ and ›, so whoever draws a snippet can tell them apart.

use super::text::Query;

/// About how many characters a snippet shows.
const LENGTH: usize = 160;
/// How many of them stand before the first match.
const BEFORE: usize = 40;
/// How far a cut is moved to stand between words.
const TO_BLANK: usize = 16;

/// The snippet of a record: of the first of these texts in which the query is found. Where it is found
/// in none, which an index that lags behind may bring about, the first that is not empty is shown.
pub(super) fn of(query: &Query, texts: &[&str]) -> String {
    for text in texts {
        let matches = query.matches(text);
        if !matches.is_empty() {
            return cut(text, &matches);
        }
    }
    texts
        .iter()
        .find(|text| !text.trim().is_empty())
        .map_or_else(String::new, |text| cut(text, &[]))
}

fn cut(text: &str, matches: &[(usize, usize)]) -> String {
    let first = matches.first().map_or(0, |(start, _)| *start);
    let start = start_of_cut(text, first);
    let end = end_of_cut(text, start);
    let mut snippet = String::with_capacity(end - start + 16);
    if start > 0 {
        snippet.push('…');
    }
    let mut at = start;
    for (from, to) in matches.iter().copied() {
        if from >= end {
            break;
        }
        push_text(&mut snippet, &text[at..from]);
        snippet.push('«');
        // A word longer than a snippet is cut as all else.
        push_text(&mut snippet, &text[from..to.min(end)]);
        snippet.push('»');
        at = to.min(end);
    }
    push_text(&mut snippet, &text[at..end]);
    if end < text.len() {
        snippet.push('…');
    }
    snippet
}

/// Where to begin so that the first match is seen with what stands before it.
fn start_of_cut(text: &str, first: usize) -> usize {
    let before = text[..first].char_indices().rev();
    let Some((start, _)) = before.clone().nth(BEFORE - 1).filter(|(start, _)| *start > 0) else {
        return 0;
    };
    let near = text[start..first].char_indices().take(TO_BLANK);
    let blank = near.clone().find(|(_, character)| character.is_whitespace());
    blank.map_or(start, |(at, character)| start + at + character.len_utf8())
}

fn end_of_cut(text: &str, start: usize) -> usize {
    let Some((length, _)) = text[start..].char_indices().nth(LENGTH) else { return text.len() };
    let end = start + length;
    let near = text[start..end].char_indices().rev().take(TO_BLANK);
    near.clone().find(|(_, character)| character.is_whitespace()).map_or(end, |(at, _)| start + at)
}

/// Appends a text on one line, without the signs of matches.
fn push_text(snippet: &mut String, text: &str) {
    for character in text.chars() {
        match character {
            '«' => snippet.push('‹'),
            '»' => snippet.push('›'),
            blank if blank.is_whitespace() || blank.is_control() => {
                if !snippet.ends_with(' ') {
                    snippet.push(' ');
                }
            }
            other => snippet.push(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn snippet(typed: &str, texts: &[&str]) -> String {
        of(&Query::parse(typed).unwrap(), texts)
    }

    #[test]
    fn the_first_text_that_matches_is_shown_with_its_matches_marked() {
        assert_eq!(
            snippet("rain", &["", "Dry", "Rain, «rainy»\n\n rain"]),
            "«Rain», ‹«rainy»› «rain»"
        );
        assert_eq!(snippet("天気", &["今日の天気予報"]), "今日の«天気»予報");
        assert_eq!(snippet("gone", &["", "A record"]), "A record");
        assert_eq!(snippet("gone", &["", " "]), "");
    }

    #[test]
    fn a_long_text_is_cut_around_its_first_match() {
        let text = format!("{} needle {}", "hay ".repeat(100), "straw ".repeat(100));
        let shown = snippet("needle", &[&text]);
        assert!(shown.starts_with("…hay ") && shown.ends_with(" straw…"), "{shown}");
        assert!(shown.contains(" «needle» "), "{shown}");
        assert!((140..=166).contains(&shown.chars().count()), "{shown}");
        let one_word = "x".repeat(1000);
        assert_eq!(snippet("x", &[&one_word]).chars().count(), LENGTH + 3);
    }
}
