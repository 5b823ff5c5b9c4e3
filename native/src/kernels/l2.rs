//! Squared distance of a stored float row from a query.

use super::float::{Eight, F16, F32, Kernels, One, SquaredDifference};
use crate::dispatch::{Isa, pick};

/// One row at `x` against the `d` elements at `q`.
pub type L2 = One;
/// One row against eight queries `d` apart, into `out`.
pub type L2x8 = Eight;

/// Rows of f32.
pub const VARIANTS: &[(Isa, L2)] = Kernels::<SquaredDifference, F32>::ONE;
/// Rows of f16.
pub const VARIANTS_F16: &[(Isa, L2)] = Kernels::<SquaredDifference, F16>::ONE;
/// Rows of f32 against eight queries.
pub const VARIANTS_X8: &[(Isa, L2x8)] = Kernels::<SquaredDifference, F32>::EIGHT;
/// Rows of f16 against eight queries.
pub const VARIANTS_F16_X8: &[(Isa, L2x8)] = Kernels::<SquaredDifference, F16>::EIGHT;

/// Rows of f32, on the instruction set in force.
pub fn f32() -> L2 {
    pick(VARIANTS, Kernels::<SquaredDifference, F32>::ONE_SCALAR)
}

/// Rows of f16, on the instruction set in force.
pub fn f16() -> L2 {
    pick(VARIANTS_F16, Kernels::<SquaredDifference, F16>::ONE_SCALAR)
}

/// Rows of f32 against eight queries, on the instruction set in force.
pub fn f32x8() -> L2x8 {
    pick(VARIANTS_X8, Kernels::<SquaredDifference, F32>::EIGHT_SCALAR)
}

/// Rows of f16 against eight queries, on the instruction set in force.
pub fn f16x8() -> L2x8 {
    pick(VARIANTS_F16_X8, Kernels::<SquaredDifference, F16>::EIGHT_SCALAR)
}
