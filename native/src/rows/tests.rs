use super::*;
use crate::kernels::f16;
use crate::kernels::sample::floats;

const D: usize = 20;

/// 64-byte aligned memory of one segment, and where its columns lie.
struct Memory {
    layout: SegmentLayout,
    rows: Vec<[u64; 8]>,
    codes: Vec<[u64; 8]>,
    pad: [usize; 2],
}

fn view<T>(array: &mut [T]) -> View<T> {
    View::from_raw(array.as_mut_ptr(), array.len())
}

impl Memory {
    fn new(metric: u32, precision: u32) -> Self {
        let (generation_offset, scales_offset) = (8 * BLOCKS as u32, 10 * SLOTS as u32);
        let layout = SegmentLayout {
            dimensions: D as u32,
            metric,
            precision,
            live_offset: 0,
            generation_offset,
            scales_offset,
            vectors_offset: scales_offset + 4 * SLOTS as u32,
            factor_scale: 2.0,
            subspaces: 0,
            subspace_bits: 0,
            rotated: 0,
        };
        let rows = vec![[0; 8]; (layout.vectors_offset as usize + 4 * D * SLOTS) / 64 + 1];
        let codes = vec![[0; 8]; codes_bytes(metric) / 64 + 1];
        let pad = [rows.as_ptr().addr(), codes.as_ptr().addr()].map(|at| at.wrapping_neg() & 63);
        Memory { layout, rows, codes, pad }
    }

    fn rows(&mut self) -> View<u8> {
        let [pad, _] = self.pad;
        View::from_raw(self.rows.as_mut_ptr().cast::<u8>().wrapping_add(pad), self.rows.len() * 64 - 64)
    }

    fn codes(&mut self) -> View<u8> {
        let [_, pad] = self.pad;
        View::from_raw(self.codes.as_mut_ptr().cast::<u8>().wrapping_add(pad), self.codes.len() * 64 - 64)
    }

    fn write(&mut self, vectors: &mut [f32], slots: &mut [u32], encoder: &mut [f32]) -> Result<()> {
        let (layout, rows, codes) = (self.layout, self.rows(), self.codes());
        write_rows(&layout, view(vectors), view(slots), view(encoder), rows, codes)
    }

    fn read(&mut self, slots: &mut [u32]) -> Vec<f32> {
        let mut out = vec![0.0; slots.len() * D];
        let (layout, rows) = (self.layout, self.rows());
        read_vectors(&layout, view(slots), rows, view(&mut out)).unwrap();
        out
    }

    fn generation(&mut self, slot: usize) -> u16 {
        let at = self.rows().ptr().wrapping_add(self.layout.generation_offset as usize).cast::<u16>();
        // SAFETY: the column has a generation for every slot.
        unsafe { at.add(slot).read() }
    }

    /// Byte `at` of the codes buffer.
    fn code_byte(&mut self, at: usize) -> u8 {
        // SAFETY: inside the buffer.
        unsafe { self.codes().ptr().add(at).read() }
    }

    /// The f16 of a slot in the column that starts at `offset`.
    fn half(&mut self, slot: usize, offset: usize) -> u16 {
        let at = offset + slot * 2;
        u16::from_le_bytes([self.code_byte(at), self.code_byte(at + 1)])
    }
}

/// Slots scattered over the segment, enough for several tiles.
fn slots() -> Vec<u32> {
    (0..250).map(|i| i * 7919 % SLOTS as u32).collect()
}

/// The code of `x` by the definition: bits, and `l2 / l1` before it is scaled.
fn naive_code(x: &[f32], encoder: &[f32]) -> (Vec<bool>, f64) {
    let (mean, projection) = encoder.split_at(D);
    let component = |m: usize| (0..D).fold(0.0, |sum, i| sum + (x[i] - mean[i]) * projection[i * CODE_BITS + m]);
    let v: Vec<f32> = (0..CODE_BITS).map(component).collect();
    let sum = |term: fn(f64) -> f64| v.iter().map(|v| term(f64::from(*v))).sum::<f64>();
    (v.iter().map(|v| *v >= 0.0).collect(), sum(|v| v * v) / sum(f64::abs))
}

#[test]
fn what_is_written_is_read_back_at_its_precision() {
    for (precision, step) in [(F32, 0.0), (F16, 1.0 / 2048.0), (INT8, 0.5001 / 127.0)] {
        let mut memory = Memory::new(DOT, precision);
        let (mut vectors, mut slots, mut encoder) = (floats(1, 250 * D), slots(), floats(2, D * 257));
        memory.write(&mut vectors, &mut slots, &mut encoder).unwrap();
        for (got, x) in memory.read(&mut slots).chunks(D).zip(vectors.chunks(D)) {
            let largest = x.iter().fold(0f32, |largest, x| largest.max(x.abs()));
            assert!(got.iter().zip(x).all(|(got, x)| (got - x).abs() <= step * largest), "{precision}");
        }
    }
}

#[test]
fn codes_and_factors_are_those_of_the_definition() {
    for metric in [COSINE, DOT, L2] {
        let mut memory = Memory::new(metric, F32);
        let (mut vectors, mut slots, mut encoder) = (floats(3, 250 * D), slots(), floats(4, D * 257));
        memory.write(&mut vectors, &mut slots, &mut encoder).unwrap();
        let stored = memory.read(&mut slots);
        for (x, slot) in stored.chunks(D).zip(slots) {
            let slot = slot as usize;
            let (bits, factor) = naive_code(x, &encoder);
            let block = slot / BLOCK * CODE_BLOCK_BYTES;
            for (m, bit) in bits.into_iter().enumerate() {
                let byte = memory.code_byte(block + m / 8 * BLOCK + slot % BLOCK);
                assert_eq!(byte >> (m % 8) & 1 == 1, bit, "metric {metric} slot {slot} bit {m}");
            }
            let near = |half: u16, value: f64| (f64::from(f16::to_f32(half)) - value).abs() <= value / 1024.0;
            assert!(near(memory.half(slot, FACTORS_OFFSET), factor / 2.0), "metric {metric} slot {slot}");
            if metric == L2 {
                let norm: f64 = x.iter().zip(&encoder).map(|(x, mean)| f64::from(x - mean).powi(2)).sum();
                assert!(near(memory.half(slot, NORMS_OFFSET), norm / 4.0), "slot {slot}");
            }
        }
    }
}

#[test]
fn cosine_vectors_are_stored_with_length_one() {
    let mut memory = Memory::new(COSINE, F32);
    memory.write(&mut floats(5, 250 * D), &mut slots(), &mut floats(6, D * 257)).unwrap();
    for x in memory.read(&mut slots()).chunks(D) {
        assert!((x.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>() - 1.0).abs() < 1e-6);
    }
}

#[test]
fn stored_vectors_are_encoded_as_they_were_written() {
    for metric in [COSINE, DOT, L2] {
        let mut memory = Memory::new(metric, F32);
        let mut slots: Vec<u32> = (1000..1250).collect();
        let mut encoder = floats(8, D * 257);
        memory.write(&mut floats(7, 250 * D), &mut slots, &mut encoder).unwrap();
        let written = memory.codes.clone();
        memory.codes.fill([0; 8]);
        let (layout, rows, codes) = (memory.layout, memory.rows(), memory.codes());
        encode_stored(&layout, 1000, 1250, view(&mut encoder), rows, codes).unwrap();
        assert!(memory.codes == written, "metric {metric}");
    }
}

#[test]
fn a_generation_ends_even_and_new() {
    let mut memory = Memory::new(DOT, NONE);
    let (mut vectors, mut encoder) = (floats(9, D), floats(10, D * 257));
    for expected in [2, 4, 6] {
        memory.write(&mut vectors, &mut [77], &mut encoder).unwrap();
        assert_eq!((memory.generation(76), memory.generation(77), memory.generation(78)), (0, expected, 0));
    }
}

#[test]
fn the_first_vector_at_fault_is_named_with_its_fault() {
    let faults = [([0.0, -0.0], 1), ([1.0, f32::NAN], 2), ([f32::INFINITY, 1.0], 3), ([1.0, -5.0], 4)];
    for ([x, y], fault) in faults {
        let mut vectors = [1.0, 4.0, x, y, f32::NAN, 0.0];
        assert_eq!(check_vectors(view(&mut vectors), 2, 4.0).unwrap(), 8 + fault);
    }
    assert_eq!(check_vectors(view(&mut [1.0, 4.0, 0.0, -1e-40]), 2, 4.0).unwrap(), -1);
    assert_eq!(check_vectors(view(&mut [f32::NAN, f32::INFINITY]), 2, 4.0).unwrap(), 2);
}

#[test]
fn what_does_not_fit_is_refused_before_anything_is_written() {
    let mut memory = Memory::new(DOT, F32);
    let mut encoder = floats(11, D * 257);
    let mut one = floats(12, D);
    assert!(memory.write(&mut one, &mut [SLOTS as u32], &mut encoder).is_err());
    assert!(memory.write(&mut one, &mut [1, 2], &mut encoder).is_err());
    assert!(memory.write(&mut one, &mut [1], &mut encoder[1..]).is_err());
    let sound = memory.layout;
    let broken = [
        SegmentLayout { dimensions: 0, ..sound },
        SegmentLayout { dimensions: 8193, ..sound },
        SegmentLayout { metric: 3, ..sound },
        SegmentLayout { precision: 4, ..sound },
        SegmentLayout { generation_offset: 2, ..sound },
        SegmentLayout { vectors_offset: !63, ..sound },
        SegmentLayout { metric: L2, ..sound },
        SegmentLayout { factor_scale: f64::NAN, ..sound },
    ];
    for layout in broken {
        memory.layout = layout;
        assert!(memory.write(&mut one, &mut [1], &mut encoder).is_err());
    }
    assert!(memory.rows.iter().chain(&memory.codes).all(|bytes| *bytes == [0; 8]));
}
