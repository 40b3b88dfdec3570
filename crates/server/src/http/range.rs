//! The `Range` header (RFC 9110, section 14): one range of bytes.

/// What part of a content is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Asked {
    /// All of it.
    Whole,
    /// `length` bytes from `offset` on; at least one.
    Part {
        /// The first byte.
        offset: u64,
        /// How many.
        length: u64,
    },
    /// A part that lies behind its end.
    Unsatisfiable,
}

/// Reads a `Range` header for a content of `size` bytes. What can't be read, and a list of several
/// ranges, count as no header, as the RFC allows.
pub(super) fn parse(header: Option<&str>, size: u64) -> Asked {
    let Some(range) = header.and_then(|header| header.trim().strip_prefix("bytes=")) else {
        return Asked::Whole;
    };
    let Some((first, last)) = range.split_once('-') else { return Asked::Whole };
    let digits = |text: &str| {
        let text = text.trim();
        let plain = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        plain.then(|| text.parse().unwrap_or(u64::MAX))
    };
    match (digits(first), digits(last), first.trim().is_empty(), last.trim().is_empty()) {
        (Some(first), Some(last), ..) if first <= last => part(first, last, size),
        (Some(first), None, _, true) => part(first, u64::MAX, size),
        (None, Some(0), true, _) => Asked::Unsatisfiable,
        (None, Some(count), true, _) if size > 0 => {
            part(size.saturating_sub(count), u64::MAX, size)
        }
        (None, Some(_), true, _) => Asked::Unsatisfiable,
        _ => Asked::Whole,
    }
}

fn part(first: u64, last: u64, size: u64) -> Asked {
    if first >= size {
        return Asked::Unsatisfiable;
    }
    Asked::Part { offset: first, length: last.min(size - 1) - first + 1 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges() {
        let part = |offset, length| Asked::Part { offset, length };
        for (header, size, expected) in [
            (None, 10, Asked::Whole),
            (Some("bytes=0-4"), 10, part(0, 5)),
            (Some("bytes=5-"), 10, part(5, 5)),
            (Some("bytes=-3"), 10, part(7, 3)),
            (Some("bytes=-30"), 10, part(0, 10)),
            (Some("bytes=9-99"), 10, part(9, 1)),
            (Some("bytes=10-"), 10, Asked::Unsatisfiable),
            (Some("bytes=-0"), 10, Asked::Unsatisfiable),
            (Some("bytes=0-"), 0, Asked::Unsatisfiable),
            (Some("bytes=-5"), 0, Asked::Unsatisfiable),
            (Some("bytes=4-2"), 10, Asked::Whole),
            (Some("bytes=0-1,3-4"), 10, Asked::Whole),
            (Some("bytes=+1-2"), 10, Asked::Whole),
            (Some("lines=1-2"), 10, Asked::Whole),
            (Some("bytes=x-"), 10, Asked::Whole),
            (Some("bytes=0-99999999999999999999999"), 10, part(0, 10)),
        ] {
            assert_eq!(parse(header, size), expected, "{header:?} of {size}");
        }
    }
}
