//! The first stage: every block of the plan, in tiles that stay in the cache while all queries
//! pass over them.

use super::scorer::{EIGHT, Scorer};
use super::segment::Segment;
use crate::filter::Mask;
use crate::kernels::adc::{self, AdcQuery};
use crate::kernels::blocks::{Blocks, Scan};
use crate::kernels::fastscan::{self, FlatQuery};
use crate::kernels::hamming::{self, HammingQuery};
use crate::plan::{BLOCK, BLOCKS, SearchPlan};
use crate::select::Reservoir;
use std::sync::atomic::{AtomicI32, Ordering};

/// Most blocks of a tile: a cancelled search stops within 4,096 rows.
const TILE_BLOCKS: usize = 64;
/// Bytes of vectors of a tile: a part of the second-level cache.
const TILE_BYTES: usize = 256 * 1024;

/// The word that another thread sets to cancel a search.
pub struct Cancel(*mut i32);

impl Cancel {
    /// The word at an address inside `control`.
    pub fn new(word: *mut i32) -> Self {
        Cancel(word)
    }

    /// `None` once the search is cancelled.
    ///
    /// # Safety
    /// The word is mapped and 4-byte aligned.
    pub unsafe fn check(&self) -> Option<()> {
        // SAFETY: the caller's promise; every thread accesses the word atomically.
        let word = unsafe { AtomicI32::from_ptr(self.0) };
        (word.load(Ordering::Relaxed) == 0).then_some(())
    }
}

/// What a scan goes over: the blocks of a plan, every live row or those of a mask.
#[derive(Clone, Copy)]
pub struct Area<'a> {
    /// First block and the one to stop before.
    pub plan: &'a SearchPlan,
    /// Every segment.
    pub segments: &'a [Segment],
    /// Made for the plan.
    pub mask: Option<&'a Mask>,
}

/// Scans with look-up tables. `None` when cancelled.
///
/// # Safety
/// `bounds::check` accepted the plan and the segments, here and in every function below.
pub unsafe fn flat(area: Area, queries: &[FlatQuery], sinks: &mut [Reservoir], cancel: &Cancel) -> Option<()> {
    let passes = Passes { one: fastscan::pick(), four: fastscan::pick(), eight: fastscan::pick() };
    // SAFETY: the caller's promise, and `pick` returns what the CPU has.
    unsafe { tiles(area, TILE_BLOCKS, cancel, |_, _, blocks| passes.run(blocks, queries, sinks)) }
}

/// Scans by Hamming distance. `None` when cancelled.
///
/// # Safety
/// As for [`flat`].
pub unsafe fn binary(area: Area, queries: &[HammingQuery], sinks: &mut [Reservoir], cancel: &Cancel) -> Option<()> {
    let passes = Passes { one: hamming::pick(), four: hamming::pick(), eight: hamming::pick() };
    // SAFETY: the caller's promise, and `pick` returns what the CPU has.
    unsafe { tiles(area, TILE_BLOCKS, cancel, |_, _, blocks| passes.run(blocks, queries, sinks)) }
}

/// Scans product codes with look-up tables. `None` when cancelled.
///
/// # Safety
/// As for [`flat`]; the queries have a table for each byte of the plan's codes.
pub unsafe fn products(area: Area, queries: &[AdcQuery], sinks: &mut [Reservoir], cancel: &Cancel) -> Option<()> {
    let bits = area.plan.subspace_bits;
    let passes = Passes { one: adc::pick(bits), four: adc::pick(bits), eight: adc::pick(bits) };
    // SAFETY: the caller's promise, and `pick` returns what the CPU has.
    unsafe { tiles(area, TILE_BLOCKS, cancel, |_, _, blocks| passes.run(blocks, queries, sinks)) }
}

/// Scores every live vector. `None` when cancelled.
///
/// # Safety
/// As for [`flat`]; the plan's precision is not none.
pub unsafe fn exact(area: Area, scorer: &Scorer, sinks: &mut [Reservoir], cancel: &Cancel) -> Option<()> {
    let row_bytes = scorer.row_bytes();
    // Queries of one pass meet a row only once, so their tiles need not fit the cache.
    let tile_bytes = if sinks.len() <= EIGHT { usize::MAX } else { TILE_BYTES };
    let tile = (tile_bytes / (row_bytes * BLOCK)).clamp(1, TILE_BLOCKS);
    let mut slots = Vec::with_capacity(tile * BLOCK);
    let score = |segment: &Segment, first: usize, blocks: &Blocks| {
        slots.clear();
        let first_slot = first % BLOCKS * BLOCK;
        for b in 0..blocks.count {
            // SAFETY: `b < count`.
            let mut live = unsafe { blocks.live(b) };
            while live != 0 {
                slots.push(first_slot + b * BLOCK + live.trailing_zeros() as usize);
                live &= live - 1;
            }
        }
        let first_row = (first * BLOCK - first_slot) as u32;
        // SAFETY: the slots are of this segment.
        unsafe { scorer.scan(segment, &slots, first_row, sinks) };
    };
    // SAFETY: the caller's promise.
    unsafe { tiles(area, tile, cancel, score) }
}

/// Calls `scan` with the number of the first and consecutive blocks, at most `size` and of one segment, until the plan's end.
unsafe fn tiles(
    area: Area,
    size: usize,
    cancel: &Cancel,
    mut scan: impl FnMut(&Segment, usize, &Blocks),
) -> Option<()> {
    let (from, to) = (area.plan.from_block as usize, area.plan.to_block as usize);
    for (index, segment) in area.segments.iter().enumerate() {
        let start = from.max(index * BLOCKS);
        let end = to.min((index + 1) * BLOCKS);
        for block in (start..end).step_by(size) {
            // SAFETY: the cancel word is inside `control`.
            unsafe { cancel.check() }?;
            let mut blocks = segment.blocks(index, block % BLOCKS, size.min(end - block));
            if let Some(mask) = area.mask {
                blocks.live = mask.words_from(block).cast_mut();
            }
            scan(segment, block, &blocks);
        }
    }
    Some(())
}

/// The kernels of a mode by number of queries a pass.
struct Passes<Q> {
    one: Scan<Q, 1>,
    four: Scan<Q, 4>,
    eight: Scan<Q, 8>,
}

impl<Q> Passes<Q> {
    /// Scans blocks for every query.
    ///
    /// # Safety
    /// The CPU has the kernels' instructions, and the blocks are readable.
    unsafe fn run(&self, blocks: &Blocks, queries: &[Q], sinks: &mut [Reservoir]) {
        let (eights, rest) = queries.as_chunks::<8>();
        let (eight_sinks, rest_sinks) = sinks.as_chunks_mut::<8>();
        let (fours, ones) = rest.as_chunks::<4>();
        let (four_sinks, one_sinks) = rest_sinks.as_chunks_mut::<4>();
        let (ones, _) = ones.as_chunks::<1>();
        let (one_sinks, _) = one_sinks.as_chunks_mut::<1>();
        // SAFETY: the caller's promise.
        unsafe {
            eights.iter().zip(eight_sinks).for_each(|(queries, sinks)| (self.eight)(blocks, queries, sinks));
            fours.iter().zip(four_sinks).for_each(|(queries, sinks)| (self.four)(blocks, queries, sinks));
            ones.iter().zip(one_sinks).for_each(|(queries, sinks)| (self.one)(blocks, queries, sinks));
        }
    }
}
