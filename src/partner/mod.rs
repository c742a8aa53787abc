//! Who a partner is: its record, its addresses, its zone.
pub mod address;
pub mod id;
pub mod record;
pub mod zone;
pub use address::EmailAddress;
pub use id::PartnerId;
pub use record::Partner;
pub use zone::Zone;
