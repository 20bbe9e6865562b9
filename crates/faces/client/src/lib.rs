//! A typed client of a Capstan server, over gRPC.
//!
//! Calls of many tasks share one stream: what is asked while a frame is on its way leaves with the next one, so that
//! one frame, one hop and one flush serve many. A call that got no answer is repeated, with the same ids, keys and
//! tokens, for as long as [`Options::retry_for`] says; what the server refused is not.
//!
//! # Promises
//! - K1 What was answered with `Ok` is durable.
//! - K2 A [`Lease`] knows its end by this machine's own clock, counted from when it was asked for: it ends here before
//!   the server may give the item to anybody else, whatever the two wall clocks say.
//! - K3 Repeating never does a thing twice: acquires carry a key, everything about a lease its token, items their ids.
//! - K4 Nothing is without a limit: what may be under way at once, how long a call is repeated, how large a frame is.
//!
//! ```no_run
//! use capstan_client::{Acquire, Client, Item, Policy};
//!
//! # async fn run() -> Result<(), capstan_client::Error> {
//! let client = Client::connect("http://127.0.0.1:8000").await?;
//! let shop = client.create_session("shop", Policy::default()).await?;
//! shop.add(vec![Item { id: "orders/1".into(), ..Item::default() }]).await?;
//!
//! while let Some(lease) = client.acquire(&Acquire::by("alice").from("shop")).await?.leases.pop() {
//!     println!("{} until {:?} from now", lease.item().id, lease.remaining());
//!     lease.complete(None).await?;
//! }
//! # Ok(())
//! # }
//! ```

mod acquire;
mod client;
mod clock;
mod coordination;
mod error;
mod exchange;
mod jobs;
mod lease;
mod registry;
mod reopening;
mod retry;
mod session;
mod watch;

pub use acquire::{Acquire, Acquired};
pub use client::{Client, Options};
pub use error::{Class, Error};
pub use jobs::Job;
pub use lease::{Lease, News, Outcome};
pub use registry::RegistryWatch;
pub use session::{Page, Session};
pub use watch::Watch;

/// The messages of the wire, for what is only looked at.
pub use capstan_proto::v1;
/// An item as its maker describes it.
pub use capstan_proto::v1::ItemSpec as Item;
/// How a session hands out its work.
pub use capstan_proto::v1::Policy;
