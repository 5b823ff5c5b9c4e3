//! The parameters of product codes: `mean (d)`, `codebook (e x K)`, `half squared lengths (m x K)` and, where vectors
//! are rotated to `e` components before they are cut, `rotation (d x e)`; else `e` is `d`.
//!
//! Subspace `s` of `m` has the components from `floor(s e / m)` to `floor((s + 1) e / m)`.

use crate::error::{Result, require};
use crate::kernels::matmul::Matmul;
use crate::plan::{BLOCK, SearchPlan, SegmentLayout, centroids};
use crate::view::View;

/// Where the parameters lie. Only what [`Codebook::check`] accepted may be read.
#[derive(Clone, Copy)]
pub struct Codebook {
    /// The mean, `dimensions` elements.
    pub mean: *const f32,
    matrix: *const f32,
    halves: *const f32,
    rotation: *const f32,
    dimensions: usize,
    /// Components of a rotated vector, 0 without a rotation.
    rotated: usize,
    /// Number of subspaces.
    pub subspaces: usize,
    bits: u32,
    /// Centroids of each subspace.
    pub centroids: usize,
}

/// One subspace of a codebook.
#[derive(Clone, Copy)]
pub struct Subspace {
    /// Its first component.
    pub start: usize,
    /// Components, at least one.
    pub width: usize,
    /// `width x centroids`: row `i` holds component `start + i` of each centroid.
    pub columns: *const f32,
    /// Half the squared length of each centroid.
    pub halves: *const f32,
}

impl Codebook {
    /// The codebook of a search.
    pub fn of(plan: &SearchPlan, view: View<f32>) -> Self {
        Self::at(&plan.layout(), view)
    }

    /// The codebook that rows are written with, when it is whole.
    pub fn new(layout: &SegmentLayout, view: View<f32>) -> Result<Self> {
        let codebook = Self::at(layout, view);
        codebook.check(view)?;
        Ok(codebook)
    }

    fn at(layout: &SegmentLayout, view: View<f32>) -> Self {
        let (dimensions, subspaces) = (layout.dimensions as usize, layout.subspaces as usize);
        let (bits, rotated) = (layout.subspace_bits, layout.rotated as usize);
        let centroids = centroids(bits);
        let coded = if rotated > 0 { rotated } else { dimensions };
        let matrix = view.ptr().wrapping_add(dimensions);
        let halves = matrix.wrapping_add(coded.wrapping_mul(centroids));
        let rotation = halves.wrapping_add(subspaces.wrapping_mul(centroids));
        Codebook { mean: view.ptr(), matrix, halves, rotation, dimensions, rotated, subspaces, bits, centroids }
    }

    /// Whether there can be such subspaces, and `view` holds their parameters.
    pub fn check(&self, view: View<f32>) -> Result<()> {
        let even = self.bits == 4 && self.subspaces.is_multiple_of(2);
        let fit = (1..=self.coded()).contains(&self.subspaces) && (self.bits == 8 || even);
        require(fit && self.rotated <= self.dimensions, "there are no such subspaces")?;
        let whole = self.dimensions * (1 + self.rotated) + (self.coded() + self.subspaces) * self.centroids;
        require(view.len() == whole, "the codebook is not of this dimension")
    }

    /// Components that are cut into subspaces.
    pub fn coded(&self) -> usize {
        if self.rotated > 0 { self.rotated } else { self.dimensions }
    }

    /// Whether vectors are rotated before they are cut.
    pub fn rotates(&self) -> bool {
        self.rotated > 0
    }

    /// Rotates the first `rows` rows of `from`, of `dimensions` each, into rows of [`Codebook::coded`].
    ///
    /// # Safety
    /// `matmul` is one of this CPU's, [`Codebook::rotates`], and both have so many rows.
    pub unsafe fn rotate(&self, matmul: Matmul, from: &[f32], to: &mut [f32], rows: usize) {
        // SAFETY: the caller's promise; the length of the rotation was checked.
        unsafe { matmul(from.as_ptr(), self.rotation, to.as_mut_ptr(), rows, self.dimensions, self.rotated) }
    }

    /// Writes the centroids of a code to `out`, one subspace after the other.
    ///
    /// # Safety
    /// The codebook was checked, a code of its subspaces can be read at `code`, one byte every [`BLOCK`] bytes, and `out`
    /// has [`Codebook::coded`] elements.
    pub unsafe fn decode(&self, code: *const u8, out: &mut [f32]) {
        for (s, Subspace { start, width, columns, .. }) in self.each().enumerate() {
            // SAFETY: the caller's promise; a number is below the centroids of a subspace.
            let column = unsafe { columns.add(number(code, s, self.centroids)) };
            for (i, out) in out.iter_mut().skip(start).take(width).enumerate() {
                // SAFETY: the subspace has `width` rows of centroids.
                *out = unsafe { column.add(i * self.centroids).read() };
            }
        }
    }

    /// Every subspace in order.
    pub fn each(self) -> impl Iterator<Item = Subspace> {
        let start = move |s: usize| s * self.coded() / self.subspaces;
        (0..self.subspaces).map(move |s| Subspace {
            start: start(s),
            width: start(s + 1) - start(s),
            columns: self.matrix.wrapping_add(start(s) * self.centroids),
            halves: self.halves.wrapping_add(s * self.centroids),
        })
    }
}

/// The number of the centroid of subspace `s` in a code, of as many centroids a subspace: 16 or 256.
///
/// # Safety
/// A code of more subspaces can be read at `code`, one byte every [`BLOCK`] bytes.
#[inline(always)]
pub unsafe fn number(code: *const u8, s: usize, centroids: usize) -> usize {
    let (byte, shift, mask) = if centroids == 16 { (s / 2, s % 2 * 4, 15) } else { (s, 0, 255) };
    // SAFETY: the caller's promise.
    usize::from(unsafe { code.add(byte * BLOCK).read() } >> shift & mask)
}
