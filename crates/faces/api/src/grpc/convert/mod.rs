//! Wire types into the domain's, and back.
//!
//! What comes in is checked here as far as it can be without the state: names, ranges, known enumeration values. The
//! first fault refuses the request and names its field as the `.proto` file does, such as `items[3].kind`. Nothing goes
//! wrong on the way out.

mod item;
mod job;
mod lease;
mod malformed;
mod pipeline;
mod session;
mod time;

pub use item::{added, gate, gates, item, item_id, kinds, new_items, priority, retry_ids, state};
pub use job::{chunk, job, unit};
pub use lease::{
    acquire, acquired, complete, complete_and_acquire, completed, completed_and_acquired, fail, failed, release,
    released, renew, renewed,
};
pub use malformed::{Malformed, Named};
pub use pipeline::{
    availability, fact, outcome, pipeline, pipeline_group, pipeline_id, pipeline_status, register, reservation,
    reserve, rules, rules_change, status_report, system,
};
pub use session::{limit, limit_status, notes, policy, policy_change, session, session_name, status, worker};
pub use time::{timestamp, wall_time};

#[cfg(test)]
mod tests;
