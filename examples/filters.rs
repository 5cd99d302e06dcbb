//! Two filters over two photographs: a vertical line and a horizontal line, each reaching through the three colour
//! channels and giving one feature map.
//!
//!     cargo run --release --example filters
//!
//! writes the maps to `target/filters`.

use std::error::Error;
use std::path::Path;

use ndarray::{Array4, Axis, s};
use striate::{Conv2D, Layer, Rng, Tensor};

/// The side of the filters.
const SIZE: usize = 7;
/// What each filter looks for, in the order of the maps.
const FILTERS: [&str; 2] = ["vertical", "horizontal"];

fn main() -> Result<(), Box<dyn Error>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folder = root.join("target/filters");
    std::fs::create_dir_all(&folder)?;

    for name in ["china", "flower"] {
        let photo = image::open(root.join("examples/data/photos").join(name).with_extension("jpg"))?;
        let x = Tensor::try_from(&photo)?;
        let maps = line_filters(x.shape())?.forward(&x)?;
        println!("{name}: {:?} -> {:?}", x.shape(), maps.shape());

        for (filter, kind) in FILTERS.iter().enumerate() {
            let path = folder.join(format!("{name}_{kind}.png"));
            stretched(&maps, filter)?.to_image(0)?.save(&path)?;
            println!("  {kind} lines: {}", path.strip_prefix(root)?.display());
        }
    }
    Ok(())
}

/// A convolution whose first filter is a vertical line and whose second is a horizontal one, the same in all colours:
/// one along the middle, and as much taken away elsewhere, so that an even area gives nothing.
fn line_filters(input: &[usize]) -> Result<Conv2D, Box<dyn Error>> {
    let background = -1.0 / (SIZE as f32 - 1.0);
    let mut kernel = Array4::from_elem((SIZE, SIZE, 3, FILTERS.len()), background);
    kernel.slice_mut(s![.., SIZE / 2, .., 0]).fill(1.0);
    kernel.slice_mut(s![SIZE / 2, .., .., 1]).fill(1.0);

    let mut conv = Conv2D::new(FILTERS.len(), SIZE).use_bias(false);
    conv.build(input, &mut Rng::seed(0))?;
    for (_, weights) in conv.params_mut() {
        weights.set_value(Tensor::from(kernel.clone()))?;
    }
    Ok(conv)
}

/// One of the maps as a grey picture: black where the filter found nothing, white where it found a clear line.
fn stretched(maps: &Tensor, filter: usize) -> Result<Tensor, Box<dyn Error>> {
    let map = maps.view4()?.index_axis_move(Axis(3), filter).insert_axis(Axis(3));
    let typical = map.iter().map(|v| v * v).sum::<f32>().sqrt() / (map.len() as f32).sqrt();
    Ok(Tensor::from(map).map(|v| (v / (3.0 * typical)).clamp(0.0, 1.0)))
}
