//! Hamming distances of 64 codes at a time, as estimates: `1 - distance / 128`.
//!
//! A distance reaches 256, one more than u8 holds, so every variant counts in two parts of u8 and
//! compares their saturated sum.

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
use crate::plan::{BLOCK, CODE_BITS, CODE_BYTES};
use crate::select::Reservoir;

/// Weight of the second part where differences are added eight rows at a time.
#[cfg(target_arch = "x86_64")]
const EIGHT: u32 = 8;

/// A query of the binary mode.
#[derive(Clone)]
pub struct HammingQuery {
    /// Each byte of the code four times over, so that one load spreads it over a register.
    bytes: [u32; CODE_BYTES],
}

impl HammingQuery {
    /// A query of this code.
    pub fn new(code: &[u8; CODE_BYTES]) -> Self {
        HammingQuery { bytes: code.map(|byte| u32::from_le_bytes([byte; 4])) }
    }
}

/// The kernel for `NQ` queries a pass: 1, 4 or 8.
pub fn pick<const NQ: usize>() -> Scan<HammingQuery, NQ> {
    dispatch::pick(Variants::<NQ>::ALL, scalar)
}

/// Every variant, best first.
pub struct Variants<const NQ: usize>;

impl<const NQ: usize> Variants<NQ> {
    /// The list that [`pick`] chooses from.
    pub const ALL: &'static [(Isa, Scan<HammingQuery, NQ>)] = &[
        #[cfg(target_arch = "x86_64")]
        (Isa::Avx512vpopcntdq, avx512::scan_bitalg),
        #[cfg(target_arch = "x86_64")]
        (Isa::Avx512bw, avx512::scan_bw),
        #[cfg(target_arch = "x86_64")]
        (Isa::Avx2, avx2::scan),
        #[cfg(target_arch = "aarch64")]
        (Isa::Neon, neon::scan),
        (Isa::Scalar, scalar),
    ];
}

/// The estimate of a distance.
#[inline(always)]
fn estimate(distance: u32) -> f32 {
    1.0 - distance as f32 / (CODE_BITS / 2) as f32
}

/// The distance that a row must stay below to beat the threshold; `None` when every row does, or
/// when the limit is beyond u8 and the saturated sums cannot tell: the reservoir can.
#[inline(always)]
fn limit(threshold: f32) -> Option<u8> {
    // Exact: the threshold is minus infinity or the estimate of a distance.
    let limit = (CODE_BITS / 2) as f32 * (1.0 - threshold);
    (limit < 256.0).then_some(limit as u8)
}

/// Admits the slots of `mask`, whose distances are the first count plus `weight` of the second.
#[inline(never)]
fn admit(sink: &mut Reservoir, mask: u64, counts: &[[u8; BLOCK]; 2], weight: u32, rows: Rows) {
    let [first, second] = counts;
    let mut scores = [0f32; BLOCK];
    for ((score, first), second) in scores.iter_mut().zip(first).zip(second) {
        *score = estimate(u32::from(*first) + weight * u32::from(*second));
    }
    // SAFETY: the rows of a block are mapped.
    unsafe { sink.admit(mask, &scores, rows) };
}

/// Eight slots at a time in the bytes of a u64.
unsafe fn scalar<const NQ: usize>(blocks: &Blocks, queries: &[HammingQuery; NQ], sinks: &mut [Reservoir; NQ]) {
    let count = |rows: *const u8, bytes: &[u32]| {
        let mut counts = [0u8; BLOCK];
        for (word, counts) in counts.chunks_exact_mut(8).enumerate() {
            let mut sum = 0u64;
            for (g, byte) in bytes.iter().enumerate() {
                // SAFETY: eight slots of a row of the block, 8-byte aligned.
                let x = unsafe { rows.add(g * BLOCK + word * 8).cast::<u64>().read() };
                sum += byte_popcounts(x ^ (u64::from(*byte) << 32 | u64::from(*byte)));
            }
            counts.copy_from_slice(&sum.to_le_bytes());
        }
        counts
    };
    // SAFETY: the caller's promise.
    unsafe { scan_counts(blocks, queries, sinks, count) };
}

/// Bits set in each byte.
#[inline(always)]
fn byte_popcounts(x: u64) -> u64 {
    let pairs = x - (x >> 1 & 0x5555_5555_5555_5555);
    let nibbles = (pairs & 0x3333_3333_3333_3333) + (pairs >> 2 & 0x3333_3333_3333_3333);
    (nibbles + (nibbles >> 4)) & 0x0f0f_0f0f_0f0f_0f0f
}

/// The portable loop around a function that counts the bits by which rows differ from bytes of
/// the query.
///
/// # Safety
/// As for [`Scan`].
#[inline(always)]
unsafe fn scan_counts<const NQ: usize>(
    blocks: &Blocks,
    queries: &[HammingQuery; NQ],
    sinks: &mut [Reservoir; NQ],
    count: impl Fn(*const u8, &[u32]) -> [u8; BLOCK],
) {
    for b in 0..blocks.count {
        // SAFETY: `b < count`.
        let live = unsafe { blocks.live(b) };
        if live == 0 {
            continue;
        }
        let block = blocks.block(b);
        for (query, sink) in queries.iter().zip(sinks.iter_mut()) {
            let (first, second) = query.bytes.split_at(CODE_BYTES / 2);
            let (low, high) = (count(block, first), count(block.wrapping_add(CODE_BYTES / 2 * BLOCK), second));
            let mut passed = live;
            if let Some(limit) = limit(sink.threshold()) {
                for (slot, (low, high)) in low.iter().zip(&high).enumerate() {
                    passed &= !(u64::from(low.saturating_add(*high) >= limit) << slot);
                }
            }
            if passed != 0 {
                admit(sink, passed, &[low, high], 1, blocks.rows(b));
            }
        }
    }
}
