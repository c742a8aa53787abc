//! Looks at the NATS stream that leads come from. Nothing is made, fetched or acknowledged.

use crate::doctor::probe::{Asked, Seen};
use crate::doctor::report::{Area, Check};
use crate::intake::nats::{Error, Feed};

pub(super) async fn look(asked: &Asked<'_>) -> Seen {
    const AREA: Area = Area::Nats;
    const NAME: &str = "nats";
    let settings = &asked.settings().nats;
    let Some(feed) = Feed::new(settings) else {
        return Seen::default();
    };
    let url = settings.url.as_deref().unwrap_or_default();
    let (stream, consumer) = (&settings.stream, &settings.consumer);
    let check = match feed.waiting().await {
        Ok(Some(waiting)) => {
            let found = format!(
                "{url} answers. Messages of the stream {stream} that wait for the consumer {consumer}: {}; that are being taken in: {}.",
                waiting.n_pending, waiting.n_unacknowledged
            );
            Check::ok(AREA, NAME, found)
        }
        Ok(None) => {
            let found = format!("{url} answers, and has no stream {stream} with a consumer {consumer} yet: `posthorn serve` makes them.");
            Check::ok(AREA, NAME, found)
        }
        Err(error @ Error::Secret(_)) => Check::wrong(AREA, NAME, format!("{error}."), "Correct [nats] in the configuration."),
        Err(error) => Check::wrong(
            AREA,
            NAME,
            format!("No leads come from NATS: {error}."),
            "See that the server runs with JetStream (`nats-server -js`), and that [nats] names its address and account.",
        ),
    };
    vec![check].into()
}
