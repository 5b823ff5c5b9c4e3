//! What a row is in every graph of a seed: its level, and where its upper links lie.
//!
//! Levels follow from seed and row alone, so a segment's room for upper links is known before it
//! has a row, a graph is the same on every machine, and an image needs to hold neither.

use super::{ALIGNMENT, M};
use crate::error::{Result, require};
use crate::plan::{GraphLayout, SLOTS};
use crate::view::View;

/// Levels above the lowest that a node can have.
pub const MOST_LEVELS: usize = 15;
/// Bit of a node's word that its writer holds.
pub const HELD: u32 = 1 << 31;

/// Highest level of a row: each is reached by one row in `m` of the level below.
fn level(m: u32, seed: u32, row: u32) -> usize {
    let mut rest = u64::from(hash(seed, row));
    let mut level = 0;
    // `rest < 2^32 / m` has a chance of one in `m`; multiplied by `m` it is uniform again.
    while level < MOST_LEVELS && rest * u64::from(m) < 1 << 32 {
        rest *= u64::from(m);
        level += 1;
    }
    level
}

/// The finaliser of SplitMix64 over both.
pub fn hash(seed: u32, row: u32) -> u32 {
    let mixed = (u64::from(seed) << 32 | u64::from(row)).wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((mixed ^ mixed >> 31) >> 32) as u32
}

fn levels(m: u32, seed: u32, segment: u32) -> impl Iterator<Item = usize> {
    let first = segment.wrapping_mul(SLOTS as u32);
    (0..SLOTS as u32).map(move |slot| level(m, seed, first.wrapping_add(slot)))
}

/// Upper links that the rows of a segment have room for.
pub fn upper_links(m: u32, seed: u32, segment: u32) -> Result<u32> {
    require(M.contains(&(m as usize)), "m is not in 4..=64")?;
    Ok(levels(m, seed, segment).map(|level| level as u32 * m).sum())
}

/// Writes the words and places of a new segment; everything else of it is zero.
pub fn prepare(layout: &GraphLayout, seed: u32, segment: u32, view: View<u8>) -> Result<()> {
    require(view.ptr().addr().is_multiple_of(ALIGNMENT), "a part does not start on a multiple of 64")?;
    let upper = upper_links(layout.m, seed, segment)? as usize;
    require(view.len() >= layout.upper_offset as usize + upper * 4, "no room for the upper links")?;
    let column = |offset: u32| -> Result<*mut u32> {
        let offset = offset as usize;
        require(offset.is_multiple_of(ALIGNMENT) && view.len() >= offset + SLOTS * 4, "a column outside its buffer")?;
        Ok(view.ptr().wrapping_add(offset).cast())
    };
    let (nodes, places) = (column(layout.nodes_offset)?, column(layout.places_offset)?);
    let mut place = 0;
    for (slot, level) in levels(layout.m, seed, segment).enumerate() {
        // SAFETY: both columns have a word for every slot, and no other thread knows the buffer yet.
        unsafe {
            nodes.add(slot).write(level as u32);
            places.add(slot).write(place);
        }
        place += level as u32 * layout.m;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_row_in_m_reaches_each_next_level() {
        for m in [4, 16, 64] {
            let mut counts = [0usize; MOST_LEVELS + 1];
            for segment in 0..4 {
                levels(m, 7, segment).for_each(|level| counts[..=level].iter_mut().for_each(|count| *count += 1));
            }
            for (level, count) in counts.iter().enumerate() {
                let expected = (4 * SLOTS) as f64 / f64::from(m).powi(level as i32);
                assert!((*count as f64 - expected).abs() <= 5.0 * expected.sqrt() + 1.0, "{m} {level} {count}");
            }
        }
    }

    #[test]
    fn another_seed_gives_other_levels() {
        let of = |seed| levels(4, seed, 0).collect::<Vec<_>>();
        assert_eq!(of(1), of(1));
        assert_ne!(of(1), of(2));
    }
}
