//! Which convolutions gain from Winograd's transform, and with which tiles.

use super::blocking::{Blocking, MANY_TILES};
use super::gradient::Summing;
use super::input::LINE;
use super::tiling::Tiling;
use super::{Side, TileSize};
use crate::geometry::{Geometry2d, WindowAxis};
use crate::kernels::direct::{self, reading_cost};
use crate::kernels::simd::isa;
use crate::kernels::threads::threads;
use crate::{Accuracy, Element};

/// What an implementation costs beyond its multiplications, all in multiplications at the processor's best speed.
/// Those of `Two` and `Four` were measured on Zen 3, their `sums` on Sapphire Rapids and their `kernel` on Zen 5, all others on Zen 5.
struct Costs {
    /// To transform a channel of a tile.
    input: f64,
    /// To transform a filter of a tile back.
    output: f64,
    /// To transform the gradient of a filter of a tile.
    gradient: f64,
    /// To transform the weights of a channel and filter.
    kernel: f64,
    /// To transform the sums of a channel and filter back into a kernel's gradient.
    sums: f64,
    /// How much of reading the transformed kernel the products do not hide.
    reading: f64,
    size: TileSize,
}

const ROW: Costs = Costs {
    input: 60.0,
    output: 80.0,
    gradient: 80.0,
    kernel: 60.0,
    sums: 80.0,
    reading: 1.0,
    size: TileSize::Row,
};
const COSTS: [Costs; TileSize::COUNT] = [
    Costs {
        input: 190.0,
        output: 85.0,
        gradient: 85.0,
        kernel: 300.0,
        sums: 300.0,
        reading: 1.0,
        size: TileSize::Two,
    },
    Costs {
        input: 600.0,
        output: 340.0,
        gradient: 340.0,
        kernel: 400.0,
        sums: 550.0,
        reading: 1.0,
        size: TileSize::Four,
    },
    Costs {
        input: 1860.0,
        output: 300.0,
        gradient: 300.0,
        kernel: 1700.0,
        sums: 600.0,
        reading: 0.2,
        size: TileSize::Strided,
    },
    Costs {
        input: 600.0,
        output: 130.0,
        gradient: 340.0,
        kernel: 700.0,
        sums: 700.0,
        reading: 1.0,
        size: TileSize::TwoOfFive,
    },
    ROW,
    Costs { size: TileSize::Column, ..ROW },
];
/// What a multiplication costs in the kernel's gradient as plain sums.
const GRADIENT_PRODUCT: f64 = 1.15;
/// A product of matrices costs as much as one with so many more channels, or tiles, over which it sums, multiplied by
/// `PRODUCT`.
const START: f64 = 10.0;
const PRODUCT: f64 = 1.15;
/// Over fewer channels, errors hardly average out, and a kernel's gradient has too few rows.
const FEW_CHANNELS: usize = 8;
/// Winograd's transform costs accuracy and memory: it must gain as much as this.
const GAIN: f64 = 1.15;

/// The tiles that the convolution is fastest with; `None` if Winograd's transform cannot compute it, may not, or does not pay.
pub(crate) fn choose<T: Element>(geometry: &Geometry2d) -> Option<TileSize> {
    fastest(geometry, |costs| costs.of::<T>(geometry), || direct::cost::<T>(geometry))
}

/// The same with a kernel that is used once, whose transform counts, too.
pub(crate) fn choose_once(geometry: &Geometry2d) -> Option<TileSize> {
    fastest(geometry, |costs| costs.of_once(geometry), || direct::cost_once(geometry))
}

/// The tiles that the gradient of the kernel is fastest with; `None` as [`choose`].
pub(crate) fn choose_gradient<T: Element>(geometry: &Geometry2d) -> Option<TileSize> {
    let plain = || GRADIENT_PRODUCT * geometry.multiplications() as f64;
    fastest(geometry, |costs| costs.of_gradient::<T>(geometry), plain)
}

/// The tiles of the least `cost`, if that is a gain over plain sums.
fn fastest(geometry: &Geometry2d, cost: impl Fn(&Costs) -> f64, plain: impl Fn() -> f64) -> Option<TileSize> {
    let suited = COSTS.iter().filter(|costs| suits(geometry, costs.size));
    let costs = suited.map(|costs| (cost(costs), costs.size));
    let (cost, best) = costs.min_by(|(a, _), (b, _)| a.total_cmp(b))?;
    (cost * GAIN < plain()).then_some(best)
}

fn suits(geometry: &Geometry2d, size: TileSize) -> bool {
    let mut axes = [geometry.rows, geometry.cols].into_iter().zip(size.sides());
    let plain = |(axis, side): (WindowAxis, Side)| {
        let moves = axis.stride == side.stride && (axis.stride == 1 || axis.dilation == 1);
        axis.kernel == side.taps && moves
    };
    geometry.accuracy == Accuracy::Fast
        && axes.all(plain)
        && geometry.groups == 1
        && geometry.in_channels >= FEW_CHANNELS
        && is_shared(geometry, size)
}

/// Whether threads can share the tiles: there are bands for them, or bands so short that they can share the filters.
fn is_shared(geometry: &Geometry2d, size: TileSize) -> bool {
    const MANY_BANDS: usize = 8;
    let tiling = Tiling::new(geometry, size);
    // Of 3x3 and 5x5 over flat maps, one thread gains more than several lose.
    let gains = tiling.steps == [1, 1] && size != TileSize::Column;
    tiling.cols <= MANY_TILES || tiling.bands() >= MANY_BANDS || gains
}

/// The scratch of a thread in bytes, and the time in multiplications at the processor's best speed.
pub(crate) fn forecast<T: Element>(geometry: &Geometry2d, size: TileSize) -> (usize, f64) {
    let tiling = Tiling::new(geometry, size);
    let threads = threads(geometry.multiplications() as usize);
    let bytes = Blocking::new::<T>(isa(), &tiling, tiling.tiles(), threads).scratch_bytes::<T>(&tiling);
    let cost = COSTS.iter().find(|costs| costs.size == size).map_or(0.0, |costs| costs.of::<T>(geometry));
    (bytes, cost)
}

impl Costs {
    fn of<T: Element>(&self, geometry: &Geometry2d) -> f64 {
        let weights = self.size.terms() as f64 * channels_times_filters(geometry);
        // Tiles that a block has room for.
        let block = MANY_TILES * TileSize::Four.terms() / self.size.terms().max(TileSize::Four.terms());
        let times = (self.tiles(geometry) / block as f64).max(1.0);
        self.of_tiles(geometry) + self.reading * reading_cost::<T>(weights, times)
    }

    fn of_once(&self, geometry: &Geometry2d) -> f64 {
        self.of_tiles(geometry) + self.kernel * channels_times_filters(geometry)
    }

    /// The cost of the tiles themselves: their products and transforms.
    fn of_tiles(&self, geometry: &Geometry2d) -> f64 {
        let [channels, filters] = [geometry.in_channels, geometry.out_channels].map(|n| n as f64);
        let products = PRODUCT * self.size.terms() as f64 * (channels + START) * filters;
        self.tiles(geometry) * (products + self.input(geometry) + filters * self.output)
    }

    /// The cost of the transform of a tile's input, which takes whole lines of channels.
    fn input(&self, geometry: &Geometry2d) -> f64 {
        (geometry.in_channels as f64 / LINE as f64).ceil() * LINE as f64 * self.input
    }

    fn tiles(&self, geometry: &Geometry2d) -> f64 {
        Tiling::new(geometry, self.size).tiles() as f64
    }

    fn of_gradient<T: Element>(&self, geometry: &Geometry2d) -> f64 {
        let [channels, filters] = [geometry.in_channels, geometry.out_channels].map(|n| n as f64);
        let tiles = Tiling::new(geometry, self.size).tiles();
        let (blocks, backs) = Summing::new::<T>(geometry, self.size).blocks_and_backs(tiles);
        let [tiles, blocks, backs] = [tiles, blocks, backs].map(|n| n as f64);
        let products = PRODUCT * self.size.terms() as f64 * (tiles + blocks * START) * channels * filters;
        products
            + tiles * (self.input(geometry) + filters * self.gradient)
            + backs * channels * filters * self.sums
    }
}

fn channels_times_filters(geometry: &Geometry2d) -> f64 {
    geometry.in_channels as f64 * geometry.out_channels as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Padding, Window2d};

    fn chosen(batch: usize, side: usize, channels: usize, filters: usize) -> Option<TileSize> {
        let window = Window2d::new(3).padding(Padding::Same);
        choose::<f32>(&window.conv(&[batch, side, side, channels], &[3, 3, channels, filters]).unwrap())
    }

    #[test]
    fn large_layers_take_large_tiles_and_small_ones_none() {
        for (batch, side, channels) in [(1, 224, 64), (1, 56, 64), (1, 28, 128), (1, 14, 256), (8, 14, 512)] {
            assert_eq!(chosen(batch, side, channels, channels), Some(TileSize::Four), "{side} {channels}");
        }
        assert_eq!(chosen(1, 7, 512, 512), Some(TileSize::Two));
        assert_eq!(chosen(1, 224, 3, 64), None);
        // As many as the multiplications can be counted of.
        let filters = if cfg!(target_pointer_width = "64") { 4096 } else { 2048 };
        assert_eq!(chosen(1, 224, 4, filters), None);
        assert_eq!(chosen(1, 1, 64, 64), None);
    }

    #[test]
    fn strided_layers_need_whole_tiles_and_filters() {
        let chosen = |side, channels, filters| {
            let window = Window2d::new(3).strides(2).padding(Padding::Same);
            choose::<f32>(&window.conv(&[1, side, side, channels], &[3, 3, channels, filters]).unwrap())
        };
        assert_eq!(chosen(56, 64, 128), Some(TileSize::Strided));
        assert_eq!(chosen(56, 128, 128), Some(TileSize::Strided));
        assert_eq!(chosen(14, 512, 512), None);
        assert_eq!(chosen(224, 3, 32), None);
    }

    #[test]
    fn a_kernel_that_is_used_once_wants_more_tiles() {
        let chosen = |batch, side, channels| {
            let window = Window2d::new(3).padding(Padding::Same);
            let geometry = window.conv(&[batch, side, side, channels], &[3, 3, channels, channels]);
            choose_once(&geometry.unwrap())
        };
        assert_eq!(chosen(1, 7, 512), None);
        assert_eq!(chosen(4, 7, 512), Some(TileSize::Four));
        assert_eq!(chosen(1, 14, 256), Some(TileSize::Four));
    }

    #[test]
    fn gradients_of_few_tiles_are_plain_sums() {
        let chosen = |side, channels| {
            let window = Window2d::new(3).padding(Padding::Same);
            let geometry = window.conv(&[1, side, side, channels], &[3, 3, channels, channels]);
            choose_gradient::<f32>(&geometry.unwrap())
        };
        assert_eq!(chosen(7, 512), None);
        assert_eq!(chosen(28, 256), Some(TileSize::Four));
    }

    #[test]
    fn gradients_over_few_channels_are_plain_sums() {
        for kernel in [3, 5] {
            for filters in [32, 100, 1000] {
                let window = Window2d::new(kernel).padding(Padding::Same);
                let geometry = window.conv(&[1, 200, 200, 3], &[kernel, kernel, 3, filters]).unwrap();
                assert_eq!(choose_gradient::<f32>(&geometry), None, "{kernel} {filters}");
                assert_eq!(choose_once(&geometry), None, "{kernel} {filters}");
            }
        }
    }

    #[test]
    fn kernels_of_5x5_and_of_one_row_or_column_need_channels_and_filters() {
        let chosen = |kernel: [usize; 2], side, channels, filters| {
            let window = Window2d::new((kernel[0], kernel[1])).padding(Padding::Same);
            let kernel = [kernel[0], kernel[1], channels, filters];
            choose::<f32>(&window.conv(&[1, side, side, channels], &kernel).unwrap())
        };
        for (kernel, size) in
            [([5, 5], TileSize::TwoOfFive), ([1, 3], TileSize::Row), ([3, 1], TileSize::Column)]
        {
            assert_eq!(chosen(kernel, 28, 64, 64), Some(size));
            assert_eq!(chosen(kernel, 14, 128, 128), Some(size));
            assert_eq!(chosen(kernel, 28, 16, 16), None);
            assert_eq!(chosen(kernel, 200, 3, 64), None);
        }
        // Threads could not share the only band of a flat map.
        let flat = Window2d::new((3, 1)).padding(Padding::Same).conv(&[1, 4, 2000, 64], &[3, 1, 64, 64]);
        assert_eq!(choose::<f32>(&flat.unwrap()), None);
        for kernel in [[1, 1], [2, 2], [4, 4], [7, 7], [3, 5], [5, 3], [1, 5], [5, 1], [1, 7]] {
            assert_eq!(chosen(kernel, 28, 64, 64), None);
        }
    }

    #[test]
    fn windows_qualify_by_how_they_move() {
        let shapes = (&[1, 56, 56, 64], &[3, 3, 64, 64]);
        assert!(choose::<f32>(&Window2d::new(3).conv(shapes.0, shapes.1).unwrap()).is_some());
        let strides = |strides| Window2d::new(3).strides(strides).conv(shapes.0, shapes.1).unwrap();
        assert_eq!(choose::<f32>(&strides((1, 2))), None);
        assert_eq!(choose::<f32>(&strides((3, 3))), None);
        let five = Window2d::new(5).strides(2).conv(shapes.0, &[5, 5, 64, 64]);
        assert_eq!(choose::<f32>(&five.unwrap()), None);
        assert!(choose::<f32>(&Window2d::new(3).dilation(2).conv(shapes.0, shapes.1).unwrap()).is_some());
        // Of a band, which is all of the map, there are too many tiles for threads to share the filters.
        let same = |dilation| Window2d::new(3).dilation(dilation).padding(Padding::Same);
        assert_eq!(choose::<f32>(&same(14).conv(shapes.0, shapes.1).unwrap()), None);
        // No more phases than outputs.
        for dilation in [57, 1 << (usize::BITS / 2)] {
            assert_eq!(choose::<f32>(&same(dilation).conv(shapes.0, shapes.1).unwrap()), None);
            assert_eq!(choose_gradient::<f32>(&same(dilation).conv(shapes.0, shapes.1).unwrap()), None);
        }
        // One tap has none.
        let row = |dilation| Window2d::new((1, 3)).dilation(dilation).conv(shapes.0, &[1, 3, 64, 64]);
        assert_eq!(choose::<f32>(&row((1, 2)).unwrap()), Some(TileSize::Row));
        assert_eq!(choose::<f32>(&row((usize::MAX, 1)).unwrap()), Some(TileSize::Row));
        assert_eq!(choose::<f32>(&Window2d::new(3).groups(2).conv(shapes.0, &[3, 3, 32, 64]).unwrap()), None);
    }
}
