//! The ways into the kernels, compiled once for each element type, in this crate: whatever is generic would be compiled
//! again, with that crate's settings, in every crate that uses it.

use super::conv::{self, PooledStrips, PreparedKernel};
use super::epilogue::Epilogue;
use super::pool::{self, Divisor, Taken, Won};
use super::simd::SimdElement;
use super::sum;
use crate::geometry::Geometry2d;

macro_rules! entries {
    ($($(#[$doc:meta])* $name:ident = $kernel:path, ($($argument:ident: $type:ty),* $(,)?);)*) => {
        /// The kernels for an element type.
        pub trait Kernels: SimdElement {
            $($(#[$doc])* fn $name($($argument: $type),*);)*
        }

        impl Kernels for f32 {
            $(#[inline(never)] fn $name($($argument: $type),*) { $kernel($($argument),*) })*
        }

        impl Kernels for f64 {
            $(#[inline(never)] fn $name($($argument: $type),*) { $kernel($($argument),*) })*
        }
    };
}

entries! {
    /// See [`conv::forward`].
    conv_forward = conv::forward, (
        input: &[Self],
        kernel: (&[Self], &PreparedKernel<Self>),
        geometry: &Geometry2d,
        after: Epilogue<'_, Self>,
        out: &mut [Self],
    );
    /// See [`conv::forward_once`].
    conv_forward_once = conv::forward_once, (
        input: &[Self],
        kernel: &[Self],
        geometry: &Geometry2d,
        after: Epilogue<'_, Self>,
        out: &mut [Self],
    );
    /// See [`conv::forward_pooled`].
    conv_forward_pooled = conv::forward_pooled, (
        input: &[Self],
        kernel: (&[Self], &PreparedKernel<Self>),
        strips: &PooledStrips,
        after: Epilogue<'_, Self>,
        out: &mut [Self],
    );
    /// See [`conv::backward_input`].
    conv_backward_input = conv::backward_input,
        (grad: &[Self], kernel: &[Self], geometry: &Geometry2d, out: &mut [Self]);
    /// See [`conv::backward_kernel`].
    conv_backward_kernel = conv::backward_kernel,
        (input: &[Self], grad: &[Self], geometry: &Geometry2d, out: &mut [Self]);
    /// See [`pool::max`].
    max_pool = pool::max, (input: &[Self], geometry: &Geometry2d, out: &mut [Self], taken: Taken<'_>);
    /// See [`pool::max_backward`].
    max_pool_backward = pool::max_backward,
        (grad: &[Self], won: Won<'_>, geometry: &Geometry2d, out: &mut [Self]);
    /// See [`pool::average`].
    average_pool = pool::average, (input: &[Self], geometry: &Geometry2d, divisor: Divisor, out: &mut [Self]);
    /// See [`pool::average_backward`].
    average_pool_backward = pool::average_backward,
        (grad: &[Self], geometry: &Geometry2d, divisor: Divisor, out: &mut [Self]);
    /// See [`sum::columns`].
    column_sums = sum::columns, (values: &[Self], sums: &mut [Self]);
}
