//! The transform of the kernel: `G g G^T` for every channel and filter, packed for the products.

use std::ops::Range;

use super::TileSize;
use super::points::{FivePoints, FourPoints, OnePoint, SixPoints, Taps, with_taps};
use crate::Element;
use crate::geometry::Geometry2d;
use crate::kernels::aligned::{line_len, room};
use crate::kernels::kept::with_kept;
use crate::kernels::kernel_matrix::KernelMatrix;
use crate::kernels::panels::{Panel, Panels, each_panel_of, panels_len};
use crate::kernels::pieces::{each_chunk, even_pieces};
use crate::kernels::simd::{Isa, Kernel, Simd, SimdElement, isa, prefetch_read, unrolled};
use crate::kernels::spare::Buffer;
use crate::kernels::threads::threads;

/// Filters that are multiplied and transformed back together: whole vectors on every instruction set, and two panels of
/// `f32` with AVX2. AVX-512 has them in panels of two vectors.
pub(super) const GROUP: usize = 32;
/// Bytes of a group, transformed, that stay in a second-level cache until they are used.
const NEAR_BYTES: usize = 640 << 10;
/// The most taps of a kernel.
const MOST_TAPS: usize = 25;

/// A kernel transformed and packed for [`forward`](super::forward).
///
/// The products use it in one stream: the filters in groups, for each group all terms, for each term the group's
/// panels.
#[derive(Clone, Debug)]
pub(crate) struct WinogradKernel<T: Copy + Default + 'static> {
    pub(super) isa: Isa,
    pub(super) size: TileSize,
    channels: usize,
    filters: usize,
    values: Buffer<T>,
}

impl<T: Element> WinogradKernel<T> {
    /// Transforms a kernel `[kh, kw, channels, filters]` for tiles of `size`, in double precision, rounded once.
    pub(crate) fn new(kernel: &[T], geometry: &Geometry2d, size: TileSize) -> Self {
        Self::precise(isa(), &KernelMatrix::new(kernel, geometry.out_channels), size)
    }

    /// The same for a given instruction set.
    pub(super) fn precise(isa: Isa, kernel: &KernelMatrix<'_, T>, size: TileSize) -> Self {
        Self::packed(isa, kernel, size, |weights, out| weights.transform_in_double(isa, size, out))
    }

    /// The same of a kernel that is used once, in its own precision.
    pub(super) fn quick(isa: Isa, kernel: &KernelMatrix<'_, T>, size: TileSize) -> Self {
        Self::packed(isa, kernel, size, |weights, out| weights.transform(isa, size, out))
    }

    /// Packs what `transform` makes of the taps of each group.
    fn packed(
        isa: Isa,
        kernel: &KernelMatrix<'_, T>,
        size: TileSize,
        transform: impl Fn(Weights<'_, T>, &mut [T]) + Sync,
    ) -> Self {
        let (rows, filters) = kernel.size();
        let channels = rows / size.taps();
        let rest = if filters % GROUP > 0 {
            group_len::<T>(isa, size.terms(), channels, filters % GROUP)
        } else {
            0
        };
        let whole = group_len::<T>(isa, size.terms(), channels, GROUP);
        let mut values = Buffer::unwritten(filters / GROUP * whole + rest);
        each_chunk(threads(values.len()) > 1, &mut values, whole, |group, out| {
            let part = (size, 0..channels, group_of(filters, group));
            with_weights(kernel, part, |weights| transform(weights, out));
        });
        WinogradKernel { isa, size, channels, filters, values }
    }

    /// The filters of a group, with all that is used after them.
    pub(super) fn group(&self, group: usize) -> GroupPanels<'_, T> {
        let filters = group_of(self.filters, group).len();
        let before = group * group_len::<T>(self.isa, self.size.terms(), self.channels, GROUP);
        GroupPanels { isa: self.isa, channels: self.channels, filters, values: &self.values[before..] }
    }
}

/// A group of filters, transformed and packed.
#[derive(Clone, Copy)]
pub(super) struct GroupPanels<'a, T> {
    isa: Isa,
    channels: usize,
    pub(super) filters: usize,
    values: &'a [T],
}

impl<'a, T: Element> GroupPanels<'a, T> {
    /// The matrix of these channels and the filters for a term.
    pub(super) fn at(&self, term: usize, channels: Range<usize>) -> Panels<'a, T> {
        let start = term * term_len::<T>(self.isa, self.channels, self.filters);
        Panels { isa: self.isa, k: self.channels, rows: channels, values: &self.values[start..], ahead: None }
    }
}

/// The filters of a group, of so many.
pub(super) fn group_of(filters: usize, group: usize) -> Range<usize> {
    group * GROUP..filters.min((group + 1) * GROUP)
}

/// Room for a group that is used once.
#[derive(Default)]
pub(super) struct OneGroup<T>(Vec<T>);

impl<T: Element> OneGroup<T> {
    /// Transforms the filters of a group of `kernel` and hands them to `each`: if `near`, for as many channels at a time as
    /// stay in a second-level cache until they are used.
    pub(super) fn transform(
        &mut self,
        kernel: &KernelMatrix<'_, T>,
        group: usize,
        (size, near): (TileSize, bool),
        mut each: impl FnMut(Range<usize>, GroupPanels<'_, T>),
    ) {
        let (isa, (rows, filters)) = (isa(), kernel.size());
        let most = NEAR_BYTES / (size.terms() * GROUP * size_of::<T>());
        let (all, filters) = (rows / size.taps(), group_of(filters, group));
        for (first, channels) in even_pieces(0..all, if near { most } else { all }) {
            let slice = first..first + channels;
            let values = room(&mut self.0, group_len::<T>(isa, size.terms(), channels, filters.len()));
            let part = (size, slice.clone(), filters.clone());
            with_weights(kernel, part, |weights| weights.transform(isa, size, values));
            each(slice, GroupPanels { isa, channels, filters: filters.len(), values });
        }
    }
}

/// The weights of some channels and filters at each of so many taps, wherever they lie.
struct Weights<'a, T> {
    taps: usize,
    /// From the first tap of the first channel and filter on.
    values: &'a [T],
    /// From tap to tap, and from channel to channel.
    strides: [usize; 2],
    channels: usize,
    filters: usize,
}

/// Room for weights that lie elsewhere in another order.
#[derive(Default)]
struct Moved<T>(Vec<T>);

/// Calls `f` with some channels and filters of `kernel`.
fn with_weights<T: Element>(
    kernel: &KernelMatrix<'_, T>,
    (size, channels, filters): (TileSize, Range<usize>, Range<usize>),
    f: impl FnOnce(Weights<'_, T>),
) {
    let (taps, (rows, columns)) = (size.taps(), kernel.size());
    let (all, count, width) = (rows / taps, channels.len(), filters.len());
    match kernel {
        KernelMatrix::InOrder { values, .. } => {
            let values = &values[channels.start * columns + filters.start..];
            f(Weights { taps, values, strides: [all * columns, columns], channels: count, filters: width });
        }
        KernelMatrix::Turned(turned) => with_kept(|moved: &mut Moved<T>| {
            let values = room(&mut moved.0, count * taps * width);
            for tap in 0..taps {
                let rows = tap * all + channels.start..tap * all + channels.end;
                turned.copy(rows, filters.clone(), taps * width, &mut values[tap * width..]);
            }
            f(Weights { taps, values, strides: [width, taps * width], channels: count, filters: width });
        }),
    }
}

impl<T: Element> Weights<'_, T> {
    /// Asks for the weights of a channel that comes after another. They may lie far apart: the processor does not foresee what
    /// is read next.
    #[inline(always)]
    fn ask_ahead(&self, channel: usize) {
        const AHEAD: usize = 4;
        if channel + AHEAD < self.channels {
            let ahead = &self.values[(channel + AHEAD) * self.strides[1]..];
            for tap in ahead.chunks(self.strides[0]).take(self.taps) {
                prefetch_read(&tap[..self.filters.min(tap.len())]);
            }
        }
    }

    /// Transforms them: for each term, panels.
    fn transform(self, isa: Isa, size: TileSize, out: &mut [T]) {
        T::dispatch(isa, Transform { weights: self, size, out });
    }

    /// The same in double precision, rounded once.
    fn transform_in_double(self, isa: Isa, size: TileSize, out: &mut [T]) {
        let exact = vec![0.0; group_len::<f64>(isa, size.terms(), 1, self.filters)];
        f64::dispatch(isa, TransformInDouble { weights: self, exact, isa, size, out });
    }
}

/// The distance between the terms of a group of so many filters: an odd number of cache lines, so that all terms of a
/// channel find room in the first-level cache.
pub(super) fn term_len<T: Element>(isa: Isa, channels: usize, filters: usize) -> usize {
    let lines = panels_len::<T>(isa, channels, filters).div_ceil(line_len::<T>());
    (lines | 1) * line_len::<T>()
}

/// The room that a group of so many filters takes, with so many terms or points.
pub(super) fn group_len<T: Element>(isa: Isa, terms: usize, channels: usize, filters: usize) -> usize {
    terms * term_len::<T>(isa, channels, filters)
}

/// The work of [`Weights::transform`].
struct Transform<'a, 'o, T> {
    weights: Weights<'a, T>,
    size: TileSize,
    out: &'o mut [T],
}

impl<T: Element> Kernel<T> for Transform<'_, '_, T> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd<T>>(self, simd: S) {
        with_taps!(self.size, self.all::<S>(simd))
    }
}

impl<T: Element> Transform<'_, '_, T> {
    #[inline(always)]
    #[allow(clippy::needless_range_loop)] // adaptors of arrays are not always inlined
    fn all<
        S: Simd<T>,
        R: Taps<N, J>,
        C: Taps<L, K>,
        const N: usize,
        const L: usize,
        const J: usize,
        const K: usize,
    >(
        self,
        simd: S,
    ) {
        let Transform { weights, out, .. } = self;
        let Weights { values, strides: [tap, channel], channels, filters, .. } = weights;
        let term_len = term_len::<T>(S::ISA, channels, filters);
        let mut panels = each_panel_of::<T>(S::ISA, channels, filters);
        let panels: [Option<Panel>; GROUP / 4] = std::array::from_fn(|_| panels.next());
        for index in 0..channels {
            let source = &values[index * channel..];
            weights.ask_ahead(index);
            for Panel { first, width } in panels.iter().flatten() {
                for lane in (0..filters.saturating_sub(*first).min(*width)).step_by(S::LANES) {
                    let source = &source[first + lane..];
                    let left = filters - first - lane;
                    let mut taps = [[simd.splat(T::zero()); K]; J];
                    for i in 0..J {
                        let source = &source[i * K * tap..];
                        if left >= S::LANES {
                            taps[i] = simd.load_strided(source, tap);
                        } else {
                            for j in 0..K {
                                taps[i][j] = simd.load_up_to(&source[j * tap..][..left]);
                            }
                        }
                    }
                    let out = &mut out[first * channels + index * width + lane..];
                    store_terms::<T, S, R, C, N, L, J, K>(simd, &taps, out, term_len);
                }
            }
        }
    }
}

/// The work of [`Weights::transform_in_double`].
struct TransformInDouble<'a, 'o, T> {
    weights: Weights<'a, T>,
    /// Room for a channel.
    exact: Vec<f64>,
    isa: Isa,
    size: TileSize,
    out: &'o mut [T],
}

impl<T: Element> Kernel<f64> for TransformInDouble<'_, '_, T> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd<f64>>(self, simd: S) {
        let TransformInDouble { weights, mut exact, isa, size, out } = self;
        let Weights { taps, values, strides: [tap, channel], channels, filters } = weights;
        let term_len = [term_len::<f64>(isa, 1, filters), term_len::<T>(isa, channels, filters)];
        let mut double = [0.0; MOST_TAPS * GROUP];
        for index in 0..channels {
            weights.ask_ahead(index);
            for (place, double) in double.chunks_exact_mut(GROUP).enumerate().take(taps) {
                let values = &values[place * tap + index * channel..][..filters];
                double.iter_mut().zip(values).for_each(|(double, value)| *double = value.to_double());
            }
            let weights = Weights { taps, values: &double, strides: [GROUP, 0], channels: 1, filters };
            Transform { weights, size, out: &mut exact }.run(simd);
            for Panel { first, width } in each_panel_of::<T>(isa, channels, filters) {
                let out = &mut out[first * channels + index * width..];
                for term in 0..size.terms() {
                    let exact = &exact[term * term_len[0]..][first..filters.min(first + width)];
                    let (out, rest) = out[term * term_len[1]..][..width].split_at_mut(exact.len());
                    out.iter_mut().zip(exact).for_each(|(out, &exact)| *out = T::of(exact));
                    rest.fill(T::zero());
                }
            }
        }
    }
}

/// Writes `G g G^T`, terms `stride` apart.
#[inline(always)]
fn store_terms<
    T: Element,
    S: Simd<T>,
    R: Taps<N, J>,
    C: Taps<L, K>,
    const N: usize,
    const L: usize,
    const J: usize,
    const K: usize,
>(
    simd: S,
    taps: &[[S::V; K]; J],
    out: &mut [T],
    stride: usize,
) {
    let mut half = [[simd.splat(T::zero()); K]; N];
    unrolled!(j < K, {
        let mut column = [simd.splat(T::zero()); J];
        unrolled!(i < J, { column[i] = taps[i][j] });
        let column = R::kernel(simd, column);
        unrolled!(i < N, { half[i][j] = column[i] });
    });
    unrolled!(i < N, {
        simd.store_strided(C::kernel(simd, half[i]), &mut out[i * L * stride..], stride);
    });
}
