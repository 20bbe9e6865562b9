//! Messages to addresses that an operator chose: by HTTP, to allowed hosts alone, until they arrive or time is up.
//!
//! # Promises
//! - H1 A server connects to the addresses that it was started with, if their hosts are on the list of allowed ones, and
//!   nowhere else: redirects are not followed, no proxy is asked, and nothing that comes in later is an address.
//! - H2 Nothing of an address but `scheme://host[:port]` is ever shown: what follows may be a secret.
//! - H3 A message is delivered at least once, or given up after a stated time, or superseded by a newer one; its fate is
//!   told exactly once.
//! - H4 One message waits for each address at the most: a newer one takes its place.
//! - H5 What a receiver says but its status and `Retry-After` is not read.
//!
//! # Never
//! Knows what a message means.
//!
//! ```
//! use capstan_webhook::{Address, AllowList};
//!
//! let allowed = AllowList::parse(["hooks.example.com", "127.0.0.1:9099"])?;
//! let address = Address::parse("https://hooks.example.com/services/a-secret")?;
//! assert_eq!(format!("{address} {address:?}"), "https://hooks.example.com Address(https://hooks.example.com)");
//! assert!(allowed.has(&address));
//! assert!(!allowed.has(&Address::parse("http://127.0.0.1:9100/")?));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#![warn(missing_docs)]

mod address;
mod allowed;
mod courier;
mod pause;
mod post;

pub use address::{ADDRESS_BYTES_MAX, Address, AddressError};
pub use allowed::{AllowList, AllowedError};
pub use courier::{Courier, Fate, Letter, Mailbox};
pub use pause::Patience;
pub use post::{OpenError, Webhook};
