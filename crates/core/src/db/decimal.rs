//! Sums of amounts: decimal digits added and taken away as such, exactly, whatever their length.

use std::cmp::Ordering;
use std::fmt;

/// A decimal number without a sign: digits from the least on, so many of them behind the point.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Decimal {
    digits: Vec<u8>,
    scale: usize,
}

impl Decimal {
    /// Reads digits with or without a point; none where it is anything else.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
        let characters = || whole.bytes().chain(fraction.bytes());
        if whole.is_empty() || !characters().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let mut digits: Vec<u8> = characters().map(|byte| byte - b'0').collect();
        digits.reverse();
        Some(Self { digits, scale: fraction.len() })
    }

    /// Both together.
    #[must_use]
    pub(crate) fn plus(mut self, mut other: Self) -> Self {
        self.align(&mut other);
        let mut carry = 0;
        for (digit, added) in self.digits.iter_mut().zip(&other.digits) {
            let sum = *digit + added + carry;
            (*digit, carry) = (sum % 10, sum / 10);
        }
        if carry > 0 {
            self.digits.push(carry);
        }
        self
    }

    /// What is left of it; none where the other is the greater.
    #[must_use]
    pub(crate) fn minus(mut self, mut other: Self) -> Option<Self> {
        self.align(&mut other);
        let order = self.digits.iter().rev().cmp(other.digits.iter().rev());
        if order == Ordering::Less {
            return None;
        }
        let mut borrowed = 0;
        for (digit, taken) in self.digits.iter_mut().zip(&other.digits) {
            let taken = taken + borrowed;
            borrowed = u8::from(*digit < taken);
            *digit = *digit + 10 * borrowed - taken;
        }
        Some(self)
    }

    /// Gives both as many digits before and behind the point.
    fn align(&mut self, other: &mut Self) {
        let scale = self.scale.max(other.scale);
        for number in [&mut *self, &mut *other] {
            number.digits.splice(..0, std::iter::repeat_n(0, scale - number.scale));
            number.scale = scale;
        }
        let length = self.digits.len().max(other.digits.len());
        self.digits.resize(length, 0);
        other.digits.resize(length, 0);
    }
}

impl fmt::Display for Decimal {
    /// Without zeros that say nothing.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let behind = self.scale.min(self.digits.len());
        let (fraction, whole) = self.digits.split_at(behind);
        let text = |digits: &[u8]| -> String {
            digits.iter().rev().map(|digit| char::from(b'0' + digit)).collect()
        };
        let (whole, fraction) = (text(whole), text(fraction));
        let (whole, fraction) = (whole.trim_start_matches('0'), fraction.trim_end_matches('0'));
        f.write_str(if whole.is_empty() { "0" } else { whole })?;
        if !fraction.is_empty() {
            write!(f, ".{fraction}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn number(text: &str) -> Decimal {
        Decimal::parse(text).unwrap()
    }

    #[test]
    fn sums_are_exact() {
        for (a, b, sum) in [
            ("0", "0", "0"),
            ("0.1", "0.2", "0.3"),
            ("1.50", "2.5", "4"),
            ("999.999", "0.001", "1000"),
            (
                "0.000000000000000001",
                "123456789012345678901234567890",
                "123456789012345678901234567890.000000000000000001",
            ),
        ] {
            assert_eq!(number(a).plus(number(b)).to_string(), sum);
            assert_eq!(number(sum).minus(number(b)).unwrap().to_string(), number(a).to_string());
        }
        assert_eq!(number("1").minus(number("1.1")), None);
        assert_eq!(Decimal::default().plus(number("7")).to_string(), "7");
        for bad in ["", ".5", "-1", "1e3", "1,5", "1.2.3"] {
            assert_eq!(Decimal::parse(bad), None, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn sums_are_those_of_integers(a in 0..u64::MAX as u128, b in 0..u64::MAX as u128, scale in 0usize..12) {
            let text = |value: u128| {
                let digits = format!("{value:0>width$}", width = scale + 1);
                let (whole, fraction) = digits.split_at(digits.len() - scale);
                if scale == 0 { whole.to_owned() } else { format!("{whole}.{fraction}") }
            };
            let sum = number(&text(a)).plus(number(&text(b)));
            prop_assert_eq!(sum.to_string(), number(&text(a + b)).to_string());
            prop_assert_eq!(sum.minus(number(&text(a))).unwrap().to_string(), number(&text(b)).to_string());
        }
    }
}
