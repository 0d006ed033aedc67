//! Which vector instructions this machine has, and loops compiled for each set of them. Knows no operation.
#![allow(unsafe_code)]

use std::sync::OnceLock;

/// A set of vector instructions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Level {
    /// 16 lanes: AVX-512.
    #[cfg(target_arch = "x86_64")]
    V4,
    /// 8 lanes with fused multiply-add: AVX2.
    #[cfg(target_arch = "x86_64")]
    V3,
    /// Whatever every machine of this architecture has.
    Base,
}

/// The widest set of this machine.
pub(super) fn level() -> Level {
    static LEVEL: OnceLock<Level> = OnceLock::new();
    *LEVEL.get_or_init(|| {
        #[cfg(target_arch = "x86_64")]
        {
            let has_v3 = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma");
            let has_v4 = is_x86_feature_detected!("avx512f")
                && is_x86_feature_detected!("avx512vl")
                && is_x86_feature_detected!("avx512bw")
                && is_x86_feature_detected!("avx512dq");
            if has_v3 && has_v4 {
                return Level::V4;
            }
            if has_v3 {
                return Level::V3;
            }
        }
        Level::Base
    })
}

/// A function whose plain loops the compiler turns into vector instructions, once for each [`Level`].
macro_rules! vectorized {
    ($(#[$doc:meta])* fn $name:ident($($arg:ident: $ty:ty),* $(,)?) $(-> $out:ty)? $body:block) => {
        $(#[$doc])*
        #[allow(unsafe_code)]
        pub(super) fn $name($($arg: $ty),*) $(-> $out)? {
            #[inline(always)]
            fn body($($arg: $ty),*) $(-> $out)? $body
            #[cfg(target_arch = "x86_64")]
            {
                #[target_feature(enable = "avx512f,avx512vl,avx512bw,avx512dq,avx2,fma")]
                fn v4($($arg: $ty),*) $(-> $out)? { body($($arg),*) }
                #[target_feature(enable = "avx2,fma")]
                fn v3($($arg: $ty),*) $(-> $out)? { body($($arg),*) }
                match $crate::cpu::simd::level() {
                    // SAFETY: `level` found these features on this machine.
                    $crate::cpu::simd::Level::V4 => return unsafe { v4($($arg),*) },
                    // SAFETY: as above.
                    $crate::cpu::simd::Level::V3 => return unsafe { v3($($arg),*) },
                    $crate::cpu::simd::Level::Base => {}
                }
            }
            body($($arg),*)
        }
    };
}
pub(super) use vectorized;
