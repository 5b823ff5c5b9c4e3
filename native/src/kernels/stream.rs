//! Reads every byte once and does next to nothing with it: the memory limit scans compare with.
//!
//! The digest is the XOR of all little-endian u32, the last one padded with zeros.

use crate::dispatch::{self, Isa};
#[cfg(target_arch = "x86_64")]
use crate::kernels::prefetch::{prefetch, prefetch_page_after};

/// Digest of `len` bytes at `bytes`, which are readable; the CPU has the variant's instructions.
pub type Stream = unsafe fn(bytes: *const u8, len: usize) -> u32;

/// Every variant, best first.
pub const VARIANTS: &[(Isa, Stream)] = &[
    #[cfg(target_arch = "x86_64")]
    (Isa::Avx512bw, avx512),
    #[cfg(target_arch = "x86_64")]
    (Isa::Avx2, avx2),
    (Isa::Scalar, scalar),
];

/// The kernel in force.
pub fn pick() -> Stream {
    dispatch::pick(VARIANTS, scalar)
}

/// Bytes of one step of the vector loop.
#[cfg(target_arch = "x86_64")]
const STEP: usize = 256;
/// Bytes between what wide loads read and what they ask for.
#[cfg(target_arch = "x86_64")]
const AHEAD: usize = 8192;
/// Bytes between two hints.
#[cfg(target_arch = "x86_64")]
const HINT: usize = 2048;

unsafe fn scalar(bytes: *const u8, len: usize) -> u32 {
    // Four sums, because one would wait for itself at every word.
    let mut sums = [0u32; 4];
    let steps = len / 16;
    for step in 0..steps {
        // SAFETY: `step * 16 + 16 <= len`; a view may start at any byte.
        let words = unsafe { bytes.add(step * 16).cast::<[u32; 4]>().read_unaligned() };
        sums.iter_mut().zip(words).for_each(|(sum, word)| *sum ^= u32::from_le(word));
    }
    let mut digest = sums.into_iter().fold(0, |a, b| a ^ b);
    for i in steps * 16..len {
        // SAFETY: `i < len`.
        digest ^= u32::from(unsafe { bytes.add(i).read() }) << (i % 4 * 8);
    }
    digest
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f")]
unsafe fn avx512(bytes: *const u8, len: usize) -> u32 {
    use std::arch::x86_64::*;
    let mut sums = [_mm512_setzero_si512(); STEP / 64];
    let whole = len - len % STEP;
    for at in (0..whole).step_by(STEP) {
        for (i, sum) in sums.iter_mut().enumerate() {
            let line = bytes.wrapping_add(at + i * 64);
            prefetch(line.wrapping_add(AHEAD));
            // SAFETY: `at + STEP <= len`.
            *sum = _mm512_xor_si512(*sum, unsafe { _mm512_loadu_si512(line.cast()) });
        }
    }
    let sum = sums.into_iter().fold(_mm512_setzero_si512(), |a, b| _mm512_xor_si512(a, b));
    let mut words = [0u32; 16];
    // SAFETY: `words` is 64 bytes, and the rest starts at a multiple of 4 inside the view.
    unsafe {
        _mm512_storeu_si512(words.as_mut_ptr().cast(), sum);
        words.into_iter().fold(scalar(bytes.add(whole), len - whole), |a, b| a ^ b)
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
unsafe fn avx2(bytes: *const u8, len: usize) -> u32 {
    use std::arch::x86_64::*;
    let mut sums = [_mm256_setzero_si256(); STEP / 32];
    let whole = len - len % STEP;
    for at in (0..whole).step_by(STEP) {
        if at % HINT == 0 {
            prefetch_page_after(bytes.wrapping_add(at));
        }
        for (i, sum) in sums.iter_mut().enumerate() {
            let line = bytes.wrapping_add(at + i * 32);
            // SAFETY: `at + STEP <= len`.
            *sum = _mm256_xor_si256(*sum, unsafe { _mm256_loadu_si256(line.cast()) });
        }
    }
    let sum = sums.into_iter().fold(_mm256_setzero_si256(), |a, b| _mm256_xor_si256(a, b));
    let mut words = [0u32; 8];
    // SAFETY: `words` is 32 bytes, and the rest starts at a multiple of 4 inside the view.
    unsafe {
        _mm256_storeu_si256(words.as_mut_ptr().cast(), sum);
        words.into_iter().fold(scalar(bytes.add(whole), len - whole), |a, b| a ^ b)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_variant_gives_the_same_digest() {
        let bytes: Vec<u8> = (0..5000u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
        for len in [0, 1, 2, 3, 4, 5, 63, 64, 255, 256, 257, 511, 1023, 4999, 5000] {
            let naive = bytes[..len].chunks(4).fold(0, |digest, word| {
                let mut padded = [0; 4];
                padded[..word.len()].copy_from_slice(word);
                digest ^ u32::from_le_bytes(padded)
            });
            for (isa, kernel) in VARIANTS.iter().filter(|(isa, _)| isa.available()) {
                // SAFETY: the CPU has `isa`, and `len` bytes are there.
                assert_eq!(unsafe { kernel(bytes.as_ptr(), len) }, naive, "{isa:?} {len}");
            }
        }
    }
}
