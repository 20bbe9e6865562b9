//! The OpenAPI document.

use crate::context::Context;
use crate::failure::Failure;

/// Prints the document that is checked in and served.
pub fn run(context: &Context) -> Result<(), Failure> {
    context.out.text(&capstan_api::openapi())
}
