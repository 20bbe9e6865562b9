//! The configuration file: its default, and what is wrong with one.

use super::server;
use crate::context::Context;
use crate::failure::Failure;
use clap::Subcommand;
use std::path::PathBuf;

/// The commented default, which documents every setting.
pub const DEFAULT: &str = include_str!("../capstan.toml");

/// What can be done with configuration.
#[derive(Debug, Subcommand)]
pub enum ConfigCommand {
    /// Print a file with every setting, its meaning and its default
    #[command(after_help = "Example:\n  capstan config print >capstan.toml")]
    Print,
    /// Say what is wrong with a file, all of it at once
    #[command(after_help = "Example:\n  capstan config check capstan.toml")]
    Check {
        /// The file
        file: PathBuf,
    },
}

/// Does it.
pub fn run(command: ConfigCommand, context: &Context) -> Result<(), Failure> {
    match command {
        ConfigCommand::Print => context.out.text(DEFAULT),
        ConfigCommand::Check { file } => {
            server::check(&file)?;
            context.out.text(&format!("{} is sound\n", file.display()))
        }
    }
}
