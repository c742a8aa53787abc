//! Says what is wrong before mail goes out, and when it does not arrive. One thing that is wrong keeps none of the others from being looked at.

use crate::cli::args::setup;
use crate::cli::context::Context;
use crate::cli::exit::{Exit, Failure};
use crate::cli::page::{Page, count};
use crate::dns::default_servers;
use crate::doctor::{Asked, Report, State, examine};

/// `doctor`
pub(crate) async fn doctor(args: &setup::Doctor, ctx: &Context) -> Result<Exit, Failure> {
    let servers = if args.resolvers.is_empty() {
        default_servers()
    } else {
        args.resolvers.clone()
    };
    let asked = Asked {
        loaded: &ctx.loaded,
        fault: ctx.fault.as_ref(),
        now: ctx.now(),
        servers,
        is_online: args.online,
    };
    let report = examine(&asked).await;
    ctx.out.one(&report, page);
    Ok(exit(&report))
}

fn exit(report: &Report) -> Exit {
    if report.state_of("settings") == Some(State::Wrong) {
        Exit::Input
    } else if report.state_of("database") == Some(State::Wrong) {
        Exit::Unavailable
    } else if report.counts.wrong > 0 {
        Exit::InPart
    } else {
        Exit::Done
    }
}

fn page(report: &Report) -> String {
    let mut page = Page::default();
    let mut area = None;
    for check in &report.checks {
        if area != Some(check.area) {
            page.heading(check.area.title());
            area = Some(check.area);
        }
        page.field(check.state.as_str(), &check.found);
        if let Some(advice) = &check.advice {
            page.field("", format_args!("-> {advice}"));
        }
    }
    let n = report.counts;
    let number = |n: usize| i64::try_from(n).unwrap_or(i64::MAX);
    page.heading(format_args!(
        "{} wrong, {}, {} ok, {} not checked.",
        n.wrong,
        count(number(n.warning), "warning", "warnings"),
        n.ok,
        n.not_checked
    ));
    page.end()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::{Area, Check};
    use crate::time::Timestamp;

    #[test]
    fn the_exit_code_says_what_is_wrong_as_a_whole() {
        let exit_of = |checks: Vec<Check>| exit(&Report::new(Timestamp::from_millis(0), checks));
        let wrong = |area, name| Check::wrong(area, name, "it is wrong", "do something");
        let warning = Check::warning(Area::Dns, "spf", "it is so-so", "do something");
        assert_eq!(exit_of(vec![warning.clone(), Check::ok(Area::Clock, "clock", "fine")]), Exit::Done);
        assert_eq!(exit_of(vec![warning, wrong(Area::Dns, "dkim")]), Exit::InPart);
        assert_eq!(
            exit_of(vec![wrong(Area::Dns, "dkim"), wrong(Area::Database, "database")]),
            Exit::Unavailable
        );
        assert_eq!(
            exit_of(vec![wrong(Area::Database, "database"), wrong(Area::Configuration, "settings")]),
            Exit::Input
        );
    }
}
