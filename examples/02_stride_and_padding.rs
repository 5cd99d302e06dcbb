//! Lesson 2: how far the window moves, and what it sees beyond the edge. A stride of 2 keeps every second position of
//! every second row: a quarter of the output, and of the work. Padding with zeros keeps the size.
//!
//!     cargo run --release --example 02_stride_and_padding

#[path = "support/canvas.rs"]
mod canvas;
#[path = "support/colours.rs"]
mod colours;
#[path = "support/gallery.rs"]
mod gallery;
#[path = "support/numbers.rs"]
mod numbers;
#[path = "support/photo.rs"]
mod photo;

use canvas::{BLUE, Canvas, GREEN, GREY, INK, LARGE, ORANGE, Outcome, RED, SMALL};
use colours::{channel, grey, paint, scale};
use ndarray::Array4;
use numbers::thousands;
use striate::{Padding, Window2d, ops};

/// The sides of the filter.
const SIZE: usize = 7;

fn main() -> Outcome {
    a_photograph_at_three_strides()?;
    where_the_zeros_go()
}

fn a_photograph_at_three_strides() -> Outcome {
    let x = photo::grey_photo("china", 240)?;
    let [height, width] = [x.shape()[1], x.shape()[2]];
    let mut line = Array4::from_elem((SIZE, SIZE, 1, 1), -1.0 / 6.0);
    line.slice_mut(ndarray::s![SIZE / 2, .., .., ..]).fill(1.0);

    println!(
        "a {height}x{width} picture, one {SIZE}x{SIZE} filter; along an axis of n pixels, with a stride of s:"
    );
    println!("  valid: (n - {SIZE}) / s + 1 outputs, rounded down; same: n / s, rounded up\n");
    println!("{:>6} {:>8} {:>12} {:>16} {:>8}", "stride", "padding", "output", "multiplications", "share");
    let (mut tiles, mut most) = (vec![], None);
    for (padding, name) in [(Padding::Valid, "valid"), (Padding::Same, "same")] {
        for stride in [1, 2, 4] {
            let window = Window2d::new(SIZE).strides(stride).padding(padding);
            let geometry = window.conv(x.shape(), line.shape())?;
            let maps = ops::conv2d(x.view4()?, line.view(), None, &geometry)?;
            let (rows, columns) = (geometry.rows().output(), geometry.cols().output());
            let work = geometry.multiplications();
            let share = 100.0 * work as f64 / *most.get_or_insert(work) as f64;
            println!(
                "{stride:>6} {name:>8} {:>12} {:>16} {share:>6.1} %",
                format!("{rows}x{columns}"),
                thousands(work)
            );
            let map = channel(maps.view(), 0);
            let picture = paint(map, |v| grey((v / scale(map)).clamp(0.0, 1.0)));
            tiles.push((
                format!("stride {stride}, {name}: {rows}x{columns}\n{} multiplications", thousands(work)),
                picture,
            ));
        }
    }
    println!();
    let title = format!(
        "Horizontal lines in a picture of {height}x{width}, at three strides\n\
         (the white line along the top of `same` is the edge between picture and zeros)"
    );
    gallery::gallery(&title, 3, &tiles)?.save("02_strides")
}

/// Six pixels, a window of three. Keras' `same` puts the odd zero after the pixels.
fn where_the_zeros_go() -> Outcome {
    const CELL: i32 = 30;
    let cases = [
        (1, Padding::Valid, "valid"),
        (1, Padding::Same, "same"),
        (2, Padding::Valid, "valid"),
        (2, Padding::Same, "same"),
    ];
    let mut canvas = Canvas::new(660, 440);
    canvas.text((20, 14), LARGE, "Six pixels in a row, windows of three: where the zeros go")?;
    println!(
        "{:>6} {:>8} {:>13} {:>12} {:>8}",
        "stride", "padding", "zeros before", "zeros after", "outputs"
    );
    for ((stride, padding, name), case) in cases.into_iter().zip(0..) {
        let axis = Window2d::new(3).strides(stride).padding(padding).pool(&[1, 6, 6, 1])?.rows();
        let (before, after) = axis.padding();
        println!("{stride:>6} {name:>8} {before:>13} {after:>12} {:>8}", axis.output());

        let y = 60 + 92 * case;
        canvas.text((20, y + 5), SMALL, &format!("stride {stride}, {name}\n{} outputs", axis.output()))?;
        for place in 0..before + 6 + after {
            let x = 180 + CELL * (place as i32 + 1 - before as i32);
            let zero = place < before || place >= before + 6;
            canvas.fill((x, y), (CELL - 2, CELL - 2), if zero { [255; 3] } else { [214, 224, 236] })?;
            canvas.frame((x, y), (CELL - 2, CELL - 2), 1, if zero { RED } else { GREY })?;
            let text = if zero { "0".to_string() } else { format!("x{}", place + 1 - before) };
            canvas.write(
                (x + CELL / 2, y + 7),
                SMALL,
                &text,
                (canvas::HPos::Center, if zero { RED } else { INK }),
            )?;
        }
        // Every window as a bracket below the pixels that it sees.
        for output in 0..axis.output() {
            let from = 180 + CELL * ((output * stride) as i32 + 1 - before as i32);
            let level = y + CELL + 4 + 8 * (output % 3) as i32;
            let colour = [BLUE, GREEN, ORANGE][output % 3];
            canvas.fill((from, level), (3 * CELL - 2, 4), colour)?;
        }
        let unseen = 6 + before + after - ((axis.output() - 1) * stride + 3);
        let note = match (before, after, unseen) {
            (0, 0, 0) => "every pixel is seen",
            (0, 0, _) => "the last pixel is not seen",
            (b, a, _) if a > b => "an odd number of zeros:\nthe extra one comes after",
            _ => "as many zeros before as after",
        };
        canvas.text((440, y + 5), SMALL, note)?;
    }
    canvas.save("02_padding")
}
