//! Draws the speed of striate and its peers from `benches/RESULTS.md`, which `benches/peers/run` writes.
//!
//!     cargo run --release --example speed_chart

#[path = "support/canvas.rs"]
mod canvas;

use std::path::Path;

use canvas::{BLUE, Canvas, Colour, GREEN, HPos, INK, LARGE, ORANGE, Outcome, PURPLE, RED, SMALL};
use plotters::prelude::{Circle, Color};

const BROWN: Colour = [140, 90, 60];
const PINK: Colour = [225, 110, 170];
const CYAN: Colour = [30, 170, 190];

/// The peers in the order of the tables' last columns, each with the colour of its dots.
const PEERS: [(&str, Colour); 8] = [
    ("torch", RED),
    ("onnxruntime", BLUE),
    ("openvino", PURPLE),
    ("litert", ORANGE),
    ("rten", GREEN),
    ("tract", BROWN),
    ("candle", PINK),
    ("burn-flex", CYAN),
];

/// A row of the chart: its name, and which layers are in it.
type Class = (&'static str, fn(&str) -> bool);

const CLASSES: [Class; 8] = [
    ("3x3", |name| name.contains("3x3") && !is_other(name) && !is_small(name) && !is_pooling(name)),
    ("1x1", |name| name.contains("1x1") || name.starts_with("mbv2_pw")),
    ("3x3 stride 2, 5x5, 7x7, dilated,\n3 channels", is_other),
    ("depthwise and grouped", |name| name.starts_with("mbv2_dw") || name.starts_with("resnext")),
    ("small layers, batch 32", is_small),
    ("pooling", is_pooling),
    ("ResNet-18, VGG-16", |name| ["resnet18", "vgg16"].contains(&name)),
    ("MobileNetV1, digits", |name| ["mobilenet_v1", "digits"].contains(&name)),
];

fn is_pooling(name: &str) -> bool {
    ["max", "avg", "gap"].iter().any(|kind| name.contains(kind))
}

fn is_small(name: &str) -> bool {
    name.starts_with("keras") || name.starts_with("lenet")
}

fn is_other(name: &str) -> bool {
    let others = ["seed_5x5", "rn50_conv1", "vgg_224_3_", "dilated"];
    let strided = name.starts_with("rn50") && name.ends_with("3x3s2") && !is_pooling(name);
    strided || others.iter().any(|other| name.contains(other))
}

fn main() -> Outcome {
    let results = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/RESULTS.md"))?;
    let line = |start: &str| results.lines().find_map(|line| line.strip_prefix(start)).unwrap_or("");
    let machine = line("- **Machine:** ").trim_end_matches(';');
    let date = results.lines().find_map(|line| line.split("made by [peers](peers) on ").nth(1)).unwrap_or("");

    let mut canvas = Canvas::new(980, 670);
    canvas.text(
        (20, 12),
        LARGE,
        "How long others take for the same work, where striate takes 1 (one thread)",
    )?;
    canvas.text((20, 42), SMALL, &format!("{machine}; {}", date.trim_end_matches('.')))?;
    let axis = |ratio: f64| 300 + (150.0 * (ratio / 0.5).log2()) as i32;
    for ratio in [0.5, 1.0, 2.0, 4.0, 8.0] {
        let (thick, colour) = if ratio == 1.0 { (3, INK) } else { (2, [214, 214, 220]) };
        canvas.fill((axis(ratio) - thick / 2, 108), (thick, 480), colour)?;
        canvas.write((axis(ratio), 86), SMALL, &format!("{ratio}x"), (HPos::Center, INK))?;
    }
    println!("the geometric means of peers' times over striate's, one thread\n");
    println!("{:<36} {}", "", PEERS.map(|(name, _)| format!("{name:>11}")).join(" "));
    let rows = table(&results);
    for ((name, belongs), i) in CLASSES.into_iter().zip(0..) {
        let rows: Vec<_> = rows.iter().filter(|(layer, _)| belongs(layer)).collect();
        let y = 138 + 60 * i;
        let caption = format!("{name}  ({})", rows.len());
        canvas.text((20, y - 10), SMALL, &caption)?;
        let means = PEERS.map(|(peer, colour)| (mean(&rows, peer), colour));
        for (mean, colour) in means {
            let Some(mean) = mean else { continue };
            let dot =
                Circle::new((axis(mean.clamp(0.5, 10.5)), y), 8, canvas::rgb(colour).mix(0.85).filled());
            canvas.area().draw(&dot)?;
        }
        let shown =
            means.map(|(mean, _)| mean.map_or(format!("{:>11}", "-"), |mean| format!("{mean:>11.2}")));
        println!("{:<36} {}", name.replace('\n', " "), shown.join(" "));
    }
    println!();
    for ((peer, colour), i) in PEERS.into_iter().zip(0..) {
        let (x, y) = (20 + 116 * i, 612);
        canvas.area().draw(&Circle::new((x + 6, y + 8), 6, canvas::rgb(colour).filled()))?;
        canvas.text((x + 17, y), SMALL, peer)?;
    }
    let note = "geometric means of a class's layers (how many: in brackets); to the right of the thick line striate is faster; beyond 10x: at the edge";
    canvas.text((20, 640), SMALL, note)?;
    canvas.save("speed_chart")
}

/// The layers of the first table, for one thread, without training, and how many times as long as striate each peer takes.
fn table(results: &str) -> Vec<(&str, Vec<(&'static str, f64)>)> {
    let part = results.split("## By layer, 1 thread").nth(1).unwrap_or("");
    let part = part.split("## By layer").next().unwrap_or("");
    let rows = part.lines().filter(|line| {
        let heads = ["| layer", "| ---", "| train_"];
        line.starts_with("| ") && !heads.iter().any(|head| line.starts_with(head))
    });
    rows.map(|row| {
        let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
        let first = cells.len().saturating_sub(PEERS.len());
        let ratios = PEERS.iter().zip(&cells[first..]);
        (cells[0], ratios.filter_map(|((peer, _), cell)| Some((*peer, cell.parse().ok()?))).collect())
    })
    .collect()
}

/// The geometric mean of a peer's ratios, of the layers that it computes.
fn mean(rows: &[&(&str, Vec<(&str, f64)>)], peer: &str) -> Option<f64> {
    let ratios = rows.iter().flat_map(|(_, ratios)| ratios).filter(|(name, _)| *name == peer);
    let logs: Vec<f64> = ratios.map(|(_, ratio)| ratio.ln()).collect();
    (!logs.is_empty()).then(|| (logs.iter().sum::<f64>() / logs.len() as f64).exp())
}
