//! Two vectors of an instruction set as one.

use super::Lanes;
use std::marker::PhantomData;

/// The lanes of one vector, then those of the next.
pub struct Pair<L>(PhantomData<L>);

// SAFETY, for every block below: the caller's guarantee, for the first `L::WIDTH` elements and for those after them.
impl<L: Lanes> Lanes for Pair<L> {
    type Vector = [L::Vector; 2];
    const WIDTH: usize = 2 * L::WIDTH;

    #[inline(always)]
    unsafe fn zero() -> [L::Vector; 2] {
        // SAFETY: as above.
        unsafe { [L::zero(), L::zero()] }
    }

    #[inline(always)]
    unsafe fn splat(value: f32) -> [L::Vector; 2] {
        // SAFETY: as above.
        unsafe { [L::splat(value), L::splat(value)] }
    }

    #[inline(always)]
    unsafe fn load(from: *const f32) -> [L::Vector; 2] {
        // SAFETY: as above.
        unsafe { [L::load(from), L::load(from.add(L::WIDTH))] }
    }

    #[inline(always)]
    unsafe fn load_part(from: *const f32, n: usize) -> [L::Vector; 2] {
        let [first, second] = parts::<L>(n);
        // SAFETY: as above.
        unsafe { [L::load_part(from, first), L::load_part(from.add(first), second)] }
    }

    #[inline(always)]
    unsafe fn store(to: *mut f32, [a, b]: [L::Vector; 2]) {
        // SAFETY: as above.
        unsafe {
            L::store(to, a);
            L::store(to.add(L::WIDTH), b);
        }
    }

    #[inline(always)]
    unsafe fn store_part(to: *mut f32, n: usize, [a, b]: [L::Vector; 2]) {
        let [first, second] = parts::<L>(n);
        // SAFETY: as above.
        unsafe {
            L::store_part(to, first, a);
            L::store_part(to.add(first), second, b);
        }
    }

    #[inline(always)]
    unsafe fn widen(from: *const u16) -> [L::Vector; 2] {
        // SAFETY: as above.
        unsafe { [L::widen(from), L::widen(from.add(L::WIDTH))] }
    }

    #[inline(always)]
    unsafe fn widen_part(from: *const u16, n: usize) -> [L::Vector; 2] {
        let [first, second] = parts::<L>(n);
        // SAFETY: as above.
        unsafe { [L::widen_part(from, first), L::widen_part(from.add(first), second)] }
    }

    #[inline(always)]
    unsafe fn narrow(to: *mut u16, [a, b]: [L::Vector; 2]) {
        // SAFETY: as above.
        unsafe {
            L::narrow(to, a);
            L::narrow(to.add(L::WIDTH), b);
        }
    }

    #[inline(always)]
    unsafe fn add([a, b]: [L::Vector; 2], [c, d]: [L::Vector; 2]) -> [L::Vector; 2] {
        // SAFETY: as above.
        unsafe { [L::add(a, c), L::add(b, d)] }
    }

    #[inline(always)]
    unsafe fn sub([a, b]: [L::Vector; 2], [c, d]: [L::Vector; 2]) -> [L::Vector; 2] {
        // SAFETY: as above.
        unsafe { [L::sub(a, c), L::sub(b, d)] }
    }

    #[inline(always)]
    unsafe fn mul([a, b]: [L::Vector; 2], [c, d]: [L::Vector; 2]) -> [L::Vector; 2] {
        // SAFETY: as above.
        unsafe { [L::mul(a, c), L::mul(b, d)] }
    }

    #[inline(always)]
    unsafe fn mul_add([a, b]: [L::Vector; 2], [c, d]: [L::Vector; 2], [e, f]: [L::Vector; 2]) -> [L::Vector; 2] {
        // SAFETY: as above.
        unsafe { [L::mul_add(a, c, e), L::mul_add(b, d, f)] }
    }

    #[inline(always)]
    unsafe fn abs([a, b]: [L::Vector; 2]) -> [L::Vector; 2] {
        // SAFETY: as above.
        unsafe { [L::abs(a), L::abs(b)] }
    }

    #[inline(always)]
    unsafe fn non_negative([a, b]: [L::Vector; 2]) -> u32 {
        // SAFETY: as above.
        unsafe { L::non_negative(a) | L::non_negative(b) << L::WIDTH }
    }

    #[inline(always)]
    unsafe fn sum([a, b]: [L::Vector; 2]) -> f32 {
        // SAFETY: as above.
        unsafe { L::sum(L::add(a, b)) }
    }
}

/// How many of `n` elements are in each vector.
#[inline(always)]
fn parts<L: Lanes>(n: usize) -> [usize; 2] {
    let first = n.min(L::WIDTH);
    [first, n - first]
}
