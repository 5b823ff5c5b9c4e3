//! A segment as a reader sees it: its columns by address, its shared words through atomics.

use crate::kernels::blocks::{Blocks, CodeColumns, Rows};
use crate::kernels::prefetch::{prefetch, prefetch_scattered};
use crate::plan::*;
use crate::view::View;
use std::sync::atomic::{AtomicU16, Ordering, fence};

/// Most bytes of a vector that are asked for ahead.
const ASKED: usize = 4096;

/// Columns of one segment. Writers may be at work in them: what is read of a slot counts only
/// under its live bit or between two equal, even generations.
#[derive(Clone, Copy)]
pub struct Segment {
    rows: *const u8,
    codes: CodeColumns,
    live: *mut u64,
    generations: *mut u16,
    scales: *const f32,
    vectors: *const u8,
    width: usize,
}

impl Segment {
    /// The columns of two views that `bounds::check` accepted.
    pub fn new(plan: &SearchPlan, rows: View<u8>, codes: View<u8>) -> Self {
        let column = |offset: u32| rows.ptr().wrapping_add(offset as usize);
        Segment {
            rows: rows.ptr(),
            codes: code_columns(plan, codes),
            live: column(plan.live_offset).cast(),
            generations: column(plan.generation_offset).cast(),
            scales: column(plan.scales_offset).cast_const().cast(),
            vectors: column(plan.vectors_offset),
            width: vector_bytes(plan.precision, plan.dimensions),
        }
    }

    /// Consecutive blocks of segment number `index`.
    pub fn blocks(&self, index: usize, first: usize, count: usize) -> Blocks {
        self.codes.blocks(
            first,
            count,
            self.live.wrapping_add(first),
            Rows::From((index * SLOTS + first * BLOCK) as u32),
        )
    }

    /// Start of the rows view: where offsets of columns count from.
    #[inline(always)]
    pub fn rows(&self) -> *const u8 {
        self.rows
    }

    /// Address of the first byte of a slot's code; the next is [`BLOCK`] bytes after it.
    #[inline(always)]
    pub fn code(&self, slot: usize) -> *const u8 {
        self.codes.code(slot)
    }

    /// Address of a slot's vector.
    #[inline(always)]
    pub fn vector(&self, slot: usize) -> *const u8 {
        self.vectors.wrapping_add(slot * self.width)
    }

    /// The scale of a slot's int8 vector.
    ///
    /// # Safety
    /// `slot < SLOTS`, and the precision is int8.
    #[inline(always)]
    pub unsafe fn scale(&self, slot: usize) -> f32 {
        // SAFETY: the column has a scale for every slot.
        unsafe { self.scales.add(slot).read() }
    }

    /// Asks for all that [`Segment::whole`] reads of a slot.
    #[inline(always)]
    pub fn prefetch_row(&self, slot: usize) {
        prefetch(self.generations.wrapping_add(slot).cast());
        prefetch(self.live.wrapping_add(slot / BLOCK).cast());
        prefetch_scattered(self.vector(slot), self.width.min(ASKED));
    }

    /// What `read` makes of a slot, with the generation it belongs to. `None` when the slot was
    /// being written or is no longer live: then `read` may have seen a mixture.
    ///
    /// # Safety
    /// `slot < SLOTS`.
    #[inline(always)]
    pub unsafe fn whole<T>(&self, slot: usize, read: impl FnOnce() -> T) -> Option<(T, u16)> {
        // SAFETY: the columns have a generation for every slot and a live word for its block.
        let (generation, live) = unsafe {
            let generation = AtomicU16::from_ptr(self.generations.add(slot));
            (generation, self.blocks(0, slot / BLOCK, 1))
        };
        let before = generation.load(Ordering::Acquire);
        let value = read();
        fence(Ordering::Acquire);
        // SAFETY: block 0 of one.
        let live = unsafe { live.live(0) } >> (slot % BLOCK) & 1 == 1;
        let unchanged = generation.load(Ordering::Relaxed) == before;
        (before.is_multiple_of(2) && unchanged && live).then_some((value, before))
    }
}

/// The columns of a codes buffer of a segment or of lists.
pub fn code_columns(plan: &SearchPlan, codes: View<u8>) -> CodeColumns {
    // What stored squared norms are multiplied by.
    let norm_scale = (plan.metric == L2).then_some((plan.factor_scale * plan.factor_scale) as f32);
    match plan.subspaces {
        0 => CodeColumns::new(codes.ptr(), norm_scale),
        subspaces => CodeColumns::products(codes.ptr(), product_bytes(subspaces, plan.subspace_bits)),
    }
}
