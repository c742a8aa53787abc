//! What a lead is: read from either wire format (`record`, `marketplace`), sorted (`kind`), staged (`stage`), and what it is at an instant (`model`).
//!
//! **Invariant:** nothing here reads a clock, a file or a database; the same record and instant give the same answer.

pub mod country;
pub mod erase;
pub mod facets;
pub mod id;
pub mod kind;
pub(crate) mod marketplace;
pub mod model;
pub mod phone;
pub mod record;
pub mod show;
pub mod spam;
pub mod stage;
pub mod validity;
pub mod values;

pub use crate::fields::OneOf;
pub use id::LeadId;
pub use model::Lead;
pub use record::Record;
pub use stage::Stage;
