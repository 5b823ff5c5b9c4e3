//! What walks are steered by: inner products of int8 copies, in the terms of the metric.
//!
//! A copy is the vector less the mean of the graph, in steps of its own scale. With `s` the scales
//! and `b` a term of each vector, `score(q, x) = gain s_q s_x <q, x> - b_q - b_x` is minus the
//! squared distance for l2 (`gain` 2, `b` the squared norm of the copy) and the inner product but
//! for a constant otherwise (`gain` 1, `b` minus the product with the mean). Products are integers
//! and the rest has a fixed order, so a graph is the same on every machine.

use super::{Graph, Part};
use crate::error::{Result, require};
use crate::kernels::int8_rows::ROWS;
use crate::kernels::prefetch::{prefetch, prefetch_scattered};
use crate::kernels::quantise::Steps;
use crate::norm::dot64;
use crate::plan::{INT8, L2, SLOTS};
use crate::view::View;

/// Bytes of a copy that are asked for ahead; the hardware continues by itself.
const AHEAD_BYTES: usize = 1024;

/// A vector that rows are compared with.
#[derive(Clone, Copy)]
pub struct Target {
    copy: *const i8,
    /// Its scale times the gain.
    scale: f32,
    term: f32,
}

/// The copy of a vector that is not in the graph.
#[derive(Default)]
pub struct Copied {
    steps: Vec<i8>,
    scale: f32,
    term: f32,
}

impl Graph {
    fn gain(&self) -> f32 {
        if self.metric == L2 { 2.0 } else { 1.0 }
    }

    /// Scores of rows in the order given; a row outside the graph has the lowest.
    ///
    /// # Safety
    /// The target's vector is readable.
    #[inline(always)]
    pub unsafe fn scores(&self, target: &Target, rows: &[u32], out: &mut Vec<f32>) {
        out.clear();
        for four in rows.chunks(ROWS) {
            let mut copies = [target.copy; ROWS];
            let mut terms = [(0.0, f32::INFINITY); ROWS];
            for ((row, copy), terms) in four.iter().zip(&mut copies).zip(&mut terms) {
                let Some((part, slot)) = self.locate(*row) else { continue };
                *copy = self.copy(part, slot);
                // SAFETY: the column has two terms for every slot.
                *terms = unsafe { (part.terms.add(2 * slot).read(), part.terms.add(2 * slot + 1).read()) };
            }
            // SAFETY: every copy has `dimensions` elements; the kernel was picked for this CPU.
            let dots = unsafe { (self.dots)(&copies, target.copy, self.dimensions) };
            let score =
                |(dot, (scale, term)): (i32, (f32, f32))| target.scale * scale * dot as f32 - target.term - term;
            out.extend(dots.into_iter().zip(terms).map(score).take(four.len()));
        }
    }

    #[inline(always)]
    fn copy(&self, part: &Part, slot: usize) -> *mut i8 {
        part.copies.wrapping_add(slot * self.dimensions)
    }

    /// A row as a target.
    pub fn target(&self, row: u32) -> Option<Target> {
        let (part, slot) = self.locate(row)?;
        // SAFETY: the column has two terms for every slot.
        let (scale, term) = unsafe { (part.terms.add(2 * slot).read(), part.terms.add(2 * slot + 1).read()) };
        Some(Target { copy: self.copy(part, slot), scale: scale * self.gain(), term })
    }

    /// A copied vector as a target, valid as long as the copy.
    pub fn target_of(&self, copied: &Copied) -> Target {
        Target { copy: copied.steps.as_ptr(), scale: copied.scale * self.gain(), term: copied.term }
    }

    /// Asks for all that a score reads of a row.
    #[inline(always)]
    pub fn prefetch_row(&self, row: u32) {
        if let Some((part, slot)) = self.locate(row) {
            prefetch_scattered(self.copy(part, slot).cast(), self.dimensions.min(AHEAD_BYTES));
            prefetch(part.terms.wrapping_add(2 * slot).cast());
        }
    }

    /// Copies a query, in the form it is scored in.
    ///
    /// # Safety
    /// `vector` has the dimensions of the graph.
    pub unsafe fn copy_of(&self, vector: &[f32]) -> Copied {
        let mut copied = Copied { steps: vec![0; self.dimensions], ..Copied::default() };
        // SAFETY: the vector and the copy have `dimensions` elements.
        (copied.scale, copied.term) = unsafe { self.write_copy(vector, copied.steps.as_mut_ptr()) };
        copied
    }

    /// Makes the copy of a row from its stored vector, before anything links to it.
    ///
    /// # Safety
    /// No other thread makes it, and nobody writes the row's vector.
    pub unsafe fn copy_row(&self, row: u32) {
        let Some((part, slot)) = self.locate(row) else { return };
        let mut vector = vec![0f32; self.dimensions];
        // SAFETY: `slot < SLOTS`; the vector has `dimensions` elements, and so has the copy.
        unsafe {
            let (scale, term) = if self.precision == INT8 {
                part.rows.load(slot, vector.as_mut_ptr());
                let term = if self.metric == L2 { dot64(vector.as_ptr(), vector.as_ptr(), vector.len()) } else { 0.0 };
                (part.rows.scale(slot), term as f32)
            } else {
                part.rows.load(slot, vector.as_mut_ptr());
                self.write_copy(&vector, self.copy(part, slot))
            };
            part.terms.add(2 * slot).write(scale);
            part.terms.add(2 * slot + 1).write(term);
        }
    }

    /// Makes the copies of the slots of a segment that `linked` has a bit for, and marks them.
    ///
    /// # Safety
    /// As [`Graph::copy_row`], for every row of the segment.
    pub unsafe fn copy_linked(&self, segment: u32, linked: View<u8>) -> Result<()> {
        require((segment as usize) < self.capacity() / SLOTS, "a segment outside the graph")?;
        require(linked.len() == SLOTS / 8, "not one bit a slot")?;
        for slot in 0..SLOTS {
            // SAFETY: `slot / 8` is below the length of the view.
            if unsafe { linked.ptr().add(slot / 8).read() } >> (slot % 8) & 1 == 1 {
                let row = segment * SLOTS as u32 + slot as u32;
                // SAFETY: the caller's promise.
                unsafe { self.copy_row(row) };
                self.mark_linked(row);
            }
        }
        Ok(())
    }

    /// Writes the steps of a vector; its scale and term.
    ///
    /// # Safety
    /// `vector` has `dimensions` elements, and as many can be written at `steps`.
    unsafe fn write_copy(&self, vector: &[f32], steps: *mut i8) -> (f32, f32) {
        let d = self.dimensions;
        let stored_is_walked = self.precision == INT8;
        // SAFETY: the mean has `dimensions` elements.
        let mean = |i: usize| if stored_is_walked { 0.0 } else { unsafe { self.mean.add(i).read() } };
        let centred: Vec<f32> = vector.iter().enumerate().map(|(i, x)| x - mean(i)).collect();
        // SAFETY: `centred` and the steps have `dimensions` elements, and so has the mean.
        unsafe {
            let scale = Steps::pick().write(centred.as_ptr(), steps, d);
            let term = if self.metric == L2 {
                let square = |i: usize| i64::from(steps.add(i).read()).pow(2);
                f64::from(scale) * f64::from(scale) * (0..d).map(square).sum::<i64>() as f64
            } else if stored_is_walked {
                0.0
            } else {
                -dot64(self.mean, vector.as_ptr(), d)
            };
            (scale, term as f32)
        }
    }
}
