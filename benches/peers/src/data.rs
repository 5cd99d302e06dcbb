//! The numbers that all engines compute with: each is a function of its place in a channels-last array, so that
//! the Python side can make the same ones.

use striate::Tensor;

use crate::Result;

/// What a layer is fed with, and its weights.
#[derive(Clone, Copy)]
pub enum Role {
    Input,
    Kernel,
    Bias,
    /// Of an output, in training.
    Gradient,
    /// Of a network, which has so many before it.
    Parameter(usize),
}

impl Role {
    /// Which sequence of numbers it takes.
    fn sequence(self) -> u32 {
        match self {
            Role::Input => 1,
            Role::Kernel => 2,
            Role::Bias => 3,
            Role::Gradient => 4,
            Role::Parameter(index) => 10 + index as u32,
        }
    }
}

/// An array of numbers between -0.5 and 0.5.
pub fn tensor(role: Role, shape: &[usize]) -> Result<Tensor> {
    let mut place = role.sequence().wrapping_mul(0x9e37_79b9);
    // What the tensor itself has allocated begins with a cache line, as a layer's output does.
    Ok(Tensor::zeros(shape)?.map(|_| {
        let number = number(place);
        place = place.wrapping_add(1);
        number
    }))
}

/// Mixes the bits of `i` (the finaliser of MurmurHash3).
fn number(mut i: u32) -> f32 {
    i = (i ^ (i >> 16)).wrapping_mul(0x85eb_ca6b);
    i = (i ^ (i >> 13)).wrapping_mul(0xc2b2_ae35);
    i ^= i >> 16;
    (i >> 8) as f32 / (1 << 24) as f32 - 0.5
}

/// `[batch, channels, height, width]` of an input.
pub fn channels_first(x: &Tensor) -> Result<Vec<f32>> {
    Ok(x.view4()?.permuted_axes([0, 3, 1, 2]).iter().copied().collect())
}

/// `[filters, channels, kh, kw]` of a kernel.
pub fn filters_first(kernel: &Tensor) -> Result<Vec<f32>> {
    Ok(kernel.view4()?.permuted_axes([3, 2, 0, 1]).iter().copied().collect())
}

/// The same whatever the order of the axes: engines that disagree in it do not compute the same.
pub fn mean_square(numbers: &[f32]) -> f64 {
    numbers.iter().map(|&y| f64::from(y) * f64::from(y)).sum::<f64>() / numbers.len() as f64
}
