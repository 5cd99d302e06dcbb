//! The numbers that tensors hold.

use std::fmt::{Debug, Display, LowerExp};
use std::iter::Sum;

use approx::{AbsDiffEq, RelativeEq, UlpsEq};
use num_traits::{Float, NumAssign};

use crate::kernels::entry::Kernels;

/// A floating-point number that tensors, layers and kernels compute with: `f32` or `f64`.
///
/// The trait is sealed: kernels exist for these two types only.
///
/// ```
/// use striate::Element;
/// fn half<T: Element>(x: T) -> T {
///     x * T::of(0.5)
/// }
/// assert_eq!(half(3.0_f32), 1.5);
/// assert_eq!(half(3.0_f64), 1.5);
/// ```
pub trait Element:
    Float
    + NumAssign
    + Sum
    + Default
    + Debug
    + Display
    + LowerExp
    + AbsDiffEq<Epsilon = Self>
    + RelativeEq
    + UlpsEq
    + Send
    + Sync
    + Kernels
    + 'static
{
    /// The type's name, as it stands in messages: `"f32"` or `"f64"`.
    const NAME: &'static str;

    /// The nearest value of this type.
    fn of(value: f64) -> Self;

    /// The value in double precision, exactly.
    fn to_double(self) -> f64;

    /// The error function, `2/sqrt(pi) * integral of exp(-t^2) from 0 to self`.
    fn erf(self) -> Self;
}

impl Element for f32 {
    const NAME: &'static str = "f32";

    fn of(value: f64) -> Self {
        value as f32
    }

    fn to_double(self) -> f64 {
        f64::from(self)
    }

    fn erf(self) -> Self {
        libm::erff(self)
    }
}

impl Element for f64 {
    const NAME: &'static str = "f64";

    fn of(value: f64) -> Self {
        value
    }

    fn to_double(self) -> f64 {
        self
    }

    fn erf(self) -> Self {
        libm::erf(self)
    }
}
