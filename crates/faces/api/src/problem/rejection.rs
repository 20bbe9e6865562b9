//! What the work core refuses.

use super::Problem;
use crate::codes;
use crate::wire::time;
use capstan_ids::NameError;
use capstan_work::Rejection;

impl From<Rejection> for Problem {
    fn from(rejection: Rejection) -> Self {
        let detail = rejection.to_string();
        match rejection {
            Rejection::SessionUnknown(session) => {
                Self::new(&codes::SESSION_UNKNOWN, detail).with("session", session.as_str())
            }
            Rejection::SessionExists(session) => {
                Self::new(&codes::SESSION_EXISTS, detail).with("session", session.as_str())
            }
            Rejection::SessionEnded(session, state) => {
                Self::new(&codes::SESSION_ENDED, detail).with("session", session.as_str()).with("state", state)
            }
            Rejection::SessionState { session, state, expected } => Self::new(&codes::SESSION_STATE, detail)
                .with("session", session.as_str())
                .with("state", state)
                .with("expected", expected),
            Rejection::ItemUnknown { session, item } => {
                Self::new(&codes::ITEM_UNKNOWN, detail).with("session", session.as_str()).with("item", item.as_str())
            }
            Rejection::ItemConflict { session, item, field } => Self::new(&codes::ITEM_CONFLICT, detail)
                .with("session", session.as_str())
                .with("item", item.as_str())
                .with("field", field),
            Rejection::ItemTwice { item, field } => {
                Self::new(&codes::ITEM_TWICE, detail).with("item", item.as_str()).with("field", field)
            }
            Rejection::ItemState { item, state, expected } => Self::new(&codes::ITEM_STATE, detail)
                .with("item", item.as_str())
                .with("state", state)
                .with("expected", expected),
            Rejection::AlreadyCompleted { item, by } => {
                Self::new(&codes::ITEM_COMPLETED, detail).with("item", item.as_str()).with("by", by)
            }
            Rejection::NotHolder { item, asker, state } => Self::new(&codes::LEASE_NOT_HELD, detail)
                .with("item", item.as_str())
                .with("asker", asker)
                .with("state", state),
            Rejection::LeaseExpired { item, at } => {
                let at = time::text(at);
                let detail = format!("the lease of {item:?} ran out at {at}; stop that work and acquire again");
                Self::new(&codes::LEASE_EXPIRED, detail).with("item", item.as_str()).with("expired_at", at)
            }
            Rejection::LeaseRevoked { item, reason } => {
                Self::new(&codes::LEASE_REVOKED, detail).with("item", item.as_str()).with("reason", reason)
            }
            Rejection::OtherSuccessors { item } => {
                Self::new(&codes::SUCCESSORS_DIFFER, detail).with("item", item.as_str())
            }
            Rejection::BadSuccessor { item, successor, why } => Self::new(&codes::SUCCESSORS_INVALID, detail)
                .with("item", item.as_str())
                .with("successor", successor.as_str())
                .with("why", why),
            Rejection::GroupComplete(group) => Self::new(&codes::GROUP_COMPLETE, detail).with("group", group),
            Rejection::GroupCycle { item, group } => {
                Self::new(&codes::GROUP_CYCLE, detail).with("item", item.as_str()).with("group", group)
            }
            Rejection::GateUnknown { session, group, gate } => Self::new(&codes::GATE_UNKNOWN, detail)
                .with("session", session.as_str())
                .with("group", group.as_str())
                .with("gate", gate.as_str()),
            Rejection::OutOfRange { field, expected, found } => Self::new(&codes::VALUE_OUT_OF_RANGE, detail)
                .with("field", field)
                .with("expected", expected)
                .with("found", found),
            Rejection::LimitReached { what, limit, advice } => {
                Self::new(&codes::LIMIT_REACHED, detail).with("what", what).with("limit", limit).with("advice", advice)
            }
            Rejection::ResultRefused { item, problem } => {
                Self::new(&codes::RESULT_REFUSED, detail).with("item", item.as_str()).with("problem", problem)
            }
        }
    }
}

impl From<NameError> for Problem {
    fn from(error: NameError) -> Self {
        let detail = error.to_string();
        Self::new(&codes::VALUE_INVALID, detail)
            .with("field", error.what)
            .with("expected", error.expected)
            .with("found", error.found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use capstan_ids::{GateName, GroupName, ItemId, SessionName, WallTime};

    #[test]
    fn every_rejection_has_its_code_and_its_status() {
        let session = || SessionName::new("shop").unwrap();
        let item = || ItemId::new("a").unwrap();
        let (group, gate) = (GroupName::new("g").unwrap(), GateName::new("r").unwrap());
        let text = || "x".to_owned();
        let table = [
            (Rejection::SessionUnknown(session()), "session.unknown", 404),
            (Rejection::SessionExists(session()), "session.exists", 409),
            (Rejection::SessionEnded(session(), "closed"), "session.ended", 409),
            (Rejection::SessionState { session: session(), state: "x", expected: "y" }, "session.state", 409),
            (Rejection::ItemUnknown { session: session(), item: item() }, "item.unknown", 404),
            (Rejection::ItemConflict { session: session(), item: item(), field: "kind" }, "item.conflict", 409),
            (Rejection::ItemTwice { item: item(), field: "kind" }, "item.twice", 422),
            (Rejection::ItemState { item: item(), state: "x", expected: "y" }, "item.state", 409),
            (Rejection::AlreadyCompleted { item: item(), by: text() }, "item.completed", 409),
            (Rejection::NotHolder { item: item(), asker: text(), state: text() }, "lease.not_held", 409),
            (Rejection::LeaseExpired { item: item(), at: WallTime(0) }, "lease.expired", 410),
            (Rejection::LeaseRevoked { item: item(), reason: text() }, "lease.revoked", 410),
            (Rejection::OtherSuccessors { item: item() }, "successors.differ", 409),
            (Rejection::BadSuccessor { item: item(), successor: item(), why: "x" }, "successors.invalid", 422),
            (Rejection::GroupComplete(text()), "group.complete", 409),
            (Rejection::GroupCycle { item: item(), group: text() }, "group.cycle", 422),
            (Rejection::GateUnknown { session: session(), group, gate }, "gate.unknown", 404),
            (Rejection::OutOfRange { field: "max", expected: "1", found: text() }, "value.out_of_range", 422),
            (Rejection::LimitReached { what: "x", limit: 1, advice: "y" }, "limit.reached", 507),
            (Rejection::ResultRefused { item: item(), problem: text() }, "result.refused", 422),
        ];
        for (rejection, code, status) in table {
            let problem = Problem::from(rejection);
            assert_eq!((problem.code.name, problem.class().http().as_u16()), (code, status));
        }
    }

    #[test]
    fn a_lease_that_ran_out_says_when_in_words() {
        let problem = Problem::from(Rejection::LeaseExpired { item: ItemId::new("a").unwrap(), at: WallTime(0) });
        assert!(problem.detail.contains("1970-01-01T00:00:00.000000Z"), "{problem}");
    }
}
