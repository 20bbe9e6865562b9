//! Everything that is shown of a state, but for what is said to live in memory alone.

use capstan_ids::WallTime;
use capstan_work::{ItemState, ItemView, Progress, SessionView, WorkState, WorkerView};

#[derive(Debug, PartialEq)]
pub struct Portrait {
    sessions: Vec<SessionView>,
    items: Vec<ItemView>,
    workers: Vec<WorkerView>,
    limits: Vec<(String, Option<u32>, u32)>,
    names: Vec<String>,
}

/// Draws a state. A renewal that brings nothing new is not journalled, so what it alone moved is left out.
pub fn portrait(work: &WorkState) -> Portrait {
    let mut sessions: Vec<SessionView> = work.sessions_after(None).collect();
    let mut items = Vec::new();
    for session in &mut sessions {
        items.extend(work.items_from(&session.name, 0).expect("it was just listed"));
        session.stuck = 0;
        session.limits.sort_by(|a, b| a.name.cmp(&b.name));
        if session.counts.of(ItemState::Assigned) > 0 {
            session.counts.done = Progress::NONE;
        }
    }
    for item in &mut items {
        item.last_progress = None;
        item.stuck = false;
        if item.state == ItemState::Assigned {
            item.progress = Progress::NONE;
            item.expires = None;
        }
    }
    let mut workers = work.workers(None);
    for worker in &mut workers {
        worker.last_seen = WallTime(0);
        worker.stuck.clear();
        worker.slots = None;
    }
    let mut limits: Vec<_> = work
        .limits()
        .into_iter()
        .filter(|view| view.live > 0 || view.most.is_some())
        .map(|view| (view.name.to_string(), view.most.map(|most| most.get()), view.live))
        .collect();
    limits.sort();
    let names = work.session_names().iter().map(ToString::to_string).collect();
    Portrait { sessions, items, workers, limits, names }
}
