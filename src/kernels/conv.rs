//! Convolution and its two gradients, each a matrix product over patches, which are never all in memory; for narrow
//! groups [`depthwise`] vectors, and for 3x3 windows Winograd's transform, take the product's place.
//!
//! | function | patches of | through | times |
//! |---|---|---|---|
//! | [`forward`] | input | the window | kernel |
//! | [`backward_input`] | output gradient | the window turned round, by phases of the stride | kernel, transposed |
//! | [`backward_kernel`] | input, transposed | the window | output gradient |

use std::ops::Range;
use std::sync::OnceLock;

use rayon::prelude::*;

use super::depthwise::GroupWeights;
use super::disjoint::Rows;
use super::entry::FinishPiece;
use super::matmul::{Block, Finish, Left, PackedMatrix};
use super::patches::Patches;
use super::plan::Algorithm;
use super::winograd::{self, TileSize, WinogradKernel};
use super::{depthwise, direct, sum};
use crate::Element;
use crate::geometry::{Geometry2d, Sampling};

/// Bytes of patches that a task gathers at a time: about half of a second-level cache.
const TILE_BYTES: usize = 128 << 10;
/// The most output positions of a tile.
const TILE_PIXELS: usize = 192;
/// The most pieces, and the most elements in all of them, whose kernel gradients are summed apart.
const GRADIENT_PIECES: usize = 16;
const GRADIENT_ELEMENTS: usize = 1 << 22;

/// What has been made of a kernel for [`forward`], for each algorithm when it is first used: maps of another size may
/// take another.
#[derive(Clone, Debug, Default)]
pub struct PreparedKernel<T> {
    plain: OnceLock<PackedKernel<T>>,
    winograd_f2: OnceLock<WinogradKernel<T>>,
    winograd_f4: OnceLock<WinogradKernel<T>>,
}

/// A kernel packed for plain sums.
#[derive(Clone, Debug)]
enum PackedKernel<T> {
    /// One packed matrix a group.
    Groups(Vec<PackedMatrix<T>>),
    /// Few channels a group.
    Few(GroupWeights<T>),
}

impl<T: Element> PackedKernel<T> {
    /// Packs a kernel `[kh, kw, channels / groups, filters]`.
    fn new(kernel: &[T], geometry: &Geometry2d) -> Self {
        let [kh, kw, group_in, filters] = geometry.kernel_shape();
        let group_out = filters / geometry.groups;
        if GroupWeights::<T>::suit(geometry) {
            return PackedKernel::Few(GroupWeights { block: group_in, values: kernel.to_vec() });
        }
        let group = |group| {
            PackedMatrix::from_rows(kh * kw * group_in, group_out, |row, columns, into| {
                into.copy_from_slice(&kernel[row * filters + group * group_out..][columns]);
            })
        };
        PackedKernel::Groups((0..geometry.groups).map(group).collect())
    }

    /// Packs the kernel for the way back through `rows` and `cols`: outputs become inputs.
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

fn is_depthwise(geometry: &Geometry2d) -> bool {
    geometry.groups == geometry.in_channels && geometry.groups == geometry.out_channels
}

/// `out[n,y,x,f] = bias[f] + sum over i,j,c of input[n, y*s+i*d-p, x*s+j*d-p, c] * kernel[i,j,c,f]`, then `finish`
/// over pieces of whole positions while they are in the cache. `kernel` is the kernel, and what has been made of it.
pub(crate) fn forward<T: Element>(
    input: &[T],
    (kernel, prepared): (&[T], &PreparedKernel<T>),
    bias: Option<&[T]>,
    geometry: &Geometry2d,
    finish: FinishPiece<'_, T>,
    out: &mut [T],
) {
    if out.is_empty() {
        return;
    }
    let (tiles, transformed) = match Algorithm::choose::<T>(geometry) {
        Algorithm::WinogradF2 => (TileSize::Two, &prepared.winograd_f2),
        Algorithm::WinogradF4 => (TileSize::Four, &prepared.winograd_f4),
        Algorithm::ImplicitGemm | Algorithm::GroupVectors => {
            let patches = Patches::of_input(input, geometry);
            let packed = prepared.plain.get_or_init(|| PackedKernel::new(kernel, geometry));
            return correlate(&patches, packed, bias, geometry.out_channels, finish, out);
        }
    };
    let transformed = transformed.get_or_init(|| WinogradKernel::new(kernel, geometry, tiles));
    winograd::forward(input, transformed, bias, geometry, finish, out);
}

/// The gradient of the input: `dx[n,p,q,c] = sum over the windows (y,x) that see (p,q) at tap (i,j), and over f,
/// of dy[n,y,x,f] * kernel[i,j,c,f]`. Writes all of `out`.
///
/// With strides, the inputs fall into `stride x stride` phases; those of one phase meet the same taps, so that each
/// phase is a dense convolution of its own.
pub(crate) fn backward_input<T: Element>(grad: &[T], kernel: &[T], geometry: &Geometry2d, out: &mut [T]) {
    let Geometry2d { rows, cols, in_channels, out_channels, .. } = *geometry;
    if out.is_empty() {
        return;
    }
    if rows.stride > 1 || cols.stride > 1 {
        // Some phases may meet no tap at all.
        out.fill(T::zero());
    }
    let phases = |axis: crate::WindowAxis| {
        let phase = |phase| (phase, axis.backward_sampling(phase));
        let met = |(_, reads): &(usize, Sampling)| reads.taps > 0;
        (0..axis.stride.min(axis.input)).map(phase).filter(met).collect::<Vec<_>>()
    };
    let (row_phases, col_phases) = (phases(rows), phases(cols));
    for ((row_phase, row_reads), (col_phase, col_reads)) in
        row_phases.iter().flat_map(|row| col_phases.iter().map(move |col| (row, col)))
    {
        let packed = PackedKernel::transposed(kernel, geometry, row_reads, col_reads);
        let patches = Patches { source: grad, channels: out_channels, rows: *row_reads, cols: *col_reads };
        if rows.stride == 1 && cols.stride == 1 {
            return correlate(&patches, &packed, None, in_channels, &|_| {}, out);
        }
        let mut values = vec![T::zero(); geometry.batch * patches.positions() * in_channels];
        correlate(&patches, &packed, None, in_channels, &|_| {}, &mut values);
        scatter(&values, &patches, (*row_phase, *col_phase), geometry, out);
    }
}

/// Writes the input gradients of one phase to their places among the other phases'.
fn scatter<T: Element>(
    values: &[T],
    patches: &Patches<'_, T>,
    (row_phase, col_phase): (usize, usize),
    geometry: &Geometry2d,
    out: &mut [T],
) {
    let Geometry2d { rows, cols, in_channels: depth, .. } = *geometry;
    let width = patches.cols.positions * depth;
    out.par_chunks_mut(cols.input * depth).enumerate().for_each(|(index, line)| {
        let (image, row) = (index / rows.input, index % rows.input);
        if row % rows.stride == row_phase {
            let start = (image * patches.rows.positions + row / rows.stride) * width;
            let targets = line.chunks_exact_mut(depth).skip(col_phase).step_by(cols.stride);
            for (to, from) in targets.zip(values[start..start + width].chunks_exact(depth)) {
                to.copy_from_slice(from);
            }
        }
    });
}

/// The products of all patches with the kernels of their groups.
fn correlate<T: Element>(
    patches: &Patches<'_, T>,
    kernel: &PackedKernel<T>,
    bias: Option<&[T]>,
    filters: usize,
    finish: FinishPiece<'_, T>,
    out: &mut [T],
) {
    match kernel {
        PackedKernel::Few(weights) => depthwise::correlate(patches, weights, bias, finish, out),
        PackedKernel::Groups(groups) => direct::correlate(patches, groups, bias, filters, finish, out),
    }
}

/// How many patches of `depth` elements make a tile.
fn tile_pixels<T>(depth: usize) -> usize {
    (TILE_BYTES / (depth * size_of::<T>()).max(1)).clamp(6, TILE_PIXELS).next_multiple_of(6)
}

/// The gradient of the kernel: `dw[i,j,c,f] = sum over n,y,x of input[n, y*s+i*d-p, x*s+j*d-p, c] * dy[n,y,x,f]`.
///
/// The positions are cut into pieces by the problem's size alone; each piece sums apart, one kernel row a task, and
/// the pieces are added in order: the result does not depend on the number of threads.
pub(crate) fn backward_kernel<T: Element>(input: &[T], grad: &[T], geometry: &Geometry2d, out: &mut [T]) {
    let [kh, kw, group_in, filters] = geometry.kernel_shape();
    if grad.is_empty() {
        return out.fill(T::zero());
    }
    let patches = Patches::of_input(input, geometry);
    let pixels = geometry.batch * patches.positions();
    let tile = tile_pixels::<T>(kw * group_in);
    let affordable = (GRADIENT_ELEMENTS / out.len()).clamp(1, GRADIENT_PIECES);
    let piece = pixels.div_ceil(affordable).next_multiple_of(tile).max(tile);
    let pieces = pixels.div_ceil(piece).max(1);

    let add_piece = |scratch: &mut Vec<T>, (task, sums): (usize, &mut [T])| {
        let (piece_index, kernel_row) = (task / kh, task % kh);
        let end = pixels.min((piece_index + 1) * piece);
        for first in (piece_index * piece..end).step_by(tile) {
            let pixels = first..end.min(first + tile);
            if is_depthwise(geometry) {
                depthwise::add_kernel_gradient(&patches, grad, pixels, kernel_row, sums);
            } else {
                add_tile(&patches, grad, geometry, (pixels, kernel_row), scratch, sums);
            }
        }
    };
    let mut sums = vec![T::zero(); pieces * out.len()];
    sums.par_chunks_mut(kw * group_in * filters).enumerate().for_each_init(Vec::new, add_piece);
    let (first, rest) = sums.split_at(out.len());
    out.copy_from_slice(first);
    for piece in rest.chunks_exact(out.len()) {
        sum::add(out, piece);
    }
}

/// Adds to one row of the kernel's gradient what a tile of positions contributes.
fn add_tile<T: Element>(
    patches: &Patches<'_, T>,
    grad: &[T],
    geometry: &Geometry2d,
    (pixels, kernel_row): (Range<usize>, usize),
    scratch: &mut Vec<T>,
    sums: &mut [T],
) {
    let [_, kw, group_in, filters] = geometry.kernel_shape();
    let group_out = filters / geometry.groups;
    let depth = kw * group_in;
    let grad = &grad[pixels.start * filters..pixels.end * filters];
    for group in 0..geometry.groups {
        let channels = group * group_in..(group + 1) * group_in;
        scratch.resize(pixels.len() * depth, T::zero());
        patches.gather(pixels.clone(), kernel_row..kernel_row + 1, channels, scratch);
        let right = PackedMatrix::from_rows(pixels.len(), group_out, |row, columns, into| {
            into.copy_from_slice(&grad[row * filters + group * group_out..][columns]);
        });
        let left = Left::Columns { values: scratch, stride: depth, first: 0 };
        let mut out = Rows::new(sums, filters);
        let place = group * group_out;
        let columns = 0..group_out;
        Block { left, right: right.as_panels(), columns, out: &mut out, place, finish: Finish::Add }
            .compute();
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{Accuracy, Padding, Window2d};

    /// Small whole numbers, whose sums are exact in any order.
    fn numbers(len: usize, salt: usize) -> Vec<f32> {
        (0..len).map(|i| ((i * 29 + salt * 7) % 13) as f32 - 6.0).collect()
    }

    /// Calls `f(input index, kernel index, output index)` for every multiplication, by the definition.
    fn each_product(geometry: &Geometry2d, mut f: impl FnMut(usize, usize, usize)) {
        let [batch, oh, ow, filters] = geometry.output_shape();
        let [kh, kw, group_in, _] = geometry.kernel_shape();
        let [_, h, w, channels] = geometry.input_shape();
        for (n, y, x, i, j) in counters([batch, oh, ow, kh, kw]) {
            if let (Some(p), Some(q)) = (geometry.rows.source(y, i), geometry.cols.source(x, j)) {
                for filter in 0..filters {
                    let group = filter / (filters / geometry.groups);
                    for c in 0..group_in {
                        let input = ((n * h + p) * w + q) * channels + group * group_in + c;
                        let kernel = ((i * kw + j) * group_in + c) * filters + filter;
                        f(input, kernel, ((n * oh + y) * ow + x) * filters + filter);
                    }
                }
            }
        }
    }

    fn counters(limits: [usize; 5]) -> impl Iterator<Item = (usize, usize, usize, usize, usize)> {
        (0..limits.iter().product()).map(move |mut index: usize| {
            let mut digits = [0; 5];
            for (digit, limit) in digits.iter_mut().zip(limits).rev() {
                (*digit, index) = (index % limit, index / limit);
            }
            (digits[0], digits[1], digits[2], digits[3], digits[4])
        })
    }

    fn geometries() -> impl Strategy<Value = Geometry2d> {
        let pair = |range: Range<usize>| (range.clone(), range);
        let padding = prop_oneof![
            Just(Padding::Valid),
            Just(Padding::Same),
            (0..4_usize, 0..4_usize, 0..4_usize, 0..4_usize)
                .prop_map(|(top, bottom, left, right)| Padding::Explicit { top, bottom, left, right }),
        ];
        let channels = prop_oneof![
            (1..4_usize, 1..4_usize, 1..20_usize),
            (1..20_usize, Just(1), Just(1)),
            (1..9_usize, Just(2), Just(2)),
            (1..7_usize, Just(4), Just(4)),
        ];
        (1..4_usize, pair(1..9), pair(1..5), pair(1..4), pair(1..3), padding, channels).prop_filter_map(
            "the window is larger than the input",
            |(n, (h, w), kernel, strides, dilation, padding, (groups, group_in, group_out))| {
                let kernel_shape = [kernel.0, kernel.1, group_in, groups * group_out];
                let window = Window2d::new(kernel).strides(strides).dilation(dilation).padding(padding);
                let window = window.accuracy(Accuracy::Strict);
                window.groups(groups).conv(&[n, h, w, groups * group_in], &kernel_shape).ok()
            },
        )
    }

    fn len(shape: [usize; 4]) -> usize {
        shape.iter().product()
    }

    proptest! {
        #[test]
        fn all_three_directions_follow_the_definition(geometry in geometries()) {
            let x = numbers(len(geometry.input_shape()), 1);
            let kernel = numbers(len(geometry.kernel_shape()), 2);
            let bias = numbers(geometry.out_channels, 3);
            let grad = numbers(len(geometry.output_shape()), 4);

            let mut y: Vec<f32> = bias.iter().cycle().copied().take(grad.len()).collect();
            let (mut dx, mut dw) = (vec![0.0; x.len()], vec![0.0; kernel.len()]);
            each_product(&geometry, |input, weight, output| {
                y[output] += x[input] * kernel[weight];
                dx[input] += grad[output] * kernel[weight];
                dw[weight] += grad[output] * x[input];
            });

            let mut out = vec![f32::NAN; y.len()];
            forward(&x, (&kernel, &PreparedKernel::default()), Some(&bias), &geometry, &|_| {}, &mut out);
            prop_assert_eq!(out, y);
            let mut out = vec![f32::NAN; dx.len()];
            backward_input(&grad, &kernel, &geometry, &mut out);
            prop_assert_eq!(out, dx);
            let mut out = vec![f32::NAN; dw.len()];
            backward_kernel(&x, &grad, &geometry, &mut out);
            prop_assert_eq!(out, dw);
        }
    }
}
