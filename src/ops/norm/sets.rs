//! [`Sets`]: which elements share a mean and a variance, and the loops over them.

use std::ops::Range;

use rayon::prelude::*;

use crate::Element;

/// Elements that one task works through. Sums of a task are added in order, so that the number of threads decides nothing.
const PIECE: usize = 1 << 14;

/// An array seen as `[samples, rows, channels]`, whose channels fall into groups: a sample's elements of one group are a
/// set. Sets are numbered `sample * groups + group`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sets {
    pub(super) samples: usize,
    pub(super) rows: usize,
    pub(super) channels: usize,
    pub(super) groups: usize,
}

/// Some samples, or some rows of one sample: what one task works through, in one stretch of memory.
struct Piece {
    samples: Range<usize>,
    rows: Range<usize>,
}

/// Sums of two quantities: over every set, and for every channel over all samples and rows.
pub(super) struct Sums {
    pub(super) sets: Vec<[f64; 2]>,
    pub(super) channels: Vec<[f64; 2]>,
}

impl Sets {
    pub(crate) fn count(&self) -> usize {
        self.samples * self.groups
    }

    /// The number of elements of one set.
    pub(crate) fn members(&self) -> usize {
        self.rows * (self.channels / self.groups.max(1))
    }

    fn pieces(&self) -> Vec<Piece> {
        let sample = self.rows * self.channels;
        if sample < PIECE {
            let step = PIECE / sample.max(1);
            let samples = (0..self.samples).step_by(step).map(|from| from..self.samples.min(from + step));
            return samples.map(|samples| Piece { samples, rows: 0..self.rows }).collect();
        }
        let step = (PIECE / self.channels).max(1);
        let rows = (0..self.rows).step_by(step).map(|from| from..self.rows.min(from + step));
        let of = |sample| rows.clone().map(move |rows| Piece { samples: sample..sample + 1, rows });
        (0..self.samples).flat_map(of).collect()
    }

    /// Where a row lies in memory.
    fn row(&self, sample: usize, row: usize) -> Range<usize> {
        let start = (sample * self.rows + row) * self.channels;
        start..start + self.channels
    }

    /// The numbers of one sample's sets, one a channel.
    fn spread<'a, T: Copy, const N: usize>(
        &self,
        sample: usize,
        sets: [&'a [T]; N],
        scratch: &'a mut [Vec<T>; N],
    ) -> [&'a [T]; N] {
        let own = sets.map(|set| &set[sample * self.groups..][..self.groups]);
        if self.groups == self.channels {
            return own;
        }
        for (spread, own) in scratch.iter_mut().zip(own) {
            spread.clear();
            own.iter().for_each(|&v| spread.extend(std::iter::repeat_n(v, self.channels / self.groups)));
        }
        scratch.each_ref().map(|spread| &spread[..])
    }

    /// Adds up what `add(row, numbers, sums)` adds to the sums of the channels for every row, where `numbers` are those of
    /// the row's sets. A channel's share of its set's sums is multiplied with its weight.
    pub(super) fn sums<T: Element, const N: usize>(
        &self,
        sets: [&[T]; N],
        weights: Option<&[T]>,
        add: impl Fn(Range<usize>, [&[T]; N], [&mut [T]; 2]) + Sync,
    ) -> Sums {
        let per_group = self.channels / self.groups.max(1);
        let sum_piece = |piece: &Piece| {
            let mut scratch = [(); N].map(|()| Vec::new());
            // Each quantity's side by side, so that the compiler can use vectors.
            let mut row_sums = [(); 2].map(|()| vec![T::zero(); self.channels]);
            let mut sums = Sums::zeros(piece.samples.len() * self.groups, self.channels);
            for (place, sample) in piece.samples.clone().enumerate() {
                row_sums.iter_mut().for_each(|sums| sums.fill(T::zero()));
                let numbers = self.spread(sample, sets, &mut scratch);
                for row in piece.rows.clone() {
                    add(self.row(sample, row), numbers, row_sums.each_mut().map(|sums| &mut sums[..]));
                }
                for channel in 0..self.channels {
                    let weight = weights.map_or(1.0, |weights| weights[channel].to_double());
                    let set = &mut sums.sets[place * self.groups + channel / per_group];
                    for (i, row_sums) in row_sums.iter().enumerate() {
                        let sum = row_sums[channel].to_double();
                        set[i] += weight * sum;
                        sums.channels[channel][i] += sum;
                    }
                }
            }
            sums
        };
        let pieces = self.pieces();
        let parts: Vec<Sums> = pieces.par_iter().map(sum_piece).collect();
        let mut total = Sums::zeros(self.count(), self.channels);
        for (piece, part) in pieces.iter().zip(parts) {
            add_to(&mut total.sets[piece.samples.start * self.groups..], &part.sets);
            add_to(&mut total.channels, &part.channels);
        }
        total
    }

    /// Writes `out` row by row: `write(row, numbers, out)`, with the numbers of the row's sets.
    pub(super) fn write<T: Element, const N: usize>(
        &self,
        sets: [&[T]; N],
        out: &mut [T],
        write: impl Fn(Range<usize>, [&[T]; N], &mut [T]) + Sync,
    ) {
        let mut rest = out;
        let mut pieces = Vec::new();
        for piece in self.pieces() {
            let len = piece.samples.len() * piece.rows.len() * self.channels;
            let (own, others) = std::mem::take(&mut rest).split_at_mut(len);
            pieces.push((piece, own));
            rest = others;
        }
        pieces.into_par_iter().for_each(|(piece, out)| {
            let mut scratch = [(); N].map(|()| Vec::new());
            let mut rows = out.chunks_exact_mut(self.channels.max(1));
            for sample in piece.samples {
                let numbers = self.spread(sample, sets, &mut scratch);
                for (row, out) in piece.rows.clone().zip(&mut rows) {
                    write(self.row(sample, row), numbers, out);
                }
            }
        });
    }
}

impl Sums {
    fn zeros(sets: usize, channels: usize) -> Self {
        Sums { sets: vec![[0.0; 2]; sets], channels: vec![[0.0; 2]; channels] }
    }
}

fn add_to(sums: &mut [[f64; 2]], terms: &[[f64; 2]]) {
    for (sum, term) in sums.iter_mut().zip(terms) {
        sum[0] += term[0];
        sum[1] += term[1];
    }
}
