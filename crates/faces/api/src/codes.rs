//! The stable codes of every error there is, with the class of each.
//!
//! Scripts and clients match on codes: none is renamed or reused, and each has a page in docs/errors, which this
//! server gives out under `/api/v1/errors/CODE`.

use crate::problem::Class;
use std::fmt;

/// An error that callers can recognise.
#[derive(Debug, PartialEq, Eq)]
pub struct Code {
    /// Stable, of the form `family.reason`.
    pub name: &'static str,
    /// What decides status, exit code and retry advice.
    pub class: Class,
    /// The error in a few words, the same for every occurrence.
    pub title: &'static str,
    /// Its page: what it means and what to do.
    pub page: &'static str,
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

/// The code of this name, if there is one.
pub fn find(name: &str) -> Option<&'static Code> {
    ALL.iter().copied().find(|code| code.name == name)
}

/// One static for each code and the list of all: neither can be written without the other.
macro_rules! codes {
    ($($name:ident = $code:literal, $class:ident, $title:literal;)*) => {
        $(
            #[doc = $title]
            pub static $name: Code = Code {
                name: $code,
                class: Class::$class,
                title: $title,
                page: include_str!(concat!("../../../../docs/errors/", $code, ".md")),
            };
        )*

        /// Every code.
        pub static ALL: &[&Code] = &[$(&$name),*];
    };
}

codes! {
    SESSION_UNKNOWN = "session.unknown", NotFound, "no such session";
    SESSION_EXISTS = "session.exists", Conflict, "the session exists already";
    SESSION_ENDED = "session.ended", Conflict, "the session takes no more work";
    SESSION_STATE = "session.state", Conflict, "the session is not in a state for this";
    ITEM_UNKNOWN = "item.unknown", NotFound, "no such item";
    ITEM_CONFLICT = "item.conflict", Conflict, "the item exists with other content";
    ITEM_TWICE = "item.twice", Invalid, "one request names an item twice";
    ITEM_STATE = "item.state", Conflict, "the item is not in a state for this";
    ITEM_COMPLETED = "item.completed", Conflict, "the item was completed already";
    LEASE_NOT_HELD = "lease.not_held", Conflict, "the lease is not yours";
    LEASE_EXPIRED = "lease.expired", Gone, "the lease has run out";
    LEASE_REVOKED = "lease.revoked", Gone, "the lease was taken back";
    SUCCESSORS_DIFFER = "successors.differ", Conflict, "the item was completed with other successors";
    SUCCESSORS_INVALID = "successors.invalid", Invalid, "a successor cannot be";
    GROUP_COMPLETE = "group.complete", Conflict, "the group is complete";
    GROUP_CYCLE = "group.cycle", Invalid, "groups would wait for each other";
    GATE_UNKNOWN = "gate.unknown", NotFound, "no such gate is held";
    VALUE_INVALID = "value.invalid", Invalid, "a value is not of the form it must have";
    VALUE_OUT_OF_RANGE = "value.out_of_range", Invalid, "a value is out of its range";
    LIMIT_REACHED = "limit.reached", Exhausted, "a stated limit is reached";
    LIMIT_UNKNOWN = "limit.unknown", NotFound, "no such limit is set";
    JOB_SPEC_INVALID = "job.spec_invalid", Invalid, "the job's specification cannot be done";
    JOB_UNKNOWN = "job.unknown", NotFound, "no such job";
    JOB_UNIT_UNKNOWN = "job.unit_unknown", NotFound, "the job has no such unit";
    JOB_DIFFERS = "job.differs", Conflict, "another job of this name is going on";
    JOB_ENDED = "job.ended", Conflict, "the job has ended";
    JOB_STATE = "job.state", Conflict, "the job is not in a state for this";
    JOB_UNFINISHED = "job.unfinished", Conflict, "the job has not ended";
    JOB_TOO_MANY = "job.too_many", Exhausted, "there are too many jobs";
    PIPELINE_EXISTS = "pipeline.exists", Conflict, "the pipeline is registered already";
    PIPELINE_UNKNOWN = "pipeline.unknown", NotFound, "no such pipeline";
    PIPELINE_NO_ROOM = "pipeline.no_room", Overloaded, "there is no room now";
    PIPELINE_TOO_LARGE = "pipeline.too_large", Invalid, "more is asked for than there can ever be";
    RESERVATION_UNKNOWN = "reservation.unknown", NotFound, "no such reservation";
    LIMITS_CHANGED = "limits.changed", Changed, "the limits were changed in the meantime";
    HISTORY_GONE = "history.gone", Gone, "so far back nothing is kept";
    RESULT_REFUSED = "result.refused", Invalid, "the result cannot be taken";
    REQUEST_MALFORMED = "request.malformed", Malformed, "the body is not JSON";
    REQUEST_BROKEN_OFF = "request.broken_off", Malformed, "the body broke off";
    REQUEST_UNKNOWN_FIELD = "request.unknown_field", Invalid, "the body has a field that is not known";
    REQUEST_MISSING_FIELD = "request.missing_field", Invalid, "the body lacks a field";
    REQUEST_DUPLICATE_FIELD = "request.duplicate_field", Invalid, "the body has a field twice";
    REQUEST_WRONG_TYPE = "request.wrong_type", Invalid, "a field has another type than it must have";
    REQUEST_PARAMETER = "request.parameter", Invalid, "a query parameter or header is wrong";
    REQUEST_TOO_LARGE = "request.too_large", TooLarge, "the request exceeds a limit of size";
    REQUEST_MEDIA_TYPE = "request.media_type", Unsupported, "the body is not declared as JSON";
    ROUTE_UNKNOWN = "route.unknown", NotFound, "no such route";
    ROUTE_METHOD = "route.method", NotAllowed, "the route does not know this method";
    WATCH_POSITION_GONE = "watch.position_gone", Gone, "the position is no longer kept";
    SERVER_OVERLOADED = "server.overloaded", Overloaded, "the server has more requests than it can queue";
    SERVER_NOT_LEADER = "server.not_leader", Unavailable, "this server does not lead";
    SERVER_OUTCOME_UNKNOWN = "server.outcome_unknown", Unavailable, "nobody knows whether it happened";
    SERVER_STOPPING = "server.stopping", Unavailable, "the server is shutting down";
    SERVER_INTERNAL = "server.internal", Internal, "the server has a fault";
    JOURNAL_FULL = "journal.full", Exhausted, "the journal has no room";
    JOURNAL_COMMIT_TOO_LARGE = "journal.commit_too_large", TooLarge, "one commit is larger than the journal takes";
    JOURNAL_AWAY = "journal.away", Unavailable, "the journal does not answer";
    JOURNAL_BROKEN = "journal.broken", Unavailable, "the journal failed";
    AUTH_MISSING = "auth.missing", Unauthenticated, "the request carries no valid token";
    AUTH_FORBIDDEN = "auth.forbidden", Forbidden, "the token does not allow this";
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::problem::{Fact, Problem};
    use std::collections::BTreeSet;

    #[test]
    fn every_code_has_a_page_and_every_page_a_code() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../docs/errors");
        let names = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let pages: BTreeSet<_> = names
            .filter_map(|name| name.strip_suffix(".md").map(str::to_owned))
            .filter(|name| name != "README")
            .collect();
        let codes: BTreeSet<_> = ALL.iter().map(|code| code.name.to_owned()).collect();

        assert_eq!(codes.len(), ALL.len(), "no code is given twice");
        assert_eq!(codes, pages);
    }

    #[test]
    fn a_page_says_what_its_class_decides_and_shows_a_body_that_could_be() {
        for code in ALL {
            let class = code.class;
            let grpc = screaming(&format!("{:?}", class.grpc()));
            let row = format!(
                "| {} | {} | {grpc} | {} | {} |",
                class.name(),
                class.http().as_u16(),
                class.exit_code(),
                class.retry().name()
            );
            assert!(code.page.starts_with(&format!("# {code}\n")), "{code}");
            assert!(code.page.contains(&row), "{code}: {row}");

            let example = code.page.split("```json\n").nth(1).and_then(|rest| rest.split("```").next());
            let shown: serde_json::Map<_, _> = serde_json::from_str(example.expect("an example")).unwrap();
            let plain: serde_json::Map<_, _> =
                serde_json::from_slice(&Problem::new(code, shown["detail"].as_str().unwrap()).to_json()).unwrap();
            for (name, value) in plain {
                assert_eq!(shown.get(&name), Some(&value), "{code}: {name}");
            }
        }
    }

    #[test]
    fn the_overview_lists_every_code_with_its_status() {
        let overview = include_str!("../../../../docs/errors/README.md");
        for code in ALL {
            let row = format!("| [{code}]({code}.md) | {} | {} |", code.class.name(), code.class.http().as_u16());
            assert!(overview.contains(&row), "{row}");
        }
    }

    #[test]
    fn a_body_carries_code_class_advice_and_facts() {
        let problem = Problem::new(&SERVER_OVERLOADED, "too much")
            .with("queued", 7_u64)
            .with("allowed", Fact::List(vec!["a".into()]))
            .retry_after(std::time::Duration::from_millis(1_100));

        assert_eq!(
            String::from_utf8(problem.to_json()).unwrap(),
            r#"{"type":"/api/v1/errors/server.overloaded","title":"the server has more requests than it can queue","status":429,"detail":"too much","code":"server.overloaded","class":"overloaded","retry":"later","retry_after_ms":1100,"queued":7,"allowed":["a"]}"#
        );
        assert_eq!(problem.retry_after_seconds().unwrap(), "2");
    }

    fn screaming(name: &str) -> String {
        let mut words = String::new();
        for letter in name.chars() {
            if letter.is_uppercase() && !words.is_empty() {
                words.push('_');
            }
            words.extend(letter.to_uppercase());
        }
        words
    }
}
