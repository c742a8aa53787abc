//! Kill points: places at which a crash test ends the process, as `kill -9` would. Compiled in by the feature `fault-points` alone.
//!
//! `POSTHORN_FAULT=NAME:N` ends the process at the N-th hit of the point NAME.
//! `POSTHORN_FAULT_COUNT=FILE` appends the name of each point that is hit, one a line, so that a test learns which there are before it strikes.
//!
//! Each call to the database passes a seam (`seam`) besides: the simulation (`tests/sim`) has the N-th one from now on this thread fail, and asks
//! afterwards which it was.

#[cfg(feature = "fault-points")]
pub use compiled_in::{Failure, arm, disarm};
#[cfg(feature = "fault-points")]
pub(crate) use compiled_in::{hit, is_due, seam};

#[cfg(feature = "fault-points")]
mod compiled_in {
    use std::cell::Cell;
    use std::fs::{File, OpenOptions};
    use std::io::Write;
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU64, Ordering};

    /// Ends the process, if this is the hit that is wanted.
    pub(crate) fn hit(name: &str) {
        if is_due(name) {
            std::process::abort();
        }
    }

    /// Tells whether this is the hit that is wanted, for a place that has something to leave half done before it ends the process.
    pub(crate) fn is_due(name: &str) -> bool {
        static WANTED: OnceLock<Option<(String, u64)>> = OnceLock::new();
        static COUNT: OnceLock<Option<File>> = OnceLock::new();
        static N_HITS: AtomicU64 = AtomicU64::new(0);
        let count = COUNT.get_or_init(|| {
            let path = std::env::var_os("POSTHORN_FAULT_COUNT")?;
            OpenOptions::new().create(true).append(true).open(path).ok()
        });
        if let Some(mut count) = count.as_ref() {
            // One write a line: lines of several threads do not mix.
            count.write_all(format!("{name}\n").as_bytes()).ok();
        }
        let wanted = WANTED.get_or_init(|| {
            let text = std::env::var("POSTHORN_FAULT").ok()?;
            let (name, n) = text.rsplit_once(':')?;
            Some((name.to_owned(), n.parse().ok()?))
        });
        wanted
            .as_ref()
            .is_some_and(|(wanted, n)| wanted == name && N_HITS.fetch_add(1, Ordering::SeqCst) + 1 == *n)
    }

    /// How a call to the database fails.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub enum Failure {
        /// It lost against another transaction; built anew, it may win.
        Conflict,
        /// The database is away.
        Away,
    }

    /// Behind this seam everything is committed, and only the answer is lost: nobody can lose against another transaction there any more.
    const COMMITTED: &str = "commit.after";

    #[derive(Clone, Copy, Default)]
    struct Armed {
        n_before: u32,
        failure: Option<Failure>,
        struck: Option<&'static str>,
    }

    thread_local! {
        static ARMED: Cell<Armed> = const { Cell::new(Armed { n_before: 0, failure: None, struck: None }) };
    }

    /// Has a call to the database on this thread fail, once `n_before` others were made.
    pub fn arm(n_before: u32, failure: Failure) {
        let failure = Some(failure);
        ARMED.set(Armed {
            n_before,
            failure,
            struck: None,
        });
    }

    /// Has no call fail any more, and returns the one that did: a statement's name, `begin`, `commit.before` or `commit.after`.
    pub fn disarm() -> Option<&'static str> {
        ARMED.take().struck
    }

    /// Says whether this call fails.
    pub(crate) fn seam(name: &'static str) -> Option<Failure> {
        let armed = ARMED.get();
        let failure = armed.failure?;
        if armed.n_before > 0 {
            let n_before = armed.n_before - 1;
            ARMED.set(Armed { n_before, ..armed });
            return None;
        }
        if name == COMMITTED && failure == Failure::Conflict {
            return None;
        }
        ARMED.set(Armed {
            failure: None,
            struck: Some(name),
            ..armed
        });
        Some(failure)
    }
}

#[cfg(not(feature = "fault-points"))]
#[inline]
pub(crate) fn hit(_name: &str) {}
