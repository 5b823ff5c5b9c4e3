use super::*;
use crate::kernels::blocks::CodeColumns;
use crate::kernels::blocks::fixture::{AlignedBytes, best, random};

/// Random product codes; three slots in four are live.
struct Column {
    codes: AlignedBytes,
    live: Vec<u64>,
    rows: usize,
}

impl Column {
    fn random(blocks: usize, rows: usize) -> Self {
        let mut next = random((blocks * 1000 + rows) as u64);
        let mut codes = AlignedBytes::zeroed(blocks * BLOCK * rows);
        codes.bytes().iter_mut().for_each(|byte| *byte = next() as u8);
        let live = (0..blocks).map(|_| next() << 32 | next() & 0xffff_ffff | next() << 16).collect();
        Column { codes, live, rows }
    }

    fn byte(&mut self, slot: usize, g: usize) -> usize {
        usize::from(self.codes.bytes()[slot / BLOCK * BLOCK * self.rows + g * BLOCK + slot % BLOCK])
    }

    fn blocks(&mut self) -> Blocks {
        let columns = CodeColumns::products(self.codes.bytes().as_ptr(), self.rows);
        columns.blocks(0, self.live.len(), self.live.as_mut_ptr(), Rows::From(1000))
    }
}

/// A query of random entries, 256 or twice 16 a byte.
fn query(seed: usize, rows: usize, bits: u32) -> AdcQuery {
    let mut next = random(seed as u64 + 3);
    let lines = if bits == 8 { BYTE_ENTRIES } else { NIBBLE_ENTRIES } / 64;
    let most = if bits == 8 { (65_535 / rows as u64).min(255) } else { (65_535 / (2 * rows as u64)).min(63) };
    let line = |_| {
        let mut line = [0; 64];
        line.iter_mut().for_each(|entry| *entry = (next() % (most + 1)) as u8);
        if bits == 4 {
            let (first, rest) = line.split_at_mut(NIBBLES);
            rest.chunks_exact_mut(NIBBLES).for_each(|chunk| chunk.copy_from_slice(first));
        }
        Line(line)
    };
    AdcQuery { tables: (0..rows * lines).map(line).collect(), rows, step: 0.0173, lo: -31.7 }
}

/// The definition: one slot at a time, one rounding at a time.
fn naive(column: &mut Column, query: &AdcQuery, bits: u32, slot: usize) -> f32 {
    let entry = |line: usize, entry: usize| u32::from(query.tables[line + entry / 64].0[entry % 64]);
    let sum: u32 = (0..query.rows)
        .map(|g| match (bits, column.byte(slot, g)) {
            (8, byte) => entry(4 * g, byte),
            (_, byte) => entry(2 * g, byte & 15) + entry(2 * g + 1, byte >> 4),
        })
        .sum();
    let scaled = sum as f32 * query.step;
    scaled + query.lo
}

fn check<const NQ: usize>(column: &mut Column, bits: u32, keep: usize) {
    let queries: [AdcQuery; NQ] = std::array::from_fn(|i| query(i, column.rows, bits));
    let slots: Vec<usize> =
        (0..column.live.len() * BLOCK).filter(|slot| column.live[slot / BLOCK] >> (slot % BLOCK) & 1 == 1).collect();
    let expected: Vec<Vec<(f32, u32)>> = queries
        .iter()
        .map(|query| {
            let mut all: Vec<_> =
                slots.iter().map(|slot| (naive(column, query, bits, *slot), 1000 + *slot as u32)).collect();
            all.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
            all.truncate(keep);
            all
        })
        .collect();
    let variants = if bits == 8 { Variants::<NQ>::BYTES } else { Variants::<NQ>::NIBBLES };
    for (isa, kernel) in variants.iter().filter(|(isa, _)| isa.available()) {
        let mut sinks = std::array::from_fn(|_| Reservoir::new(keep));
        // SAFETY: the CPU has `isa`, and the column holds the blocks.
        unsafe { kernel(&column.blocks(), &queries, &mut sinks) };
        for (sink, expected) in sinks.into_iter().zip(&expected) {
            assert_eq!(&best(sink), expected, "{isa:?} {bits} bits, {} bytes, {NQ} queries, best {keep}", column.rows);
        }
    }
}

#[test]
fn every_variant_gives_the_bits_of_the_definition() {
    for bits in [4, 8] {
        for rows in [1, 2, 3, 8, 25, 48, 300] {
            for (blocks, keep) in [(0, 1), (1, 10), (2, 700), (40, 10), (40, 3000)] {
                let mut column = Column::random(blocks, rows);
                check::<1>(&mut column, bits, keep);
                check::<4>(&mut column, bits, keep);
                check::<8>(&mut column, bits, keep);
            }
        }
    }
}

#[test]
fn dead_slots_never_appear() {
    for live in [0, 1, 1 << 63, 0x8000_0001_0000_0001] {
        let mut column = Column::random(9, 8);
        column.live.iter_mut().skip(1).step_by(2).for_each(|word| *word = live);
        check::<1>(&mut column, 8, 1000);
        column.live.fill(live);
        check::<4>(&mut column, 4, 50);
    }
}

#[test]
fn the_bound_never_cuts_an_estimate_that_beats_the_threshold() {
    let mut next = random(1);
    let mut float = |scale: f32| ((next() % 20_001) as f32 / 10_000.0 - 1.0) * scale;
    for _ in 0..2000 {
        let (step, lo) = (float(0.5).abs() * 2f32.powi((float(30.0)) as i32), float(1e6));
        let query = AdcQuery { tables: Vec::new(), rows: 0, step, lo };
        for sum in [0u16, 1, 700, 30_000, 65_535] {
            let estimate = f32::from(sum) * step + lo;
            for threshold in [estimate.next_down(), estimate - step, f32::NEG_INFINITY] {
                assert!(estimate <= threshold || least_sum(&query, threshold) <= sum, "{step} {lo} {sum}");
            }
        }
    }
}
