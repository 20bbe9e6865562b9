//! How much there may be of what.

/// Jobs that are remembered, ended ones included.
pub const JOBS_MAX: usize = 10_000;
/// Units of one job: each is up to three items of one commit.
pub const UNITS_MAX: usize = 3_000;
/// Chunks of one unit; beyond that chunks grow instead.
pub const CHUNKS_MAX: u32 = 10_000;
/// Parts of one dumped chunk: they all go into one payload and one checkpoint.
pub const SPOOL_PARTS_MAX: usize = 64;
/// Parts of one chunk as the target keeps it.
pub(crate) const TARGET_PARTS_MAX: usize = 256;
/// How often a chunk may be dumped anew because its parts were missed.
pub(crate) const GENERATIONS_MAX: u32 = 8;
/// Bytes of a result.
pub const RESULT_BYTES_MAX: usize = 4 << 20;
/// Bytes of a range's description.
pub(crate) const RANGE_BYTES_MAX: usize = 16 << 10;
/// Bytes of a name in facts.
pub(crate) const FACT_TEXT_MAX: usize = 1 << 10;
/// Entries that a stage may list as set aside; the rest is counted in one last entry.
pub(crate) const SET_ASIDE_MAX: usize = 1_000;
/// Patterns in each list of a specification.
pub(crate) const PATTERNS_MAX: usize = 1_000;
/// Bytes of a pattern.
pub(crate) const PATTERN_BYTES_MAX: usize = 512;
/// Bytes of an address.
pub(crate) const URL_BYTES_MAX: usize = 8 << 10;
/// Live leases of one pool.
pub(crate) const POOL_MAX: u32 = 4_096;
/// Bytes of one page of a brief, about.
pub(crate) const BRIEF_PAGE_BYTES: usize = 1 << 20;
/// How often units may be added to one job.
pub(crate) const ROUNDS_MAX: usize = 1_000;
/// Items that one change of a priority may move.
pub(crate) const PRIORITY_ITEMS_MAX: usize = 50_000;
/// The most memory that a job may expect to need, in MB.
pub(crate) const MEMORY_MB_MAX: u64 = 100_000_000;
/// The longest time that a worker may stand still before it is called stuck: a week.
pub(crate) const STUCK_SECONDS_MAX: u64 = 7 * 86_400;
