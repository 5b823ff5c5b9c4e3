//! Vectors to the codes of a segment, whichever kind they are of.

use crate::columns::Codes;
use crate::encoder::Encoder;
use crate::error::Result;
use crate::plan::SegmentLayout;
use crate::products::ProductEncoder;
use crate::view::View;

/// An encoder with the codes buffer that it fills.
pub enum Coder {
    /// 256 signs and a factor.
    Signs(Encoder, Codes),
    /// Numbers of centroids.
    Products(ProductEncoder),
}

impl Coder {
    /// The coder of a checked layout, for up to `rows` rows.
    pub fn new(layout: &SegmentLayout, encoder: View<f32>, codes: View<u8>, rows: usize) -> Result<Self> {
        Ok(match layout.subspaces {
            0 => Coder::Signs(Encoder::new(layout, encoder, rows)?, Codes::new(layout, codes)?),
            _ => Coder::Products(ProductEncoder::new(layout, encoder, codes, rows)?),
        })
    }

    /// Rows of a tile.
    pub fn tile(&self) -> usize {
        match self {
            Coder::Signs(encoder, _) => encoder.tile(),
            Coder::Products(encoder) => encoder.tile(),
        }
    }

    /// Takes the vector at `x` as row `row` of the tile.
    ///
    /// # Safety
    /// `row < tile`, and `dimensions` elements can be read at `x`.
    pub unsafe fn take(&mut self, row: usize, x: *const f32) {
        // SAFETY: the caller's promise.
        unsafe {
            match self {
                Coder::Signs(encoder, _) => encoder.take(row, x),
                Coder::Products(encoder) => encoder.take(row, x),
            }
        }
    }

    /// Makes the codes of the first `rows` rows that were taken.
    ///
    /// # Safety
    /// `rows <= tile`.
    pub unsafe fn encode(&mut self, rows: usize) {
        // SAFETY: the caller's promise.
        unsafe {
            match self {
                Coder::Signs(encoder, _) => encoder.project(rows),
                Coder::Products(encoder) => encoder.encode(rows),
            }
        }
    }

    /// Stores the code of row `row` of the tile in a slot.
    ///
    /// # Safety
    /// `row` is one of those encoded, `slot < SLOTS`, and no other thread writes the slot.
    pub unsafe fn store(&self, row: usize, slot: usize) {
        // SAFETY: the caller's promise.
        unsafe {
            match self {
                Coder::Signs(encoder, codes) => codes.store(slot, &encoder.code(row)),
                Coder::Products(encoder) => encoder.store(row, slot),
            }
        }
    }
}
