//! A lead as it is, and a partner's answers to it.

use serde_json::{Number, Value};

use crate::app;
use crate::app::answer::{Action, Colleague, Terms, answer};
use crate::app::explain::Decision;
use crate::app::leads::{self, Filter};
use crate::cli::args::answers::{Accept, By, Decline, Edit, Lost, Outcome, Terms as TermsGiven, Won};
use crate::cli::args::leads::{LeadFilter, LeadsHistory, LeadsList, LeadsMark, LeadsShow, LeadsUnmark};
use crate::cli::args::values::{Amount, Currency, Person, Standing};
use crate::cli::context::Context;
use crate::cli::exit::{Exit, Failure};
use crate::cli::output::Column;
use crate::cli::session::Session;
use crate::cli::walk::walk;
use crate::lead::kind::Kind;
use crate::lead::{Lead, LeadId};
use crate::policy::channel::Channel;
use crate::tag::IfMatch;
use crate::time::{LocalDay, Timestamp};

/// `leads list`
pub(crate) async fn list(args: &LeadsList, ctx: &Context) -> Result<Exit, Failure> {
    let session = Session::open(ctx).await?;
    let filter = filter(&args.filter);
    let found = walk(args.limit, async |cursor, limit| {
        leads::page(&session.store, session.now, &filter, cursor, limit).await
    })
    .await;
    session.store.close().await;
    let shown = leads::shown(&found?, session.now);
    let mut columns = vec![
        Column::text("ID", |lead: &Value| text(lead, "/id").unwrap_or_default()),
        Column::text("CUSTOMER", |lead: &Value| text(lead, "/customerProfile/name").unwrap_or_default()),
        Column::text("PARTNER", |lead: &Value| text(lead, "/organizationId").unwrap_or_default()),
        Column::text("KIND", |lead: &Value| text(lead, "/posthorn/kind").unwrap_or_default()),
        Column::text("STATUS", |lead: &Value| match text(lead, "/posthorn/kind").as_deref() {
            Some(kind) if kind == Kind::Informational.as_str() => String::new(),
            _ => joined(lead, "", &["status", "substatus"]).unwrap_or_default().replace(", ", "/"),
        }),
        Column::text("URGENCY", |lead: &Value| text(lead, "/posthorn/urgency").unwrap_or_default()),
        Column::text("CREATED", |lead: &Value| text(lead, "/createdDateTime").unwrap_or_default()),
    ];
    // A column for what nobody has only takes room.
    if shown.iter().any(is_likely_spam) {
        columns.push(Column::text("SPAM", |lead: &Value| {
            if is_likely_spam(lead) { "likely" } else { "" }.to_owned()
        }));
    }
    ctx.out.list(&shown, &columns, "no such lead");
    Ok(Exit::Done)
}

fn is_likely_spam(shown: &Value) -> bool {
    shown.pointer("/posthorn/likelySpam") == Some(&Value::Bool(true))
}

/// Returns what the command line asks for.
pub(super) fn filter(args: &LeadFilter) -> Filter {
    Filter {
        partner: args.partner.clone(),
        stages: args.status.iter().flat_map(|Standing(stages)| stages).copied().collect(),
        kinds: args.kind.clone(),
        tabs: args.tab.clone(),
        origins: args.origin.clone(),
        calls_to_action: args.call_to_action.clone(),
        countries: args.country.clone(),
        sources: args.source.clone(),
        qualities: args.quality.clone(),
        email_validities: args.email_validity.clone(),
        phone_validities: args.phone_validity.clone(),
        customer: args.customer.clone(),
        search: args.search.clone(),
        created_from: args.created_from,
        created_before: args.created_before,
        order: args.sort,
    }
}

/// `leads show`
pub(crate) async fn show(args: &LeadsShow, ctx: &Context) -> Result<Exit, Failure> {
    let session = Session::open(ctx).await?;
    let lead = leads::find(&session.store, &args.id, None).await;
    session.store.close().await;
    let lead = lead?;
    ctx.out.one(&lead.show(session.now), |shown| page(session.now, &lead, shown));
    Ok(Exit::Done)
}

/// `leads accept`
pub(crate) async fn accept(args: &Accept, ctx: &Context) -> Result<Exit, Failure> {
    say(&args.id, Action::Accept(terms(&args.terms)), &args.by, "is accepted", ctx).await
}

/// `leads decline`
pub(crate) async fn decline(args: &Decline, ctx: &Context) -> Result<Exit, Failure> {
    let action = Action::Decline {
        reason: args.reason.clone(),
        notes: args.notes.clone(),
        notify_customer: !args.no_customer_mail,
    };
    say(&args.id, action, &args.by, "is declined", ctx).await
}

/// `leads won`
pub(crate) async fn won(args: &Won, ctx: &Context) -> Result<Exit, Failure> {
    say(&args.id, Action::Won(outcome(&args.outcome)), &args.by, "is closed as won", ctx).await
}

/// `leads lost`
pub(crate) async fn lost(args: &Lost, ctx: &Context) -> Result<Exit, Failure> {
    say(&args.id, Action::Lost(outcome(&args.outcome)), &args.by, "is closed as lost", ctx).await
}

/// `leads edit`
pub(crate) async fn edit(args: &Edit, ctx: &Context) -> Result<Exit, Failure> {
    let terms = terms(&args.terms);
    if terms == Terms::default() {
        return Err(Failure::usage(
            "nothing was named that is to change, such as --closing 2027-01-31; `posthorn leads edit --help` names what can",
        ));
    }
    say(&args.id, Action::Edit(terms), &args.by, "is changed", ctx).await
}

/// `leads favourite`
pub(crate) async fn favourite(args: &LeadsMark, ctx: &Context) -> Result<Exit, Failure> {
    mark(&args.id, true, &args.by, "is a favourite", ctx).await
}

/// `leads unfavourite`
pub(crate) async fn unfavourite(args: &LeadsUnmark, ctx: &Context) -> Result<Exit, Failure> {
    mark(&args.id, false, &args.by, "is no favourite", ctx).await
}

async fn mark(id: &LeadId, is_favourite: bool, by: &By, done: &str, ctx: &Context) -> Result<Exit, Failure> {
    let session = Session::open(ctx).await?;
    let lead = app::favourite::favourite(&session.store, session.now, id, is_favourite, by.by.as_deref()).await;
    session.store.close().await;
    ctx.out.one(&lead?.show(session.now), |_| format!("Lead {id} {done}."));
    Ok(Exit::Done)
}

/// `leads history`
pub(crate) async fn history(args: &LeadsHistory, ctx: &Context) -> Result<Exit, Failure> {
    let session = Session::open(ctx).await?;
    let decisions = leads::history(&session.store, &args.id, None).await;
    session.store.close().await;
    let columns = [
        Column::text("AT", |decision: &Decision| decision.date_time.to_string()),
        Column::text("RULE", |decision: &Decision| decision.rule.clone()),
        Column::text("WHAT", |decision: &Decision| decision.event.clone()),
        Column::text("BY", |decision: &Decision| decision.by.clone().unwrap_or_default()),
    ];
    ctx.out.list(&decisions?, &columns, "nothing was decided about it");
    Ok(Exit::Done)
}

async fn say(id: &LeadId, action: Action, by: &By, done: &str, ctx: &Context) -> Result<Exit, Failure> {
    let session = Session::open(ctx).await?;
    let lead = answer(
        &session.store,
        session.now,
        &session.rules,
        id,
        &action,
        &IfMatch::Unsaid,
        by.by.as_deref(),
    )
    .await?;
    session.store.close().await;
    ctx.out.one(&lead.show(session.now), |_| format!("Lead {id} {done}."));
    ctx.out.note(match action {
        Action::Decline { .. } => format!("next: `posthorn explain {id}` tells whether the customer is mailed"),
        Action::Accept(_) | Action::Edit(_) => format!("next: `posthorn leads won {id}` or `posthorn leads lost {id}`, when it is decided"),
        Action::Won(_) | Action::Lost(_) => format!("next: `posthorn explain {id}` tells its whole story"),
    });
    Ok(Exit::Done)
}

fn terms(given: &TermsGiven) -> Terms {
    Terms {
        deal_name: given.deal_name.clone(),
        deal_value: given.value.as_ref().map(number),
        currency: given.currency.as_ref().map(|Currency(code)| code.clone()),
        closing_date_time: given.closing.map(LocalDay::beginning_in_utc),
        notes: given.notes.clone(),
        team: given.team.iter().map(colleague).collect(),
        colleagues: given.colleague.iter().map(colleague).collect(),
        crm_id: given.crm_id.clone(),
        campaign_id: given.campaign_id.clone(),
        ..Terms::default()
    }
}

fn outcome(given: &Outcome) -> Terms {
    Terms {
        deal_value: given.value.as_ref().map(number),
        currency: given.currency.as_ref().map(|Currency(code)| code.clone()),
        notes: given.notes.clone(),
        ..Terms::default()
    }
}

fn number(Amount(text): &Amount) -> Number {
    // JSON knows no leading zeros.
    let digits = text.trim_start_matches('0');
    let digits = if digits.is_empty() || digits.starts_with('.') {
        format!("0{digits}")
    } else {
        digits.to_owned()
    };
    digits.parse().expect("an amount is decimal digits, fifteen at most")
}

fn colleague(person: &Person) -> Colleague {
    Colleague {
        name: person.name.clone(),
        phone: person.phone.clone(),
        email: person.email.clone(),
    }
}

/// Writes a lead for people: what it is, how it stands, who it is about, what was answered.
fn page(now: Timestamp, lead: &Lead, shown: &Value) -> String {
    let mut page = Page::default();
    page.row("Lead", Some(lead.id.to_string()));
    page.row("Customer", text(shown, "/customerProfile/name"));
    page.row("Deal", text(shown, "/name"));
    page.row("Partner", Some(partner(lead, shown)));
    page.row("Stands", Some(standing(now, lead)));
    page.row("Urgency", lead.urgency_at(now).map(|urgency| urgency.as_str().to_owned()));
    page.row("Kind", Some(kind(lead, shown)));
    page.row("Created", Some(lead.created_at.to_string()));
    page.row("Taken in", Some(lead.received_at.to_string()));
    page.row("Told", Some(told(lead)));
    page.gap();
    page.row("Erased", lead.erased_at.map(|at| at.to_string()));
    match lead.is_contact_hidden_at(now) && !lead.is_erased() {
        true => page.row("Contact", Some("hidden, since the lead has expired".to_owned())),
        false => people(shown, "/customerProfile/team").for_each(|person| page.row("Contact", Some(person))),
    }
    page.row("E-mail", text(shown, "/emailValidity"));
    page.row("Phone", text(shown, "/phoneValidity"));
    page.row("Spam", lead.is_likely_spam().then(|| likely_spam(shown)));
    let address = ["addressLine1", "addressLine2", "postalCode", "city", "state", "country"];
    page.row("Address", joined(shown, "/customerProfile/address", &address));
    page.row(
        "Value",
        joined(shown, "/details", &["dealValue", "currency"]).map(|value| value.replace(", ", " ")),
    );
    page.row("Closing", text(shown, "/details/closingDateTime"));
    page.row("Notes", text(shown, "/details/notes"));
    page.gap();
    page.row("Reason", text(shown, "/posthorn/answer/reason"));
    page.row("Answer", text(shown, "/posthorn/answer/notes"));
    page.row("Deal notes", text(shown, "/posthorn/answer/dealNotes"));
    for member in people(shown, "/posthorn/answer/team") {
        page.row("Team", Some(member));
    }
    for member in people(shown, "/posthorn/answer/colleagues") {
        page.row("Colleague", Some(member));
    }
    page.row("CRM id", text(shown, "/posthorn/answer/crmId"));
    page.row("Campaign", text(shown, "/posthorn/answer/campaignId"));
    page.end()
}

/// Says why a lead is likely spam.
fn likely_spam(shown: &Value) -> String {
    match text(shown, "/emailValidity").as_deref() {
        Some("Spam") => "likely: its e-mail is of a domain that is known for spam".to_owned(),
        _ => "likely: its quality is low".to_owned(),
    }
}

/// Columns of the names on the left.
const NAME_COLUMNS: usize = 11;

#[derive(Default)]
struct Page {
    lines: Vec<String>,
}

impl Page {
    fn row(&mut self, name: &str, value: Option<String>) {
        let Some(value) = value else { return };
        let indented = value.trim().replace('\n', &format!("\n{:NAME_COLUMNS$}", ""));
        self.lines.push(format!("{name:<NAME_COLUMNS$}{indented}"));
    }

    fn gap(&mut self) {
        if self.lines.last().is_some_and(|line| !line.is_empty()) {
            self.lines.push(String::new());
        }
    }

    fn end(mut self) -> String {
        if self.lines.last().is_some_and(String::is_empty) {
            self.lines.pop();
        }
        self.lines.join("\n")
    }
}

fn text(shown: &Value, pointer: &str) -> Option<String> {
    match shown.pointer(pointer)? {
        Value::String(text) if !text.trim().is_empty() => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

fn joined(shown: &Value, pointer: &str, keys: &[&str]) -> Option<String> {
    let parts: Vec<String> = keys.iter().filter_map(|key| text(shown, &format!("{pointer}/{key}"))).collect();
    (!parts.is_empty()).then(|| parts.join(", "))
}

fn people(shown: &Value, pointer: &str) -> impl Iterator<Item = String> {
    let people = shown.pointer(pointer).and_then(Value::as_array);
    people.into_iter().flatten().filter_map(|person| {
        let full_name: Vec<String> = ["/firstName", "/lastName"].iter().filter_map(|key| text(person, key)).collect();
        let name = text(person, "/name").or((!full_name.is_empty()).then(|| full_name.join(" ")));
        let rest = ["/email", "/phoneNumber", "/phone"].iter().filter_map(|key| text(person, key));
        let parts: Vec<String> = name.into_iter().chain(rest).collect();
        (!parts.is_empty()).then(|| parts.join(", "))
    })
}

fn partner(lead: &Lead, shown: &Value) -> String {
    match text(shown, "/organizationName").filter(|name| name != lead.partner_id.as_str()) {
        Some(name) => format!("{} ({name})", lead.partner_id),
        None => lead.partner_id.to_string(),
    }
}

fn standing(now: Timestamp, lead: &Lead) -> String {
    if lead.kind == Kind::Informational {
        return match lead.is_archived_at(now) {
            true => "archived; nobody has to answer it".to_owned(),
            false => "nobody has to answer it".to_owned(),
        };
    }
    let stage = format!("{} since {}", lead.stage_at(now), lead.stage_since_at(now));
    match lead.expires_at.filter(|_| lead.is_unanswered_at(now)) {
        Some(at) if lead.is_expiring_at(now) => format!("{stage}; expires soon, at {at}"),
        Some(at) => format!("{stage}; expires at {at}"),
        None => stage,
    }
}

fn kind(lead: &Lead, shown: &Value) -> String {
    let more = ["qualification", "referralSource", "callToAction"];
    let more = more.iter().filter_map(|key| text(shown, &format!("/{key}")));
    let parts: Vec<String> = std::iter::once(lead.kind.as_str().to_owned()).chain(more).collect();
    parts.join(", ")
}

fn told(lead: &Lead) -> String {
    let number = match (lead.day_number, lead.day) {
        (Some(number), Some(day)) => format!(", as number {number} of the partner's {day}"),
        _ => String::new(),
    };
    match (lead.channel, lead.digest_id) {
        (Some(Channel::Single), _) => format!("singly{number}"),
        (Some(Channel::Digest), Some(digest)) => format!("by digest {digest}{number}"),
        (Some(Channel::Digest), None) => format!("by digest{number}"),
        (Some(Channel::Held), _) => "nobody yet: the partner has no address that can be reached".to_owned(),
        (None, _) => "nobody".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_amount_is_a_number_as_json_has_it() {
        for (text, expected) in [
            ("12500", "12500"),
            ("12500.50", "12500.5"),
            ("007", "7"),
            ("0", "0"),
            ("000", "0"),
            ("0.25", "0.25"),
            ("999999999999999", "999999999999999"),
        ] {
            assert_eq!(number(&Amount(text.into())).to_string(), expected, "{text}");
        }
    }

    /// `R-ACCEPT`
    #[test]
    fn a_closing_date_begins_in_utc() {
        let day = LocalDay::parse("2026-12-31").expect("a literal");
        assert_eq!(day.beginning_in_utc().to_string(), "2026-12-31T00:00:00.000Z");
    }
}
