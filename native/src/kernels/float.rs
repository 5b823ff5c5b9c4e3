//! One stored float row against one query or eight: the walk that `dot` and `l2` share.
//!
//! The error of a sum grows with the additions that one lane makes, so every variant keeps at
//! least eight partial sums: within `(d / 8 + 8) * 2^-24` of the sum of magnitudes.

use crate::dispatch::Isa;
#[cfg(target_arch = "aarch64")]
use crate::kernels::lanes::Neon;
#[cfg(target_arch = "x86_64")]
use crate::kernels::lanes::{Avx2, Avx512, Pair};
use crate::kernels::lanes::{Lanes, Scalar};
use std::marker::PhantomData;

/// A row `x` of `d` stored floats against a query `q`.
pub type One = unsafe fn(x: *const u8, q: *const f32, d: usize) -> f32;
/// The row against eight queries `d` apart, into `out`.
pub type Eight = unsafe fn(x: *const u8, q: *const f32, d: usize, out: *mut f32);

/// How a row is stored.
///
/// # Safety
/// As [`Lanes`]; `i` and `n` count elements of the row at `x`.
pub trait Stored {
    /// What reads a row against one query where there is AVX-512. Rows of f32 come from memory, which two narrow loads
    /// were measured to read a tenth quicker than a wide one; f16 is bound by the conversion, which is better wide.
    #[cfg(target_arch = "x86_64")]
    type Avx512: Lanes;
    /// Elements from `i` on.
    unsafe fn load<L: Lanes>(x: *const u8, i: usize) -> L::Vector;
    /// The `n` elements from `i` on, then zeros.
    unsafe fn load_part<L: Lanes>(x: *const u8, i: usize, n: usize) -> L::Vector;
}

/// f32 elements.
pub enum F32 {}
/// f16 elements.
pub enum F16 {}

impl Stored for F32 {
    #[cfg(target_arch = "x86_64")]
    type Avx512 = Pair<Avx2>;

    #[inline(always)]
    unsafe fn load<L: Lanes>(x: *const u8, i: usize) -> L::Vector {
        // SAFETY: the caller's guarantee, element by element.
        unsafe { L::load(x.cast::<f32>().add(i)) }
    }

    #[inline(always)]
    unsafe fn load_part<L: Lanes>(x: *const u8, i: usize, n: usize) -> L::Vector {
        // SAFETY: the caller's guarantee, element by element.
        unsafe { L::load_part(x.cast::<f32>().add(i), n) }
    }
}

impl Stored for F16 {
    #[cfg(target_arch = "x86_64")]
    type Avx512 = Avx512;

    #[inline(always)]
    unsafe fn load<L: Lanes>(x: *const u8, i: usize) -> L::Vector {
        // SAFETY: the caller's guarantee, element by element.
        unsafe { L::widen(x.cast::<u16>().add(i)) }
    }

    #[inline(always)]
    unsafe fn load_part<L: Lanes>(x: *const u8, i: usize, n: usize) -> L::Vector {
        // SAFETY: the caller's guarantee, element by element.
        unsafe { L::widen_part(x.cast::<u16>().add(i), n) }
    }
}

/// What is summed over the elements. Zeros on both sides add nothing.
///
/// # Safety
/// As [`Lanes`].
pub trait Term {
    /// `sum` with the terms of `x` and `q` added.
    unsafe fn add<L: Lanes>(x: L::Vector, q: L::Vector, sum: L::Vector) -> L::Vector;
}

/// Products.
pub enum Product {}
/// Squared differences.
pub enum SquaredDifference {}

impl Term for Product {
    #[inline(always)]
    unsafe fn add<L: Lanes>(x: L::Vector, q: L::Vector, sum: L::Vector) -> L::Vector {
        // SAFETY: the caller's guarantee.
        unsafe { L::mul_add(x, q, sum) }
    }
}

impl Term for SquaredDifference {
    #[inline(always)]
    unsafe fn add<L: Lanes>(x: L::Vector, q: L::Vector, sum: L::Vector) -> L::Vector {
        // SAFETY: the caller's guarantee.
        unsafe {
            let difference = L::sub(q, x);
            L::mul_add(difference, difference, sum)
        }
    }
}

/// Vectors of sums that a query has: with eight queries they fill half the registers of a wide
/// instruction set, with one they hide most of the latency of an addition.
const SUMS: usize = 2;

/// `QUERIES` queries share every load of the row. The order of a query's additions does not
/// depend on `QUERIES`, so its score is the same alone and in a batch.
///
/// # Safety
/// The CPU has `L`; `d` elements can be read at `x` and `QUERIES * d` at `q`.
#[inline(always)]
unsafe fn sums<L: Lanes, T: Term, S: Stored, const QUERIES: usize>(
    x: *const u8,
    q: *const f32,
    d: usize,
) -> [f32; QUERIES] {
    // SAFETY: every index of an element is below `d`, and of a query below `QUERIES`.
    unsafe {
        let mut sums = [[L::zero(); QUERIES]; SUMS];
        let mut i = 0;
        while i + SUMS * L::WIDTH <= d {
            for (part, sums) in sums.iter_mut().enumerate() {
                let at = i + part * L::WIDTH;
                let row = S::load::<L>(x, at);
                for (query, sum) in sums.iter_mut().enumerate() {
                    *sum = T::add::<L>(row, L::load(q.add(query * d + at)), *sum);
                }
            }
            i += SUMS * L::WIDTH;
        }
        let [mut total, rest] = sums;
        while i < d {
            let n = L::WIDTH.min(d - i);
            let row = S::load_part::<L>(x, i, n);
            for (query, sum) in total.iter_mut().enumerate() {
                *sum = T::add::<L>(row, L::load_part(q.add(query * d + i), n), *sum);
            }
            i += n;
        }
        let mut out = [0.0; QUERIES];
        for ((out, total), rest) in out.iter_mut().zip(total).zip(rest) {
            *out = L::sum(L::add(total, rest));
        }
        out
    }
}

/// # Safety
/// The CPU has `L`; `d` elements can be read at `x` and at `q`.
#[inline(always)]
unsafe fn one<L: Lanes, T: Term, S: Stored>(x: *const u8, q: *const f32, d: usize) -> f32 {
    // SAFETY: the caller's guarantee.
    let [sum] = unsafe { sums::<L, T, S, 1>(x, q, d) };
    sum
}

/// Eight queries, as many at a time as the registers have room for.
///
/// # Safety
/// The CPU has `L`; `d` elements can be read at `x`, `8 d` at `q`, and 8 written at `out`.
#[inline(always)]
unsafe fn eight<L: Lanes, T: Term, S: Stored, const QUERIES: usize>(
    x: *const u8,
    q: *const f32,
    d: usize,
    out: *mut f32,
) {
    const { assert!(8usize.is_multiple_of(QUERIES)) }
    for query in (0..8).step_by(QUERIES) {
        // SAFETY: `QUERIES` queries from `query` on are below 8.
        unsafe {
            let scores = sums::<L, T, S, QUERIES>(x, q.add(query * d), d);
            out.add(query).cast::<[f32; QUERIES]>().write_unaligned(scores);
        }
    }
}

/// The kernels of a term over a way of storing.
pub struct Kernels<T, S>(PhantomData<(T, S)>);

impl<T: Term, S: Stored> Kernels<T, S> {
    /// One query.
    pub const ONE: &'static [(Isa, One)] = &[
        #[cfg(target_arch = "x86_64")]
        (Isa::Avx512bw, Self::one_avx512),
        #[cfg(target_arch = "x86_64")]
        (Isa::Avx2, Self::one_avx2),
        #[cfg(target_arch = "aarch64")]
        (Isa::Neon, one::<Neon, T, S>),
        (Isa::Scalar, Self::ONE_SCALAR),
    ];
    /// One query on any CPU.
    pub const ONE_SCALAR: One = one::<Scalar, T, S>;
    /// Eight queries.
    pub const EIGHT: &'static [(Isa, Eight)] = &[
        #[cfg(target_arch = "x86_64")]
        (Isa::Avx512bw, Self::eight_avx512),
        #[cfg(target_arch = "x86_64")]
        (Isa::Avx2, Self::eight_avx2),
        #[cfg(target_arch = "aarch64")]
        (Isa::Neon, eight::<Neon, T, S, 8>),
        (Isa::Scalar, Self::EIGHT_SCALAR),
    ];
    /// Eight queries on any CPU.
    pub const EIGHT_SCALAR: Eight = eight::<Scalar, T, S, 4>;

    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
    unsafe fn one_avx512(x: *const u8, q: *const f32, d: usize) -> f32 {
        // SAFETY: the caller's guarantee; this function enables what `Avx512` needs.
        unsafe { one::<S::Avx512, T, S>(x, q, d) }
    }

    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx2,fma,f16c")]
    unsafe fn one_avx2(x: *const u8, q: *const f32, d: usize) -> f32 {
        // SAFETY: the caller's guarantee; this function enables what `Avx2` needs.
        unsafe { one::<Avx2, T, S>(x, q, d) }
    }

    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
    unsafe fn eight_avx512(x: *const u8, q: *const f32, d: usize, out: *mut f32) {
        // SAFETY: the caller's guarantee; this function enables what `Avx512` needs.
        unsafe { eight::<Avx512, T, S, 8>(x, q, d, out) }
    }

    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx2,fma,f16c")]
    unsafe fn eight_avx2(x: *const u8, q: *const f32, d: usize, out: *mut f32) {
        // SAFETY: the caller's guarantee; this function enables what `Avx2` needs.
        unsafe { eight::<Avx2, T, S, 4>(x, q, d, out) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::f16;
    use crate::kernels::sample::floats;

    /// Within the budget of float kernels of the sum in f64 of `term`s.
    fn close(got: f32, x: &[f32], q: &[f32], term: impl Fn(f64, f64) -> f64) -> bool {
        let terms = || x.iter().zip(q).map(|(x, q)| term(f64::from(*x), f64::from(*q)));
        let budget = (x.len() as f64 / 8.0 + 8.0) * f64::powi(2.0, -24) * terms().map(f64::abs).sum::<f64>();
        (f64::from(got) - terms().sum::<f64>()).abs() <= budget
    }

    fn check<T: Term, S: Stored>(stored: *const u8, x: &[f32], term: impl Fn(f64, f64) -> f64 + Copy) {
        let d = x.len();
        let queries = &floats(99, 8 * d + 1)[1..];
        for (isa, kernel) in Kernels::<T, S>::ONE.iter().filter(|(isa, _)| isa.available()) {
            // SAFETY: the CPU has `isa`, and `d` elements are at both.
            let got = unsafe { kernel(stored, queries.as_ptr(), d) };
            assert!(close(got, x, queries, term), "{isa:?} {d}: {got}");
        }
        for (isa, kernel) in Kernels::<T, S>::EIGHT.iter().filter(|(isa, _)| isa.available()) {
            let mut out = [0.0; 8];
            // SAFETY: as above, for eight queries.
            unsafe { kernel(stored, queries.as_ptr(), d, out.as_mut_ptr()) };
            for (query, got) in queries.chunks_exact(d).zip(out) {
                assert!(close(got, x, query, term), "{isa:?} {d}: {got}");
                let alone = Kernels::<T, S>::ONE.iter().find(|(one, _)| one == isa).unwrap().1;
                // SAFETY: as above, for one query.
                assert_eq!(got, unsafe { alone(stored, query.as_ptr(), d) }, "{isa:?} {d}");
            }
        }
    }

    #[test]
    fn every_variant_is_within_the_error_budget() {
        for d in (1..=100).chain([384, 777, 8192]) {
            let x = floats(d as u64, d);
            let halves: Vec<u16> = x.iter().copied().map(f16::from_f32).collect();
            let widened: Vec<f32> = halves.iter().copied().map(f16::to_f32).collect();
            let [product, difference] = [|x: f64, q: f64| x * q, |x, q| (q - x) * (q - x)];
            check::<Product, F32>(x.as_ptr().cast(), &x, product);
            check::<Product, F16>(halves.as_ptr().cast(), &widened, product);
            check::<SquaredDifference, F32>(x.as_ptr().cast(), &x, difference);
            check::<SquaredDifference, F16>(halves.as_ptr().cast(), &widened, difference);
        }
    }

    #[test]
    fn nothing_is_read_past_a_row() {
        for d in 1..=64 {
            let mut x = vec![1.0f32; d];
            x.extend([f32::NAN; 64]);
            let mut q = vec![1.0f32; 8 * d];
            q.extend([f32::NAN; 64]);
            let kernels = Kernels::<Product, F32>::ONE.iter().zip(Kernels::<Product, F32>::EIGHT);
            for ((isa, one), (_, eight)) in kernels.filter(|((isa, _), _)| isa.available()) {
                let mut out = [0.0; 8];
                // SAFETY: the CPU has `isa`; there are `d` elements and more.
                let got = unsafe {
                    eight(x.as_ptr().cast(), q.as_ptr(), d, out.as_mut_ptr());
                    one(x.as_ptr().cast(), q.as_ptr(), d)
                };
                assert!(got == d as f32 && out == [d as f32; 8], "{isa:?} {d}");
            }
        }
    }
}
