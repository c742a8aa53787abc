//! What nobody may read over an operator's shoulder: passwords in addresses, and the files that hold passwords and keys.
//!
//! A secret is never a setting: the file may lie in a repository, and the environment is inherited by every child.

use std::path::{Path, PathBuf};
use std::{fmt, fs, io};

use secrecy::SecretString;

use crate::settings::tables::DatabaseUrl;

const MASK: &str = "***";

/// Why a secret cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file cannot be read.
    #[error("cannot read the secret in {}: {}", path.display(), io_words(source))]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file holds nothing.
    #[error("the secret in {} is empty", path.display())]
    Empty {
        /// The file.
        path: PathBuf,
    },
}

/// Reads a password or key at the moment that it is needed, so that a changed file counts at once; the last line's end is not part of it.
///
/// # Errors
/// If the file cannot be read as text, or holds nothing.
pub fn read(path: &Path) -> Result<SecretString, Error> {
    let text = fs::read_to_string(path).map_err(|source| Error::Unreadable { path: path.into(), source })?;
    match text.trim_end_matches(['\r', '\n']) {
        "" => Err(Error::Empty { path: path.into() }),
        secret => Ok(secret.into()),
    }
}

/// Says why a file cannot be had, without Rust's error numbers.
pub(crate) fn io_words(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "it does not exist".into(),
        io::ErrorKind::PermissionDenied => "permission denied".into(),
        io::ErrorKind::IsADirectory => "it is a folder".into(),
        io::ErrorKind::InvalidData => "it is not UTF-8 text".into(),
        _ => error.to_string(),
    }
}

impl DatabaseUrl {
    /// Returns the whole address, the password in it: for the driver, and nothing else.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Returns whether it is PostgreSQL, not SQLite.
    pub fn is_postgres(&self) -> bool {
        self.0.starts_with("postgres")
    }

    /// Returns the address without its password.
    pub fn masked(&self) -> String {
        mask_url(&self.0)
    }
}

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.masked())
    }
}

impl fmt::Display for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.masked())
    }
}

/// Hides what may be a password. It goes by the last `@`, since a password that should have been percent-encoded may hold `/`, `?` or `@`.
pub(crate) fn mask_url(url: &str) -> String {
    let mut masked = url.to_owned();
    if let (Some(start), Some(at)) = (url.find("://").map(|i| i + 3), url.rfind('@'))
        && let Some(colon) = url.get(start..at).and_then(|who| who.find(':'))
    {
        masked.replace_range(start + colon + 1..at, MASK);
    }
    // `password=` and `sslpassword=`, in any case and however often.
    let is_end = |c: char| matches!(c, '?' | '&' | ' ');
    let parameters = masked.split_inclusive(is_end).map(|parameter| match parameter.split_once('=') {
        Some((name, value)) if may_be_password(name) => format!("{name}={MASK}{}", &value[value.trim_end_matches(is_end).len()..]),
        _ => parameter.to_owned(),
    });
    parameters.collect()
}

/// Tells whether a parameter may hold a password. The driver decodes names: one with `%` may be any.
fn may_be_password(name: &str) -> bool {
    name.to_ascii_lowercase().ends_with("password") || name.contains('%')
}

/// Hides the password in a web address, which ends where a path, query or fragment begins.
pub(crate) fn mask_web_address(url: &str) -> String {
    let Some(start) = url.find("://").map(|at| at + 3) else {
        return url.to_owned();
    };
    let end = url[start..].find(['/', '?', '#']).map_or(url.len(), |at| start + at);
    let who = url[start..end].rfind('@').map(|at| &url[start..start + at]);
    match who.and_then(|who| who.find(':').map(|colon| (start + colon + 1, start + who.len()))) {
        Some((from, to)) => format!("{}{MASK}{}", &url[..from], &url[to..]),
        None => url.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    #[test]
    fn no_form_of_a_database_address_shows_its_password() {
        for (url, masked) in [
            (
                "postgres://posthorn:hush@db.example/posthorn",
                "postgres://posthorn:***@db.example/posthorn",
            ),
            (
                "postgres://posthorn@db.example:5432/posthorn",
                "postgres://posthorn@db.example:5432/posthorn",
            ),
            (
                "postgres://posthorn:hu@sh/?x@db.example/posthorn",
                "postgres://posthorn:***@db.example/posthorn",
            ),
            (
                "postgres:///posthorn?user=a&password=hush&sslmode=require",
                "postgres:///posthorn?user=a&password=***&sslmode=require",
            ),
            ("postgres:///posthorn?password=hush", "postgres:///posthorn?password=***"),
            (
                "postgres:///posthorn?sslpassword=hush&sslmode=require&password=hush",
                "postgres:///posthorn?sslpassword=***&sslmode=require&password=***",
            ),
            (
                "postgres:///posthorn?user=a&pass%77ord=hush&PASSWORD=hush",
                "postgres:///posthorn?user=a&pass%77ord=***&PASSWORD=***",
            ),
            ("host=db.example password=hush", "host=db.example password=***"),
            ("sqlite:posthorn.db", "sqlite:posthorn.db"),
        ] {
            assert_eq!(mask_url(url), masked, "{url}");
            assert_eq!(format!("{:?} {0}", DatabaseUrl(url.into())), format!("{masked:?} {masked}"));
        }
    }

    #[test]
    fn no_web_address_shows_its_password() {
        for (url, masked) in [
            ("https://posthorn:hush@portal.example/v1", "https://posthorn:***@portal.example/v1"),
            ("https://posthorn:hu@sh@portal.example", "https://posthorn:***@portal.example"),
            ("https://posthorn@portal.example/v1", "https://posthorn@portal.example/v1"),
            ("https://portal.example:8443/a@b?c=d:e@f", "https://portal.example:8443/a@b?c=d:e@f"),
            ("Partner portal", "Partner portal"),
        ] {
            assert_eq!(mask_web_address(url), masked, "{url}");
        }
    }

    #[test]
    fn a_secret_is_its_file_without_the_last_line_end() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("password");
        for (content, secret) in [("hush", "hush"), ("hush\n", "hush"), (" two words \r\n", " two words ")] {
            fs::write(&path, content).expect("a file");
            assert_eq!(
                read(&path).map(|secret| secret.expose_secret().to_owned()).ok(),
                Some(secret.into())
            );
        }
        fs::write(&path, "\n").expect("a file");
        assert!(matches!(read(&path), Err(Error::Empty { .. })));
        fs::remove_file(&path).expect("the file");
        let gone = read(&path).expect_err("no file").to_string();
        assert_eq!(gone, format!("cannot read the secret in {}: it does not exist", path.display()));
    }
}
