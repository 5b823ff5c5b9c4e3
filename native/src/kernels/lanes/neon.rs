//! AArch64. Conversions of f16 are assembly, because their intrinsics ask for FP16, which brings
//! f16 arithmetic; the conversions alone are part of every AArch64 CPU.

use super::{Lanes, Scalar};
use std::arch::aarch64::*;
use std::arch::asm;
use std::ptr;

/// Four lanes.
pub enum Neon {}

// SAFETY, for every block below: the caller guarantees NEON, and that the elements named by
// `Lanes` can be touched.
impl Lanes for Neon {
    type Vector = float32x4_t;
    const WIDTH: usize = 4;

    #[inline(always)]
    unsafe fn zero() -> float32x4_t {
        // SAFETY: as above.
        unsafe { vdupq_n_f32(0.0) }
    }

    #[inline(always)]
    unsafe fn splat(value: f32) -> float32x4_t {
        // SAFETY: as above.
        unsafe { vdupq_n_f32(value) }
    }

    #[inline(always)]
    unsafe fn load(from: *const f32) -> float32x4_t {
        // SAFETY: as above.
        unsafe { vld1q_f32(from) }
    }

    #[inline(always)]
    unsafe fn load_part(from: *const f32, n: usize) -> float32x4_t {
        // SAFETY: as above; the array that `vld1q_f32` reads is ours.
        unsafe { vld1q_f32(Scalar::load_part(from, n).as_ptr()) }
    }

    #[inline(always)]
    unsafe fn store(to: *mut f32, v: float32x4_t) {
        // SAFETY: as above.
        unsafe { vst1q_f32(to, v) }
    }

    #[inline(always)]
    unsafe fn store_part(to: *mut f32, n: usize, v: float32x4_t) {
        let mut whole = [0.0; 4];
        // SAFETY: as above; `whole` is ours.
        unsafe {
            vst1q_f32(whole.as_mut_ptr(), v);
            Scalar::store_part(to, n, whole);
        }
    }

    #[inline(always)]
    unsafe fn widen(from: *const u16) -> float32x4_t {
        let wide: float32x4_t;
        // SAFETY: as above; the instruction touches these registers only.
        unsafe {
            asm!("fcvtl {:v}.4s, {:v}.4h", lateout(vreg) wide, in(vreg) vld1_u16(from),
                options(pure, nomem, nostack, preserves_flags));
        }
        wide
    }

    #[inline(always)]
    unsafe fn widen_part(from: *const u16, n: usize) -> float32x4_t {
        let mut whole = [0u16; 4];
        // SAFETY: as above; `n <= 4` elements fit `whole`, which is ours.
        unsafe {
            ptr::copy_nonoverlapping(from.cast::<u8>(), whole.as_mut_ptr().cast(), 2 * n);
            Self::widen(whole.as_ptr())
        }
    }

    #[inline(always)]
    unsafe fn narrow(to: *mut u16, v: float32x4_t) {
        let narrow: uint16x4_t;
        // SAFETY: as above; the instruction touches these registers only, and rounds to nearest
        // even as every Rust program has it.
        unsafe {
            asm!("fcvtn {:v}.4h, {:v}.4s", lateout(vreg) narrow, in(vreg) v,
                options(pure, nomem, nostack, preserves_flags));
            vst1_u16(to, narrow);
        }
    }

    #[inline(always)]
    unsafe fn add(a: float32x4_t, b: float32x4_t) -> float32x4_t {
        // SAFETY: as above.
        unsafe { vaddq_f32(a, b) }
    }

    #[inline(always)]
    unsafe fn sub(a: float32x4_t, b: float32x4_t) -> float32x4_t {
        // SAFETY: as above.
        unsafe { vsubq_f32(a, b) }
    }

    #[inline(always)]
    unsafe fn mul(a: float32x4_t, b: float32x4_t) -> float32x4_t {
        // SAFETY: as above.
        unsafe { vmulq_f32(a, b) }
    }

    #[inline(always)]
    unsafe fn mul_add(a: float32x4_t, b: float32x4_t, c: float32x4_t) -> float32x4_t {
        // SAFETY: as above.
        unsafe { vfmaq_f32(c, a, b) }
    }

    #[inline(always)]
    unsafe fn abs(v: float32x4_t) -> float32x4_t {
        // SAFETY: as above.
        unsafe { vabsq_f32(v) }
    }

    #[inline(always)]
    unsafe fn non_negative(v: float32x4_t) -> u32 {
        const BIT: [u32; 4] = [1, 2, 4, 8];
        // SAFETY: as above; `BIT` holds four elements.
        unsafe { vaddvq_u32(vandq_u32(vcgezq_f32(v), vld1q_u32(BIT.as_ptr()))) }
    }

    #[inline(always)]
    unsafe fn sum(v: float32x4_t) -> f32 {
        // SAFETY: as above.
        unsafe { vaddvq_f32(v) }
    }
}
