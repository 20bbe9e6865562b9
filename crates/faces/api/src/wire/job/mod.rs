//! Jobs as they come in and go out.

mod asked;
mod standing;
mod unit;

pub use asked::{JobCancelSpec, JobPauseSpec, JobSpec, PoolsSpec, PriorityShape, RatesShape, UnitsSpec};
pub use standing::{JobShape, PoolShape, StageShape, pools};
pub use unit::{ChunkShape, DeadLettersShape, UnitShape, VerdictShape};

use capstan_migration::Figures;
use serde::Serialize;
use utoipa::ToSchema;

/// Documents, and their bytes as BSON.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
#[schema(as = Figures)]
pub struct FiguresShape {
    /// Documents.
    pub documents: u64,
    /// Bytes.
    pub bytes: u64,
}

impl From<Figures> for FiguresShape {
    fn from(figures: Figures) -> Self {
        Self { documents: figures.documents, bytes: figures.bytes }
    }
}
