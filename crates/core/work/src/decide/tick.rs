//! What the passing of time ends.

use super::hold::{exhausted, given_back, is_last_attempt};
use super::{Decision, Reply};
use crate::answer::Answer;
use crate::event::Event;
use crate::item::ItemState;
use crate::progress::Progress;
use crate::session::Session;
use crate::state::{Context, Due, WorkState};
use capstan_ids::SessionName;
use hashbrown::HashSet;

/// The most things one step ends, so that nobody waits long for it.
const AT_ONCE: usize = 1_000;
/// Expiries in a row that a moving checkpoint alone excuses.
const FORGIVEN_MAX: u32 = 20;

impl WorkState {
    pub(super) fn decide_tick(&self, context: Context) -> Decision {
        let now = context.moment;
        let mut events = Vec::new();
        let due = self.shared.alarms.iter().take_while(|alarm| alarm.at <= now.monotonic);
        for alarm in due.take(AT_ONCE) {
            let session = &self.sessions[&alarm.session];
            let ended = match alarm.what {
                Due::Ghost(token) => vec![Event::GhostEnded { token }],
                Due::Item(number) if session.item(number).state == ItemState::Delayed => {
                    vec![Event::ItemQueued { number }]
                }
                Due::Item(number) => run_out(session, number, context.random),
            };
            // One of them may end the session's work: whatever else of it is due waits for the next step.
            let last = ended.len() > 1;
            events.extend(ended.into_iter().map(|event| (Some(alarm.session.clone()), event)));
            if last {
                return Decision { events, reply: Reply::Answer(Answer::Ticked { more: true }) };
            }
        }
        let calendar = self.shared.calendar.iter().take_while(|(at, ..)| *at <= now.wall);
        for (_, session, number) in calendar.take(AT_ONCE) {
            events.push((Some(session.clone()), Event::ItemQueued { number: *number }));
        }
        let unnoted = self.shared.unnoted.iter().take_while(|(at, ..)| *at <= now.monotonic);
        let ended: HashSet<(SessionName, u64)> =
            events.iter().filter_map(|(name, event)| Some((name.clone()?, lease_end(event)?))).collect();
        for (_, session, number) in unnoted.take(AT_ONCE) {
            if !ended.contains(&(session.clone(), *number)) {
                let progress = self.sessions[session].item(*number).progress();
                events.push((Some(session.clone()), Event::ProgressNoted { number: *number, progress }));
            }
        }
        let over = |session: &SessionName, number: u64| ended.contains(&(session.clone(), number));
        let looked = self.look_for_stuck(now.monotonic, &over);
        events.extend(looked);
        let more = events.len() >= AT_ONCE;
        Decision { events, reply: Reply::Answer(Answer::Ticked { more }) }
    }
}

fn lease_end(event: &Event) -> Option<u64> {
    match event {
        Event::LeaseExpired { number, .. }
        | Event::LeaseReleased { number, .. }
        | Event::AttemptFailed { number, .. }
        | Event::ItemFailed { number, .. } => Some(*number),
        _ => None,
    }
}

/// What becomes of an item whose lease has run out.
fn run_out(session: &Session, number: u64, random: u64) -> Vec<Event> {
    let item = session.item(number);
    let run = item.run.as_ref().expect("a leased item has run");
    let lease = run.lease.as_ref().expect("only leases and delays have alarms");
    let progress = run.progress;
    if lease.revoked.is_some() {
        return given_back(session, number, progress, None, random);
    }
    // Without figures, a checkpoint that moves excuses an expiry, but not for ever.
    let excused = lease.advanced || (lease.checkpointed && progress == Progress::NONE && run.forgiven < FORGIVEN_MAX);
    if excused || !is_last_attempt(session, item) {
        return vec![Event::LeaseExpired { number, counted: !excused, progress }];
    }
    let error = format!("the lease of {} ran out", lease.worker);
    let failed = Event::ItemFailed { number, error: error.as_str().into(), progress, checkpoint: None, ran_out: true };
    exhausted(session, item, &error, failed)
}
