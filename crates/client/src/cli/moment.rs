//! Times and spans as a person writes them.

use std::time::SystemTime;

use osnova_storage_client::api::wire::Timestamp;

/// Now, in Unix seconds.
pub(super) fn now() -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}

/// A span in seconds: `30d`, `12h`, `90m`, `45s`.
pub(super) fn parse_span(text: &str) -> Result<i64, String> {
    let bad = || "must be a number and its unit: 30d, 12h, 90m or 45s".to_owned();
    let unit = match text.chars().next_back() {
        Some('d') => 86_400,
        Some('h') => 3600,
        Some('m') => 60,
        Some('s') => 1,
        _ => return Err(bad()),
    };
    let number = &text[..text.len() - 1];
    match digits(number).map(u32::try_from) {
        Some(Ok(number)) if number > 0 => Ok(i64::from(number) * unit),
        _ => Err(bad()),
    }
}

/// A time: Unix seconds, a date (its first second in UTC), or a date and a time of RFC 3339, which the
/// times that this program prints are too.
pub(super) fn parse_time(text: &str) -> Result<Timestamp, String> {
    let time = if text.bytes().all(|byte| byte.is_ascii_digit()) {
        text.parse().ok()
    } else {
        date_and_time(text)
    };
    match time {
        Some(seconds) if seconds <= MAX_TIME => Ok(Timestamp(seconds)),
        _ => Err("must be as 2027-01-31, 2027-01-31T12:00:00Z, or Unix seconds".to_owned()),
    }
}

/// The last second of the year 9999; what lies beyond is a mistake, such as milliseconds.
const MAX_TIME: i64 = 253_402_300_799;

fn date_and_time(text: &str) -> Option<i64> {
    let midnight = date(text.get(..10)?)? * 86_400;
    match text.get(10..)? {
        "" => Some(midnight),
        rest => Some(midnight + time_of_day(rest.strip_prefix(['T', 't', ' '])?)?),
    }
}

/// The day of `2027-01-31`, counted from 1970-01-01: Howard Hinnant's `days_from_civil`
/// (<https://howardhinnant.github.io/date_algorithms.html>).
fn date(text: &str) -> Option<i64> {
    let (year, month, day) = fields(text, '-')?;
    if !(1..=12).contains(&month) || !(1..=days_in(year, month)).contains(&day) {
        return None;
    }
    let shifted_year = if month <= 2 { year - 1 } else { year };
    let era = shifted_year.div_euclid(400);
    let year_of_era = shifted_year.rem_euclid(400);
    let shifted_month = (month + 9) % 12;
    let day_of_year = (153 * shifted_month + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    Some(era * 146_097 + day_of_era - 719_468)
}

fn days_in(year: i64, month: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// The second of `12:00:00Z`, `12:00:00+01:00`; it may lie in the day before or after.
fn time_of_day(text: &str) -> Option<i64> {
    let (hour, minute, second) = fields(text.get(..8)?, ':')?;
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let offset = match text.get(8..)? {
        "Z" | "z" => 0,
        offset => {
            let (hours, minutes) = offset.get(1..)?.split_once(':')?;
            let (hours, minutes) = (two_digits(hours)?, two_digits(minutes)?);
            if hours > 23 || minutes > 59 {
                return None;
            }
            match offset.get(..1)? {
                "+" => hours * 3600 + minutes * 60,
                "-" => -(hours * 3600 + minutes * 60),
                _ => return None,
            }
        }
    };
    Some(hour * 3600 + minute * 60 + second - offset)
}

/// Three numbers with a mark between, the last two of two digits.
fn fields(text: &str, mark: char) -> Option<(i64, i64, i64)> {
    let mut parts = text.split(mark);
    let (first, second, third) = (parts.next()?, parts.next()?, parts.next()?);
    match parts.next() {
        Some(_) => None,
        None => Some((digits(first)?, two_digits(second)?, two_digits(third)?)),
    }
}

fn two_digits(text: &str) -> Option<i64> {
    digits(text).filter(|_| text.len() == 2)
}

/// A number without a sign.
fn digits(text: &str) -> Option<i64> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::format;

    #[test]
    fn spans() {
        for (text, seconds) in [("45s", 45), ("90m", 5400), ("12h", 43_200), ("30d", 2_592_000)] {
            assert_eq!(parse_span(text), Ok(seconds), "{text}");
        }
        let bad =
            ["", "d", "30", "0d", "-1d", "+1d", "1.5h", "1 d", "1w", "1D", "99999999999d", "1ä"];
        for text in bad {
            assert!(parse_span(text).is_err(), "{text}");
        }
    }

    #[test]
    fn times() {
        for (text, seconds) in [
            ("0", 0),
            ("1764028800", 1_764_028_800),
            ("2025-11-25", 1_764_028_800),
            ("2025-11-25T00:00:00Z", 1_764_028_800),
            ("2025-11-25 00:00:01z", 1_764_028_801),
            ("2025-11-25T01:00:00+01:00", 1_764_028_800),
            ("2025-11-24T18:30:00-05:30", 1_764_028_800),
            ("2000-02-29", 951_782_400),
            ("9999-12-31T23:59:59Z", MAX_TIME),
        ] {
            assert_eq!(parse_time(text), Ok(Timestamp(seconds)), "{text}");
        }
        for text in [
            "",
            "-1",
            "tomorrow",
            "2025-02-29",
            "2100-02-29",
            "2025-13-01",
            "2025-00-01",
            "2025-1-01",
            "2025-11-31",
            "2025-11-25T",
            "2025-11-25T00:00:00",
            "2025-11-25T24:00:00Z",
            "2025-11-25T00:00:00+1:00",
            "2025-11-25T00:00:00Zx",
            "2025-11-25x",
            "2025-11-2ä",
            // Milliseconds.
            "1764028800000",
        ] {
            assert!(parse_time(text).is_err(), "{text}");
        }
    }

    #[test]
    fn what_is_printed_is_read_back() {
        for day in 0..60_000 {
            let seconds = day * 86_400 + day;
            assert_eq!(parse_time(&format::time(seconds)), Ok(Timestamp(seconds)));
        }
    }
}
