//! Lines and dots over two axes.
#![allow(dead_code, reason = "not every example uses all of it")]

use std::ops::Range;

use plotters::prelude::*;

use crate::canvas::{Canvas, Colour, GREY, INK, Outcome, SMALL, rgb};

/// What is drawn in one colour; without a name it is left out of the list of names.
pub struct Series<'a> {
    pub name: &'a str,
    pub colour: Colour,
    pub points: Vec<(f64, f64)>,
    /// Dots, one for each point, in place of a line.
    pub dots: bool,
}

/// An axis: what it shows, and from where to where.
pub type Axis<'a> = (&'a str, Range<f64>);

/// Draws a chart with its top left corner at a place; the series' names stand in the given corner of it.
pub fn chart(
    canvas: &mut Canvas,
    place: (i32, i32),
    size: (i32, i32),
    [x, y]: [Axis<'_>; 2],
    names: SeriesLabelPosition,
    series: &[Series<'_>],
) -> Outcome {
    let area = canvas.area().shrink(place, size);
    let ink = rgb(INK);
    let style = TextStyle::from(("sans-serif", SMALL)).color(&ink);
    let mut chart =
        ChartBuilder::on(&area).x_label_area_size(44).y_label_area_size(62).build_cartesian_2d(x.1, y.1)?;
    chart
        .configure_mesh()
        .light_line_style(WHITE)
        .bold_line_style(rgb(GREY).mix(0.35))
        .label_style(style.clone())
        .axis_desc_style(style.clone())
        .x_desc(x.0)
        .y_desc(y.0)
        .x_label_formatter(&short)
        .y_label_formatter(&short)
        .draw()?;
    for Series { name, colour, points, dots } in series {
        let colour = rgb(*colour);
        let drawn = if *dots {
            chart.draw_series(points.iter().map(|&point| Circle::new(point, 5, colour.filled())))?
        } else {
            chart.draw_series(LineSeries::new(points.iter().copied(), colour.stroke_width(2)))?
        };
        if name.is_empty() {
            continue;
        }
        let drawn = drawn.label(*name);
        match dots {
            true => drawn.legend(move |(x, y)| Circle::new((x + 9, y), 5, colour.filled())),
            false => {
                drawn.legend(move |(x, y)| Rectangle::new([(x, y - 1), (x + 18, y + 1)], colour.filled()))
            }
        };
    }
    chart
        .configure_series_labels()
        .position(names)
        .label_font(style)
        .background_style(WHITE.mix(0.85))
        .draw()?;
    Ok(())
}

/// A number without digits that say nothing.
fn short(value: &f64) -> String {
    format!("{}", (1000.0 * value).round() / 1000.0)
}
