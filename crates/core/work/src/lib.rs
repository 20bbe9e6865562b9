//! Sessions, leased items, groups and limits: the pure decisions of work coordination.
//!
//! A session is a namespace of work with a policy. An item is the unit of leased work: it waits for its groups, is
//! granted to one worker at a time under a token that fences it, and ends completed, failed or cancelled.
//! [`WorkState::decide`] says what would happen, [`WorkState::apply`] makes it so, and [`WorkState::perform`] does both
//! for a caller that journals the events before it answers.
//!
//! # Promises
//! - W1 At most one live lease per item.
//! - W2 Tokens grow with every grant; a stale token changes nothing and is told so.
//! - W3 What was acknowledged survives any crash, but for a renewal that carried nothing new; what was not
//!   acknowledged may be retried safely.
//! - W4 Completed is final: repeating one's own completion answers the same, anyone else's is refused.
//! - W5 Successors and the parent's completion are one commit. A successor equal to the parent, or a second, different
//!   list for the same parent, is refused.
//! - W6 Counters equal a recount at every moment; totals reach 100 % when all is done.
//! - W7 No grant brings live leases above any limit their items count against; shrinking revokes nothing; no slot
//!   leaks however a lease ends.
//! - W8 Only the coordinator's clock decides. After a restart every live lease has its full term.
//! - W9 Within a session: priority, then first queued first served; between sessions by weight, and nobody starves.
//! - W10 Ready work is found at once: no step searches behind work that a limit stops.
//!
//! # Never
//! Looks at a clock, draws a random number, waits, or touches a disk or a socket: time, randomness and positions come
//! in as arguments. Nothing has happened until the events are durable.
//!
//! ```
//! use capstan_ids::{ItemId, Moment, Position, SessionName, WorkerId};
//! use capstan_work::{Acquire, Answer, Command, Conflicts, Context, NewItem, Policy, WorkState};
//!
//! let mut work = WorkState::new();
//! let mut journal = Vec::new();
//! let mut ask = |work: &mut WorkState, command| {
//!     let next = Position::new(journal.len() as u64 + 1);
//!     let context = Context { moment: Moment::default(), next, random: 7 };
//!     work.perform(&command, context, &mut |_, event| journal.push(event.clone()))
//! };
//! let shop = SessionName::new("shop")?;
//! let item = NewItem::new(ItemId::new("orders/1")?);
//!
//! ask(&mut work, Command::OpenSession { session: shop.clone(), policy: Policy::default(), notes: None, items: vec![item], gates: vec![] })?;
//! let answer = ask(&mut work, Command::Acquire(Acquire::from(shop, WorkerId::new("alice")?)))?;
//!
//! let Answer::Granted(grants) = answer else { panic!("there was work") };
//! assert_eq!(grants[0].body.id(), "orders/1");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod answer;
mod apply;
mod body;
mod command;
mod counts;
mod decide;
mod event;
mod flag;
mod groups;
mod invariants;
mod item;
mod items;
mod lanes;
mod limits;
mod policy;
mod progress;
mod rejection;
mod session;
mod slots;
mod snapshot;
mod state;
mod stuck;
mod usage;
mod view;

pub use answer::{Added, Answer, Grant, NoWork};
pub use body::ItemBody;
pub use command::{Acquire, Command, Complete, Conflicts, Holder, NewItem, WaitsFor};
pub use counts::Counts;
pub use decide::Decision;
pub use event::{Event, GrantKey};
pub use invariants::Violation;
pub use item::ItemState;
pub use items::Slice;
pub use policy::{Attempts, Backoff, LeaseGrowth, LimitValue, OnExhausted, Policy, PolicyChange};
pub use progress::Progress;
pub use rejection::Rejection;
pub use session::SessionState;
pub use snapshot::{RestoreError, SessionRestore};
pub use state::{Context, Stamp, WorkState};
pub use usage::{Usage, UsageError};
pub use view::{ItemView, KindView, LimitView, SessionView, WorkerView};
