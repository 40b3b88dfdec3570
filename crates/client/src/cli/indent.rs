//! JSON indented for a person, its text otherwise kept: numbers keep their digits, objects their order.

use std::iter::Peekable;
use std::str::Chars;

/// Indents a JSON text; it must be one.
pub(super) fn indent(json: &str) -> String {
    let mut out = String::with_capacity(json.len() * 2);
    let mut depth = 0_usize;
    let mut characters = json.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '"' => string(&mut characters, &mut out),
            '{' | '[' => {
                out.push(character);
                skip_space(&mut characters);
                // What holds nothing stays on its line.
                if let Some(close) = characters.next_if(|next| matches!(next, '}' | ']')) {
                    out.push(close);
                } else {
                    depth += 1;
                    new_line(&mut out, depth);
                }
            }
            '}' | ']' => {
                depth = depth.saturating_sub(1);
                new_line(&mut out, depth);
                out.push(character);
            }
            ',' => {
                out.push(',');
                new_line(&mut out, depth);
            }
            ':' => out.push_str(": "),
            ' ' | '\t' | '\r' | '\n' => {}
            other => out.push(other),
        }
    }
    out
}

/// Copies a string up to its closing quote, which `characters` still holds.
fn string(characters: &mut Peekable<Chars<'_>>, out: &mut String) {
    out.push('"');
    while let Some(character) = characters.next() {
        out.push(character);
        match character {
            '"' => return,
            '\\' => out.extend(characters.next()),
            _ => {}
        }
    }
}

fn skip_space(characters: &mut Peekable<Chars<'_>>) {
    while characters.next_if(|next| matches!(next, ' ' | '\t' | '\r' | '\n')).is_some() {}
}

fn new_line(out: &mut String, depth: usize) {
    out.push('\n');
    out.extend(std::iter::repeat_n("  ", depth));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_white_space_changes() {
        let json = r#"{"z":1.0,"a":[ ],"s":"{\"x\":[1, 2]}\\","b":[12345678901234567890,{ }]}"#;
        let indented = indent(json);
        assert_eq!(
            indented,
            "{\n  \"z\": 1.0,\n  \"a\": [],\n  \"s\": \"{\\\"x\\\":[1, 2]}\\\\\",\n  \"b\": [\n    12345678901234567890,\n    {}\n  ]\n}"
        );
        assert_eq!(indent(&indented), indented);
        assert_eq!(indent("\"dark\""), "\"dark\"");
    }
}
