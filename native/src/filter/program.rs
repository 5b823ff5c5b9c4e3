//! A filter as JavaScript compiled it, checked once, then evaluated block by block.

use crate::error::{NativeCode, Result, refuse, require};
use crate::kernels::compare::Compare;
use crate::plan::*;
use crate::view::View;
use std::sync::atomic::{AtomicU32, Ordering};

/// Words of an operation: what it does, byte offset of its column, first constant, number of constants.
const OP_WORDS: usize = 4;
/// Most constants of all operations: each has its own copy.
const MOST_CONSTANTS: usize = 1 << 24;
/// Deepest stack of a program.
const MAX_DEPTH: usize = 64;
/// Blocks that an operation takes at a time: a column of theirs stays in the first-level cache.
pub const TILE: usize = 64;
/// Every column starts on a multiple of this.
const ALIGNMENT: usize = 64;

/// `Filter` of the contract.
#[napi_derive::napi(object, object_to_js = false)]
pub struct Filter {
    /// Operations in postfix order.
    pub ops: View<u32>,
    /// What they compare with.
    pub constants: View<f64>,
    /// Two halves of a word a block: live rows that pass.
    pub mask: Option<View<u32>>,
    /// Whether the mask holds them, or is to be filled with them.
    pub is_filled: Option<bool>,
}

/// A mask that JavaScript keeps from one search to the next.
#[derive(Clone, Copy)]
pub struct Kept {
    words: *mut u32,
    blocks: usize,
    /// Whether it was filled.
    pub is_filled: bool,
}

impl Kept {
    /// The word of a block.
    ///
    /// # Safety
    /// `block` is one of those that [`Program::new`] was checked for.
    pub unsafe fn read(&self, block: usize) -> u64 {
        let half = |at: usize| {
            // SAFETY: the mask has two halves a block; every thread accesses it atomically.
            u64::from(unsafe { AtomicU32::from_ptr(self.words.add(at)) }.load(Ordering::Relaxed))
        };
        half(2 * block) | half(2 * block + 1) << 32
    }

    /// Writes the word of a block.
    ///
    /// # Safety
    /// As for [`Kept::read`].
    pub unsafe fn write(&self, block: usize, word: u64) {
        for (at, half) in [(2 * block, word as u32), (2 * block + 1, (word >> 32) as u32)] {
            // SAFETY: as above.
            unsafe { AtomicU32::from_ptr(self.words.add(at)) }.store(half, Ordering::Relaxed);
        }
    }
}

/// One operation on a stack of words. `offset` is that of a column that every segment has whole.
enum Op {
    Nothing,
    Between { offset: usize, low: f64, high: f64 },
    In64 { offset: usize, values: Vec<f64> },
    In32 { offset: usize, values: Vec<u32> },
    In8 { offset: usize, values: Vec<u8> },
    Not,
    And,
    Or,
}

/// A program that leaves one word a block.
pub struct Program {
    ops: Vec<Op>,
    depth: usize,
    compare: Compare,
    /// Where words are taken from, or go.
    pub kept: Option<Kept>,
}

impl Program {
    /// Checks that every column lies inside each of `rows`, that the stack ends with one word, and that a mask has words
    /// for `blocks`.
    pub fn new(filter: &Filter, rows: &[View<u8>], blocks: usize) -> Result<Self> {
        require(filter.ops.len().is_multiple_of(OP_WORDS), "a filter is not whole operations")?;
        let (mut ops, mut depth, mut deepest, mut copied) = (Vec::new(), 0usize, 0usize, 0usize);
        for at in (0..filter.ops.len()).step_by(OP_WORDS) {
            // SAFETY: `at + 4 <= len`.
            let [code, offset, first, count] = unsafe { filter.ops.ptr().add(at).cast::<[u32; OP_WORDS]>().read() };
            let column = |bytes: usize| -> Result<usize> {
                let offset = offset as usize;
                require(offset.is_multiple_of(ALIGNMENT), "a column is not 64-byte aligned")?;
                let fits = |view: &View<u8>| {
                    view.len() >= offset + bytes * SLOTS && view.ptr().addr().is_multiple_of(ALIGNMENT)
                };
                require(rows.iter().all(fits), "a column outside the rows")?;
                Ok(offset)
            };
            copied = copied.saturating_add(count as usize);
            require(copied <= MOST_CONSTANTS, "a filter has too many constants")?;
            let constants = || constants(filter.constants, first as usize, count as usize);
            let unknown = || refuse(NativeCode::Layout, "a filter has an unknown operation");
            let (op, taken) = match code {
                NOTHING => (Op::Nothing, 0),
                BETWEEN => {
                    let &[low, high] = constants()?.as_slice() else { return Err(unknown()) };
                    (Op::Between { offset: column(8)?, low, high }, 0)
                }
                IN64 => (Op::In64 { offset: column(8)?, values: constants()? }, 0),
                IN32 => {
                    (Op::In32 { offset: column(4)?, values: constants()?.into_iter().map(|x| x as u32).collect() }, 0)
                }
                IN8 => (Op::In8 { offset: column(1)?, values: constants()?.into_iter().map(|x| x as u8).collect() }, 0),
                NOT => (Op::Not, 1),
                AND => (Op::And, 2),
                OR => (Op::Or, 2),
                _ => return Err(unknown()),
            };
            require(taken <= depth && depth - taken < MAX_DEPTH, "a filter takes more words than it has")?;
            depth = depth - taken + 1;
            deepest = deepest.max(depth);
            ops.push(op);
        }
        require(depth == 1, "a filter does not end with one word")?;
        let kept = filter.mask.map(|mask| Kept {
            words: mask.ptr(),
            blocks: mask.len() / 2,
            is_filled: filter.is_filled == Some(true),
        });
        require(kept.is_none_or(|kept| blocks <= kept.blocks), "a mask has fewer words than there are blocks")?;
        Ok(Program { ops, depth: deepest, compare: Compare::pick(), kept })
    }

    /// The slots that pass of `N` consecutive blocks of a segment, whether they are live or not.
    ///
    /// # Safety
    /// `rows` is the start of a rows view that the program was checked with, which has `N` blocks from `first` on.
    #[inline(always)]
    pub unsafe fn evaluate<const N: usize>(&self, rows: *const u8, first: usize) -> [u64; N] {
        let mut stack: Vec<[u64; N]> = Vec::with_capacity(self.depth);
        for op in &self.ops {
            let mut found = [0u64; N];
            match op {
                Op::Nothing => {}
                // SAFETY: the column has all blocks of the segment, and the kernels were picked for this CPU.
                Op::Between { offset, low, high } => unsafe {
                    (self.compare.between)(at(rows, *offset, first * BLOCK), *low, *high, &mut found);
                },
                Op::In64 { offset, values } => values.iter().for_each(|value| {
                    // SAFETY: as above.
                    unsafe { (self.compare.between)(at(rows, *offset, first * BLOCK), *value, *value, &mut found) };
                }),
                Op::In32 { offset, values } => values.iter().for_each(|value| {
                    // SAFETY: as above.
                    unsafe { (self.compare.equal_u32)(at(rows, *offset, first * BLOCK), *value, &mut found) };
                }),
                Op::In8 { offset, values } => values.iter().for_each(|value| {
                    // SAFETY: as above.
                    unsafe { (self.compare.equal_u8)(at(rows, *offset, first * BLOCK), *value, &mut found) };
                }),
                Op::Not => combine(&mut found, stack.pop(), |_, a| !a),
                Op::And => {
                    combine(&mut found, stack.pop(), |_, a| a);
                    combine(&mut found, stack.pop(), |b, a| a & b);
                }
                Op::Or => {
                    combine(&mut found, stack.pop(), |_, a| a);
                    combine(&mut found, stack.pop(), |b, a| a | b);
                }
            }
            stack.push(found);
        }
        stack.pop().unwrap_or([0; N])
    }

    /// Whether one slot passes. Reads that slot alone: the rest of its block may not be in the cache.
    ///
    /// # Safety
    /// As for [`Program::evaluate`]; `slot < SLOTS`.
    pub unsafe fn passes(&self, rows: *const u8, slot: usize) -> bool {
        // A bit a word of the stack, the last one lowest.
        let mut stack = 0u64;
        for op in &self.ops {
            // SAFETY: the column has every slot of the segment.
            let holds = unsafe {
                match op {
                    Op::Nothing => false,
                    Op::Between { offset, low, high } => {
                        let x = at::<f64>(rows, *offset, slot).read();
                        *low <= x && x <= *high
                    }
                    Op::In64 { offset, values } => values.contains(&at::<f64>(rows, *offset, slot).read()),
                    Op::In32 { offset, values } => values.contains(&at::<u32>(rows, *offset, slot).read()),
                    Op::In8 { offset, values } => values.contains(&at::<u8>(rows, *offset, slot).read()),
                    Op::Not => {
                        stack ^= 1;
                        continue;
                    }
                    Op::And => {
                        stack = stack >> 1 & (stack | !1);
                        continue;
                    }
                    Op::Or => {
                        stack = stack >> 1 | stack & 1;
                        continue;
                    }
                }
            };
            stack = stack << 1 | u64::from(holds);
        }
        stack & 1 == 1
    }
}

/// Constants `[first, first + count)`.
fn constants(all: View<f64>, first: usize, count: usize) -> Result<Vec<f64>> {
    require(first + count <= all.len(), "a constant outside the constants")?;
    // SAFETY: the index was checked.
    Ok((first..first + count).map(|at| unsafe { all.ptr().add(at).read() }).collect())
}

/// Slot `slot` of the column at `offset`.
#[inline(always)]
fn at<T>(rows: *const u8, offset: usize, slot: usize) -> *const T {
    rows.wrapping_add(offset).cast::<T>().wrapping_add(slot)
}

/// `word = f(word, other)` for each word; a program was checked never to take from an empty stack.
fn combine<const N: usize>(words: &mut [u64; N], other: Option<[u64; N]>, f: impl Fn(u64, u64) -> u64) {
    for (word, other) in words.iter_mut().zip(other.into_iter().flatten()) {
        *word = f(*word, other);
    }
}
