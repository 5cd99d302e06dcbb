//! The gradient of the input: forward convolutions of the output's gradient.

use super::{PackedKernel, convolve, correlate, fold, is_depthwise};
use crate::Element;
use crate::geometry::{Geometry2d, Sampling, WindowAxis};
use crate::kernels::aligned::room;
use crate::kernels::depthwise::GroupWeights;
use crate::kernels::depthwise_gradient;
use crate::kernels::epilogue::Epilogue;
use crate::kernels::kept::with_kept;
use crate::kernels::kernel_matrix::KernelMatrix;
use crate::kernels::panels::PackedMatrix;
use crate::kernels::patches::Patches;
use crate::kernels::pieces::each_chunk;

/// The gradient of the input: `dx[n,p,q,c] = sum over the windows (y,x) that see (p,q) at tap (i,j), and over f,
/// of dy[n,y,x,f] * kernel[i,j,c,f]`. Writes all of `out`.
///
/// With strides, the inputs fall into `stride x stride` phases; those of one phase meet the same taps, so that each
/// phase is a dense convolution of its own.
pub(crate) fn backward_input<T: Element>(grad: &[T], kernel: &[T], geometry: &Geometry2d, out: &mut [T]) {
    let Geometry2d { rows, cols, in_channels, .. } = *geometry;
    if out.is_empty() {
        return;
    }
    if fold::suits::<T>(geometry) {
        return fold::backward_input(grad, kernel, geometry, out);
    }
    let strided = rows.stride > 1 || cols.stride > 1;
    if strided && is_depthwise(geometry) {
        return depthwise_gradient::input_gradient(grad, kernel, geometry, out);
    }
    if strided {
        // Some phases may meet no tap at all.
        out.fill(T::zero());
    }
    for row in phases(rows) {
        for col in phases(cols) {
            let phase = Phase { geometry, row, col };
            if !strided {
                return phase.compute(grad, kernel, out);
            }
            with_kept(|values: &mut Values<T>| {
                let positions = row.reads.positions * col.reads.positions;
                let values = room(&mut values.0, geometry.batch * positions * in_channels);
                phase.compute(grad, kernel, values);
                phase.scatter(values, out);
            });
        }
    }
}

/// The inputs of one phase, and their gradients.
#[derive(Default)]
struct Values<T>(Vec<T>);

/// Along an axis, the inputs `index, index + stride, ...`, and the outputs that they read.
#[derive(Clone, Copy)]
struct AxisPhase {
    index: usize,
    reads: Sampling,
}

/// The phases of an axis that meet any tap.
fn phases(axis: WindowAxis) -> impl Iterator<Item = AxisPhase> {
    let phase = move |index| AxisPhase { index, reads: axis.backward_sampling(index) };
    (0..axis.stride.min(axis.input)).map(phase).filter(|phase| phase.reads.taps > 0)
}

/// One phase of an input.
struct Phase<'a> {
    geometry: &'a Geometry2d,
    row: AxisPhase,
    col: AxisPhase,
}

impl Phase<'_> {
    /// The gradients of the phase's inputs, one after the other.
    fn compute<T: Element>(&self, grad: &[T], kernel: &[T], out: &mut [T]) {
        let Geometry2d { in_channels, out_channels, groups, .. } = *self.geometry;
        match (groups, self.row.reads.as_window(), self.col.reads.as_window()) {
            (1, Some(rows), Some(cols)) => {
                let shape = self.geometry.kernel_shape();
                let kernel = KernelMatrix::turned(kernel, shape, self.row.reads, self.col.reads);
                let (in_channels, out_channels) = (out_channels, in_channels);
                let geometry = Geometry2d { rows, cols, in_channels, out_channels, ..*self.geometry };
                convolve(grad, &kernel, &geometry, Epilogue::bias(None), out);
            }
            _ => {
                let (rows, cols) = (self.row.reads, self.col.reads);
                let packed = PackedKernel::transposed(kernel, self.geometry, &rows, &cols);
                let patches = Patches { source: grad, channels: out_channels, rows, cols };
                correlate(&patches, &packed, in_channels, Epilogue::bias(None), out);
            }
        }
    }

    /// Writes the gradients to their places among the other phases'.
    fn scatter<T: Element>(&self, values: &[T], out: &mut [T]) {
        let Geometry2d { rows, cols, in_channels: depth, .. } = *self.geometry;
        let width = self.col.reads.positions * depth;
        each_chunk(true, out, cols.input * depth, |index, line| {
            let (image, row) = (index / rows.input, index % rows.input);
            if row % rows.stride == self.row.index {
                let start = (image * self.row.reads.positions + row / rows.stride) * width;
                let targets = line.chunks_exact_mut(depth).skip(self.col.index).step_by(cols.stride);
                for (to, from) in targets.zip(values[start..start + width].chunks_exact(depth)) {
                    to.copy_from_slice(from);
                }
            }
        });
    }
}

impl<T: Element> PackedKernel<T> {
    /// Packs the kernel of several groups for the way back through `rows` and `cols`: outputs become inputs.
    fn transposed(kernel: &[T], geometry: &Geometry2d, rows: &Sampling, cols: &Sampling) -> Self {
        let [_, kw, group_in, filters] = geometry.kernel_shape();
        let row = |i| (0..cols.taps).map(move |j| rows.kernel_index(i) * kw + cols.kernel_index(j));
        let taps: Vec<usize> = (0..rows.taps).flat_map(row).collect();
        let group_out = filters / geometry.groups;
        if GroupWeights::<T>::suit(geometry) {
            let mut values = Vec::with_capacity(taps.len() * group_in * filters);
            for (tap, filter) in taps.into_iter().flat_map(|tap| (0..group_in).map(move |f| (tap, f))) {
                let at =
                    |i: usize| (tap * group_in + i % group_in) * filters + i / group_in * group_in + filter;
                values.extend((0..filters).map(|i| kernel[at(i)]));
            }
            return PackedKernel::Few(GroupWeights { block: group_in, values });
        }
        let group = |group| {
            PackedMatrix::from_rows(taps.len() * group_out, group_in, |row, columns, into| {
                let (tap, filter) = (taps[row / group_out], group * group_out + row % group_out);
                for (value, channel) in into.iter_mut().zip(columns) {
                    *value = kernel[(tap * group_in + channel) * filters + filter];
                }
            })
        };
        PackedKernel::Groups((0..geometry.groups).map(group).collect())
    }
}
