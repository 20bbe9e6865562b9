//! What a server's or driver's failure means for whoever called.

use std::io;

use bson::RawDocument;
use capstan_endpoint::EndpointError;
use mongodb::error::{Error, ErrorKind, RETRYABLE_ERROR, RETRYABLE_WRITE_ERROR, SYSTEM_OVERLOADED_ERROR};

use crate::throttle;

/// What a server said, without what the driver adds to it.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{}{message}", code.map(|code| format!("error {code}: ")).unwrap_or_default())]
pub(crate) struct Said {
    pub code: Option<i32>,
    pub message: String,
}

/// What can be done about a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The connection ended in the middle: the server has gone, or this request was too much for it.
    Cut,
    /// Another request lost its connection, and this one could not be sent for that.
    Elsewhere,
    /// It may pass.
    Passing,
    /// Slow down.
    Throttled,
    /// No room on its disk.
    Full,
    /// Not with these credentials.
    Denied,
    /// It will not do this, whatever the document.
    Never,
    /// It will not do this; with other documents it may, or another time.
    Refused,
    /// It will never have this document.
    Document,
}

impl Fault {
    /// What is not known to be for good may pass.
    pub fn or_passing(self) -> Self {
        if matches!(self, Self::Refused | Self::Document) { Self::Passing } else { self }
    }
}

/// What metered services say when they ask to slow down.
const THROTTLED: [&str; 4] = ["Request rate is large", "TooManyRequests", "RetryAfterMs=", "Rate limit exceeded"];
/// What servers call a failure that may pass, whatever its code.
const LABELS: [&str; 2] = [RETRYABLE_WRITE_ERROR, RETRYABLE_ERROR];
pub(crate) const DUPLICATE_KEY: [i32; 3] = [11000, 11001, 12582];
pub(crate) const DOCUMENT_VALIDATION: i32 = 121;
/// The name of a server's error that is told where a write cannot wait for a journal.
const JOURNAL: &str = "journal";
pub(crate) const NAMESPACE_EXISTS: i32 = 48;
pub(crate) const NAMESPACE_NOT_FOUND: i32 = 26;

/// Sorts what a server says by its code. The numbers are those of MongoDB's error_codes.yml; 429 and 16500 are those of
/// services that meter requests.
pub(crate) fn of_code(code: i32, message: &str) -> Fault {
    match code {
        429 | 462 | 16500 => Fault::Throttled,
        // Some give it the code of an internal error, or of a time that ran out.
        _ if THROTTLED.iter().any(|words| message.contains(words)) => Fault::Throttled,
        // It has no journal to wait for, and will not have one for any document.
        2 if message.contains(JOURNAL) => Fault::Never,
        // The network, a member that steps down or starts, time that ran out, chunks and databases on the move.
        6 | 7 | 24 | 43 | 46 | 50 | 63 | 64 | 89 | 91 | 112 | 133 | 134 | 150 | 175 | 189 | 202 | 215 | 216 | 225
        | 237 | 246 | 249 | 262 | 314 | 317 | 365 | 402 | 9001 | 10058 | 10107 | 11600 | 11601 | 11602 | 13388
        | 13435 | 13436 => Fault::Passing,
        14031 => Fault::Full,
        11 | 13 | 18 | 8000 => Fault::Denied,
        // Failures of the request as such: no document, a view, a name, a command, a write concern that cannot be had.
        // Too large, not BSON, a name or `_id` that cannot be stored, a validator, values that an index cannot hold.
        22 | 52 | 53 | 54 | 55 | 56 | 57 | 66 | 121 | 171 | 10003 | 10334 | 16755 | 16766 | 17280 | 17419 => {
            Fault::Document
        }
        20 | 59 | 73 | 79 | 81 | 100 | 115 | 166 | 168 | 238 | 9 | 40415 => Fault::Never,
        _ => Fault::Refused,
    }
}

/// Sorts a driver's error.
pub(crate) fn of(error: &Error) -> Fault {
    match &*error.kind {
        ErrorKind::Io(_) => Fault::Cut,
        ErrorKind::ConnectionPoolCleared { .. } => Fault::Elsewhere,
        ErrorKind::Authentication { .. } => Fault::Denied,
        ErrorKind::Command(said) => match of_code(said.code, &said.message) {
            Fault::Refused if error.contains_label(SYSTEM_OVERLOADED_ERROR) => Fault::Throttled,
            Fault::Refused if LABELS.iter().any(|label| error.contains_label(label)) => Fault::Passing,
            fault => fault,
        },
        ErrorKind::ServerSelection { .. } | ErrorKind::DnsResolve { .. } | ErrorKind::Shutdown => Fault::Passing,
        ErrorKind::InvalidResponse { .. } if is_unreadable(error) => Fault::Passing,
        _ => Fault::Refused,
    }
}

/// Whether an answer came that could not be received: larger than messages may be, most likely.
pub(crate) fn is_unreadable(error: &Error) -> bool {
    // A refusal without a code is read well, and only called so by the driver.
    const REFUSAL: &str = "error deserializing command error";
    matches!(&*error.kind, ErrorKind::InvalidResponse { message, .. } if !message.contains(REFUSAL))
}

/// What was said, in words for people.
pub(crate) fn said(error: &Error) -> Said {
    match &*error.kind {
        ErrorKind::Command(command) => {
            let code = (command.code != 0).then_some(command.code);
            Said { code, message: command.message.clone() }
        }
        ErrorKind::Io(error) => Said { code: None, message: format!("the connection failed: {error}") },
        ErrorKind::ServerSelection { message, .. } | ErrorKind::ConnectionPoolCleared { message, .. } => {
            Said { code: None, message: message.clone() }
        }
        other => Said { code: None, message: other.to_string() },
    }
}

pub(crate) fn code(error: &Error) -> Option<i32> {
    match &*error.kind {
        ErrorKind::Command(command) => Some(command.code),
        _ => None,
    }
}

/// The failure as the port knows it.
pub(crate) fn failed(place: &str, action: &str, error: &Error) -> EndpointError {
    raise(of(error), place, action, said(error))
}

/// A failure of that sort, as the port knows it.
pub(crate) fn raise(fault: Fault, place: &str, action: &str, said: Said) -> EndpointError {
    let (place, action) = (place.to_owned(), action.to_owned());
    match fault {
        Fault::Never if said.message.contains(JOURNAL) => {
            let advice = "write `journal=false` in its address to be content without";
            EndpointError::unsupported("waiting for the journal", place, format!("{said}; {advice}"))
        }
        Fault::Cut | Fault::Elsewhere | Fault::Passing => {
            EndpointError::Unavailable { place, action, source: Box::new(said) }
        }
        Fault::Throttled => {
            let wait = throttle::advised(&said.message);
            EndpointError::Throttled { place, action, reason: said.to_string(), wait }
        }
        Fault::Full => EndpointError::Full { place, action, source: io::Error::other(said) },
        Fault::Denied => EndpointError::Denied { place, action, source: Box::new(said) },
        Fault::Never | Fault::Refused | Fault::Document => EndpointError::unsupported(action, place, said.to_string()),
    }
}

/// What the answer to a write says of one document.
pub(crate) struct WriteError {
    /// Which of the documents that were sent; some servers do not say.
    pub index: Option<usize>,
    pub code: i32,
    pub message: String,
}

/// What an answer to a write says of documents that failed.
pub(crate) fn write_errors(answer: &RawDocument) -> Vec<WriteError> {
    let Ok(errors) = answer.get_array("writeErrors") else { return Vec::new() };
    let one = |error: &RawDocument| {
        let number = |name| error.get(name).ok().flatten().and_then(number);
        let message = error.get_str("errmsg").unwrap_or("no reason given").to_owned();
        let index = number("index").and_then(|index| usize::try_from(index).ok());
        Some(WriteError { index, code: number("code").and_then(|code| i32::try_from(code).ok()).unwrap_or(0), message })
    };
    errors.into_iter().flatten().filter_map(|error| one(error.as_document()?)).collect()
}

/// How many documents an answer to a write counts. Servers count differently, so fewer than were sent is a reason to look.
pub(crate) fn counted(answer: &RawDocument) -> Option<u64> {
    answer.get("n").ok().flatten().and_then(number).and_then(|counted| u64::try_from(counted).ok())
}

/// The failure to confirm a write that was done, if there was one.
pub(crate) fn write_concern_error(answer: &RawDocument) -> Option<(Fault, Said)> {
    let error = answer.get_document("writeConcernError").ok()?;
    let code = error.get("code").ok().flatten().and_then(number).and_then(|code| i32::try_from(code).ok());
    let message = error.get_str("errmsg").unwrap_or("the write was not confirmed").to_owned();
    let fault = match code.map(|code| of_code(code, &message)) {
        Some(fault @ (Fault::Throttled | Fault::Never | Fault::Denied)) => fault,
        _ => Fault::Passing,
    };
    Some((fault, Said { code, message }))
}

/// A whole number, whichever type a server gives it.
pub(crate) fn number(value: bson::RawBsonRef<'_>) -> Option<i64> {
    match value {
        bson::RawBsonRef::Int32(number) => Some(number.into()),
        bson::RawBsonRef::Int64(number) => Some(number),
        bson::RawBsonRef::Double(number) if number.is_finite() => Some(number as i64),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bson::rawdoc;
    use capstan_endpoint::ErrorClass;

    #[test]
    fn codes_are_sorted_by_what_can_be_done() {
        for (code, class) in [
            (16500, ErrorClass::Throttled),
            (429, ErrorClass::Throttled),
            (10107, ErrorClass::Transient),
            (189, ErrorClass::Transient),
            (11600, ErrorClass::Transient),
            (43, ErrorClass::Transient),
            (14031, ErrorClass::Full),
            (13, ErrorClass::Permanent),
            (73, ErrorClass::Permanent),
            (121, ErrorClass::Permanent),
        ] {
            let error = raise(of_code(code, ""), "here", "writing", Said { code: Some(code), message: "no".into() });
            assert_eq!(error.class(), class, "{code}");
        }
        assert_eq!(of_code(1, "Request rate is large"), Fault::Throttled);
        assert_eq!(of_code(50, "Request timed out. RetryAfterMs=5"), Fault::Throttled);
    }

    #[test]
    fn failed_documents_are_read_whatever_types_a_server_counts_in() {
        let answer = rawdoc! { "n": 3, "ok": 1.0, "writeErrors": [
            { "index": 1, "code": 11000, "errmsg": "E11000" },
            { "index": 2_i64, "code": 121.0, "errmsg": "no" },
            { "code": 1 },
        ] };

        let found = write_errors(&answer).into_iter().map(|error| (error.index, error.code, error.message));

        let expected = [(Some(1), 11000, "E11000"), (Some(2), 121, "no"), (None, 1, "no reason given")];
        assert_eq!(found.collect::<Vec<_>>(), expected.map(|(index, code, text)| (index, code, text.to_owned())));
        assert_eq!(counted(&answer), Some(3));
    }

    #[test]
    fn only_what_is_known_to_be_said_of_documents_is_held_against_one() {
        for code in [121, 10334, 17280] {
            assert_eq!(of_code(code, ""), Fault::Document, "{code}");
        }
        for code in [365, 63, 150, 249, 13388, 215, 216, 314, 225, 246, 402] {
            assert_eq!(of_code(code, ""), Fault::Passing, "{code}");
        }
        for code in [0, 1, 2, 8, 96] {
            assert_eq!(of_code(code, ""), Fault::Refused, "{code}");
        }
        let no_journal = "cannot use 'j' option when a host does not have journaling enabled";
        assert_eq!(of_code(2, no_journal), Fault::Never);
    }

    #[test]
    fn a_write_that_is_not_confirmed_may_pass_and_one_that_cannot_be_does_not() {
        let answer = |code: i32| rawdoc! { "ok": 1, "writeConcernError": { "code": code, "errmsg": "waiting" } };
        assert_eq!(write_concern_error(&answer(64)).map(|(fault, _)| fault), Some(Fault::Passing));
        assert_eq!(write_concern_error(&answer(100)).map(|(fault, _)| fault), Some(Fault::Never));
        assert!(write_concern_error(&rawdoc! { "ok": 1 }).is_none());
    }
}
