//! Takes over templates that have changed while `serve` runs. What is wrong leaves the old ones in force, loudly: in the log, in `status`, as a metric.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::sync::watch;
use tokio::task::spawn_blocking;

use crate::delivery::compose::Composer;
use crate::http::Current;
use crate::telemetry;
use crate::template::fingerprint;

/// Follows the folders of templates.
pub(super) struct TemplateWatch {
    /// As last loaded, or refused.
    seen: u64,
    /// As last found, if that is something else: editors save in several steps, so it is loaded once it has stayed the same.
    found: Option<u64>,
}

impl TemplateWatch {
    /// Begins before the templates are loaded, so that no change is missed.
    pub(super) fn new<'a>(folders: impl IntoIterator<Item = &'a Path>) -> Self {
        Self {
            seen: fingerprint(folders),
            found: None,
        }
    }

    /// Looks once, and takes over what has changed and stayed so since the last look.
    pub(super) async fn look(&mut self, key: &[u8], reloaded: &watch::Sender<Current>) {
        let settings = reloaded.borrow().composer.settings().clone();
        let folders: Vec<PathBuf> = settings.template_folders().map(Path::to_owned).collect();
        if folders.is_empty() {
            return;
        }
        let Ok(found) = spawn_blocking(move || fingerprint(folders.iter().map(PathBuf::as_path))).await else {
            return;
        };
        if found == self.seen {
            self.found = None;
            return;
        }
        if self.found != Some(found) {
            self.found = Some(found);
            return;
        }
        (self.seen, self.found) = (found, None);
        let key = key.to_vec();
        let fault = match spawn_blocking(move || Composer::new(&settings, &key)).await {
            Ok(Ok(composer)) => {
                reloaded.send_modify(|current| {
                    current.composer = Arc::new(composer);
                    current.template_fault = None;
                });
                None
            }
            Ok(Err(error)) => Some(error.to_string()),
            Err(error) => Some(error.to_string()),
        };
        telemetry::templates_reloaded(fault.as_deref());
        if let Some(fault) = fault {
            reloaded.send_modify(|current| current.template_fault = Some(fault.into()));
        }
    }
}
