//! A segment as a writer sees it: where a slot's vector and code go, checked once a call.

use crate::encoder::Code;
use crate::error::{Result, require};
use crate::kernels::blocks::CodeColumns;
use crate::kernels::f16;
use crate::kernels::quantise::{Dequantise, Steps, dequantise};
use crate::plan::*;
use crate::view::View;
use std::ptr;
use std::sync::atomic::{AtomicU16, Ordering, fence};

/// Every view of a segment, and every column in it, starts on a multiple of this.
pub const ALIGNMENT: usize = 64;

/// Checks what every call with a layout relies on.
pub fn check(layout: &SegmentLayout) -> Result<()> {
    let d = layout.dimensions as usize;
    require((1..=MAX_DIMENSIONS).contains(&d), "dimensions are not in 1..=8192")?;
    require(layout.metric <= L2 && layout.precision <= NONE, "unknown metric or precision")?;
    require(layout.factor_scale.is_finite() && layout.factor_scale > 0.0, "factor scale is not positive")
}

/// Address of a column of so many bytes, when it lies inside the rows view of a segment.
pub fn column(rows: View<u8>, offset: u32, bytes: usize) -> Result<*mut u8> {
    let offset = offset as usize;
    require(rows.ptr().addr().is_multiple_of(ALIGNMENT), "rows do not start on a multiple of 64")?;
    require(offset.is_multiple_of(ALIGNMENT), "a column is not 64-byte aligned")?;
    require(rows.len() >= offset + bytes, "a column outside the rows")?;
    Ok(rows.ptr().wrapping_add(offset))
}

/// How vectors are stored, with the kernels that convert.
#[derive(Clone, Copy)]
enum Stored {
    F32,
    F16 { narrow: f16::Convert<f32, u16>, widen: f16::Convert<u16, f32> },
    Int8 { steps: Steps, dequantise: Dequantise },
    None,
}

/// The columns of the rows view that writing and reading vectors need: a generation, a vector
/// and, for int8, a scale for each of the [`SLOTS`].
pub struct Rows {
    generations: *mut u16,
    scales: *mut f32,
    vectors: *mut u8,
    dimensions: usize,
    stored: Stored,
}

impl Rows {
    /// The columns, when they lie inside `rows`.
    pub fn new(layout: &SegmentLayout, rows: View<u8>) -> Result<Self> {
        check(layout)?;
        let stored = match layout.precision {
            F32 => Stored::F32,
            F16 => Stored::F16 { narrow: f16::narrow(), widen: f16::widen() },
            INT8 => Stored::Int8 { steps: Steps::pick(), dequantise: dequantise() },
            _ => Stored::None,
        };
        let (vector, scale) = (vector_bytes(layout.precision, layout.dimensions), scale_bytes(layout.precision));
        let column = |offset: u32, bytes: usize| column(rows, offset, bytes * SLOTS);
        Ok(Rows {
            generations: column(layout.generation_offset, 2)?.cast(),
            scales: column(layout.scales_offset, scale)?.cast(),
            vectors: column(layout.vectors_offset, vector)?,
            dimensions: layout.dimensions as usize,
            stored,
        })
    }

    /// Whether a vector is stored at all.
    pub fn have_vectors(&self) -> bool {
        !matches!(self.stored, Stored::None)
    }

    /// Runs `write` on a slot with its generation odd.
    ///
    /// # Safety
    /// `slot < SLOTS`, and no other thread writes the slot.
    #[inline(always)]
    pub unsafe fn writing(&self, slot: usize, write: impl FnOnce()) {
        // SAFETY: the column has a generation for every slot, 2-byte aligned, and every thread
        // accesses it atomically.
        let generation = unsafe { AtomicU16::from_ptr(self.generations.add(slot)) };
        // Odd already when a writer died here: the slot still ends with a new even generation.
        let odd = generation.load(Ordering::Relaxed) | 1;
        generation.store(odd, Ordering::Relaxed);
        // A reader that sees any of the bytes written next sees the odd generation too.
        fence(Ordering::Release);
        write();
        generation.store(odd.wrapping_add(1), Ordering::Release);
    }

    /// Stores the vector at `x` in a slot, at the precision of the column.
    ///
    /// # Safety
    /// `slot < SLOTS`, and `dimensions` elements can be read at `x`.
    pub unsafe fn store(&self, slot: usize, x: *const f32) {
        let d = self.dimensions;
        // SAFETY: the column has `d` elements, and a scale for int8, for every slot.
        unsafe {
            match self.stored {
                Stored::F32 => ptr::copy(x, self.vectors.cast::<f32>().add(slot * d), d),
                Stored::F16 { narrow, .. } => narrow(x, self.vectors.cast::<u16>().add(slot * d), d),
                Stored::Int8 { steps, .. } => {
                    let step = steps.write(x, self.vectors.cast::<i8>().add(slot * d), d);
                    self.scales.add(slot).write(step);
                }
                Stored::None => {}
            }
        }
    }

    /// The step of a slot's int8 vector.
    ///
    /// # Safety
    /// `slot < SLOTS`, and the precision is int8.
    pub unsafe fn scale(&self, slot: usize) -> f32 {
        // SAFETY: the column has a scale for every slot.
        unsafe { self.scales.add(slot).read() }
    }

    /// Copies the vector of a slot to `out`, as the f32 values it stands for.
    ///
    /// # Safety
    /// `slot < SLOTS`, and `dimensions` elements can be written at `out`.
    pub unsafe fn load(&self, slot: usize, out: *mut f32) {
        let d = self.dimensions;
        // SAFETY: the column has `d` elements, and a scale for int8, for every slot.
        unsafe {
            match self.stored {
                Stored::F32 => ptr::copy(self.vectors.cast::<f32>().add(slot * d), out, d),
                Stored::F16 { widen, .. } => widen(self.vectors.cast::<u16>().add(slot * d), out, d),
                Stored::Int8 { dequantise, .. } => {
                    dequantise(self.vectors.cast::<i8>().add(slot * d), self.scales.add(slot).read(), out, d);
                }
                Stored::None => {}
            }
        }
    }
}

/// The column of product codes, when `codes` has all of it.
pub fn product_codes(layout: &SegmentLayout, codes: View<u8>) -> Result<CodeColumns> {
    check(layout)?;
    let bytes = product_bytes(layout.subspaces, layout.subspace_bits);
    require(codes.ptr().addr().is_multiple_of(ALIGNMENT), "codes do not start on a multiple of 64")?;
    require(codes.len() >= SLOTS * bytes, "a column outside the codes")?;
    Ok(CodeColumns::products(codes.ptr(), bytes))
}

/// The columns of a codes buffer of signs.
pub struct Codes {
    bits: *mut u8,
    factors: *mut u16,
    norms: Option<*mut u16>,
}

impl Codes {
    /// The columns, when `codes` has all of them.
    pub fn new(layout: &SegmentLayout, codes: View<u8>) -> Result<Self> {
        check(layout)?;
        require(layout.subspaces == 0, "product codes are no signs")?;
        require(codes.ptr().addr().is_multiple_of(ALIGNMENT), "codes do not start on a multiple of 64")?;
        require(codes.len() >= codes_bytes(layout.metric), "a column outside the codes")?;
        let halves = |offset: usize| codes.ptr().wrapping_add(offset).cast::<u16>();
        Ok(Codes {
            bits: codes.ptr(),
            factors: halves(FACTORS_OFFSET),
            norms: (layout.metric == L2).then(|| halves(NORMS_OFFSET)),
        })
    }

    /// The row of a slot as its code has it: signs of the bits, all of the factor's magnitude.
    ///
    /// # Safety
    /// `slot < SLOTS`.
    pub unsafe fn decode(&self, slot: usize, scale: f32, out: &mut [f32]) {
        // SAFETY: there is a block of bits for every 64 slots, which holds byte `g` of the code of each of them, and
        // a factor for every slot.
        unsafe {
            let bits = self.bits.add(slot / BLOCK * CODE_BLOCK_BYTES + slot % BLOCK);
            let factor = f16::to_f32(self.factors.add(slot).read()) * scale;
            for (g, eight) in out.chunks_exact_mut(8).take(CODE_BYTES).enumerate() {
                let byte = bits.add(g * BLOCK).read();
                for (bit, value) in eight.iter_mut().enumerate() {
                    *value = if byte >> bit & 1 == 1 { factor } else { -factor };
                }
            }
        }
    }

    /// Stores the code of a slot.
    ///
    /// # Safety
    /// `slot < SLOTS`, and no other thread writes the slot.
    pub unsafe fn store(&self, slot: usize, code: &Code) {
        // SAFETY: there is a block of bits for every 64 slots, which holds byte `g` of the code of
        // each of them, and a factor and, for l2, a norm for every slot.
        unsafe {
            let bits = self.bits.add(slot / BLOCK * CODE_BLOCK_BYTES + slot % BLOCK);
            for (g, byte) in code.bits.iter().enumerate() {
                bits.add(g * BLOCK).write(*byte);
            }
            self.factors.add(slot).write(code.factor);
            if let Some(norms) = self.norms {
                norms.add(slot).write(code.norm);
            }
        }
    }
}
