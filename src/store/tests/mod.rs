//! What the store promises, tried on both engines.

mod leases;
mod limits;
mod plans;
mod relays;
mod rows;
mod schema;
mod statements;
