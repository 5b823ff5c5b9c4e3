//! Norms and products summed in f64, in one fixed order, so that every machine gets the same bits.

/// Lanes of a sum: lane `l` takes elements `l`, `l + 16`, `l + 32`, ... in that order.
const LANES: usize = 16;

/// `sum x[i] * y[i]`. A product of two f32 is exact in f64, so only the order of sums matters.
///
/// # Safety
/// `x` and `y` are readable for `d` elements.
pub unsafe fn dot64(x: *const f32, y: *const f32, d: usize) -> f64 {
    let mut lanes = [0f64; LANES];
    let whole = d - d % LANES;
    for start in (0..whole).step_by(LANES) {
        for (l, lane) in lanes.iter_mut().enumerate() {
            // SAFETY: `start + l < whole <= d`.
            *lane += unsafe { f64::from(x.add(start + l).read()) * f64::from(y.add(start + l).read()) };
        }
    }
    for (i, lane) in (whole..d).zip(lanes.iter_mut()) {
        // SAFETY: `i < d`.
        *lane += unsafe { f64::from(x.add(i).read()) * f64::from(y.add(i).read()) };
    }
    fold(lanes)
}

/// `sum x[i] * x[i]`.
///
/// # Safety
/// `x` is readable for `d` elements.
pub unsafe fn norm2(x: *const f32, d: usize) -> f64 {
    // SAFETY: the same contract, twice the same argument.
    unsafe { dot64(x, x, d) }
}

/// Writes `x` scaled to length 1 to `out`.
///
/// # Safety
/// `x` is readable and `out` writable for `d` elements; they may be the same.
pub unsafe fn normalise(x: *const f32, out: *mut f32, d: usize) {
    // SAFETY: `x` is readable for `d` elements.
    let inverse = 1.0 / unsafe { norm2(x, d) }.sqrt();
    for i in 0..d {
        // SAFETY: `i < d`.
        unsafe { out.add(i).write((f64::from(x.add(i).read()) * inverse) as f32) };
    }
}

/// Adds the upper half of the lanes to the lower half until one is left.
fn fold(mut lanes: [f64; LANES]) -> f64 {
    for half in [8, 4, 2, 1] {
        let (low, high) = lanes.split_at_mut(half);
        low.iter_mut().zip(high).for_each(|(a, b)| *a += *b);
    }
    let [sum, ..] = lanes;
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The definition, element by element.
    fn naive(x: &[f32], y: &[f32]) -> f64 {
        let mut lanes = [0f64; 16];
        for i in 0..x.len() {
            lanes[i % 16] += f64::from(x[i]) * f64::from(y[i]);
        }
        for s in [8, 4, 2, 1] {
            for l in 0..s {
                lanes[l] += lanes[l + s];
            }
        }
        lanes[0]
    }

    #[test]
    fn sums_follow_the_definition_bit_for_bit() {
        for d in [1, 2, 15, 16, 17, 31, 32, 33, 100, 384] {
            let x: Vec<f32> = (0..d).map(|i| ((i * 37 + 11) as f32).sin() * 3.7).collect();
            let y: Vec<f32> = (0..d).map(|i| ((i * 53 + 5) as f32).cos() * 0.3).collect();
            // SAFETY: both have `d` elements.
            let (dot, norm) = unsafe { (dot64(x.as_ptr(), y.as_ptr(), d), norm2(x.as_ptr(), d)) };
            assert_eq!(dot.to_bits(), naive(&x, &y).to_bits());
            assert_eq!(norm.to_bits(), naive(&x, &x).to_bits());
        }
    }

    #[test]
    fn a_normalised_vector_has_length_one() {
        let mut x = [3.0f32, -4.0, 12.0];
        // SAFETY: both pointers cover the three elements.
        unsafe { normalise(x.as_ptr(), x.as_mut_ptr(), 3) };
        assert_eq!(x, [3.0 / 13.0, -4.0 / 13.0, 12.0 / 13.0]);
    }
}
