//! A convolution and the max pooling after it, strip by strip: a strip is pooled while it is in the cache, and the maps
//! between the two layers are never in memory as a whole.

use std::ops::Range;

use super::{PreparedKernel, forward_by};
use crate::Element;
use crate::geometry::{Geometry2d, WindowAxis, gcd};
use crate::kernels::aligned::room;
use crate::kernels::epilogue::Epilogue;
use crate::kernels::kept::with_kept;
use crate::kernels::pieces::each_piece;
use crate::kernels::plan::{Algorithm, Plan};
use crate::kernels::pool::{self, Taken};
use crate::kernels::threads::{SHARES, alone, threads};
use crate::kernels::{L2_BYTES, SCRATCH_BYTES};

/// Bytes of a map that does not stay in the caches until it is pooled.
const FAR_BYTES: usize = 4 * L2_BYTES;
/// Outputs of the convolution that a strip should have, or its kernel would be read too often.
const FEW_OUTPUTS: usize = 384;

/// A convolution and the max pooling after it, in strips of rows.
#[derive(Clone, Copy, Debug)]
pub struct PooledStrips {
    conv: Geometry2d,
    pool: Geometry2d,
    algorithm: Algorithm,
    /// The strips of an image.
    count: usize,
    /// Rows of the convolution's tiles, and the pooled rows that strips consist of: of as many as make whole tiles.
    tile: usize,
    unit: usize,
}

impl PooledStrips {
    /// Where strips are faster than whole maps, and have the same numbers: where a map is large, and windows of pooling share no
    /// rows. Follows from the layers alone, not from the number of threads.
    pub(crate) fn new<T: Element>(conv: &Geometry2d, pool: &Geometry2d) -> Option<Self> {
        let line = conv.cols.output * conv.out_channels * size_of::<T>();
        let apart = pool.rows.dilation == 1 && pool.rows.kernel <= pool.rows.stride;
        if conv.rows.output * line < FAR_BYTES || !apart || pool.rows.padding() != (0, 0) {
            return None;
        }
        let strips = Self::of(Algorithm::choose::<T>(conv), conv, pool, 1)?;
        let (algorithm, unit) = (strips.algorithm, strips.unit);
        let unit_rows = unit * pool.rows.stride;
        let (unit_bytes, unit_outputs) =
            (unit_rows.checked_mul(line)?, unit_rows.checked_mul(conv.cols.output)?);
        let units = (L2_BYTES / unit_bytes).max(FEW_OUTPUTS.div_ceil(unit_outputs));
        let most_rows = pool.rows.output.min(units.checked_mul(unit)?);
        // A strip is computed by one thread.
        let scratch = alone(|| Plan::by::<T>(algorithm, &strips.part(0..most_rows).conv).workspace_bytes());
        let count = pool.rows.output.div_ceil(most_rows).next_multiple_of(SHARES);
        let fits = units.checked_mul(unit_bytes)?.checked_add(scratch)? <= SCRATCH_BYTES;
        fits.then_some(PooledStrips { count, ..strips })
    }

    /// So many strips of an image, if their numbers are those of the whole.
    fn of(algorithm: Algorithm, conv: &Geometry2d, pool: &Geometry2d, count: usize) -> Option<Self> {
        // Sums over several runs begin with the bias: so do all strips then, unless they are laid out in another way.
        let dense = |axis: WindowAxis| axis.stride == 1 && axis.dilation == 1 && axis.kernel > 1;
        let unpadded = |axis: WindowAxis| axis.padding() == (0, 0);
        let tile = match algorithm {
            Algorithm::GroupVectors => return None,
            Algorithm::ImplicitGemm => {
                let axes = [conv.rows, conv.cols];
                (axes.map(dense) == [true; 2] || axes.map(unpadded) == [true; 2]).then_some(1)?
            }
            _ => algorithm.tiles()?.sides()[0].outputs.checked_mul(conv.rows.tap_step())?,
        };
        let unit = tile / gcd(tile, pool.rows.stride);
        unit.checked_mul(pool.rows.stride)?;
        Some(PooledStrips { conv: *conv, pool: *pool, algorithm, count, tile, unit })
    }

    /// The pooled rows of all images before a strip.
    fn rows_before(&self, strip: usize) -> usize {
        let height = self.pool.rows.output;
        let units = strip % self.count * height.div_ceil(self.unit) / self.count;
        strip / self.count * height + units * self.unit
    }

    /// These rows of an image's pooled maps: from whole tiles, those at the end of the maps as there.
    fn part(&self, rows: Range<usize>) -> Part {
        let (seen, pool) = self.pool.part(rows);
        let end = seen.end.next_multiple_of(self.tile).min(self.conv.rows.output);
        let (input, conv) = self.conv.part(seen.start..end);
        Part { input, conv, pool }
    }
}

/// The rows of the input that a strip follows from, and how. The convolution may have more rows than the pooling sees.
struct Part {
    input: Range<usize>,
    conv: Geometry2d,
    pool: Geometry2d,
}

/// The largest of what each window of the pooling sees of [`forward`](super::forward)'s output. Writes all of `out`.
pub(crate) fn forward_pooled<T: Element>(
    input: &[T],
    (kernel, prepared): (&[T], &PreparedKernel<T>),
    strips: &PooledStrips,
    after: Epilogue<'_, T>,
    out: &mut [T],
) {
    if out.is_empty() {
        return;
    }
    let PooledStrips { conv, pool, algorithm, count, .. } = *strips;
    let [batch, height, width, channels] = conv.input_shape();
    let [_, _, pooled_width, filters] = pool.output_shape();
    let (line, pooled_line) = (width * channels, pooled_width * filters);
    prepared.prepare(algorithm, kernel, &conv);
    let start = |strip| strips.rows_before(strip) * pooled_line;
    let parallel = threads(conv.multiplications() as usize) > 1;
    each_piece(parallel, 0..batch * count, out, &start, &|strip, out| {
        if out.is_empty() {
            return;
        }
        let image = strip / count;
        let first = strips.rows_before(strip) - image * pool.rows.output;
        let part = strips.part(first..first + out.len() / pooled_line);
        let image = &input[image * height * line..][..height * line];
        let input = &image[part.input.start * line..part.input.end * line];
        with_kept(|Maps(maps): &mut Maps<T>| {
            let maps = room(maps, part.conv.output_shape().iter().product());
            alone(|| {
                forward_by(algorithm, input, (kernel, prepared), (&part.conv, &conv), after, maps);
                let seen = part.pool.input_shape().iter().product();
                pool::max(&maps[..seen], &part.pool, out, Taken::Nowhere);
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
    use crate::{Accuracy, Padding, Window2d};

    fn len(shape: [usize; 4]) -> usize {
        shape.iter().product()
    }

    /// Fractions, whose sums are not exact.
    fn fractions(len: usize, salt: usize) -> Vec<f32> {
        (0..len).map(|i| ((i * 29 + salt * 7) % 31) as f32 / 7.0 - 2.0).collect()
    }

    #[test]
    fn strips_have_the_numbers_of_whole_maps() {
        let (same, valid) = (|kernel| Window2d::new(kernel).padding(Padding::Same), Window2d::new);
        let f4 = Algorithm::WinogradF4;
        let convs = [
            (f4, same(3), [2, 27, 21, 40], 33),
            (f4, valid(3), [1, 25, 21, 10], 33),
            (f4, same(3).dilation(2), [1, 50, 20, 12], 10),
            // Slices of the channels, which must not follow from the tiles of a strip.
            (f4, same(3), [1, 30, 28, 256], 33),
            (Algorithm::WinogradF2, same(3), [1, 11, 12, 20], 20),
            (Algorithm::WinogradStrided, same(3).strides(2), [1, 50, 20, 12], 10),
            (Algorithm::Winograd5x5, same(5), [1, 27, 21, 20], 20),
            (Algorithm::WinogradRow, Window2d::new((1, 3)).padding(Padding::Same), [2, 9, 220, 20], 20),
            (Algorithm::WinogradColumn, Window2d::new((3, 1)), [2, 29, 12, 20], 20),
            (Algorithm::ImplicitGemm, same(5), [2, 27, 21, 6], 10),
            (Algorithm::ImplicitGemm, valid(3).strides(2), [2, 27, 21, 6], 10),
            (Algorithm::ImplicitGemm, same(3), [1, 30, 20, 1], 32),
            (Algorithm::ImplicitGemm, valid(1), [1, 25, 12, 20], 16),
        ];
        let pools = [
            valid(2).strides(2),
            valid(2).strides(4),
            valid(2).strides(3).ceil_mode(true),
            Window2d::new((3, 2)).strides((3, 1)).ceil_mode(true),
            Window2d::new((1, 3)).padding(Padding::Explicit { top: 0, bottom: 0, left: 1, right: 1 }),
        ];
        for (algorithm, window, input, filters) in convs {
            let [kh, kw] = window.kernel_size();
            let conv = window.conv(&input, &[kh, kw, input[3], filters]).unwrap();
            let (x, weights) = (fractions(len(input), 1), fractions(len(conv.kernel_shape()), 2));
            let (bias, kernel) = (fractions(filters, 3), PreparedKernel::default());
            let third = |piece: &mut [f32]| piece.iter_mut().for_each(|value| *value /= 3.0);
            let after = Epilogue { finish: Some(&third), ..Epilogue::bias(Some(&bias)) };
            let mut maps = vec![f32::NAN; len(conv.output_shape())];
            forward_by(algorithm, &x, (&weights, &kernel), (&conv, &conv), after, &mut maps);
            for pool in pools {
                let pool = pool.pool(&conv.output_shape()).unwrap();
                let mut whole = vec![f32::NAN; len(pool.output_shape())];
                pool::max(&maps, &pool, &mut whole, Taken::Nowhere);
                for (count, threads) in [(1, 1), (2, 2), (4, 1), (4, 5), (40, 2)] {
                    let strips = PooledStrips::of(algorithm, &conv, &pool, count).unwrap();
                    let mut out = vec![f32::NAN; whole.len()];
                    on(threads, || forward_pooled(&x, (&weights, &kernel), &strips, after, &mut out));
                    let same = out.iter().zip(&whole).all(|(a, b)| a.to_bits() == b.to_bits());
                    assert!(same, "{algorithm}: {count} strips on {threads} threads, {conv:?}, {pool:?}");
                }
            }
        }
    }

    fn strips(window: Window2d, [side, channels]: [usize; 2], pool: Window2d) -> Option<PooledStrips> {
        let group_in = channels / window.group_count();
        let conv = window.conv(&[1, side, side, channels], &[3, 3, group_in, channels]).unwrap();
        PooledStrips::new::<f32>(&conv, &pool.pool(&conv.output_shape()).unwrap())
    }

    #[test]
    fn large_maps_come_in_strips_whatever_the_threads() {
        let (same, touching) = (Window2d::new(3).padding(Padding::Same), Window2d::new(2).strides(2));
        for (side, channels) in [(224, 64), (112, 128)] {
            let [one, many] =
                [1, 16].map(|threads| on(threads, || strips(same, [side, channels], touching).unwrap()));
            assert_eq!(one.count, many.count);
            assert!(one.count > 1 && one.count.is_multiple_of(SHARES), "{one:?}");
            let starts: Vec<_> = (0..=2 * one.count).map(|strip| one.rows_before(strip)).collect();
            assert_eq!((starts[one.count], starts[2 * one.count]), (side / 2, side));
            assert!(starts.is_sorted(), "{starts:?}");
        }
    }

    #[test]
    fn other_maps_are_pooled_as_a_whole() {
        let (same, touching) = (Window2d::new(3).padding(Padding::Same), Window2d::new(2).strides(2));
        let plain = same.accuracy(Accuracy::Strict);
        for (why, window, sizes, pool) in [
            ("they are small", same, [28, 64], touching),
            ("a strip of enough outputs is too large", same, [40, 512], touching),
            ("windows share rows", same, [224, 64], Window2d::new(3).strides(2)),
            ("strides are huge", same, [224, 64], Window2d::new(2).strides(isize::MAX as usize / 2)),
            ("strips may be laid out otherwise", plain.dilation(8), [128, 64], touching),
            ("groups", plain.groups(64), [224, 64], touching),
        ] {
            assert!(strips(window, sizes, pool).is_none(), "{why}");
        }
    }
}
