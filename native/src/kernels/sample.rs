//! Repeatable numbers for tests.

/// The SplitMix64 sequence from `seed`.
fn words(mut seed: u64) -> impl Iterator<Item = u64> {
    std::iter::repeat_with(move || {
        seed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (seed ^ seed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    })
}

/// `n` bytes.
pub fn bytes(seed: u64, n: usize) -> Vec<u8> {
    words(seed).map(|word| word as u8).take(n).collect()
}

/// `n` values of both signs over several powers of two.
pub fn floats(seed: u64, n: usize) -> Vec<f32> {
    let value = |word: u64| ((word >> 40) as f32 / 8_388_608.0 - 1.0) * f32::powi(2.0, (word & 7) as i32 - 4);
    words(seed).map(value).take(n).collect()
}
