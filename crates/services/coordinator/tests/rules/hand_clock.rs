//! Time that passes when it is told to.

use capstan_coordinator::Clock;
use capstan_ids::{Millis, Moment, Monotonic, WallTime};
use std::sync::{Arc, Mutex};

#[derive(Clone)]
pub struct HandClock(Arc<Mutex<Moment>>);

impl HandClock {
    pub fn new() -> Self {
        let moment = Moment { monotonic: Monotonic(1_000_000), wall: WallTime(1_790_000_000_000_000) };
        Self(Arc::new(Mutex::new(moment)))
    }

    pub fn pass(&self, time: Millis) {
        let mut moment = self.0.lock().unwrap();
        moment.monotonic = moment.monotonic + time;
        moment.wall = moment.wall + time;
    }

    pub fn wall(&self) -> WallTime {
        self.0.lock().unwrap().wall
    }

    /// Somebody sets the wall clock.
    pub fn set_wall(&self, wall: WallTime) {
        self.0.lock().unwrap().wall = wall;
    }
}

impl Clock for HandClock {
    fn now(&self) -> Moment {
        *self.0.lock().unwrap()
    }
}
