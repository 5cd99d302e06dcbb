//! Volumes as feature maps: what a convolution in three dimensions does in two.

use rayon::prelude::*;

use crate::geometry::{AxisMap, WindowAxis, padded_size};
use crate::kernels::Buffer;
use crate::memory::{filled, unwritten};
use crate::{Element, PadMode, Result};

/// Elements from which planes are shared among threads.
const PARALLEL: usize = 1 << 15;

/// Which planes of `[batch, depth, height, width, channels]` become the channels of which map: all planes that an output
/// plane sees lie one after the other, group by group, as `[batch, new depth, height, width, groups, kd, channels / groups]`.
#[derive(Debug)]
pub(crate) struct Stacking {
    depth: usize,
    kernel: usize,
    /// For each output plane and tap the input plane, unless that lies in constant padding.
    sources: Vec<Option<usize>>,
    /// The same backwards, in the order of input planes: the plane, and where in `sources` it is.
    readers: Vec<(usize, usize)>,
    constant: f64,
    groups: usize,
}

impl Stacking {
    /// That of a window along `depth`, with padding as `mode` says.
    pub(crate) fn new(op: &'static str, depth: &WindowAxis, mode: PadMode, groups: usize) -> Result<Self> {
        let mut sources = filled(op, &[depth.output, depth.kernel], None)?;
        padded_size(op, depth.input, depth.padding(), mode)?;
        let padded = match mode.constant() {
            Some(_) => None,
            None => Some(AxisMap::padded(depth.input, depth.padding(), mode)?),
        };
        for (index, source) in sources.iter_mut().enumerate() {
            let (o, tap) = (index / depth.kernel, index % depth.kernel);
            *source = match &padded {
                None => depth.source(o, tap),
                Some(map) => map.taps(o * depth.stride + tap * depth.dilation).first().map(|tap| tap.0),
            };
        }
        let mut readers = filled(op, &[sources.iter().flatten().count()], (0, 0))?;
        let read = sources.iter().enumerate().filter_map(|(index, source)| Some(((*source)?, index)));
        readers.iter_mut().zip(read).for_each(|(reader, read)| *reader = read);
        readers.sort_unstable();
        let constant = mode.constant().unwrap_or(0.0);
        Ok(Stacking { depth: depth.input, kernel: depth.kernel, sources, readers, constant, groups })
    }

    /// The maps `stacked`, a shape of as many positions a plane as that of `x`.
    pub(crate) fn stack<T: Element>(
        &self,
        op: &'static str,
        x: &[T],
        stacked: [usize; 4],
    ) -> Result<Buffer<T>> {
        let [_, height, width, wide] = stacked;
        let (positions, channels) = (height * width, wide / self.kernel);
        let mut out = unwritten(op, &stacked)?;
        let group = channels / self.groups;
        let write = |(map, out): (usize, &mut [T])| {
            let (volume, plane) = self.place(map);
            for (tap, source) in self.sources[plane..plane + self.kernel].iter().enumerate() {
                let source = source.map(|source| {
                    let first = (volume * self.depth + source) * positions * channels;
                    &x[first..first + positions * channels]
                });
                for (position, out) in out.chunks_exact_mut(wide).enumerate() {
                    for (index, out) in out.chunks_exact_mut(group).skip(tap).step_by(self.kernel).enumerate()
                    {
                        match source {
                            Some(x) => {
                                out.copy_from_slice(&x[position * channels + index * group..][..group])
                            }
                            None => out.fill(T::of(self.constant)),
                        }
                    }
                }
            }
        };
        match out.len() < PARALLEL {
            true => out.chunks_exact_mut(positions * wide).enumerate().for_each(write),
            false => out.par_chunks_exact_mut(positions * wide).enumerate().for_each(write),
        }
        Ok(out)
    }

    /// The gradient of the volumes `shape` from that of the maps: of every plane, the sum over where it went.
    pub(crate) fn unstack<T: Element>(
        &self,
        op: &'static str,
        grad: &[T],
        shape: [usize; 5],
    ) -> Result<Buffer<T>> {
        let [_, _, height, width, channels] = shape;
        let (positions, wide) = (height * width, channels * self.kernel);
        let mut out = unwritten(op, &shape)?;
        let group = channels / self.groups;
        let maps = self.sources.len() / self.kernel;
        let write = |(index, out): (usize, &mut [T])| {
            let (volume, plane) = (index / self.depth, index % self.depth);
            out.fill(T::zero());
            let first = self.readers.partition_point(|&(own, _)| own < plane);
            for &(_, place) in self.readers[first..].iter().take_while(|&&(own, _)| own == plane) {
                let (map, tap) = (volume * maps + place / self.kernel, place % self.kernel);
                let grad = grad[map * positions * wide..][..positions * wide].chunks_exact(wide);
                for (out, grad) in out.chunks_exact_mut(channels).zip(grad) {
                    let grads = grad.chunks_exact(group).skip(tap).step_by(self.kernel);
                    for (out, grad) in out.chunks_exact_mut(group).zip(grads) {
                        out.iter_mut().zip(grad).for_each(|(sum, &g)| *sum += g);
                    }
                }
            }
        };
        match out.len() < PARALLEL {
            true => out.chunks_exact_mut(positions * channels).enumerate().for_each(write),
            false => out.par_chunks_exact_mut(positions * channels).enumerate().for_each(write),
        }
        Ok(out)
    }

    /// The volume that a map belongs to, and where its taps begin in `sources`.
    fn place(&self, map: usize) -> (usize, usize) {
        let maps = self.sources.len() / self.kernel;
        (map / maps, map % maps * self.kernel)
    }
}
