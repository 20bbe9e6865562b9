//! Following health: what there is to tell, as it comes up.

use crate::clock::Clock;
use crate::failure::Failure;
use crate::handle::Handle;
use capstan_registry::{Alert, AlertPolicy, Alerting};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Interval, MissedTickBehavior, interval};

/// How often health is looked at. What comes and goes in between is not seen, and would wake nobody anyway.
const LOOK: Duration = Duration::from_millis(500);

/// What there is to tell of health. Ask [`AlertWatch::next`] again and again; dropping it ends it.
///
/// It looks on the owner's thread, where a look costs next to nothing unless there is something to tell; whatever is done
/// with that is done elsewhere. What it tells is durable.
pub struct AlertWatch {
    handle: Handle,
    clock: Arc<dyn Clock>,
    policy: AlertPolicy,
    /// None before the first look.
    alerting: Option<Alerting>,
    looks: Interval,
}

impl Handle {
    /// Follows health from now on, as a new leader: trouble that lasts is told of anew.
    pub fn alerts(&self, policy: AlertPolicy, clock: Arc<dyn Clock>) -> AlertWatch {
        let mut looks = interval(LOOK);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        AlertWatch { handle: self.clone(), clock, policy, alerting: None, looks }
    }
}

impl AlertWatch {
    /// The next alert, warning or end of either, when it comes up; an error when this server leads no longer.
    pub async fn next(&mut self) -> Result<Alert, Failure> {
        loop {
            self.looks.tick().await;
            let (policy, known, now) = (self.policy, self.alerting, self.clock.now());
            let look = move |state: &crate::State| {
                let registry = &state.registry;
                let mut alerting = known.unwrap_or_else(|| Alerting::begin(policy, &registry.course(), now));
                (alerting.look(registry, now), alerting)
            };
            match self.handle.read(look).await {
                Ok((alert, alerting)) => {
                    self.alerting = Some(alerting);
                    if let Some(alert) = alert {
                        return Ok(alert);
                    }
                }
                // Those who work go first; and what is away comes back.
                Err(Failure::Overloaded { .. } | Failure::Away { .. }) => {}
                Err(failure) => return Err(failure),
            }
        }
    }
}
