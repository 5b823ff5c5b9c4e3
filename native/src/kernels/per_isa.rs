//! How a kernel whose body is the same for every instruction set gets its variants.

/// Compiles each body inside a function that enables its instruction set, and lists the
/// variants best first. Bodies are `inline(always)`.
macro_rules! per_isa {
    (
        $(#[$doc:meta])*
        $variants:ident: $kernel:ty = fn($($arg:ident: $type:ty),*) $(-> $result:ty)?;
        avx512 $avx512:expr, avx2 $avx2:expr, neon $neon:expr, scalar $scalar:expr
    ) => {
        $(#[$doc])*
        pub const $variants: &[(crate::dispatch::Isa, $kernel)] = {
            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
            unsafe fn avx512($($arg: $type),*) $(-> $result)? {
                // SAFETY: the caller's guarantee, with the instruction set enabled here.
                unsafe { $avx512($($arg),*) }
            }
            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx2,fma,f16c")]
            unsafe fn avx2($($arg: $type),*) $(-> $result)? {
                // SAFETY: the caller's guarantee, with the instruction set enabled here.
                unsafe { $avx2($($arg),*) }
            }
            #[cfg(target_arch = "aarch64")]
            unsafe fn neon($($arg: $type),*) $(-> $result)? {
                // SAFETY: the caller's guarantee; NEON is part of every AArch64 target.
                unsafe { $neon($($arg),*) }
            }
            &[
                #[cfg(target_arch = "x86_64")]
                (crate::dispatch::Isa::Avx512bw, avx512),
                #[cfg(target_arch = "x86_64")]
                (crate::dispatch::Isa::Avx2, avx2),
                #[cfg(target_arch = "aarch64")]
                (crate::dispatch::Isa::Neon, neon),
                (crate::dispatch::Isa::Scalar, $scalar),
            ]
        };
    };
}

pub(crate) use per_isa;
