//! Which slots of a typed column hold a value: one u64 a block, bit `j` for slot `j`.
//!
//! Every kernel adds its slots to the words that are there, so that a list of values is a call for each.

use crate::dispatch::{self, Isa};
use crate::plan::BLOCK;

/// Adds the slots whose value lies in `[low, high]`. NaN lies nowhere.
pub type Between = unsafe fn(column: *const f64, low: f64, high: f64, words: &mut [u64]);
/// Adds the slots that hold `value`.
pub type Equal<T> = unsafe fn(column: *const T, value: T, words: &mut [u64]);

/// Every variant, best first. A call needs the instruction set, and a column that starts on a multiple of 64 and
/// has a block for each word; what another thread writes meanwhile is read as it happens to be.
pub const BETWEEN: &[(Isa, Between)] = &[
    #[cfg(target_arch = "x86_64")]
    (Isa::Avx512bw, x86::between_avx512),
    #[cfg(target_arch = "x86_64")]
    (Isa::Avx2, x86::between_avx2),
    (Isa::Scalar, between),
];
/// As above, for dictionary codes.
pub const EQUAL_U32: &[(Isa, Equal<u32>)] = &[
    #[cfg(target_arch = "x86_64")]
    (Isa::Avx512bw, x86::equal_u32_avx512),
    #[cfg(target_arch = "x86_64")]
    (Isa::Avx2, x86::equal_u32_avx2),
    (Isa::Scalar, equal),
];
/// As above, for bytes.
pub const EQUAL_U8: &[(Isa, Equal<u8>)] = &[
    #[cfg(target_arch = "x86_64")]
    (Isa::Avx512bw, x86::equal_u8_avx512),
    #[cfg(target_arch = "x86_64")]
    (Isa::Avx2, x86::equal_u8_avx2),
    (Isa::Scalar, equal),
];

/// The kernels in force.
#[derive(Clone, Copy)]
pub struct Compare {
    /// For f64 columns.
    pub between: Between,
    /// For u32 columns.
    pub equal_u32: Equal<u32>,
    /// For u8 columns.
    pub equal_u8: Equal<u8>,
}

impl Compare {
    /// The best that the CPU has.
    pub fn pick() -> Self {
        Compare {
            between: dispatch::pick(BETWEEN, between),
            equal_u32: dispatch::pick(EQUAL_U32, equal),
            equal_u8: dispatch::pick(EQUAL_U8, equal),
        }
    }
}

/// The slots of a block that `holds`.
#[inline(always)]
unsafe fn word_of<T: Copy>(block: *const T, holds: impl Fn(T) -> bool) -> u64 {
    // SAFETY: the caller's promise: the block has a value for each slot.
    (0..BLOCK).fold(0, |word, slot| word | u64::from(holds(unsafe { block.add(slot).read() })) << slot)
}

unsafe fn between(column: *const f64, low: f64, high: f64, words: &mut [u64]) {
    for (b, word) in words.iter_mut().enumerate() {
        // SAFETY: the column has a block for each word.
        *word |= unsafe { word_of(column.add(b * BLOCK), |x| low <= x && x <= high) };
    }
}

unsafe fn equal<T: Copy + PartialEq>(column: *const T, value: T, words: &mut [u64]) {
    for (b, word) in words.iter_mut().enumerate() {
        // SAFETY: the column has a block for each word.
        *word |= unsafe { word_of(column.add(b * BLOCK), |x| x == value) };
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use crate::plan::BLOCK;
    use std::arch::x86_64::*;

    /// The word of a block whose registers each give `LANES` bits, lowest slots first.
    #[inline(always)]
    fn gather<const LANES: usize>(mask: impl Fn(usize) -> u64) -> u64 {
        (0..BLOCK / LANES).fold(0, |word, i| word | mask(i * LANES) << (i * LANES))
    }

    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
    pub unsafe fn between_avx512(column: *const f64, low: f64, high: f64, words: &mut [u64]) {
        let (low, high) = (_mm512_set1_pd(low), _mm512_set1_pd(high));
        for (b, word) in words.iter_mut().enumerate() {
            *word |= gather::<8>(|slot| {
                // SAFETY: eight slots of block `b`, 64-byte aligned.
                let x = unsafe { _mm512_load_pd(column.add(b * BLOCK + slot)) };
                let above = _mm512_cmp_pd_mask::<_CMP_GE_OQ>(x, low);
                u64::from(_mm512_mask_cmp_pd_mask::<_CMP_LE_OQ>(above, x, high))
            });
        }
    }

    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
    pub unsafe fn equal_u32_avx512(column: *const u32, value: u32, words: &mut [u64]) {
        let value = _mm512_set1_epi32(value.cast_signed());
        for (b, word) in words.iter_mut().enumerate() {
            *word |= gather::<16>(|slot| {
                // SAFETY: sixteen slots of block `b`, 64-byte aligned.
                let x = unsafe { _mm512_load_si512(column.add(b * BLOCK + slot).cast()) };
                u64::from(_mm512_cmpeq_epi32_mask(x, value))
            });
        }
    }

    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
    pub unsafe fn equal_u8_avx512(column: *const u8, value: u8, words: &mut [u64]) {
        let value = _mm512_set1_epi8(value.cast_signed());
        for (b, word) in words.iter_mut().enumerate() {
            // SAFETY: the 64 slots of block `b`, 64-byte aligned.
            let x = unsafe { _mm512_load_si512(column.add(b * BLOCK).cast()) };
            *word |= _mm512_cmpeq_epi8_mask(x, value);
        }
    }

    #[target_feature(enable = "avx2,fma,f16c")]
    pub unsafe fn between_avx2(column: *const f64, low: f64, high: f64, words: &mut [u64]) {
        let (low, high) = (_mm256_set1_pd(low), _mm256_set1_pd(high));
        for (b, word) in words.iter_mut().enumerate() {
            *word |= gather::<4>(|slot| {
                // SAFETY: four slots of block `b`, 32-byte aligned.
                let x = unsafe { _mm256_load_pd(column.add(b * BLOCK + slot)) };
                let (above, below) = (_mm256_cmp_pd::<_CMP_GE_OQ>(x, low), _mm256_cmp_pd::<_CMP_LE_OQ>(x, high));
                u64::from(_mm256_movemask_pd(_mm256_and_pd(above, below)).cast_unsigned())
            });
        }
    }

    #[target_feature(enable = "avx2,fma,f16c")]
    pub unsafe fn equal_u32_avx2(column: *const u32, value: u32, words: &mut [u64]) {
        let value = _mm256_set1_epi32(value.cast_signed());
        for (b, word) in words.iter_mut().enumerate() {
            *word |= gather::<8>(|slot| {
                // SAFETY: eight slots of block `b`, 32-byte aligned.
                let x = unsafe { _mm256_load_si256(column.add(b * BLOCK + slot).cast()) };
                let equal = _mm256_castsi256_ps(_mm256_cmpeq_epi32(x, value));
                u64::from(_mm256_movemask_ps(equal).cast_unsigned())
            });
        }
    }

    #[target_feature(enable = "avx2,fma,f16c")]
    pub unsafe fn equal_u8_avx2(column: *const u8, value: u8, words: &mut [u64]) {
        let value = _mm256_set1_epi8(value.cast_signed());
        for (b, word) in words.iter_mut().enumerate() {
            *word |= gather::<32>(|slot| {
                // SAFETY: 32 slots of block `b`, 32-byte aligned.
                let x = unsafe { _mm256_load_si256(column.add(b * BLOCK + slot).cast()) };
                u64::from(_mm256_movemask_epi8(_mm256_cmpeq_epi8(x, value)).cast_unsigned())
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BLOCKS: usize = 3;

    #[repr(C, align(64))]
    struct Column<T>([T; BLOCKS * BLOCK]);

    fn words_of<T: Copy>(column: &Column<T>, before: u64, holds: impl Fn(T) -> bool) -> Vec<u64> {
        let word = |block: &[T]| block.iter().rev().fold(0, |word, x| word << 1 | u64::from(holds(*x))) | before;
        column.0.chunks(BLOCK).map(word).collect()
    }

    #[test]
    fn every_variant_finds_what_a_look_at_each_slot_finds() {
        let values = [f64::NAN, -0.0, 0.0, 1.0, 2.5, f64::INFINITY, f64::NEG_INFINITY, 3.0];
        let numbers = Column(std::array::from_fn(|i| values[i * 7919 % 31 % values.len()]));
        let codes = Column::<u32>(std::array::from_fn(|i| (u32::MAX - 3).wrapping_add((i * 7919 % 31 % 5) as u32)));
        let bytes = Column::<u8>(std::array::from_fn(|i| (i * 7919 % 31 % 3 * 127) as u8));
        for (low, high) in [(0.0, 2.5), (-0.0, -0.0), (1.0, 0.0), (f64::NEG_INFINITY, f64::INFINITY)] {
            for (isa, kernel) in BETWEEN.iter().filter(|(isa, _)| isa.available()) {
                let mut words = [1u64; BLOCKS];
                // SAFETY: the CPU has `isa`, and the column a block for each word.
                unsafe { kernel(numbers.0.as_ptr(), low, high, &mut words) };
                assert_eq!(words.to_vec(), words_of(&numbers, 1, |x| low <= x && x <= high), "{isa:?}");
            }
        }
        for (isa, kernel) in EQUAL_U32.iter().filter(|(isa, _)| isa.available()) {
            let mut words = [1u64 << 63; BLOCKS];
            // SAFETY: as above.
            unsafe { kernel(codes.0.as_ptr(), u32::MAX, &mut words) };
            assert_eq!(words.to_vec(), words_of(&codes, 1 << 63, |x| x == u32::MAX), "{isa:?}");
        }
        for (isa, kernel) in EQUAL_U8.iter().filter(|(isa, _)| isa.available()) {
            let mut words = [0u64; BLOCKS];
            // SAFETY: as above.
            unsafe { kernel(bytes.0.as_ptr(), 254, &mut words) };
            assert_eq!(words.to_vec(), words_of(&bytes, 0, |x| x == 254), "{isa:?}");
        }
    }
}
