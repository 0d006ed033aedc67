//! What instructions of PTX make of one thread's numbers, for the 32 threads of a warp at once. Knows no memory and no order.
//!
//! Source: NVIDIA, "Parallel Thread Execution ISA", version 8.8. What it leaves open is answered here in another way than by the
//! shim: `ex2.approx` is off by as much as it may be.

use half::{bf16, f16};
use std::{
    array::from_fn,
    cmp::Ordering::{Equal, Greater, Less},
};

/// A register of each thread of a warp, whatever its type; what is narrower lies in the low bits, and the others are 0.
pub(super) type Lanes = [u64; 32];

/// Makes a register of up to three others. Who needs fewer looks at fewer.
pub(super) type Arithmetic = fn(&Lanes, &Lanes, &Lanes) -> Lanes;

/// A type of PTX as Rust has it.
trait Number: Copy {
    fn take(bits: u64) -> Self;
    fn give(self) -> u64;
}

macro_rules! whole {
    ($($ty:ty: $unsigned:ty),*) => {$(
        impl Number for $ty {
            fn take(bits: u64) -> $ty {
                bits as $ty
            }

            fn give(self) -> u64 {
                u64::from(self as $unsigned)
            }
        }
    )*};
}

whole! { u16: u16, u32: u32, u64: u64, i16: u16, i32: u32, i64: u64 }

macro_rules! floats {
    ($($ty:ty: $bits:ty),*) => {$(
        impl Number for $ty {
            fn take(bits: u64) -> $ty {
                <$ty>::from_bits(bits as $bits)
            }

            fn give(self) -> u64 {
                u64::from(self.to_bits())
            }
        }
    )*};
}

floats! { f32: u32, f64: u64, f16: u16, bf16: u16 }

/// Predicates.
impl Number for bool {
    fn take(bits: u64) -> bool {
        bits & 1 == 1
    }

    fn give(self) -> u64 {
        u64::from(self)
    }
}

macro_rules! one {
    ($ty:ty, (|$x:ident| $what:expr)) => {
        (|x, _, _| {
            from_fn(|lane| {
                let $x = <$ty>::take(x[lane]);
                $what.give()
            })
        }) as Arithmetic
    };
}

macro_rules! two {
    ($ty:ty, (|$x:ident, $y:ident| $what:expr)) => {
        two!($ty, $ty, (|$x, $y| $what))
    };
    ($ty:ty, $other:ty, (|$x:ident, $y:ident| $what:expr)) => {
        (|x, y, _| {
            from_fn(|lane| {
                let ($x, $y) = (<$ty>::take(x[lane]), <$other>::take(y[lane]));
                $what.give()
            })
        }) as Arithmetic
    };
}

macro_rules! three {
    ($ty:ty, $other:ty, (|$x:ident, $y:ident, $z:ident| $what:expr)) => {
        (|x, y, z| {
            from_fn(|lane| {
                let ($x, $y, $z) = (<$ty>::take(x[lane]), <$ty>::take(y[lane]), <$other>::take(z[lane]));
                $what.give()
            })
        }) as Arithmetic
    };
}

/// The same for each type that is named.
macro_rules! of {
    ($name:expr; $($($text:literal)|+ => $ty:ty),*; $what:ident! $body:tt) => {
        match $name {
            $($($text)|+ => Some($what!($ty, $body)),)*
            _ => None,
        }
    };
}

macro_rules! of_whole {
    ($name:expr; $what:ident! $body:tt) => {
        of!($name; "b16" | "u16" | "s16" => u16, "b32" | "u32" | "s32" => u32, "b64" | "u64" | "s64" => u64; $what! $body)
    };
}

macro_rules! of_signed {
    ($name:expr; $what:ident! $body:tt) => {
        of!($name; "b16" | "u16" => u16, "b32" | "u32" => u32, "b64" | "u64" => u64, "s16" => i16, "s32" => i32, "s64" => i64;
            $what! $body)
    };
}

macro_rules! of_bits {
    ($name:expr; $what:ident! $body:tt) => {
        of!($name; "b16" | "u16" | "s16" => u16, "b32" | "u32" | "s32" | "f32" => u32, "b64" | "u64" | "s64" | "f64" => u64; $what! $body)
    };
}

macro_rules! of_floats {
    ($name:expr; $what:ident! $body:tt) => {
        of!($name; "f32" => f32, "f64" => f64; $what! $body)
    };
}

/// The instruction of this name, where it only makes a register of others.
pub(super) fn named(name: &str) -> Option<Arithmetic> {
    let (rest, ty) = name.rsplit_once('.')?;
    match rest.split_once('.').unwrap_or((rest, "")) {
        ("mov", "") if ty == "pred" => Some(one!(bool, (|x| x))),
        // Addresses of all kinds of memory are numbers of their own here.
        ("mov" | "cvta", _) => of_bits!(ty; one!(|x| x)),
        ("selp", "") => match ty {
            "b16" | "u16" | "s16" => Some(three!(u16, bool, (|x, y, which| if which { x } else { y }))),
            "b32" | "u32" | "s32" | "f32" => Some(three!(u32, bool, (|x, y, which| if which { x } else { y }))),
            "b64" | "u64" | "s64" | "f64" => Some(three!(u64, bool, (|x, y, which| if which { x } else { y }))),
            _ => None,
        },
        ("setp", how) => compare(how, ty),
        ("cvt", _) => convert(name),
        (what @ ("add" | "sub" | "mul" | "fma" | "neg" | "abs" | "min" | "max" | "div" | "rcp" | "sqrt" | "ex2"), how)
            if ty.starts_with('f') =>
        {
            floating(what, how, ty)
        }
        (what, how) => whole(what, how, ty).or_else(|| bitwise(what, how, ty)),
    }
}

fn compare(how: &str, ty: &str) -> Option<Arithmetic> {
    if ty.starts_with('f') {
        return match how {
            "eq" => of_floats!(ty; two!(|x, y| (x == y))),
            "lt" => of_floats!(ty; two!(|x, y| (x < y))),
            "le" => of_floats!(ty; two!(|x, y| (x <= y))),
            "gt" => of_floats!(ty; two!(|x, y| (x > y))),
            "ge" => of_floats!(ty; two!(|x, y| (x >= y))),
            "ne" => of_floats!(ty; two!(|x, y| matches!(x.partial_cmp(&y), Some(Less | Greater)))),
            // With what is no number, these say yes.
            "equ" => of_floats!(ty; two!(|x, y| matches!(x.partial_cmp(&y), None | Some(Equal)))),
            "neu" => of_floats!(ty; two!(|x, y| (x != y))),
            "ltu" => of_floats!(ty; two!(|x, y| matches!(x.partial_cmp(&y), None | Some(Less)))),
            "leu" => of_floats!(ty; two!(|x, y| matches!(x.partial_cmp(&y), None | Some(Less | Equal)))),
            "gtu" => of_floats!(ty; two!(|x, y| matches!(x.partial_cmp(&y), None | Some(Greater)))),
            "geu" => of_floats!(ty; two!(|x, y| matches!(x.partial_cmp(&y), None | Some(Greater | Equal)))),
            _ => None,
        };
    }
    match how {
        "eq" => of_signed!(ty; two!(|x, y| (x == y))),
        "ne" => of_signed!(ty; two!(|x, y| (x != y))),
        "lt" => of_signed!(ty; two!(|x, y| (x < y))),
        "le" => of_signed!(ty; two!(|x, y| (x <= y))),
        "gt" => of_signed!(ty; two!(|x, y| (x > y))),
        "ge" => of_signed!(ty; two!(|x, y| (x >= y))),
        _ => None,
    }
}

fn convert(name: &str) -> Option<Arithmetic> {
    Some(match name {
        "cvt.f32.f16" => one!(f16, (|x| x.to_f32())),
        "cvt.f32.bf16" => one!(bf16, (|x| x.to_f32())),
        "cvt.rn.f16.f32" => one!(f32, (|x| f16::from_f32(x))),
        "cvt.rn.bf16.f32" => one!(f32, (|x| bf16::from_f32(x))),
        // The first becomes the upper half.
        "cvt.rn.f16x2.f32" => two!(f32, (|x, y| (f16::from_f32(x).give() << 16 | f16::from_f32(y).give()))),
        "cvt.rn.bf16x2.f32" => two!(f32, (|x, y| (bf16::from_f32(x).give() << 16 | bf16::from_f32(y).give()))),
        "cvt.f64.f32" => one!(f32, (|x| f64::from(x))),
        "cvt.rn.f32.f64" => one!(f64, (|x| (x as f32))),
        "cvt.sat.f32.f32" => one!(f32, (|x| (if x > 0.0 { x.min(1.0) } else { 0.0 }))),
        "cvt.rn.f32.u32" => one!(u32, (|x| (x as f32))),
        "cvt.rn.f32.s32" => one!(i32, (|x| (x as f32))),
        "cvt.rn.f64.u32" => one!(u32, (|x| f64::from(x))),
        "cvt.rn.f64.u64" => one!(u64, (|x| (x as f64))),
        "cvt.rn.f64.s64" => one!(i64, (|x| (x as f64))),
        "cvt.rzi.u32.f32" => one!(f32, (|x| (x as u32))),
        "cvt.rzi.u64.f32" => one!(f32, (|x| (x as u64))),
        "cvt.rzi.u32.f64" => one!(f64, (|x| (x as u32))),
        "cvt.rni.s32.f32" => one!(f32, (|x| (x.round_ties_even() as i32))),
        "cvt.u64.u32" => one!(u32, (|x| x)),
        "cvt.u64.u16" | "cvt.u32.u16" => one!(u16, (|x| x)),
        "cvt.u32.u64" => one!(u64, (|x| (x as u32))),
        "cvt.u16.u32" => one!(u32, (|x| (x as u16))),
        "cvt.s64.s32" => one!(i32, (|x| i64::from(x))),
        _ => return None,
    })
}

fn floating(what: &str, how: &str, ty: &str) -> Option<Arithmetic> {
    match (what, how) {
        ("add", "" | "rn") => of_floats!(ty; two!(|x, y| (x + y))),
        ("sub", "" | "rn") => of_floats!(ty; two!(|x, y| (x - y))),
        ("mul", "" | "rn") => of_floats!(ty; two!(|x, y| (x * y))),
        ("div", "rn") => of_floats!(ty; two!(|x, y| (x / y))),
        ("min", "") => of_floats!(ty; two!(|x, y| x.min(y))),
        ("max", "") => of_floats!(ty; two!(|x, y| x.max(y))),
        ("neg", "") => of_floats!(ty; one!(|x| (-x))),
        ("abs", "") => of_floats!(ty; one!(|x| x.abs())),
        ("sqrt", "rn") => of_floats!(ty; one!(|x| x.sqrt())),
        ("rcp", "rn") => of_floats!(ty; one!(|x| (1.0 / x))),
        ("fma", "rn") if ty == "f32" => Some(three!(f32, f32, (|x, y, z| x.mul_add(y, z)))),
        ("fma", "rn") if ty == "f64" => Some(three!(f64, f64, (|x, y, z| x.mul_add(y, z)))),
        ("fma", "rm") if ty == "f32" => Some(three!(f32, f32, (|x, y, z| fma_down(x, y, z)))),
        ("ex2", "approx.ftz") if ty == "f32" => Some(one!(f32, (|x| about_power_of_two(x)))),
        _ => None,
    }
}

/// `x * y + z`, rounded downwards once.
fn fma_down(x: f32, y: f32, z: f32) -> f32 {
    // 48 bits, so it is exact.
    let product = f64::from(x) * f64::from(y);
    let sum = product + f64::from(z);
    let nearest = sum as f32;
    // What the sum in f64 left out (Knuth's two-sum).
    let second = sum - product;
    let left_out = (product - (sum - second)) + (f64::from(z) - second);
    let above = f64::from(nearest) - sum;
    if nearest.is_finite() && (above > 0.0 || (above == 0.0 && left_out < 0.0)) { nearest.next_down() } else { nearest }
}

/// 2 to the power of `x`, about as far from it as a card's may be: by 2^-22 of it, up or down by the last bit of `x`.
fn about_power_of_two(x: f32) -> f32 {
    if x.is_subnormal() {
        return 1.0;
    }
    let error = if x.to_bits() & 1 == 0 { 1.0 } else { -1.0 } * (-22.0f64).exp2();
    let exact = f64::from(x).exp2();
    let off = if exact.fract() == 0.0 { exact } else { exact * (1.0 + error) } as f32;
    if off.is_subnormal() { 0.0 } else { off }
}

fn whole(what: &str, how: &str, ty: &str) -> Option<Arithmetic> {
    match (what, how) {
        ("add", "") => of_whole!(ty; two!(|x, y| x.wrapping_add(y))),
        ("sub", "") => of_whole!(ty; two!(|x, y| x.wrapping_sub(y))),
        ("mul", "lo") => of_whole!(ty; two!(|x, y| x.wrapping_mul(y))),
        ("neg", "") => of_whole!(ty; one!(|x| x.wrapping_neg())),
        ("min", "") => of_signed!(ty; two!(|x, y| x.min(y))),
        ("max", "") => of_signed!(ty; two!(|x, y| x.max(y))),
        // By 0, a card says anything.
        ("div", "") => of_signed!(ty; two!(|x, y| x.checked_div(y).unwrap_or(x))),
        ("rem", "") => of_signed!(ty; two!(|x, y| x.checked_rem(y).unwrap_or(x))),
        ("mul", "wide") => match ty {
            "u16" => Some(two!(u16, (|x, y| (u32::from(x) * u32::from(y))))),
            "u32" => Some(two!(u32, (|x, y| (u64::from(x) * u64::from(y))))),
            "s32" => Some(two!(i32, (|x, y| (i64::from(x) * i64::from(y))))),
            _ => None,
        },
        ("mul", "hi") => match ty {
            "u16" => Some(two!(u16, (|x, y| (((u32::from(x) * u32::from(y)) >> 16) as u16)))),
            "u32" => Some(two!(u32, (|x, y| (((u64::from(x) * u64::from(y)) >> 32) as u32)))),
            "u64" => Some(two!(u64, (|x, y| (((u128::from(x) * u128::from(y)) >> 64) as u64)))),
            _ => None,
        },
        ("mad", "lo") if ty.ends_with("32") => Some(three!(u32, u32, (|x, y, z| x.wrapping_mul(y).wrapping_add(z)))),
        ("mad", "wide") if ty == "u32" => Some(three!(u32, u64, (|x, y, z| (u64::from(x) * u64::from(y)).wrapping_add(z)))),
        _ => None,
    }
}

fn bitwise(what: &str, how: &str, ty: &str) -> Option<Arithmetic> {
    match (what, how, ty) {
        ("and", "", "pred") => Some(two!(bool, (|x, y| (x && y)))),
        ("or", "", "pred") => Some(two!(bool, (|x, y| (x || y)))),
        ("xor", "", "pred") => Some(two!(bool, (|x, y| (x != y)))),
        ("not", "", "pred") => Some(one!(bool, (|x| (!x)))),
        ("and", "", _) => of_whole!(ty; two!(|x, y| (x & y))),
        ("or", "", _) => of_whole!(ty; two!(|x, y| (x | y))),
        ("xor", "", _) => of_whole!(ty; two!(|x, y| (x ^ y))),
        ("not", "", _) => of_whole!(ty; one!(|x| (!x))),
        // Shifts by more than there are bits leave none, or the sign.
        ("shl", "", "b16") => Some(two!(u16, u32, (|x, by| x.checked_shl(by).unwrap_or(0)))),
        ("shl", "", "b32") => Some(two!(u32, u32, (|x, by| x.checked_shl(by).unwrap_or(0)))),
        ("shl", "", "b64") => Some(two!(u64, u32, (|x, by| x.checked_shl(by).unwrap_or(0)))),
        ("shr", "", "u16" | "b16") => Some(two!(u16, u32, (|x, by| x.checked_shr(by).unwrap_or(0)))),
        ("shr", "", "u32" | "b32") => Some(two!(u32, u32, (|x, by| x.checked_shr(by).unwrap_or(0)))),
        ("shr", "", "u64" | "b64") => Some(two!(u64, u32, (|x, by| x.checked_shr(by).unwrap_or(0)))),
        ("shr", "", "s32") => Some(two!(i32, u32, (|x, by| (x >> by.min(31))))),
        ("shr", "", "s64") => Some(two!(i64, u32, (|x, by| (x >> by.min(63))))),
        // The upper half of two registers, of which the second is the upper one.
        ("shf", "l.wrap", "b32") => {
            Some(three!(u32, u32, (|x, y, by| (((u64::from(y) << 32 | u64::from(x)) << (by & 31) >> 32) as u32))))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn once(name: &str, x: u64, y: u64, z: u64) -> u64 {
        named(name).unwrap_or_else(|| panic!("{name}"))(&[x; 32], &[y; 32], &[z; 32])[31]
    }

    #[test]
    fn numbers_are_as_the_isa_tells() {
        let f = |x: f32| x.give();
        assert_eq!(once("add.s32", 0xFFFF_FFFF, 2, 0), 1);
        assert_eq!(once("sub.s64", 1, 2, 0), u64::MAX);
        assert_eq!(once("mul.wide.u32", 0xFFFF_FFFF, 2, 0), 0x1_FFFF_FFFE);
        assert_eq!(once("mul.hi.u32", 0xFFFF_FFFF, 2, 0), 1);
        assert_eq!(once("shl.b32", 1, 32, 0), 0);
        assert_eq!(once("shr.s32", 0x8000_0000, 40, 0), 0xFFFF_FFFF);
        assert_eq!(once("shf.l.wrap.b32", 0x8000_0000, 1, 33), 3);
        assert_eq!(once("selp.b32", 5, u64::MAX, 0), 0xFFFF_FFFF);
        assert_eq!(once("mov.u32", u64::MAX, 0, 0), 0xFFFF_FFFF);
        assert_eq!(once("setp.lt.s32", 0xFFFF_FFFF, 0, 0), 1);
        assert_eq!(once("setp.lt.u32", 0xFFFF_FFFF, 0, 0), 0);
        assert_eq!(once("setp.neu.f32", f(f32::NAN), f(f32::NAN), 0), 1);
        assert_eq!(once("setp.ne.f32", f(f32::NAN), f(1.0), 0), 0);
        assert_eq!(once("setp.ltu.f32", f(2.0), f(1.0), 0), 0);
        assert_eq!(once("max.f32", f(f32::NAN), f(1.0), 0), f(1.0));
        assert_eq!(once("cvt.rn.f16x2.f32", f(1.0), f(2.0), 0), 0x3C00_4000);
        assert_eq!(once("cvt.rn.bf16x2.f32", f(1.0), f(2.0), 0), 0x3F80_4000);
        assert_eq!(once("cvt.rni.s32.f32", f(-2.5), 0, 0), 0xFFFF_FFFE);
        assert_eq!(once("cvt.rzi.u32.f32", f(-2.5), 0, 0), 0);
        assert_eq!(once("cvt.sat.f32.f32", f(f32::NAN), 0, 0), f(0.0));
        assert!(named("brev.b32").is_none() && named("mul.f16").is_none());
    }

    #[test]
    fn fma_rounds_downwards() {
        for (x, y, z) in
            [(1.1f32, 1.3, 2.5), (-1.1, 1.3, 2.5), (3.0, 5.0, 0.5), (1e-8, 1.0, 1.0), (-1e-8, 1.0, 1.0), (-1e-30, 1e-30, 1.0)]
        {
            let down = fma_down(x, y, z);
            let nearest = x.mul_add(y, z);
            assert!(down == nearest || down.next_up() == nearest, "{x} * {y} + {z}");
        }
        assert_eq!(fma_down(3.0, 5.0, 0.5), 15.5);
        assert_eq!(fma_down(1e-8, 1.0, 1.0), 1.0);
        assert_eq!(fma_down(-1e-8, 1.0, 1.0), 1.0f32.next_down());
        // Too little even for f64.
        assert_eq!(fma_down(-1e-30, 1e-30, 1.0), 1.0f32.next_down());
    }

    #[test]
    fn powers_are_as_near_as_they_have_to_be() {
        for x in [-3.3f32, -0.7, 0.1, 5.5] {
            let off = (f64::from(about_power_of_two(x)) / f64::from(x).exp2() - 1.0).abs();
            assert!(off > 1.5e-7 && off < 3.5e-7, "{off}");
        }
        assert_eq!(about_power_of_two(3.0), 8.0);
        assert_eq!(about_power_of_two(f32::NEG_INFINITY), 0.0);
        assert_eq!(about_power_of_two(-140.0), 0.0);
    }
}
