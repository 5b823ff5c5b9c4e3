//! Bounded top-k: a reservoir that admits what beats a threshold and is cut back when full.

use crate::kernels::blocks::Rows;
use crate::plan::BLOCK;
use std::cmp::Reverse;

/// Slack beyond twice `keep`, so that small reservoirs are not cut at every row.
const SLACK: usize = BLOCK / 2;

/// The best `keep` of everything offered, by score and then by lower row.
///
/// Rows offered in ascending order are why an equal score need not beat the threshold. Lists offer theirs in any order:
/// of rows with the very score of the last that is kept, any may be kept.
pub struct Reservoir {
    entries: Vec<u64>,
    keep: usize,
    capacity: usize,
    threshold: f32,
}

impl Reservoir {
    /// An empty reservoir for the best `keep`, at least one.
    pub fn new(keep: usize) -> Self {
        let capacity = 2 * keep + SLACK;
        Reservoir { entries: Vec::with_capacity(capacity + BLOCK), keep, capacity, threshold: f32::NEG_INFINITY }
    }

    /// Takes nothing that does not exceed `threshold`.
    pub fn above(self, threshold: f32) -> Self {
        Reservoir { threshold, ..self }
    }

    /// Keeps everything above `threshold`, until it is [drained](Self::drain).
    pub fn of_all(threshold: f32) -> Self {
        Reservoir { entries: Vec::new(), keep: usize::MAX / 4, capacity: usize::MAX, threshold }
    }

    /// Takes everything out as `(score, row)`.
    pub fn drain(&mut self) -> impl Iterator<Item = (f32, u32)> + '_ {
        self.entries.drain(..).map(unpack)
    }

    /// Takes nothing from now on that does not exceed `threshold`.
    pub fn raise(&mut self, threshold: f32) {
        self.threshold = threshold;
    }

    /// What a score must exceed to matter. It only rises, and lags behind the true `keep`-th best.
    #[inline(always)]
    pub fn threshold(&self) -> f32 {
        self.threshold
    }

    /// Takes the slots of `mask` of the block of these rows. Each score must exceed the threshold,
    /// which leaves NaN out.
    ///
    /// # Safety
    /// The rows of a block are mapped.
    #[inline(never)]
    pub unsafe fn admit(&mut self, mut mask: u64, scores: &[f32; BLOCK], rows: Rows) {
        while mask != 0 {
            let slot = mask.trailing_zeros();
            if let Some(score) = scores.get(slot as usize) {
                // SAFETY: the caller's promise; a mask has no bit beyond the block.
                let row = unsafe { rows.of(slot) };
                self.entries.push(pack(*score, row));
            }
            mask &= mask - 1;
        }
        self.cut_when_full();
    }

    /// Where the [packed](pack) entries of a block may be written.
    #[cfg_attr(not(target_arch = "x86_64"), allow(dead_code, reason = "written by AVX-512 alone"))]
    #[inline(always)]
    pub fn room(&mut self) -> *mut u64 {
        self.entries.reserve(BLOCK);
        self.entries.spare_capacity_mut().as_mut_ptr().cast()
    }

    /// Takes the first `count` entries of what was written to the [room](Self::room). Each score must exceed the threshold.
    ///
    /// # Safety
    /// They were written.
    #[cfg_attr(not(target_arch = "x86_64"), allow(dead_code, reason = "written by AVX-512 alone"))]
    #[inline(always)]
    pub unsafe fn take(&mut self, count: usize) {
        // SAFETY: the caller's promise.
        unsafe { self.entries.set_len(self.entries.len() + count) };
        self.cut_when_full();
    }

    /// Takes one row if its score exceeds the threshold.
    #[inline(always)]
    pub fn offer(&mut self, score: f32, row: u32) {
        if score > self.threshold {
            self.entries.push(pack(score, row));
            self.cut_when_full();
        }
    }

    /// The best `keep` as `(score, row)`, in no order.
    pub fn into_best(mut self) -> Vec<(f32, u32)> {
        self.cut();
        self.entries.into_iter().map(unpack).collect()
    }

    /// Score of the `k`-th best of everything offered, `k` at least one and no more than are kept; minus infinity while there
    /// are fewer.
    pub fn best_at(&mut self, k: usize) -> f32 {
        if k > self.entries.len() {
            return f32::NEG_INFINITY;
        }
        let (_, entry, _) = self.entries.select_nth_unstable_by_key(k - 1, |entry| Reverse(*entry));
        unpack(*entry).0
    }

    /// How many are kept at this moment: fewer than asked for only where fewer were offered.
    pub fn len(&self) -> usize {
        self.entries.len().min(self.keep)
    }

    fn cut_when_full(&mut self) {
        if self.entries.len() >= self.capacity {
            self.cut();
        }
    }

    #[cold]
    fn cut(&mut self) {
        if self.entries.len() <= self.keep {
            return;
        }
        let (_, last, _) = self.entries.select_nth_unstable_by_key(self.keep - 1, |entry| Reverse(*entry));
        (self.threshold, _) = unpack(*last);
        self.entries.truncate(self.keep);
    }
}

/// One integer that grows with the score and, among equal scores, with falling rows. Both zeros
/// become +0, as they are equal.
pub fn pack(score: f32, row: u32) -> u64 {
    let bits = (score + 0.0).to_bits();
    let ordered = if bits >> 31 == 0 { bits | 1 << 31 } else { !bits };
    u64::from(ordered) << 32 | u64::from(!row)
}

/// The score and row of [`pack`].
pub fn unpack(entry: u64) -> (f32, u32) {
    let ordered = (entry >> 32) as u32;
    let bits = if ordered >> 31 == 1 { ordered & !(1 << 31) } else { !ordered };
    (f32::from_bits(bits), !(entry as u32))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sorted(best: Vec<(f32, u32)>) -> Vec<(f32, u32)> {
        let mut best = best;
        best.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        best
    }

    #[test]
    fn packing_keeps_order_and_values() {
        let scores = [f32::NEG_INFINITY, -3.5, -1e-40, 0.0, 1e-40, 0.25, 7.0, f32::INFINITY];
        for pair in scores.windows(2) {
            assert!(pack(pair[0], 0) < pack(pair[1], u32::MAX), "{pair:?}");
        }
        for score in scores {
            assert_eq!(unpack(pack(score, 77)), (score, 77));
            assert!(pack(score, 3) > pack(score, 4));
        }
        assert_eq!(pack(-0.0, 9), pack(0.0, 9));
    }

    #[test]
    fn the_best_are_those_of_a_full_sort() {
        for (rows, keep, values) in [(5000u32, 10, 7), (5000, 100, 100_000), (3000, 3000, 50), (200, 500, 9), (0, 4, 1)]
        {
            let scores: Vec<f32> = (0..rows).map(|i| (i.wrapping_mul(2_654_435_761) % values) as f32 - 3.0).collect();
            let (mut by_row, mut by_block) = (Reservoir::new(keep), Reservoir::new(keep));
            for (row, score) in (0u32..).zip(&scores) {
                by_row.offer(*score, row);
            }
            for (block, chunk) in (0u32..).zip(scores.chunks(BLOCK)) {
                let mut padded = [f32::NEG_INFINITY; BLOCK];
                padded[..chunk.len()].copy_from_slice(chunk);
                let beats = |(slot, score): (usize, &f32)| u64::from(*score > by_block.threshold()) << slot;
                let mask = padded.iter().enumerate().map(beats).fold(0, |a, b| a | b);
                // SAFETY: rows that follow one another are read from no memory.
                unsafe { by_block.admit(mask, &padded, Rows::From(block * BLOCK as u32)) };
            }
            let mut expected = sorted(scores.iter().copied().zip(0u32..).collect());
            expected.truncate(keep);
            assert_eq!(sorted(by_row.into_best()), expected);
            assert_eq!(sorted(by_block.into_best()), expected);
        }
    }

    #[test]
    fn nan_never_enters() {
        let mut reservoir = Reservoir::new(3);
        reservoir.offer(f32::NAN, 1);
        reservoir.offer(0.5, 2);
        assert_eq!(reservoir.into_best(), vec![(0.5, 2)]);
    }
}
