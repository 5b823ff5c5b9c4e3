//! The rows that a search may return: one word a block, live rows that pass the filter.

use super::program::{Filter, Program, TILE};
use crate::error::{Result, require};
use crate::plan::{BLOCK, BLOCKS, SearchPlan};
use crate::search::{Cancel, Segment};
use crate::view::View;
use std::sync::atomic::{AtomicU64, Ordering};

/// Time to scan a block of codes, in nanoseconds.
const BLOCK_NS: usize = 46;
/// Time to score a row that lies anywhere, in nanoseconds, besides that of its bytes.
const ROW_NS: usize = 40;
/// Bytes of a row scored in a nanosecond.
const ROW_BYTES_NS: usize = 8;

/// Live rows of consecutive blocks that passed a filter. What a word tells was read under the live word of its
/// block, so it holds for every row that is still live.
pub struct Mask {
    first: usize,
    words: Vec<u64>,
}

impl Mask {
    /// Evaluates the program over the blocks of the plan, or takes what it found before. `None` when cancelled.
    ///
    /// # Safety
    /// `bounds::check` accepted the plan, and the program was checked with the same segments and for as many blocks.
    pub unsafe fn new(plan: &SearchPlan, segments: &[Segment], program: &Program, cancel: &Cancel) -> Option<Self> {
        let (first, end) = (plan.from_block as usize, plan.to_block as usize);
        let mut mask = Mask { first, words: vec![0; end - first] };
        if let Some(kept) = program.kept.filter(|kept| kept.is_filled) {
            for (block, word) in (first..).zip(&mut mask.words) {
                // SAFETY: the program was checked for as many blocks.
                *word = unsafe { kept.read(block) };
            }
            return Some(mask);
        }
        for (index, segment) in segments.iter().enumerate() {
            let (start, end) = (first.max(index * BLOCKS), end.min((index + 1) * BLOCKS));
            for block in (start..end).step_by(TILE) {
                // SAFETY: the cancel word is inside `control`.
                unsafe { cancel.check() }?;
                let Some(words) = mask.words.get_mut(block - first..(block + TILE).min(end) - first) else { continue };
                // SAFETY: blocks of this segment, which the program was checked with.
                unsafe { live_and_passing(segment.rows(), plan.live_offset, program, block % BLOCKS, words) };
            }
        }
        if let Some(kept) = program.kept {
            for (block, word) in (first..).zip(&mask.words) {
                // SAFETY: as above.
                unsafe { kept.write(block, *word) };
            }
        }
        Some(mask)
    }

    /// Whether a row passed.
    pub fn has(&self, row: u32) -> bool {
        self.word(row as usize / BLOCK) >> (row as usize % BLOCK) & 1 == 1
    }

    /// Word of block `block`, counted over the segments; 0 for those outside the plan.
    pub fn word(&self, block: usize) -> u64 {
        block.checked_sub(self.first).and_then(|at| self.words.get(at)).copied().unwrap_or(0)
    }

    /// The words from block `block` of the plan on.
    pub fn words_from(&self, block: usize) -> *const u64 {
        self.words.as_ptr().wrapping_add(block - self.first)
    }

    /// Rows that passed.
    pub fn rows(&self) -> usize {
        self.words.iter().map(|word| word.count_ones() as usize).sum()
    }

    /// Time to scan the codes of the blocks that have such rows, in nanoseconds.
    pub fn blocks_ns(&self) -> usize {
        self.words.iter().filter(|word| **word != 0).count() * BLOCK_NS
    }

    /// Whether it takes less time to score every row that passed, of `row_bytes` each, than to scan codes for `scan_ns`
    /// and score `rerank` of them.
    pub fn is_short(&self, rerank: usize, row_bytes: usize, scan_ns: usize) -> bool {
        self.rows() <= rerank + scan_ns / (ROW_NS + row_bytes / ROW_BYTES_NS)
    }
}

/// Writes the live rows of all blocks that pass a filter, two halves of a word a block, and returns how many they are.
pub fn filter_rows(live_offset: u32, rows: &[View<u8>], filter: &Filter, words: View<u32>) -> Result<u32> {
    let blocks = words.len() / 2;
    let program = Program::new(filter, rows, 0)?;
    require(blocks <= rows.len() * BLOCKS, "words for more blocks than there are")?;
    let end = live_offset as usize + BLOCKS * 8;
    let fits = |view: &View<u8>| view.len() >= end && (view.ptr().addr() + live_offset as usize).is_multiple_of(8);
    require(rows.iter().all(fits), "live words outside the rows")?;
    let mut count = 0;
    for block in (0..blocks).step_by(TILE) {
        let Some(segment) = rows.get(block / BLOCKS) else { continue };
        let mut found = [0u64; TILE];
        let (found, _) = found.split_at_mut(TILE.min(blocks - block));
        // SAFETY: blocks of this segment, because tiles divide it; the program and the live words were checked.
        unsafe { live_and_passing(segment.ptr(), live_offset, &program, block % BLOCKS, found) };
        for (at, word) in (2 * block..).step_by(2).zip(found.iter()) {
            count += word.count_ones();
            // SAFETY: `at + 1 < 2 * blocks`.
            unsafe {
                words.ptr().add(at).write(*word as u32);
                words.ptr().add(at + 1).write((*word >> 32) as u32);
            }
        }
    }
    Ok(count)
}

/// Writes the words of consecutive blocks of a segment.
///
/// # Safety
/// `rows` is the start of a rows view that the program was checked with, which has live words at `live_offset` and a
/// block for each word from `first` on.
unsafe fn live_and_passing(rows: *const u8, live_offset: u32, program: &Program, first: usize, words: &mut [u64]) {
    let column = rows.cast_mut().wrapping_add(live_offset as usize).cast::<u64>().wrapping_add(first);
    let mut live = [0u64; TILE];
    for (b, word) in live.iter_mut().enumerate().take(words.len()) {
        // SAFETY: inside the column, 8-byte aligned, and every thread accesses it atomically. Before any field is
        // read: those of a row are whole once it is live.
        *word = unsafe { AtomicU64::from_ptr(column.add(b)) }.load(Ordering::Acquire);
    }
    // SAFETY: the caller's promise.
    unsafe { passing(rows, program, first, words) };
    words.iter_mut().zip(live).for_each(|(word, live)| *word &= live);
}

/// Writes the words of consecutive blocks, as many at a time as there are.
///
/// # Safety
/// As for [`live_and_passing`].
unsafe fn passing(rows: *const u8, program: &Program, first: usize, words: &mut [u64]) {
    let mut block = first;
    let (tiles, rest) = words.as_chunks_mut::<TILE>();
    let (some, few) = rest.as_chunks_mut::<8>();
    // SAFETY: the caller's promise: each call takes blocks that no other one does.
    unsafe {
        for words in tiles {
            *words = program.evaluate(rows, block);
            block += TILE;
        }
        for words in some {
            *words = program.evaluate(rows, block);
            block += 8;
        }
        for word in few {
            [*word] = program.evaluate(rows, block);
            block += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_looked_up_where_the_plan_begins() {
        let mask = Mask { first: 3, words: vec![1 << 63, 0, 5] };
        let rows: Vec<u32> = (0..8 * 64).filter(|row| mask.has(*row)).collect();
        assert_eq!(rows, [3 * 64 + 63, 5 * 64, 5 * 64 + 2]);
        assert_eq!((mask.rows(), mask.word(3), mask.word(2), mask.word(6)), (3, 1 << 63, 0, 0));
    }

    #[test]
    fn what_is_reranked_anyway_is_short() {
        let mask = |rows: u32| Mask { first: 0, words: vec![(1u64 << rows) - 1] };
        let is_short = |rows, bytes| mask(rows).is_short(20, bytes, mask(rows).blocks_ns());
        assert!(is_short(20, 1_000_000) && !is_short(21, 1_000_000));
        assert!(is_short(21, 0) && !is_short(22, 0));
    }
}
