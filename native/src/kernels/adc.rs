//! Asymmetric distances of product codes: one table entry a subspace, summed for 64 slots at a time.
//!
//! A byte of a code is looked up in 256 entries, or each of its nibbles in 16. Entries are bytes and sums
//! u16, so all variants give the same sums, and the step from sum to estimate rounds the product and the sum
//! to f32 (no FMA).

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
#[cfg(target_arch = "aarch64")]
mod neon;
#[cfg(test)]
mod tests;

use crate::dispatch::{self, Isa};
use crate::kernels::blocks::{Blocks, Rows, Scan};
use crate::kernels::prefetch::prefetch_page_after;
use crate::plan::BLOCK;
use crate::select::Reservoir;

/// Bytes of the table of a byte of 8-bit codes.
pub const BYTE_ENTRIES: usize = 256;
/// Bytes of the tables of a byte of 4-bit codes: 16 entries of each nibble, repeated over a register.
pub const NIBBLE_ENTRIES: usize = 2 * SPREAD;
/// Bytes that the entries of a nibble are repeated over.
pub const SPREAD: usize = 64;
/// Entries of a nibble.
pub const NIBBLES: usize = 16;

/// 64 bytes of a table, where a register can be loaded from.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
pub struct Line(pub [u8; 64]);

/// A query of the pq mode: `estimate = sum * step + lo`.
#[derive(Clone)]
pub struct AdcQuery {
    /// Tables of every byte of a code, [`BYTE_ENTRIES`] or [`NIBBLE_ENTRIES`] each. An entry of a nibble is at
    /// most 63, and the largest entries of all tables together at most 65,535.
    pub tables: Vec<Line>,
    /// Bytes of a code.
    pub rows: usize,
    /// Size of one unit of the tables, not negative.
    pub step: f32,
    /// What a sum of zero stands for.
    pub lo: f32,
}

/// The kernel for codes of 4 or 8 bits and `NQ` queries a pass: 1, 4 or 8.
pub fn pick<const NQ: usize>(bits: u32) -> Scan<AdcQuery, NQ> {
    match bits {
        4 => dispatch::pick(Variants::<NQ>::NIBBLES, scalar_nibbles),
        _ => dispatch::pick(Variants::<NQ>::BYTES, scalar_bytes),
    }
}

/// Every variant, best first.
pub struct Variants<const NQ: usize>;

impl<const NQ: usize> Variants<NQ> {
    /// Codes of 8 bits.
    pub const BYTES: &'static [(Isa, Scan<AdcQuery, NQ>)] = &[
        #[cfg(target_arch = "x86_64")]
        (Isa::Avx512vpopcntdq, avx512::scan_bytes_vbmi),
        #[cfg(target_arch = "x86_64")]
        (Isa::Avx512bw, avx512::scan_bytes),
        #[cfg(target_arch = "x86_64")]
        (Isa::Avx2, avx2::scan_bytes),
        #[cfg(target_arch = "aarch64")]
        (Isa::Neon, neon::scan_bytes),
        (Isa::Scalar, scalar_bytes),
    ];
    /// Codes of 4 bits.
    pub const NIBBLES: &'static [(Isa, Scan<AdcQuery, NQ>)] = &[
        #[cfg(target_arch = "x86_64")]
        (Isa::Avx512vpopcntdq, avx512::scan_nibbles_vbmi),
        #[cfg(target_arch = "x86_64")]
        (Isa::Avx512bw, avx512::scan_nibbles),
        #[cfg(target_arch = "x86_64")]
        (Isa::Avx2, avx2::scan_nibbles),
        #[cfg(target_arch = "aarch64")]
        (Isa::Neon, neon::scan_nibbles),
        (Isa::Scalar, scalar_nibbles),
    ];
}

/// Sums of a block: those of slots 0, 2, 4, ... and those of slots 1, 3, 5, ...
#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct Sums([[u16; BLOCK / 2]; 2]);

impl Sums {
    const ZERO: Sums = Sums([[0; BLOCK / 2]; 2]);

    /// Sums that `slot` gives one by one.
    #[inline(always)]
    fn each(slot: impl Fn(usize) -> u16) -> Self {
        let [mut even, mut odd] = Self::ZERO.0;
        for (i, (even, odd)) in even.iter_mut().zip(&mut odd).enumerate() {
            (*even, *odd) = (slot(2 * i), slot(2 * i + 1));
        }
        Sums([even, odd])
    }
}

unsafe fn scalar_bytes<const NQ: usize>(blocks: &Blocks, queries: &[AdcQuery; NQ], sinks: &mut [Reservoir; NQ]) {
    let sums = |block: *const u8, query: &AdcQuery| {
        let table = query.tables.as_ptr().cast::<u8>();
        Sums::each(|slot| {
            // SAFETY: row `g` of the block is 64 readable bytes, and has a table of 256 entries.
            let entry = |g: usize| unsafe {
                u16::from(table.add(g * BYTE_ENTRIES + usize::from(block.add(g * BLOCK + slot).read())).read())
            };
            (0..query.rows).map(entry).sum()
        })
    };
    // SAFETY: the caller's promise.
    unsafe { scan_sums(blocks, queries, sinks, sums) };
}

unsafe fn scalar_nibbles<const NQ: usize>(blocks: &Blocks, queries: &[AdcQuery; NQ], sinks: &mut [Reservoir; NQ]) {
    let sums = |block: *const u8, query: &AdcQuery| {
        let table = query.tables.as_ptr().cast::<u8>();
        Sums::each(|slot| {
            // SAFETY: row `g` of the block is 64 readable bytes, and has a table of 16 entries for each nibble.
            let entries = |g: usize| unsafe {
                let byte = usize::from(block.add(g * BLOCK + slot).read());
                let (low, high) = (table.add(g * NIBBLE_ENTRIES), table.add(g * NIBBLE_ENTRIES + SPREAD));
                u16::from(low.add(byte & 15).read()) + u16::from(high.add(byte >> 4).read())
            };
            (0..query.rows).map(entries).sum()
        })
    };
    // SAFETY: the caller's promise.
    unsafe { scan_sums(blocks, queries, sinks, sums) };
}

/// The loop around a function that sums the table entries of a block.
///
/// # Safety
/// As for [`Scan`]: the codes of the blocks are as many bytes a slot as the queries have tables.
#[inline(always)]
unsafe fn scan_sums<const NQ: usize>(
    blocks: &Blocks,
    queries: &[AdcQuery; NQ],
    sinks: &mut [Reservoir; NQ],
    sums: impl Fn(*const u8, &AdcQuery) -> Sums,
) {
    let mut bounds: [Bound; NQ] = std::array::from_fn(|_| Bound::NONE);
    for b in 0..blocks.count {
        // SAFETY: `b < count`.
        let live = unsafe { blocks.live(b) };
        if live == 0 {
            continue;
        }
        for ((query, sink), bound) in queries.iter().zip(sinks.iter_mut()).zip(&mut bounds) {
            let block = blocks.codes.wrapping_add(b * query.rows * BLOCK);
            prefetch_page_after(block);
            let sums = sums(block, query);
            bound.follow(query, sink.threshold());
            if sums.0.as_flattened().iter().fold(0, |most, sum| most.max(*sum)) >= bound.sum {
                // SAFETY: block `b` has rows for its slots.
                unsafe { offer(&sums, query, live, blocks.rows(b), sink) };
            }
        }
    }
}

/// A sum below which no estimate exceeds the threshold of a reservoir: nearly every block ends there.
#[derive(Clone, Copy)]
struct Bound {
    threshold: f32,
    sum: u16,
}

impl Bound {
    const NONE: Bound = Bound { threshold: f32::NEG_INFINITY, sum: 0 };

    /// Follows a threshold that may have risen.
    #[inline(always)]
    fn follow(&mut self, query: &AdcQuery, threshold: f32) {
        if threshold != self.threshold {
            *self = Bound { threshold, sum: least_sum(query, threshold) };
        }
    }
}

/// A lower bound of the sums whose estimate exceeds `threshold`. The slack is more than rounding can make of
/// a sum; a step of zero, or one that is not a number, leaves no bound.
fn least_sum(query: &AdcQuery, threshold: f32) -> u16 {
    let (step, lo) = (f64::from(query.step), f64::from(query.lo));
    let slack = 2.0 + (65_535.0 + (lo / step).abs()) / f64::from(1 << 22);
    ((f64::from(threshold) - lo) / step - slack) as u16
}

/// Turns sums into estimates and admits those of live slots that beat the threshold.
///
/// # Safety
/// `rows` are those of the block.
#[inline(never)]
unsafe fn offer(Sums([even, odd]): &Sums, query: &AdcQuery, live: u64, rows: Rows, sink: &mut Reservoir) {
    let mut scores = [0f32; BLOCK];
    let (pairs, _) = scores.as_chunks_mut::<2>();
    for ((pair, even), odd) in pairs.iter_mut().zip(even).zip(odd) {
        *pair = [even, odd].map(|sum| f32::from(*sum) * query.step + query.lo);
    }
    let beats = |(slot, score): (usize, &f32)| u64::from(*score > sink.threshold()) << slot;
    let passed = scores.iter().enumerate().map(beats).fold(0, |passed, slot| passed | slot);
    if passed & live != 0 {
        // SAFETY: the caller's promise.
        unsafe { sink.admit(passed & live, &scores, rows) };
    }
}
