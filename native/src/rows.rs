//! Vectors into slots and out of them.

#[cfg(test)]
mod tests;

use crate::coder::Coder;
use crate::columns::Rows;
use crate::error::{Result, require};
use crate::kernels::magnitude::magnitude;
use crate::norm::normalise;
use crate::plan::*;
use crate::view::View;

/// Bits of f32 infinity, which every NaN without its sign is above.
const INFINITE: u32 = 0x7f80_0000;

/// Why a vector is refused: the last three bits of what `check_vectors` returns.
#[derive(Clone, Copy)]
#[repr(i64)]
enum Fault {
    Zero = 1,
    NotANumber = 2,
    Infinite = 3,
    BeyondLimit = 4,
}

/// -1, or `row * 8 + fault` of the first vector that cannot be stored. A vector with several
/// faults has the first of not a number, infinite, beyond the limit.
pub fn check_vectors(vectors: View<f32>, dimensions: u32, limit: f64) -> Result<i64> {
    let d = dimensions as usize;
    require((1..=MAX_DIMENSIONS).contains(&d), "dimensions are not in 1..=8192")?;
    require(vectors.len().is_multiple_of(d), "vectors are not whole")?;
    let magnitude = magnitude();
    let fault = |row: usize| {
        // SAFETY: `row` counts whole vectors of the view.
        let bits = unsafe { magnitude(vectors.ptr().add(row * d), d) };
        match bits {
            0 => Some(Fault::Zero),
            INFINITE => Some(Fault::Infinite),
            bits if bits > INFINITE => Some(Fault::NotANumber),
            bits if f64::from(f32::from_bits(bits)) > limit => Some(Fault::BeyondLimit),
            _ => None,
        }
    };
    let first = (0..vectors.len() / d).find_map(|row| fault(row).map(|fault| row as i64 * 8 + fault as i64));
    Ok(first.unwrap_or(-1))
}

/// Our own copy of slot numbers, all of them inside a segment.
fn slots_within(slots: View<u32>) -> Result<Vec<usize>> {
    // SAFETY: `i` is below the length of the view.
    let copy: Vec<usize> = (0..slots.len()).map(|i| unsafe { slots.ptr().add(i).read() } as usize).collect();
    require(copy.iter().all(|slot| *slot < SLOTS), "a slot outside the segment")?;
    Ok(copy)
}

/// Writes vectors into slots. The odd generations are kept short: a tile is encoded first.
pub fn write_rows(
    layout: &SegmentLayout,
    vectors: View<f32>,
    slots: View<u32>,
    encoder: View<f32>,
    rows: View<u8>,
    codes: View<u8>,
) -> Result<()> {
    let rows = Rows::new(layout, rows)?;
    let slots = slots_within(slots)?;
    let d = layout.dimensions as usize;
    require(vectors.len() == slots.len() * d, "not one vector a slot")?;
    let mut coder = Coder::new(layout, encoder, codes, slots.len())?;
    let tile = coder.tile();
    let mut unit = vec![0f32; if layout.metric == COSINE { tile * d } else { 0 }];
    let unit = unit.as_mut_ptr();
    for (slots, first) in slots.chunks(tile.max(1)).zip((0..).step_by(tile.max(1))) {
        let given = vectors.ptr().wrapping_add(first * d);
        let stored = if layout.metric == COSINE { unit } else { given };
        // SAFETY: `row` counts the slots of a tile: there is a vector for each, and `unit` and
        // the coder have room for each. Slots were checked, and the caller reserved them for
        // this thread.
        unsafe {
            for row in 0..slots.len() {
                if layout.metric == COSINE {
                    normalise(given.add(row * d), unit.add(row * d), d);
                }
                coder.take(row, stored.add(row * d));
            }
            coder.encode(slots.len());
            for (row, slot) in slots.iter().copied().enumerate() {
                rows.writing(slot, || {
                    rows.store(slot, stored.add(row * d));
                    coder.store(row, slot);
                });
            }
        }
    }
    Ok(())
}

/// Encodes the stored vectors of slots `[from, to)`, as they are, into another codes buffer.
pub fn encode_stored(
    layout: &SegmentLayout,
    from: u32,
    to: u32,
    encoder: View<f32>,
    rows: View<u8>,
    codes: View<u8>,
) -> Result<()> {
    let rows = Rows::new(layout, rows)?;
    require(rows.have_vectors(), "no vectors are stored to encode")?;
    let (from, to) = (from as usize, to as usize);
    require(from <= to && to <= SLOTS, "slots outside the segment")?;
    let mut coder = Coder::new(layout, encoder, codes, to - from)?;
    let tile = coder.tile().max(1);
    let mut vector = vec![0f32; layout.dimensions as usize];
    for first in (from..to).step_by(tile) {
        let count = tile.min(to - first);
        // SAFETY: `first + row < to <= SLOTS` and `row` is below the rows of a tile; `vector`
        // has `dimensions` elements.
        unsafe {
            for row in 0..count {
                rows.load(first + row, vector.as_mut_ptr());
                coder.take(row, vector.as_ptr());
            }
            coder.encode(count);
            for row in 0..count {
                coder.store(row, first + row);
            }
        }
    }
    Ok(())
}

/// Copies stored vectors of slots into `out`, one after the other.
pub fn read_vectors(layout: &SegmentLayout, slots: View<u32>, rows: View<u8>, out: View<f32>) -> Result<()> {
    let rows = Rows::new(layout, rows)?;
    require(rows.have_vectors(), "no vectors are stored to read")?;
    let slots = slots_within(slots)?;
    let d = layout.dimensions as usize;
    require(out.len() >= slots.len() * d, "no room for every vector")?;
    for (row, slot) in slots.into_iter().enumerate() {
        // SAFETY: the slot was checked, and `out` has room for `d` elements of every row.
        unsafe { rows.load(slot, out.ptr().add(row * d)) }
    }
    Ok(())
}
