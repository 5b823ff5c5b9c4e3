//! Filters over typed columns: a checked program, and the mask of the rows that pass it.

mod mask;
mod program;
#[cfg(test)]
mod tests;

pub use mask::{Mask, filter_rows};
pub use program::{Filter, Program};
