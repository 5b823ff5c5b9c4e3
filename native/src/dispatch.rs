//! The one place that asks the CPU what it can do.

use crate::error::{NativeCode, Result, refuse};
use std::sync::atomic::{AtomicU8, Ordering};

/// Instruction sets a kernel can be written for, each containing those before it on its
/// architecture.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Isa {
    /// Plain Rust: what the compiler makes of it for the baseline CPU.
    Scalar,
    /// NEON with the CRC-32 instructions: every AArch64 CPU from Armv8.1 on, and most before it.
    Neon,
    /// AVX2 with FMA and F16C.
    Avx2,
    /// AVX-512 F, BW, DQ and VL.
    Avx512bw,
    /// The same with VNNI.
    Avx512vnni,
    /// The same with VPOPCNTDQ, BITALG and VBMI: every CPU with BITALG has all three.
    Avx512vpopcntdq,
}

impl Isa {
    /// Every instruction set, best first.
    pub const ALL: [Isa; 6] = [Isa::Avx512vpopcntdq, Isa::Avx512vnni, Isa::Avx512bw, Isa::Avx2, Isa::Neon, Isa::Scalar];

    /// The name JavaScript and `SABINE_ISA` use.
    pub fn name(self) -> &'static str {
        match self {
            Isa::Scalar => "scalar",
            Isa::Neon => "neon",
            Isa::Avx2 => "avx2",
            Isa::Avx512bw => "avx512bw",
            Isa::Avx512vnni => "avx512vnni",
            Isa::Avx512vpopcntdq => "avx512vpopcntdq",
        }
    }

    /// Whether this CPU has it. The standard library caches the answer.
    pub fn available(self) -> bool {
        match self {
            Isa::Scalar => true,
            #[cfg(target_arch = "aarch64")]
            Isa::Neon => {
                std::arch::is_aarch64_feature_detected!("neon") && std::arch::is_aarch64_feature_detected!("crc")
            }
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2 => {
                is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") && is_x86_feature_detected!("f16c")
            }
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512bw => {
                Isa::Avx2.available()
                    && is_x86_feature_detected!("avx512f")
                    && is_x86_feature_detected!("avx512bw")
                    && is_x86_feature_detected!("avx512dq")
                    && is_x86_feature_detected!("avx512vl")
            }
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512vnni => Isa::Avx512bw.available() && is_x86_feature_detected!("avx512vnni"),
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512vpopcntdq => {
                Isa::Avx512vnni.available()
                    && is_x86_feature_detected!("avx512vpopcntdq")
                    && is_x86_feature_detected!("avx512bitalg")
                    && is_x86_feature_detected!("avx512vbmi")
            }
            #[allow(unreachable_patterns)]
            _ => false,
        }
    }
}

/// The instruction set in force for the whole process, as `Isa as u8 + 1`; 0 until first asked.
static ACTIVE: AtomicU8 = AtomicU8::new(0);

/// The instruction set in force: the best of this CPU unless [`use_isa`] chose another.
pub fn active() -> Isa {
    let stored = ACTIVE.load(Ordering::Relaxed);
    let found = Isa::ALL.into_iter().find(|isa| *isa as u8 + 1 == stored);
    found.unwrap_or_else(|| {
        let best = Isa::ALL.into_iter().find(|isa| isa.available()).unwrap_or(Isa::Scalar);
        ACTIVE.store(best as u8 + 1, Ordering::Relaxed);
        best
    })
}

/// Puts `name` in force for every thread of the process. Results never depend on it beyond
/// the stated ULP budget of the float kernels.
pub fn use_isa(name: &str) -> Result<()> {
    let isa = Isa::ALL
        .into_iter()
        .find(|isa| isa.name() == name && isa.available())
        .ok_or_else(|| refuse(NativeCode::Isa, format!("{name} is not on this machine")))?;
    ACTIVE.store(isa as u8 + 1, Ordering::Relaxed);
    Ok(())
}

/// The best variant at or below the instruction set in force. `variants` is ordered best first
/// and ends with the scalar one, so `scalar` is only what satisfies the compiler.
pub fn pick<F: Copy>(variants: &[(Isa, F)], scalar: F) -> F {
    let isa = active();
    variants.iter().find(|(have, _)| *have <= isa && have.available()).map_or(scalar, |(_, kernel)| *kernel)
}
