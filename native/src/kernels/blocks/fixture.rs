//! Random codes and the naive scan that every kernel is compared with.

use super::{Blocks, CodeColumns, Rows};
use crate::kernels::f16;
use crate::plan::*;
use crate::select::Reservoir;

/// A stream of numbers, the same for the same seed.
pub fn random(seed: u64) -> impl FnMut() -> u64 {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state >> 16
    }
}

/// Bytes that start on a multiple of 64.
pub struct AlignedBytes {
    lines: Vec<Line>,
    len: usize,
}

#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct Line([u8; 64]);

impl AlignedBytes {
    pub fn zeroed(len: usize) -> Self {
        AlignedBytes { lines: vec![Line([0; 64]); len.div_ceil(64)], len }
    }

    pub fn bytes(&mut self) -> &mut [u8] {
        // SAFETY: the lines are at least `len` bytes, and borrowed for as long as the slice.
        unsafe { std::slice::from_raw_parts_mut(self.lines.as_mut_ptr().cast(), self.len) }
    }
}

/// A codes buffer with live words for its first blocks.
pub struct Column {
    codes: AlignedBytes,
    pub live: Vec<u64>,
    pub norm_scale: Option<f32>,
}

impl Column {
    /// Random codes, factors in 0.5..4 and norms in 0.5..4; three slots in four are live.
    pub fn random(blocks: usize, norm_scale: Option<f32>) -> Self {
        let mut next = random(blocks as u64 + 1);
        let mut codes = AlignedBytes::zeroed(codes_bytes(if norm_scale.is_some() { L2 } else { DOT }));
        let (code, floats) = codes.bytes().split_at_mut(FACTORS_OFFSET);
        code[..blocks * CODE_BLOCK_BYTES].iter_mut().for_each(|byte| *byte = next() as u8);
        for column in floats.chunks_exact_mut(2 * SLOTS) {
            for float in column[..blocks * BLOCK * 2].chunks_exact_mut(2) {
                float.copy_from_slice(&(0x3800 + (next() % 0xc00) as u16).to_le_bytes());
            }
        }
        let live = (0..blocks).map(|_| next() << 32 | next() & 0xffff_ffff | next() << 16).collect();
        Column { codes, live, norm_scale }
    }

    /// Byte `g` of the code of a slot.
    pub fn byte(&mut self, slot: usize, g: usize) -> &mut u8 {
        &mut self.codes.bytes()[slot / BLOCK * CODE_BLOCK_BYTES + g * BLOCK + slot % BLOCK]
    }

    /// Bits `4g..4g + 4` of the code of a slot.
    pub fn nibble(&mut self, slot: usize, g: usize) -> usize {
        usize::from(*self.byte(slot, g / 2) >> (g % 2 * 4) & 15)
    }

    pub fn factor(&mut self, slot: usize) -> f32 {
        self.float(FACTORS_OFFSET + 2 * slot)
    }

    pub fn norm(&mut self, slot: usize) -> f32 {
        self.float(NORMS_OFFSET + 2 * slot)
    }

    fn float(&mut self, at: usize) -> f32 {
        let bytes = self.codes.bytes();
        f16::to_f32(u16::from_le_bytes([bytes[at], bytes[at + 1]]))
    }

    /// All blocks, as kernels take them.
    pub fn blocks(&mut self) -> Blocks {
        let columns = CodeColumns::new(self.codes.bytes().as_ptr(), self.norm_scale);
        columns.blocks(0, self.live.len(), self.live.as_mut_ptr(), Rows::From(1000))
    }

    /// The best live slots by a full sort.
    pub fn naive_best(&mut self, keep: usize, estimate: impl Fn(&mut Self, usize) -> f32) -> Vec<(f32, u32)> {
        let slots = (0..self.live.len() * BLOCK).filter(|slot| self.live[slot / BLOCK] >> (slot % BLOCK) & 1 == 1);
        let slots: Vec<usize> = slots.collect();
        let mut all: Vec<_> = slots.into_iter().map(|slot| (estimate(self, slot), 1000 + slot as u32)).collect();
        sort(&mut all);
        all.truncate(keep);
        all
    }
}

/// What a reservoir holds, best first.
pub fn best(sink: Reservoir) -> Vec<(f32, u32)> {
    let mut best = sink.into_best();
    sort(&mut best);
    best
}

fn sort(all: &mut [(f32, u32)]) {
    all.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
}
