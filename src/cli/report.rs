//! Tells what became of an input's records: how many became what, and each that was refused, by line, as it happens.
//!
//! **Invariant:** nothing of the refused records is kept here, so that a file of a million bad lines is answered in constant memory; with `--json` the
//! answer is written piece by piece, and is one JSON value at the end all the same.

use std::error::Error;
use std::fmt::Write;
use std::path::Path;

use serde_json::{Map, Value, json};

use crate::cli::args::values::Input;
use crate::cli::exit::{Exit, Failure};
use crate::cli::output::Output;
use crate::fault::Fault;
use crate::intake::batch::Flow;
use crate::intake::file;

/// What is told of one input.
pub(crate) struct Report<'a> {
    out: &'a Output,
    n_rejected: u64,
}

impl<'a> Report<'a> {
    /// Begins to tell.
    pub(crate) fn new(out: &'a Output) -> Self {
        Self { out, n_rejected: 0 }
    }

    /// Tells of a record that was refused: a line for each of its faults.
    pub(crate) fn refuse(&mut self, line: u64, faults: &[Fault]) {
        self.n_rejected += 1;
        for fault in faults {
            self.out.complain(format_args!("line {line}: {fault}"));
        }
        if self.out.is_json() {
            let before = if self.n_rejected == 1 { "{\"rejected\":[" } else { "," };
            let faults: Vec<String> = faults.iter().map(Fault::to_string).collect();
            self.out.raw(&format!("{before}{}", json!({ "line": line, "faults": faults })));
        }
    }

    /// Tells how many became what. `counts` names all that were not refused.
    pub(crate) fn end(self, name: &str, counts: &[(&str, u64)]) -> Exit {
        if self.out.is_json() {
            let before = if self.n_rejected == 0 { "{\"rejected\":[" } else { "" };
            let counts: Map<String, Value> = counts.iter().map(|(what, n)| ((*what).to_owned(), json!(n))).collect();
            let counts = json!(counts).to_string();
            self.out.raw(&format!("{before}],{}\n", &counts[1..]));
        }
        let rejected = ("rejected", self.n_rejected);
        let all: Vec<String> = counts.iter().chain([&rejected]).map(|(what, n)| format!("{n} {what}")).collect();
        self.out.line(format_args!("{name}: {}.", all.join(", ")));
        if self.n_rejected > 0 { Exit::InPart } else { Exit::Done }
    }
}

/// Opens an input, and says how it flows: what is no ordinary file can be read once only, and may never end.
///
/// # Errors
/// Exit 3 if it cannot be opened, or is nothing that can be taken in.
pub(crate) fn open(input: &Input, what: file::Input) -> Result<(file::Records, Flow), Failure> {
    let (path, flow) = match input {
        Input::Stdin => (Path::new("-"), Flow::Pipe),
        Input::File(path) if path.is_file() => (path.as_path(), Flow::File),
        Input::File(path) => (path.as_path(), Flow::Pipe),
    };
    Ok((file::open(path, what)?, flow))
}

/// Names an input as it is told, and as its records' places name it: a file by its name, wherever it lies.
pub(crate) fn name(input: &Input) -> String {
    match input {
        Input::Stdin => "-".to_owned(),
        Input::File(path) => path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned(),
    }
}

impl From<file::Error> for Failure {
    fn from(error: file::Error) -> Self {
        let mut text = error.to_string();
        let mut cause = error.source();
        while let Some(source) = cause {
            _ = write!(text, ": {source}");
            cause = source.source();
        }
        Self::input(text)
    }
}
