//! What the spectrum of a small tensor says of it: `src/core/kernels/spectral.ts` is the definition.
//!
//! The plan of the transform is scalar (rustfft without its SIMD planners), so that machines agree within rounding.

use crate::error::{Result, require};
use crate::view::View;
use rustfft::num_complex::Complex;
use rustfft::{Fft, FftPlannerScalar};
use std::cell::RefCell;
use std::collections::HashMap;
use std::f64::consts::PI;
use std::sync::Arc;

/// Entropy, dominant frequencies, energies of the bands and mean power.
const FEATURES: usize = 8;
const DOMINANT: usize = 3;
const BANDS: usize = 3;
/// Equal to within so much, the lower position wins: rounding is not to decide.
const APART: f64 = 1.0 + 1e-6;
/// Shapes whose plan a thread keeps.
const PLANS: usize = 16;

/// What is the same for all planes of one shape.
struct Plan {
    rows: usize,
    columns: usize,
    along_row: Arc<dyn Fft<f64>>,
    along_column: Arc<dyn Fft<f64>>,
    /// Hann windows, 1 in the middle.
    of_rows: Vec<f64>,
    of_columns: Vec<f64>,
    /// Radius of each frequency, cycles a cell, and its band.
    radii: Vec<f64>,
    bands: Vec<usize>,
}

fn window(n: usize) -> Vec<f64> {
    (0..n).map(|i| 0.5 - 0.5 * (2.0 * PI * (i as f64 + 0.5) / n as f64).cos()).collect()
}

/// A frequency as its steps from the constant along rows and columns, each times the other side.
fn steps(at: usize, rows: usize, columns: usize) -> (f64, f64) {
    let folded = |i: usize, n: usize| i.min(n - i) as f64;
    (folded(at / columns, rows) * columns as f64, folded(at % columns, columns) * rows as f64)
}

/// Cycles a cell.
fn radius(at: usize, rows: usize, columns: usize) -> f64 {
    let (a, b) = steps(at, rows, columns);
    (a * a + b * b).sqrt() / (rows as f64 * columns as f64)
}

/// Thirds of the highest radius, told apart by its square: whole numbers, so that no rounding decides.
fn band(at: usize, rows: usize, columns: usize) -> usize {
    let (a, b) = steps(at, rows, columns);
    let cells = rows as f64 * columns as f64;
    let square = 18.0 * (a * a + b * b);
    let whole = cells * cells;
    usize::from(square >= whole) + usize::from(square >= 4.0 * whole)
}

impl Plan {
    fn new(rows: usize, columns: usize) -> Self {
        let mut planner = FftPlannerScalar::new();
        let radii = (0..rows * columns).map(|at| radius(at, rows, columns)).collect();
        let bands = (0..rows * columns).map(|at| band(at, rows, columns)).collect();
        Plan {
            rows,
            columns,
            along_row: planner.plan_fft_forward(columns),
            along_column: planner.plan_fft_forward(rows),
            of_rows: window(rows),
            of_columns: window(columns),
            radii,
            bands,
        }
    }

    /// The power spectrum of a windowed plane of real numbers, a frequency a cell.
    ///
    /// Two rows are one complex signal and come apart by symmetry; columns beyond the middle mirror those before it.
    fn power(&self, plane: &[f64]) -> Vec<f64> {
        let (rows, columns) = (self.rows, self.columns);
        let half = columns / 2 + 1;
        // Half of the columns, each with its rows side by side.
        let mut spectrum = vec![Complex::new(0.0, 0.0); half * rows];
        let mut signal = vec![Complex::new(0.0, 0.0); columns];
        for (pair, both) in plane.chunks(2 * columns).enumerate() {
            let (first, second) = both.split_at(columns.min(both.len()));
            for (i, (out, a)) in signal.iter_mut().zip(first).enumerate() {
                *out = Complex::new(*a, second.get(i).copied().unwrap_or(0.0));
            }
            self.along_row.process(&mut signal);
            for (column, out) in spectrum.chunks_exact_mut(rows).enumerate() {
                let at = |i: usize| signal.get(i).copied().unwrap_or_default();
                let (x, y) = (at(column), at((columns - column) % columns).conj());
                let parts = [(x + y) * 0.5, (x - y) * Complex::new(0.0, -0.5)];
                for (cell, part) in out.iter_mut().skip(2 * pair).zip(parts) {
                    *cell = part;
                }
            }
        }
        self.along_column.process(&mut spectrum);
        let cells = (rows * columns) as f64;
        let mut power = vec![0.0; rows * columns];
        for (column, of_column) in spectrum.chunks_exact(rows).enumerate() {
            let mirror = (columns - column) % columns;
            for (row, x) in of_column.iter().enumerate() {
                let value = x.norm_sqr() / cells;
                for at in [row * columns + column, (rows - row) % rows * columns + mirror] {
                    if let Some(cell) = power.get_mut(at) {
                        *cell = value;
                    }
                }
            }
        }
        power
    }

    fn dominant(&self, power: &[f64]) -> [f64; DOMINANT] {
        let (rows, columns) = (self.rows, self.columns);
        let mut taken = [0usize; DOMINANT];
        let mut radii = [0.0; DOMINANT];
        for rank in 0..DOMINANT {
            let mut best = (0, 0.0);
            for (at, value) in power.iter().enumerate().skip(1) {
                // Nearly all are passed by here.
                if *value <= best.1 {
                    continue;
                }
                let mirror = (rows - at / columns) % rows * columns + (columns - at % columns) % columns;
                if mirror >= at && !taken.contains(&at) {
                    best = (at, *value * APART);
                }
            }
            if best.0 == 0 {
                break;
            }
            if let (Some(taken), Some(radius), Some(of_best)) =
                (taken.get_mut(rank), radii.get_mut(rank), self.radii.get(best.0))
            {
                *taken = best.0;
                *radius = *of_best;
            }
        }
        radii
    }

    fn energies(&self, power: &[f64]) -> [f64; BANDS] {
        let mut energies = [0.0; BANDS];
        for (band, value) in self.bands.iter().zip(power) {
            if let Some(energy) = energies.get_mut(*band) {
                *energy += value;
            }
        }
        let total: f64 = energies.iter().sum();
        if total > 0.0 { energies.map(|energy| energy / total) } else { energies }
    }
}

/// Entropy over that of a flat spectrum; 0 where there is no power, or one frequency.
///
/// Each frequency and its mirror have the same power: logarithms are taken of one of the two.
fn entropy(power: &[f64], columns: usize) -> f64 {
    let half = columns / 2 + 1;
    let (mut total, mut logarithms) = (0.0, 0.0);
    for row in power.chunks_exact(columns) {
        for (column, x) in row.iter().take(half).enumerate() {
            let weight = if column == 0 || 2 * column == columns { 1.0 } else { 2.0 };
            total += weight * x;
            if *x > 0.0 {
                logarithms += weight * x * x.ln();
            }
        }
    }
    if total.is_nan() || total <= 0.0 || power.len() == 1 {
        return 0.0;
    }
    ((total.ln() - logarithms / total) / (power.len() as f64).ln()).max(0.0)
}

thread_local! {
    static KNOWN: RefCell<HashMap<(usize, usize), Arc<Plan>>> = RefCell::new(HashMap::new());
}

fn plan(rows: usize, columns: usize) -> Arc<Plan> {
    KNOWN.with_borrow_mut(|known| {
        if let Some(plan) = known.get(&(rows, columns)) {
            return plan.clone();
        }
        if known.len() >= PLANS {
            known.clear();
        }
        let plan = Arc::new(Plan::new(rows, columns));
        known.insert((rows, columns), plan.clone());
        plan
    })
}

/// Writes the features of a tensor, the channels of a cell side by side, into `out`.
pub fn features(data: View<f32>, sides: [u32; 4], out: View<f32>) -> Result<()> {
    let [rows, columns, layers, channels] = sides.map(|side| side as usize);
    require(sides.iter().all(|side| *side > 0), "a side of the tensor is 0")?;
    let values = sides.iter().try_fold(1usize, |count, side| count.checked_mul(*side as usize));
    require(values == Some(data.len()), "the tensor is not as long as its sides say")?;
    require(out.len() == FEATURES, "the features are eight")?;
    let plan = plan(rows, columns);
    let cells = rows * columns;
    let mut power = vec![0.0; cells];
    let mut entropies = 0.0;
    for channel in 0..channels {
        let mut plane = Vec::with_capacity(cells);
        for (row, of_row) in plan.of_rows.iter().enumerate() {
            for (column, of_column) in plan.of_columns.iter().enumerate() {
                let from = (row * columns + column) * layers * channels + channel;
                // SAFETY: `from + (layers - 1) * channels` is below the length, checked above.
                let layer = |l: usize| f64::from(unsafe { data.ptr().add(from + l * channels).read() });
                let sum: f64 = (0..layers).map(layer).sum();
                plane.push(sum / layers as f64 * of_row * of_column);
            }
        }
        let of_channel = plan.power(&plane);
        entropies += entropy(&of_channel, columns);
        for (all, one) in power.iter_mut().zip(&of_channel) {
            *all += one / channels as f64;
        }
    }
    let [first, second, third] = plan.dominant(&power);
    let [low, mid, high] = plan.energies(&power);
    let mean = power.iter().sum::<f64>() / cells as f64;
    let numbers = [entropies / channels as f64, first, second, third, low, mid, high, mean];
    for (at, number) in numbers.into_iter().enumerate() {
        // SAFETY: `out` has as many elements as there are features.
        unsafe { out.ptr().add(at).write(number as f32) };
    }
    Ok(())
}
