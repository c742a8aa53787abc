//! Durations as people write them: `"90 s"`, `"72h"`, `"1 h 30 m"`.

use std::time::Duration;

const UNITS: [(&str, u64); 6] = [
    ("w", 604_800_000),
    ("d", 86_400_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1000),
    ("ms", 1),
];

/// Reads numbers with a unit each, and adds them up. The error says what would be right.
pub(crate) fn parse(text: &str) -> Result<Duration, String> {
    let wrong =
        || format!("{text:?} is not a duration; write a number and a unit (ms, s, m, h, d, w), such as \"90 s\", \"72h\" or \"1 h 30 m\"");
    let mut rest = text.trim();
    if rest.is_empty() {
        return Err(wrong());
    }
    let mut total_ms = 0_u64;
    while !rest.is_empty() {
        let (number, behind) = split(rest, |c| c.is_ascii_digit());
        let (unit, behind) = split(behind.trim_start(), |c| c.is_ascii_alphabetic());
        let number: u64 = number.parse().map_err(|_| wrong())?;
        if unit.is_empty() && behind.is_empty() {
            return Err(format!(
                "{text:?} has no unit (ms, s, m, h, d, w); did you mean \"{} s\"?",
                text.trim()
            ));
        }
        let (_, unit_ms) = UNITS.into_iter().find(|(name, _)| *name == unit).ok_or_else(wrong)?;
        total_ms = number
            .checked_mul(unit_ms)
            .and_then(|ms| total_ms.checked_add(ms))
            .ok_or_else(wrong)?;
        rest = behind.trim_start();
    }
    Ok(Duration::from_millis(total_ms))
}

/// Writes a duration in its largest whole unit, but no weeks, and days from the fourth on: `72h`, `14d`.
pub(crate) fn show(span: Duration) -> String {
    let ms = u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
    let fits = |(name, unit_ms): &(&str, u64)| match *name {
        "w" => false,
        "d" => ms % unit_ms == 0 && ms / unit_ms > 3,
        _ => ms % unit_ms == 0 && ms >= *unit_ms,
    };
    match UNITS.iter().find(|unit| fits(unit)) {
        Some((name, unit_ms)) => format!("{}{name}", ms / unit_ms),
        None => "0s".into(),
    }
}

fn split(text: &str, belongs: impl Fn(char) -> bool) -> (&str, &str) {
    text.split_at(text.find(|c| !belongs(c)).unwrap_or(text.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_reads_as_people_write_it() {
        for (text, ms) in [
            ("90 s", 90_000),
            ("15s", 15_000),
            ("72h", 259_200_000),
            ("14d", 1_209_600_000),
            ("2d", 172_800_000),
            ("1 h 30 m", 5_400_000),
            ("1h30m", 5_400_000),
            (" 250 ms ", 250),
            ("2w", 1_209_600_000),
            ("0s", 0),
        ] {
            assert_eq!(parse(text), Ok(Duration::from_millis(ms)), "{text}");
        }
    }

    #[test]
    fn a_wrong_duration_is_answered_with_an_example() {
        for (text, hint) in [
            ("90", "did you mean \"90 s\"?"),
            ("1 h 30", "did you mean"),
            ("", "such as \"90 s\""),
            ("soon", "such as \"90 s\""),
            ("-3 s", "such as \"90 s\""),
            ("1.5 h", "such as \"90 s\""),
            ("3 months", "such as \"90 s\""),
            ("99999999999999999999 d", "such as \"90 s\""),
        ] {
            let answer = parse(text).expect_err(text);
            assert!(
                answer.contains(hint) && answer.starts_with(&format!("{text:?}")),
                "{text}: {answer}"
            );
        }
    }

    #[test]
    fn what_is_shown_is_read_back() {
        for (text, shown) in [
            ("90 s", "90s"),
            ("72h", "72h"),
            ("2d", "48h"),
            ("336h", "14d"),
            ("1 h 30 m", "90m"),
            ("24h", "24h"),
            ("1 d 1 ms", "86400001ms"),
            ("0 d", "0s"),
        ] {
            let span = parse(text).expect(text);
            assert_eq!(show(span), shown, "{text}");
            assert_eq!(parse(&show(span)), Ok(span));
        }
    }
}
