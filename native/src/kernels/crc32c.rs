//! CRC-32C (Castagnoli, reflected, RFC 3720 B.4).
//!
//! The CRC instruction takes eight bytes a cycle but answers after three, so three runs of a
//! round are summed side by side. A CRC is linear: the state of a run is moved past the bytes
//! of the next with four look-ups and added to it.

use crate::dispatch::{Isa, pick};

/// State after `len` bytes at `data`, from `state`. The states of a whole CRC are inverted.
pub type Update = unsafe fn(state: u32, data: *const u8, len: usize) -> u32;

/// Every variant, best first.
pub const VARIANTS: &[(Isa, Update)] = &[
    #[cfg(target_arch = "x86_64")]
    (Isa::Avx2, sse42),
    #[cfg(target_arch = "aarch64")]
    (Isa::Neon, aarch64),
    (Isa::Scalar, slicing),
];

/// The CRC of `len` bytes on the instruction set in force.
///
/// # Safety
/// `len` bytes can be read at `data`.
pub unsafe fn crc32c(data: *const u8, len: usize) -> u32 {
    // SAFETY: the caller's guarantee; `pick` gives only what the CPU has.
    !unsafe { pick(VARIANTS, slicing)(!0, data, len) }
}

/// The polynomial, lowest power in the top bit.
const POLYNOMIAL: u32 = 0x82f6_3b78;

/// `value * x^8` modulo the polynomial: what a zero byte does to a state.
const fn pass_zero_byte(mut value: u32) -> u32 {
    let mut bit = 0;
    while bit < 8 {
        value = value >> 1 ^ if value & 1 == 1 { POLYNOMIAL } else { 0 };
        bit += 1;
    }
    value
}

/// `a * b` modulo the polynomial.
const fn multiply(a: u32, mut b: u32) -> u32 {
    let (mut product, mut bit) = (0, 1 << 31);
    while bit != 0 {
        if a & bit != 0 {
            product ^= b;
        }
        b = b >> 1 ^ if b & 1 == 1 { POLYNOMIAL } else { 0 };
        bit >>= 1;
    }
    product
}

/// `[i][v]`: what byte value `v`, `i` bytes before the last of eight, adds to the state.
#[expect(clippy::indexing_slicing, reason = "evaluated by the compiler, which refuses an index out of bounds")]
static SLICES: [[u32; 256]; 8] = {
    let mut slices = [[0; 256]; 8];
    let mut value = 0;
    while value < 256 {
        let (mut state, mut slice) = (value as u32, 0);
        while slice < 8 {
            state = pass_zero_byte(state);
            slices[slice][value] = state;
            slice += 1;
        }
        value += 1;
    }
    slices
};

/// Entry `byte` of `table`.
#[inline(always)]
fn entry(table: &[u32; 256], byte: u64) -> u32 {
    // The index is a byte: the fallback is never taken and costs nothing.
    table.get((byte & 255) as usize).copied().unwrap_or(0)
}

/// Eight bytes at a time through eight tables.
///
/// # Safety
/// `len` bytes can be read at `data`.
unsafe fn slicing(mut state: u32, data: *const u8, len: usize) -> u32 {
    let [s0, s1, s2, s3, s4, s5, s6, s7] = &SLICES;
    let mut at = 0;
    while at + 8 <= len {
        // SAFETY: eight bytes from `at` on are below `len`.
        let word = u64::from_le(unsafe { data.add(at).cast::<u64>().read_unaligned() }) ^ u64::from(state);
        state = entry(s7, word)
            ^ entry(s6, word >> 8)
            ^ entry(s5, word >> 16)
            ^ entry(s4, word >> 24)
            ^ entry(s3, word >> 32)
            ^ entry(s2, word >> 40)
            ^ entry(s1, word >> 48)
            ^ entry(s0, word >> 56);
        at += 8;
    }
    while at < len {
        // SAFETY: `at < len`.
        let byte = unsafe { data.add(at).read() };
        state = state >> 8 ^ entry(s0, u64::from(state) ^ u64::from(byte));
        at += 1;
    }
    state
}

/// `[i][v]`: where byte value `v` at byte `i` of a state is after a run of zero bytes.
type Shift = [[u32; 256]; 4];

/// The table that moves a state past `bytes` zero bytes.
#[expect(clippy::indexing_slicing, reason = "evaluated by the compiler, which refuses an index out of bounds")]
const fn shift_past(bytes: usize) -> Shift {
    // x^8, squared as the bits of `bytes` say.
    let (mut power, mut square, mut left) = (1 << 31, 1 << 23, bytes);
    while left > 0 {
        if left & 1 == 1 {
            power = multiply(power, square);
        }
        square = multiply(square, square);
        left >>= 1;
    }
    let mut shift = [[0; 256]; 4];
    let mut value = 0;
    while value < 256 {
        let mut byte = 0;
        while byte < 4 {
            shift[byte][value] = multiply((value as u32) << (8 * byte), power);
            byte += 1;
        }
        value += 1;
    }
    shift
}

/// Bytes of a run of a long round: large enough that joining runs costs little.
const LONG: usize = 2048;
/// Bytes of a run of a short round: for what is left of less than a long one.
const SHORT: usize = 128;
static PAST_LONG: Shift = shift_past(LONG);
static PAST_SHORT: Shift = shift_past(SHORT);

/// `state` moved past the bytes that `shift` was made for.
#[inline(always)]
fn moved(state: u32, shift: &Shift) -> u32 {
    let [s0, s1, s2, s3] = shift;
    let state = u64::from(state);
    entry(s0, state) ^ entry(s1, state >> 8) ^ entry(s2, state >> 16) ^ entry(s3, state >> 24)
}

/// The rounds, with the CRC instruction given as `word` and `byte`.
///
/// # Safety
/// `len` bytes can be read at `data`.
#[inline(always)]
unsafe fn rounds(
    mut state: u32,
    data: *const u8,
    len: usize,
    word: impl Fn(u32, u64) -> u32,
    byte: impl Fn(u32, u8) -> u32,
) -> u32 {
    let mut at = 0;
    for (run, shift) in [(LONG, &PAST_LONG), (SHORT, &PAST_SHORT)] {
        while at + 3 * run <= len {
            let (mut second, mut third) = (0, 0);
            for i in (at..at + run).step_by(8) {
                // SAFETY: the last of the three words ends at most at `at + 3 * run <= len`.
                unsafe {
                    let from = data.add(i);
                    state = word(state, from.cast::<u64>().read_unaligned());
                    second = word(second, from.add(run).cast::<u64>().read_unaligned());
                    third = word(third, from.add(2 * run).cast::<u64>().read_unaligned());
                }
            }
            state = moved(moved(state, shift) ^ second, shift) ^ third;
            at += 3 * run;
        }
    }
    while at + 8 <= len {
        // SAFETY: eight bytes from `at` on are below `len`.
        state = word(state, unsafe { data.add(at).cast::<u64>().read_unaligned() });
        at += 8;
    }
    while at < len {
        // SAFETY: `at < len`.
        state = byte(state, unsafe { data.add(at).read() });
        at += 1;
    }
    state
}

/// # Safety
/// As [`rounds`], on a CPU with AVX2, which SSE4.2 is part of.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
unsafe fn sse42(state: u32, data: *const u8, len: usize) -> u32 {
    use std::arch::x86_64::{_mm_crc32_u8, _mm_crc32_u64};
    // SAFETY: the caller's guarantee.
    unsafe {
        rounds(
            state,
            data,
            len,
            |state, word| _mm_crc32_u64(u64::from(state), word) as u32,
            |state, byte| _mm_crc32_u8(state, byte),
        )
    }
}

/// # Safety
/// As [`rounds`], on a CPU with the CRC-32 instructions.
#[cfg(target_arch = "aarch64")]
#[target_feature(enable = "crc")]
unsafe fn aarch64(state: u32, data: *const u8, len: usize) -> u32 {
    use std::arch::aarch64::{__crc32cb, __crc32cd};
    // SAFETY: the caller's guarantee.
    unsafe { rounds(state, data, len, |state, word| __crc32cd(state, word), |state, byte| __crc32cb(state, byte)) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::sample::bytes;

    /// The definition, bit by bit.
    fn naive(data: &[u8]) -> u32 {
        !data.iter().fold(!0, |state, byte| pass_zero_byte(state ^ u32::from(*byte)))
    }

    fn each_variant(data: &[u8], mut check: impl FnMut(Isa, u32)) {
        for (isa, update) in VARIANTS.iter().filter(|(isa, _)| isa.available()) {
            // SAFETY: the CPU has `isa`, and the bytes are there.
            check(*isa, !unsafe { update(!0, data.as_ptr(), data.len()) });
        }
    }

    #[test]
    fn every_variant_gives_the_published_checksums() {
        let ascending: Vec<u8> = (0..32).collect();
        let published: [(&[u8], u32); 5] = [
            (b"", 0),
            (b"123456789", 0xe306_9283),
            (&[0; 32], 0x8a91_36aa),
            (&[255; 32], 0x62a8_ab43),
            (&ascending, 0x46dd_794e),
        ];
        for (data, expected) in published {
            each_variant(data, |isa, crc| assert_eq!(crc, expected, "{isa:?} {data:?}"));
        }
    }

    #[test]
    fn every_length_and_alignment_agrees_with_the_definition() {
        let data = bytes(1, 3 * LONG * 2 + 3 * SHORT + 30);
        let edges = [3 * SHORT, 6 * SHORT, 3 * LONG, 3 * (LONG + SHORT), 6 * LONG];
        let lengths = (0..100).chain(edges.into_iter().flat_map(|edge| edge - 2..edge + 12));
        for (len, from) in lengths.zip((0..9).cycle()) {
            let data = &data[from..from + len];
            let expected = naive(data);
            each_variant(data, |isa, crc| assert_eq!(crc, expected, "{isa:?} {len} from {from}"));
        }
    }
}
