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
const SERBIAN: Rules = &[
    ("few", "n % 10 >= 2 and n % 10 <= 4 and (n % 100 < 12 or n % 100 > 14)"),
    ("one", "n % 10 == 1 and n % 100 != 11"),
];
const SLOVENE: Rules = &[
    ("few", "n % 100 == 3 or n % 100 == 4"),
    ("one", "n % 100 == 1"),
    ("two", "n % 100 == 2"),
];
const LITHUANIAN: Rules = &[
    ("few", "n % 10 >= 2 and (n % 100 < 11 or n % 100 > 19)"),
    ("one", "n % 10 == 1 and (n % 100 < 11 or n % 100 > 19)"),
];
const LATVIAN: Rules = &[
    ("one", "n % 10 == 1 and n % 100 != 11"),
    ("zero", "n % 10 == 0 or (n % 100 >= 11 and n % 100 <= 19)"),
];
const IRISH: Rules = &[
    ("few", "n >= 3 and n <= 6"),
    ("many", "n >= 7 and n <= 10"),
    ("one", "n == 1"),
    ("two", "n == 2"),
];
const WELSH: Rules = &[
    ("few", "n == 3"),
    ("many", "n == 6"),
    ("one", "n == 1"),
    ("two", "n == 2"),
    ("zero", "n == 0"),
];
const MALTESE: Rules = &[
    ("few", "n == 0 or (n % 100 >= 3 and n % 100 <= 10)"),
    ("many", "n % 100 >= 11 and n % 100 <= 19"),
    ("one", "n == 1"),
    ("two", "n == 2"),
];
/// 1, 21, 31 … are singular: Icelandic, Macedonian.
const ENDS_IN_ONE: Rules = &[("one", "n % 10 == 1 and n % 100 != 11")];
/// 0 and 1 are singular, and there are no further forms: Persian, Hindi.
const UP_TO_ONE: Rules = &[("one", "n < 2")];
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
        "sr" | "hr" | "bs" => SERBIAN,
        "sl" => SLOVENE,
        "lt" => LITHUANIAN,
        "lv" => LATVIAN,
        "ga" => IRISH,
        "cy" => WELSH,
        "mt" => MALTESE,
        "is" | "mk" => ENDS_IN_ONE,
        "fa" | "hi" => UP_TO_ONE,
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes the form as a template does: the first whose condition holds, in the order of names.
    fn form(language: &str, n: i64) -> String {
        let mut engine = tera::Tera::new();
        let mut template = String::new();
        for name in categories(language).into_iter().filter(|name| *name != "other") {
            let keyword = if template.is_empty() { "if" } else { "elif" };
            template.push_str(&format!("{{% {keyword} {} %}}{name}", condition(language, name, "lead.n")));
        }
        template = if template.is_empty() {
            "other".to_owned()
        } else {
            format!("{template}{{% else %}}other{{% endif %}}")
        };
        engine.add_raw_template("t", &template).unwrap();
        let context = tera::Context::from_serialize(&serde_json::json!({ "lead": { "n": n } })).unwrap();
        engine.render("t", &context).unwrap()
    }

    /// A form, and numbers that take it.
    type Forms = &'static [(&'static str, &'static [i64])];

    /// The samples that CLDR gives with its rules (plurals.xml, integers).
    #[test]
    fn numbers_take_the_form_that_cldr_says() {
        let cases: [(&str, Forms); 12] = [
            ("en", &[("one", &[1]), ("other", &[0, 2, 11, 101, 1_000_000])]),
            ("de-AT", &[("one", &[1]), ("other", &[0, 2, 21])]),
            (
                "fr",
                &[("one", &[0, 1]), ("many", &[1_000_000, 2_000_000]), ("other", &[2, 17, 100])],
            ),
            ("es", &[("one", &[1]), ("many", &[1_000_000]), ("other", &[0, 2, 16, 100])]),
            ("pt-BR", &[("one", &[0, 1]), ("other", &[2, 10])]),
            ("pt-PT", &[("one", &[1]), ("other", &[0, 2])]),
            (
                "ar",
                &[
                    ("zero", &[0]),
                    ("one", &[1]),
                    ("two", &[2]),
                    ("few", &[3, 10, 103, 110, 1003]),
                    ("many", &[11, 26, 99, 111, 1011]),
                    ("other", &[100, 102, 200, 202, 1000, 1_000_000]),
                ],
            ),
            ("cs", &[("one", &[1]), ("few", &[2, 4]), ("other", &[0, 5, 19, 100])]),
            (
                "pl",
                &[("one", &[1]), ("few", &[2, 4, 22, 104]), ("many", &[0, 5, 12, 14, 21, 100, 112])],
            ),
            (
                "ru",
                &[
                    ("one", &[1, 21, 101]),
                    ("few", &[2, 4, 22, 102]),
                    ("many", &[0, 5, 11, 14, 19, 100, 111]),
                ],
            ),
            (
                "ro",
                &[("one", &[1]), ("few", &[0, 2, 16, 101, 119]), ("other", &[20, 35, 100, 1000])],
            ),
            ("ja", &[("other", &[0, 1, 2, 100])]),
        ];
        for (language, forms) in cases {
            for (name, numbers) in forms {
                for n in *numbers {
                    assert_eq!(form(language, *n), *name, "{language}: {n}");
                }
            }
        }
    }

    /// Against Node's Intl, as `tests/data/cldr.csv` has it.
    #[test]
    fn every_language_of_the_table_follows_cldr() {
        let mut wrong = Vec::new();
        for row in csv::Reader::from_reader(include_str!("../../tests/data/cldr.csv").as_bytes()).records() {
            let row = row.unwrap();
            if &row[1] != "plural" {
                continue;
            }
            let (language, name) = (&row[0], &row[2]);
            let holds = |n: &str| {
                let first = categories(language).into_iter().find(|form| {
                    let mut engine = tera::Tera::new();
                    let condition = if *form == "other" {
                        "true".to_owned()
                    } else {
                        condition(language, form, "n")
                    };
                    engine
                        .add_raw_template("t", &format!("{{% if {condition} %}}y{{% endif %}}"))
                        .unwrap();
                    let context = tera::Context::from_serialize(&serde_json::json!({ "n": n.parse::<i64>().unwrap() })).unwrap();
                    engine.render("t", &context).unwrap() == "y"
                });
                first == Some(name)
            };
            // Each form once, at its smallest and its largest number, and at some between: the engine is slow to build.
            let numbers: Vec<&str> = row[4].split(' ').collect();
            let step = (numbers.len() / 12).max(1);
            wrong.extend(
                numbers
                    .iter()
                    .step_by(step)
                    .chain(numbers.last())
                    .filter(|n| !holds(n))
                    .map(|n| format!("{language}: {n} is {name}")),
            );
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    }
}
