//! A page for people: headings, sentences and facts, wrapped where a classic terminal ends.

use std::fmt;

/// Columns of a classic terminal.
const WIDTH: usize = 80;

/// A page that is being written.
#[derive(Debug, Default)]
pub(crate) struct Page {
    text: String,
}

impl Page {
    /// Writes a heading, after an empty line unless it is the first.
    pub(crate) fn heading(&mut self, text: impl fmt::Display) {
        if !self.text.is_empty() {
            self.text.push('\n');
        }
        self.wrapped(&text.to_string(), "", "");
    }

    /// Writes a sentence.
    pub(crate) fn say(&mut self, text: impl fmt::Display) {
        self.wrapped(&text.to_string(), "", "");
    }

    /// Writes a fact below a heading.
    pub(crate) fn fact(&mut self, text: impl fmt::Display) {
        self.wrapped(&text.to_string(), "  ", "    ");
    }

    /// Writes what belongs to a fact.
    pub(crate) fn detail(&mut self, text: impl fmt::Display) {
        self.wrapped(&text.to_string(), "    ", "      ");
    }

    /// Writes what belongs to a detail.
    pub(crate) fn deep(&mut self, text: impl fmt::Display) {
        self.wrapped(&text.to_string(), "      ", "        ");
    }

    /// Writes a fact with its name before it.
    pub(crate) fn field(&mut self, name: &str, value: impl fmt::Display) {
        self.wrapped(&format!("{name:<12} {value}"), "  ", "               ");
    }

    /// Returns the page without its last line end.
    pub(crate) fn end(self) -> String {
        self.text.trim_end().to_owned()
    }

    fn wrapped(&mut self, text: &str, first: &str, rest: &str) {
        let mut line = first.to_owned();
        let mut is_empty = true;
        // Split at blanks one by one, so that the blanks that align a field stay.
        for word in text.split(' ') {
            if !is_empty && line.chars().count() + 1 + word.chars().count() > WIDTH {
                self.text.push_str(line.trim_end());
                self.text.push('\n');
                rest.clone_into(&mut line);
                is_empty = true;
            }
            if !is_empty {
                line.push(' ');
            }
            line.push_str(word);
            is_empty = false;
        }
        self.text.push_str(line.trim_end());
        self.text.push('\n');
    }
}

/// Writes `1 lead`, `2 leads`.
pub(crate) fn count(n: i64, one: &str, many: &str) -> String {
    format!("{n} {}", if n == 1 { one } else { many })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_wrapped_where_a_terminal_ends() {
        let mut page = Page::default();
        page.heading("One");
        page.field("customer", "word ".repeat(20));
        page.heading("Two");
        page.fact("x".repeat(100));
        let text = page.end();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], "One");
        assert_eq!(lines[1], format!("  customer     {}", "word ".repeat(13).trim_end()));
        assert_eq!(lines[2], format!("               {}", "word ".repeat(7).trim_end()));
        assert_eq!((lines[3], lines[4]), ("", "Two"));
        assert_eq!(lines[5], format!("  {}", "x".repeat(100)), "what cannot be broken is not");
    }
}
