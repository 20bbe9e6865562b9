//! What the writes of a copy are spared: rules that are meant for documents that are new.
//!
//! Documents may be older than their collection's validator, and a timestamp of zeros is what it is; the source has them so.

use std::sync::atomic::{AtomicBool, Ordering};

use bson::Document;

use crate::compose::Composer;
use crate::fault::{DOCUMENT_VALIDATION, Fault, Said};

const VALIDATION: &str = "bypassDocumentValidation";
const TIMESTAMPS: &str = "bypassEmptyTsReplacement";
/// The wire version of the first servers (8.0) that know how to leave timestamps alone. Others refuse words they do not know.
const KNOWS_TIMESTAMPS: i64 = 25;
const UNAUTHORIZED: i32 = 13;

/// What is asked of a server, until it says that it will not.
#[derive(Debug)]
pub(crate) struct Bypass {
    validation: AtomicBool,
    timestamps: AtomicBool,
}

/// What one write asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Spared {
    pub validation: bool,
    pub timestamps: bool,
}

impl Bypass {
    pub fn of(hello: &Document) -> Self {
        let version = hello.get("maxWireVersion");
        let version = version.and_then(|version| version.as_i64().or_else(|| version.as_i32().map(i64::from)));
        let timestamps = version.is_some_and(|version| version >= KNOWS_TIMESTAMPS);
        Self { validation: AtomicBool::new(true), timestamps: AtomicBool::new(timestamps) }
    }

    pub fn spared(&self) -> Spared {
        Spared {
            validation: self.validation.load(Ordering::Relaxed),
            timestamps: self.timestamps.load(Ordering::Relaxed),
        }
    }

    /// Whether a write was refused for what it asked for, or may have been. It is not asked for again.
    pub fn gives_way(&self, asked: Spared, fault: Fault, said: &Said) -> bool {
        let denied = fault == Fault::Denied && said.code == Some(UNAUTHORIZED);
        let validation = asked.validation && (denied || said.message.contains(VALIDATION));
        let timestamps = asked.timestamps && said.message.contains(TIMESTAMPS);
        if validation {
            self.validation.store(false, Ordering::Relaxed);
        }
        if timestamps {
            self.timestamps.store(false, Ordering::Relaxed);
        }
        validation || timestamps
    }

    /// What was said of a document, and that it would have been spared that.
    pub fn explained(&self, said: &Said) -> String {
        if said.code == Some(DOCUMENT_VALIDATION) && !self.spared().validation {
            format!("{said}; with the privilege {VALIDATION} on the target it is taken as it is")
        } else {
            said.to_string()
        }
    }
}

impl Spared {
    pub fn ask(self, command: Composer) -> Composer {
        let command = if self.validation { command.boolean(VALIDATION, true) } else { command };
        if self.timestamps { command.boolean(TIMESTAMPS, true) } else { command }
    }
}
