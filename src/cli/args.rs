//! The command line: names and flags are a promise, the help is read by people in a hurry.
//!
//! One definition gives parser, help, man pages and completions. Help says one sentence, then examples, then flags; a test parses the
//! examples and measures the lines.

pub mod answers;
pub mod delivery;
pub mod leads;
pub mod partners;
pub mod setup;
pub mod template;
pub mod values;

use std::path::PathBuf;

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};

use crate::time::Timestamp;

/// Sees to it that the right people hear of a partner portal's new leads.
#[derive(Debug, Parser)]
#[command(name = "posthorn", version, subcommand_required = true, arg_required_else_help = true)]
#[command(after_help = "\
Examples:
  posthorn demo                             See what it does.
  posthorn partners import partners.json    Say who receives leads.
  posthorn import leads.ndjson              Take leads in.
  posthorn work --until-idle                Mail what is due.
  posthorn serve                            Do all of that until stopped.
  posthorn explain contoso                  See why somebody was mailed, or not.

Exit codes:
  0  done
  1  done in part: something was refused, and is listed
  2  the command line is wrong
  3  the configuration, a template or an input file is wrong
  4  the database, relay or bus cannot be reached or used
  5  the state forbids it")]
pub struct Args {
    /// What every command takes.
    #[command(flatten)]
    pub global: Global,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// Flags that every command takes.
#[derive(Debug, Default, clap::Args)]
#[command(next_help_heading = "Everywhere")]
pub struct Global {
    /// Read this configuration
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Act as if it were this instant; for rehearsals
    #[arg(long, global = true, value_name = "RFC3339")]
    pub now: Option<Timestamp>,
    /// Answer with one JSON value
    #[arg(long, global = true)]
    pub json: bool,
    /// Say nothing beside the result, but for errors
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub quiet: bool,
    /// Log more; twice for still more
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,
}

/// The commands, in the order in which help lists them.
#[derive(Debug, Subcommand)]
pub enum Command {
    Demo(setup::Demo),
    Import(leads::Import),
    Work(setup::Work),
    Serve(setup::Serve),
    Explain(leads::Explain),
    Status(setup::Status),
    Audit(setup::Audit),
    Doctor(setup::Doctor),
    Report(partners::Report),
    /// Lists and shows leads, and takes a partner's answer to one
    #[command(subcommand)]
    Leads(leads::Leads),
    Verify(leads::Verify),
    Erase(leads::Erase),
    /// Deals with records that could not be taken in
    #[command(subcommand)]
    Rejected(leads::Rejected),
    /// Says who receives leads, and at which address
    #[command(subcommand)]
    Partners(partners::Partners),
    /// Shows digests, and sends them early
    #[command(subcommand)]
    Digest(delivery::Digest),
    /// Shows mails, and tries or stops them by hand
    #[command(subcommand)]
    Deliveries(delivery::Deliveries),
    /// Keeps the addresses that are not mailed any more
    #[command(subcommand)]
    Suppressions(delivery::Suppressions),
    /// Takes in what came back of mails, and shows it
    #[command(subcommand)]
    Bounces(delivery::Bounces),
    /// Shows what the Action Center was told
    #[command(subcommand)]
    Actions(partners::Actions),
    /// Lists, checks and shows what mails are written from
    #[command(subcommand)]
    Template(template::Template),
    Migrate(setup::Migrate),
    /// Checks and shows the configuration
    #[command(subcommand)]
    Config(setup::Config),
    /// Makes tokens for the HTTP API
    #[command(subcommand)]
    Token(setup::Token),
    Completions(setup::Completions),
    Man(setup::Man),
}

/// Columns that help may take: a terminal's classic width, whatever a pipe claims to have.
const HELP_COLUMNS: usize = 80;

/// Examples before flags: who asks for help of a command mostly wants to see it used.
const HELP_TEMPLATE: &str = "{about-with-newline}\n{usage-heading} {usage}{after-help}\n\n{all-args}";

/// Returns the definition, as parser, man pages and completions use it.
pub fn command() -> clap::Command {
    // The template is not inherited.
    fn with_template(command: clap::Command) -> clap::Command {
        command.help_template(HELP_TEMPLATE).mut_subcommands(with_template)
    }
    with_template(Args::command()).max_term_width(HELP_COLUMNS)
}

/// Reads the command line.
///
/// # Errors
/// Clap's: also for `--help` and `--version`, which it prints itself.
pub fn parse(line: impl IntoIterator<Item = impl Into<std::ffi::OsString> + Clone>) -> Result<Args, clap::Error> {
    Args::from_arg_matches(&command().try_get_matches_from(line)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn each(command: &clap::Command, path: &str, see: &mut impl FnMut(&str, &clap::Command)) {
        let path = format!("{path}{}", command.get_name());
        see(&path, command);
        for inner in command.get_subcommands().filter(|inner| inner.get_name() != "help") {
            each(inner, &format!("{path} "), see);
        }
    }

    #[test]
    fn the_definition_contradicts_itself_nowhere() {
        command().debug_assert();
    }

    #[test]
    fn help_fits_a_terminal_and_reads_as_reviewed() {
        let mut all = String::new();
        let mut root = command();
        root.build();
        each(&root, "", &mut |path, command| {
            let help = command.clone().render_help().to_string();
            for line in help.lines() {
                assert!(line.chars().count() <= HELP_COLUMNS, "{path}: {line}");
            }
            for line in command.get_after_help().map(ToString::to_string).unwrap_or_default().lines() {
                assert!(line.chars().count() <= HELP_COLUMNS, "{path} wraps an example: {line}");
            }
            all.push_str(&format!("$ {path} --help\n{}\n\n", help.trim_end()));
        });
        insta::assert_snapshot!("help", all);
    }

    #[test]
    fn every_command_shows_an_example_that_parses() {
        each(&command(), "", &mut |path, command| {
            if command.has_subcommands() && path != "posthorn" {
                return;
            }
            let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            let examples: Vec<&str> = help
                .lines()
                .flat_map(|line| line.split(" | "))
                .map(str::trim)
                .filter(|part| part.starts_with("posthorn "))
                .collect();
            assert!(examples.iter().any(|example| example.starts_with(path)), "{path} has no example");
            for example in examples {
                // What follows more spaces than one explains, what follows "<" or ">" is the shell's.
                let ends = ["   ", " < ", " > "].into_iter().filter_map(|end| example.find(end));
                let line = &example[..ends.min().unwrap_or(example.len())];
                if let Err(error) = parse(words(line)) {
                    panic!("{line}: {error}");
                }
            }
        });
    }

    fn words(line: &str) -> Vec<String> {
        let quoted = line.split('"').enumerate();
        quoted
            .flat_map(|(i, part)| {
                if i % 2 == 1 {
                    vec![part.to_owned()]
                } else {
                    part.split_whitespace().map(str::to_owned).collect()
                }
            })
            .collect()
    }

    #[test]
    fn a_wrong_command_line_is_refused() {
        for (line, answer) in [
            ("posthorn improt leads.json", "import"),
            ("posthorn import", "<FILE>"),
            ("posthorn import a b", "unexpected argument"),
            ("posthorn work", "--until-idle"),
            ("posthorn --now yesterday status", "2026-03-02T00:00:00.000Z"),
            ("posthorn -q -v status", "cannot be used with"),
            ("posthorn leads accept L1 --value 5", "--currency"),
            ("posthorn leads accept L1 --currency EUR", "--value"),
            ("posthorn leads accept L1 --value 1,5 --currency EUR", "12500.50"),
            ("posthorn leads accept L1 --value 5 --currency Euro", "EUR"),
            ("posthorn leads accept L1 --closing 31.12.2026", "2026-12-31"),
            ("posthorn leads accept L1 --colleague +49", "no name"),
            ("posthorn leads decline L1", "--reason"),
            ("posthorn digest run", "--all"),
            ("posthorn digest run --all --partner contoso", "cannot be used with"),
            ("posthorn suppressions add nobody", "ada@example.com"),
            ("posthorn actions list", "--partner"),
            ("posthorn deliveries list --state lost", "in_doubt"),
            ("posthorn deliveries list --limit 0", "1 to 10000 rows"),
            ("posthorn completions csh", "bash"),
            ("posthorn explain", "<LEAD|PARTNER|ADDRESS>"),
            ("posthorn leads show \"\"", "is empty"),
        ] {
            let error = parse(words_or_empty(line)).expect_err(line);
            assert!(error.to_string().contains(answer) && error.exit_code() == 2, "{line}: {error}");
        }
    }

    fn words_or_empty(line: &str) -> Vec<String> {
        line.split_whitespace()
            .map(|word| if word == "\"\"" { String::new() } else { word.to_owned() })
            .collect()
    }

    #[test]
    fn flags_that_every_command_takes_stand_before_or_behind_it() {
        for line in [
            "posthorn --json --now 2026-03-02T00:00:00Z -vv status",
            "posthorn status --json --now 2026-03-02T00:00:00Z -v -v",
        ] {
            let global = parse(words(line)).expect(line).global;
            assert!(global.json && global.verbose == 2 && !global.quiet, "{line}");
            assert_eq!(global.now.map(Timestamp::as_millis), Some(1_772_409_600_000));
        }
    }

    #[test]
    fn the_promised_commands_and_flags_exist() {
        for line in [
            "posthorn import --partner contoso --no-notify --yes -",
            "posthorn leads accept L1 --deal-name N --value 1 --currency EUR --closing 2026-12-31 --notes T --crm-id X --campaign-id Y --by W",
            "posthorn leads edit L1 --deal-name N --value 1 --currency EUR --closing 2026-12-31 --notes T --crm-id X --campaign-id Y --by W",
            "posthorn leads decline L1 --reason R --notes T --no-customer-mail --by W",
            "posthorn leads won L1 --value 1 --currency EUR --notes T --by W",
            "posthorn leads lost L1 --value 1 --currency EUR --notes T --by W",
            "posthorn partners set-preferred-email contoso ada@contoso.com --locale de",
            "posthorn partners clear-preferred-email contoso",
            "posthorn partners resubscribe contoso ada@contoso.com",
            "posthorn digest run --partner contoso fabrikam --dry-run --yes",
            "posthorn digest run --partner contoso --partner fabrikam",
            "posthorn digest run --all --yes",
            "posthorn migrate --rehearsal",
            "posthorn --config x.toml config check",
            "posthorn config show",
            "posthorn erase L1 L2 --by W --reason R --yes",
        ] {
            assert!(parse(words(line)).is_ok(), "{line}: {:?}", parse(words(line)));
        }
    }
}
