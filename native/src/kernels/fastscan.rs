//! Fast-scan: estimates of 64 slots at a time from 4-bit look-up tables held in registers.
//!
//! Table entries are at most 63, so four look-ups add in u8 before they are widened. Sums are
//! integers, and the step from sum to estimate rounds every product and sum to f32 (no FMA), so
//! all variants give the same bits.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
#[cfg(target_arch = "aarch64")]
mod neon;
#[cfg(test)]
mod tests;

use crate::dispatch::{self, Isa};
use crate::kernels::blocks::{Blocks, ENTRIES, Scan, Table, WideTable};
use crate::kernels::lanes::{Lanes, Scalar};
use crate::plan::BLOCK;
use crate::select::Reservoir;

/// A query of the flat mode: `estimate = factor * (sum * step + lo) + bias - norm * scale`.
#[derive(Clone)]
pub struct FlatQuery {
    table: Table,
    #[cfg_attr(not(target_arch = "x86_64"), allow(dead_code, reason = "read by AVX-512 alone"))]
    wide: WideTable,
    step: f32,
    lo: f32,
    bias: f32,
}

impl FlatQuery {
    /// A query with the contributions of each group of four bits, each at most 63, in units of
    /// `step`; `lo` is what a sum of zero stands for, `bias` what does not depend on the row.
    pub fn new(table: Table, step: f32, lo: f32, bias: f32) -> Self {
        FlatQuery { wide: WideTable::new(&table), table, step, lo, bias }
    }
}

/// The kernel for `NQ` queries a pass: 1, 4 or 8.
pub fn pick<const NQ: usize>() -> Scan<FlatQuery, NQ> {
    dispatch::pick(Variants::<NQ>::ALL, scalar)
}

/// Every variant, best first.
pub struct Variants<const NQ: usize>;

impl<const NQ: usize> Variants<NQ> {
    /// The list that [`pick`] chooses from.
    pub const ALL: &'static [(Isa, Scan<FlatQuery, NQ>)] = &[
        #[cfg(target_arch = "x86_64")]
        (Isa::Avx512vpopcntdq, avx512::scan_vbmi),
        #[cfg(target_arch = "x86_64")]
        (Isa::Avx512bw, avx512::scan),
        #[cfg(target_arch = "x86_64")]
        (Isa::Avx2, avx2::scan),
        #[cfg(target_arch = "aarch64")]
        (Isa::Neon, neon::scan),
        (Isa::Scalar, scalar),
    ];
}

unsafe fn scalar<const NQ: usize>(blocks: &Blocks, queries: &[FlatQuery; NQ], sinks: &mut [Reservoir; NQ]) {
    let sums = |block: *const u8, table: &Table| {
        let mut sums = [0u16; BLOCK];
        for (g, pair) in table.0.chunks_exact(2 * ENTRIES).enumerate() {
            let (low, high) = pair.split_at(ENTRIES);
            for (slot, sum) in sums.iter_mut().enumerate() {
                // SAFETY: row `g` of the block is 64 readable bytes; a nibble is below `ENTRIES`.
                unsafe {
                    let byte = usize::from(block.add(g * BLOCK + slot).read());
                    *sum += u16::from(*low.get_unchecked(byte & 15)) + u16::from(*high.get_unchecked(byte >> 4));
                }
            }
        }
        sums
    };
    // SAFETY: the caller's promise.
    unsafe { scan_sums::<Scalar, NQ>(blocks, queries, sinks, sums) };
}

/// The portable loop around a function that sums the table entries of a block.
///
/// # Safety
/// As for [`Scan`]; the CPU has `L`.
#[inline(always)]
unsafe fn scan_sums<L: Lanes, const NQ: usize>(
    blocks: &Blocks,
    queries: &[FlatQuery; NQ],
    sinks: &mut [Reservoir; NQ],
    sums: impl Fn(*const u8, &Table) -> [u16; BLOCK],
) {
    for b in 0..blocks.count {
        // SAFETY: `b < count`.
        let live = unsafe { blocks.live(b) };
        if live == 0 {
            continue;
        }
        let floats = |halves: *const u16| {
            let mut floats = [0f32; BLOCK];
            for (vector, floats) in floats.chunks_exact_mut(L::WIDTH).enumerate() {
                // SAFETY: factors and norms of a block are 64 f16 each.
                unsafe { L::store(floats.as_mut_ptr(), L::widen(halves.add(vector * L::WIDTH))) };
            }
            floats
        };
        let (factors, norms) =
            (floats(blocks.factors(b)), blocks.norms.map(|norms| (norms.scale, floats(norms.block(b)))));
        for (query, sink) in queries.iter().zip(sinks.iter_mut()) {
            let mut passed = 0u64;
            let mut scores = [0f32; BLOCK];
            for ((score, sum), factor) in scores.iter_mut().zip(sums(blocks.block(b), &query.table)).zip(factors) {
                *score = factor * (f32::from(sum) * query.step + query.lo) + query.bias;
            }
            if let Some((scale, norms)) = norms {
                scores.iter_mut().zip(norms).for_each(|(score, norm)| *score -= norm * scale);
            }
            for (slot, score) in scores.iter().enumerate() {
                passed |= u64::from(*score > sink.threshold()) << slot;
            }
            if passed & live != 0 {
                // SAFETY: the rows of the block are mapped.
                unsafe { sink.admit(passed & live, &scores, blocks.rows(b)) };
            }
        }
    }
}
