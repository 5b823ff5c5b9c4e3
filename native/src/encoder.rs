//! Vectors to codes, a tile of rows at a time: every figure in one fixed order of f32 and f64
//! roundings, so that a code has the same bits on every machine.

use crate::error::{Result, require};
use crate::kernels::{encode, f16, matmul};
use crate::norm::norm2;
use crate::plan::*;
use crate::view::View;

/// Largest finite f16: where factors and norms are clamped.
const MAX_F16: f32 = 65504.0;
/// Elements of the residuals of a tile, as far as its number of rows can follow: a quarter of
/// a MiB leaves room in a second-level cache for the projection.
const TILE_ELEMENTS: usize = 65_536;
/// Rows of a tile, a multiple of the rows that `matmul` takes at once on any instruction set.
const TILE_STEP: usize = 12;
const MAX_TILE: usize = 8 * TILE_STEP;

/// What the codes buffer keeps of a row.
pub struct Code {
    /// Bit `m`, least significant first: whether component `m` of the projection is `>= 0`.
    pub bits: [u8; CODE_BYTES],
    /// f16: what a sum over the bits is multiplied by, `l2 / l1` of the projection.
    pub factor: u16,
    /// f16: the squared length of the residual. 0 unless the metric is l2.
    pub norm: u16,
}

/// Mean, projection and scratch for a tile of rows.
pub struct Encoder {
    mean: *const f32,
    projection: *const f32,
    dimensions: usize,
    factor_scale: f64,
    norms: bool,
    tile: usize,
    residuals: Vec<f32>,
    projected: Vec<f32>,
    matmul: matmul::Matmul,
    encode: encode::Encode,
}

impl Encoder {
    /// An encoder for up to `rows` rows of a checked layout.
    pub fn new(layout: &SegmentLayout, encoder: View<f32>, rows: usize) -> Result<Self> {
        let dimensions = layout.dimensions as usize;
        require(encoder.len() == dimensions + dimensions * CODE_BITS, "encoder is not a mean and a projection")?;
        let tile = (TILE_ELEMENTS / dimensions).clamp(TILE_STEP, MAX_TILE).next_multiple_of(TILE_STEP).min(rows);
        Ok(Encoder {
            mean: encoder.ptr(),
            projection: encoder.ptr().wrapping_add(dimensions),
            dimensions,
            factor_scale: layout.factor_scale,
            norms: layout.metric == L2,
            tile,
            residuals: vec![0.0; tile * dimensions],
            projected: vec![0.0; tile * CODE_BITS],
            matmul: matmul::matmul(),
            encode: encode::encode(),
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
        let residuals = self.residuals.iter_mut().skip(row * self.dimensions).take(self.dimensions);
        for (i, residual) in residuals.enumerate() {
            // SAFETY: `i < dimensions`.
            *residual = unsafe { x.add(i).read() - self.mean.add(i).read() };
        }
    }

    /// Projects the first `rows` rows that were taken.
    ///
    /// # Safety
    /// `rows <= tile`.
    pub unsafe fn project(&mut self, rows: usize) {
        let (residuals, projected) = (self.residuals.as_ptr(), self.projected.as_mut_ptr());
        // SAFETY: the tile has room for `rows` rows of residuals and of projections, and the
        // encoder's length was checked.
        unsafe { (self.matmul)(residuals, self.projection, projected, rows, self.dimensions, CODE_BITS) }
    }

    /// The code of a projected row.
    ///
    /// # Safety
    /// `row < tile`.
    pub unsafe fn code(&self, row: usize) -> Code {
        let mut bits = [0; CODE_BYTES];
        // SAFETY: the tile has 256 projected components of every row.
        let (l1, l2) = unsafe { (self.encode)(self.projected.as_ptr().add(row * CODE_BITS), &mut bits) };
        let factor = if l1 == 0.0 { 0.0 } else { (f64::from(l2 / l1) / self.factor_scale) as f32 };
        let norm = if self.norms {
            // SAFETY: the tile has `dimensions` residuals of every row.
            let norm = unsafe { norm2(self.residuals.as_ptr().add(row * self.dimensions), self.dimensions) };
            (f64::from(norm as f32) / (self.factor_scale * self.factor_scale)) as f32
        } else {
            0.0
        };
        Code { bits, factor: f16::from_f32(factor.min(MAX_F16)), norm: f16::from_f32(norm.min(MAX_F16)) }
    }
}
