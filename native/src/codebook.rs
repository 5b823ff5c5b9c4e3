//! The parameters of product codes: `mean (d)`, `codebook (d x K)`, `half squared lengths (m x K)`.
//!
//! Subspace `s` of `m` has the components from `floor(s d / m)` to `floor((s + 1) d / m)`.

use crate::error::{Result, require};
use crate::plan::{SearchPlan, SegmentLayout, centroids};
use crate::view::View;

/// Where the parameters lie. Only what [`Codebook::check`] accepted may be read.
#[derive(Clone, Copy)]
pub struct Codebook {
    /// The mean, `dimensions` elements.
    pub mean: *const f32,
    matrix: *const f32,
    halves: *const f32,
    dimensions: usize,
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
        Self::at(view, plan.dimensions as usize, plan.subspaces as usize, plan.subspace_bits)
    }

    /// The codebook that rows are written with, when it is whole.
    pub fn new(layout: &SegmentLayout, view: View<f32>) -> Result<Self> {
        let codebook = Self::at(view, layout.dimensions as usize, layout.subspaces as usize, layout.subspace_bits);
        codebook.check(view)?;
        Ok(codebook)
    }

    fn at(view: View<f32>, dimensions: usize, subspaces: usize, bits: u32) -> Self {
        let centroids = centroids(bits);
        let matrix = view.ptr().wrapping_add(dimensions);
        let halves = matrix.wrapping_add(dimensions * centroids);
        Codebook { mean: view.ptr(), matrix, halves, dimensions, subspaces, bits, centroids }
    }

    /// Whether there can be such subspaces, and `view` holds their parameters.
    pub fn check(&self, view: View<f32>) -> Result<()> {
        let even = self.bits == 4 && self.subspaces.is_multiple_of(2);
        let fit = (1..=self.dimensions).contains(&self.subspaces) && (self.bits == 8 || even);
        require(fit, "there are no such subspaces")?;
        let whole = self.dimensions + (self.dimensions + self.subspaces) * self.centroids;
        require(view.len() == whole, "the codebook is not of this dimension")
    }

    /// Every subspace in order.
    pub fn each(self) -> impl Iterator<Item = Subspace> {
        let start = move |s: usize| s * self.dimensions / self.subspaces;
        (0..self.subspaces).map(move |s| Subspace {
            start: start(s),
            width: start(s + 1) - start(s),
            columns: self.matrix.wrapping_add(start(s) * self.centroids),
            halves: self.halves.wrapping_add(s * self.centroids),
        })
    }
}
