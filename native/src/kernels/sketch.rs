//! Signs of vectors, and by how many of them two differ: a share of the angle between them (Charikar, STOC 2002).

use crate::dispatch::{self, Isa};

/// A sketch has a whole number of so many words, the last ones padded with zeros.
pub const SKETCH_WORDS: usize = 8;

/// Writes a bit for each of the `d` elements at `x`, set where it is below 0, into `words` words at `out`.
pub type Signs = unsafe fn(x: *const f32, d: usize, out: *mut u64, words: usize);
/// Bits by which the sketch of `words` words at `x` differs from each of those at `set`.
pub type Differing = unsafe fn(x: *const u64, set: *const u64, words: usize, out: &mut [u32]);

/// Every variant, best first. A call needs the instruction set, and `d` at most 64 for each word.
pub const SIGNS: &[(Isa, Signs)] = &[
    #[cfg(target_arch = "x86_64")]
    (Isa::Avx512bw, x86::signs_avx512),
    #[cfg(target_arch = "x86_64")]
    (Isa::Avx2, x86::signs_avx2),
    (Isa::Scalar, signs),
];
/// Every variant, best first. A call needs the instruction set, and a multiple of [`SKETCH_WORDS`].
pub const DIFFERING: &[(Isa, Differing)] = &[
    #[cfg(target_arch = "x86_64")]
    (Isa::Avx512vpopcntdq, x86::differing_avx512),
    #[cfg(target_arch = "x86_64")]
    (Isa::Avx2, x86::differing_avx2),
    #[cfg(target_arch = "aarch64")]
    (Isa::Neon, neon::differing),
    (Isa::Scalar, differing),
];

/// The kernels in force.
#[derive(Clone, Copy)]
pub struct Sketch {
    /// Makes a sketch.
    pub signs: Signs,
    /// Compares one with many.
    pub differing: Differing,
}

impl Sketch {
    /// The best that the CPU has.
    pub fn pick() -> Self {
        Sketch { signs: dispatch::pick(SIGNS, signs), differing: dispatch::pick(DIFFERING, differing) }
    }
}

unsafe fn signs(x: *const f32, d: usize, out: *mut u64, words: usize) {
    for w in 0..words {
        let end = d.min(64 * (w + 1));
        // SAFETY: elements below `d`, and words below `words`.
        unsafe {
            let word = (64 * w..end).fold(0, |word, i| word | u64::from(x.add(i).read() < 0.0) << (i % 64));
            out.add(w).write(word);
        }
    }
}

unsafe fn differing(x: *const u64, set: *const u64, words: usize, out: &mut [u32]) {
    for (at, out) in out.iter_mut().enumerate() {
        // SAFETY: the set has a sketch for each element of `out`.
        *out =
            (0..words).fold(0, |sum, w| sum + unsafe { x.add(w).read() ^ set.add(at * words + w).read() }.count_ones());
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::SKETCH_WORDS;
    use std::arch::x86_64::*;

    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
    pub unsafe fn signs_avx512(x: *const f32, d: usize, out: *mut u64, words: usize) {
        let zero = _mm512_setzero_ps();
        let below = |at: usize| {
            let left = d.saturating_sub(at).min(16);
            let mask = ((1u32 << left) - 1) as u16;
            // SAFETY: only elements below `d` are read.
            u64::from(unsafe {
                _mm512_mask_cmp_ps_mask::<_CMP_LT_OQ>(mask, _mm512_maskz_loadu_ps(mask, x.wrapping_add(at)), zero)
            })
        };
        for w in 0..words {
            let at = 64 * w;
            let word = below(at) | below(at + 16) << 16 | below(at + 32) << 32 | below(at + 48) << 48;
            // SAFETY: `w < words`.
            unsafe { out.add(w).write(word) };
        }
    }

    #[target_feature(enable = "avx2")]
    pub unsafe fn signs_avx2(x: *const f32, d: usize, out: *mut u64, words: usize) {
        let zero = _mm256_setzero_ps();
        for w in 0..words {
            let mut word = 0u64;
            for i in (0..64).step_by(8) {
                let at = 64 * w + i;
                // SAFETY: only elements below `d` are read.
                let bits = unsafe {
                    if at + 8 <= d {
                        _mm256_movemask_ps(_mm256_cmp_ps::<_CMP_LT_OQ>(_mm256_loadu_ps(x.add(at)), zero)) as u64
                    } else {
                        (at..d).fold(0, |bits, j| bits | u64::from(x.add(j).read() < 0.0) << (j - at))
                    }
                };
                word |= bits << i;
            }
            // SAFETY: `w < words`.
            unsafe { out.add(w).write(word) };
        }
    }

    #[target_feature(enable = "avx512f,avx512vpopcntdq")]
    pub unsafe fn differing_avx512(x: *const u64, set: *const u64, words: usize, out: &mut [u32]) {
        for (at, out) in out.iter_mut().enumerate() {
            let mut sum = _mm512_setzero_si512();
            for w in (0..words).step_by(SKETCH_WORDS) {
                // SAFETY: a sketch is a whole number of registers, and the set has one for each element of `out`.
                let (a, b) = unsafe {
                    (_mm512_loadu_si512(x.add(w).cast()), _mm512_loadu_si512(set.add(at * words + w).cast()))
                };
                sum = _mm512_add_epi64(sum, _mm512_popcnt_epi64(_mm512_xor_si512(a, b)));
            }
            *out = _mm512_reduce_add_epi64(sum) as u32;
        }
    }

    #[target_feature(enable = "avx2")]
    pub unsafe fn differing_avx2(x: *const u64, set: *const u64, words: usize, out: &mut [u32]) {
        let nibble = _mm256_set1_epi8(15);
        let bits = _mm256_broadcastsi128_si256(_mm_setr_epi8(0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4));
        for (at, out) in out.iter_mut().enumerate() {
            let mut sum = _mm256_setzero_si256();
            for w in (0..words).step_by(4) {
                // SAFETY: a sketch is a whole number of registers, and the set has one for each element of `out`.
                let (a, b) = unsafe {
                    (_mm256_loadu_si256(x.add(w).cast()), _mm256_loadu_si256(set.add(at * words + w).cast()))
                };
                let both = _mm256_xor_si256(a, b);
                let low = _mm256_shuffle_epi8(bits, _mm256_and_si256(both, nibble));
                let high = _mm256_shuffle_epi8(bits, _mm256_and_si256(_mm256_srli_epi16::<4>(both), nibble));
                sum = _mm256_add_epi64(sum, _mm256_sad_epu8(_mm256_add_epi8(low, high), _mm256_setzero_si256()));
            }
            let half = _mm_add_epi64(_mm256_castsi256_si128(sum), _mm256_extracti128_si256::<1>(sum));
            *out = (_mm_cvtsi128_si64(half) + _mm_extract_epi64::<1>(half)) as u32;
        }
    }
}

#[cfg(target_arch = "aarch64")]
mod neon {
    use std::arch::aarch64::*;

    pub unsafe fn differing(x: *const u64, set: *const u64, words: usize, out: &mut [u32]) {
        for (at, out) in out.iter_mut().enumerate() {
            *out = 0;
            for w in (0..words).step_by(2) {
                // SAFETY: NEON is part of every AArch64 target; a sketch is a whole number of registers, and the set
                // has one for each element of `out`.
                *out += unsafe {
                    let both = veorq_u64(vld1q_u64(x.add(w)), vld1q_u64(set.add(at * words + w)));
                    u32::from(vaddlvq_u8(vcntq_u8(vreinterpretq_u8_u64(both))))
                };
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::sample::floats;

    #[test]
    fn every_variant_makes_the_same_sketch() {
        for d in [1usize, 7, 8, 12, 63, 64, 65, 200, 384, 511, 512, 1000] {
            let words = d.div_ceil(64).next_multiple_of(SKETCH_WORDS);
            let mut x = floats(d as u64, d);
            for (at, special) in [-0.0, 0.0, f32::NAN, f32::NEG_INFINITY].into_iter().enumerate() {
                if let Some(element) = x.get_mut(at * 11) {
                    *element = special;
                }
            }
            for (isa, kernel) in SIGNS.iter().filter(|(isa, _)| isa.available()) {
                let mut sketch = vec![u64::MAX; words];
                // SAFETY: the CPU has `isa`, `d` elements are there and a bit for each.
                unsafe { kernel(x.as_ptr(), d, sketch.as_mut_ptr(), words) };
                for i in 0..64 * words {
                    let expected = x.get(i).is_some_and(|x| *x < 0.0);
                    assert_eq!(sketch[i / 64] >> (i % 64) & 1 == 1, expected, "{isa:?} {d} {i}");
                }
            }
        }
    }

    #[test]
    fn every_variant_counts_the_same_bits() {
        for words in [SKETCH_WORDS, 3 * SKETCH_WORDS] {
            let all: Vec<u64> =
                (1..=6 * words as u64).map(|i| i.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(i as u32)).collect();
            let (x, set) = all.split_at(words);
            let expected: Vec<u32> =
                set.chunks(words).map(|y| x.iter().zip(y).map(|(x, y)| (x ^ y).count_ones()).sum()).collect();
            for (isa, kernel) in DIFFERING.iter().filter(|(isa, _)| isa.available()) {
                let mut found = vec![0; expected.len()];
                // SAFETY: the CPU has `isa`, and the set has a sketch for each element of `found`.
                unsafe { kernel(x.as_ptr(), set.as_ptr(), words, &mut found) };
                assert_eq!(found, expected, "{isa:?} {words}");
            }
        }
    }
}
