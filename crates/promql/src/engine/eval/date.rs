//! Converts seconds since the epoch to a date of the proleptic Gregorian calendar, in UTC.
//!
//! As in Go, each `i64` is a date: NaN and infinities give a date in the far past instead of an error.

/// The days from 1 January of the year `FIRST_YEAR` to the epoch.
const DAYS_TO_EPOCH: u64 = CYCLES_TO_YEAR_ONE * DAYS_PER_CYCLE + 719_162;
/// The cycles of 400 years from `FIRST_YEAR` to the year 1.
const CYCLES_TO_YEAR_ONE: u64 = 730_692_556;
const FIRST_YEAR: i64 = 1 - 292_277_022_400;
const DAYS_PER_CYCLE: u64 = 146_097;
const DAYS_PER_CENTURY: u64 = 36_524;
const DAYS_PER_FOUR_YEARS: u64 = 1461;
const SECONDS_PER_DAY: u64 = 86_400;

/// A date and time of day.
#[derive(Clone, Copy, Debug)]
pub(super) struct Date {
    year: i64,
    /// The month, January being 0.
    day_of_year: u64,
    days: u64,
    second_of_day: u64,
}

/// Converts seconds since the epoch, without their fraction.
pub(super) fn of(seconds: f64) -> Date {
    #[expect(clippy::cast_possible_truncation, reason = "cut off as Go does")]
    let whole = if seconds.is_nan() || seconds.abs() >= 9.223_372_036_854_776e18 {
        // Go's conversion on amd64 gives this value.
        i64::MIN
    } else {
        seconds as i64
    };
    let since_first = whole
        .cast_unsigned()
        .wrapping_add(DAYS_TO_EPOCH.wrapping_mul(SECONDS_PER_DAY));
    let days = since_first / SECONDS_PER_DAY;
    let cycles = days / DAYS_PER_CYCLE;
    let mut rest = days % DAYS_PER_CYCLE;
    // The last century of a cycle and the last year of four years are a day longer.
    let centuries = (rest / DAYS_PER_CENTURY).min(3);
    rest -= centuries * DAYS_PER_CENTURY;
    let fours = rest / DAYS_PER_FOUR_YEARS;
    rest -= fours * DAYS_PER_FOUR_YEARS;
    let years = (rest / 365).min(3);
    rest -= years * 365;
    let year =
        FIRST_YEAR.wrapping_add((cycles * 400 + centuries * 100 + fours * 4 + years).cast_signed());
    Date {
        year,
        day_of_year: rest,
        days,
        second_of_day: since_first % SECONDS_PER_DAY,
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "all but the farthest years are exact"
)]
impl Date {
    fn months(self) -> [u64; 12] {
        let is_leap = self.year % 4 == 0 && (self.year % 100 != 0 || self.year % 400 == 0);
        let february = if is_leap { 29 } else { 28 };
        [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
    }

    /// Returns the month and the day of the month, both from 0.
    fn month_and_day(self) -> (usize, u64) {
        let mut rest = self.day_of_year;
        for (month, days) in self.months().into_iter().enumerate() {
            if rest < days {
                return (month, rest);
            }
            rest -= days;
        }
        (11, rest)
    }

    pub(super) fn year(self) -> f64 {
        self.year as f64
    }

    pub(super) fn month(self) -> f64 {
        (self.month_and_day().0 + 1) as f64
    }

    pub(super) fn day_of_month(self) -> f64 {
        (self.month_and_day().1 + 1) as f64
    }

    pub(super) fn days_in_month(self) -> f64 {
        self.months()[self.month_and_day().0] as f64
    }

    pub(super) fn day_of_year(self) -> f64 {
        (self.day_of_year + 1) as f64
    }

    /// Returns the day of the week, Sunday being 0. The first day of a cycle is a Monday.
    pub(super) fn day_of_week(self) -> f64 {
        ((self.days + 1) % 7) as f64
    }

    pub(super) fn hour(self) -> f64 {
        (self.second_of_day / 3600) as f64
    }

    pub(super) fn minute(self) -> f64 {
        (self.second_of_day / 60 % 60) as f64
    }
}

#[cfg(test)]
#[allow(
    clippy::unwrap_used,
    clippy::float_cmp,
    clippy::cast_precision_loss,
    clippy::cast_possible_wrap,
    clippy::cast_possible_truncation,
    reason = "a test that cannot go on says so by panicking, and its numbers are small"
)]
mod tests {
    use super::of;

    #[test]
    fn dates_around_leap_days_are_right() {
        let check = |seconds: f64, expected: [f64; 6]| {
            let date = of(seconds);
            let got = [
                date.year(),
                date.month(),
                date.day_of_month(),
                date.day_of_week(),
                date.day_of_year(),
                date.days_in_month(),
            ];
            assert_eq!(got, expected, "{seconds}");
        };
        check(0.0, [1970.0, 1.0, 1.0, 4.0, 1.0, 31.0]);
        check(951_782_400.0, [2000.0, 2.0, 29.0, 2.0, 60.0, 29.0]);
        check(1_709_251_199.0, [2024.0, 2.0, 29.0, 4.0, 60.0, 29.0]);
        check(4_107_542_400.0, [2100.0, 3.0, 1.0, 1.0, 60.0, 31.0]);
        check(-1.0, [1969.0, 12.0, 31.0, 3.0, 365.0, 31.0]);
        assert_eq!((of(3661.0).hour(), of(3661.0).minute()), (1.0, 1.0));
        assert!(of(f64::NAN).year().is_finite());
    }
}
