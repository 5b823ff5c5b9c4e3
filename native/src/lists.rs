//! Putting rows into inverted lists by their codes.

use crate::columns::Codes;
use crate::error::{Result, require};
use crate::kernels::matmul;
use crate::plan::{BLOCK, CODE_BITS, SLOTS, SegmentLayout};
use crate::view::View;

/// The list of each slot: the first of the largest `<c, r> - half norm`.
pub fn assign(
    layout: &SegmentLayout,
    slots: View<u32>,
    codes: View<u8>,
    centroids: View<f32>,
    half_norms: View<f32>,
    out: View<u32>,
) -> Result<()> {
    let codes = Codes::new(layout, codes)?;
    let lists = half_norms.len();
    require(lists > 0 && centroids.len() == lists.saturating_mul(CODE_BITS), "the centroids are not 256 x lists")?;
    require(out.len() >= slots.len(), "there is no place for every list")?;
    let scale = layout.factor_scale as f32;
    let mut points = vec![0f32; BLOCK * CODE_BITS];
    let mut products = vec![0f32; BLOCK * lists];
    for first in (0..slots.len()).step_by(BLOCK) {
        let count = BLOCK.min(slots.len() - first);
        for (i, point) in points.chunks_exact_mut(CODE_BITS).take(count).enumerate() {
            // SAFETY: `first + i < slots.len()`.
            let slot = unsafe { slots.ptr().add(first + i).read() } as usize;
            require(slot < SLOTS, "a slot outside the segment")?;
            // SAFETY: the slot is inside the segment.
            unsafe { codes.decode(slot, scale, point) };
        }
        // SAFETY: `count x 256`, `256 x lists` and room for `count x lists` elements.
        unsafe {
            let product = matmul::matmul();
            product(points.as_ptr(), centroids.ptr(), products.as_mut_ptr(), count, CODE_BITS, lists);
        }
        for (i, products) in products.chunks_exact(lists).take(count).enumerate() {
            // SAFETY: one half norm a list, and a place for slot `first + i`.
            unsafe { out.ptr().add(first + i).write(largest(products, half_norms.ptr())) };
        }
    }
    Ok(())
}

/// Position of the first of the largest differences; NaN is never larger.
///
/// # Safety
/// There are as many half norms as products.
unsafe fn largest(products: &[f32], half_norms: *const f32) -> u32 {
    let (mut best, mut most) = (0u32, f32::NEG_INFINITY);
    for (list, product) in (0u32..).zip(products) {
        // SAFETY: the caller's promise.
        let score = product - unsafe { half_norms.add(list as usize).read() };
        if score > most {
            (best, most) = (list, score);
        }
    }
    best
}
