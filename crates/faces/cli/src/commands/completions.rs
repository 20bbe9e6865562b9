//! Completion scripts.

use super::Cli;
use crate::context::Context;
use crate::failure::Failure;
use clap::{Args, CommandFactory};
use clap_complete::Shell;

/// Which shell.
#[derive(Args, Debug)]
#[command(
    after_help = "Examples:\n  capstan completions bash > ~/.local/share/bash-completion/completions/capstan\n  capstan completions zsh  > \"${fpath[1]}/_capstan\""
)]
pub struct CompletionsOptions {
    /// The shell to complete in
    shell: Shell,
}

/// Prints the script.
pub fn run(options: &CompletionsOptions, context: &Context) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(options.shell, &mut Cli::command(), "capstan", &mut script);
    context.out.text(&String::from_utf8_lossy(&script))
}
