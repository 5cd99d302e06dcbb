//! Lesson 3: a filter reaches through all channels of its input. A colour picture has three, red, green and blue; a
//! filter has a slice for each, and adds up what its slices find into one map. As many filters, so many maps.
//!
//!     cargo run --release --example 03_colour_channels

#[path = "support/canvas.rs"]
mod canvas;
#[path = "support/colours.rs"]
mod colours;
#[path = "support/gallery.rs"]
mod gallery;
#[path = "support/photo.rs"]
mod photo;

use canvas::{BLUE, Canvas, Colour, GREEN, GREY, HPos, INK, LARGE, Outcome, PURPLE, RED, SMALL, line_height};
use colours::{bar, channel, enlarge, paint, scale, signed};
use gallery::gallery;
use ndarray::{Array4, Axis, s};
use striate::{Tensor, Window2d, ops};

const SIZE: usize = 5;
/// What each filter looks for: how much it counts red, green and blue, and whether as an area or as a vertical edge.
const FILTERS: [(&str, [f32; 3], bool); 4] = [
    ("red, but not green or blue", [1.0, -0.5, -0.5], false),
    ("green, but not red or blue", [-0.5, 1.0, -0.5], false),
    ("vertical edges in all colours", [0.33, 0.33, 0.33], true),
    ("vertical edges in red only", [1.0, 0.0, 0.0], true),
];

fn main() -> Outcome {
    let picture = photo::photo("flower", 156)?;
    let x = Tensor::try_from(&picture)?;
    // [height, width, channels, filters]: all filters of a layer lie in one array.
    let kernel = Array4::from_shape_fn((SIZE, SIZE, 3, FILTERS.len()), |(_, j, c, f)| {
        let (_, colours, edge) = FILTERS[f];
        let shape = if edge { [-1.0, -1.0, 0.0, 1.0, 1.0][j] / 10.0 } else { 1.0 / 25.0 };
        colours[c] * shape
    });
    let convolve = |x: &Tensor, kernel: &Array4<f32>| -> Outcome<Tensor> {
        let geometry = Window2d::new(SIZE).conv(x.shape(), kernel.shape())?;
        Ok(ops::conv2d(x.view4()?, kernel.view(), None, &geometry)?.into())
    };
    let maps = convolve(&x, &kernel)?;
    println!("picture  [batch, height, width, channels]    {:?}", x.shape());
    println!("kernel   [height, width, channels, filters]  {:?}", kernel.shape());
    println!("maps     [batch, height, width, filters]     {:?}\n", maps.shape());

    // One filter, slice by slice.
    let first = kernel.slice(s![.., .., .., ..1]);
    let mut tiles = vec![("The picture".to_string(), picture.to_rgb8())];
    let mut slices = vec![(format!("Its filter: {}", FILTERS[0].0), bar(-1.0, 1.0, signed))];
    let mut parts = vec![];
    let mut sum = Tensor::zeros(&[1, maps.shape()[1], maps.shape()[2], 1])?;
    for (c, name) in ["red", "green", "blue"].into_iter().enumerate() {
        let one = Tensor::from(x.view4()?.slice_move(s![.., .., .., c..c + 1]));
        let slice = first.slice(s![.., .., c..c + 1, ..]).to_owned();
        let part = convolve(&one, &slice)?;
        tiles.push((format!("its {name} channel"), paint(channel(one.view4()?, 0), |v| tint(c, v))));
        let shown = paint(slice.slice(s![.., .., 0, 0]), |v| signed(25.0 * v));
        slices.push((format!("slice for {name}: {:+.2} each", slice[[0, 0, 0, 0]]), enlarge(&shown, 14)));
        parts.push((format!("what it finds in {name}"), paint(channel(part.view4()?, 0), signed)));
        sum = (&sum.view() + &part.view()).into();
    }
    let whole = maps.view4()?.slice_move(s![.., .., .., ..1]);
    let difference = (&sum.view4()? - &whole).iter().fold(0.0_f32, |most, v: &f32| most.max(v.abs()));
    println!(
        "sum of the three slices' maps, and the filter's map: they differ by {difference:.1e} at most\n"
    );
    let map = paint(channel(maps.view4()?, 0), signed);
    parts.insert(0, ("The sum of the three: its map".to_string(), map));
    tiles.extend(slices);
    tiles.extend(parts);
    gallery("A filter reaches through all channels, and makes one map", 4, &tiles)?.save("03_one_filter")?;

    // All filters.
    let mut tiles = vec![("The picture: 3 channels".to_string(), picture.to_rgb8())];
    for ((name, ..), map) in FILTERS.iter().zip(maps.view4()?.axis_iter(Axis(3))) {
        let map = map.slice_move(s![0, .., ..]);
        tiles.push((name.to_string(), paint(map, |v| signed(v / scale(map)))));
    }
    gallery("Four filters make four maps (red: found, blue: the opposite)", 5, &tiles)?
        .save("03_four_filters")?;
    draw_shapes(x.shape(), kernel.shape(), maps.shape())?.save("03_shapes")
}

/// A number from 0 to 1 in shades of one of the three colours.
fn tint(channel: usize, value: f32) -> [u8; 3] {
    std::array::from_fn(|c| if c == channel { (255.0 * value) as u8 } else { (60.0 * value) as u8 })
}

/// The three arrays as stacks of sheets.
fn draw_shapes(x: &[usize], kernel: &[usize], maps: &[usize]) -> Outcome<Canvas> {
    let mut canvas = Canvas::new(860, 300);
    canvas.text(
        (20, 14),
        LARGE,
        "The shapes: channels of the kernel match the picture's, filters become channels of the maps",
    )?;
    let sheets =
        |canvas: &mut Canvas, (x, y): (i32, i32), (w, h): (i32, i32), colours: &[Colour]| -> Outcome {
            for (i, &colour) in colours.iter().enumerate().rev() {
                let i = i as i32;
                let place = (x + 12 * i, y + 44 - 11 * i);
                canvas.fill(place, (w, h), colour.map(|c| 255 - (255 - c) / 3))?;
                canvas.frame(place, (w, h), 1, colour)?;
            }
            Ok(())
        };
    let rgb = [RED, GREEN, BLUE];
    sheets(&mut canvas, (30, 70), (150, 100), &rgb)?;
    for i in 0..4 {
        sheets(&mut canvas, (310 + 62 * i, 90), (26, 26), &rgb)?;
    }
    sheets(&mut canvas, (640, 70), (146, 96), &[INK, GREY, PURPLE, INK])?;
    canvas.arrow((225, 150), (290, 150))?;
    canvas.arrow((565, 150), (625, 150))?;
    let captions = [
        (110, format!("picture {x:?}\nbatch, height, width, channels")),
        (425, format!("kernel {kernel:?}\nheight, width, channels, filters")),
        (725, format!("maps {maps:?}\nbatch, height, width, filters")),
    ];
    for (middle, caption) in captions {
        for (line, row) in caption.lines().zip(0..) {
            canvas.write((middle, 232 + line_height(SMALL) * row), SMALL, line, (HPos::Center, INK))?;
        }
    }
    Ok(canvas)
}
