//! [`Clip`]: gradients kept from growing too large.

use num_traits::clamp;
use rayon::prelude::*;

use crate::{Element, Error, Name, Param, Result};

/// A bound on the gradients, applied before the optimizer sees them: of the parameters that are trained and have one.
///
/// Norms are Euclidean. Scaling by the global norm keeps the direction of the step and is the usual choice
/// (Pascanu et al. 2013, "On the Difficulty of Training Recurrent Neural Networks").
///
/// ```
/// use striate::{Name, Param, Tensor, train::Clip};
/// let mut weight = Param::new(Tensor::<f64>::zeros(&[2])?);
/// weight.add_grad(Tensor::from(ndarray::array![3.0, 4.0]))?;
/// Clip::GlobalNorm(1.0).apply(&mut [(Name::from("weight"), &mut weight)])?;
/// approx::assert_relative_eq!(*weight.grad().unwrap(), Tensor::from(ndarray::array![0.6, 0.8]));
/// # Ok::<(), striate::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Clip {
    /// Every element is moved into `-bound ..= bound`: Keras' `clipvalue`.
    Value(f64),
    /// The gradient of every parameter is scaled down to a norm of at most the bound: Keras' `clipnorm`.
    Norm(f64),
    /// All gradients are scaled down together, to a norm over all of them of at most the bound: Keras'
    /// `global_clipnorm`, PyTorch's `clip_grad_norm_`.
    GlobalNorm(f64),
}

impl Clip {
    /// Bounds the gradients of `params`.
    ///
    /// # Errors
    /// [`ErrorKind::Argument`](crate::ErrorKind::Argument) if the bound is not a finite number above 0;
    /// [`ErrorKind::Value`](crate::ErrorKind::Value) if a norm is not finite: such a gradient has no direction.
    ///
    /// ```
    /// use striate::{Param, Tensor, train::Clip};
    /// let mut weight = Param::new(Tensor::<f64>::zeros(&[2])?);
    /// weight.add_grad(Tensor::from(ndarray::array![3.0, -0.25]))?;
    /// Clip::Value(0.5).apply(&mut [("weight".into(), &mut weight)])?;
    /// assert_eq!(weight.grad().unwrap().as_slice(), [0.5, -0.25]);
    /// # Ok::<(), striate::Error>(())
    /// ```
    pub fn apply<T: Element>(self, params: &mut [(Name, &mut Param<T>)]) -> Result<()> {
        let bound = self.bound()?;
        let mut gradients: Vec<&mut [T]> = (params.iter_mut())
            .filter(|(_, param)| param.is_trainable())
            .filter_map(|(_, param)| param.value_and_grad().map(|(_, grad)| grad))
            .collect();
        match self {
            Clip::Value(_) => {
                let bound = T::of(bound);
                gradients
                    .iter_mut()
                    .flat_map(|grad| grad.iter_mut())
                    .for_each(|g| *g = clamp(*g, -bound, bound));
            }
            Clip::Norm(_) => {
                for grad in &mut gradients {
                    shrink(std::slice::from_mut(grad), bound)?;
                }
            }
            Clip::GlobalNorm(_) => shrink(&mut gradients, bound)?,
        }
        Ok(())
    }

    /// The bound, checked.
    pub(super) fn bound(self) -> Result<f64> {
        let (Clip::Value(bound) | Clip::Norm(bound) | Clip::GlobalNorm(bound)) = self;
        if bound.is_finite() && bound > 0.0 {
            return Ok(bound);
        }
        Err(Error::argument("Clip", "a finite bound above 0", bound))
    }
}

/// Scales gradients down to a common norm of at most `bound`.
fn shrink<T: Element>(gradients: &mut [&mut [T]], bound: f64) -> Result<()> {
    let norm = gradients.iter().map(|grad| sum_of_squares(grad)).sum::<f64>().sqrt();
    if !norm.is_finite() {
        return Err(Error::value("Clip", "gradients of finite norm", norm));
    }
    if norm > bound {
        let factor = T::of(bound / norm);
        gradients.iter_mut().flat_map(|grad| grad.iter_mut()).for_each(|g| *g *= factor);
    }
    Ok(())
}

/// In double precision, by blocks of fixed size, so that the number of threads changes nothing.
pub(super) fn sum_of_squares<T: Element>(values: &[T]) -> f64 {
    const BLOCK: usize = 1 << 14;
    let block = |block: &[T]| block.iter().map(|v| v.to_double() * v.to_double()).sum::<f64>();
    if values.len() <= BLOCK {
        return block(values);
    }
    let blocks: Vec<f64> = values.par_chunks(BLOCK).map(block).collect();
    blocks.iter().sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ErrorKind, Tensor};

    fn clipped(clip: Clip, gradients: &[&[f64]]) -> Result<Vec<Vec<f64>>> {
        let mut params: Vec<Param<f64>> = Vec::new();
        for grad in gradients {
            let mut param = Param::new(Tensor::zeros(&[grad.len()])?);
            param.add_grad(Tensor::from_vec(&[grad.len()], grad.to_vec())?)?;
            params.push(param);
        }
        let mut named: Vec<_> = params.iter_mut().map(|param| (Name::from("w"), param)).collect();
        clip.apply(&mut named)?;
        Ok(params.iter().map(|param| param.grad().unwrap().as_slice().to_vec()).collect())
    }

    #[test]
    fn three_ways_to_clip() {
        let gradients: &[&[f64]] = &[&[3.0, -4.0], &[0.0, 12.0]];
        assert_eq!(clipped(Clip::Value(3.5), gradients).unwrap(), [[3.0, -3.5], [0.0, 3.5]]);
        assert_eq!(clipped(Clip::Norm(10.0), gradients).unwrap(), [[3.0, -4.0], [0.0, 10.0]]);
        assert_eq!(clipped(Clip::GlobalNorm(6.5), gradients).unwrap(), [[1.5, -2.0], [0.0, 6.0]]);
        assert_eq!(clipped(Clip::GlobalNorm(13.0), gradients).unwrap(), [[3.0, -4.0], [0.0, 12.0]]);
    }

    #[test]
    fn gradients_that_are_not_trained_do_not_count() {
        let mut frozen = Param::frozen(Tensor::<f64>::zeros(&[1]).unwrap());
        frozen.add_grad(Tensor::full(&[1], 100.0).unwrap()).unwrap();
        let mut idle = Param::new(Tensor::<f64>::zeros(&[1]).unwrap());
        let mut trained = Param::new(Tensor::<f64>::zeros(&[1]).unwrap());
        trained.add_grad(Tensor::full(&[1], 0.5).unwrap()).unwrap();
        let params = [&mut frozen, &mut idle, &mut trained];
        let mut named: Vec<_> = params.into_iter().map(|param| (Name::from("w"), param)).collect();
        Clip::GlobalNorm(1.0).apply(&mut named).unwrap();
        assert_eq!(trained.grad().unwrap().as_slice(), [0.5]);
        assert_eq!(frozen.grad().unwrap().as_slice(), [100.0]);
    }

    #[test]
    fn mistakes_are_errors() {
        for bound in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            for clip in [Clip::Value(bound), Clip::Norm(bound), Clip::GlobalNorm(bound)] {
                assert_eq!(clipped(clip, &[&[1.0]]).unwrap_err().kind(), ErrorKind::Argument);
            }
        }
        assert!(clipped(Clip::Value(1.0), &[&[f64::NAN]]).unwrap()[0][0].is_nan());
        for clip in [Clip::Norm(1.0), Clip::GlobalNorm(1.0)] {
            assert_eq!(clipped(clip, &[&[f64::NAN]]).unwrap_err().kind(), ErrorKind::Value);
        }
    }

    #[test]
    fn sums_do_not_depend_on_the_number_of_threads() {
        let values: Vec<f32> = (0..100_000).map(|i| (i as f32).sin()).collect();
        let run = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| sum_of_squares(&values))
        };
        assert_eq!(run(1).to_bits(), run(2).to_bits());
        approx::assert_relative_eq!(run(1), 5e4, max_relative = 1e-3);
    }
}
