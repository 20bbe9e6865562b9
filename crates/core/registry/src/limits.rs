//! The most there can be of anything.

use capstan_ids::Millis;

/// Pipelines registered at once, ended ones that are still kept included.
pub const PIPELINES_MAX: usize = 100_000;
/// Reservations held at once.
pub const RESERVATIONS_MAX: usize = 10_000;
/// Reservations that wait for room at once.
pub const WAITING_MAX: usize = 1_000;
/// Labels of one pipeline.
pub const LABELS_MAX: usize = 32;
/// Entries of one page of a list.
pub const PAGE_MAX: u32 = 1_000;
/// Records and bytes stay below this, so that JSON readers which only know doubles read them exactly.
pub const COUNT_MAX: u64 = (1 << 53) - 1;

/// The most memory one pipeline reports or reserves, in MB.
pub const PIPELINE_MEMORY_MB_MAX: u64 = 100_000_000;
/// The highest limit of all pipelines' CPU together, in percent.
pub const LIMIT_CPU_PERCENT_MAX: u64 = 10_000_000;
/// The highest limit of all pipelines' memory together, in MB.
pub const LIMIT_MEMORY_MB_MAX: u64 = 1_000_000_000_000;

/// The shortest time a reservation is made for.
pub const TTL_MIN: Millis = Millis::secs(1);
/// The longest time a reservation is made for without being renewed.
pub const TTL_MAX: Millis = Millis::secs(86_400);
/// The longest a reservation waits for room.
pub const PATIENCE_MAX: Millis = Millis::secs(86_400);
/// The shortest silence that makes a pipeline stale: a report comes at most once a second.
pub const STALE_AFTER_MIN: Millis = Millis::secs(2);
/// The longest silence that does not.
pub const STALE_AFTER_MAX: Millis = Millis::secs(7 * 86_400);
/// The shortest time an ended pipeline is kept.
pub const KEEP_ENDED_MIN: Millis = Millis::secs(1);
/// The longest.
pub const KEEP_ENDED_MAX: Millis = Millis::secs(10 * 365 * 86_400);

/// At most one event of a kind a pipeline in this time; of what comes between, the last wins.
pub const REPORT_EVERY: Millis = Millis::secs(1);
/// Usage events of all pipelines in [`REPORT_EVERY`] before they thin out.
pub const USAGE_EVENTS_MAX: u32 = 100;
/// How often a pipeline's usage is journalled when there is more than that.
pub const THINNED_USAGE_EVERY: Millis = Millis::secs(60);

/// Failed and stale pipelines that one alert names; of the rest it says how many.
pub const ALERT_PIPELINES_MAX: usize = 20;
/// The longest that health is watched before it is told of.
pub const ALERT_HOLD_MAX: Millis = Millis::secs(3_600);
/// The shortest time between reminders of what is still critical.
pub const ALERT_REPEAT_MIN: Millis = Millis::secs(60);
/// The longest.
pub const ALERT_REPEAT_MAX: Millis = Millis::secs(7 * 86_400);
/// How long after trouble ended a new leader still says so: the one before may have died before it did.
pub const ALERT_RESOLVED_FOR: Millis = Millis::secs(86_400);
