//! What can be typed.

mod backup;
mod bench;
mod completions;
pub mod config;
mod demo;
mod dev;
mod doctor;
mod job;
mod migrate;
mod openapi;
mod pipeline;
mod replay;
mod restore;
mod server;
mod session;
mod status;
mod top;
mod verify;
mod version;
mod work;
mod worker;

use crate::context::{ClientOptions, Context};
use crate::failure::Failure;
use clap::{Parser, Subcommand};

/// Coordinates data in motion: who works on which piece, until when, and who may still write.
#[derive(Debug, Parser)]
#[command(name = "capstan", version, propagate_version = true, max_term_width = 100)]
pub struct Cli {
    #[command(flatten)]
    options: ClientOptions,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the control plane: work, migrations, REST and gRPC
    Server(server::ServerOptions),
    /// Run everything in one process, on embedded defaults
    Dev(dev::DevOptions),
    /// Do the work of jobs: plan, dump, restore, complete, verify
    Worker(worker::WorkerOptions),
    /// Watch a real migration from start to verified end, with a worker lost on the way
    Demo(demo::DemoOptions),
    /// Move data from one endpoint to another
    Migrate(Box<migrate::MigrateOptions>),
    /// Compare two endpoints, whoever moved the data, and mend what differs
    Verify(Box<verify::VerifyOptions>),
    /// Migrations on a server
    #[command(subcommand)]
    Job(job::JobCommand),
    /// Namespaces of work and their rules
    #[command(subcommand)]
    Session(session::SessionCommand),
    /// Items and leases: add work, take it, finish it
    #[command(subcommand)]
    Work(work::WorkCommand),
    /// What is running, is it healthy, is there room for more
    #[command(subcommand)]
    Pipeline(pipeline::PipelineCommand),
    /// Show the pipelines as they were at a time
    Replay(replay::ReplayOptions),
    /// What the server and its sessions are doing
    Status(status::StatusOptions),
    /// Watch a server live: jobs with their chunks, pools, workers, sessions
    Top(top::TopOptions),
    /// Look for what is wrong, and write a support bundle
    Doctor(doctor::DoctorOptions),
    /// Put a server under load and measure it
    #[command(subcommand)]
    Bench(bench::BenchCommand),
    /// Copy the journal to one file, while the server runs
    Backup(backup::BackupOptions),
    /// Restore a backup into an empty data directory, PostgreSQL or Cassandra
    Restore(restore::RestoreOptions),
    /// The configuration file: its default, and what is wrong with one
    #[command(subcommand)]
    Config(config::ConfigCommand),
    /// Print a completion script for a shell
    Completions(completions::CompletionsOptions),
    /// Print the OpenAPI document of this version
    #[command(hide = true)]
    Openapi,
    /// Print the version
    Version,
}

/// Does what was typed.
pub fn run(cli: Cli) -> Result<(), Failure> {
    let context = Context::new(cli.options);
    match cli.command {
        Command::Server(options) => server::run(options),
        Command::Dev(options) => dev::run(options),
        Command::Worker(options) => worker::run(options, &context),
        Command::Demo(options) => demo::run(options, &context),
        Command::Migrate(options) => migrate::run(&options, &context),
        Command::Verify(options) => verify::run(&options, &context),
        Command::Job(command) => wait(job::run(command, &context)),
        Command::Session(command) => wait(session::run(command, &context)),
        Command::Work(command) => wait(work::run(command, &context)),
        Command::Pipeline(command) => wait(pipeline::run(command, &context)),
        Command::Replay(options) => wait(replay::run(options, &context)),
        Command::Status(options) => wait(status::run(options, &context)),
        Command::Top(options) => wait(top::run(options, &context)),
        Command::Doctor(options) => wait(doctor::run(options, &context)),
        Command::Bench(command) => bench::run(command, &context),
        Command::Backup(options) => backup::run(&options, &context),
        Command::Restore(options) => restore::run(&options, &context),
        Command::Config(command) => config::run(command, &context),
        Command::Completions(options) => completions::run(&options, &context),
        Command::Openapi => openapi::run(&context),
        Command::Version => version::run(&context),
    }
}

/// Runs a command of the client: one thread is plenty.
fn wait(command: impl Future<Output = Result<(), Failure>>) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(command)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_command_says_what_it_does() {
        fn check(command: &clap::Command, path: &str) {
            for sub in command.get_subcommands().filter(|sub| sub.get_name() != "help") {
                let path = format!("{path} {}", sub.get_name());
                assert!(sub.get_about().is_some(), "{path} says nothing of itself");
                check(sub, &path);
            }
        }
        check(&Cli::command(), "capstan");
    }

    #[test]
    fn the_first_page_of_help_is_this() {
        insta::assert_snapshot!(Cli::command().term_width(100).render_help());
    }
}
