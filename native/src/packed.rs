//! Whether what an image says of rows and keys stays inside its bounds: `src/core/kernels/packed.ts`.

use crate::error::{Result, require};
use crate::view::View;

/// Words of a unit of addresses and capacities.
const UNIT_WORDS: u64 = 2;
/// Words before the key of a record.
const HEADER_WORDS: u64 = 4;
const PAYLOAD_BYTES: u64 = 1;
const KEY_AND_KIND: u64 = 2;
const CAPACITY: u64 = 3;
/// Slots of a word of live bits.
const WORD: usize = 32;

/// Whether the record at `address` lies inside `packed`.
fn record_fits(packed: View<u32>, address: u32) -> bool {
    let len = packed.len() as u64;
    let start = u64::from(address) * UNIT_WORDS;
    if start + HEADER_WORDS > len {
        return false;
    }
    // SAFETY: the header lies inside the view, checked above.
    let word = |at: u64| u64::from(unsafe { packed.ptr().add((start + at) as usize).read_volatile() });
    let capacity = word(CAPACITY) * UNIT_WORDS;
    let used = 4 * HEADER_WORDS + (word(KEY_AND_KIND) & 0xffff) + word(PAYLOAD_BYTES);
    used <= 4 * capacity && start + capacity <= len
}

/// The first slot of `[from, to)` that is live beyond `rows` or without a record that fits, or has a record and is not
/// live; -1 when there is none.
pub fn check_rows(live: View<i32>, addresses: View<u32>, packed: View<u32>, [rows, from, to]: [u32; 3]) -> Result<i64> {
    let [rows, from, to] = [rows, from, to].map(|slot| slot as usize);
    let fits = to <= addresses.len() && to.div_ceil(WORD) <= live.len();
    require(from <= to && fits, "slots outside their columns")?;
    let is_wrong = |slot: &usize| {
        let slot = *slot;
        // SAFETY: `slot < to`, which is inside both columns.
        let (bits, address) =
            unsafe { (live.ptr().add(slot / WORD).read_volatile(), addresses.ptr().add(slot).read_volatile()) };
        if (bits >> (slot % WORD)) & 1 == 1 { slot >= rows || !record_fits(packed, address) } else { address != 0 }
    };
    Ok((from..to).find(is_wrong).map_or(-1, |slot| slot as i64))
}

/// Keys in slots `[from, to)` of an index of `rows` rows; -1 when one names none of them.
pub fn count_keys(keys: View<u32>, [rows, from, to]: [u32; 3]) -> Result<i64> {
    require(from <= to && to as usize <= keys.len(), "slots outside the index")?;
    let mut count = 0;
    let mut largest = 0;
    for i in from..to {
        // SAFETY: `i < to`, which is inside the index.
        let row = unsafe { keys.ptr().add(i as usize).read() };
        largest = largest.max(row);
        count += i64::from(row != 0);
    }
    Ok(if largest > rows { -1 } else { count })
}
