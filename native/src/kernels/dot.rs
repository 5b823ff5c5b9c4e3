//! Inner product of a stored float row with a query.

use super::float::{Eight, F16, F32, Kernels, One, Product};
use crate::dispatch::{Isa, pick};

/// One row at `x` against the `d` elements at `q`.
pub type Dot = One;
/// One row against eight queries `d` apart, into `out`.
pub type Dot8 = Eight;

/// Rows of f32.
pub const VARIANTS: &[(Isa, Dot)] = Kernels::<Product, F32>::ONE;
/// Rows of f16.
pub const VARIANTS_F16: &[(Isa, Dot)] = Kernels::<Product, F16>::ONE;
/// Rows of f32 against eight queries.
pub const VARIANTS_X8: &[(Isa, Dot8)] = Kernels::<Product, F32>::EIGHT;
/// Rows of f16 against eight queries.
pub const VARIANTS_F16_X8: &[(Isa, Dot8)] = Kernels::<Product, F16>::EIGHT;

/// Rows of f32, on the instruction set in force.
pub fn f32() -> Dot {
    pick(VARIANTS, Kernels::<Product, F32>::ONE_SCALAR)
}

/// Rows of f16, on the instruction set in force.
pub fn f16() -> Dot {
    pick(VARIANTS_F16, Kernels::<Product, F16>::ONE_SCALAR)
}

/// Rows of f32 against eight queries, on the instruction set in force.
pub fn f32x8() -> Dot8 {
    pick(VARIANTS_X8, Kernels::<Product, F32>::EIGHT_SCALAR)
}

/// Rows of f16 against eight queries, on the instruction set in force.
pub fn f16x8() -> Dot8 {
    pick(VARIANTS_F16_X8, Kernels::<Product, F16>::EIGHT_SCALAR)
}
