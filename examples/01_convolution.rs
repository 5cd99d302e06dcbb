//! Lesson 1: what a convolution computes. One filter slides over a picture and makes one map, which shows where the
//! picture looks like the filter.
//!
//!     cargo run --release --example 01_convolution

#[path = "support/canvas.rs"]
mod canvas;
#[path = "support/colours.rs"]
mod colours;
#[path = "support/gallery.rs"]
mod gallery;
#[path = "support/grid.rs"]
mod grid;
#[path = "support/photo.rs"]
mod photo;

use canvas::{Canvas, LARGE, Outcome, SMALL};
use colours::{bar, channel, enlarge, grey, paint, scale, signed};
use ndarray::{Array2, Array4, ArrayView2, Axis, array, s};
use striate::{Conv2D, Layer, Rng, Tensor};

fn main() -> Outcome {
    one_output_pixel()?;
    two_filters_over_two_photographs()
}

/// An output pixel is the sum of the products of the pixels in a window and the filter's numbers:
///
/// ```text
/// y[p, q] = sum over i, j of x[p + i, q + j] * kernel[i, j]
/// ```
fn one_output_pixel() -> Outcome {
    // A bright vertical line in the middle, dark beside it; the numbers add up to 0, so that an even area gives 0.
    let filter = array![[-1.0, 2.0, -1.0], [-1.0, 2.0, -1.0], [-1.0, 2.0, -1.0]];
    let x = photo::grey_photo("china", 240)?;
    let y = layer(&[filter.view()], x.shape())?.forward(&x)?;

    // The place where the filter finds most.
    let map = channel(y.view4()?, 0);
    let ((p, q), &found) =
        map.indexed_iter().max_by(|a, b| a.1.total_cmp(b.1)).ok_or("the photograph has no pixels")?;
    let window = channel(x.view4()?, 0).slice_move(s![p..p + 3, q..q + 3]);
    let products = &window * &filter;

    println!("y[{p}, {q}] = the sum of x[{p} + i, {q} + j] * kernel[i, j]:\n");
    for ((pixel, weight), product) in window.iter().zip(&filter).zip(&products) {
        println!("  {pixel:.3} x {weight:>4.1} = {product:>6.3}");
    }
    println!("                 ------");
    println!("             sum {:>6.3}   and the layer's own output is {found:.3}\n", products.sum());
    draw_the_sum(window, filter.view(), products.view(), (p, q))?.save("01_one_pixel")
}

fn draw_the_sum(
    window: ArrayView2<'_, f32>,
    filter: ArrayView2<'_, f32>,
    products: ArrayView2<'_, f32>,
    (p, q): (usize, usize),
) -> Outcome<Canvas> {
    const CELL: i32 = 52;
    let mut canvas = Canvas::new(800, 290);
    canvas.text((20, 14), LARGE, "One output pixel: multiply a window by the filter, and add up")?;
    let number = |v: f32| format!("{v:.2}");
    for (values, x, caption) in [
        (window, 20, "pixels under the window"),
        (filter, 240, "filter: a vertical line"),
        (products, 460, "products"),
    ] {
        canvas.text((x, 60), SMALL, caption)?;
        match x {
            20 => grid::grid(&mut canvas, (x, 86), CELL, values, grey, number)?,
            _ => grid::grid(&mut canvas, (x, 86), CELL, values, |v| signed(v / 2.5), number)?,
        }
    }
    for (x, sign) in [(207, "×"), (427, "="), (650, "sum:")] {
        canvas.centred((x, 86 + CELL), 26, sign)?;
    }
    let sum = Array2::from_elem((1, 1), products.sum());
    grid::grid(&mut canvas, (700, 86 + CELL), CELL, sum.view(), |v| signed(v / 2.5), number)?;
    canvas.text((640, 60), SMALL, &format!("output pixel [{p}, {q}]"))?;
    canvas.coloured(
        (20, 260),
        SMALL,
        "Bright along the middle and dark beside it: the pixels look like the filter, and the sum is large.",
        canvas::BLUE,
    )?;
    Ok(canvas)
}

fn two_filters_over_two_photographs() -> Outcome {
    // The same idea, 7x7: one along a line, and as much taken away elsewhere.
    let mut vertical = Array2::from_elem((7, 7), -1.0 / 6.0);
    vertical.column_mut(3).fill(1.0);
    let horizontal = vertical.t();
    let filters = [vertical.view(), horizontal];

    let mut tiles = vec![("Filters: red counts for, blue against".to_string(), bar(-1.0, 1.0, signed))];
    for (kind, filter) in ["vertical", "horizontal"].into_iter().zip(filters) {
        tiles.push((format!("A {kind} line, 7x7"), enlarge(&paint(filter, signed), 10)));
    }
    for name in photo::PHOTOS {
        let x = photo::grey_photo(name, 210)?;
        let y = layer(&filters, x.shape())?.forward(&x)?;
        println!("{name}: input {:?}, two filters, so output {:?}", x.shape(), y.shape());
        tiles.push((String::new(), paint(channel(x.view4()?, 0), grey)));
        for map in y.view4()?.axis_iter(Axis(3)) {
            let map = map.slice_move(s![0, .., ..]);
            // What the filter found is white; where the picture is its opposite, the map is negative and drawn black.
            tiles.push((String::new(), paint(map, |v| grey((v / scale(map)).clamp(0.0, 1.0)))));
        }
    }
    gallery::gallery("One filter makes one map: bright where the picture looks like the filter", 3, &tiles)?
        .save("01_line_filters")
}

/// A convolution with these filters, for grey pictures: a kernel is `[height, width, channels, filters]`.
fn layer(filters: &[ArrayView2<'_, f32>], input: &[usize]) -> Outcome<Conv2D> {
    let (height, width) = filters.first().map_or((0, 0), |filter| filter.dim());
    let kernel = Array4::from_shape_fn((height, width, 1, filters.len()), |(i, j, _, f)| filters[f][[i, j]]);
    let mut conv = Conv2D::new(filters.len(), (height, width)).use_bias(false);
    conv.build(input, &mut Rng::seed(0))?;
    for (_, weights) in conv.params_mut() {
        weights.set_value(Tensor::from(kernel.clone()))?;
    }
    Ok(conv)
}
