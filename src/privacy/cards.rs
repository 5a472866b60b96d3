//! Finds the numbers of payment cards in runs of digits.
//!
//! One number in ten has a valid check digit by chance, and ids, counts and times are long numbers too. A card number
//! therefore must also start with the prefix of a card network, have the length of that network's numbers, and not be
//! part of an id.

use std::ops::{Range, RangeInclusive};

/// The number of digits of a card number.
const DIGITS: RangeInclusive<usize> = MIN_DIGITS..=MAX_DIGITS;
pub(super) const MIN_DIGITS: usize = 13;
const MAX_DIGITS: usize = 19;

/// The digit groups that are printed on cards. A run in such groups is a card number even if it touches a letter.
const LAYOUTS: [&[usize]; 4] = [&[4, 4, 4, 4], &[4, 4, 4, 4, 3], &[4, 6, 5], &[4, 6, 4]];

/// A run of digits, in groups or not, within a text.
struct Run<'t> {
    text: &'t str,
    groups: Vec<Range<usize>>,
}

/// The digits of a number, up to the maximum length of a card number.
struct Digits {
    digits: [u8; MAX_DIGITS],
    count: usize,
}

/// Returns the ranges of card numbers in `part`, a part of `text` that begins and ends with a digit. Card numbers that
/// overlap are returned as one range.
pub(super) fn cards(text: &str, part: Range<usize>) -> Vec<Range<usize>> {
    let run = Run::new(text, part);
    let mut found: Vec<Range<usize>> = Vec::new();
    for first in 0..run.groups.len() {
        // The longest match: a shorter match within it may be chance.
        let longest = (first..run.groups.len())
            .take_while(|last| run.digits(first, *last) <= MAX_DIGITS)
            .filter(|last| run.is_card(first, *last))
            .last();
        let Some(last) = longest else { continue };
        let (start, end) = (run.groups[first].start, run.groups[last].end);
        match found.last_mut() {
            // A date and half of a card number can match by chance; the other half must be masked too.
            Some(before) if start < before.end => before.end = before.end.max(end),
            _ => found.push(start..end),
        }
    }
    found
}

/// Returns `true` if an integer is a card number.
pub(super) fn is_card(number: u64) -> bool {
    // At least thirteen digits.
    number >= 1_000_000_000_000 && Digits::new(itoa::Buffer::new().format(number)).is_card()
}

impl<'t> Run<'t> {
    fn new(text: &'t str, part: Range<usize>) -> Self {
        let mut groups: Vec<Range<usize>> = Vec::new();
        for at in part {
            if !text.as_bytes()[at].is_ascii_digit() {
                continue;
            }
            match groups.last_mut() {
                Some(group) if group.end == at => group.end = at + 1,
                _ => groups.push(at..at + 1),
            }
        }
        Self { text, groups }
    }

    /// Returns the number of digits in a range of groups.
    fn digits(&self, first: usize, last: usize) -> usize {
        self.groups[first..=last]
            .iter()
            .map(ExactSizeIterator::len)
            .sum()
    }

    fn is_card(&self, first: usize, last: usize) -> bool {
        let groups = &self.groups[first..=last];
        let range = groups[0].start..self.groups[last].end;
        let is_laid_out = LAYOUTS.iter().any(|layout| {
            layout.len() == groups.len()
                && groups
                    .iter()
                    .zip(*layout)
                    .all(|(group, length)| group.len() == *length)
        });
        Digits::new(&self.text[range.clone()]).is_card()
            && (is_laid_out || !self.is_part_of_id(&range))
    }

    /// Returns `true` if this range is part of an id or of a fraction.
    fn is_part_of_id(&self, range: &Range<usize>) -> bool {
        let before = &self.text[..range.start];
        let touches = |c: Option<char>| c.is_some_and(char::is_alphanumeric);
        // The `n` of a line break that was printed as `\n` is no letter of an id.
        let is_escape = [r"\n", r"\r", r"\t"]
            .iter()
            .any(|escape| before.ends_with(escape));
        let is_fraction = before.strip_suffix('.').is_some_and(|whole| {
            whole.ends_with(|c: char| c.is_ascii_digit())
                && !self.text[range.clone()].contains([' ', '.', '-'])
        });
        (touches(before.chars().next_back()) && !is_escape)
            || touches(self.text[range.end..].chars().next())
            || is_fraction
            || self.is_in_a_uuid(range)
    }

    /// Returns `true` if this range is part of a UUID (RFC 9562: 8-4-4-4-12 hexadecimal digits). The search is limited to
    /// the length of a UUID.
    fn is_in_a_uuid(&self, range: &Range<usize>) -> bool {
        const LENGTH: usize = 36;
        let bytes = self.text.as_bytes();
        let is_of_one = |byte: &&u8| byte.is_ascii_hexdigit() || **byte == b'-';
        let before = bytes[..range.start].iter().rev().take(LENGTH);
        let behind = bytes[range.end..].iter().take(LENGTH);
        let start = range.start - before.take_while(is_of_one).count();
        let end = range.end + behind.take_while(is_of_one).count();
        let lengths = bytes[start..end]
            .split(|byte| *byte == b'-')
            .map(<[u8]>::len);
        lengths.eq([8, 4, 4, 4, 12])
    }
}

impl Digits {
    fn new(text: &str) -> Self {
        let mut digits = [0; MAX_DIGITS];
        let mut count = 0;
        for byte in text.bytes().filter(u8::is_ascii_digit) {
            if let Some(digit) = digits.get_mut(count) {
                *digit = byte - b'0';
            }
            count += 1;
        }
        Self { digits, count }
    }

    fn is_card(&self) -> bool {
        DIGITS.contains(&self.count) && self.is_issued() && self.has_check_digit()
    }

    /// Returns `true` if the prefix and the length are those of a card network (ISO/IEC 7812).
    fn is_issued(&self) -> bool {
        let six = self.digits[..6]
            .iter()
            .fold(0_u32, |number, digit| number * 10 + u32::from(*digit));
        let (four, three, two, one) = (six / 100, six / 1_000, six / 10_000, six / 100_000);
        let length = self.count;
        let is_visa = one == 4 && matches!(length, 13 | 16 | 19);
        let is_mastercard = length == 16 && (matches!(two, 51..=55) || matches!(four, 2221..=2720));
        let is_american_express = length == 15 && matches!(two, 34 | 37);
        let is_diners = (14..=19).contains(&length)
            && (matches!(three, 300..=305) || four == 3095 || matches!(two, 36 | 38 | 39));
        // Discover, JCB, UnionPay, RuPay, Mir.
        let is_another = (16..=19).contains(&length)
            && (matches!(two, 60 | 62 | 65 | 81 | 82)
                || matches!(three, 508 | 644..=649)
                || matches!(four, 2200..=2204 | 3528..=3589));
        let is_maestro = matches!(
            four,
            5018 | 5020 | 5038 | 5893 | 6304 | 6759 | 6761 | 6762 | 6763
        );
        is_visa || is_mastercard || is_american_express || is_diners || is_another || is_maestro
    }

    /// Returns `true` if the check digit is valid (ISO/IEC 7812-1, annex B).
    fn has_check_digit(&self) -> bool {
        let digits = self.digits[..self.count].iter().rev();
        let sum: u32 = digits
            .enumerate()
            .map(|(index, digit)| {
                let digit = u32::from(*digit) << (index % 2);
                if digit > 9 { digit - 9 } else { digit }
            })
            .sum();
        sum.is_multiple_of(10)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_a_card_by_network_length_and_check_digit() {
        for card in [
            4_111_111_111_111_111,
            4_222_222_222_222,
            5_555_555_555_554_444,
            2_223_003_122_003_222,
            378_282_246_310_005,
            6_011_111_111_111_117,
            30_569_309_025_904,
            3_530_111_333_300_000,
            6_200_000_000_000_005,
            2_200_770_239_097_761,
        ] {
            assert!(is_card(card), "{card}");
        }
        for other in [
            4_111_111_111_111_112,
            // Numbers with a valid check digit by chance.
            1_732_480_000_000_000_003,
            7_992_739_871_300_000_008,
            4_242,
            u64::MAX,
            0,
        ] {
            assert!(!is_card(other), "{other}");
        }
    }

    #[test]
    fn times_are_not_cards() {
        // Times from 2001 to 2096, in ms, µs and ns.
        for seconds in (1_000_000_000_u64..4_000_000_000).step_by(7_654_321) {
            if seconds / 1_000_000_000 == 1 {
                assert!(!is_card(seconds * 1_000_000_000 + 123_456_789), "{seconds}");
                assert!(!is_card(seconds * 1_000_000 + 123_456), "{seconds}");
                assert!(!is_card(seconds * 1_000 + 123), "{seconds}");
            }
        }
    }

    #[test]
    fn digits_in_a_uuid_are_not_a_card_and_the_search_is_bounded() {
        let found = |text: &str| cards(text, 0..text.len()).len();
        let card = "4111-1111-1111-1111";
        assert_eq!(found(card), 1);
        let id = "41111111-1111-1111-8111-111111111111";
        let part = |text: &str| {
            let run = Run::new(text, 0..text.len());
            run.is_in_a_uuid(&(14..28))
        };
        assert!(part(id) && !part(&format!("{id}-1")) && !part(&format!("1{id}")));
        // The number of steps is linear in the number of digits.
        let start = std::time::Instant::now();
        found(&"4-1-1-1-".repeat(64 << 10));
        assert!(start.elapsed().as_secs() < 20, "{:?}", start.elapsed());
    }
}
