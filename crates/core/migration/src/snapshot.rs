//! All jobs as rows, and back.

use crate::state::{Chunk, Head, Job, Jobs, Tally, Unit, UnitHead};
use crate::{JobName, UnitId};
use minicbor::decode::Error as DecodeError;
use minicbor::{Decode, Encode};

/// Chunks of one row.
const CHUNKS_PER_ROW: usize = 500;

/// A row: a job, then its units, each followed by its chunks.
#[derive(Encode, Decode)]
enum Row {
    #[n(0)]
    Job(#[n(0)] Box<Head>),
    #[n(1)]
    Unit(#[n(0)] JobName, #[n(1)] Box<UnitHead>),
    #[n(2)]
    Chunks(#[n(0)] JobName, #[n(1)] UnitId, #[n(2)] Vec<Chunk>),
}

/// Rows that are no snapshot of jobs.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    /// A row cannot be read.
    #[error("row {row} of the jobs' snapshot cannot be read")]
    Unreadable {
        /// Which, from 0.
        row: usize,
        /// Why not.
        source: DecodeError,
    },
    /// A row is about a job or unit that no row before it names.
    #[error("row {row} of the jobs' snapshot is about a job or unit that no row before it names")]
    OutOfPlace {
        /// Which, from 0.
        row: usize,
    },
}

impl Jobs {
    /// Everything, in rows of bounded size.
    pub fn snapshot(&self) -> Vec<Vec<u8>> {
        let mut rows = Vec::new();
        let mut push = |row: &Row| rows.push(minicbor::to_vec(row).expect("writing to a vector cannot fail"));
        for (name, job) in &self.jobs {
            push(&Row::Job(Box::new(job.head.clone())));
            for unit in &job.units {
                push(&Row::Unit(name.clone(), Box::new(unit.head.clone())));
                for chunks in unit.chunks.chunks(CHUNKS_PER_ROW) {
                    push(&Row::Chunks(name.clone(), unit.head.id, chunks.to_vec()));
                }
            }
        }
        rows
    }

    /// What [`snapshot`](Self::snapshot) gave, in its order.
    pub fn restore(rows: impl IntoIterator<Item = impl AsRef<[u8]>>) -> Result<Self, RestoreError> {
        let mut jobs = Self::default();
        for (number, row) in rows.into_iter().enumerate() {
            let out_of_place = || RestoreError::OutOfPlace { row: number };
            let row =
                minicbor::decode(row.as_ref()).map_err(|source| RestoreError::Unreadable { row: number, source })?;
            match row {
                Row::Job(head) => {
                    jobs.jobs.insert(head.name.clone(), Job::new(*head));
                }
                Row::Unit(job, head) => jobs.jobs.get_mut(&job).ok_or_else(out_of_place)?.add(Unit::new(*head)),
                Row::Chunks(job, unit, chunks) => {
                    let job = jobs.jobs.get_mut(&job).ok_or_else(out_of_place)?;
                    job.unit_mut(unit).ok_or_else(out_of_place)?.chunks.extend(chunks);
                }
            }
        }
        for unit in jobs.jobs.values_mut().flat_map(|job| &mut job.units) {
            unit.tally = Tally::recount(&unit.chunks);
        }
        Ok(jobs)
    }
}
