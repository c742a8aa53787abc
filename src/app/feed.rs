//! An action item as the feed and the posts show it (interface.md).

use serde::Serialize;

use crate::store::items::Item;
use crate::time::Timestamp;

/// An action item.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ShownItem {
    /// Stays the same through all versions.
    pub id: String,
    /// Rises with each change.
    pub version: i64,
    /// `None` where it concerns no lead.
    pub lead_id: Option<String>,
    /// Whose bell it rings.
    pub partner_id: String,
    /// One line.
    pub title: String,
    /// A sentence or two.
    pub text: String,
    /// Where it leads.
    pub link: String,
    /// When the lead expires.
    pub due_date_time: Option<Timestamp>,
    /// `recommended` or `mandatory`.
    pub category: String,
    /// `urgent`, `cooled` or nothing.
    pub urgency: Option<String>,
    /// Whether the lead expires soon.
    pub expiring: bool,
    /// `open`, `done` or `withdrawn`.
    pub state: String,
    /// Whether a user has put it away.
    pub archived: bool,
}

impl From<&Item> for ShownItem {
    fn from(item: &Item) -> Self {
        Self {
            id: format!("item-{}", item.seq),
            version: item.version,
            lead_id: item.lead_id.clone(),
            partner_id: item.partner_id.clone(),
            title: item.title.clone(),
            text: item.text.clone(),
            link: item.link.clone(),
            due_date_time: item.due_at.map(Timestamp::from_millis),
            category: item.category.clone(),
            urgency: item.urgency.clone(),
            expiring: item.is_expiring,
            state: item.state.clone(),
            archived: item.is_archived,
        }
    }
}
