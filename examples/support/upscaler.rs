//! A pretrained network that enlarges pictures to twice their size, tile by tile.

use std::path::Path;

use image::RgbImage;
use striate::weights::{Layout, Transfer};
use striate::{Activation, Conv2D, Layer, Result, Rng, Sequential, Tensor};

/// The filters of the seven convolutions.
const FILTERS: [usize; 7] = [32, 32, 64, 64, 128, 128, 3];
/// By how much a convolution without padding narrows a picture at every edge, seven times.
const EDGE: u32 = 7;
/// The side of a tile, in pixels of the result: so many that the edges, which neighbours compute twice, are few, and so
/// few that a tile's maps take 70 MB.
pub const TILE: u32 = 242;

/// The network with its weights.
pub struct Upscaler(Sequential);

impl Upscaler {
    /// Reads the weights, PyTorch's in layout and names: `conv1.weight` is the kernel of layer 0.
    pub fn load(weights: &Path) -> Result<Self> {
        let mut network = Sequential::new();
        for (i, filters) in FILTERS.into_iter().enumerate() {
            let last = i + 1 == FILTERS.len();
            let leaky = Activation::LeakyRelu { negative_slope: 0.1 };
            network.push(Conv2D::new(filters, 3).activation(if last { Activation::Linear } else { leaky }));
        }
        network.build(&[1, 15, 15, 3], &mut Rng::seed(0))?;
        Transfer::new().layout(Layout::PyTorch).names(foreign_name).load(&mut network, weights)?;
        Ok(Upscaler(network))
    }

    /// The network itself: `[batch, height + 14, width + 14, 3]` to `[batch, height, width, 3]`.
    pub fn network(&self) -> &Sequential {
        &self.0
    }

    /// The picture at twice its size; `done` is called after every tile with its number of pixels. Beside the two pictures
    /// this takes the memory of a tile's maps, whatever their size.
    pub fn enlarge(&self, picture: &RgbImage, done: impl FnMut(u64) + Send) -> Result<RgbImage> {
        // All tiles from one thread of the pool, which then uses the memory of its own maps again.
        rayon::scope(|_| self.enlarge_here(picture, done))
    }

    fn enlarge_here(&self, picture: &RgbImage, mut done: impl FnMut(u64)) -> Result<RgbImage> {
        let (width, height) = (2 * picture.width(), 2 * picture.height());
        let mut result = RgbImage::new(width, height);
        let (mut x, mut y) = (Tensor::default(), Tensor::default());
        for top in (0..height).step_by(TILE as usize) {
            for left in (0..width).step_by(TILE as usize) {
                let (w, h) = (TILE.min(width - left), TILE.min(height - top));
                read_tile(picture, [top, left], [h, w], &mut x)?;
                self.0.forward_into(&x, &mut y)?;
                let tile = y.to_image(0)?.into_rgb8();
                image::imageops::replace(&mut result, &tile, left.into(), top.into());
                done(u64::from(w) * u64::from(h));
            }
        }
        Ok(result)
    }
}

/// What the network must see to give the pixels `[top.., left..]` of the result: the picture, enlarged by repeating pixels
/// and continued beyond its edges by repeating those.
fn read_tile(
    picture: &RgbImage,
    [top, left]: [u32; 2],
    [height, width]: [u32; 2],
    tile: &mut Tensor,
) -> Result<()> {
    let (rows, columns) = (height + 2 * EDGE, width + 2 * EDGE);
    let shape = [1, rows as usize, columns as usize, 3];
    if tile.shape() != shape {
        *tile = Tensor::zeros(&shape)?;
    }
    let source =
        |start: u32, i: usize, size: u32| (start + i as u32).saturating_sub(EDGE).min(2 * size - 1) / 2;
    for (i, row) in tile.as_mut_slice().chunks_exact_mut(3 * columns as usize).enumerate() {
        let y = source(top, i, picture.height());
        for (j, pixel) in row.as_chunks_mut::<3>().0.iter_mut().enumerate() {
            let colour = picture.get_pixel(source(left, j, picture.width()), y);
            *pixel = colour.0.map(|value| f32::from(value) / 255.0);
        }
    }
    Ok(())
}

/// `"0.kernel"` is `"conv1.weight"` in the file.
fn foreign_name(name: &str) -> String {
    let (layer, parameter) = name.split_once('.').unwrap_or(("", name));
    let number = layer.parse().map_or(0, |layer: usize| layer + 1);
    format!("conv{number}.{}", parameter.replace("kernel", "weight"))
}
