//! The shortest history that shows a violation: what concerns its item, and what was done to the server meanwhile.

use crate::check::Violation;
use crate::history::{Call, History};
use std::fmt::Write;

/// Requests of one story at most; the first are left out of a longer one.
const CALLS_MAX: usize = 60;

/// Tells a violation with the requests that name its item, in the order of their answers, and the faults between them.
pub fn tell(history: &History, violation: &Violation) -> String {
    let mut text = format!("{violation}\n");
    let Some(item) = &violation.item else { return text };
    let mut calls: Vec<&Call> = history.calls.iter().filter(|call| call.names(item)).collect();
    calls.sort_by_key(|call| (call.ended, call.began));
    let left_out = calls.len().saturating_sub(CALLS_MAX);
    if left_out > 0 {
        let _ = writeln!(text, "  {left_out} earlier requests left out");
    }
    let calls = &calls[left_out..];
    let (first, last) = (calls.first().map_or(0, |call| call.began), calls.last().map_or(0, |call| call.ended));
    let mut faults = history.faults.iter().filter(|fault| (first..=last).contains(&fault.at)).peekable();
    for call in calls {
        while let Some(fault) = faults.next_if(|fault| fault.at < call.ended) {
            let _ = writeln!(text, "  {:>11.6} {:>14}  {}", fault.at as f64 / 1e6, "", fault.what);
        }
        let _ = writeln!(text, "  {call}");
    }
    text
}
