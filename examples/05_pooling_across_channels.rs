//! Lesson 5, continued: pooling across channels. A bar turns, and filters for bars at eight angles look at it: each answers
//! to its own angle, and the largest answer among them to every angle. What a window of positions does for shifts, a window
//! of channels can do for anything that the filters are made, or learn, to see: here rotation.
//!
//!     cargo run --release --example 05_pooling_across_channels

#[path = "support/canvas.rs"]
mod canvas;
#[path = "support/chart.rs"]
mod chart;
#[path = "support/colours.rs"]
mod colours;
#[path = "support/lines.rs"]
mod lines;
#[path = "support/warp.rs"]
mod warp;

use canvas::{Canvas, GREY, LARGE, Outcome, RED};
use chart::{Series, chart};
use colours::{channel, enlarge, ink, paint};
use lines::line_maps;
use ndarray::{Array4, s};
use plotters::prelude::SeriesLabelPosition::UpperMiddle;
use striate::{ChannelMaxPool, GlobalMaxPool2D, Layer, Tensor};
use warp::{Warp, warp};

fn main() -> Outcome {
    let angles: Vec<f64> = (0..=90).map(|i| 2.0 * f64::from(i)).collect();
    let mut bar = Array4::zeros((1, 28, 28, 1));
    bar.slice_mut(s![.., 4..24, 13..15, ..]).fill(1.0_f32);
    let bar = Tensor::from(bar);
    let (mut single, mut most) = (vec![vec![]; 8], vec![]);
    for &angle in &angles {
        let maps = line_maps(&warp(&bar, &Warp { degrees: angle, ..Warp::default() })?, 8)?;
        let found = GlobalMaxPool2D::new().forward(&maps)?;
        for (points, &value) in single.iter_mut().zip(found.as_slice()) {
            points.push((angle, f64::from(value)));
        }
        let across = GlobalMaxPool2D::new().forward(&ChannelMaxPool::new(8).forward(&maps)?)?;
        most.push((angle, f64::from(across.as_slice()[0])));
    }
    let extent = |points: &[(f64, f64)]| {
        points.iter().fold((f64::MAX, 0.0_f64), |(low, high), &(_, y)| (low.min(y), high.max(y)))
    };
    let ((low, high), (least, top)) = (extent(&single[0]), extent(&most));
    println!(
        "a bar turns by 180 degrees: one filter answers {low:.2} to {high:.2}, ChannelMaxPool over eight {least:.2} to {top:.2}"
    );
    let mut canvas = Canvas::new(920, 460);
    canvas.text(
        (20, 12),
        LARGE,
        "Pooling across channels: eight filters for bars at eight angles, and the largest answer",
    )?;
    let mut series =
        vec![Series { name: "ChannelMaxPool over the eight", colour: RED, points: most, dots: false }];
    let names = ["filters for one angle each"].into_iter().chain(std::iter::repeat(""));
    for (points, name) in single.into_iter().zip(names) {
        series.insert(0, Series { name, colour: GREY, points, dots: false });
    }
    let axes = [("angle of the bar, degrees", 0.0..180.0), ("largest value in the map", 0.0..1.4 * top)];
    chart(&mut canvas, (20, 45), (860, 340), axes, UpperMiddle, &series)?;
    for (angle, x) in [(0.0, 66), (45.0, 262), (90.0, 458), (135.0, 654), (180.0, 850)] {
        let turned = warp(&bar, &Warp { degrees: angle, ..Warp::default() })?;
        canvas.picture((x, 385), &enlarge(&paint(channel(turned.view4()?, 0), ink), 2));
    }
    canvas.save("05_across_channels")
}
