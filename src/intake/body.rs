//! Recognises what the body of a request holds, by its shape: one record, a list, the portal's list envelope, a CloudEvent or a batch of them
//! (CloudEvents 1.0, JSON format), or the portal's thin webhook event.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};

use crate::fault::Fault;
use crate::intake::file::Item;

/// What a body holds.
#[derive(Debug, PartialEq)]
pub enum Body {
    /// One record: it is answered by a status.
    One(Sent),
    /// Several: they are answered one by one.
    Many(Vec<Sent>),
    /// Something happened to a resource, which is not in the event.
    Event(ThinEvent),
}

/// A record of a body.
#[derive(Debug, PartialEq)]
pub struct Sent {
    /// Its place, and what it says.
    pub item: Item,
    /// What makes it the same record when it is sent again: source and id of its CloudEvent.
    pub event: Option<String>,
}

/// The portal's webhook event: what happened, and where the resource is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ThinEvent {
    /// `EventName`, such as `referral-created`.
    pub name: String,
    /// `ResourceUri`.
    pub uri: String,
    /// `ResourceChangeUtcDate`, as written.
    pub changed: Option<String>,
    /// The event as it came.
    pub text: String,
}

/// The event by which the portal tries a subscription out; it is about no resource.
pub const TEST_EVENT: &str = "test-created";

/// Bytes of a resource's address at most, and so its characters, as addresses are ASCII: PostgreSQL refuses to index a text of more than some 2,700.
const URI_BYTES_MAX: usize = 2000;
/// Characters of an event's name at most; the portal's have 20.
const EVENT_NAME_CHARS_MAX: usize = 100;

/// Returns how many records a JSON value holds, before anything is made of them.
pub fn n_records(value: &Value) -> usize {
    match value {
        Value::Array(entries) => entries.len(),
        Value::Object(map) => map.get("value").and_then(Value::as_array).map_or(1, Vec::len),
        _ => 1,
    }
}

/// Recognises a JSON body.
///
/// # Errors
/// It holds nothing that could be a record.
pub fn recognise(value: Value) -> Result<Body, Fault> {
    match value {
        Value::Array(entries) => Ok(Body::Many(numbered(entries))),
        Value::Object(mut map) => {
            if let Some(name) = text(&map, "EventName") {
                return thin_event(name, map).map(Body::Event);
            }
            if !map.contains_key("specversion")
                && !map.contains_key("id")
                && let Some(Value::Array(entries)) = map.get_mut("value")
            {
                return Ok(Body::Many(numbered(std::mem::take(entries))));
            }
            Ok(Body::One(sent(1, Value::Object(map))))
        }
        other => Err(Fault::wrong("", &other, "a lead, a list of leads, or an event about one")),
    }
}

/// Wraps the data of a CloudEvent in binary mode, whose attributes were headers.
///
/// # Errors
/// An attribute that every event has is missing or wrong.
pub fn binary_event(attributes: &Map<String, Value>, data: Value) -> Result<Sent, Fault> {
    let event = identity(attributes)?;
    Ok(Sent {
        item: item(1, data),
        event: Some(event),
    })
}

fn numbered(entries: Vec<Value>) -> Vec<Sent> {
    entries.into_iter().zip(1..).map(|(entry, line)| sent(line, entry)).collect()
}

/// Makes a record of a value; of a CloudEvent its data.
fn sent(line: u64, value: Value) -> Sent {
    match value {
        Value::Object(map) if map.contains_key("specversion") => {
            let text = Value::Object(map.clone()).to_string();
            let read = identity(&map).and_then(|event| Ok((event, data_of(map)?)));
            match read {
                Ok((event, data)) => Sent {
                    item: item(line, data),
                    event: Some(event),
                },
                Err(fault) => Sent {
                    item: Item {
                        line,
                        text,
                        content: Err(fault),
                    },
                    event: None,
                },
            }
        }
        other => Sent {
            item: item(line, other),
            event: None,
        },
    }
}

fn item(line: u64, value: Value) -> Item {
    Item {
        line,
        text: value.to_string(),
        content: Ok(value),
    }
}

/// Returns what makes an event the same: its source and id (CloudEvents 1.0, §3.1).
fn identity(attributes: &Map<String, Value>) -> Result<String, Fault> {
    let needed = |name: &str| text(attributes, name).ok_or_else(|| Fault::missing(name, "a text, as every CloudEvent has it"));
    let version = needed("specversion")?;
    if version != "1.0" {
        return Err(Fault::wrong("specversion", &version.into(), "1.0"));
    }
    needed("type")?;
    Ok(format!("{} {}", needed("source")?, needed("id")?))
}

fn data_of(mut event: Map<String, Value>) -> Result<Value, Fault> {
    if let Some(data) = event.remove("data") {
        return match data {
            Value::String(text) => json("data", text.as_bytes()),
            data => Ok(data),
        };
    }
    match event.remove("data_base64") {
        Some(Value::String(encoded)) => match STANDARD.decode(&encoded) {
            Ok(bytes) => json("data_base64", &bytes),
            Err(_) => Err(Fault::wrong("data_base64", &encoded.into(), "base64 (RFC 4648, section 4)")),
        },
        _ => Err(Fault::missing("data", "the lead's record")),
    }
}

fn json(path: &str, bytes: &[u8]) -> Result<Value, Fault> {
    serde_json::from_slice(bytes).map_err(|_| Fault::wrong(path, &String::from_utf8_lossy(bytes).into(), "JSON"))
}

fn thin_event(name: String, map: Map<String, Value>) -> Result<ThinEvent, Fault> {
    if name.chars().count() > EVENT_NAME_CHARS_MAX {
        return Err(Fault::wrong("EventName", &name.into(), "a name of 100 characters at most"));
    }
    let uri = text(&map, "ResourceUri");
    if let Some(uri) = uri.as_deref().filter(|uri| uri.len() > URI_BYTES_MAX) {
        return Err(Fault::wrong("ResourceUri", &uri.into(), "an address of 2,000 characters at most"));
    }
    if uri.is_none() && name != TEST_EVENT {
        return Err(Fault::missing("ResourceUri", "the address of the resource that the event is about"));
    }
    Ok(ThinEvent {
        name,
        uri: uri.unwrap_or_default(),
        changed: text(&map, "ResourceChangeUtcDate"),
        text: Value::Object(map).to_string(),
    })
}

fn text(map: &Map<String, Value>, key: &str) -> Option<String> {
    map.get(key)
        .and_then(Value::as_str)
        .map(str::trim)
        .filter(|text| !text.is_empty())
        .map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn check(value: Value, expected: &str) {
        let told = match recognise(value.clone()) {
            Ok(Body::One(sent)) => format!("one {}", shown(&sent)),
            Ok(Body::Many(all)) => format!("many {}", all.iter().map(shown).collect::<Vec<_>>().join(" | ")),
            Ok(Body::Event(event)) => format!("event {} {}", event.name, event.uri),
            Err(fault) => format!("refused {fault}"),
        };
        assert_eq!(told, expected, "{value}");
    }

    fn shown(sent: &Sent) -> String {
        let content = match &sent.item.content {
            Ok(value) => value.to_string(),
            Err(fault) => fault.to_string(),
        };
        format!(
            "{}:{content}{}",
            sent.item.line,
            sent.event.as_ref().map(|event| format!(" by {event}")).unwrap_or_default()
        )
    }

    #[test]
    fn a_body_is_known_by_its_shape() {
        check(json!({ "id": "L1" }), r#"one 1:{"id":"L1"}"#);
        check(json!([{ "id": "L1" }, 3]), r#"many 1:{"id":"L1"} | 2:3"#);
        check(
            json!({ "value": [{ "id": "L1" }], "@odata.nextLink": "…" }),
            r#"many 1:{"id":"L1"}"#,
        );
        check(json!({ "id": "L1", "value": [1] }), r#"one 1:{"id":"L1","value":[1]}"#);
        check(json!([]), "many ");
        check(
            json!("lead"),
            r#"refused "lead" is not a lead, a list of leads, or an event about one"#,
        );
    }

    #[test]
    fn a_cloud_event_is_its_data() {
        let event = |data: Value| json!({ "specversion": "1.0", "id": "7", "source": "/portal", "type": "lead.created", "data": data });
        check(event(json!({ "id": "L1" })), r#"one 1:{"id":"L1"} by /portal 7"#);
        check(event(json!("{\"id\": \"L1\"}")), r#"one 1:{"id":"L1"} by /portal 7"#);
        check(json!([event(json!({ "id": "L1" }))]), r#"many 1:{"id":"L1"} by /portal 7"#);
        check(
            json!({ "specversion": "1.0", "id": "7", "source": "/portal", "type": "t", "data_base64": "eyJpZCI6IkwxIn0=" }),
            r#"one 1:{"id":"L1"} by /portal 7"#,
        );
        check(
            json!({ "specversion": "1.0", "id": "7", "source": "/portal", "type": "t" }),
            "one 1:data: missing; expected the lead's record",
        );
        check(
            json!({ "specversion": "0.3", "id": "7", "source": "/portal", "type": "t", "data": {} }),
            r#"one 1:specversion: "0.3" is not 1.0"#,
        );
        check(
            json!({ "specversion": "1.0", "source": "/portal", "type": "t", "data": {} }),
            "one 1:id: missing; expected a text, as every CloudEvent has it",
        );
    }

    #[test]
    fn a_webhook_event_names_its_resource() {
        let uri = "https://api.portal.example/v1/referrals/L1";
        check(
            json!({ "EventName": "referral-created", "ResourceUri": uri, "ResourceName": "Referral" }),
            &format!("event referral-created {uri}"),
        );
        check(json!({ "EventName": "test-created" }), "event test-created ");
        check(
            json!({ "EventName": "referral-updated" }),
            "refused ResourceUri: missing; expected the address of the resource that the event is about",
        );
        let long = |n_chars: usize| format!("{uri:x<n_chars$}");
        check(
            json!({ "EventName": "referral-created", "ResourceUri": long(2000) }),
            &format!("event referral-created {}", long(2000)),
        );
        for (name, uri, refused) in [
            ("referral-created".to_owned(), long(2001), "ResourceUri"),
            ("é".repeat(101), uri.to_owned(), "EventName"),
        ] {
            match recognise(json!({ "EventName": name, "ResourceUri": uri })) {
                Err(fault) => assert!(fault.to_string().starts_with(&format!("{refused}: ")), "{fault}"),
                Ok(body) => panic!("{body:?}"),
            }
        }
    }
}
