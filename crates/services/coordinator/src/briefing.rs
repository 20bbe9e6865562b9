//! What a holder is told beside its item, by both cores: what the job keeps, and how fast this one item may go.

use crate::state::State;
use capstan_ids::{ItemId, LimitName, SessionName};
use capstan_migration::{Brief, Rejection, Sharing};

impl State {
    /// One page of what a job keeps for the holder of `item`; `from` is 0, then what the page before named as next.
    ///
    /// The job's rates are shared out among the items that move documents at this moment: whoever asks again every few
    /// seconds keeps to them, however many join it or leave.
    pub fn brief(&self, session: &SessionName, item: &ItemId, from: u32) -> Result<Brief, Rejection> {
        let running = |kind: &str| {
            let name = LimitName::new(kind).expect("a plain word");
            self.work.leases_under(session, &name)
        };
        let sharing = Sharing { reading: running("dump"), writing: running("restore") };
        self.jobs.brief(session, item, from, sharing)
    }
}
