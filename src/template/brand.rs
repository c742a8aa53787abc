//! What a set of templates is made from beside the built-in ones: the operator's folders, and the look that he set.
//!
//! Colours are written into the templates when a set is made, since they are the same in each mail of it; so each programme has a set of its
//! own.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Serialize;

use crate::settings::{Branding, Settings, tables};
use crate::template::{Error, Set, clean};

/// Where a set of templates comes from, and what it looks like.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Look {
    /// Folders over the built-in templates, each over the one before it.
    pub folders: Vec<PathBuf>,
    /// Logo, colours, footer.
    pub branding: Branding,
}

/// A folder of the operator's, with the built-in look.
impl From<Option<&Path>> for Look {
    fn from(folder: Option<&Path>) -> Self {
        Self {
            folders: folder.map(Path::to_owned).into_iter().collect(),
            branding: Branding::default(),
        }
    }
}

/// What is set.
impl From<&tables::Templates> for Look {
    fn from(templates: &tables::Templates) -> Self {
        Self {
            folders: templates.dir.iter().chain(&templates.programme_dir).cloned().collect(),
            branding: templates.branding.clone(),
        }
    }
}

/// The sets by which all mails are written.
#[derive(Debug)]
pub struct Sets {
    /// For partners without a programme.
    pub general: Arc<Set>,
    /// For those of each programme, by its name.
    pub programmes: BTreeMap<String, Arc<Set>>,
}

impl Sets {
    /// Loads what the settings say. A programme that looks like none has the general set.
    ///
    /// # Errors
    /// The first fault, as [`Set::load`] finds it.
    pub fn load(settings: &Settings) -> Result<Self, Error> {
        let look = Look::from(&settings.templates);
        let general = Arc::new(Set::load(look.clone())?);
        let mut programmes = BTreeMap::new();
        for name in settings.programmes.keys() {
            let own = Look::from(&settings.of_programme(name).templates);
            let set = if own == look {
                Arc::clone(&general)
            } else {
                Arc::new(Set::load(own)?)
            };
            programmes.insert(name.clone(), set);
        }
        Ok(Self { general, programmes })
    }
}

/// What a template sees of the look.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct BrandView {
    #[serde(serialize_with = "clean::maybe_link", skip_serializing_if = "clean::is_nothing")]
    logo: Option<String>,
    #[serde(serialize_with = "clean::maybe_line", skip_serializing_if = "clean::is_nothing")]
    logo_alt: Option<String>,
    logo_width: u32,
    #[serde(flatten)]
    colours: BTreeMap<&'static str, String>,
    #[serde(serialize_with = "clean::maybe_lines", skip_serializing_if = "clean::is_nothing")]
    footer: Option<String>,
}

impl BrandView {
    pub(crate) fn new(branding: &Branding, language: &str) -> Self {
        let colours = branding.colours().into_iter();
        Self {
            logo: branding.logo.clone(),
            logo_alt: branding.logo_alt.clone(),
            logo_width: branding.logo_width(),
            colours: colours.map(|(name, colour)| (name, colour.to_string())).collect(),
            footer: branding.footer_in(language).map(str::to_owned),
        }
    }

    /// Returns what a tag prints in every mail of the set: `brand.accent`, `brand.logo_width`. Nothing of it wants escaping.
    pub(crate) fn settled(&self, tag: &str) -> Option<String> {
        match tag.strip_prefix("brand.")? {
            "logo_width" => Some(self.logo_width.to_string()),
            name => self.colours.get(name).cloned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use similar::TextDiff;

    use super::*;
    use crate::outbox::Kind;
    use crate::settings::Colour;
    use crate::template::Page;
    use crate::template::load::built_in;
    use crate::template::sample::sample;

    /// A look with everything set.
    fn gold() -> Branding {
        Branding {
            logo: Some("https://gold.example/logo.png".to_owned()),
            logo_alt: Some("Gold & Sons".to_owned()),
            logo_width: Some(120),
            accent: Some(Colour::rgb(0x7a, 0x5a, 0x00)),
            accent_text: Some(Colour::rgb(0xff, 0xfd, 0xf5)),
            accent_dark: Some(Colour::rgb(0x8a, 0x66, 0x00)),
            link: Some(Colour::rgb(0x6b, 0x4f, 0x00)),
            link_dark: Some(Colour::rgb(0xf0, 0xc8, 0x5a)),
            background: Some(Colour::rgb(0xf7, 0xf3, 0xea)),
            background_dark: Some(Colour::rgb(0x17, 0x14, 0x0c)),
            footer: [("en", "Gold & Sons <Ltd>\nLondon"), ("de", "Gold & Söhne, Wien")]
                .map(|(language, text)| (language.to_owned(), text.to_owned()))
                .into(),
        }
    }

    fn difference(before: &str, after: &str) -> String {
        TextDiff::from_lines(before, after).unified_diff().context_radius(0).to_string()
    }

    /// As [`difference`], an element a line.
    fn html_difference(before: &str, after: &str) -> String {
        let broken = |html: &str| html.replace('<', "\n<").replace("\n\n", "\n");
        difference(&broken(before), &broken(after))
    }

    /// What branding changes, and that it changes nothing else; reviewed as prose.
    #[test]
    fn a_branded_mail_and_its_pages_differ_from_others_in_their_look_alone() {
        let look = Look {
            branding: gold(),
            ..Look::default()
        };
        let (plain, branded) = (built_in(), Set::load(look).expect("a look makes no template wrong"));
        for language in ["en", "de", "ar"] {
            let view = sample(Kind::Lead, language);
            let [before, after] = [plain, &branded].map(|set| set.render(Kind::Lead, language, &view).expect("it renders"));
            assert_eq!(before.subject, after.subject);
            let (text, html) = (difference(&before.text, &after.text), html_difference(&before.html, &after.html));
            let shown = format!("{text}\n=====\n\n{html}");
            insta::assert_snapshot!(format!("{language}-lead"), shown);
        }
        for page in Page::ALL {
            let view = page.samples(plain.formats("de")).swap_remove(0);
            let [before, after] = [plain, &branded].map(|set| set.render_page(page, &["de"], &view).expect("it renders").html);
            let name = page.file().trim_end_matches(".page.html");
            insta::assert_snapshot!(format!("page-{name}"), html_difference(&before, &after));
        }
    }
}
