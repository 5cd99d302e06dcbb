//! [`AxisMap`]: padding, cropping, resizing and uneven averages along one axis, all of them linear maps.

use super::PadMode;
use crate::memory::reserve;
use crate::{Error, Result};

/// For every position of an output axis, the input positions that it adds up, and their weights.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct AxisMap {
    input: usize,
    /// Where the taps of each position end.
    ends: Vec<usize>,
    taps: Vec<(usize, f64)>,
}

/// Where the output position `o` of an axis looks that is enlarged or reduced from `input` to `output` positions, and
/// how the taps share it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Resize {
    /// `floor(o * input / output)`.
    Nearest,
    /// Linear between neighbours, the outer edges of the outermost positions on each other.
    HalfPixel,
    /// Linear between neighbours, the centres of the outermost positions on each other.
    AlignCorners,
}

impl AxisMap {
    fn new(
        input: usize,
        output: usize,
        most_taps: usize,
        mut taps: impl FnMut(usize, &mut Vec<(usize, f64)>),
    ) -> Result<Self> {
        let mut map = AxisMap { input, ends: Vec::new(), taps: Vec::new() };
        reserve(&mut map.ends, "resample", &[output])?;
        reserve(&mut map.taps, "resample", &[most_taps])?;
        for position in 0..output {
            taps(position, &mut map.taps);
            map.ends.push(map.taps.len());
        }
        Ok(map)
    }

    /// One tap or none a position.
    fn gathering(input: usize, output: usize, source: impl Fn(usize) -> Option<usize>) -> Result<Self> {
        Self::new(input, output, output, |position, taps| {
            taps.extend(source(position).map(|source| (source, 1.0)));
        })
    }

    /// So many positions more before and after. A constant is no matter of taps: those positions have none.
    pub(crate) fn padded(input: usize, (before, after): (usize, usize), mode: PadMode) -> Result<Self> {
        let output = padded_size("pad", input, (before, after), mode)?;
        Self::gathering(input, output, |position| match mode {
            PadMode::Zeros | PadMode::Constant(_) => position.checked_sub(before).filter(|&p| p < input),
            PadMode::Replicate => Some(position.saturating_sub(before).min(input - 1)),
            PadMode::Circular => Some((position + input - before) % input),
            PadMode::Reflect => Some(match position.checked_sub(before) {
                None => before - position,
                Some(inside) if inside < input => inside,
                Some(beyond) => 2 * (input - 1) - beyond,
            }),
        })
    }

    /// So many positions less.
    pub(crate) fn cropped(input: usize, (before, after): (usize, usize)) -> Result<Self> {
        let output = cropped_size("crop", input, (before, after))?;
        Self::gathering(input, output, |position| Some(position + before))
    }

    /// Another number of positions.
    pub(crate) fn resized(input: usize, output: usize, resize: Resize) -> Result<Self> {
        let ratio = input as f64 / output as f64;
        let last = input.saturating_sub(1);
        let place = |o: usize| match resize {
            Resize::Nearest => 0.0,
            Resize::HalfPixel => ((o as f64 + 0.5) * ratio - 0.5).max(0.0),
            Resize::AlignCorners if output == 1 => 0.0,
            Resize::AlignCorners => o as f64 * (last as f64 / (output - 1) as f64),
        };
        if resize == Resize::Nearest {
            let source = |o| (o as u128 * input as u128 / output as u128) as usize;
            return Self::gathering(input, output, |o| Some(source(o)));
        }
        Self::new(input, output, output.saturating_mul(2), |o, taps| {
            let place = place(o).min(last as f64);
            let first = place as usize;
            let share = place - first as f64;
            taps.push((first, 1.0 - share));
            if share > 0.0 {
                taps.push(((first + 1).min(last), share));
            }
        })
    }

    /// The averages over windows that share the axis as evenly as they can.
    pub(crate) fn averages(input: usize, output: usize) -> Result<Self> {
        // Two windows share a position at most where they meet, or are smaller than it.
        Self::new(input, output, input.saturating_add(output.saturating_mul(2)), |o, taps| {
            let window = even_window(o, input, output);
            let share = 1.0 / window.len() as f64;
            taps.extend(window.map(|source| (source, share)));
        })
    }

    /// The map of gradients: from the output back to the input.
    pub(crate) fn transposed(&self) -> Result<Self> {
        let mut pairs = Vec::new();
        reserve(&mut pairs, "resample", &[self.taps.len()])?;
        for position in 0..self.output() {
            pairs.extend(self.taps(position).iter().map(|&(source, weight)| (source, position, weight)));
        }
        pairs.sort_by_key(|&(source, position, _)| (source, position));
        let mut pairs = pairs.into_iter().peekable();
        Self::new(self.output(), self.input, self.taps.len(), |source, taps| {
            while let Some((_, position, weight)) = pairs.next_if(|&(own, ..)| own == source) {
                taps.push((position, weight));
            }
        })
    }

    pub(crate) fn input(&self) -> usize {
        self.input
    }

    pub(crate) fn output(&self) -> usize {
        self.ends.len()
    }

    /// What a position adds up: input positions and weights.
    pub(crate) fn taps(&self, position: usize) -> &[(usize, f64)] {
        let start = position.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.taps[start..self.ends[position]]
    }
}

/// The input positions of the window `o`, of `output` that share the input as evenly as they can:
/// from `floor(o * input / output)` to `ceil((o + 1) * input / output)`, PyTorch's adaptive pooling.
pub(crate) fn even_window(o: usize, input: usize, output: usize) -> std::ops::Range<usize> {
    let (o, input, output) = (o as u128, input as u128, output as u128);
    (o * input / output) as usize..((o + 1) * input).div_ceil(output) as usize
}

/// The length of an axis with padding, where the mode has an answer.
pub(crate) fn padded_size(
    op: &'static str,
    input: usize,
    (before, after): (usize, usize),
    mode: PadMode,
) -> Result<usize> {
    let most = match mode {
        PadMode::Zeros | PadMode::Constant(_) | PadMode::Replicate => usize::MAX,
        PadMode::Reflect => input.saturating_sub(1),
        PadMode::Circular => input,
    };
    if before.max(after) > most {
        let expected = format!("padding of at most {most} for {input} positions in the mode {mode:?}");
        return Err(Error::argument(op, expected, before.max(after)));
    }
    let sum = input.checked_add(before).and_then(|sum| sum.checked_add(after));
    // Indices are added up with no more than that.
    sum.filter(|&sum| sum <= isize::MAX as usize / 2)
        .ok_or_else(|| Error::size(op, "padding that fits in memory", format_args!("{before} and {after}")))
}

/// The length of an axis without so many positions at its ends; one at least must stay.
pub(crate) fn cropped_size(op: &'static str, input: usize, (before, after): (usize, usize)) -> Result<usize> {
    let rest = before.checked_add(after).and_then(|sum| input.checked_sub(sum));
    rest.filter(|&rest| rest > 0).ok_or_else(|| {
        Error::shape(op, format_args!("more positions than {before} and {after} to take away"), &[input])
    })
}
