//! How health has come to be what it is: facts of the journal, so that every leader says the same of them.

use crate::health::Health;
use capstan_ids::WallTime;
use minicbor::{Decode, Encode};

/// Where health stands, since when, and where it stood before.
///
/// Follows from the events alone. Idle and healthy are the same here: nothing is wrong in either.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Course {
    /// What health is.
    #[n(0)]
    pub health: Health,
    /// Since when: the event that brought it about says so. The beginning of time where nothing was ever wrong.
    #[n(1)]
    pub since: WallTime,
    /// What it was until then.
    #[n(2)]
    pub before: Health,
    /// Since when it is degraded or critical without a break; where it is not, since when it was the last time. None
    /// where it never was.
    #[n(3)]
    pub trouble_since: Option<WallTime>,
}

impl Course {
    /// Nothing has happened yet.
    pub const START: Self =
        Self { health: Health::Idle, since: WallTime(0), before: Health::Idle, trouble_since: None };

    /// Health is this, as of an event.
    pub(crate) fn follow(&mut self, health: Health, at: WallTime) {
        let was = std::mem::replace(&mut self.health, health);
        if was == health || (was.is_well() && health.is_well()) {
            return;
        }
        if was.is_well() {
            self.trouble_since = Some(at);
        }
        (self.before, self.since) = (was, at);
    }
}

impl Default for Course {
    fn default() -> Self {
        Self::START
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trouble_lasts_from_the_first_step_away_from_well_to_the_step_back() {
        use Health::{Critical, Degraded, Healthy, Idle};
        let mut course = Course::START;
        // Health, then since when it is so, what it was before, since when there is or was trouble.
        for (at, health, since, before, trouble_since) in [
            (1, Healthy, 0, Idle, None),
            (2, Degraded, 2, Healthy, Some(2)),
            (3, Degraded, 2, Healthy, Some(2)),
            (4, Critical, 4, Degraded, Some(2)),
            (5, Degraded, 5, Critical, Some(2)),
            (6, Idle, 6, Degraded, Some(2)),
            (7, Healthy, 6, Degraded, Some(2)),
            (8, Critical, 8, Healthy, Some(8)),
        ] {
            course.follow(health, WallTime(at));

            let trouble_since = trouble_since.map(WallTime);
            assert_eq!(course, Course { health, since: WallTime(since), before, trouble_since }, "at {at}");
        }
    }
}
