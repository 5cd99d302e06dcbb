//! [`Param`]: a weight and its gradient.

use crate::ops::each_with;
use crate::{Element, Error, Result, Tensor};

/// A weight of a layer, and the gradient that has been added up for it.
///
/// ```
/// use striate::{Param, Tensor};
/// let mut kernel = Param::new(Tensor::<f32>::full(&[2], 1.0)?);
/// kernel.add_grad(Tensor::full(&[2], 0.5)?)?;
/// kernel.add_grad(Tensor::full(&[2], 0.5)?)?;
/// assert_eq!(kernel.grad().unwrap().as_slice(), [1.0, 1.0]);
/// # Ok::<(), striate::Error>(())
/// ```
#[derive(Debug)]
pub struct Param<T: Element = f32> {
    value: Tensor<T>,
    grad: Option<Tensor<T>>,
    /// The last gradient that was cleared: its memory is the next one's.
    cleared: Option<Tensor<T>>,
    trainable: bool,
    is_state: bool,
}

impl<T: Element> Param<T> {
    /// A weight that training changes.
    ///
    /// ```
    /// use striate::{Param, Tensor};
    /// assert!(Param::new(Tensor::<f32>::zeros(&[2])?).is_trainable());
    /// # Ok::<(), striate::Error>(())
    /// ```
    pub fn new(value: Tensor<T>) -> Self {
        Param { value, grad: None, cleared: None, trainable: true, is_state: false }
    }

    /// A weight that optimizers leave alone until it is set to be trained: a part of a model that is frozen.
    ///
    /// ```
    /// use striate::{Param, Tensor};
    /// assert!(!Param::frozen(Tensor::<f32>::zeros(&[2])?).is_trainable());
    /// # Ok::<(), striate::Error>(())
    /// ```
    pub fn frozen(value: Tensor<T>) -> Self {
        Param { trainable: false, ..Self::new(value) }
    }

    /// A state of a layer, such as the moving mean of [`BatchNorm`](crate::BatchNorm): the layer changes it, optimizers
    /// never do, and it is saved and loaded with the weights.
    ///
    /// ```
    /// use striate::{Param, Tensor};
    /// let mut mean = Param::state(Tensor::<f32>::zeros(&[2])?);
    /// mean.set_trainable(true);
    /// assert!(mean.is_state() && !mean.is_trainable());
    /// # Ok::<(), striate::Error>(())
    /// ```
    pub fn state(value: Tensor<T>) -> Self {
        Param { is_state: true, ..Self::frozen(value) }
    }

    /// Whether it is a [`state`](Self::state), and no weight.
    ///
    /// ```
    /// use striate::{Param, Tensor};
    /// assert!(!Param::frozen(Tensor::<f32>::zeros(&[2])?).is_state());
    /// # Ok::<(), striate::Error>(())
    /// ```
    pub fn is_state(&self) -> bool {
        self.is_state
    }

    /// Whether optimizers change it.
    ///
    /// ```
    /// use striate::{Param, Tensor};
    /// let mut bias = Param::new(Tensor::<f32>::zeros(&[2])?);
    /// bias.set_trainable(false);
    /// assert!(!bias.is_trainable());
    /// # Ok::<(), striate::Error>(())
    /// ```
    pub fn is_trainable(&self) -> bool {
        self.trainable
    }

    /// Lets optimizers change it, or not; a state never becomes trainable.
    ///
    /// ```
    /// use striate::{Param, Tensor};
    /// let mut kernel = Param::frozen(Tensor::<f32>::zeros(&[2])?);
    /// kernel.set_trainable(true);
    /// assert!(kernel.is_trainable());
    /// # Ok::<(), striate::Error>(())
    /// ```
    pub fn set_trainable(&mut self, trainable: bool) {
        self.trainable = trainable && !self.is_state;
    }

    /// The weight itself.
    ///
    /// ```
    /// use striate::{Param, Tensor};
    /// assert_eq!(Param::new(Tensor::<f32>::zeros(&[2])?).value().shape(), [2]);
    /// # Ok::<(), striate::Error>(())
    /// ```
    pub fn value(&self) -> &Tensor<T> {
        &self.value
    }

    /// Replaces the weight.
    ///
    /// # Errors
    /// [`ErrorKind::Shape`](crate::ErrorKind::Shape) if `value` has another shape.
    ///
    /// ```
    /// use striate::{Param, Tensor};
    /// let mut bias = Param::new(Tensor::<f32>::zeros(&[2])?);
    /// bias.set_value(Tensor::full(&[2], 1.0)?)?;
    /// assert!(bias.set_value(Tensor::full(&[3], 1.0)?).is_err());
    /// # Ok::<(), striate::Error>(())
    /// ```
    pub fn set_value(&mut self, value: Tensor<T>) -> Result<()> {
        self.check_shape("set_value", &value)?;
        self.value = value;
        Ok(())
    }

    /// The gradient added up since the last [`clear_grad`](Self::clear_grad), of the same shape as the value;
    /// `None` if there is none yet.
    ///
    /// ```
    /// use striate::{Param, Tensor};
    /// assert!(Param::new(Tensor::<f32>::zeros(&[2])?).grad().is_none());
    /// # Ok::<(), striate::Error>(())
    /// ```
    pub fn grad(&self) -> Option<&Tensor<T>> {
        self.grad.as_ref()
    }

    /// Adds to the gradient.
    ///
    /// # Errors
    /// [`ErrorKind::Shape`](crate::ErrorKind::Shape) if `grad` has another shape than the value.
    ///
    /// ```
    /// use striate::{Param, Tensor};
    /// let mut bias = Param::new(Tensor::<f32>::zeros(&[2])?);
    /// assert!(bias.add_grad(Tensor::zeros(&[1])?).is_err());
    /// # Ok::<(), striate::Error>(())
    /// ```
    pub fn add_grad(&mut self, grad: Tensor<T>) -> Result<()> {
        self.check_shape("add_grad", &grad)?;
        match &mut self.grad {
            None => self.grad = Some(grad),
            Some(sum) => each_with(sum.as_mut_slice(), grad.as_slice(), |sum, g| sum + g),
        }
        Ok(())
    }

    /// Forgets the gradient. Its memory stays for the next one.
    ///
    /// ```
    /// use striate::{Param, Tensor};
    /// let mut bias = Param::new(Tensor::<f32>::zeros(&[2])?);
    /// bias.add_grad(Tensor::zeros(&[2])?)?;
    /// bias.clear_grad();
    /// assert!(bias.grad().is_none());
    /// # Ok::<(), striate::Error>(())
    /// ```
    pub fn clear_grad(&mut self) {
        self.cleared = self.grad.take().or(self.cleared.take());
    }

    /// Leaves the memory of a gradient that was cleared to the next result on this thread.
    pub(crate) fn release_cleared(&mut self) {
        self.cleared = None;
    }

    /// The weight's elements to write to, with the gradient's beside them: what an optimizer works on. `None` if
    /// there is no gradient.
    ///
    /// ```
    /// use striate::{Param, Tensor};
    /// let mut weight = Param::new(Tensor::<f32>::full(&[1], 1.0)?);
    /// weight.add_grad(Tensor::full(&[1], 4.0)?)?;
    /// if let Some((value, grad)) = weight.value_and_grad() {
    ///     value[0] -= 0.125 * grad[0];
    /// }
    /// assert_eq!(weight.value().as_slice(), [0.5]);
    /// # Ok::<(), striate::Error>(())
    /// ```
    pub fn value_and_grad(&mut self) -> Option<(&mut [T], &mut [T])> {
        let grad = self.grad.as_mut()?;
        Some((self.value.as_mut_slice(), grad.as_mut_slice()))
    }

    fn check_shape(&self, operation: &'static str, other: &Tensor<T>) -> Result<()> {
        if other.shape() == self.value.shape() {
            return Ok(());
        }
        Err(Error::shape(
            operation,
            format_args!("the weight's shape {:?}", self.value.shape()),
            other.shape(),
        ))
    }
}

impl<T: Element> Clone for Param<T> {
    fn clone(&self) -> Self {
        Param { value: self.value.clone(), grad: self.grad.clone(), cleared: None, ..*self }
    }
}
