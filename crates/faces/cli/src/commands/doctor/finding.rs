//! What a check found.

use serde_json::{Value, json};

/// Whether somebody has to do something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Nobody.
    Good,
    /// It is as it is, and worth knowing.
    Noted,
    /// Somebody must.
    Wrong,
}

impl Standing {
    /// Its name outside.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Good => "ok",
            Self::Noted => "note",
            Self::Wrong => "wrong",
        }
    }
}

/// One check, what it found, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What was looked at.
    pub check: &'static str,
    /// Whether it is well.
    pub standing: Standing,
    /// What was found.
    pub found: String,
    /// What to do, where something is to be done.
    pub advice: Option<String>,
}

impl Finding {
    /// All is well.
    pub fn good(check: &'static str, found: impl Into<String>) -> Self {
        Self { check, standing: Standing::Good, found: found.into(), advice: None }
    }

    /// Nothing is wrong, and it may explain something.
    pub fn noted(check: &'static str, found: impl Into<String>) -> Self {
        Self { check, standing: Standing::Noted, found: found.into(), advice: None }
    }

    /// Somebody must do something.
    pub fn wrong(check: &'static str, found: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { check, standing: Standing::Wrong, found: found.into(), advice: Some(advice.into()) }
    }

    /// As programs read it.
    pub fn document(&self) -> Value {
        json!({ "check": self.check, "state": self.standing.name(), "found": self.found, "advice": self.advice })
    }

    /// As people read it.
    pub fn told(&self) -> String {
        match &self.advice {
            Some(advice) => format!("{}; {advice}", self.found),
            None => self.found.clone(),
        }
    }
}
