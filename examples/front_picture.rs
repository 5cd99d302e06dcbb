//! Draws the picture at the top of the README: a photograph, what four filters find in it, and what pooling keeps.
//!
//!     cargo run --release --example front_picture

#[path = "support/canvas.rs"]
mod canvas;
#[path = "support/colours.rs"]
mod colours;
#[path = "support/lines.rs"]
mod lines;
#[path = "support/photo.rs"]
mod photo;

use canvas::{BLUE, Canvas, GREEN, GREY, INK, ORANGE, Outcome, PURPLE, SMALL};
use colours::{channel, enlarge, paint, scale, tile};
use lines::line_maps;
use ndarray::s;
use striate::{Layer, MaxPool2D, Tensor};

/// One colour a filter.
const FILTERS: [[u8; 3]; 4] = [BLUE, GREEN, ORANGE, PURPLE];

fn main() -> Outcome {
    let picture = photo::photo("china", 210)?.to_rgb8();
    let maps = line_maps(&photo::grey_photo("china", 150)?, FILTERS.len())?;
    // Without the margin, where windows see the zeros around the picture.
    let maps = Tensor::from(maps.view4()?.slice_move(s![.., 5..95, 5..145, ..]));
    let pooled = MaxPool2D::new(5).forward(&maps)?;
    let sheet = |maps: &Tensor, times: u32| -> Outcome<_> {
        let maps = maps.view4()?;
        let shown = FILTERS.iter().enumerate().map(|(f, colour)| {
            let map = channel(maps, f);
            let shade = |v: f32| {
                let found = (v / scale(map)).clamp(0.0, 1.0);
                colour.map(|c| (255.0 - (255.0 - f32::from(c)) * found).round() as u8)
            };
            enlarge(&paint(map, shade), times)
        });
        Ok(tile(&shown.collect::<Vec<_>>(), 2, 4))
    };

    let mut canvas = Canvas::new(940, 300);
    canvas.text((20, 12), 30, "striate")?;
    canvas.coloured((150, 24), 17, "convolutional neural networks on the CPU, in pure Rust", INK)?;
    let parts = [
        (20, picture, "a picture"),
        (290, sheet(&maps, 1)?, "Conv2D: one map a filter"),
        (634, sheet(&pooled, 5)?, "MaxPool2D: what is there stays, smaller"),
    ];
    for (x, picture, caption) in parts {
        let top = 185 - picture.height() as i32 / 2;
        canvas.text((x, 60), SMALL, caption)?;
        canvas.picture((x, top), &picture);
        canvas.frame((x, top), (picture.width() as i32, picture.height() as i32), 1, GREY)?;
        if x > 20 {
            canvas.arrow((x - 46, 185), (x - 12, 185))?;
        }
    }
    canvas.save("front_picture")
}
