//! One f32 vector of each instruction set, so that an algorithm over floats is written once.
//!
//! Everything here is `inline(always)` and compiles to single instructions only inside a
//! function that enables the instruction set: the variants of each kernel do.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
#[cfg(target_arch = "aarch64")]
mod neon;
#[cfg(target_arch = "x86_64")]
mod pair;
mod scalar;

#[cfg(target_arch = "x86_64")]
pub use avx2::Avx2;
#[cfg(target_arch = "x86_64")]
pub use avx512::Avx512;
#[cfg(target_arch = "aarch64")]
pub use neon::Neon;
#[cfg(target_arch = "x86_64")]
pub use pair::Pair;
pub use scalar::Scalar;

/// The vector of an instruction set.
///
/// # Safety
/// Every function needs the CPU to have the instruction set. Those that take a pointer touch
/// `WIDTH` elements, or the first `n <= WIDTH` when they take `n`; no alignment is needed.
pub trait Lanes {
    /// `WIDTH` values of f32.
    type Vector: Copy;
    /// Lanes of a vector: a divisor of 16.
    const WIDTH: usize;

    /// All lanes zero.
    unsafe fn zero() -> Self::Vector;
    /// All lanes `value`.
    unsafe fn splat(value: f32) -> Self::Vector;
    /// Loads a vector.
    unsafe fn load(from: *const f32) -> Self::Vector;
    /// Loads `n` values; the other lanes are zero.
    unsafe fn load_part(from: *const f32, n: usize) -> Self::Vector;
    /// Stores a vector.
    unsafe fn store(to: *mut f32, v: Self::Vector);
    /// Stores the first `n` lanes.
    unsafe fn store_part(to: *mut f32, n: usize, v: Self::Vector);
    /// Loads a vector of f16 values, exactly.
    unsafe fn widen(from: *const u16) -> Self::Vector;
    /// Loads `n` f16 values, exactly; the other lanes are zero.
    unsafe fn widen_part(from: *const u16, n: usize) -> Self::Vector;
    /// Stores a vector as f16 values, rounded to nearest even.
    unsafe fn narrow(to: *mut u16, v: Self::Vector);
    /// `a + b`, rounded.
    unsafe fn add(a: Self::Vector, b: Self::Vector) -> Self::Vector;
    /// `a - b`, rounded.
    unsafe fn sub(a: Self::Vector, b: Self::Vector) -> Self::Vector;
    /// `a * b`, rounded.
    unsafe fn mul(a: Self::Vector, b: Self::Vector) -> Self::Vector;
    /// `a * b + c`, rounded once where the instruction set can: not for deterministic kernels.
    unsafe fn mul_add(a: Self::Vector, b: Self::Vector, c: Self::Vector) -> Self::Vector;
    /// Magnitudes.
    unsafe fn abs(v: Self::Vector) -> Self::Vector;
    /// Bit `l` is whether lane `l` is `>= 0`.
    unsafe fn non_negative(v: Self::Vector) -> u32;
    /// Sum over the lanes, in any order.
    unsafe fn sum(v: Self::Vector) -> f32;
}
