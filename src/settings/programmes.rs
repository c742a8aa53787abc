//! The programmes: named sets of sender, links, limits and look that partners belong to; and the look that holds without one.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

use toml::Value;

use crate::policy::programme::Limits;
use crate::policy::schedule::Cron;
use crate::settings::keys::{Setting, Table, Visitor};
use crate::settings::tables::{Sender, Settings};
use crate::settings::values::{found, has_id, is_language, is_web_address, is_within, text};

/// So many programmes may be named: each has templates of its own in memory, made at the start in some 0.1 s.
pub(crate) const PROGRAMMES_MAX: usize = 50;

/// A programme's name stands in partner records, variables of the environment and commands; longer ones are sentences.
const NAME_CHARS_MAX: usize = 40;

/// The name that stands for what holds without a programme, so that none may bear it.
const RESERVED: &str = "default";

/// Below a mail stand an address and what the law asks for, no letter.
const FOOTER_CHARS_MAX: usize = 1000;

/// Table `programmes.NAME`: what its partners' mails say otherwise. What is unset is as without a programme.
#[derive(Clone, Debug, Default)]
pub struct Programme {
    /// In place of `portal.name`.
    pub name: Option<String>,
    /// In place of `portal.url`.
    pub portal_url: Option<String>,
    /// In place of `portal.lead_url`.
    pub lead_url: Option<String>,
    /// In place of `mail.from`.
    pub from: Option<Sender>,
    /// In place of `mail.reply_to`.
    pub reply_to: Option<Sender>,
    /// In place of `policy.digest_threshold`.
    pub digest_threshold: Option<u32>,
    /// In place of `policy.digest_cron`.
    pub digest_cron: Option<Cron>,
    /// In place of `policy.urgent_singly`.
    pub urgent_singly: Option<bool>,
    /// In place of `policy.digest_max_listed`.
    pub digest_max_listed: Option<u32>,
    /// A folder of templates over those of `templates.dir`.
    pub templates_dir: Option<PathBuf>,
    /// In place of `templates.branding`, key by key.
    pub branding: Branding,
}

impl Table for Programme {
    fn visit<V: Visitor>(&mut self, v: &mut V) {
        let is_url = |url: &Option<String>| url.as_deref().map_or(Ok(()), is_web_address);
        v.key("name", &mut self.name);
        v.checked("portal_url", &mut self.portal_url, is_url);
        v.checked("lead_url", &mut self.lead_url, |url| {
            is_url(url).and_then(|()| url.as_deref().map_or(Ok(()), has_id))
        });
        v.key("from", &mut self.from);
        v.key("reply_to", &mut self.reply_to);
        v.checked("digest_threshold", &mut self.digest_threshold, |n| is_within(*n, &(0..=1_000_000)));
        v.key("digest_cron", &mut self.digest_cron);
        v.key("urgent_singly", &mut self.urgent_singly);
        v.checked("digest_max_listed", &mut self.digest_max_listed, |n| is_within(*n, &(1..=1000)));
        v.key("templates_dir", &mut self.templates_dir);
        v.table("branding", &mut self.branding);
    }
}

impl Programme {
    /// Returns what decisions read of it.
    pub(crate) fn limits(&self) -> Limits {
        Limits {
            digest_threshold: self.digest_threshold,
            digest_cron: self.digest_cron.clone(),
            urgent_singly: self.urgent_singly,
        }
    }
}

/// Refuses what cannot name a programme.
pub(crate) fn is_programme_name(name: &str) -> Result<(), String> {
    if name == RESERVED {
        return Err(format!(
            "\"{RESERVED}\" is no name for a programme: what holds without one is set in portal, mail, policy and templates"
        ));
    }
    let is_right = (1..=NAME_CHARS_MAX).contains(&name.len())
        && name
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
    if is_right {
        return Ok(());
    }
    Err(format!(
        "{} is no name for a programme; write up to {NAME_CHARS_MAX} small letters, digits and hyphens, such as \"gold\"",
        found(&Value::String(name.into()))
    ))
}

/// Table `templates.branding`, and `programmes.NAME.branding`: how mails look, without a template being touched.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Branding {
    /// The picture at the head of a mail; unset: the portal's name stands there.
    pub logo: Option<String>,
    /// What stands for it where pictures are not shown; unset: the portal's name.
    pub logo_alt: Option<String>,
    /// How wide it is shown, in pixels.
    pub logo_width: Option<u32>,
    /// The colour of buttons.
    pub accent: Option<Colour>,
    /// The colour of what is written on them.
    pub accent_text: Option<Colour>,
    /// The colour of buttons in dark mode.
    pub accent_dark: Option<Colour>,
    /// The colour of links.
    pub link: Option<Colour>,
    /// The colour of links in dark mode.
    pub link_dark: Option<Colour>,
    /// The colour around the card.
    pub background: Option<Colour>,
    /// The colour around the card in dark mode.
    pub background_dark: Option<Colour>,
    /// What stands at the end of each mail, by language.
    pub footer: BTreeMap<String, String>,
}

impl Table for Branding {
    fn visit<V: Visitor>(&mut self, v: &mut V) {
        v.checked("logo", &mut self.logo, |url| url.as_deref().map_or(Ok(()), is_picture_address));
        v.key("logo_alt", &mut self.logo_alt);
        v.checked("logo_width", &mut self.logo_width, |width| is_within(*width, &LOGO_PIXELS));
        v.key("accent", &mut self.accent);
        v.key("accent_text", &mut self.accent_text);
        v.key("accent_dark", &mut self.accent_dark);
        v.key("link", &mut self.link);
        v.key("link_dark", &mut self.link_dark);
        v.key("background", &mut self.background);
        v.key("background_dark", &mut self.background_dark);
        v.checked("footer", &mut self.footer, are_footers);
    }
}

/// A mail is 600 pixels wide; what is narrower than 16 is no logo.
const LOGO_PIXELS: RangeInclusive<u32> = 16..=560;

impl Branding {
    /// Returns the width of the logo in pixels.
    pub fn logo_width(&self) -> u32 {
        self.logo_width.unwrap_or(160)
    }

    /// Returns the colours by the names that templates know them by.
    pub fn colours(&self) -> [(&'static str, Colour); 7] {
        let or = |set: Option<Colour>, default: u32| set.unwrap_or(Colour(default));
        [
            ("accent", or(self.accent, 0x1f_5f_bf)),
            ("accent_text", or(self.accent_text, 0xff_ff_ff)),
            ("accent_dark", or(self.accent_dark, 0x2f_6f_d0)),
            ("link", or(self.link, 0x1a_56_b0)),
            ("link_dark", or(self.link_dark, 0x8c_bc_ff)),
            ("background", or(self.background, 0xee_f1_f5)),
            ("background_dark", or(self.background_dark, 0x12_16_1b)),
        ]
    }

    /// Returns what stands at the end of a mail in `language`: the text for it, for the language without its region, in English, else the
    /// first.
    pub fn footer_in(&self, language: &str) -> Option<&str> {
        let of = |wanted: &str| self.footer.iter().find(|(tag, _)| tag.eq_ignore_ascii_case(wanted));
        let primary = language.split('-').next().unwrap_or(language);
        let chosen = of(language)
            .or_else(|| of(primary))
            .or_else(|| of("en"))
            .or_else(|| self.footer.iter().next());
        chosen.map(|(_, text)| text.as_str())
    }

    /// Returns this look, and where it says nothing that of `other`.
    fn over(&self, other: &Self) -> Self {
        let footer = if self.footer.is_empty() { &other.footer } else { &self.footer };
        Self {
            logo: self.logo.clone().or_else(|| other.logo.clone()),
            logo_alt: self.logo_alt.clone().or_else(|| other.logo_alt.clone()),
            logo_width: self.logo_width.or(other.logo_width),
            accent: self.accent.or(other.accent),
            accent_text: self.accent_text.or(other.accent_text),
            accent_dark: self.accent_dark.or(other.accent_dark),
            link: self.link.or(other.link),
            link_dark: self.link_dark.or(other.link_dark),
            background: self.background.or(other.background),
            background_dark: self.background_dark.or(other.background_dark),
            footer: footer.clone(),
        }
    }

    /// Returns what is hard to read, in sentences. `of` is the table, as in `templates.branding`.
    pub(crate) fn hard_to_read(&self, of: &str) -> Vec<String> {
        let colours: BTreeMap<&str, Colour> = self.colours().into_iter().collect();
        // What the built-in templates write in each, or beside each: layout.mjml, footer.mjml.
        let (card, card_dark) = (Colour(0xff_ff_ff), Colour(0x1d_23_2b));
        let (small, small_dark) = (Colour(0x58_64_74), Colour(0xaa_b5_c2));
        [
            ("accent", colours["accent_text"], "what is written on buttons (accent_text)"),
            (
                "accent_dark",
                colours["accent_text"],
                "what is written on buttons (accent_text) in dark mode",
            ),
            ("link", card, "the white card, where links stand"),
            ("link_dark", card_dark, "the dark card, where links stand in dark mode"),
            ("background", small, "the small print on it"),
            ("background_dark", small_dark, "the small print on it in dark mode"),
        ]
        .into_iter()
        .filter_map(|(key, other, beside)| {
            let (colour, ratio) = (colours[key], colours[key].contrast(other));
            (ratio < CONTRAST_MIN).then(|| {
                format!(
                    "{of}.{key} is {colour}, and {beside} is {other}: their contrast is {ratio:.1} to 1, and hard to \
                     read below {CONTRAST_MIN} (WCAG 2.2, 1.4.3)"
                )
            })
        })
        .collect()
    }
}

/// What WCAG 2.2 asks for of text (1.4.3, level AA).
const CONTRAST_MIN: f64 = 4.5;

/// A colour as the web writes it: `#1f5fbf`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Colour(u32);

impl Colour {
    /// Makes one of its parts.
    pub(crate) const fn rgb(red: u8, green: u8, blue: u8) -> Self {
        Self(u32::from_be_bytes([0, red, green, blue]))
    }

    /// Returns how far two colours stand apart, from 1 to 21 (WCAG 2.2, contrast ratio).
    pub fn contrast(self, other: Self) -> f64 {
        let (one, other) = (self.luminance(), other.luminance());
        (one.max(other) + 0.05) / (one.min(other) + 0.05)
    }

    /// WCAG 2.2, relative luminance.
    fn luminance(self) -> f64 {
        let part = |shift: u32| {
            let value = f64::from(self.0 >> shift & 0xff) / 255.0;
            if value <= 0.04045 {
                value / 12.92
            } else {
                ((value + 0.055) / 1.055).powf(2.4)
            }
        };
        0.2126 * part(16) + 0.7152 * part(8) + 0.0722 * part(0)
    }
}

impl fmt::Display for Colour {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{:06x}", self.0)
    }
}

impl Setting for Colour {
    fn read(value: &Value) -> Result<Self, String> {
        let digits = text(value)?.strip_prefix('#').filter(|digits| digits.len() == 6);
        let read = digits
            .filter(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()))
            .and_then(|digits| u32::from_str_radix(digits, 16).ok());
        read.map(Self)
            .ok_or_else(|| format!("{} is not a colour such as \"#1f5fbf\"", found(value)))
    }

    fn show(&self) -> Option<Value> {
        Some(Value::String(self.to_string()))
    }
}

/// Texts by language.
impl Setting for BTreeMap<String, String> {
    fn read(value: &Value) -> Result<Self, String> {
        let table = value.as_table().ok_or_else(|| {
            format!(
                "{} is not a text for each language, such as {{ en = \"Contoso Ltd\" }}",
                found(value)
            )
        })?;
        table
            .iter()
            .map(|(tag, words)| Ok((tag.clone(), text(words)?.to_owned())))
            .collect()
    }

    fn show(&self) -> Option<Value> {
        let table: toml::Table = self
            .iter()
            .map(|(tag, words)| (tag.clone(), Value::String(words.clone())))
            .collect();
        (!table.is_empty()).then_some(Value::Table(table))
    }
}

fn are_footers(footers: &BTreeMap<String, String>) -> Result<(), String> {
    for (tag, words) in footers {
        is_language(tag)?;
        let n_chars = words.chars().count();
        if words.trim().is_empty() || n_chars > FOOTER_CHARS_MAX {
            return Err(format!("{tag} has {n_chars} characters; allowed is 1 to {FOOTER_CHARS_MAX}"));
        }
    }
    Ok(())
}

/// A mailbox shows no picture that is fetched in the clear.
fn is_picture_address(url: &str) -> Result<(), String> {
    is_web_address(url)?;
    if url.starts_with("https://") && !url.contains(['"', '<', '>']) {
        return Ok(());
    }
    Err(format!(
        "{} is not the address of a picture such as \"https://portal.example/logo.png\": mailboxes fetch it over https only",
        found(&Value::String(url.into()))
    ))
}

impl Settings {
    /// Returns every folder that templates are read from.
    pub fn template_folders(&self) -> impl Iterator<Item = &Path> {
        let own = self.programmes.values().map(|programme| &programme.templates_dir);
        std::iter::once(&self.templates.dir).chain(own).filter_map(Option::as_deref)
    }

    /// Says of a name that it is no programme's, and which are; nothing where it is one's.
    pub fn unknown_programme(&self, name: &str) -> Option<String> {
        let is_known = self.programmes.contains_key(name);
        (!is_known).then(|| format!("{name:?} is not {}", self.policy.programmes_in_words(name)))
    }

    /// Returns the settings by which mails to the partners of a programme are written; those without one where there is none of that name.
    pub fn of_programme(&self, name: &str) -> Self {
        let mut settings = self.clone();
        let Some(programme) = settings.programmes.remove(name) else {
            return settings;
        };
        let set = |field: &mut String, value: Option<String>| value.into_iter().for_each(|value| *field = value);
        set(&mut settings.portal.name, programme.name);
        set(&mut settings.portal.url, programme.portal_url);
        set(&mut settings.portal.lead_url, programme.lead_url);
        if let Some(from) = programme.from {
            settings.mail.from = from;
        }
        settings.mail.reply_to = programme.reply_to.or(settings.mail.reply_to);
        if let Some(n) = programme.digest_max_listed {
            settings.policy.digest_max_listed = n;
        }
        settings.templates.programme_dir = programme.templates_dir;
        settings.templates.branding = programme.branding.over(&settings.templates.branding);
        settings
    }
}
