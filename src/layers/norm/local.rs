//! [`LocalResponseNorm`].

use crate::layer::{Layer, Saved, Tape};
use crate::memory::len_of;
use crate::ops::{self, LocalResponse, check_local};
use crate::{Cost, Element, Result, Tensor};

const KIND: &str = "LocalResponseNorm";

/// Local response normalisation across `size` neighbouring channels (Krizhevsky et al., 2012):
/// `y = x / (k + alpha / size * sum of x^2)^beta`, as [`ops::local_response_norm`](crate::ops::local_response_norm).
/// PyTorch's `LocalResponseNorm`, with its defaults.
///
/// | | shape |
/// |---|---|
/// | input, output | `[batch, ..., channels]` |
///
/// # Errors
/// If the size is 0, a number is not finite, or there are no channels.
///
/// ```
/// use ndarray::array;
/// use striate::{Layer, LocalResponseNorm, Tensor};
/// let norm = LocalResponseNorm::new(3).alpha(3.0).beta(1.0);
/// let y = norm.forward(&Tensor::from(array![[1.0, 2.0, 2.0]]))?;
/// assert_eq!(y, Tensor::from(array![[1.0 / 6.0, 2.0 / 10.0, 2.0 / 9.0]]));
/// # Ok::<(), striate::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct LocalResponseNorm(LocalResponse);

impl LocalResponseNorm {
    /// Normalisation across this many channels, with an alpha of 0.0001, a beta of 0.75 and a k of 1.
    ///
    /// ```
    /// use striate::{Layer, LocalResponseNorm};
    /// assert!(Layer::<f32>::output_shape(&LocalResponseNorm::new(5), &[1, 4, 4, 8]).is_ok());
    /// assert!(Layer::<f32>::output_shape(&LocalResponseNorm::new(0), &[1, 4, 4, 8]).is_err());
    /// ```
    pub fn new(size: usize) -> Self {
        LocalResponseNorm(LocalResponse { size, alpha: 1e-4, beta: 0.75, k: 1.0 })
    }

    /// The factor of the mean of squares.
    ///
    /// ```
    /// use striate::{Layer, LocalResponseNorm, Tensor};
    /// let norm = LocalResponseNorm::new(1).alpha(1.0).beta(1.0);
    /// assert_eq!(norm.forward(&Tensor::<f32>::full(&[1, 1], 1.0)?)?.as_slice(), [0.5]);
    /// # Ok::<(), striate::Error>(())
    /// ```
    #[must_use]
    pub fn alpha(mut self, alpha: f64) -> Self {
        self.0.alpha = alpha;
        self
    }

    /// The exponent.
    ///
    /// ```
    /// use striate::{Layer, LocalResponseNorm, Tensor};
    /// let norm = LocalResponseNorm::new(1).alpha(3.0).beta(2.0);
    /// assert_eq!(norm.forward(&Tensor::<f32>::full(&[1, 1], 1.0)?)?.as_slice(), [0.0625]);
    /// # Ok::<(), striate::Error>(())
    /// ```
    #[must_use]
    pub fn beta(mut self, beta: f64) -> Self {
        self.0.beta = beta;
        self
    }

    /// What is added to the mean of squares.
    ///
    /// ```
    /// use striate::{Layer, LocalResponseNorm, Tensor};
    /// let norm = LocalResponseNorm::new(1).alpha(1.0).beta(1.0).k(3.0);
    /// assert_eq!(norm.forward(&Tensor::<f32>::full(&[1, 1], 1.0)?)?.as_slice(), [0.25]);
    /// # Ok::<(), striate::Error>(())
    /// ```
    #[must_use]
    pub fn k(mut self, k: f64) -> Self {
        self.0.k = k;
        self
    }
}

impl<T: Element> Layer<T> for LocalResponseNorm {
    fn kind(&self) -> &'static str {
        KIND
    }

    fn output_shape(&self, input: &[usize]) -> Result<Vec<usize>> {
        check_local(KIND, input, self.0)?;
        Ok(input.to_vec())
    }

    fn forward(&self, x: &Tensor<T>) -> Result<Tensor<T>> {
        let LocalResponse { size, alpha, beta, k } = self.0;
        Ok(ops::local_response_norm(x.view(), size, alpha, beta, k)?.into())
    }

    fn forward_train(&mut self, x: Tensor<T>, tape: &mut Tape<T>) -> Result<Tensor<T>> {
        let y = self.forward(&x)?;
        tape.push(KIND, Saved::Tensor(x));
        Ok(y)
    }

    fn backward(&mut self, grad: Tensor<T>, tape: &mut Tape<T>) -> Result<Tensor<T>> {
        let x = tape.pop_tensor(KIND)?;
        let LocalResponse { size, alpha, beta, k } = self.0;
        Ok(ops::local_response_norm_backward(grad.view(), x.view(), size, alpha, beta, k)?.into())
    }

    fn cost(&self, input: &[usize]) -> Result<Cost> {
        check_local(KIND, input, self.0)?;
        let elements = len_of(KIND, input)?;
        Ok(Cost {
            saved_bytes: elements * size_of::<T>(),
            multiplications: 2 * elements as u64,
            ..Cost::default()
        })
    }
}
