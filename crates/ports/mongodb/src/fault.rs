//! What a server's or driver's failure means for whoever called.

use std::io;

use bson::RawDocument;
use capstan_endpoint::EndpointError;
use mongodb::error::{Error, ErrorKind};

use crate::throttle;

/// What a server said, without what the driver adds to it.
#[derive(Debug, thiserror::Error)]
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
    /// It will not do this; with other documents it may.
    Refused,
}

/// What metered services say when they ask to slow down.
const THROTTLED: [&str; 4] = ["Request rate is large", "TooManyRequests", "RetryAfterMs=", "Rate limit exceeded"];
pub(crate) const DUPLICATE_KEY: [i32; 3] = [11000, 11001, 12582];
pub(crate) const NAMESPACE_EXISTS: i32 = 48;
pub(crate) const NAMESPACE_NOT_FOUND: i32 = 26;

/// Sorts what a server says by its code. The numbers are those of MongoDB's error_codes.yml; 429 and 16500 are those of
/// services that meter requests.
pub(crate) fn of_code(code: i32, message: &str) -> Fault {
    match code {
        429 | 462 | 16500 => Fault::Throttled,
        // Some give it the code of an internal error, or of a time that ran out.
        _ if THROTTLED.iter().any(|words| message.contains(words)) => Fault::Throttled,
        6 | 7 | 24 | 43 | 46 | 50 | 64 | 89 | 91 | 112 | 133 | 134 | 175 | 189 | 202 | 237 | 262 | 9001 | 10058
        | 10107 | 11600 | 11601 | 11602 | 13435 | 13436 => Fault::Passing,
        14031 => Fault::Full,
        11 | 13 | 18 | 8000 => Fault::Denied,
        // Failures of the request as such: no document, a view, a name, a command, a write concern that cannot be had.
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
        ErrorKind::Command(said) => of_code(said.code, &said.message),
        ErrorKind::ServerSelection { .. } | ErrorKind::DnsResolve { .. } | ErrorKind::Shutdown => Fault::Passing,
        _ => Fault::Refused,
    }
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
        Fault::Cut | Fault::Elsewhere | Fault::Passing => {
            EndpointError::Unavailable { place, action, source: Box::new(said) }
        }
        Fault::Throttled => {
            let wait = throttle::advised(&said.message);
            EndpointError::Throttled { place, action, reason: said.to_string(), wait }
        }
        Fault::Full => EndpointError::Full { place, action, source: io::Error::other(said) },
        Fault::Denied => EndpointError::Denied { place, action, source: Box::new(said) },
        Fault::Never | Fault::Refused => EndpointError::unsupported(action, place, said.to_string()),
    }
}

/// What the answer to a write says of one document.
pub(crate) struct WriteError {
    pub index: usize,
    pub code: i32,
    pub message: String,
}

/// The documents that an answer to a write names as failed. How many it says were written is not looked at: servers
/// count that differently.
pub(crate) fn write_errors(answer: &RawDocument) -> Vec<WriteError> {
    let Ok(errors) = answer.get_array("writeErrors") else { return Vec::new() };
    let one = |error: &RawDocument| {
        let number = |name| error.get(name).ok().flatten().and_then(number);
        let message = error.get_str("errmsg").unwrap_or("no reason given").to_owned();
        let index = usize::try_from(number("index")?).ok()?;
        Some(WriteError { index, code: number("code").and_then(|code| i32::try_from(code).ok()).unwrap_or(0), message })
    };
    errors.into_iter().flatten().filter_map(|error| one(error.as_document()?)).collect()
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

        assert_eq!(found.collect::<Vec<_>>(), [(1, 11000, "E11000".to_owned()), (2, 121, "no".to_owned())]);
    }

    #[test]
    fn a_write_that_is_not_confirmed_may_pass_and_one_that_cannot_be_does_not() {
        let answer = |code: i32| rawdoc! { "ok": 1, "writeConcernError": { "code": code, "errmsg": "waiting" } };
        assert_eq!(write_concern_error(&answer(64)).map(|(fault, _)| fault), Some(Fault::Passing));
        assert_eq!(write_concern_error(&answer(100)).map(|(fault, _)| fault), Some(Fault::Never));
        assert!(write_concern_error(&rawdoc! { "ok": 1 }).is_none());
    }
}
