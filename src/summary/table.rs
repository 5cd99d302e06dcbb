//! The table that a [`Summary`] prints.

use std::fmt;

use super::Summary;

impl fmt::Display for Summary {
    /// The table, one line a layer, with totals below.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fields = self.receptive_fields();
        let mut lines = vec![HEADER.map(str::to_string)];
        lines.extend(self.rows.iter().zip(&fields).map(|(row, field)| {
            [
                row.name.clone(),
                row.kind.to_string(),
                format!("{:?}", row.output_shape),
                thousands(row.cost.params.saturating_add(row.cost.frozen_params) as u64),
                thousands(row.cost.multiplications),
                bytes(row.output_bytes as u64, ""),
                field.to_string(),
            ]
        }));
        lines.push([
            "total".to_string(),
            String::new(),
            String::new(),
            thousands(self.params().saturating_add(self.frozen_params())),
            thousands(self.multiplications()),
            bytes(self.output_bytes(), ""),
            fields.last().copied().unwrap_or_default().to_string(),
        ]);
        write_columns(f, &lines)?;

        let [input, training] = self.batch_sizes();
        let (params, frozen) = (thousands(self.params()), thousands(self.frozen_params()));
        let weights = bytes(self.param_bytes(), " bytes");
        writeln!(f, "\nparameters: {params} trainable, {frozen} frozen, {weights}")?;
        let maps = bytes(self.inference_bytes(), " bytes");
        writeln!(f, "inference, batch of {input}: {maps}, two consecutive layers' feature maps at a time")?;
        let maps = bytes(self.training_bytes(), " bytes");
        writeln!(f, "training, batch of {training}: {maps}, the feature maps of all layers")
    }
}

const HEADER: [&str; 7] =
    ["layer", "kind", "output shape", "parameters", "multiplications", "output bytes", "receptive field"];
/// Columns of words, which start flush; numbers end flush.
const WORDS: usize = 3;

fn write_columns<const N: usize>(f: &mut fmt::Formatter<'_>, lines: &[[String; N]]) -> fmt::Result {
    let mut widths = [0; N];
    for line in lines {
        for (width, cell) in widths.iter_mut().zip(line) {
            *width = cell.chars().count().max(*width);
        }
    }
    for line in lines {
        for (column, (cell, &width)) in line.iter().zip(&widths).enumerate() {
            let gap = if column == 0 { "" } else { "  " };
            match column < WORDS {
                true => write!(f, "{gap}{cell:<width$}")?,
                false => write!(f, "{gap}{cell:>width$}")?,
            }
        }
        writeln!(f)?;
    }
    Ok(())
}

/// The number with a comma after every three digits.
fn thousands(n: u64) -> String {
    let digits = n.to_string();
    let mut grouped = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// The exact number with `unit`, and from 1000 on rounded to three digits: `60,800 bytes (60.8 kB)`.
fn bytes(n: u64, unit: &str) -> String {
    let exact = thousands(n);
    if n < 1000 {
        return format!("{exact}{unit}");
    }
    let mut rounded = n as f64;
    for prefix in ["k", "M", "G", "T", "P", "E"] {
        rounded /= 1000.0;
        let decimals = if rounded < 9.995 {
            100.0
        } else if rounded < 99.95 {
            10.0
        } else {
            1.0
        };
        let shown = (rounded * decimals).round() / decimals;
        if shown < 1000.0 || prefix == "E" {
            return format!("{exact}{unit} ({shown} {prefix}B)");
        }
    }
    exact
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Cost, Reach, Row};

    #[test]
    fn numbers_are_readable() {
        for (n, want) in [
            (0, "0"),
            (999, "999"),
            (1000, "1,000 (1 kB)"),
            (60_800, "60,800 (60.8 kB)"),
            (999_499, "999,499 (999 kB)"),
            (999_500, "999,500 (1 MB)"),
            (1_234_567, "1,234,567 (1.23 MB)"),
            (1_200_000_000, "1,200,000,000 (1.2 GB)"),
            (u64::MAX, "18,446,744,073,709,551,615 (18.4 EB)"),
        ] {
            assert_eq!(bytes(n, ""), want);
        }
    }

    #[test]
    fn the_table_lines_up() {
        let row =
            |name, output: &[usize], cost| Row::new::<f32>(name, "Layer", &[2, 10], output, cost).unwrap();
        let mut summary = Summary::default();
        summary.push(row("0", &[2, 100], Cost { params: 1234, ..Cost::default() }));
        summary.push(row("1.0", &[2, 5], Cost { reach: Reach::Everything, ..Cost::default() }));
        let text = summary.to_string();
        let table: Vec<&str> = text.lines().take_while(|line| !line.is_empty()).collect();
        assert_eq!(table.len(), 4);
        assert!(table.iter().all(|line| line.len() == table[0].len()), "{text}");
        assert!(table[1].contains("1,234") && table[2].ends_with("all"), "{text}");
    }
}
