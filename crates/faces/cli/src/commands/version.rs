//! The version.

use crate::context::Context;
use crate::failure::Failure;
use crate::output::Table;
use serde_json::json;

/// Prints the version of this binary.
pub fn run(context: &Context) -> Result<(), Failure> {
    let version = env!("CARGO_PKG_VERSION");
    context.out.show(
        || json!({ "version": version }),
        || {
            let mut table = Table::new(["VERSION"]);
            table.row([version.to_owned()]);
            table
        },
    )
}
