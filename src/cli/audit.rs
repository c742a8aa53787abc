//! Shows the closed books: sums, and what fits nowhere.

use crate::app::audit::{Audit, LISTED_MAX, Sum, audit as close_books, total};
use crate::cli::args::setup;
use crate::cli::context::Context;
use crate::cli::exit::{Exit, Failure};
use crate::cli::session::Session;
use crate::clock::wall_now;

/// `audit`
pub(crate) async fn audit(_: &setup::Audit, ctx: &Context) -> Result<Exit, Failure> {
    let session = Session::open(ctx).await?;
    let books = close_books(&session.store, session.now, wall_now()).await?;
    ctx.out.one(&books.to_json(), |_| page(&books).trim_end().to_owned());
    Ok(if books.n_orphans == 0 { Exit::Done } else { Exit::InPart })
}

fn page(books: &Audit) -> String {
    let mut page = String::new();
    page.push_str(&format!("leads: {}\n", books.n_contact + total(&books.others)));
    for (n, text) in [(books.n_contact, "contact")]
        .into_iter()
        .chain(books.others.iter().map(|sum| (sum.n, sum.text.as_str())))
    {
        page.push_str(&format!("  {n:>9} {text}\n"));
    }
    add(&mut page, "mailed", &books.mailed);
    add(&mut page, "waiting", &books.waiting);
    add(&mut page, "excused", &books.excused);
    page.push_str(&format!(
        "  {} of {} contact leads are mailed, waiting or excused\n",
        books.n_accounted(),
        books.n_contact
    ));
    add(&mut page, "notices", &books.notices);
    add(&mut page, "deliveries", &books.deliveries);
    add(&mut page, "digests", &books.digests);
    add(&mut page, "items", &books.items);
    page.push_str(&format!("rejected records open: {}\n", books.n_rejected));
    page.push_str(&format!("orphans: {}\n", books.n_orphans));
    for lost in &books.orphans {
        page.push_str(&format!(
            "  {} {} (partner {}): {}\n",
            lost.what, lost.id, lost.partner_id, lost.why
        ));
    }
    if books.n_orphans > LISTED_MAX {
        page.push_str(&format!("  … and {} more\n", books.n_orphans - LISTED_MAX));
    }
    page
}

fn add(page: &mut String, title: &str, sums: &[Sum]) {
    page.push_str(&format!("{title}: {}\n", total(sums)));
    for sum in sums {
        page.push_str(&format!("  {:>9} {}\n", sum.n, sum.text));
    }
}
