//! How a command ends when it does not end well.

use capstan_api::Class;
use capstan_client::Error;
use std::process::ExitCode;

/// Work or progress that there is not, beside all errors of class `not_found`.
const NOT_FOUND: Class = Class::NotFound;

/// Why a command failed; decides the exit code.
#[derive(Debug)]
pub enum Failure {
    /// The server answered no, or did not answer.
    Server(Error),
    /// What was typed makes no sense.
    Usage(String),
    /// There is nothing of what was asked for, which is no error for people but one for scripts.
    Nothing(String),
    /// Anything else.
    Failed(anyhow::Error),
    /// It failed with an exit code of its own, and has said why.
    Said(u8),
}

impl Failure {
    /// Says why on stderr, and gives the exit code.
    pub fn report(self) -> ExitCode {
        match &self {
            Self::Server(error) => {
                eprintln!("error: {error}");
                if let Some(code) = error.code().filter(|code| code.contains('.') && !code.starts_with("grpc.")) {
                    eprintln!("  code: {code} (docs/errors/{code}.md)");
                }
            }
            Self::Usage(message) => eprintln!("error: {message}"),
            Self::Nothing(message) => eprintln!("{message}"),
            Self::Failed(error) => eprintln!("error: {error:#}"),
            Self::Said(_) => {}
        }
        ExitCode::from(self.exit_code())
    }

    /// 1 failed, 2 usage, then one per class of error.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Server(error) => Class::from_name(error.class().name()).map_or(1, Class::exit_code),
            Self::Usage(_) => 2,
            Self::Nothing(_) => NOT_FOUND.exit_code(),
            Self::Failed(_) => 1,
            Self::Said(code) => *code,
        }
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Server(error) => write!(f, "{error}"),
            Self::Usage(message) | Self::Nothing(message) => f.write_str(message),
            Self::Failed(error) => write!(f, "{error:#}"),
            Self::Said(code) => write!(f, "it ended with exit code {code}"),
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Server(error)
    }
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Self::Failed(error)
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        // `capstan work list | head` is no failure worth a word.
        if error.kind() == std::io::ErrorKind::BrokenPipe { Self::Said(0) } else { Self::Failed(error.into()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_class_of_the_client_has_an_exit_code_of_its_own() {
        use capstan_client::Class as Theirs;
        let all = [
            Theirs::Invalid,
            Theirs::NotFound,
            Theirs::Conflict,
            Theirs::Gone,
            Theirs::Unauthenticated,
            Theirs::Forbidden,
            Theirs::Overloaded,
            Theirs::Exhausted,
            Theirs::Unavailable,
            Theirs::Internal,
            Theirs::TooLarge,
            Theirs::Unsupported,
            Theirs::Changed,
        ];
        let code = |class| {
            let (code, message) = ("x.y".to_owned(), String::new());
            Failure::Server(Error::Refused { code, class, message, retry_after: None, begin_at: None }).exit_code()
        };
        let codes: Vec<_> = all.into_iter().map(code).collect();
        assert_eq!(codes, [3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 14, 15, 17]);
    }

    #[test]
    fn a_server_that_is_not_there_is_unavailable() {
        assert_eq!(Failure::from(Error::Unreachable { message: "refused".into() }).exit_code(), 11);
    }
}
