//! Everything the owner owns.

use capstan_migration::Jobs;
use capstan_work::WorkState;

/// The cores' states, side by side: they meet only here.
#[derive(Debug, Default)]
pub struct State {
    /// Sessions and items.
    pub work: WorkState,
    /// Migrations.
    pub jobs: Jobs,
}
