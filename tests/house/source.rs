//! Reads Rust well enough to judge it by words: comments and literals are told apart from code, and test code from what ships.

/// A source file, taken apart. All three texts have the same lines as the file, so that a position is a line in each.
pub struct Source {
    /// Path below the repository, with `/`.
    pub path: String,
    /// The file as it is written.
    pub text: String,
    /// The code alone: comments and the insides of literals are blanks.
    pub code: String,
    /// The code that ships: as `code`, without the items under `#[cfg(test)]`.
    pub shipped: String,
    /// The string literals of the code that ships, with their first line.
    pub literals: Vec<(usize, String)>,
}

impl Source {
    /// Takes a file apart.
    pub fn new(path: &str, text: &str) -> Self {
        let (code, literals) = blank(text);
        let is_test_file =
            path.starts_with("tests/") || path.contains("/tests/") || path.ends_with("/tests.rs") || path.ends_with("/testing.rs");
        let shipped = if is_test_file { blanks(&code) } else { without_tests(&code) };
        let ships = |at: &usize| shipped.as_bytes().get(*at) == Some(&b'"');
        let literals = literals
            .into_iter()
            .filter(|(at, _)| ships(at))
            .map(|(at, literal)| (line_of(text, at), literal))
            .collect();
        Self {
            path: path.into(),
            text: text.into(),
            code,
            shipped,
            literals,
        }
    }

    /// Returns the room that the file belongs to: `src/store/leads.rs` → `store`, `src/time.rs` → `time`.
    pub fn room(&self) -> Option<&str> {
        let below = self.path.strip_prefix("src/")?;
        let room = below.split('/').next()?;
        Some(room.strip_suffix(".rs").unwrap_or(room)).filter(|room| !matches!(*room, "lib" | "main"))
    }

    /// Returns the lines on which `word` stands in the code that ships, as a word of its own.
    pub fn lines_with(&self, word: &str) -> Vec<usize> {
        occurrences(&self.shipped, word)
            .into_iter()
            .map(|at| line_of(&self.shipped, at))
            .collect()
    }
}

/// Returns the line (from 1) of a position.
pub fn line_of(text: &str, at: usize) -> usize {
    text.as_bytes()[..at].iter().filter(|byte| **byte == b'\n').count() + 1
}

/// Returns where `word` stands, not as a part of a longer name.
pub fn occurrences(code: &str, word: &str) -> Vec<usize> {
    let is_name = |byte: Option<&u8>| byte.is_some_and(|byte| byte.is_ascii_alphanumeric() || *byte == b'_');
    let (starts, ends) = (word.as_bytes().first(), word.as_bytes().last());
    let bytes = code.as_bytes();
    let found = code.match_indices(word).map(|(at, _)| at);
    found
        .filter(|at| !(is_name(starts) && *at > 0 && is_name(bytes.get(at - 1))))
        .filter(|at| !(is_name(ends) && is_name(bytes.get(at + word.len()))))
        .collect()
}

fn blanks(text: &str) -> String {
    text.chars().map(|character| if character == '\n' { '\n' } else { ' ' }).collect()
}

/// Blanks comments and the insides of literals, byte by byte, and returns the string literals with the position of their opening quote.
fn blank(text: &str) -> (String, Vec<(usize, String)>) {
    let bytes = text.as_bytes();
    let mut code = bytes.to_vec();
    let mut literals = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let rest = &text[at..];
        let end = if rest.starts_with("//") {
            at + rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            at + block_comment(rest)
        } else if let Some(hashes) = raw_string(text, at) {
            let close = format!("\"{}", "#".repeat(hashes));
            let open = at + rest.find('"').unwrap_or(0);
            let inside = &text[open + 1..];
            let length = inside.find(&close).unwrap_or(inside.len());
            literals.push((open, inside[..length].to_owned()));
            wipe(&mut code, open + 1, open + 1 + length);
            at = open + 1 + length + close.len();
            continue;
        } else if let Some(inside) = rest.strip_prefix('"') {
            let length = quoted(inside);
            literals.push((at, inside[..length].to_owned()));
            wipe(&mut code, at + 1, at + 1 + length);
            at += length + 2;
            continue;
        } else if rest.starts_with('\'') {
            let length = character(rest);
            wipe(&mut code, at + 1, at + length);
            at += length.max(1);
            continue;
        } else {
            at += rest.chars().next().map_or(1, char::len_utf8);
            continue;
        };
        wipe(&mut code, at, end);
        at = end;
    }
    (String::from_utf8_lossy(&code).into_owned(), literals)
}

fn wipe(code: &mut [u8], from: usize, to: usize) {
    let to = to.min(code.len());
    for byte in &mut code[from.min(to)..to] {
        if *byte != b'\n' {
            *byte = b' ';
        }
    }
}

/// Length of a block comment, which may hold others.
fn block_comment(rest: &str) -> usize {
    let (mut depth, mut at) = (0_usize, 0);
    let bytes = rest.as_bytes();
    while at + 1 < bytes.len() {
        match &bytes[at..at + 2] {
            b"/*" => {
                depth += 1;
                at += 2;
            }
            b"*/" => {
                depth -= 1;
                at += 2;
                if depth == 0 {
                    return at;
                }
            }
            _ => at += 1,
        }
    }
    rest.len()
}

/// How many `#` a raw string that begins here has; `None` if none begins.
fn raw_string(text: &str, at: usize) -> Option<usize> {
    let before = text[..at].chars().next_back();
    if before.is_some_and(|character| character.is_alphanumeric() || character == '_') {
        return None;
    }
    let rest = text[at..].strip_prefix("br").or_else(|| text[at..].strip_prefix('r'))?;
    let hashes = rest.bytes().take_while(|byte| *byte == b'#').count();
    rest[hashes..].starts_with('"').then_some(hashes)
}

/// Length of what stands up to the closing quote.
fn quoted(inside: &str) -> usize {
    let mut escaped = false;
    for (at, character) in inside.char_indices() {
        match character {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return at,
            _ => {}
        }
    }
    inside.len()
}

/// Length of a character literal up to its closing quote, or 0 where a lifetime begins.
fn character(rest: &str) -> usize {
    let mut characters = rest.char_indices().skip(1);
    match characters.next() {
        Some((_, '\\')) => rest[3..].find('\'').map_or(0, |at| at + 4),
        Some(_) => characters.next().filter(|(_, second)| *second == '\'').map_or(0, |(at, _)| at + 1),
        None => 0,
    }
}

/// Blanks each item under `#[cfg(test)]`: up to its closing brace, or to the semicolon that ends it.
fn without_tests(code: &str) -> String {
    let mut bytes = code.as_bytes().to_vec();
    for (from, attribute) in code.match_indices("#[cfg(test)]") {
        let mut depth = 0_usize;
        let mut to = code.len();
        for (offset, byte) in code.bytes().enumerate().skip(from + attribute.len()) {
            match byte {
                b'{' => depth += 1,
                b'}' if depth > 1 => depth -= 1,
                b'}' => {
                    to = offset + 1;
                    break;
                }
                b';' if depth == 0 => {
                    to = offset + 1;
                    break;
                }
                _ => {}
            }
        }
        wipe(&mut bytes, from, to);
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[test]
fn comments_and_literals_are_told_apart_from_code() {
    let text = "let a = \"x.unwrap() \\\" // no\"; // .unwrap()\nlet b = r#\"select \"1\" from t\"#; /* todo!() /* nested */ */ let c = '\"'; let d: &'static str = b\"y\";\n";
    let source = Source::new("src/app/x.rs", text);
    assert_eq!(source.code.len(), text.len());
    assert!(
        !source.code.contains("unwrap") && !source.code.contains("todo!") && !source.code.contains("select"),
        "{}",
        source.code
    );
    assert!(
        source.code.contains("let c =") && source.code.contains("let d: &'static str"),
        "{}",
        source.code
    );
    let literals: Vec<(usize, &str)> = source.literals.iter().map(|(line, literal)| (*line, literal.as_str())).collect();
    assert_eq!(literals, [(1, "x.unwrap() \\\" // no"), (2, "select \"1\" from t"), (2, "y")]);
}

#[test]
fn what_stands_under_cfg_test_does_not_ship() {
    let text = "fn a() {}\n#[cfg(test)]\nuse crate::x::{Y, Z};\nfn b() {}\n#[cfg(test)]\nmod tests {\n    fn c() { if true { \"{\"; } }\n}\nfn d() {}\n";
    let source = Source::new("src/app/x.rs", text);
    for (function, ships) in [("fn a", true), ("fn b", true), ("fn c", false), ("fn d", true), ("crate::x", false)] {
        assert_eq!(source.shipped.contains(function), ships, "{function}\n{}", source.shipped);
    }
    assert_eq!(Source::new("src/store/testing.rs", text).shipped.trim(), "");
}
