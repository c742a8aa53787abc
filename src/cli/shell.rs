//! Completions and manual pages, made from the definition of the command line.

use std::fs;

use crate::cli::args;
use crate::cli::args::setup::{Completions, Man};
use crate::cli::context::Context;
use crate::cli::exit::{Exit, Failure};

/// `completions`
pub(crate) fn completions(args: &Completions, ctx: &Context) -> Result<Exit, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut args::command(), "posthorn", &mut script);
    ctx.out.raw(&String::from_utf8_lossy(&script));
    Ok(Exit::Done)
}

/// `man`
pub(crate) fn man(args: &Man, ctx: &Context) -> Result<Exit, Failure> {
    let Some(dir) = &args.dir else {
        let mut page = Vec::new();
        clap_mangen::Man::new(args::command())
            .render(&mut page)
            .expect("memory takes a page");
        ctx.out.raw(&String::from_utf8_lossy(&page));
        return Ok(Exit::Done);
    };
    let written = fs::create_dir_all(dir).and_then(|()| clap_mangen::generate_to(args::command().disable_help_subcommand(true), dir));
    written.map_err(|error| Failure::unavailable(format_args!("cannot write manual pages to {}: {error}", dir.display())))?;
    ctx.out
        .note(format_args!("The pages are in {}; read one by man {0}/posthorn.1", dir.display()));
    Ok(Exit::Done)
}
