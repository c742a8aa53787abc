//! Looks at the configuration, the templates, and the files that hold secrets.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::delivery::signing;
use crate::doctor::probe::{Asked, sentence};
use crate::doctor::report::{Area, Check};
use crate::settings::{Error, Mode, Settings, Transport};
use crate::template;

const AREA: Area = Area::Configuration;

pub(super) fn look(asked: &Asked<'_>) -> Vec<Check> {
    let mut checks = look_at_settings(asked);
    if !asked.is_faulty(&["templates"]) {
        checks.push(look_at_templates(asked.settings()));
    }
    checks.extend(look_at_secrets(asked));
    checks
}

fn look_at_settings(asked: &Asked<'_>) -> Vec<Check> {
    const NAME: &str = "settings";
    let file = asked.loaded.file();
    let correct = "Correct it; what hangs on it is not looked at, and posthorn does not start.";
    let mut checks = match asked.fault {
        Some(error @ Error::Unreadable { .. }) => {
            return vec![Check::wrong(
                AREA,
                NAME,
                sentence(error),
                "Name a file that is there, and that this user may read.",
            )];
        }
        Some(Error::Faults(faults)) => {
            return faults
                .iter()
                .map(|fault| Check::wrong(AREA, NAME, sentence(fault), correct))
                .collect();
        }
        None => {
            let found = match file {
                Some(file) => format!("{} is right: {}.", file.display(), way_out(asked.settings())),
                None => format!("There is no configuration file; by the defaults, {}.", way_out(asked.settings())),
            };
            vec![Check::ok(AREA, NAME, found)]
        }
    };
    match asked.settings().mode {
        Mode::Live => {}
        mode => {
            let found = format!("The mode is {mode}: no mail reaches a partner.");
            checks.push(Check::warning(AREA, "mode", found, "Set mode = \"live\" when all is ready."));
        }
    }
    let notes = asked.loaded.notes();
    checks.extend(notes.into_iter().map(|note| {
        let key = note.split([' ', ',']).next().unwrap_or_default();
        let advice = if key.contains('.') {
            format!("Look at {key} in the configuration; if that is meant, leave it.")
        } else {
            "Look at it in the configuration; if that is meant, leave it.".to_owned()
        };
        Check::warning(AREA, "note", sentence(note), advice)
    }));
    checks
}

fn way_out(settings: &Settings) -> String {
    match (settings.mode, settings.mail.transport) {
        (Mode::Dry, _) => "nothing leaves (mode dry)".into(),
        (mode, Transport::Maildir) => format!("mail goes into the Maildir {} (mode {mode})", settings.mail.maildir.display()),
        (mode, Transport::Smtp) => {
            let relays: Vec<String> = settings
                .smtp
                .relays
                .iter()
                .map(|relay| format!("{}:{}", relay.host, relay.port))
                .collect();
            format!("mail goes to {} (mode {mode})", relays.join(", else "))
        }
    }
}

fn look_at_templates(settings: &Settings) -> Check {
    const NAME: &str = "templates";
    match template::Sets::load(settings) {
        Ok(sets) => {
            let languages: Vec<&str> = sets.general.languages().collect();
            let of = match &settings.templates.dir {
                Some(dir) => format!("The templates of {}, and the built-in ones,", dir.display()),
                None => "The built-in templates".into(),
            };
            Check::ok(AREA, NAME, format!("{of} load, in {}.", languages.join(", ")))
        }
        Err(error) => Check::wrong(
            AREA,
            NAME,
            sentence(error),
            "Correct the template, or take its file away: the built-in one then serves.",
        ),
    }
}

fn look_at_secrets(asked: &Asked<'_>) -> Vec<Check> {
    const NAME: &str = "secrets";
    let settings = asked.settings();
    let mut checks: Vec<Check> = Vec::new();
    let mut faults: Vec<String> = asked.loaded.missing_files().iter().map(ToString::to_string).collect();
    if let Err(wrong) = signing::signer(&settings.dkim) {
        faults.push(asked.loaded.fault("dkim.key_file", wrong.to_string()).to_string());
    }
    for fault in faults {
        let advice = "Put the file where the configuration says, readable for posthorn's user.";
        checks.push(Check::wrong(AREA, NAME, sentence(fault), advice));
    }
    let mut secrets: Vec<&Path> = settings
        .smtp
        .relays
        .iter()
        .flat_map(|relay| [&relay.password_file, &relay.token_file, &relay.key_file])
        .filter_map(|path| path.as_deref())
        .collect();
    let others = [
        &settings.dkim.key_file,
        &settings.action_center.secret_file,
        &settings.portal.resource_token_file,
        &settings.http.key_file,
    ];
    secrets.extend(others.into_iter().filter_map(|path| path.as_deref()));
    // A password in the database's address makes a secret of the whole file.
    if settings.database.url.masked() != settings.database.url.expose() {
        secrets.extend(asked.loaded.file());
    }
    secrets.sort_unstable();
    secrets.dedup();
    let open: Vec<&&Path> = secrets.iter().filter(|path| is_open_to_all(path)).collect();
    for path in &open {
        let found = format!("{} holds a secret, and everybody on this machine can read it.", path.display());
        let advice = format!("`chmod 600 {}`, and let it belong to posthorn's user.", path.display());
        checks.push(Check::warning(AREA, NAME, found, advice));
    }
    if checks.is_empty() && !secrets.is_empty() {
        let found = match secrets.len() {
            1 => format!("{}, which holds a secret, can be read, and not by everybody.", secrets[0].display()),
            n => format!("{n} files that hold secrets can be read, and not by everybody."),
        };
        checks.push(Check::ok(AREA, NAME, found));
    }
    checks
}

fn is_open_to_all(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|found| found.permissions().mode() & 0o004 != 0)
}
