//! Depthwise convolution, where every channel has a filter of its own: vectors run over the channels, and a matrix
//! product would be one column wide.

use rayon::prelude::*;

use super::matmul::PARALLEL_WORK;
use super::patches::Patches;
use super::simd::{Kernel, Simd, isa};
use crate::Element;

/// `out[n,y,x,c] = bias[c] + sum over taps of source[...,c] * kernel[tap,c]`, then `finish` over each row of positions.
/// `kernel` holds a row of channels for each tap, in the order of the patches' taps.
pub(super) fn correlate<T: Element>(
    patches: &Patches<'_, T>,
    kernel: &[T],
    bias: Option<&[T]>,
    finish: impl Fn(&mut [T]) + Sync,
    out: &mut [T],
) {
    let work = out.len() * patches.rows.taps.len() * patches.cols.taps.len();
    let compute = |(line, out): (usize, &mut [T])| {
        T::dispatch(isa(), Line { patches, kernel, bias, line, out });
        finish(out);
    };
    let line = patches.cols.positions * patches.channels;
    if work < PARALLEL_WORK {
        out.chunks_mut(line).enumerate().for_each(compute);
    } else {
        out.par_chunks_mut(line).enumerate().for_each(compute);
    }
}

/// One row of positions; `line` counts the rows of all images.
struct Line<'a, T> {
    patches: &'a Patches<'a, T>,
    kernel: &'a [T],
    bias: Option<&'a [T]>,
    line: usize,
    out: &'a mut [T],
}

impl<T: Element> Kernel<T> for Line<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd<T>>(self, simd: S) {
        let Line { patches: Patches { source, channels, rows, cols }, kernel, bias, line, out } = self;
        let (image, row) = (line / rows.positions, line % rows.positions);
        let inside_rows = rows.inside(row);
        for (col, out) in out.chunks_exact_mut(*channels).enumerate() {
            let inside_cols = cols.inside(col);
            for (first, out) in (0..*channels).step_by(S::LANES).zip(out.chunks_mut(S::LANES)) {
                let lanes = first..first + out.len();
                let mut sum = match bias {
                    Some(bias) => simd.load_up_to(&bias[lanes.clone()]),
                    None => simd.splat(T::zero()),
                };
                for i in inside_rows.clone() {
                    let start = (image * rows.source + rows.read(row, i)) * cols.source;
                    for j in inside_cols.clone() {
                        let x = &source[(start + cols.read(col, j)) * channels..][lanes.clone()];
                        let w = &kernel[(i * cols.taps.len() + j) * channels..][lanes.clone()];
                        sum = simd.mul_add(simd.load_up_to(x), simd.load_up_to(w), sum);
                    }
                }
                simd.store_up_to(sum, out);
            }
        }
    }
}

/// Adds to one row of the kernel's gradient, `[kw, channels]`, what the positions `pixels` contribute.
pub(super) fn add_kernel_gradient<T: Element>(
    patches: &Patches<'_, T>,
    grad: &[T],
    pixels: std::ops::Range<usize>,
    kernel_row: usize,
    sums: &mut [T],
) {
    T::dispatch(isa(), KernelGradient { patches, grad, pixels, kernel_row, sums });
}

struct KernelGradient<'a, T> {
    patches: &'a Patches<'a, T>,
    grad: &'a [T],
    pixels: std::ops::Range<usize>,
    kernel_row: usize,
    sums: &'a mut [T],
}

impl<T: Element> Kernel<T> for KernelGradient<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd<T>>(self, simd: S) {
        let Patches { source, channels, rows, cols } = self.patches;
        let grads = self.grad[self.pixels.start * channels..].chunks_exact(*channels);
        for (pixel, grad) in self.pixels.zip(grads) {
            let (image, row, col) = self.patches.place(pixel);
            if !rows.inside(row).contains(&self.kernel_row) {
                continue;
            }
            let start = (image * rows.source + rows.read(row, self.kernel_row)) * cols.source;
            for j in cols.inside(col) {
                let x = &source[(start + cols.read(col, j)) * channels..][..*channels];
                let sums = &mut self.sums[j * channels..][..*channels];
                for ((sum, x), g) in
                    sums.chunks_mut(S::LANES).zip(x.chunks(S::LANES)).zip(grad.chunks(S::LANES))
                {
                    let total = simd.mul_add(simd.load_up_to(x), simd.load_up_to(g), simd.load_up_to(sum));
                    simd.store_up_to(total, sum);
                }
            }
        }
    }
}
