//! Checksums of the blocks of a view.

use crate::error::{Result, require};
use crate::held::Held;
use crate::kernels::crc32c::crc32c;
use crate::view::View;
use napi::{Env, Task};

/// The CRC-32C of a whole view.
pub fn of(view: View<u8>) -> u32 {
    // SAFETY: the view is readable for its length.
    unsafe { crc32c(view.ptr(), view.len()) }
}

/// Number of blocks, when there is a checksum for each.
fn blocks(view: View<u8>, block_bytes: u32, checksums: View<u32>) -> Result<usize> {
    require(block_bytes > 0, "blocks have no bytes")?;
    let blocks = view.len().div_ceil(block_bytes as usize);
    require(checksums.len() == blocks, "not one checksum a block")?;
    Ok(blocks)
}

/// The CRC-32C of one block.
///
/// # Safety
/// `block` is one of the [`blocks`] of the view.
unsafe fn of_block(view: View<u8>, block_bytes: usize, block: usize) -> u32 {
    let from = block * block_bytes;
    // SAFETY: the block starts inside the view and is cut at its end.
    unsafe { crc32c(view.ptr().add(from), block_bytes.min(view.len() - from)) }
}

/// The CRC-32C of every block into `out`.
pub fn of_blocks(view: View<u8>, block_bytes: u32, out: View<u32>) -> Result<()> {
    for block in 0..blocks(view, block_bytes, out)? {
        // SAFETY: `block` is a block of the view, and `out` has an element for each.
        unsafe { out.ptr().add(block).write(of_block(view, block_bytes as usize, block)) }
    }
    Ok(())
}

/// A comparison of the blocks of a view with expected checksums, for a thread of the pool.
pub struct Verification {
    view: Held<u8>,
    block_bytes: usize,
    expected: Vec<u32>,
    /// What was found when the task was made.
    found: Option<i64>,
}

impl Verification {
    /// The comparison, when there is a checksum for each block. Memory that is not shared can be detached while a task
    /// waits, so it is read at once.
    pub fn new(view: Held<u8>, block_bytes: u32, expected: View<u32>) -> Result<Self> {
        let blocks = blocks(view.view(), block_bytes, expected)?;
        // SAFETY: `block` is below the length of the view.
        let expected = (0..blocks).map(|block| unsafe { expected.ptr().add(block).read() }).collect();
        let is_shared = view.is_shared();
        let mut made = Verification { view, block_bytes: block_bytes as usize, expected, found: None };
        if !is_shared {
            made.found = Some(made.first_that_differs());
        }
        Ok(made)
    }

    /// The first block that differs, or -1.
    fn first_that_differs(&self) -> i64 {
        let differs = |(block, expected): (usize, &u32)| {
            // SAFETY: `block` is a block of the view, which is held until the task is done, in shared memory or during
            // the call that received it.
            unsafe { of_block(self.view.view(), self.block_bytes, block) != *expected }
        };
        self.expected.iter().enumerate().position(differs).map_or(-1, |block| block as i64)
    }
}

impl Task for Verification {
    type Output = i64;
    type JsValue = i64;

    fn compute(&mut self) -> napi::Result<i64> {
        Ok(self.found.unwrap_or_else(|| self.first_that_differs()))
    }

    fn resolve(&mut self, _: Env, first: i64) -> napi::Result<i64> {
        Ok(first)
    }
}
