//! The signature that mails bear (DKIM): with which key, and on which thread.

use std::path::PathBuf;

use secrecy::ExposeSecret;
use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::task::block_in_place;

use crate::mail::{KeyError, Signer};
use crate::settings::{Dkim, secret};

/// Why mails cannot be signed.
#[derive(Debug, thiserror::Error)]
pub enum KeyFault {
    /// The file cannot be read.
    #[error(transparent)]
    Secret(#[from] secret::Error),
    /// What it holds does not sign.
    #[error("{} {why}", path.display())]
    Wrong {
        /// The file.
        path: PathBuf,
        /// Why.
        why: KeyError,
    },
}

/// Reads the key, if mails are to be signed.
///
/// # Errors
/// The file cannot be read, or holds no key that signs.
pub fn signer(dkim: &Dkim) -> Result<Option<Signer>, KeyFault> {
    // The settings let through all three, or none.
    let (Some(domain), Some(selector), Some(path)) = (&dkim.domain, &dkim.selector, &dkim.key_file) else {
        return Ok(None);
    };
    let pem = secret::read(path)?;
    let signer = Signer::new(domain, selector, pem.expose_secret());
    signer.map(Some).map_err(|why| KeyFault::Wrong { path: path.clone(), why })
}

/// Signs a mail, where that takes long aside of the threads that others wait for.
///
/// Not `spawn_blocking`: whoever composes would have to become async and hand his letter over. A sender has one mail to write at a time, and waits for it.
pub(super) fn sign(signer: &Signer, mail: &mut Vec<u8>) -> Result<(), String> {
    let has_other_threads = Handle::try_current().is_ok_and(|runtime| runtime.runtime_flavor() == RuntimeFlavor::MultiThread);
    let signed = if signer.is_slow() && has_other_threads {
        block_in_place(|| signer.sign(mail))
    } else {
        signer.sign(mail)
    };
    signed.map_err(|failed| failed.to_string())
}
