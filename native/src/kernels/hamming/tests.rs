use super::*;
use crate::kernels::blocks::GROUPS;
use crate::kernels::blocks::fixture::{Column, best, random};

fn naive(column: &mut Column, code: &[u8; CODE_BYTES], slot: usize) -> f32 {
    let nibble = |g: usize| usize::from(code[g / 2] >> (g % 2 * 4) & 15);
    let distance: u32 = (0..GROUPS).map(|g| (column.nibble(slot, g) ^ nibble(g)).count_ones()).sum();
    1.0 - distance as f32 / 128.0
}

fn check<const NQ: usize>(column: &mut Column, codes: &[[u8; CODE_BYTES]; NQ], keep: usize) {
    let queries = std::array::from_fn(|i| HammingQuery::new(&codes[i]));
    let expected: Vec<_> =
        codes.iter().map(|code| column.naive_best(keep, |column, slot| naive(column, code, slot))).collect();
    for (isa, kernel) in Variants::<NQ>::ALL.iter().filter(|(isa, _)| isa.available()) {
        let mut sinks = std::array::from_fn(|_| Reservoir::new(keep));
        // SAFETY: the CPU has `isa`, and the column holds the blocks.
        unsafe { kernel(&column.blocks(), &queries, &mut sinks) };
        for (sink, expected) in sinks.into_iter().zip(&expected) {
            assert_eq!(&best(sink), expected, "{isa:?} {NQ} queries, best {keep}");
        }
    }
}

fn codes<const NQ: usize>() -> [[u8; CODE_BYTES]; NQ] {
    let mut next = random(11);
    std::array::from_fn(|_| std::array::from_fn(|_| next() as u8))
}

#[test]
fn every_variant_gives_the_exact_distances() {
    for blocks in [0, 1, 2, 40] {
        for keep in [1, 10, 700, 3000] {
            let mut column = Column::random(blocks, None);
            check::<1>(&mut column, &codes(), keep);
            check::<4>(&mut column, &codes(), keep);
            check::<8>(&mut column, &codes(), keep);
        }
    }
}

#[test]
fn the_extremes_0_255_and_256_are_told_apart() {
    let mut column = Column::random(12, None);
    let slots = 12 * BLOCK;
    for (slot, g) in (0..slots * CODE_BYTES).map(|i| (i / CODE_BYTES, i % CODE_BYTES)) {
        *column.byte(slot, g) = if slot == slots - 9 { 0 } else { 0xff };
    }
    *column.byte(slots - 7, 0) = 0xfe;
    column.live.fill(u64::MAX);
    for keep in [1, 2, 3, 100, 5000] {
        check::<1>(&mut column, &[[0; CODE_BYTES]], keep);
        check::<1>(&mut column, &[[0xff; CODE_BYTES]], keep);
    }
}

#[test]
fn dead_slots_never_appear() {
    for live in [0, 1, 1 << 63, 0x8000_0001_0000_0001] {
        let mut column = Column::random(9, None);
        column.live.fill(live);
        check::<1>(&mut column, &codes(), 1000);
        check::<4>(&mut column, &codes(), 5);
    }
}
