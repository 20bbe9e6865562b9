//! Comparing two endpoints, whoever moved the data, and mending what differs.

use crate::context::Context;
use crate::failure::Failure;
use crate::migration::{ErrandFlags, NeedsFlags, RepairFlags, SelectionFlags, VerifyFlag, run_errand, spec};
use capstan_migration::{Mode, Rename, Spec};
use clap::Args;

/// What to compare, and what to do about differences.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  capstan verify --from mongodb://db1/ --to mongodb://db2/
  capstan verify --from dump:./backup --to mongodb://db2/ --include shop.* --repair
  capstan verify --from mongodb://db1/ --to mongodb://db2/ --repair --delete-extra --output json
Exits with 1 where the two sides differ at its end. The counts say what was found, `repaired` what was mended, and
`reordered` how many differ in the order of their fields alone: --ignore-field-order takes those as equal.")]
pub struct VerifyOptions {
    /// What is right: mongodb://HOST, dump:PATH, jsonl:PATH
    #[arg(long, value_name = "URL")]
    from: String,
    /// What should be the same: mongodb://HOST, dump:PATH, jsonl:PATH
    #[arg(long, value_name = "URL")]
    to: String,
    #[command(flatten)]
    selection: SelectionFlags,
    /// Other names at the target: shop.orders=store.orders, or shop.*=store.*
    #[arg(long, value_name = "FROM=TO", num_args = 1.., value_parser = crate::migration::pair)]
    rename: Vec<(String, String)>,
    /// How both sides are compared; byte for byte where nothing is said
    #[arg(long, value_enum)]
    by: Option<VerifyFlag>,
    #[command(flatten)]
    repair: RepairFlags,
    #[command(flatten)]
    needs: NeedsFlags,
    #[command(flatten)]
    errand: ErrandFlags,
}

/// Does it.
pub fn run(options: &VerifyOptions, context: &Context) -> Result<(), Failure> {
    let mut wanted = Spec { mode: Mode::Verify, from: options.from.clone(), to: options.to.clone(), ..Spec::default() };
    options.selection.apply(&mut wanted);
    options.repair.apply(&mut wanted);
    options.needs.apply(&mut wanted);
    wanted.renames = options.rename.iter().cloned().map(|(from, to)| Rename { from, to }).collect();
    if let Some(by) = options.by {
        wanted.verify = by.meant();
    }
    run_errand(spec::settled(wanted)?, &options.errand, context)
}
