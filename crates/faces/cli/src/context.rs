//! What every command of the client needs.

use crate::failure::Failure;
use crate::output::{Output, Printer};
use capstan_client::{Client, Options};
use clap::Args;
use std::time::Duration;

/// Options of every command that talks to a server.
#[derive(Args, Clone, Debug)]
pub struct ClientOptions {
    /// The server to ask, by its HTTP or its gRPC port
    ///
    /// http://127.0.0.1:8000 where nothing is said; `migrate` and `demo` then run a server of their own.
    #[arg(long, global = true, env = "CAPSTAN_SERVER", hide_env_values = true, value_name = "URL")]
    server: Option<String>,
    /// How to print what was asked for
    #[arg(long, short, global = true, value_enum, default_value_t = Output::Table)]
    output: Output,
    /// How long to repeat a call that no server answers, such as 30s; 0s means not at all
    #[arg(long, global = true, default_value = "5s", value_parser = crate::input::duration, value_name = "TIME")]
    retry_for: Duration,
}

/// Where a server listens that was told nothing else.
const DEFAULT_SERVER: &str = "http://127.0.0.1:8000";

/// A command's surroundings.
#[derive(Debug)]
pub struct Context {
    options: ClientOptions,
    /// Where output goes.
    pub out: Printer,
}

impl Context {
    /// From what was typed.
    pub fn new(options: ClientOptions) -> Self {
        let out = Printer::to_stdout(options.output);
        Self { options, out }
    }

    /// The same, printing in another form.
    pub fn with_output(&self, output: Output) -> Self {
        Self { options: self.options.clone(), out: Printer::to_stdout(output) }
    }

    /// The server's URL.
    pub fn server(&self) -> &str {
        self.chosen_server().unwrap_or(DEFAULT_SERVER)
    }

    /// The server's URL, if anybody chose one.
    pub fn chosen_server(&self) -> Option<&str> {
        self.options.server.as_deref()
    }

    /// A connection to the server.
    pub async fn client(&self) -> Result<Client, Failure> {
        let options = Options { retry_for: self.options.retry_for, ..Options::default() };
        Ok(Client::connect_with(self.server(), options).await?)
    }
}
