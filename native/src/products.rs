//! Vectors to product codes, a tile of rows at a time, in the same order of f32 roundings everywhere.

use crate::codebook::{Codebook, Subspace};
use crate::columns::product_codes;
use crate::error::Result;
use crate::kernels::blocks::CodeColumns;
use crate::kernels::{matmul, nearest};
use crate::plan::*;
use crate::view::View;

/// Elements of the residuals of a tile, as far as its number of rows can follow.
const TILE_ELEMENTS: usize = 65_536;
/// Rows of a tile, a multiple of the rows that `matmul` takes at once on any instruction set.
const TILE_STEP: usize = 12;
const MAX_TILE: usize = 8 * TILE_STEP;

/// Codebook, codes buffer, and scratch for a tile of rows.
pub struct ProductEncoder {
    codebook: Codebook,
    subspaces: Vec<Subspace>,
    codes: CodeColumns,
    bytes: usize,
    bits: u32,
    inverse: f32,
    tile: usize,
    /// Rows before they are rotated, and after; empty without a rotation.
    straight: Vec<f32>,
    rotated: Vec<f32>,
    /// Of each subspace in turn: its components of every row.
    residuals: Vec<f32>,
    /// Products of the rows with the centroids of one subspace.
    products: Vec<f32>,
    /// Code bytes, `tile x bytes`.
    coded: Vec<u8>,
    matmul: matmul::Matmul,
    nearest: nearest::Nearest,
}

impl ProductEncoder {
    /// An encoder for up to `rows` rows of a checked layout.
    pub fn new(layout: &SegmentLayout, encoder: View<f32>, codes: View<u8>, rows: usize) -> Result<Self> {
        let codes = product_codes(layout, codes)?;
        let codebook = Codebook::new(layout, encoder)?;
        let dimensions = layout.dimensions as usize;
        let bytes = product_bytes(layout.subspaces, layout.subspace_bits);
        let tile = (TILE_ELEMENTS / dimensions).clamp(TILE_STEP, MAX_TILE).next_multiple_of(TILE_STEP).min(rows);
        Ok(ProductEncoder {
            codebook,
            subspaces: codebook.each().collect(),
            codes,
            bytes,
            bits: layout.subspace_bits,
            inverse: (1.0 / layout.factor_scale) as f32,
            tile,
            straight: vec![0.0; if codebook.rotates() { tile * dimensions } else { 0 }],
            rotated: vec![0.0; if codebook.rotates() { tile * codebook.coded() } else { 0 }],
            residuals: vec![0.0; tile * codebook.coded()],
            products: vec![0.0; tile * codebook.centroids],
            coded: vec![0; tile * bytes],
            matmul: matmul::matmul(),
            nearest: nearest::nearest(),
        })
    }

    /// Rows of a tile.
    pub fn tile(&self) -> usize {
        self.tile
    }

    /// Takes the vector at `x` as row `row` of the tile.
    ///
    /// # Safety
    /// `row < tile`, and `dimensions` elements can be read at `x`.
    pub unsafe fn take(&mut self, row: usize, x: *const f32) {
        // SAFETY: `i < dimensions`.
        let residual = |i| unsafe { x.add(i).read() - self.codebook.mean.add(i).read() } * self.inverse;
        if self.codebook.rotates() {
            let d = self.straight.len() / self.tile;
            let straight = self.straight.iter_mut().skip(row * d).take(d);
            straight.enumerate().for_each(|(i, straight)| *straight = residual(i));
        } else {
            cut(&self.subspaces, self.tile, &mut self.residuals, row, residual);
        }
    }

    /// Rotates the first `rows` rows that were taken, and cuts them into subspaces.
    ///
    /// # Safety
    /// `rows <= tile`.
    unsafe fn rotate(&mut self, rows: usize) {
        // SAFETY: there is room for a tile of rows before and after.
        unsafe { self.codebook.rotate(self.matmul, &self.straight, &mut self.rotated, rows) };
        for (row, rotated) in self.rotated.chunks_exact(self.codebook.coded()).take(rows).enumerate() {
            cut(&self.subspaces, self.tile, &mut self.residuals, row, |i| rotated.get(i).copied().unwrap_or(f32::NAN));
        }
    }

    /// Finds the nearest centroids of the first `rows` rows that were taken.
    ///
    /// # Safety
    /// `rows <= tile`.
    pub unsafe fn encode(&mut self, rows: usize) {
        if self.codebook.rotates() {
            // SAFETY: the caller's promise.
            unsafe { self.rotate(rows) };
        }
        let centroids = self.codebook.centroids;
        for (s, Subspace { start, width, columns, halves }) in self.subspaces.iter().enumerate() {
            let products = self.products.as_mut_ptr();
            // SAFETY: the tile has room for `rows` rows of this subspace and of products, and the
            // codebook's length was checked.
            unsafe {
                let residuals = self.residuals.as_ptr().add(self.tile * start);
                (self.matmul)(residuals, *columns, products, rows, *width, centroids);
            }
            let (byte, shift) = if self.bits == 4 { (s / 2, s % 2 * 4) } else { (s, 0) };
            for (row, coded) in self.coded.chunks_exact_mut(self.bytes).take(rows).enumerate() {
                // SAFETY: `centroids` products of each row, and half lengths.
                let nearest = unsafe { (self.nearest)(products.add(row * centroids), *halves, centroids) };
                if let Some(coded) = coded.get_mut(byte) {
                    *coded = if shift == 0 { nearest as u8 } else { *coded | (nearest as u8) << shift };
                }
            }
        }
    }

    /// Stores the code of row `row` of the tile.
    ///
    /// # Safety
    /// `row < tile`, `slot < SLOTS`, and no other thread writes the slot.
    pub unsafe fn store(&self, row: usize, slot: usize) {
        let code = self.coded.iter().skip(row * self.bytes).take(self.bytes);
        let column = self.codes.code(slot).cast_mut();
        for (g, byte) in code.enumerate() {
            // SAFETY: there is a block of codes for every 64 slots, which holds byte `g` of each.
            unsafe { column.add(g * BLOCK).write(*byte) };
        }
    }
}

/// Puts the components of row `row` of a tile beside those of its other rows in each subspace.
fn cut(subspaces: &[Subspace], tile: usize, residuals: &mut [f32], row: usize, component: impl Fn(usize) -> f32) {
    for Subspace { start, width, .. } in subspaces {
        let residuals = residuals.iter_mut().skip(tile * start + row * width).take(*width);
        (*start..).zip(residuals).for_each(|(i, residual)| *residual = component(i));
    }
}
