//! What goes over the wire: never the domain's own types.

pub mod time;
