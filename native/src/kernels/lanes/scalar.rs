//! Plain Rust: what the compiler makes of it for the baseline CPU.

use super::Lanes;
use crate::kernels::f16;
use std::array;

/// Four lanes, as the narrowest vector units have.
pub enum Scalar {}

#[inline(always)]
fn each(a: [f32; 4], b: [f32; 4], f: impl Fn(f32, f32) -> f32) -> [f32; 4] {
    let ([a0, a1, a2, a3], [b0, b1, b2, b3]) = (a, b);
    [f(a0, b0), f(a1, b1), f(a2, b2), f(a3, b3)]
}

impl Lanes for Scalar {
    type Vector = [f32; 4];
    const WIDTH: usize = 4;

    #[inline(always)]
    unsafe fn zero() -> [f32; 4] {
        [0.0; 4]
    }

    #[inline(always)]
    unsafe fn splat(value: f32) -> [f32; 4] {
        [value; 4]
    }

    #[inline(always)]
    unsafe fn load(from: *const f32) -> [f32; 4] {
        // SAFETY: the caller lets us read four elements.
        unsafe { from.cast::<[f32; 4]>().read_unaligned() }
    }

    #[inline(always)]
    unsafe fn load_part(from: *const f32, n: usize) -> [f32; 4] {
        // SAFETY: the caller lets us read `n` elements.
        array::from_fn(|lane| if lane < n { unsafe { from.add(lane).read_unaligned() } } else { 0.0 })
    }

    #[inline(always)]
    unsafe fn store(to: *mut f32, v: [f32; 4]) {
        // SAFETY: the caller lets us write four elements.
        unsafe { to.cast::<[f32; 4]>().write_unaligned(v) }
    }

    #[inline(always)]
    unsafe fn store_part(to: *mut f32, n: usize, v: [f32; 4]) {
        for (lane, value) in v.into_iter().take(n).enumerate() {
            // SAFETY: the caller lets us write `n` elements.
            unsafe { to.add(lane).write_unaligned(value) }
        }
    }

    #[inline(always)]
    unsafe fn widen(from: *const u16) -> [f32; 4] {
        // SAFETY: the caller lets us read four elements.
        unsafe { from.cast::<[u16; 4]>().read_unaligned() }.map(f16::to_f32)
    }

    #[inline(always)]
    unsafe fn widen_part(from: *const u16, n: usize) -> [f32; 4] {
        // SAFETY: the caller lets us read `n` elements.
        array::from_fn(|lane| if lane < n { f16::to_f32(unsafe { from.add(lane).read_unaligned() }) } else { 0.0 })
    }

    #[inline(always)]
    unsafe fn narrow(to: *mut u16, v: [f32; 4]) {
        // SAFETY: the caller lets us write four elements.
        unsafe { to.cast::<[u16; 4]>().write_unaligned(v.map(f16::from_f32)) }
    }

    #[inline(always)]
    unsafe fn add(a: [f32; 4], b: [f32; 4]) -> [f32; 4] {
        each(a, b, |a, b| a + b)
    }

    #[inline(always)]
    unsafe fn sub(a: [f32; 4], b: [f32; 4]) -> [f32; 4] {
        each(a, b, |a, b| a - b)
    }

    #[inline(always)]
    unsafe fn mul(a: [f32; 4], b: [f32; 4]) -> [f32; 4] {
        each(a, b, |a, b| a * b)
    }

    #[inline(always)]
    unsafe fn mul_add(a: [f32; 4], b: [f32; 4], c: [f32; 4]) -> [f32; 4] {
        each(each(a, b, |a, b| a * b), c, |product, c| product + c)
    }

    #[inline(always)]
    unsafe fn abs(v: [f32; 4]) -> [f32; 4] {
        v.map(f32::abs)
    }

    #[inline(always)]
    unsafe fn non_negative(v: [f32; 4]) -> u32 {
        let [v0, v1, v2, v3] = v.map(|lane| u32::from(lane >= 0.0));
        v0 | v1 << 1 | v2 << 2 | v3 << 3
    }

    #[inline(always)]
    unsafe fn sum(v: [f32; 4]) -> f32 {
        let [v0, v1, v2, v3] = v;
        (v0 + v2) + (v1 + v3)
    }
}
