use super::*;
use crate::kernels::blocks::fixture::AlignedBytes;
use crate::plan::*;
use crate::view::View;

/// Columns of a segment: live words, then u8, u32 and f64 of each slot.
const BYTES: usize = 8 * BLOCKS;
const CODES: usize = BYTES + SLOTS;
const NUMBERS: usize = CODES + 4 * SLOTS;
const END: usize = NUMBERS + 8 * SLOTS;

/// A segment whose slots hold their number modulo 3, 5 and 7; every slot but each eleventh is live.
fn segment() -> AlignedBytes {
    let mut rows = AlignedBytes::zeroed(END);
    let bytes = rows.bytes();
    for slot in 0..SLOTS {
        bytes[slot / 8] |= u8::from(slot % 11 != 0) << (slot % 8);
        bytes[BYTES + slot] = (slot % 3) as u8;
        let (code, number) = (CODES + 4 * slot, NUMBERS + 8 * slot);
        bytes[code..code + 4].copy_from_slice(&((slot % 5) as u32).to_le_bytes());
        bytes[number..number + 8].copy_from_slice(&((slot % 7) as f64).to_le_bytes());
    }
    rows
}

fn filter(ops: &mut [u32], constants: &mut [f64]) -> Filter {
    Filter {
        ops: View::from_raw(ops.as_mut_ptr(), ops.len()),
        constants: View::from_raw(constants.as_mut_ptr(), constants.len()),
        mask: None,
        is_filled: None,
    }
}

/// Rows that pass in the first `blocks`, by number, and the count.
fn run(ops: &[u32], constants: &[f64], blocks: usize) -> crate::error::Result<(Vec<usize>, u32)> {
    let mut rows = segment();
    let rows = [View::from_raw(rows.bytes().as_mut_ptr(), END)];
    let (mut ops, mut constants, mut words) = (ops.to_vec(), constants.to_vec(), vec![0u32; 2 * blocks]);
    let filter = filter(&mut ops, &mut constants);
    let count = filter_rows(0, &rows, &filter, View::from_raw(words.as_mut_ptr(), words.len()))?;
    Ok(((0..blocks * BLOCK).filter(|row| words[row / 32] >> (row % 32) & 1 == 1).collect(), count))
}

#[test]
fn operations_do_what_they_say() {
    type Holds = fn(usize) -> bool;
    let (bytes, codes, numbers) = (BYTES as u32, CODES as u32, NUMBERS as u32);
    let constants = [1.0, 3.0, 2.0, 0.0];
    let programs: [(&[u32], Holds); 8] = [
        (&[NOTHING, 0, 0, 0], |_| false),
        (&[NOTHING, 0, 0, 0, NOT, 0, 0, 0], |_| true),
        (&[BETWEEN, numbers, 0, 2], |row| (1..=3).contains(&(row % 7))),
        (&[IN64, numbers, 1, 2], |row| matches!(row % 7, 2 | 3)),
        (&[IN32, codes, 1, 3], |row| matches!(row % 5, 0 | 2 | 3)),
        (&[IN8, bytes, 0, 0], |_| false),
        (&[IN8, bytes, 2, 2, IN32, codes, 1, 1, OR, 0, 0, 0], |row| row % 3 != 1 || row % 5 == 3),
        (&[IN8, bytes, 3, 1, IN32, codes, 1, 1, NOT, 0, 0, 0, AND, 0, 0, 0], |row| row % 3 == 0 && row % 5 != 3),
    ];
    for (ops, holds) in programs {
        let program = Program::new(&filter(&mut ops.to_vec(), &mut constants.to_vec()), &[], 0).unwrap();
        let mut rows = segment();
        for slot in (0..SLOTS).step_by(61) {
            // SAFETY: the segment has every column whole.
            assert_eq!(unsafe { program.passes(rows.bytes().as_ptr(), slot) }, holds(slot), "{ops:?} {slot}");
        }
        for blocks in [0, 1, 63, 64, 65, 200] {
            let expected: Vec<usize> = (0..blocks * BLOCK).filter(|row| row % 11 != 0 && holds(*row)).collect();
            let count = expected.len() as u32;
            assert_eq!(run(ops, &constants, blocks).unwrap(), (expected, count), "{ops:?} {blocks}");
        }
    }
}

#[test]
fn what_does_not_fit_is_refused() {
    let (codes, numbers) = (CODES as u32, NUMBERS as u32);
    let deep = [NOTHING, 0, 0, 0].repeat(65);
    let programs: [&[u32]; 13] = [
        &[],
        &[NOTHING, 0, 0],
        &[8, 0, 0, 0],
        &[NOT, 0, 0, 0],
        &[NOTHING, 0, 0, 0, AND, 0, 0, 0],
        &[NOTHING, 0, 0, 0, NOTHING, 0, 0, 0],
        &[BETWEEN, numbers, 0, 1],
        &[BETWEEN, numbers, 2, 2],
        &[IN64, numbers + 64, 0, 1],
        &[IN32, codes + 4, 0, 1],
        &[IN32, u32::MAX - 63, 0, 1],
        &[IN64, numbers, u32::MAX, u32::MAX],
        &deep,
    ];
    for ops in programs {
        assert!(run(ops, &[0.0, 1.0, 2.0], 1).is_err(), "{ops:?}");
    }
    assert!(run(&[NOTHING, 0, 0, 0], &[], BLOCKS + 1).is_err());
}
