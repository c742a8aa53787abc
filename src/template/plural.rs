//! Which form of a text goes with a number, by the plural rules of Unicode's CLDR (whole numbers; that is all that mails count).
//!
//! A rule becomes a condition of the template when a set is loaded, so that a mail pays a comparison for it.

/// A language's forms beside `other`, each with its condition, in which `n` is the number.
type Rules = &'static [(&'static str, &'static str)];

/// 1 alone is singular: English, German, Dutch, the Nordic languages, and any that is not listed.
const ONE: Rules = &[("one", "n == 1")];
/// 1 alone is singular, and whole millions are a form of their own: Spanish, Italian, Catalan.
const ONE_MANY: Rules = &[("many", "n != 0 and n % 1000000 == 0"), ("one", "n == 1")];
/// 0 and 1 are singular: French, Brazilian Portuguese.
const FEW_ARE_ONE: Rules = &[("many", "n != 0 and n % 1000000 == 0"), ("one", "n < 2")];
const ARABIC: Rules = &[
    ("few", "n % 100 >= 3 and n % 100 <= 10"),
    ("many", "n % 100 >= 11"),
    ("one", "n == 1"),
    ("two", "n == 2"),
    ("zero", "n == 0"),
];
const HEBREW: Rules = &[("one", "n == 1"), ("two", "n == 2")];
const CZECH: Rules = &[("few", "n >= 2 and n <= 4"), ("one", "n == 1")];
const POLISH: Rules = &[
    ("few", "n % 10 >= 2 and n % 10 <= 4 and (n % 100 < 12 or n % 100 > 14)"),
    ("many", "n != 1 and (n % 10 < 2 or n % 10 > 4 or (n % 100 >= 12 and n % 100 <= 14))"),
    ("one", "n == 1"),
];
const RUSSIAN: Rules = &[
    ("few", "n % 10 >= 2 and n % 10 <= 4 and (n % 100 < 12 or n % 100 > 14)"),
    ("many", "n % 10 == 0 or n % 10 >= 5 or (n % 100 >= 11 and n % 100 <= 14)"),
    ("one", "n % 10 == 1 and n % 100 != 11"),
];
const ROMANIAN: Rules = &[("few", "n == 0 or (n != 1 and n % 100 >= 1 and n % 100 <= 19)"), ("one", "n == 1")];
/// Numbers change nothing: Japanese, Chinese, Korean, Vietnamese, Thai, Indonesian.
const NONE: Rules = &[];

fn rules(language: &str) -> Rules {
    let primary = language.split('-').next().unwrap_or_default().to_ascii_lowercase();
    match primary.as_str() {
        "fr" | "pt" if !language.eq_ignore_ascii_case("pt-PT") => FEW_ARE_ONE,
        "pt" | "es" | "it" | "ca" => ONE_MANY,
        "ar" => ARABIC,
        "he" => HEBREW,
        "cs" | "sk" => CZECH,
        "pl" => POLISH,
        "ru" | "uk" | "be" => RUSSIAN,
        "ro" => ROMANIAN,
        "ja" | "zh" | "ko" | "vi" | "th" | "id" | "ms" => NONE,
        _ => ONE,
    }
}

/// Returns the forms of a language, `other` last.
pub(crate) fn categories(language: &str) -> Vec<&'static str> {
    rules(language).iter().map(|(name, _)| *name).chain(["other"]).collect()
}

/// Tells whether a message of that language may have that form: one of its categories, or one number.
pub(crate) fn is_form(language: &str, name: &str) -> bool {
    is_number(name) || categories(language).contains(&name)
}

/// Returns when that form is taken, as a condition on `variable`.
pub(crate) fn condition(language: &str, name: &str, variable: &str) -> String {
    if is_number(name) {
        return format!("{variable} == {name}");
    }
    let rule = rules(language)
        .iter()
        .find(|(category, _)| *category == name)
        .map_or("false", |(_, rule)| rule);
    rule.split(' ')
        .map(|word| match word {
            "n" => variable.to_owned(),
            "(n" => format!("({variable}"),
            word => word.to_owned(),
        })
        .collect::<Vec<_>>()
        .join(" ")
}

fn is_number(name: &str) -> bool {
    !name.is_empty() && name.len() < 10 && name.bytes().all(|b| b.is_ascii_digit())
}
