//! The gradients of a depthwise convolution's kernel and bias, where every tap's sums stay in registers along a row of
//! positions, and of its input, where the windows move by more than one.

use std::ops::Range;

use super::kept::with_kept;
use super::patches::Patches;
use super::pieces::each_chunk;
use super::simd::{Kernel, Simd, isa};
use super::sum;
use super::threads::threads;
use crate::{Element, Geometry2d, WindowAxis};

/// Into how many pieces the rows of positions are cut at most, and the fewest rows of a piece.
const PIECES: usize = 16;
const PIECE_LINES: usize = 4;
/// The most taps whose sums are in registers together, in so many vectors of channels each.
const TAPS: usize = 4;
const PAIR: usize = 2;

/// `out[i,j,c] = sum over n,y,x of source[n, y*s+i*d-p, x*s+j*d-p, c] * grad[n,y,x,c]` for the windows of `patches`; behind
/// these, if `out` goes on, the sums of `grad[n,y,x,c]`.
pub(super) fn kernel_gradient<T: Element>(patches: &Patches<'_, T>, grad: &[T], out: &mut [T]) {
    let lines = grad.len() / (patches.cols.positions * patches.channels);
    let pieces = (lines / PIECE_LINES).clamp(1, PIECES);
    let parallel = threads(grad.len() * patches.rows.taps * patches.cols.taps) > 1;
    sum::in_pieces(parallel, pieces, out, |piece, sums| {
        let lines = piece * lines / pieces..(piece + 1) * lines / pieces;
        T::dispatch(isa(), Piece { patches, grad, lines, sums });
    });
}

/// `out[n,p,q,c] = sum over the windows (y,x) that see (p,q) at tap (i,j) of grad[n,y,x,c] * kernel[i,j,c]`.
pub(super) fn input_gradient<T: Element>(grad: &[T], kernel: &[T], geometry: &Geometry2d, out: &mut [T]) {
    let line = geometry.cols.input * geometry.in_channels;
    let parallel = threads(geometry.multiplications() as usize) > 1;
    with_kept(|[rows, cols]: &mut [Vec<Over>; 2]| {
        let [channels, taps] = [geometry.in_channels, geometry.cols.kernel];
        Over::fill(rows, &geometry.rows, [geometry.cols.output * channels, taps * channels]);
        Over::fill(cols, &geometry.cols, [channels; 2]);
        let over: [&[Over]; 2] = [rows, cols];
        each_chunk(parallel, out, PIECE_LINES * line, |index, out| {
            T::dispatch(isa(), InputLines { grad, kernel, geometry, over, first: index * PIECE_LINES, out });
        });
    });
}

/// The windows over a position along an axis of the input, from the last one back: where the gradients of each are, and the
/// weights of the tap at which it sees the position. Both change by the same from one to the next.
#[derive(Clone, Copy, Default)]
struct Over {
    count: usize,
    grad: usize,
    weight: usize,
    back: usize,
    on: usize,
}

impl Over {
    /// Those over each position, of windows and of taps so far apart.
    fn fill(over: &mut Vec<Over>, axis: &WindowAxis, [pitch, tap_pitch]: [usize; 2]) {
        over.clear();
        over.extend((0..axis.input).map(|position| {
            let place = |(window, tap): (usize, usize)| (window * pitch, tap * tap_pitch);
            let mut windows = axis.windows_over(position).map(place);
            let Some((grad, weight)) = windows.next() else {
                return Over::default();
            };
            match windows.next() {
                Some((before, after)) => {
                    let (back, on) = (grad - before, after - weight);
                    Over { count: 2 + windows.count(), grad, weight, back, on }
                }
                None => Over { count: 1, grad, weight, ..Over::default() },
            }
        }));
    }

    /// Where the gradients and the weights are.
    #[inline(always)]
    fn places(self) -> impl Iterator<Item = (usize, usize)> {
        let mut next = (self.grad, self.weight);
        (0..self.count).map(move |_| {
            let place = next;
            next = (next.0.wrapping_sub(self.back), next.1.wrapping_add(self.on));
            place
        })
    }
}

/// Some rows of the input, from `first` on, counted through all images.
struct InputLines<'a, T> {
    grad: &'a [T],
    kernel: &'a [T],
    geometry: &'a Geometry2d,
    /// The windows over rows, and those over columns.
    over: [&'a [Over]; 2],
    first: usize,
    out: &'a mut [T],
}

impl<T: Element> Kernel<T> for InputLines<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd<T>>(self, simd: S) {
        let Geometry2d { ref rows, ref cols, in_channels: channels, .. } = *self.geometry;
        let image_len = rows.output * cols.output * channels;
        for (index, out) in (self.first..).zip(self.out.chunks_exact_mut(cols.input * channels)) {
            let (image, row) = (index / rows.input, index % rows.input);
            let grad = &self.grad[image * image_len..][..image_len];
            let down = self.over[0][row];
            for (col, out) in out.chunks_exact_mut(channels).enumerate() {
                let sees = Sees { grad, kernel: self.kernel, channels, down, across: self.over[1][col] };
                let mut channel = 0;
                while channel < channels {
                    channel += match (channels - channel) / S::LANES {
                        4.. => sees.sum::<S, 4>(simd, channel, out),
                        2.. => sees.sum::<S, 2>(simd, channel, out),
                        1 => sees.sum::<S, 1>(simd, channel, out),
                        _ => sees.rest(simd, channel, out),
                    };
                }
            }
        }
    }
}

/// A position of the input: the windows over it, down and across, and their image's gradients.
struct Sees<'a, T> {
    grad: &'a [T],
    kernel: &'a [T],
    channels: usize,
    down: Over,
    across: Over,
}

impl<T: Element> Sees<'_, T> {
    /// Calls `f` with the gradients of each window, and with its weights, from the channel `channel` on.
    #[inline(always)]
    fn each(&self, channel: usize, mut f: impl FnMut(&[T], &[T])) {
        for (row, taps) in self.down.places() {
            for (column, tap) in self.across.places() {
                f(&self.grad[row + column + channel..], &self.kernel[taps + tap + channel..]);
            }
        }
    }

    /// The gradients of `V` vectors of channels. Returns how many channels these are.
    #[inline(always)]
    fn sum<S: Simd<T>, const V: usize>(&self, simd: S, channel: usize, out: &mut [T]) -> usize {
        let mut sums = [simd.splat(T::zero()); V];
        self.each(channel, |grad, weights| {
            let grad = simd.load_strided::<V>(grad, S::LANES);
            let weights = simd.load_strided::<V>(weights, S::LANES);
            for v in 0..V {
                sums[v] = simd.mul_add(grad[v], weights[v], sums[v]);
            }
        });
        simd.store_strided(sums, &mut out[channel..], S::LANES);
        V * S::LANES
    }

    /// The same of the channels that are left, fewer than a vector has lanes.
    #[inline(always)]
    fn rest<S: Simd<T>>(&self, simd: S, channel: usize, out: &mut [T]) -> usize {
        let left = self.channels - channel;
        let mut sum = simd.splat(T::zero());
        self.each(channel, |grad, weights| {
            sum = simd.mul_add(simd.load_up_to(&grad[..left]), simd.load_up_to(&weights[..left]), sum);
        });
        simd.store_up_to(sum, &mut out[channel..]);
        left
    }
}

/// The sums over the rows of positions `lines`, counted through all images.
struct Piece<'a, T> {
    patches: &'a Patches<'a, T>,
    grad: &'a [T],
    lines: Range<usize>,
    sums: &'a mut [T],
}

impl<T: Element> Kernel<T> for Piece<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd<T>>(self, simd: S) {
        let Patches { source, channels, ref rows, ref cols } = *self.patches;
        let (width, pitch) = (cols.positions * channels, cols.source * channels);
        self.sums.fill(T::zero());
        let (kernel, bias) = self.sums.split_at_mut(rows.taps * cols.taps * channels);
        for line in self.lines {
            let (image, row) = (line / rows.positions, line % rows.positions);
            let grad = &self.grad[line * width..][..width];
            if !bias.is_empty() {
                sum::add_columns(simd, grad, bias);
            }
            let seen = rows.inside(row);
            let whole = seen.len() == SIDE && rows.taps == SIDE && cols.taps == SIDE && cols.is_contiguous();
            if const { S::PANEL > 2 } && whole && matches!(cols.step, 1 | 2) {
                let line = |i| &source[(image * rows.source + rows.read(row, i)) * pitch..][..pitch];
                let mut window =
                    Window { patches: self.patches, source: [0, 1, 2].map(line), grad, sums: kernel };
                match cols.step {
                    1 => window.run::<S, 1, { BESIDE + 2 }>(simd),
                    _ => window.run::<S, 2, { 2 * BESIDE + 1 }>(simd),
                }
                continue;
            }
            for i in seen {
                let source = &source[(image * rows.source + rows.read(row, i)) * pitch..][..pitch];
                let sums = &mut kernel[i * cols.taps * channels..][..cols.taps * channels];
                let mut line = Line { patches: self.patches, source, grad, sums };
                let mut tap = 0;
                while tap < cols.taps {
                    tap += match cols.taps - tap {
                        1 => line.taps::<S, 1>(simd, tap),
                        2 => line.taps::<S, 2>(simd, tap),
                        3 | 5 | 6 => line.taps::<S, 3>(simd, tap),
                        _ => line.taps::<S, TAPS>(simd, tap),
                    };
                }
            }
        }
    }
}

/// A side of the windows whose taps all have their sums in registers at once, where there are 32.
const SIDE: usize = 3;
/// Positions of these at a time: neighbours see the same.
const BESIDE: usize = 4;

/// A row of positions, the rows of the source that its windows of 3x3 see, and the sums of all taps.
struct Window<'a, T> {
    patches: &'a Patches<'a, T>,
    source: [&'a [T]; SIDE],
    grad: &'a [T],
    sums: &'a mut [T],
}

impl<T: Element> Window<'_, T> {
    /// Adds up all positions, of windows that move by `STEP`, of which [`BESIDE`] see `SEEN` columns.
    #[inline(always)]
    fn run<S: Simd<T>, const STEP: usize, const SEEN: usize>(&mut self, simd: S) {
        let Patches { channels, ref cols, .. } = *self.patches;
        let (interior, whole) = (cols.interior(), channels / S::LANES * S::LANES);
        for channel in (0..whole).step_by(S::LANES) {
            self.inner::<S, STEP, SEEN>(simd, interior.clone(), channel);
        }
        for (source, sums) in self.source.into_iter().zip(self.sums.chunks_exact_mut(SIDE * channels)) {
            let mut line = Line { patches: self.patches, source, grad: self.grad, sums };
            for col in (0..interior.start).chain(interior.end..cols.positions) {
                cols.inside(col).for_each(|tap| line.single(simd, tap, col));
            }
            if whole < channels {
                for col in interior.clone() {
                    (0..SIDE).for_each(|tap| line.part(simd, tap, col, whole..channels));
                }
            }
        }
    }

    /// The columns `columns`, which see the source with all taps, of a vector of channels.
    #[inline(always)]
    #[allow(clippy::needless_range_loop)] // adaptors of arrays are not always inlined
    fn inner<S: Simd<T>, const STEP: usize, const SEEN: usize>(
        &mut self,
        simd: S,
        columns: Range<usize>,
        channel: usize,
    ) {
        let Patches { channels, ref cols, .. } = *self.patches;
        let mut sums = [[simd.splat(T::zero()); SIDE]; SIDE];
        for i in 0..SIDE {
            sums[i] = simd.load_strided::<SIDE>(&self.sums[i * SIDE * channels + channel..], channels);
        }
        let mut col = columns.start;
        while col < columns.end {
            let place = cols.read(col, 0) * channels + channel;
            let grad = &self.grad[col * channels + channel..];
            if columns.end - col >= BESIDE {
                let grads = simd.load_strided::<BESIDE>(grad, channels);
                for i in 0..SIDE {
                    let seen = simd.load_strided::<SEEN>(&self.source[i][place..], channels);
                    for x in 0..BESIDE {
                        for j in 0..SIDE {
                            sums[i][j] = simd.mul_add(seen[x * STEP + j], grads[x], sums[i][j]);
                        }
                    }
                }
                col += BESIDE;
            } else {
                let grad = simd.load(grad);
                for i in 0..SIDE {
                    let seen = simd.load_strided::<SIDE>(&self.source[i][place..], channels);
                    for j in 0..SIDE {
                        sums[i][j] = simd.mul_add(seen[j], grad, sums[i][j]);
                    }
                }
                col += 1;
            }
        }
        for i in 0..SIDE {
            simd.store_strided(sums[i], &mut self.sums[i * SIDE * channels + channel..], channels);
        }
    }
}

/// A row of positions, the row of the source that a row of taps sees, and the sums of these taps.
struct Line<'a, T> {
    patches: &'a Patches<'a, T>,
    source: &'a [T],
    grad: &'a [T],
    sums: &'a mut [T],
}

impl<T: Element> Line<'_, T> {
    /// Adds up the `J` taps from `first` on. Returns `J`.
    #[inline(always)]
    fn taps<S: Simd<T>, const J: usize>(&mut self, simd: S, first: usize) -> usize {
        let Patches { channels, ref cols, .. } = *self.patches;
        // Further to the right, windows begin to see with earlier taps, and cease to with the last ones.
        let start = partition(cols.positions, |col| cols.inside(col).start > first);
        let end = partition(cols.positions, |col| cols.inside(col).end >= first + J).max(start);
        for col in (0..start).chain(end..cols.positions) {
            let seen = cols.inside(col);
            for tap in first.max(seen.start)..seen.end.min(first + J) {
                self.single(simd, tap, col);
            }
        }
        let mut channel = 0;
        while channel < channels && start < end {
            channel += match channels - channel {
                left if left >= PAIR * S::LANES => self.inner::<S, J, PAIR>(simd, first, start..end, channel),
                left if left >= S::LANES => self.inner::<S, J, 1>(simd, first, start..end, channel),
                left => {
                    for tap in first..first + J {
                        for col in start..end {
                            self.part(simd, tap, col, channel..channels);
                        }
                    }
                    left
                }
            };
        }
        J
    }

    /// The columns `columns`, which see the source with all of these taps, and `V` vectors of channels. Returns how many
    /// channels these are.
    #[inline(always)]
    #[allow(clippy::needless_range_loop)] // adaptors of arrays are not always inlined
    fn inner<S: Simd<T>, const J: usize, const V: usize>(
        &mut self,
        simd: S,
        first: usize,
        columns: Range<usize>,
        channel: usize,
    ) -> usize {
        let Patches { channels, ref cols, .. } = *self.patches;
        let across = cols.beyond_first(1) * channels;
        let mut sums = [[simd.splat(T::zero()); J]; V];
        for v in 0..V {
            let place = first * channels + channel + v * S::LANES;
            sums[v] = simd.load_strided::<J>(&self.sums[place..], channels);
        }
        let mut place = cols.read(columns.start, first) * channels + channel;
        for col in columns {
            for v in 0..V {
                let grad = simd.load(&self.grad[col * channels + channel + v * S::LANES..]);
                let seen = simd.load_strided::<J>(&self.source[place + v * S::LANES..], across);
                for j in 0..J {
                    sums[v][j] = simd.mul_add(seen[j], grad, sums[v][j]);
                }
            }
            // After the last column, the step may be as long as it likes.
            place = place.wrapping_add(cols.step.wrapping_mul(channels));
        }
        for v in 0..V {
            let place = first * channels + channel + v * S::LANES;
            simd.store_strided(sums[v], &mut self.sums[place..], channels);
        }
        V * S::LANES
    }

    /// One tap at one column.
    #[inline(always)]
    fn single<S: Simd<T>>(&mut self, simd: S, tap: usize, col: usize) {
        let channels = self.patches.channels;
        for first in (0..channels).step_by(S::LANES) {
            self.part(simd, tap, col, first..channels.min(first + S::LANES));
        }
    }

    /// One tap at one column for no more channels than a vector has lanes.
    #[inline(always)]
    fn part<S: Simd<T>>(&mut self, simd: S, tap: usize, col: usize, part: Range<usize>) {
        let Patches { channels, ref cols, .. } = *self.patches;
        let seen = simd.load_up_to(&self.source[cols.read(col, tap) * channels..][part.clone()]);
        let grad = simd.load_up_to(&self.grad[col * channels..][part.clone()]);
        let sums = &mut self.sums[tap * channels..][part];
        simd.store_up_to(simd.mul_add(seen, grad, simd.load_up_to(sums)), sums);
    }
}

/// The first number below `end` that `before` is false of, where it is true of all before it; `end` if there is none.
#[inline(always)]
fn partition(end: usize, before: impl Fn(usize) -> bool) -> usize {
    let mut range = 0..end;
    while range.start < range.end {
        let middle = range.start + range.len() / 2;
        if before(middle) {
            range.start = middle + 1;
        } else {
            range.end = middle;
        }
    }
    range.start
}
