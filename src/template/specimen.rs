//! Every mail and every page as the samples make them: for whoever looks at all of them.

use std::collections::BTreeSet;

use crate::outbox::Kind;
use crate::template::error::Error;
use crate::template::load::Set;
use crate::template::page::Page;

/// The samples that strain a layout. They do so in each language, so one of each direction stands for all.
const STRAINING: [&str; 3] = ["longest", "hostile", "right-to-left"];
const EACH_DIRECTION: [&str; 2] = ["en", "ar"];

/// A mail or a page.
pub struct Specimen {
    /// `mail.KIND.LANGUAGE.SAMPLE` or `page.PAGE.LANGUAGE.STATE-PURPOSE`.
    pub name: String,
    /// All of its HTML.
    pub html: String,
}

impl Set {
    /// Returns each kind of mail and each page that asks something, in each language, with everything to say; in English and Arabic also what
    /// strains the layout, and each state of the pages.
    ///
    /// # Errors
    /// A template fails.
    pub fn specimens(&self) -> Result<Vec<Specimen>, Error> {
        let mut specimens = Vec::new();
        for language in self.languages() {
            let is_all = EACH_DIRECTION.contains(&language);
            for kind in Kind::ALL {
                for sample in self.samples(kind, language) {
                    if sample.name == "full" || (is_all && STRAINING.contains(&sample.name)) {
                        specimens.push(Specimen {
                            name: format!("mail.{kind}.{language}.{}", sample.name),
                            html: self.render(kind, language, &sample.view)?.html,
                        });
                    }
                }
            }
            for page in Page::ALL {
                let kind = page.file().split('.').next().unwrap_or_default();
                let mut states = BTreeSet::new();
                for view in page.samples(self.formats(language)) {
                    let state = [view.state, view.purpose].join("-");
                    if (is_all || ["", "ask"].contains(&view.state)) && states.insert(state.clone()) {
                        specimens.push(Specimen {
                            name: format!("page.{kind}.{language}.{state}"),
                            html: self.render_page(page, &[language], &view)?.html,
                        });
                    }
                }
            }
        }
        Ok(specimens)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is loaded when a mail is opened tells a stranger of it.
    #[test]
    fn nothing_that_is_built_in_loads_anything() {
        for specimen in Set::load(None).unwrap().specimens().unwrap() {
            for loading in ["<link", "@import", "url(", " src="] {
                assert!(!specimen.html.contains(loading), "{}: {loading}", specimen.name);
            }
        }
    }
}
