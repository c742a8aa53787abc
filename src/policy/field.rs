//! One field of a cron expression: which values it names, or what is wrong with it in words that lead to the right ones.
//!
//! The `cron` crate reads another dialect (weekday 1 is Sunday, no wrapping ranges) and answers a wrong field with the parser's position
//! in it. So a field is read here, and the crate is given the values one by one.

/// What a field may hold.
pub(super) struct Field {
    /// As the operator's manual calls it.
    name: &'static str,
    /// What is right, for the error text.
    allowed: &'static str,
    min: u32,
    max: u32,
    /// Names of the values from `min` on.
    names: &'static [&'static str],
    /// Whether the value after `max` is `min` again, and `max + 1` is another spelling of `min` (weekday 7).
    is_cyclic: bool,
}

pub(super) const WEEKDAYS: [&str; 7] = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];
const MONTHS: [&str; 12] = ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"];

pub(super) const MINUTE: Field = Field {
    name: "minute",
    allowed: "0 to 59",
    min: 0,
    max: 59,
    names: &[],
    is_cyclic: false,
};
pub(super) const HOUR: Field = Field {
    name: "hour",
    allowed: "0 to 23",
    min: 0,
    max: 23,
    names: &[],
    is_cyclic: false,
};
pub(super) const DAY: Field = Field {
    name: "day of month",
    allowed: "1 to 31",
    min: 1,
    max: 31,
    names: &[],
    is_cyclic: false,
};
pub(super) const MONTH: Field = Field {
    name: "month",
    allowed: "1 to 12 or JAN to DEC",
    min: 1,
    max: 12,
    names: &MONTHS,
    is_cyclic: false,
};
pub(super) const WEEKDAY: Field = Field {
    name: "weekday",
    allowed: "0 to 7 or SUN to SAT",
    min: 0,
    max: 6,
    names: &WEEKDAYS,
    is_cyclic: true,
};

/// The values that a field names.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Values(u64);

impl Values {
    pub(super) fn contains(self, value: u32) -> bool {
        self.0 & (1 << value) != 0
    }

    pub(super) fn iter(self) -> impl Iterator<Item = u32> {
        (0..64).filter(move |value| self.contains(*value))
    }

    fn insert(&mut self, value: u32) {
        self.0 |= 1 << value;
    }
}

impl Field {
    /// Returns every value.
    pub(super) fn all(&self) -> Values {
        let mut values = Values::default();
        (self.min..=self.max).for_each(|value| values.insert(value));
        values
    }

    /// Reads `*`, values, ranges and steps, in a list.
    ///
    /// # Errors
    /// What is wrong and what would be right, as a sentence that goes on after the expression.
    pub(super) fn parse(&self, text: &str) -> Result<Values, String> {
        let mut values = Values::default();
        for item in text.split(',') {
            let (range, step) = match item.split_once('/') {
                Some((range, step)) => (range, Some(self.step(step)?)),
                None => (item, None),
            };
            let (first, last) = self.range(range, step)?;
            for value in (first..=last).step_by(step.unwrap_or(1)) {
                values.insert(self.min + (value - self.min) % self.n_values());
            }
        }
        Ok(values)
    }

    fn n_values(&self) -> u32 {
        self.max - self.min + 1
    }

    fn step(&self, text: &str) -> Result<usize, String> {
        let n_values = self.n_values();
        match number(text) {
            Some(step) if (1..=n_values).contains(&step) => Ok(step as usize),
            _ => Err(format!("{} step {:?} is not 1 to {n_values}", self.name, cut(text))),
        }
    }

    /// Returns the ends of a range, the last one beyond `max` where the range wraps.
    fn range(&self, text: &str, step: Option<usize>) -> Result<(u32, u32), String> {
        if text == "*" {
            return Ok((self.min, self.max));
        }
        let Some((first, last)) = text.split_once('-') else {
            let value = self.value(text)?;
            return match step {
                None => Ok((value, value)),
                // Some crons run this to the end of the field, others take the one value: nobody can know what was meant.
                Some(step) => Err(format!(
                    "{} \"{text}/{step}\" steps from one value; write {text}-{}/{step}",
                    self.name, self.max
                )),
            };
        };
        match (self.value(first)?, self.value(last)?) {
            (first, last) if first <= last => Ok((first, last)),
            (first, last) if self.is_cyclic => Ok((first, last + self.n_values())),
            (first, last) => Err(format!(
                "{} \"{text}\" runs backwards; write {first}-{},{}-{last}",
                self.name, self.max, self.min
            )),
        }
    }

    fn value(&self, text: &str) -> Result<u32, String> {
        let named = self
            .names
            .iter()
            .zip(self.min..)
            .find(|(name, _)| name.eq_ignore_ascii_case(text))
            .map(|(_, value)| value);
        let max = self.max + u32::from(self.is_cyclic);
        match named.or_else(|| number(text)) {
            Some(value) if (self.min..=max).contains(&value) => Ok(value),
            _ => Err(format!("{} {:?} is not {}", self.name, cut(text), self.allowed)),
        }
    }
}

/// Returns as much of a value as an error shows (conventions, Errors).
pub(super) fn cut(text: &str) -> String {
    text.chars().take(80).collect()
}

/// Reads digits and nothing else: `parse` alone would take `+5`.
fn number(text: &str) -> Option<u32> {
    let is_digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if is_digits { text.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// R-DIGEST: the fields of POSIX, with names and wrapping weekdays.
    #[test]
    fn a_field_names_its_values_or_says_what_would_be_right() {
        type Expected = Result<&'static [u32], &'static str>;
        let cases: [(&Field, &str, Expected); 30] = [
            (&MINUTE, "*/20", Ok(&[0, 20, 40])),
            (&MINUTE, "5,10-12", Ok(&[5, 10, 11, 12])),
            (&MINUTE, "10-59/25", Ok(&[10, 35])),
            (&MINUTE, "*/60", Ok(&[0])),
            (&HOUR, "07", Ok(&[7])),
            (&MONTH, "jan,Mar-MAY", Ok(&[1, 3, 4, 5])),
            (&WEEKDAY, "0", Ok(&[0])),
            (&WEEKDAY, "7", Ok(&[0])),
            (&WEEKDAY, "mon-FRI", Ok(&[1, 2, 3, 4, 5])),
            (&WEEKDAY, "FRI-SUN", Ok(&[0, 5, 6])),
            (&WEEKDAY, "5-7", Ok(&[0, 5, 6])),
            (&WEEKDAY, "7-2", Ok(&[0, 1, 2])),
            (&WEEKDAY, "0-7", Ok(&[0, 1, 2, 3, 4, 5, 6])),
            (&WEEKDAY, "FRI-MON/2", Ok(&[0, 5])),
            (&WEEKDAY, "*/2", Ok(&[0, 2, 4, 6])),
            (&MINUTE, "60", Err(r#"minute "60" is not 0 to 59"#)),
            (&MINUTE, "-1", Err(r#"minute "" is not 0 to 59"#)),
            (&MINUTE, "+5", Err(r#"minute "+5" is not 0 to 59"#)),
            (&MINUTE, "99999999999", Err(r#"minute "99999999999" is not 0 to 59"#)),
            (&MINUTE, "1,,2", Err(r#"minute "" is not 0 to 59"#)),
            (&MINUTE, "*/0", Err(r#"minute step "0" is not 1 to 60"#)),
            (&MINUTE, "*/x", Err(r#"minute step "x" is not 1 to 60"#)),
            (&MINUTE, "*/61", Err(r#"minute step "61" is not 1 to 60"#)),
            (&MINUTE, "5/20", Err(r#"minute "5/20" steps from one value; write 5-59/20"#)),
            (&HOUR, "24", Err(r#"hour "24" is not 0 to 23"#)),
            (&HOUR, "22-2", Err(r#"hour "22-2" runs backwards; write 22-23,0-2"#)),
            (&DAY, "L", Err(r#"day of month "L" is not 1 to 31"#)),
            (&DAY, "0", Err(r#"day of month "0" is not 1 to 31"#)),
            (&MONTH, "13", Err(r#"month "13" is not 1 to 12 or JAN to DEC"#)),
            (&WEEKDAY, "Monday", Err(r#"weekday "Monday" is not 0 to 7 or SUN to SAT"#)),
        ];
        let wrong: Vec<_> = cases
            .into_iter()
            .map(|(field, text, expected)| (text, field.parse(text).map(|values| values.iter().collect::<Vec<_>>()), expected))
            .filter(|(_, found, expected)| *found != expected.map(<[u32]>::to_vec).map_err(str::to_owned))
            .collect();
        assert!(wrong.is_empty(), "{wrong:#?}");
    }
}
