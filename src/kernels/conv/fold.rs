//! The gradient of an input of few channels. As a convolution it would have as few filters, and most lanes of a vector
//! nothing to do; so each output's gradient is multiplied with the whole kernel, and the products are added where the
//! window's taps lie.

use crate::Element;
use crate::geometry::Geometry2d;
use crate::kernels::aligned::room;
use crate::kernels::kept::with_kept;
use crate::kernels::matmul::{Finish, product};
use crate::kernels::panels::PackedMatrix;
use crate::kernels::pieces::each_chunk;
use crate::kernels::simd::isa;
use crate::kernels::sum;
use crate::kernels::threads::threads;

/// Bytes of products that lie between the two halves, about.
const BLOCK_BYTES: usize = 64 << 10;

/// Whether the input has few channels, and the taps of a kernel's row lie side by side.
pub(super) fn suits<T: Element>(geometry: &Geometry2d) -> bool {
    let Geometry2d { rows, cols, in_channels, groups, .. } = *geometry;
    let contiguous = cols.kernel == 1 || cols.dilation == 1;
    groups == 1 && contiguous && in_channels < T::lanes(isa()) && rows.kernel * cols.kernel > 1
}

/// As [`backward_input`](super::backward_input).
pub(super) fn backward_input<T: Element>(grad: &[T], kernel: &[T], geometry: &Geometry2d, out: &mut [T]) {
    let [_, _, channels, filters] = geometry.kernel_shape();
    let [_, height, width, _] = geometry.input_shape();
    let columns = geometry.rows.kernel * geometry.cols.kernel * channels;
    let kernel = PackedMatrix::transposed(kernel, filters, columns);
    let threads = threads(geometry.multiplications() as usize);
    // Of each image so many bands that there is work for all; windows that two bands see are multiplied twice.
    let bands = if threads == 1 { 1 } else { (4 * threads).div_ceil(geometry.batch).min(height) };
    let lines = height.div_ceil(bands);
    each_chunk(threads > 1, out, height * width * channels, |image, out| {
        each_chunk(threads > 1, out, lines * width * channels, |band, out| {
            let band = Band { geometry, grad, kernel: &kernel, image, first: band * lines };
            with_kept(|products: &mut Products<T>| band.fold(&mut products.0, out));
        });
    });
}

/// Products of output gradients with the kernel.
#[derive(Default)]
struct Products<T>(Vec<T>);

/// Some rows of an image of the input, from `first` on.
struct Band<'a, T: Element> {
    geometry: &'a Geometry2d,
    grad: &'a [T],
    kernel: &'a PackedMatrix<T>,
    image: usize,
    first: usize,
}

impl<T: Element> Band<'_, T> {
    fn fold(&self, products: &mut Vec<T>, out: &mut [T]) {
        let Geometry2d { rows, cols, in_channels: channels, out_channels: filters, .. } = *self.geometry;
        let width = cols.input * channels;
        let lines = self.first..self.first + out.len() / width;
        let columns = rows.kernel * cols.kernel * channels;
        let block = (BLOCK_BYTES / (columns * size_of::<T>())).clamp(1, cols.output);
        out.fill(T::zero());
        for row in 0..rows.output {
            let seen = |tap: usize| rows.source(row, tap).filter(|p| lines.contains(p));
            if (0..rows.kernel).all(|tap| seen(tap).is_none()) {
                continue;
            }
            let grad = &self.grad[(self.image * rows.output + row) * cols.output * filters..];
            for first in (0..cols.output).step_by(block) {
                let count = block.min(cols.output - first);
                let products = room(products, count * columns);
                product(&grad[first * filters..][..count * filters], self.kernel, Finish::PLAIN, products);
                for (tap, p) in (0..rows.kernel).filter_map(|tap| Some((tap, seen(tap)?))) {
                    let line = &mut out[(p - lines.start) * width..][..width];
                    for (col, product) in (first..).zip(products.chunks_exact(columns)) {
                        let inside = cols.taps(col);
                        if !inside.is_empty() {
                            let product = &product[(tap * cols.kernel + inside.start) * channels..];
                            let len = inside.len() * channels;
                            let at = cols.read(col, inside.start) * channels;
                            sum::add(&mut line[at..at + len], &product[..len]);
                        }
                    }
                }
            }
        }
    }
}
