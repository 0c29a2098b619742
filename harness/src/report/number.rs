//! Numbers as a reader wants them: three significant digits, the unit that fits, thousands apart.
//!
//! Whatever is no number (NaN, infinity) is a dash.

/// What stands where there is no number.
pub(super) const NONE: &str = "–";

/// Nanoseconds, in the unit that fits: `34.2 ns`, `1.2 µs`, `15 ms`.
pub(super) fn time(ns: f64) -> String {
    scaled(ns, &[(1.0, "ns"), (1e3, "µs"), (1e6, "ms"), (1e9, "s")])
}

/// Bytes, in the unit that fits.
pub(super) fn bytes(bytes: f64) -> String {
    let kib = 1024.0;
    scaled(bytes, &[(1.0, "B"), (kib, "KiB"), (kib * kib, "MiB"), (kib * kib * kib, "GiB")])
}

/// A rate or a count where its order of magnitude is what counts: `1.25M`.
pub(super) fn short(value: f64) -> String {
    scaled(value, &[(1.0, ""), (1e3, "k"), (1e6, "M"), (1e9, "G")]).replace(' ', "")
}

/// A value in a unit of the document; nanoseconds and bytes are scaled, whatever else is written out.
pub(super) fn with_unit(value: f64, unit: &str) -> String {
    match unit.split_once(' ').unwrap_or((unit, "")) {
        ("ns" | "nanoseconds", _) => time(value),
        ("bytes" | "B", _) => bytes(value),
        ("", _) => plain(value),
        _ => format!("{} {unit}", plain(value)),
    }
}

/// How often one is the other: `1.25×`.
pub(super) fn ratio(value: f64) -> String {
    if value.is_finite() { format!("{}×", plain(value)) } else { NONE.to_owned() }
}

/// A count, in full: `1,000,000`.
pub(super) fn count(value: u64) -> String {
    thousands(&value.to_string())
}

/// Three significant digits, but no digit before the point left out: `0.0123`, `34.2`, `1,197`.
pub(super) fn plain(value: f64) -> String {
    if !value.is_finite() {
        return NONE.to_owned();
    }
    let size = value.abs();
    if size >= 1e15 {
        return format!("{value:.2e}");
    }
    let decimals = match size {
        _ if size == 0.0 || size >= 99.95 => 0,
        _ if size >= 9.995 => 1,
        _ if size >= 0.9995 => 2,
        _ if size >= 0.09995 => 3,
        _ if size >= 0.009995 => 4,
        _ => return format!("{value:.1e}"),
    };
    let text = format!("{value:.decimals$}");
    let (whole, rest) = text.split_once('.').unwrap_or((&text, ""));
    let rest = rest.trim_end_matches('0');
    let point = if rest.is_empty() { "" } else { "." };
    format!("{}{point}{rest}", thousands(whole))
}

/// The day and the minute of a second since 1970, UTC.
pub(super) fn moment(unix_seconds: u64) -> String {
    let days = unix_seconds / 86_400;
    let (hour, minute) = (unix_seconds / 3600 % 24, unix_seconds / 60 % 60);
    // A year that begins in March has its leap day last: 1970-01-01 is day 719,468 since 0000-03-01.
    let days = days.saturating_add(719_468);
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let date = day - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = era * 400 + year + u64::from(month <= 2);
    format!("{year:04}-{month:02}-{date:02} {hour:02}:{minute:02} UTC")
}

fn scaled(value: f64, units: &[(f64, &str)]) -> String {
    if !value.is_finite() {
        return NONE.to_owned();
    }
    // A value that rounds up to the next unit is written in that unit.
    let fitting = units.iter().rev().find(|(size, _)| value.abs() >= size * 0.9995).or(units.first());
    let (size, name) = fitting.copied().unwrap_or((1.0, ""));
    format!("{} {name}", plain(value / size)).trim_end().to_owned()
}

fn thousands(digits: &str) -> String {
    let mut text = String::with_capacity(digits.len() * 4 / 3 + 1);
    for (place, digit) in digits.chars().enumerate() {
        let left = digits.len() - place;
        if place > 0 && left.is_multiple_of(3) && !text.ends_with('-') {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_keep_three_significant_digits_and_the_unit_that_fits() {
        let times = [0.0, 0.034, 34.0, 34.25, 999.4, 999.9, 1_234.0, 15e6, 2.5e9];
        let texts = ["0 ns", "0.034 ns", "34 ns", "34.2 ns", "999 ns", "1 µs", "1.23 µs", "15 ms", "2.5 s"];
        assert_eq!(times.map(time), texts);
        assert_eq!([0.0, 88.0, 1536.0].map(bytes), ["0 B", "88 B", "1.5 KiB"]);
        assert_eq!([1.0, 1e5, 1.25e6].map(short), ["1", "100k", "1.25M"]);
        assert_eq!([-1197.4, -117.0, 1e6].map(plain), ["-1,197", "-117", "1,000,000"]);
        assert_eq!(ratio(0.5), "0.5×");
        assert_eq!(with_unit(1500.0, "ns per change"), "1.5 µs");
        assert_eq!(with_unit(3.0, "changes/s"), "3 changes/s");
    }

    #[test]
    fn what_is_no_number_is_a_dash_and_a_huge_one_is_short() {
        for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            assert_eq!([time(value), bytes(value), short(value), plain(value), ratio(value)], [NONE; 5]);
        }
        assert!(time(f64::MAX).len() < 16 && plain(f64::MIN_POSITIVE).len() < 16);
    }

    #[test]
    fn a_moment_is_a_date_of_the_calendar() {
        assert_eq!(moment(0), "1970-01-01 00:00 UTC");
        assert_eq!(moment(951_782_400), "2000-02-29 00:00 UTC");
        assert_eq!(moment(1_795_492_345), "2026-11-24 03:52 UTC");
        assert!(moment(u64::MAX).ends_with("UTC"));
    }
}
