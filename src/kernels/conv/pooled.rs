//! A convolution and the max pooling after it, strip by strip: a strip is pooled while it is in the cache, and the maps
//! between the two layers are never in memory as a whole.

use std::ops::Range;

use super::{PreparedKernel, forward_by};
use crate::Element;
use crate::geometry::{Geometry2d, gcd};
use crate::kernels::L2_BYTES;
use crate::kernels::aligned::room;
use crate::kernels::epilogue::Epilogue;
use crate::kernels::kept::with_kept;
use crate::kernels::pieces::each_piece;
use crate::kernels::plan::{Algorithm, Plan};
use crate::kernels::pool::{self, Taken};
use crate::kernels::threads::{alone, threads};

/// Bytes of a map that does not stay in the caches until it is pooled.
const FAR_BYTES: usize = 4 * L2_BYTES;
/// The fewest outputs of the convolution in a strip: with fewer, its kernel would be read too often.
const FEW_OUTPUTS: usize = 384;
/// Strips of an image come in multiples of this, so that 2 or 4 threads end together.
const SHARES: usize = 4;
/// The most scratch of a thread, a strip and what the convolution needs.
const SCRATCH_BYTES: usize = 3 << 19;

/// A convolution and the max pooling after it, in strips of rows.
#[derive(Clone, Copy, Debug)]
pub struct Strips {
    conv: Geometry2d,
    pool: Geometry2d,
    algorithm: Algorithm,
    /// The strips of an image.
    count: usize,
    /// Pooled rows that strips consist of: of as many as make whole tiles.
    unit: usize,
}

impl Strips {
    /// Where strips are faster than whole maps: where a map is large, and windows of pooling share no rows. Follows from the
    /// layers alone, not from the number of threads.
    pub(crate) fn new<T: Element>(conv: &Geometry2d, pool: &Geometry2d) -> Option<Self> {
        let line = conv.cols.output * conv.out_channels * size_of::<T>();
        let apart = pool.rows.dilation == 1 && pool.rows.kernel <= pool.rows.stride;
        if conv.rows.output * line < FAR_BYTES || !apart || pool.rows.padding() != (0, 0) {
            return None;
        }
        let algorithm = Algorithm::choose::<T>(conv);
        let tile = algorithm.tiles().map_or(1, |tiles| tiles.outputs() * conv.rows.dilation);
        let unit = tile / gcd(tile, pool.rows.stride);
        let unit_rows = unit * pool.rows.stride;
        let few = FEW_OUTPUTS.div_ceil(unit_rows * conv.cols.output);
        let units = (L2_BYTES / (unit_rows * line)).max(few);
        let count = pool.rows.output.div_ceil(units * unit).next_multiple_of(SHARES);
        let strips = Strips { conv: *conv, pool: *pool, algorithm, count, unit };
        let scratch = Plan::by::<T>(algorithm, &strips.part(0..pool.rows.output.min(units * unit)).conv);
        (units * unit_rows * line + scratch.workspace_bytes() <= SCRATCH_BYTES).then_some(strips)
    }

    /// The pooled rows of all images before a strip.
    fn rows_before(&self, strip: usize) -> usize {
        let height = self.pool.rows.output;
        let units = strip % self.count * height.div_ceil(self.unit) / self.count;
        strip / self.count * height + units * self.unit
    }

    /// These rows of an image's pooled maps.
    fn part(&self, rows: Range<usize>) -> Part {
        let (maps, pool) = self.pool.part(rows);
        let (input, conv) = self.conv.part(maps);
        Part { input, conv, pool }
    }
}

/// The rows of the input that a strip follows from, and how.
struct Part {
    input: Range<usize>,
    conv: Geometry2d,
    pool: Geometry2d,
}

/// The largest of what each window of the pooling sees of [`forward`](super::forward)'s output. Writes all of `out`.
pub(crate) fn forward_pooled<T: Element>(
    input: &[T],
    kernel: (&[T], &PreparedKernel<T>),
    strips: &Strips,
    after: Epilogue<'_, T>,
    out: &mut [T],
) {
    let [batch, height, width, channels] = strips.conv.input_shape();
    let line = width * channels;
    let [_, _, pooled_width, filters] = strips.pool.output_shape();
    let start = |strip| strips.rows_before(strip) * pooled_width * filters;
    let parallel = threads(strips.conv.multiplications() as usize) > 1;
    each_piece(parallel, 0..batch * strips.count, out, &start, &|strip, out| {
        if out.is_empty() {
            return;
        }
        let image = strip / strips.count;
        let rows =
            [strip, strip + 1].map(|strip| strips.rows_before(strip) - image * strips.pool.rows.output);
        let part = strips.part(rows[0]..rows[1]);
        let image = &input[image * height * line..][..height * line];
        with_kept(|Maps(maps): &mut Maps<T>| {
            let maps = room(maps, part.conv.output_shape().iter().product());
            let input = &image[part.input.start * line..part.input.end * line];
            alone(|| {
                forward_by(strips.algorithm, input, kernel, &part.conv, after, maps);
                pool::max(maps, &part.pool, out, Taken::Nowhere);
            });
        });
    });
}

/// A strip before it is pooled.
#[derive(Default)]
struct Maps<T>(Vec<T>);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::on;
    use crate::{Padding, Window2d};

    fn len(shape: [usize; 4]) -> usize {
        shape.iter().product()
    }

    /// Fractions, whose sums are not exact.
    fn fractions(len: usize, salt: usize) -> Vec<f32> {
        (0..len).map(|i| ((i * 29 + salt * 7) % 31) as f32 / 7.0 - 2.0).collect()
    }

    #[test]
    fn strips_have_the_numbers_of_whole_maps() {
        let same = |kernel| Window2d::new(kernel).padding(Padding::Same);
        let convs = [
            ("Winograd", same(3), [2, 27, 21, 40], 33),
            ("dilated tiles", same(3).dilation(2), [1, 50, 50, 128], 128),
            ("implicit GEMM", same(5).strides(2), [2, 27, 21, 6], 10),
            ("one channel", same(3), [1, 30, 20, 1], 32),
            ("1x1", Window2d::new(1), [1, 25, 12, 20], 16),
            ("depthwise", same(3).groups(24), [1, 29, 20, 24], 24),
        ];
        let pools = [
            Window2d::new(2).strides(2),
            Window2d::new(2).strides(3).ceil_mode(true),
            Window2d::new((3, 2)).strides((3, 1)).ceil_mode(true),
            Window2d::new((1, 3)).padding(Padding::Explicit { top: 0, bottom: 0, left: 1, right: 1 }),
        ];
        let mut algorithms = Vec::new();
        for (what, window, input, filters) in convs {
            let [kh, kw] = window.kernel_size();
            let conv = window.conv(&input, &[kh, kw, input[3] / window.group_count(), filters]).unwrap();
            let (x, weights) = (fractions(len(input), 1), fractions(len(conv.kernel_shape()), 2));
            let (bias, kernel) = (fractions(filters, 3), PreparedKernel::default());
            let third = |piece: &mut [f32]| piece.iter_mut().for_each(|value| *value /= 3.0);
            let after = Epilogue { finish: Some(&third), ..Epilogue::bias(Some(&bias)) };
            let algorithm = Algorithm::choose::<f32>(&conv);
            algorithms.push(algorithm);
            let mut maps = vec![f32::NAN; len(conv.output_shape())];
            super::super::forward(&x, (&weights, &kernel), &conv, after, &mut maps);
            for pool in pools {
                let pool = pool.pool(&conv.output_shape()).unwrap();
                let mut whole = vec![f32::NAN; len(pool.output_shape())];
                pool::max(&maps, &pool, &mut whole, Taken::Nowhere);
                let tile = algorithm.tiles().map_or(1, |tiles| tiles.outputs() * conv.rows.dilation);
                let unit = tile / gcd(tile, pool.rows.stride);
                for (count, threads) in [(1, 1), (2, 2), (4, 1), (4, 5), (40, 2)] {
                    let strips = Strips { conv, pool, algorithm, count, unit };
                    let mut out = vec![f32::NAN; whole.len()];
                    on(threads, || forward_pooled(&x, (&weights, &kernel), &strips, after, &mut out));
                    let same = out.iter().zip(&whole).all(|(a, b)| a.to_bits() == b.to_bits());
                    assert!(same, "{what}: {count} strips on {threads} threads, {pool:?}");
                }
            }
        }
        for algorithm in [Algorithm::WinogradF4, Algorithm::ImplicitGemm, Algorithm::GroupVectors] {
            assert!(algorithms.contains(&algorithm), "{algorithms:?}");
        }
    }

    #[test]
    fn large_maps_come_in_strips_that_fit_in_the_scratch() {
        let strips = |side, channels: usize, pool: Window2d| {
            let window = Window2d::new(3).padding(Padding::Same);
            let conv = window.conv(&[2, side, side, channels], &[3, 3, channels, channels]).unwrap();
            Strips::new::<f32>(&conv, &pool.pool(&conv.output_shape()).unwrap())
        };
        let touching = Window2d::new(2).strides(2);
        for (side, channels) in [(224, 64), (112, 128)] {
            let strips = strips(side, channels, touching).unwrap();
            assert!(strips.count > 1 && strips.count.is_multiple_of(SHARES), "{strips:?}");
            let starts: Vec<_> = (0..=2 * strips.count).map(|strip| strips.rows_before(strip)).collect();
            assert_eq!((starts[strips.count], starts[2 * strips.count]), (side / 2, side));
            assert!(starts.is_sorted(), "{starts:?}");
        }
        // Small maps, filters too many for strips of enough outputs, and windows that share rows.
        assert!(strips(28, 64, touching).is_none());
        assert!(strips(64, 512, touching).is_none());
        assert!(strips(224, 64, Window2d::new(3).strides(2)).is_none());
    }
}
