//! Every operation of every instruction set that the machine has, lane by lane.

use super::*;
use crate::Element;

/// All operations on two vectors and a number more; what each stored, in `MAX_LANES` places that held `BLANK` before.
struct Operations<'a, T> {
    a: &'a [T],
    b: &'a [T],
    x: T,
}

const BLANK: f64 = 77.0;
/// The lengths that `load_up_to` and `store_up_to` are tried with.
const LENGTHS: std::ops::RangeInclusive<usize> = 0..=MAX_LANES + 1;

#[derive(Debug)]
struct Results<T> {
    vectors: Vectors,
    arithmetic: [Vec<T>; 8],
    nan: [Vec<T>; 3],
    clamped: Vec<T>,
    zipped: Vec<T>,
    splat: Vec<T>,
    spread: Vec<(usize, usize, Vec<T>)>,
    up_to: Vec<(Vec<T>, Vec<T>)>,
    strided: Vec<T>,
}

impl<T: Element> Kernel<T> for Operations<'_, T> {
    type Output = Results<T>;

    #[inline(always)]
    fn run<S: Simd<T>>(self, simd: S) -> Results<T> {
        let blank = T::of(BLANK);
        let lanes = |v| {
            let mut to = vec![blank; S::LANES];
            simd.store(v, &mut to);
            to
        };
        let up_to = |len: usize| {
            let loaded = lanes(simd.load_up_to(&self.a[..len]));
            let mut to = vec![blank; len];
            simd.store_up_to(simd.load(self.b), &mut to);
            (loaded, to)
        };
        let (a, b, x) = (simd.load(self.a), simd.load(self.b), simd.splat(self.x));
        let nan = simd.splat(T::nan());
        let mut spread = Vec::new();
        for lane in 0..2 {
            spread.push((2, lane, lanes(simd.spread::<2>(a, lane))));
        }
        for lane in 0..if S::LANES < 4 { 0 } else { 4 } {
            spread.push((4, lane, lanes(simd.spread::<4>(a, lane))));
        }
        spread.push((1, 0, lanes(simd.spread::<1>(a, 0))));
        let mut strided = vec![blank; 5 + S::LANES];
        simd.store_strided::<2>(simd.load_strided::<2>(&self.a[1..], 3), &mut strided, 5);
        Results {
            vectors: Vectors { isa: S::ISA, lanes: S::LANES, panel: S::PANEL },
            arithmetic: [
                simd.add(a, b),
                simd.sub(a, b),
                simd.mul(a, b),
                simd.div(a, b),
                simd.max(a, b),
                simd.larger(a, b),
                simd.mul_add(a, b, x),
                simd.neg_mul_add(a, b, x),
            ]
            .map(lanes),
            nan: [simd.max(a, nan), simd.max(nan, a), simd.clamp(nan, a, b)].map(lanes),
            clamped: lanes(simd.clamp(a, simd.splat(T::of(-2.0)), simd.splat(T::of(3.0)))),
            zipped: simd.zip(a, b).map(lanes).concat(),
            splat: lanes(x),
            spread,
            up_to: LENGTHS.map(up_to).collect(),
            strided,
        }
    }
}

fn every_operation<T: Element>(isa: Isa) {
    // Whole numbers, so that fused and separate roundings agree.
    let a: Vec<T> = (0..2 * MAX_LANES + 8).map(|i| T::of(i as f64 - 7.0)).collect();
    let b: Vec<T> =
        (0..2 * MAX_LANES + 8).map(|i| T::of(if i % 3 == 0 { -9.0 } else { 3.0 * i as f64 + 1.0 })).collect();
    let x = T::of(5.0);
    let got = T::dispatch(isa, Operations { a: &a, b: &b, x });
    let Vectors { lanes, panel, .. } = got.vectors;
    assert_eq!((got.vectors.isa, T::lanes(isa)), (isa, lanes));
    assert!(lanes <= MAX_LANES && matches!(panel, 1 | 2 | 4), "{:?}", got.vectors);

    let each = |f: fn(T, T, T) -> T| (0..lanes).map(|i| f(a[i], b[i], x)).collect::<Vec<T>>();
    let want = [each(|a, b, _| a + b), each(|a, b, _| a - b), each(|a, b, _| a * b), each(|a, b, _| a / b)];
    assert_eq!(got.arithmetic[..4], want, "{isa}");
    assert_eq!(got.arithmetic[4..6], [each(|a, b, _| a.max(b)), each(|a, b, _| a.max(b))], "{isa}");
    assert_eq!(got.clamped, each(|a, _, _| a.max(T::of(-2.0)).min(T::of(3.0))), "{isa}");
    assert!(got.nan.iter().flatten().all(|x| x.is_nan()), "{isa}");
    assert_eq!(got.arithmetic[6..], [each(|a, b, x| a * b + x), each(|a, b, x| x - a * b)], "{isa}");
    let zipped: Vec<T> = (0..lanes).flat_map(|i| [a[i], b[i]]).collect();
    assert_eq!(got.zipped, zipped, "{isa}");
    assert_eq!(got.splat, vec![x; lanes], "{isa}");
    for (block, lane, values) in got.spread {
        let want: Vec<T> = (0..lanes).map(|i| a[i / block * block + lane]).collect();
        assert_eq!(values, want, "lane {lane} of {block} on {isa}");
    }
    for (len, (loaded, stored)) in LENGTHS.zip(got.up_to) {
        let want: Vec<T> = (0..lanes).map(|i| if i < len { a[i] } else { T::zero() }).collect();
        assert_eq!(loaded, want, "{len} numbers on {isa}");
        let want: Vec<T> = (0..len).map(|i| if i < lanes { b[i] } else { T::of(BLANK) }).collect();
        assert_eq!(stored, want, "{len} numbers on {isa}");
    }
    for i in 0..5 + lanes {
        let second = i.checked_sub(5).map(|i| a[4 + i]);
        let first = if i < lanes { a[1 + i] } else { T::of(BLANK) };
        assert_eq!(got.strided[i], second.unwrap_or(first), "{i} of strided vectors on {isa}");
    }
}

#[test]
fn operations_are_those_of_every_lane() {
    for isa in Isa::ALL.into_iter().filter(|isa| isa.is_available()) {
        every_operation::<f32>(isa);
        every_operation::<f64>(isa);
    }
}

#[test]
fn an_instruction_set_that_is_missing_is_plain_rust() {
    for isa in Isa::ALL.into_iter().filter(|isa| !isa.is_available()) {
        assert_eq!((f32::vectors(isa).isa, f64::vectors(isa).isa), (Isa::Scalar, Isa::Scalar));
    }
}

#[test]
fn instruction_sets_have_names_and_an_order() {
    for (index, isa) in Isa::ALL.into_iter().enumerate() {
        assert_eq!((isa as usize, isa.to_string().parse()), (index, Ok(isa)));
    }
    assert!(Isa::ALL.is_sorted());
}
