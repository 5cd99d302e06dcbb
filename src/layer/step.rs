//! [`Step`]: what one layer can take over from the next.

use crate::Activation;

/// What a layer does at inference, where the layer before it can do that as well: see
/// [`Layer::for_inference`](crate::Layer::for_inference).
///
/// ```
/// use striate::{Activation, BatchNorm, Layer, Rng, Step};
/// let mut norm: BatchNorm<f64> = BatchNorm::new().epsilon(0.0);
/// norm.build(&[1, 2], &mut Rng::seed(1))?;
/// assert_eq!(norm.step()?, Some(Step::Affine { scale: vec![1.0; 2], shift: vec![0.0; 2] }));
/// assert_eq!(Layer::<f32>::step(&Activation::Relu)?, Some(Step::Activation(Activation::Relu)));
/// # Ok::<(), striate::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// This function. [`Activation::Linear`] is nothing at all.
    Activation(Activation),
    /// `y = scale * x + shift`, with one number of each for every channel.
    Affine {
        /// The factors.
        scale: Vec<f64>,
        /// The summands.
        shift: Vec<f64>,
    },
}

impl Step {
    /// What a layer does that does nothing.
    pub(crate) const NOTHING: Step = Step::Activation(Activation::Linear);
}
