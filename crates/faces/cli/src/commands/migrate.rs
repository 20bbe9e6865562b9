//! Moving data from one endpoint to another, with progress, a report, and a way to stop and go on.

use crate::context::Context;
use crate::failure::Failure;
use crate::migration::{ErrandFlags, MigrationFlags, run_errand};
use clap::Args;

/// What to move, and where the work is kept.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  capstan migrate --from mongodb://db1/ --to mongodb://db2/ --include shop.*
  capstan migrate --from dump:./backup --to dump:./out.archive.gz --rename shop.*=store.*
  capstan migrate --from mongodb://db1/ --mode dump-only --spool s3://bucket/nightly --job nightly
  capstan migrate --to mongodb://db2/ --mode restore-only --spool s3://bucket/nightly --dump nightly
  capstan migrate --from mongodb://db1/ --mode simulate
Ctrl-C pauses; the same command goes on. Without --server it runs a server and a worker of its own.
A password in an address is kept in a folder beside the data, and never in the job.")]
pub struct MigrateOptions {
    #[command(flatten)]
    what: MigrationFlags,
    #[command(flatten)]
    errand: ErrandFlags,
}

/// Does it.
pub fn run(options: &MigrateOptions, context: &Context) -> Result<(), Failure> {
    run_errand(options.what.spec()?, &options.errand, context)
}
