//! A program at work for us: started, listened to, and ended.

use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use capstan_endpoint::{EndpointError, Result};
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::sync::watch;
use tokio::time::timeout;
use tokio_util::task::AbortOnDropHandle;

use crate::ToolsOptions;
use crate::address::Address;
use crate::heard::{self, Heard};
use crate::private::PrivateFolder;
use crate::program::Program;

/// Variables of ours may hold secrets, and no other program needs them.
const OWN_VARIABLES: &str = "CAPSTAN_";

/// What is the same for all programs of an endpoint.
#[derive(Clone)]
pub(crate) struct Employer {
    pub program: Program,
    pub address: Address,
    pub options: ToolsOptions,
    /// Which deployment it is, for people.
    pub place: String,
}

/// A program that was started. Dropping it kills it.
pub(crate) struct Running {
    employer: Employer,
    child: Child,
    heard: watch::Receiver<Heard>,
    listening: AbortOnDropHandle<()>,
    // Behind the child: its secrets go when it is gone.
    _folder: PrivateFolder,
}

/// How a program ended.
pub(crate) struct Ended {
    pub status: ExitStatus,
    pub heard: Heard,
}

/// What a program that failed did, and said.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Said(String);

impl Employer {
    /// Starts the program on one collection. `files` puts more into its private folder and gives arguments for them.
    pub fn start(
        &self,
        database: &str,
        collection: &str,
        arguments: &[String],
        files: impl FnOnce(&PrivateFolder) -> Result<Vec<String>>,
    ) -> Result<(Running, Option<ChildStdin>, Option<ChildStdout>)> {
        let folder = PrivateFolder::make()?;
        let config = folder.put("config.yaml", &self.address.config())?;
        let mut command = Command::new(&self.program.path);
        command
            .arg(format!("--config={}", config.display()))
            .arg(format!("--db={}", argument(database)))
            .arg(format!("--collection={}", argument(collection)))
            .args(arguments)
            .args(files(&folder)?)
            .process_group(0)
            .kill_on_drop(true)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        match self.program.tool {
            crate::Tool::Mongodump => command.stdout(Stdio::piped()),
            crate::Tool::Mongorestore => command.stdin(Stdio::piped()),
        };
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with(OWN_VARIABLES) {
                command.env_remove(name);
            }
        }
        let mut child = command.spawn().map_err(|error| self.failed(format!("it does not start: {error}")))?;
        let (teller, heard) = watch::channel(Heard::default());
        let stream = child.stderr.take().expect("its error stream is piped");
        let listening = tokio::spawn(heard::listen(stream, move |heard| drop(teller.send(heard))));
        let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
        let listening = AbortOnDropHandle::new(listening);
        Ok((Running { employer: self.clone(), child, heard, listening, _folder: folder }, stdin, stdout))
    }

    /// A failure of the program, of the class that its words show. They are shown without secrets.
    pub fn failed(&self, what: String) -> EndpointError {
        let (place, action) = (self.place.clone(), format!("running {}", self.program.tool));
        let reason = self.address.redact(&what);
        let says = |words: &[&str]| words.iter().any(|word| reason.contains(word));
        if says(&["TooManyRequests", "Request rate is large", "(429)", "(16500)"]) {
            EndpointError::Throttled { place, action, reason, wait: None }
        } else if says(&["auth error", "AuthenticationFailed", "Authentication failed", "(Unauthorized)"]) {
            EndpointError::Denied { place, action, source: Box::new(Said(reason)) }
        } else {
            EndpointError::Unavailable { place, action, source: Box::new(Said(reason)) }
        }
    }
}

impl Running {
    /// Awaits what the program does, but not for longer than it may be silent. One that is too silent is ended.
    pub async fn unless_silent<T>(&mut self, action: &str, doing: impl Future<Output = T>) -> Result<T> {
        let limit = self.employer.options.silence_max;
        match timeout(limit, doing).await {
            Ok(done) => Ok(done),
            Err(_) => {
                self.stop().await;
                Err(self.silent(action, limit))
            }
        }
    }

    /// Waits for its end.
    pub async fn end(mut self) -> Result<Ended> {
        let limit = self.employer.options.silence_max;
        let Ok(status) = timeout(limit, self.child.wait()).await else {
            self.stop().await;
            return Err(self.silent("ending", limit));
        };
        let status = status.map_err(|error| self.employer.failed(format!("it cannot be waited for: {error}")))?;
        // What it said last may be on its way still; somebody else may hold the stream open.
        let _ = timeout(self.employer.options.grace, &mut self.listening).await;
        let heard = self.heard.borrow().clone();
        Ok(Ended { status, heard })
    }

    /// Asks it to end, and kills it where it does not.
    pub async fn stop(&mut self) {
        self.signal(Signal::TERM);
        if timeout(self.employer.options.grace, self.child.wait()).await.is_err() {
            self.signal(Signal::KILL);
            // It cannot be ignored, so this ends as soon as the kernel has ended the process.
            let _ = self.child.wait().await;
        }
    }

    fn silent(&self, action: &str, limit: Duration) -> EndpointError {
        let heard = self.heard.borrow().last_words();
        self.employer.failed(format!("it was silent for {limit:?} while {action}, and was ended: {heard}"))
    }

    fn signal(&self, signal: Signal) {
        // The id is known only until the process is collected, so it is nobody else's.
        let group = self.child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        if let Some(group) = group {
            // One that has just ended cannot be signalled; that is all that can fail.
            let _ = kill_process_group(group, signal);
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.signal(Signal::KILL);
    }
}

impl Ended {
    /// How it ended, in words.
    pub fn story(&self) -> String {
        format!("{}: {}", self.status, self.heard.last_words())
    }
}

/// A value as the programs read it: one that begins with a quotation mark is taken for a quoted one.
fn argument(value: &str) -> String {
    if !value.starts_with('"') {
        return value.to_owned();
    }
    let mut quoted = String::from("\"");
    for character in value.chars() {
        match character {
            '"' | '\\' => quoted.extend(['\\', character]),
            character if character.is_control() => quoted.push_str(&format!("\\u{:04x}", character as u32)),
            character => quoted.push(character),
        }
    }
    quoted + "\""
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_name_that_begins_like_a_quoted_one_is_quoted() {
        for (name, given) in [
            ("orders", "orders"),
            ("-dash", "-dash"),
            ("a\"b\\c", "a\"b\\c"),
            ("\"a\\b\n\"", "\"\\\"a\\\\b\\u000a\\\"\""),
        ] {
            assert_eq!(argument(name), given);
        }
    }
}
