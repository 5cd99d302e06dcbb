//! Lesson 5: pooling keeps the largest, or the mean, of each window. It makes maps smaller, forgives small shifts, and
//! throws away where in the window something was. Across channels it can forgive other things, such as rotation.
//!
//!     cargo run --release --example 05_pooling

#[path = "support/canvas.rs"]
mod canvas;
#[path = "support/chart.rs"]
mod chart;
#[path = "support/colours.rs"]
mod colours;
#[path = "support/gallery.rs"]
mod gallery;
#[path = "support/grid.rs"]
mod grid;
#[path = "support/lines.rs"]
mod lines;
#[path = "support/mnist.rs"]
mod mnist;
#[path = "support/warp.rs"]
mod warp;

use canvas::{BLUE, Canvas, GREEN, INK, LARGE, ORANGE, Outcome, PURPLE, RED, SMALL};
use chart::{Series, chart};
use colours::{channel, enlarge, ink, paint};
use gallery::gallery;
use lines::line_maps;
use plotters::prelude::SeriesLabelPosition::UpperLeft;
use striate::{AvgPool2D, GlobalAvgPool2D, GlobalMaxPool2D, Layer, MaxPool2D, Tensor, UpSample2D};
use warp::{Warp, warp};

const DIGITS: usize = 200;

type Pool = Option<Box<dyn Layer>>;

fn main() -> Outcome {
    four_by_four()?;
    let digits = mnist::test()?.images.rows(0..DIGITS)?;
    what_it_forgives(&digits)?;
    what_it_throws_away(&digits)
}

/// The definition, on 16 numbers.
fn four_by_four() -> Outcome {
    let values = vec![1., 3., 2., 0., 5., 2., 0., 1., 0., 0., 4., 4., 1., 7., 4., 0.];
    let x = Tensor::<f32>::from_vec(&[1, 4, 4, 1], values)?;
    let shade = |v: f32| ink(v / 10.0);
    let number = |v: f32| format!("{v}");
    let mut canvas = Canvas::new(700, 260);
    canvas.text((20, 14), LARGE, "Pooling 2x2: of each window the largest, or the mean")?;
    grid::grid(&mut canvas, (20, 82), 40, channel(x.view4()?, 0), shade, number)?;
    for (place, colour) in [((20, 82), BLUE), ((100, 82), RED), ((20, 162), GREEN), ((100, 162), ORANGE)] {
        canvas.frame((place.0 + 2, place.1 + 2), (75, 75), 2, colour)?;
    }
    let (max, mean) = (MaxPool2D::new(2).forward(&x)?, AvgPool2D::new(2).forward(&x)?);
    let (whole_max, whole_mean) = (GlobalMaxPool2D::new().forward(&x)?, GlobalAvgPool2D::new().forward(&x)?);
    let whole = |y: &Tensor| y.reshape(&[1, 1, 1, 1]);
    canvas.text((20, 56), SMALL, "input, 4x4")?;
    for (x, caption, y) in [
        (220, "max", max),
        (340, "average", mean),
        (460, "global max", whole(&whole_max)?),
        (580, "global average", whole(&whole_mean)?),
    ] {
        println!("{caption:<15} {:?} {:?}", y.shape(), y.as_slice());
        canvas.text((x, 56), SMALL, caption)?;
        grid::grid(&mut canvas, (x, 82), 40, channel(y.view4()?, 0), shade, number)?;
    }
    canvas.save("05_pooling")
}

/// How much of the maps changes when all digits are shifted or turned: the length of the difference over that of the maps.
fn what_it_forgives(digits: &Tensor) -> Outcome {
    let pools: [(&str, Pool, canvas::Colour); 5] = [
        ("no pooling", None, INK),
        ("max 2x2", Some(Box::new(MaxPool2D::new(2))), BLUE),
        ("max 4x4", Some(Box::new(MaxPool2D::new(4))), GREEN),
        ("average 4x4", Some(Box::new(AvgPool2D::new(4))), ORANGE),
        ("global max", Some(Box::new(GlobalMaxPool2D::new())), PURPLE),
    ];
    let shifts: Vec<Warp> = (0..=6).map(|i| Warp { right: f64::from(i), ..Warp::default() }).collect();
    let turns: Vec<Warp> = (0..=6).map(|i| Warp { degrees: 5.0 * f64::from(i), ..Warp::default() }).collect();
    let mut canvas = Canvas::new(900, 430);
    canvas.text((20, 12), LARGE, "How much of the maps changes when the digits are shifted, or turned")?;
    for (changes, unit, x, most) in [(shifts, "pixels to the right", 20, 6.0), (turns, "degrees", 460, 30.0)]
    {
        let maps: Vec<Tensor> =
            changes.iter().map(|change| line_maps(&warp(digits, change)?, 4)).collect::<Outcome<_>>()?;
        println!("\n{:<12} {}", unit.split(' ').next().unwrap_or(unit), head(maps.len(), most));
        let mut series = vec![];
        for (name, pool, colour) in &pools {
            let pooled = |x: &Tensor| pool.as_ref().map_or_else(|| Ok(x.clone()), |pool| pool.forward(x));
            let still = pooled(&maps[0])?;
            let points = maps.iter().enumerate().map(|(i, x)| {
                let moved = pooled(x)?;
                let difference = length(&(&moved.view() - &still.view()).into()) / length(&still);
                Ok((most * i as f64 / (maps.len() - 1) as f64, 100.0 * difference))
            });
            let points = points.collect::<striate::Result<Vec<_>>>()?;
            let row: Vec<String> = points.iter().map(|(_, y)| format!("{y:>6.1}")).collect();
            println!("{name:<12} {} %", row.join(" "));
            series.push(Series { name, colour: *colour, points, dots: false });
        }
        let axes = [(unit, 0.0..most), ("change of the maps, %", 0.0..185.0)];
        chart(&mut canvas, (x, 50), (420, 365), axes, UpperLeft, &series)?;
    }
    canvas.save("05_forgives")
}

fn head(count: usize, most: f64) -> String {
    let columns = (0..count).map(|i| format!("{:>6}", most * i as f64 / (count - 1) as f64));
    columns.collect::<Vec<_>>().join(" ")
}

/// What is left of a digit after windows of 1, 2, 4, 7 and 14 pixels, enlarged again.
fn what_it_throws_away(digits: &Tensor) -> Outcome {
    let mut tiles = vec![];
    for digit in [1, 7] {
        let x = digits.rows(digit..digit + 1)?;
        for side in [1, 2, 4, 7, 14] {
            let kept = UpSample2D::new(side).forward(&MaxPool2D::new(side).forward(&x)?)?;
            let caption = format!("max {side}x{side}: {0}x{0} kept", 28 / side);
            tiles.push((caption, enlarge(&paint(channel(kept.view4()?, 0), ink), 5)));
        }
    }
    println!();
    gallery("What max pooling leaves: from 7x7 on, a seven and a nine look alike", 5, &tiles)?
        .save("05_throws_away")
}

fn length(x: &Tensor) -> f64 {
    x.as_slice().iter().map(|&v| f64::from(v).powi(2)).sum::<f64>().sqrt()
}
