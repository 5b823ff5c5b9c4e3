//! Putting rows into inverted lists by their codes.

use crate::codebook::Codebook;
use crate::columns::{Codes, product_codes};
use crate::error::{Result, require};
use crate::kernels::blocks::CodeColumns;
use crate::kernels::matmul;
use crate::plan::{BLOCK, SLOTS, SegmentLayout};
use crate::view::View;

/// Codes of either kind, by which rows are put into lists.
enum Coded {
    Signs { codes: Codes, scale: f32 },
    Products { codes: CodeColumns, codebook: Codebook },
}

impl Coded {
    fn new(layout: &SegmentLayout, encoder: View<f32>, codes: View<u8>) -> Result<Self> {
        Ok(match layout.subspaces {
            0 => Coded::Signs { codes: Codes::new(layout, codes)?, scale: layout.factor_scale as f32 },
            // The column first: it checks what the codebook is laid out by.
            _ => Coded::Products { codes: product_codes(layout, codes)?, codebook: Codebook::new(layout, encoder)? },
        })
    }

    /// The row of a slot as its code has it.
    ///
    /// # Safety
    /// `slot < SLOTS`, and `out` has the components of the codes.
    unsafe fn decode(&self, slot: usize, out: &mut [f32]) {
        // SAFETY: the caller's promise.
        unsafe {
            match self {
                Coded::Signs { codes, scale } => codes.decode(slot, *scale, out),
                Coded::Products { codes, codebook } => codebook.decode(codes.code(slot), out),
            }
        }
    }
}

/// The list of each slot: the first of the largest `<c, r> - half norm`.
pub fn assign(
    layout: &SegmentLayout,
    slots: View<u32>,
    encoder: View<f32>,
    codes: View<u8>,
    centroids: View<f32>,
    half_norms: View<f32>,
    out: View<u32>,
) -> Result<()> {
    let coded = Coded::new(layout, encoder, codes)?;
    let (lists, components) = (half_norms.len(), layout.components());
    let whole = lists > 0 && centroids.len() == lists.saturating_mul(components);
    require(whole, "the centroids are not components x lists")?;
    require(out.len() >= slots.len(), "there is no place for every list")?;
    let mut points = vec![0f32; BLOCK * components];
    let mut products = vec![0f32; BLOCK * lists];
    for first in (0..slots.len()).step_by(BLOCK) {
        let count = BLOCK.min(slots.len() - first);
        for (i, point) in points.chunks_exact_mut(components).take(count).enumerate() {
            // SAFETY: `first + i < slots.len()`.
            let slot = unsafe { slots.ptr().add(first + i).read() } as usize;
            require(slot < SLOTS, "a slot outside the segment")?;
            // SAFETY: the slot is inside the segment.
            unsafe { coded.decode(slot, point) };
        }
        // SAFETY: `count x components`, `components x lists` and room for `count x lists` elements.
        unsafe {
            let product = matmul::matmul();
            product(points.as_ptr(), centroids.ptr(), products.as_mut_ptr(), count, components, lists);
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
