//! How far a whole job is: what may begin only when nothing else of it can move any more.
//!
//! What ends a job waits for units that are complete *or failed for good*, and a group of items knows only the first.
//! So it waits for a gate, which opens when nothing before it can move by itself.

use crate::event::JobEvent;
use crate::item::WorkIntent;
use crate::name::JobName;
use crate::result::ScanTime;
use crate::spec::Mode;
use crate::state::{Job, Jobs, Unit};
use capstan_ids::{GateName, GroupName, SessionName};
use minicbor::{Decode, Encode};

/// How far a whole job is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Encode, Decode)]
#[cbor(index_only)]
pub enum Phase {
    /// Units are found, cut and moved; more may be added.
    #[default]
    #[n(0)]
    Moving,
    /// The whole target, or the whole dump, is made complete of what has come.
    #[n(1)]
    Finishing,
    /// What nobody needs any more is removed.
    #[n(2)]
    Sweeping,
}

impl Phase {
    fn next(self) -> Option<Self> {
        match self {
            Self::Moving => Some(Self::Finishing),
            Self::Finishing => Some(Self::Sweeping),
            Self::Sweeping => None,
        }
    }

    /// What its items wait for; the first phase waits for nothing.
    pub(crate) fn gate(self) -> Option<(GroupName, GateName)> {
        let name = match self {
            Self::Moving => return None,
            Self::Finishing => "settled",
            Self::Sweeping => "proved",
        };
        let group = GroupName::new(name).expect("a plain word");
        Some((group, GateName::new("coordinator").expect("a plain word")))
    }
}

impl Mode {
    /// The gates that are held while a job of this mode begins.
    pub(crate) fn gates(self) -> Vec<(GroupName, GateName)> {
        let last = match self {
            Self::DumpAndRestore => Phase::Sweeping,
            Self::Direct | Self::RestoreOnly | Self::DumpOnly => Phase::Finishing,
            Self::Simulate | Self::Verify => Phase::Moving,
        };
        let phases = std::iter::successors(Some(Phase::Moving), |phase| phase.next());
        phases.take_while(|phase| *phase <= last).filter_map(Phase::gate).collect()
    }

    /// Whether units are made complete at a target, one by one.
    pub(crate) fn completes_units(self) -> bool {
        matches!(self, Self::DumpAndRestore | Self::Direct | Self::RestoreOnly)
    }

    /// Whether the whole of it is made complete once.
    pub(crate) fn has_finish(self) -> bool {
        self.completes_units() || self == Self::DumpOnly
    }
}

impl Jobs {
    /// What a job begins when nothing of its session can move any more but what waits for it; none if nothing does.
    ///
    /// Units that have failed by then are given up where the whole is made complete once: a late one could not be
    /// taken in any more. Elsewhere they may still be tried again.
    pub fn next_phase(&self, session: &SessionName) -> Option<(JobEvent, Vec<WorkIntent>)> {
        let job = JobName::of_session(session).and_then(|name| self.jobs.get(&name))?;
        if job.head.ended.is_some() || job.head.cancelled.is_some() {
            return None;
        }
        let mode = job.head.spec.mode;
        let phase = job.head.phase.next()?;
        let (group, gate) = phase.gate().filter(|gate| mode.gates().contains(gate))?;
        let given_up: Vec<_> = match phase {
            Phase::Finishing if job.closes_its_target() => {
                job.units.iter().filter(|unit| !unit.is_complete(mode)).map(|unit| unit.head.id).collect()
            }
            _ => Vec::new(),
        };
        let session = session.clone();
        let mut work = Vec::new();
        if !given_up.is_empty() {
            work.push(WorkIntent::GiveUpFailed { session: session.clone() });
        }
        work.push(WorkIntent::OpenGate { session, group, gate });
        Some((JobEvent::PhaseBegun { job: job.head.name.clone(), phase, given_up }, work))
    }
}

impl Job {
    /// Whether nothing can be added once the whole was made complete.
    fn closes_its_target(&self) -> bool {
        self.head.spec.mode == Mode::DumpOnly || self.head.surveyed != Some(ScanTime::AfterUnit)
    }

    /// Whether every unit is as far as the job brings it.
    pub fn is_through(&self) -> bool {
        self.head.surveyed.is_some() && self.units.iter().all(|unit| unit.is_through(self.head.spec.mode))
    }
}

impl Unit {
    /// Whether all of it is where the mode brings it.
    pub fn is_through(&self, mode: Mode) -> bool {
        match mode {
            Mode::DumpAndRestore | Mode::Direct | Mode::RestoreOnly => self.is_restored(),
            Mode::DumpOnly => self.is_dumped(),
            Mode::Simulate => self.head.planned,
            Mode::Verify => self.head.verdict.is_some() || self.head.view,
        }
    }

    /// Whether it is through, and what is made of it at the target is made.
    pub fn is_complete(&self, mode: Mode) -> bool {
        if mode.completes_units() { self.head.finished } else { self.is_through(mode) }
    }
}
