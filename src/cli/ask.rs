//! Asks before something that cannot be taken back: on a terminal; without one it is refused unless `--yes`.

use std::io::{self, IsTerminal, Write};

use crate::cli::exit::Failure;

/// Returns if the answer is yes, or was given by `--yes`. `what` completes "this would …": "mail 1,240 addresses".
///
/// # Errors
/// Exit 5 if nobody can be asked, or the answer is no.
pub fn confirm(what: &str, yes: bool) -> Result<(), Failure> {
    // Asked on standard error: standard output belongs to the result.
    let somebody_is_there = io::stdin().is_terminal() && io::stderr().is_terminal();
    confirm_by(what, yes, somebody_is_there, || {
        let mut answer = String::new();
        write!(io::stderr(), "This would {what}. Go on? [y/N] ")?;
        io::stdin().read_line(&mut answer)?;
        Ok(answer)
    })
}

fn confirm_by(what: &str, yes: bool, somebody_is_there: bool, ask: impl FnOnce() -> io::Result<String>) -> Result<(), Failure> {
    if yes {
        return Ok(());
    }
    if !somebody_is_there {
        return Err(Failure::forbidden(format_args!(
            "this would {what}, and there is no terminal to ask at; --yes does it"
        )));
    }
    let answer = ask().unwrap_or_default();
    match answer.trim().to_lowercase().as_str() {
        "y" | "yes" => Ok(()),
        _ => Err(Failure::forbidden("nothing was done")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `R-BACKFILL`
    #[test]
    fn what_cannot_be_taken_back_needs_a_yes() {
        for (yes, somebody_is_there, answer, is_done) in [
            (true, false, "", true),
            (true, true, "n", true),
            (false, false, "y", false),
            (false, true, "y\n", true),
            (false, true, " YES \n", true),
            (false, true, "\n", false),
            (false, true, "maybe\n", false),
            (false, true, "", false),
        ] {
            let done = confirm_by("mail 3 partners", yes, somebody_is_there, || Ok(answer.into()));
            assert_eq!(done.is_ok(), is_done, "{yes} {somebody_is_there} {answer:?}");
        }
        let refused = confirm_by("mail 3 partners", false, false, || Ok(String::new())).expect_err("nobody there");
        assert_eq!(
            refused.message,
            "this would mail 3 partners, and there is no terminal to ask at; --yes does it"
        );
        assert_eq!(refused.exit as u8, 5);
    }
}
