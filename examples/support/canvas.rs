//! A white sheet to put pictures, words and lines on.
#![allow(dead_code, reason = "not every example uses all of it")]

use std::error::Error;
use std::path::Path;
use std::sync::Once;

use image::codecs::png::{CompressionType, FilterType, PngEncoder};
use image::{ImageEncoder, RgbImage};
use plotters::coord::Shift;
use plotters::prelude::*;
pub use plotters::style::text_anchor::HPos;
use plotters::style::text_anchor::{Pos, VPos};
use plotters::style::{FontStyle, register_font};

pub type Outcome<T = ()> = Result<T, Box<dyn Error>>;
pub type Colour = [u8; 3];

pub const INK: Colour = [40, 40, 48];
pub const GREY: Colour = [165, 165, 172];
pub const BLUE: Colour = [31, 102, 178];
pub const RED: Colour = [204, 51, 43];
pub const GREEN: Colour = [38, 140, 82];
pub const ORANGE: Colour = [232, 140, 20];
pub const PURPLE: Colour = [125, 70, 160];
/// A caption's height.
pub const SMALL: i32 = 14;
/// A title's height.
pub const LARGE: i32 = 19;

/// Letters come from the DejaVu fonts, which a crate carries: no fonts of the system are asked for.
pub fn fonts() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let families: [(&str, &'static [u8], &'static [u8]); 3] = [
            ("sans-serif", dejavu::sans::regular(), dejavu::sans::bold()),
            ("serif", dejavu::serif::regular(), dejavu::serif::bold()),
            ("monospace", dejavu::sans_mono::regular(), dejavu::sans_mono::bold()),
        ];
        for (name, regular, bold) in families {
            let _ = register_font(name, FontStyle::Normal, regular);
            let _ = register_font(name, FontStyle::Bold, bold);
        }
    });
}

pub struct Canvas {
    size: (u32, u32),
    pixels: Vec<u8>,
}

impl Canvas {
    pub fn new(width: i32, height: i32) -> Self {
        fonts();
        let size = (width.max(1) as u32, height.max(1) as u32);
        Canvas { size, pixels: vec![255; (3 * size.0 * size.1) as usize] }
    }

    /// The sheet as `plotters` sees it, for charts.
    pub fn area(&mut self) -> DrawingArea<BitMapBackend<'_>, Shift> {
        BitMapBackend::with_buffer(&mut self.pixels, self.size).into_drawing_area()
    }

    /// Lines of text from a place on to the right and down.
    pub fn text(&mut self, place: (i32, i32), height: i32, text: &str) -> Outcome {
        self.write(place, height, text, (HPos::Left, INK))
    }

    /// Lines of text with their middle below a place.
    pub fn centred(&mut self, place: (i32, i32), height: i32, text: &str) -> Outcome {
        self.write(place, height, text, (HPos::Center, INK))
    }

    pub fn coloured(&mut self, place: (i32, i32), height: i32, text: &str, colour: Colour) -> Outcome {
        self.write(place, height, text, (HPos::Left, colour))
    }

    /// Lines of text that begin, end or have their middle at a place, in a colour.
    pub fn write(
        &mut self,
        (x, y): (i32, i32),
        height: i32,
        text: &str,
        (side, colour): (HPos, Colour),
    ) -> Outcome {
        let area = self.area();
        for (line, row) in text.lines().zip(0..) {
            let style = TextStyle::from(("sans-serif", height)).pos(Pos::new(side, VPos::Top));
            area.draw(&Text::new(
                line.to_string(),
                (x, y + row * line_height(height)),
                style.color(&rgb(colour)),
            ))?;
        }
        Ok(())
    }

    pub fn picture(&mut self, (x, y): (i32, i32), picture: &RgbImage) {
        let mut sheet = RgbImage::from_raw(self.size.0, self.size.1, std::mem::take(&mut self.pixels))
            .unwrap_or_else(|| RgbImage::new(self.size.0, self.size.1));
        image::imageops::replace(&mut sheet, picture, x.into(), y.into());
        self.pixels = sheet.into_raw();
    }

    pub fn fill(&mut self, (x, y): (i32, i32), (width, height): (i32, i32), colour: Colour) -> Outcome {
        Ok(self
            .area()
            .draw(&Rectangle::new([(x, y), (x + width - 1, y + height - 1)], rgb(colour).filled()))?)
    }

    /// The outline of a rectangle, `thick` pixels wide, outside of it.
    pub fn frame(
        &mut self,
        (x, y): (i32, i32),
        (width, height): (i32, i32),
        thick: i32,
        colour: Colour,
    ) -> Outcome {
        let area = self.area();
        for i in 1..=thick {
            area.draw(&Rectangle::new(
                [(x - i, y - i), (x + width + i - 1, y + height + i - 1)],
                rgb(colour),
            ))?;
        }
        Ok(())
    }

    pub fn arrow(&mut self, from: (i32, i32), to: (i32, i32)) -> Outcome {
        const HEAD: f64 = 7.0;
        let (dx, dy) = (f64::from(to.0 - from.0), f64::from(to.1 - from.1));
        let length = dx.hypot(dy).max(1.0);
        let (dx, dy) = (HEAD * dx / length, HEAD * dy / length);
        let wing =
            |side: f64| (to.0 - (dx - side * dy).round() as i32, to.1 - (dy + side * dx).round() as i32);
        let area = self.area();
        area.draw(&PathElement::new([from, to], rgb(INK).stroke_width(2)))?;
        area.draw(&Polygon::new([to, wing(0.55), wing(-0.55)], rgb(INK).filled()))?;
        Ok(())
    }

    /// Writes the sheet to `target/lesson/NAME.png` and says so.
    pub fn save(self, name: &str) -> Outcome {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let path = root.join("target/lesson").join(name).with_extension("png");
        std::fs::create_dir_all(path.parent().unwrap_or(root))?;
        let file = std::io::BufWriter::new(std::fs::File::create(&path)?);
        PngEncoder::new_with_quality(file, CompressionType::Best, FilterType::Adaptive).write_image(
            &self.pixels,
            self.size.0,
            self.size.1,
            image::ExtendedColorType::Rgb8,
        )?;
        println!("picture: {}", path.strip_prefix(root)?.display());
        Ok(())
    }
}

pub fn rgb([red, green, blue]: Colour) -> RGBColor {
    RGBColor(red, green, blue)
}

/// From one line of text to the next.
pub fn line_height(height: i32) -> i32 {
    height * 4 / 3
}
