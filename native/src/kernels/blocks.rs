//! What the scanning kernels share: a run of code blocks, and the look-up tables of queries.

#[cfg(test)]
pub mod fixture;

use crate::kernels::prefetch::prefetch_range;
use crate::plan::{BLOCK, CODE_BITS, CODE_BLOCK_BYTES, CODE_BYTES, FACTORS_OFFSET, NORMS_OFFSET};
use crate::select::Reservoir;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// Groups of four bits of a code, each with a look-up table of its own.
pub const GROUPS: usize = CODE_BITS / 4;
/// Entries of the table of a group.
pub const ENTRIES: usize = 16;

/// Most bytes of the codes of a block that are asked for ahead: the hardware's own prefetch goes on from there.
const MOST_ASKED: usize = 4096;

/// The columns of a codes buffer: the codes of 1,024 blocks, then their factors, then, for l2, their
/// squared norms. A segment has one; any other memory laid out alike can be scanned as well.
#[derive(Clone, Copy)]
pub struct CodeColumns {
    start: *const u8,
    block_bytes: usize,
    have_factors: bool,
    norm_scale: Option<f32>,
}

impl CodeColumns {
    /// The columns that start at `start`, 64-byte aligned. `norm_scale` is what stored squared norms
    /// are multiplied by; `None` where there are none.
    pub fn new(start: *const u8, norm_scale: Option<f32>) -> Self {
        CodeColumns { start, block_bytes: CODE_BLOCK_BYTES, have_factors: true, norm_scale }
    }

    /// The one column of product codes of so many bytes.
    pub fn products(start: *const u8, code_bytes: usize) -> Self {
        CodeColumns { start, block_bytes: code_bytes * BLOCK, have_factors: false, norm_scale: None }
    }

    /// Address of the first byte of a slot's code; the next is [`BLOCK`] bytes after it.
    #[inline(always)]
    pub fn code(&self, slot: usize) -> *const u8 {
        self.start.wrapping_add(slot / BLOCK * self.block_bytes + slot % BLOCK)
    }

    /// Asks for the codes of a block, or the first of them, and for what belongs to them.
    #[inline(always)]
    pub fn prefetch_block(&self, block: usize) {
        prefetch_range(self.start.wrapping_add(block * self.block_bytes), self.block_bytes.min(MOST_ASKED));
        if self.have_factors {
            prefetch_range(self.start.wrapping_add(FACTORS_OFFSET + block * 2 * BLOCK), 2 * BLOCK);
        }
    }

    /// `count` blocks from block `first` on, with the live word of the first and the rows that its
    /// slots go by.
    pub fn blocks(&self, first: usize, count: usize, live: *mut u64, rows: Rows) -> Blocks {
        let halves = |offset: usize| self.start.wrapping_add(offset).cast::<u16>().wrapping_add(first * BLOCK);
        Blocks {
            codes: self.start.wrapping_add(first * self.block_bytes),
            factors: halves(FACTORS_OFFSET),
            norms: self.norm_scale.map(|scale| Norms { start: halves(NORMS_OFFSET), scale }),
            live,
            count,
            rows,
        }
    }
}

/// Which rows the slots of a block are.
#[derive(Clone, Copy, Debug)]
pub enum Rows {
    /// One after the other from this one on.
    From(u32),
    /// Those that are listed here, a u32 a slot, by whoever put them there: any number.
    Listed(*mut u32),
}

impl Rows {
    /// The row of a slot of the block.
    ///
    /// # Safety
    /// `slot < BLOCK`, and a list is mapped and 4-byte aligned.
    #[inline(always)]
    pub unsafe fn of(self, slot: u32) -> u32 {
        match self {
            Rows::From(first) => first + slot,
            // SAFETY: the caller's promise; every thread accesses the list atomically.
            Rows::Listed(rows) => unsafe { AtomicU32::from_ptr(rows.add(slot as usize)) }.load(Ordering::Relaxed),
        }
    }

    /// Rows of the slots that come `slots` later.
    #[inline(always)]
    pub fn after(self, slots: usize) -> Self {
        match self {
            Rows::From(first) => Rows::From(first + slots as u32),
            Rows::Listed(rows) => Rows::Listed(rows.wrapping_add(slots)),
        }
    }
}

/// Consecutive blocks of one codes buffer.
#[derive(Clone, Copy)]
pub struct Blocks {
    /// The first block of codes, 64-byte aligned.
    pub codes: *const u8,
    /// The f16 factors of its slots, 64-byte aligned; nothing that can be read beside product codes.
    pub factors: *const u16,
    /// Their squared norms, when the metric is l2.
    pub norms: Option<Norms>,
    /// The live word of the first block, or that of a mask made of live words.
    pub live: *mut u64,
    /// Number of blocks.
    pub count: usize,
    /// Rows of the slots of the first block.
    pub rows: Rows,
}

/// Squared norms of slots in the order of their factors.
#[derive(Clone, Copy)]
pub struct Norms {
    /// The f16 norm of the first slot, 64-byte aligned.
    pub start: *const u16,
    /// What a stored norm is multiplied by.
    pub scale: f32,
}

impl Norms {
    /// Norms of block `b`.
    #[inline(always)]
    pub fn block(&self, b: usize) -> *const u16 {
        self.start.wrapping_add(b * BLOCK)
    }
}

impl Blocks {
    /// Codes of block `b`, which are signs.
    #[inline(always)]
    pub fn block(&self, b: usize) -> *const u8 {
        self.codes.wrapping_add(b * CODE_BLOCK_BYTES)
    }

    /// Factors of block `b`.
    #[inline(always)]
    pub fn factors(&self, b: usize) -> *const u16 {
        self.factors.wrapping_add(b * BLOCK)
    }

    /// Rows of the slots of block `b`.
    #[inline(always)]
    pub fn rows(&self, b: usize) -> Rows {
        self.rows.after(b * BLOCK)
    }

    /// Live word of block `b`. Codes read after it are whole where its bits are set.
    ///
    /// # Safety
    /// `b < count` and the live words are mapped and 8-byte aligned.
    #[inline(always)]
    pub unsafe fn live(&self, b: usize) -> u64 {
        // SAFETY: the word is inside the column, and every thread accesses it atomically.
        unsafe { AtomicU64::from_ptr(self.live.add(b)) }.load(Ordering::Acquire)
    }

    /// Live rows of all the blocks.
    ///
    /// # Safety
    /// The live words are mapped and 8-byte aligned.
    pub unsafe fn live_rows(&self) -> usize {
        // SAFETY: blocks below `count`.
        (0..self.count).map(|b| unsafe { self.live(b) }.count_ones() as usize).sum()
    }
}

/// One table of [`ENTRIES`] a group: row `g` of a block is looked up in tables `2g` (low nibbles)
/// and `2g + 1` (high nibbles).
#[repr(C, align(64))]
#[derive(Clone)]
pub struct Table(pub [u8; GROUPS * ENTRIES]);

impl Table {
    /// Address of the two tables of row `g`, 32 bytes.
    #[inline(always)]
    pub fn row(&self, g: usize) -> *const u8 {
        debug_assert!(g < CODE_BYTES);
        self.0.as_ptr().wrapping_add(g * 2 * ENTRIES)
    }
}

/// Each table of a [`Table`] four times over, in the order of the groups, so that one load spreads
/// it over a register of 64 bytes. Made once a query: on several CPUs a load that spreads takes
/// turns with the look-ups.
#[repr(C, align(64))]
#[derive(Clone)]
pub struct WideTable([[[u8; ENTRIES]; 4]; GROUPS]);

impl WideTable {
    /// The same tables, spread.
    pub fn new(table: &Table) -> Self {
        let mut wide = WideTable([[[0; ENTRIES]; 4]; GROUPS]);
        for (wide, entries) in wide.0.iter_mut().zip(table.0.as_chunks::<ENTRIES>().0) {
            wide.fill(*entries);
        }
        wide
    }

    /// Address of the spread tables of row `g`, 128 bytes, and of the rows after it.
    #[cfg_attr(not(target_arch = "x86_64"), allow(dead_code, reason = "read by AVX-512 alone"))]
    #[inline(always)]
    pub fn row(&self, g: usize) -> *const u8 {
        debug_assert!(g < CODE_BYTES);
        self.0.as_ptr().cast::<u8>().wrapping_add(g * 8 * ENTRIES)
    }
}

/// A kernel that scores a run of blocks for `NQ` queries in one pass and pushes what beats the
/// thresholds into the reservoirs.
///
/// Safety of a call: the CPU has the kernel's instruction set, and live words and codes are readable;
/// for a [flat](super::fastscan) scan factors and norms as well. Slots without a live bit may hold anything, also bytes being written.
pub type Scan<Q, const NQ: usize> = unsafe fn(&Blocks, &[Q; NQ], &mut [Reservoir; NQ]);
