//! Letters without their marks, as the tokenizer of the index sees them.
//!
//! Only the marking of matches needs it: the index folds by itself. A letter that is missing here is
//! found all the same and shown without a mark.

use std::collections::HashMap;
use std::sync::LazyLock;

/// A plain letter, and the small letters that are the same with marks: Latin ones, as in FTS5.
const MARKED: &[(char, &str)] = &[
    ('a', "àáâãäåāăąǎǟǡǻȁȃȧḁạảấầẩẫậắằẳẵặ"),
    ('b', "ḃḅḇ"),
    ('c', "çćĉċčḉ"),
    ('d', "ďḋḍḏḑḓ"),
    ('e', "èéêëēĕėęěȅȇȩḕḗḙḛḝẹẻẽếềểễệ"),
    ('f', "ḟ"),
    ('g', "ĝğġģǧǵḡ"),
    ('h', "ĥȟḣḥḧḩḫẖ"),
    ('i', "ìíîïĩīĭįǐȉȋḭḯỉị"),
    ('j', "ĵǰ"),
    ('k', "ķǩḱḳḵ"),
    ('l', "ĺļľḷḹḻḽ"),
    ('m', "ḿṁṃ"),
    ('n', "ñńņňǹṅṇṉṋ"),
    ('o', "òóôõöōŏőơǒǫǭȍȏȫȭȯȱṍṏṑṓọỏốồổỗộớờởỡợ"),
    ('p', "ṕṗ"),
    ('r', "ŕŗřȑȓṙṛṝṟ"),
    ('s', "śŝşšșṡṣṥṧṩ"),
    ('t', "ţťțṫṭṯṱẗ"),
    ('u', "ùúûüũūŭůűųưǔǖǘǚǜȕȗṳṵṷṹṻụủứừửữự"),
    ('v', "ṽṿ"),
    ('w', "ŵẁẃẅẇẉẘ"),
    ('x', "ẋẍ"),
    ('y', "ýÿŷȳẏẙỳỵỷỹ"),
    ('z', "źżžẑẓẕ"),
];

static PLAIN: LazyLock<HashMap<char, char>> = LazyLock::new(|| {
    MARKED.iter().flat_map(|(plain, marked)| marked.chars().map(|c| (c, *plain))).collect()
});

/// Appends a character to a folded word: in small letters, without marks.
pub(super) fn push(word: &mut String, character: char) {
    if character.is_ascii() {
        word.push(character.to_ascii_lowercase());
        return;
    }
    if is_mark(character) {
        return;
    }
    let lower = character.to_lowercase().filter(|c| !is_mark(*c));
    word.extend(lower.map(|c| PLAIN.get(&c).copied().unwrap_or(c)));
}

/// Whether it is a mark on the letter before it.
pub(super) fn is_mark(character: char) -> bool {
    matches!(u32::from(character), 0x300..=0x36f | 0x1ab0..=0x1aff | 0x1dc0..=0x1dff | 0xfe20..=0xfe2f)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_lose_their_case_and_marks() {
        let mut word = String::new();
        "CAFÉ e\u{301}Ǟ Ёй Ế ß 語".chars().for_each(|c| push(&mut word, c));
        assert_eq!(word, "cafe ea ёй e ß 語");
    }
}
