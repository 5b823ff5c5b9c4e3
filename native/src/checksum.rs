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
    expected: Held<u32>,
    blocks: usize,
}

impl Verification {
    /// The comparison, when there is a checksum for each block.
    pub fn new(view: Held<u8>, block_bytes: u32, expected: Held<u32>) -> Result<Self> {
        let blocks = blocks(view.view(), block_bytes, expected.view())?;
        Ok(Verification { view, block_bytes: block_bytes as usize, expected, blocks })
    }
}

impl Task for Verification {
    type Output = i64;
    type JsValue = i64;

    /// The first block that differs, or -1.
    fn compute(&mut self) -> napi::Result<i64> {
        let (view, expected) = (self.view.view(), self.expected.view());
        let differs = |block: &usize| {
            // SAFETY: `block` is a block of the view, with an expected checksum; both arrays are
            // held until the task is done.
            unsafe { of_block(view, self.block_bytes, *block) != expected.ptr().add(*block).read() }
        };
        Ok((0..self.blocks).find(differs).map_or(-1, |block| block as i64))
    }

    fn resolve(&mut self, _: Env, first: i64) -> napi::Result<i64> {
        Ok(first)
    }
}
