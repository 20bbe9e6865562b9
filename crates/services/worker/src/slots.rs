//! How many items a worker works on at a time.

use std::sync::Arc;
use tokio::sync::watch;

/// More slots are taken as so many.
pub(crate) const SLOTS_MAX: usize = 4_096;

/// A worker's slots: as many as it has now, and those that are taken.
#[derive(Clone, Debug)]
pub(crate) struct Slots(Arc<watch::Sender<Count>>);

#[derive(Clone, Copy, Debug)]
struct Count {
    size: usize,
    taken: usize,
}

/// A taken slot. Dropping it frees it, however the work ended.
#[derive(Debug)]
pub(crate) struct Slot(Slots);

impl Slots {
    pub fn new(size: usize) -> Self {
        Self(Arc::new(watch::Sender::new(Count { size: size.min(SLOTS_MAX), taken: 0 })))
    }

    pub fn size(&self) -> usize {
        self.0.borrow().size
    }

    /// From now on so many. What runs beyond that runs on, and is not followed by anything.
    pub fn resize(&self, size: usize) {
        self.0.send_modify(|count| count.size = size.min(SLOTS_MAX));
    }

    /// How many are free, once there are any.
    pub async fn free(&self) -> usize {
        let mut changes = self.0.subscribe();
        let count = changes.wait_for(|count| count.taken < count.size).await.expect("the slots hold their own sender");
        count.size - count.taken
    }

    /// Takes one, for a lease that was given.
    pub fn take(&self) -> Slot {
        self.0.send_modify(|count| count.taken += 1);
        Slot(self.clone())
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.0.0.send_modify(|count| count.taken -= 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt;

    #[test]
    fn a_worker_that_shrinks_takes_nothing_new_until_it_has_few_enough() {
        let slots = Slots::new(2);
        let (first, second) = (slots.take(), slots.take());
        assert_eq!(slots.free().now_or_never(), None);

        slots.resize(1);
        drop(first);
        assert_eq!(slots.free().now_or_never(), None, "one is taken, and there is one");
        drop(second);

        assert_eq!(slots.free().now_or_never(), Some(1));
        slots.resize(3);
        assert_eq!(slots.free().now_or_never(), Some(3));
    }
}
