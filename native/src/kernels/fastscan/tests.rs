use super::*;
use crate::kernels::blocks::GROUPS;
use crate::kernels::blocks::fixture::{Column, best, random};
use crate::plan::CODE_BYTES;

fn queries<const NQ: usize>(norms: bool) -> [FlatQuery; NQ] {
    let mut next = random(7);
    std::array::from_fn(|_| {
        let mut table = Table([0; GROUPS * ENTRIES]);
        table.0.iter_mut().for_each(|entry| *entry = (next() % 64) as u8);
        FlatQuery::new(table, 0.0173, -31.7, if norms { -0.7 } else { 0.031 })
    })
}

/// The definition: one slot at a time, one rounding at a time.
fn naive(column: &mut Column, query: &FlatQuery, slot: usize) -> f32 {
    let sum: u32 = (0..GROUPS).map(|g| u32::from(query.table.0[g * ENTRIES + column.nibble(slot, g)])).sum();
    let scaled = sum as f32 * query.step;
    let product = column.factor(slot) * (scaled + query.lo);
    let estimate = product + query.bias;
    column.norm_scale.map_or(estimate, |scale| {
        let norm = column.norm(slot) * scale;
        estimate - norm
    })
}

fn check<const NQ: usize>(column: &mut Column, keep: usize) {
    let queries = queries::<NQ>(column.norm_scale.is_some());
    let expected: Vec<_> =
        queries.iter().map(|query| column.naive_best(keep, |column, slot| naive(column, query, slot))).collect();
    for (isa, kernel) in Variants::<NQ>::ALL.iter().filter(|(isa, _)| isa.available()) {
        let mut sinks = std::array::from_fn(|_| Reservoir::new(keep));
        // SAFETY: the CPU has `isa`, and the column holds the blocks.
        unsafe { kernel(&column.blocks(), &queries, &mut sinks) };
        for (sink, expected) in sinks.into_iter().zip(&expected) {
            assert_eq!(&best(sink), expected, "{isa:?} {NQ} queries, best {keep}");
        }
    }
}

#[test]
fn every_variant_gives_the_bits_of_the_definition() {
    for norm_scale in [None, Some(4.0)] {
        for blocks in [0, 1, 2, 40] {
            for keep in [1, 10, 700, 3000] {
                let mut column = Column::random(blocks, norm_scale);
                check::<1>(&mut column, keep);
                check::<4>(&mut column, keep);
                check::<8>(&mut column, keep);
            }
        }
    }
}

#[test]
fn dead_slots_never_appear() {
    for live in [0, 1, 1 << 63, 0x8000_0001_0000_0001] {
        let mut column = Column::random(9, None);
        column.live.iter_mut().skip(1).step_by(2).for_each(|word| *word = live);
        check::<1>(&mut column, 1000);
        column.live.fill(live);
        check::<4>(&mut column, 50);
    }
}

#[test]
fn equal_estimates_keep_the_lower_rows() {
    let mut column = Column::random(30, None);
    (0..30 * BLOCK * CODE_BYTES).for_each(|i| *column.byte(i / CODE_BYTES, i % CODE_BYTES) = 0);
    check::<1>(&mut column, 100);
}
