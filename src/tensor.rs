//! [`Tensor`]: an n-dimensional array in row-major order that clones cheaply.

use std::fmt;
use std::ops::Range;

use approx::{AbsDiffEq, RelativeEq, UlpsEq};
use ndarray::{
    ArcArray, Array, ArrayD, ArrayView, ArrayViewD, ArrayViewMut, ArrayViewMutD, Axis, Dimension, Ix1, Ix2,
    Ix3, Ix4, Ix5, IxDyn,
};

use crate::kernels::{Buffer, recycle};
use crate::memory::{array_of, len_of, unwritten};
use crate::{Element, Error, ErrorKind, Result};

/// An n-dimensional array of `f32` or `f64`, backed by [`ndarray`].
///
/// The one invariant is the *standard layout*: elements lie in memory in row-major order without gaps, so that a
/// tensor can always be seen as a slice. Cloning is cheap (the memory is shared); writing to a tensor whose
/// memory is shared copies it first.
///
/// Images are *channels-last*, as in Keras: `[batch, height, width, channels]`.
///
/// ```
/// use ndarray::{array, Array4};
/// use striate::Tensor;
///
/// let images = Tensor::from(Array4::<f32>::zeros((8, 28, 28, 1)));    // moves: nothing is copied
/// assert_eq!(images.shape(), [8, 28, 28, 1]);
///
/// let flat = images.reshape(&[8, 784])?;                              // shares: nothing is copied
/// assert_eq!(flat.view2()?.nrows(), 8);
///
/// let matrix = Tensor::from(array![[1.0, 2.0], [3.0, 4.0]]);
/// assert_eq!(matrix.into_array(), array![[1.0, 2.0], [3.0, 4.0]].into_dyn());
/// # Ok::<(), striate::Error>(())
/// ```
#[derive(Clone, PartialEq)]
pub struct Tensor<T: Element = f32>(ArcArray<T, IxDyn>);

impl<T: Element> Tensor<T> {
    /// A tensor of zeros.
    ///
    /// # Errors
    /// [`ErrorKind::Size`] if that many elements do not fit in memory.
    ///
    /// ```
    /// use striate::Tensor;
    /// assert_eq!(Tensor::<f32>::zeros(&[2, 3])?.as_slice(), [0.0; 6]);
    /// assert!(Tensor::<f32>::zeros(&[usize::MAX, 2]).is_err());
    /// # Ok::<(), striate::Error>(())
    /// ```
    pub fn zeros(shape: &[usize]) -> Result<Self> {
        Self::full(shape, T::zero())
    }

    /// A tensor whose elements all equal `value`.
    ///
    /// # Errors
    /// [`ErrorKind::Size`] if that many elements do not fit in memory.
    ///
    /// ```
    /// use striate::Tensor;
    /// assert_eq!(Tensor::full(&[3], 0.5)?.as_slice(), [0.5; 3]);
    /// # Ok::<(), striate::Error>(())
    /// ```
    pub fn full(shape: &[usize], value: T) -> Result<Self> {
        let mut elements = unwritten("tensor", shape)?;
        elements.fill(value);
        Self::from_buffer(shape, elements)
    }

    /// A tensor that takes over `elements`, in row-major order.
    ///
    /// # Errors
    /// [`ErrorKind::Shape`] if the shape holds another number of elements.
    ///
    /// ```
    /// use striate::Tensor;
    /// let x = Tensor::from_vec(&[2, 2], vec![1.0, 2.0, 3.0, 4.0])?;
    /// assert_eq!(x.view2()?[[1, 0]], 3.0);
    /// assert!(Tensor::from_vec(&[2, 3], vec![1.0; 5]).is_err());
    /// # Ok::<(), striate::Error>(())
    /// ```
    pub fn from_vec(shape: &[usize], elements: Vec<T>) -> Result<Self> {
        let (wanted, got) = (len_of("from_vec", shape)?, elements.len());
        if wanted != got {
            let expected = format!("{wanted} elements for the shape {shape:?}");
            return Err(Error::new(ErrorKind::Shape, "from_vec", expected, format_args!("{got} elements")));
        }
        let array = ArcArray::from_shape_vec(IxDyn(shape), elements);
        array.map(Tensor).map_err(|e| Error::shape("from_vec", e, shape))
    }

    /// A tensor of these elements.
    pub(crate) fn from_buffer(shape: &[usize], elements: Buffer<T>) -> Result<Self> {
        let array = array_of(IxDyn(shape), elements).map_err(|e| Error::shape("from_buffer", e, shape))?;
        Ok(Tensor(array.into_shared()))
    }

    /// The same elements in memory of its own, which begins with a cache line.
    pub(crate) fn copied(&self) -> Self {
        let mut elements = Buffer::unwritten(self.len());
        elements.copy_from_slice(self.as_slice());
        Self::of_elements(self.shape(), elements)
    }

    /// A tensor of these elements, of which there are as many as the shape has.
    fn of_elements(shape: &[usize], elements: Buffer<T>) -> Self {
        // That makes it infallible; an empty tensor would only stand for a broken invariant.
        Self::from_buffer(shape, elements).unwrap_or_default()
    }

    /// Becomes a tensor of this shape that holds anything, in its own memory if that fits; lends all of it to be written.
    pub(crate) fn unwritten(&mut self, operation: &'static str, shape: &[usize]) -> Result<&mut [T]> {
        if self.shape() != shape {
            // What it held goes first: the new one may take its memory.
            drop(std::mem::take(self));
            *self = Self::from_buffer(shape, unwritten(operation, shape)?)?;
        }
        Ok(self.as_mut_slice())
    }

    /// The length of every axis.
    ///
    /// ```
    /// assert_eq!(striate::Tensor::<f32>::zeros(&[1, 4, 4, 3])?.shape(), [1, 4, 4, 3]);
    /// # Ok::<(), striate::Error>(())
    /// ```
    pub fn shape(&self) -> &[usize] {
        self.0.shape()
    }

    /// The number of axes.
    ///
    /// ```
    /// assert_eq!(striate::Tensor::<f32>::zeros(&[1, 4, 4, 3])?.ndim(), 4);
    /// # Ok::<(), striate::Error>(())
    /// ```
    pub fn ndim(&self) -> usize {
        self.0.ndim()
    }

    /// The number of elements.
    ///
    /// ```
    /// assert_eq!(striate::Tensor::<f32>::zeros(&[1, 4, 4, 3])?.len(), 48);
    /// # Ok::<(), striate::Error>(())
    /// ```
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is no element at all.
    ///
    /// ```
    /// assert!(striate::Tensor::<f32>::zeros(&[0, 4])?.is_empty());
    /// # Ok::<(), striate::Error>(())
    /// ```
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The elements in row-major order.
    ///
    /// ```
    /// let x = striate::Tensor::from(ndarray::array![[1.0, 2.0], [3.0, 4.0]]);
    /// assert_eq!(x.as_slice(), [1.0, 2.0, 3.0, 4.0]);
    /// ```
    pub fn as_slice(&self) -> &[T] {
        // The standard layout makes this infallible; an empty slice would only stand for a broken invariant.
        self.0.as_slice().unwrap_or_default()
    }

    /// The elements in row-major order, to write to. Copies them first if their memory is shared.
    ///
    /// ```
    /// let mut x = striate::Tensor::<f32>::zeros(&[2])?;
    /// let before = x.clone();
    /// x.as_mut_slice()[0] = 1.0;
    /// assert_eq!((x.as_slice(), before.as_slice()), (&[1.0, 0.0][..], &[0.0, 0.0][..]));
    /// # Ok::<(), striate::Error>(())
    /// ```
    pub fn as_mut_slice(&mut self) -> &mut [T] {
        self.0.as_slice_mut().unwrap_or_default()
    }

    /// The elements in row-major order, moved out without asking for memory if theirs is not shared.
    ///
    /// ```
    /// assert_eq!(striate::Tensor::full(&[1, 2], 3.0)?.into_vec(), [3.0, 3.0]);
    /// # Ok::<(), striate::Error>(())
    /// ```
    pub fn into_vec(mut self) -> Vec<T> {
        let len = self.len();
        let (mut elements, offset) = std::mem::take(&mut self.0).into_owned().into_raw_vec_and_offset();
        elements.drain(..offset.unwrap_or(0));
        elements.truncate(len);
        elements
    }

    /// An ndarray view.
    ///
    /// ```
    /// let x = striate::Tensor::<f32>::full(&[2, 2], 1.5)?;
    /// assert_eq!(x.view().sum(), 6.0);
    /// # Ok::<(), striate::Error>(())
    /// ```
    pub fn view(&self) -> ArrayViewD<'_, T> {
        self.0.view()
    }

    /// An ndarray view to write through. Copies the elements first if their memory is shared.
    ///
    /// ```
    /// let mut x = striate::Tensor::<f32>::zeros(&[2, 2])?;
    /// x.view_mut()[[0, 1]] = 1.0;
    /// assert_eq!(x.as_slice(), [0.0, 1.0, 0.0, 0.0]);
    /// # Ok::<(), striate::Error>(())
    /// ```
    pub fn view_mut(&mut self) -> ArrayViewMutD<'_, T> {
        self.0.view_mut()
    }

    /// A view of one axis.
    ///
    /// # Errors
    /// [`ErrorKind::Shape`] if the tensor has another number of axes.
    ///
    /// ```
    /// assert_eq!(striate::Tensor::<f32>::zeros(&[3])?.view1()?.len(), 3);
    /// # Ok::<(), striate::Error>(())
    /// ```
    pub fn view1(&self) -> Result<ArrayView<'_, T, Ix1>> {
        self.view_as("view1")
    }

    /// A view of two axes.
    ///
    /// # Errors
    /// [`ErrorKind::Shape`] if the tensor has another number of axes.
    ///
    /// ```
    /// assert_eq!(striate::Tensor::<f32>::zeros(&[3, 2])?.view2()?.dim(), (3, 2));
    /// # Ok::<(), striate::Error>(())
    /// ```
    pub fn view2(&self) -> Result<ArrayView<'_, T, Ix2>> {
        self.view_as("view2")
    }

    /// A view of three axes.
    ///
    /// # Errors
    /// [`ErrorKind::Shape`] if the tensor has another number of axes.
    ///
    /// ```
    /// assert_eq!(striate::Tensor::<f32>::zeros(&[3, 2, 1])?.view3()?.dim(), (3, 2, 1));
    /// # Ok::<(), striate::Error>(())
    /// ```
    pub fn view3(&self) -> Result<ArrayView<'_, T, Ix3>> {
        self.view_as("view3")
    }

    /// A view of four axes.
    ///
    /// # Errors
    /// [`ErrorKind::Shape`] if the tensor has another number of axes.
    ///
    /// ```
    /// let x = striate::Tensor::<f32>::zeros(&[1, 4, 4, 3])?;
    /// assert_eq!(x.view4()?.dim(), (1, 4, 4, 3));
    /// assert_eq!(x.view2().unwrap_err().to_string(), "view2: expected 2 axes, got [1, 4, 4, 3]");
    /// # Ok::<(), striate::Error>(())
    /// ```
    pub fn view4(&self) -> Result<ArrayView<'_, T, Ix4>> {
        self.view_as("view4")
    }

    /// A view of five axes.
    ///
    /// # Errors
    /// [`ErrorKind::Shape`] if the tensor has another number of axes.
    ///
    /// ```
    /// let volumes = striate::Tensor::<f32>::zeros(&[1, 8, 4, 4, 3])?;
    /// assert_eq!(volumes.view5()?.dim(), (1, 8, 4, 4, 3));
    /// # Ok::<(), striate::Error>(())
    /// ```
    pub fn view5(&self) -> Result<ArrayView<'_, T, Ix5>> {
        self.view_as("view5")
    }

    fn view_as<D: Dimension>(&self, operation: &'static str) -> Result<ArrayView<'_, T, D>> {
        self.view().into_dimensionality().map_err(|_| {
            Error::shape(operation, format_args!("{} axes", D::NDIM.unwrap_or_default()), self.shape())
        })
    }

    /// The array inside, moved out without copying if its memory is not shared.
    ///
    /// ```
    /// use ndarray::array;
    /// assert_eq!(striate::Tensor::from(array![1.0, 2.0]).into_array(), array![1.0, 2.0].into_dyn());
    /// ```
    pub fn into_array(mut self) -> ArrayD<T> {
        std::mem::take(&mut self.0).into_owned()
    }

    /// The same elements, in the same order, in another shape. Shares the memory.
    ///
    /// # Errors
    /// [`ErrorKind::Shape`] if the shape holds another number of elements.
    ///
    /// ```
    /// let x = striate::Tensor::<f32>::zeros(&[2, 6])?.reshape(&[3, 4])?;
    /// assert_eq!(x.shape(), [3, 4]);
    /// # Ok::<(), striate::Error>(())
    /// ```
    pub fn reshape(&self, shape: &[usize]) -> Result<Self> {
        if len_of("reshape", shape)? != self.len() {
            return Err(Error::shape("reshape", format_args!("a shape of {} elements", self.len()), shape));
        }
        let array = self.0.clone().into_shape_with_order(IxDyn(shape));
        array.map(Tensor).map_err(|e| Error::shape("reshape", e, shape))
    }

    /// Some entries of the first axis (for a batch: some samples), sharing the memory.
    ///
    /// # Errors
    /// [`ErrorKind::Shape`] if the tensor has no axis or the range reaches beyond the first.
    ///
    /// ```
    /// let x = striate::Tensor::from(ndarray::array![[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]);
    /// assert_eq!(x.rows(1..3)?.as_slice(), [3.0, 4.0, 5.0, 6.0]);
    /// assert!(x.rows(1..4).is_err());
    /// # Ok::<(), striate::Error>(())
    /// ```
    pub fn rows(&self, range: Range<usize>) -> Result<Self> {
        let available = self.shape().first().copied().unwrap_or(0);
        if self.ndim() == 0 || range.start > range.end || range.end > available {
            let expected = format!("a range within the first axis of {:?}", self.shape());
            return Err(Error::new(ErrorKind::Shape, "rows", expected, format_args!("{range:?}")));
        }
        let mut array = self.0.clone();
        array.slice_each_axis_inplace(|axis| match axis.axis {
            Axis(0) => (range.start..range.end).into(),
            _ => (..).into(),
        });
        Ok(Tensor(array))
    }

    /// The chosen entries of the first axis, in the given order, copied.
    ///
    /// # Errors
    /// [`ErrorKind::Shape`] if the tensor has no axis or an index reaches beyond the first.
    ///
    /// ```
    /// let x = striate::Tensor::from(ndarray::array![[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]);
    /// assert_eq!(x.gather(&[2, 0])?.as_slice(), [5.0, 6.0, 1.0, 2.0]);
    /// # Ok::<(), striate::Error>(())
    /// ```
    pub fn gather(&self, indices: &[usize]) -> Result<Self> {
        let (&available, rest) = (self.shape().split_first())
            .ok_or_else(|| Error::shape("gather", "at least one axis", self.shape()))?;
        let shape: Vec<usize> = std::iter::once(indices.len()).chain(rest.iter().copied()).collect();
        let row = self.len() / available.max(1);
        if let Some(index) = indices.iter().find(|&&index| index >= available) {
            let expected = format!("indices below {available}");
            return Err(Error::new(ErrorKind::Shape, "gather", expected, index));
        }
        let mut elements = unwritten("gather", &shape)?;
        for (to, index) in elements.chunks_exact_mut(row.max(1)).zip(indices) {
            to.copy_from_slice(&self.as_slice()[index * row..][..row]);
        }
        Self::from_buffer(&shape, elements)
    }

    /// A tensor of `f(x)` for every element `x`.
    ///
    /// ```
    /// let x = striate::Tensor::from(ndarray::array![0.0, 255.0]).map(|v| v / 255.0);
    /// assert_eq!(x.as_slice(), [0.0, 1.0]);
    /// ```
    pub fn map(&self, mut f: impl FnMut(T) -> T) -> Self {
        self.each_to(|&x| f(x))
    }

    /// `f` of every element.
    fn each_to<U: Element>(&self, f: impl FnMut(&T) -> U) -> Tensor<U> {
        let mut elements = Buffer::unwritten(self.len());
        elements.iter_mut().zip(self.as_slice().iter().map(f)).for_each(|(to, x)| *to = x);
        Tensor::of_elements(self.shape(), elements)
    }

    /// The elements in the other precision.
    ///
    /// ```
    /// let x: striate::Tensor<f64> = striate::Tensor::from(ndarray::array![0.5_f32]).cast();
    /// assert_eq!(x.as_slice(), [0.5_f64]);
    /// ```
    pub fn cast<U: Element>(&self) -> Tensor<U> {
        self.each_to(|x| U::of(x.to_double()))
    }

    /// PyTorch's and ONNX' order of axes, `[batch, channels, spatial...]`, to this crate's `[batch, spatial..., channels]`.
    ///
    /// # Errors
    /// [`ErrorKind::Shape`] if there are fewer than two axes.
    ///
    /// ```
    /// let x = striate::Tensor::<f32>::zeros(&[1, 3, 5, 4])?;
    /// assert_eq!(x.to_channels_last()?.shape(), [1, 5, 4, 3]);
    /// # Ok::<(), striate::Error>(())
    /// ```
    pub fn to_channels_last(&self) -> Result<Self> {
        self.move_axis("to_channels_last", |ndim| (1, ndim - 1))
    }

    /// This crate's order of axes, `[batch, spatial..., channels]`, to PyTorch's and ONNX' `[batch, channels, spatial...]`.
    ///
    /// # Errors
    /// [`ErrorKind::Shape`] if there are fewer than two axes.
    ///
    /// ```
    /// let x = striate::Tensor::<f32>::zeros(&[1, 5, 4, 3])?;
    /// assert_eq!(x.to_channels_first()?.shape(), [1, 3, 5, 4]);
    /// # Ok::<(), striate::Error>(())
    /// ```
    pub fn to_channels_first(&self) -> Result<Self> {
        self.move_axis("to_channels_first", |ndim| (ndim - 1, 1))
    }

    fn move_axis(&self, operation: &'static str, ends: impl Fn(usize) -> (usize, usize)) -> Result<Self> {
        if self.ndim() < 2 {
            return Err(Error::shape(operation, "2 axes or more: batch and channels", self.shape()));
        }
        let (from, to) = ends(self.ndim());
        let mut order: Vec<usize> = (0..self.ndim()).collect();
        let axis = order.remove(from);
        order.insert(to, axis);
        Ok(self.view().permuted_axes(IxDyn(&order)).into())
    }
}

impl<T: Element> Default for Tensor<T> {
    /// No elements, on one axis of length 0: something to be written to.
    fn default() -> Self {
        Tensor(ArcArray::from_shape_simple_fn(IxDyn(&[0]), T::zero))
    }
}

impl<T: Element> Drop for Tensor<T> {
    /// The memory, if nobody shares it, is kept for the next result on this thread.
    fn drop(&mut self) {
        if let Ok(array) = std::mem::take(&mut self.0).try_into_owned_nocopy() {
            recycle(array.into_raw_vec_and_offset().0);
        }
    }
}

impl<T: Element, D: Dimension> From<Array<T, D>> for Tensor<T> {
    /// Takes the array over; copies only if it is not in standard layout.
    fn from(array: Array<T, D>) -> Self {
        Self::from(array.into_dyn().into_shared())
    }
}

impl<T: Element, D: Dimension> From<ArcArray<T, D>> for Tensor<T> {
    /// Shares the array's memory; copies only if it is not in standard layout.
    fn from(array: ArcArray<T, D>) -> Self {
        let array = array.into_dyn();
        if array.is_standard_layout() {
            Tensor(array)
        } else {
            Tensor(array.as_standard_layout().into_owned().into_shared())
        }
    }
}

impl<T: Element, D: Dimension> From<ArrayView<'_, T, D>> for Tensor<T> {
    /// Copies the elements into standard layout.
    fn from(view: ArrayView<'_, T, D>) -> Self {
        let mut elements = Buffer::unwritten(view.len());
        if let Ok(mut to) = ArrayViewMut::from_shape(view.raw_dim(), &mut elements) {
            to.assign(&view);
        }
        Self::of_elements(view.shape(), elements)
    }
}

impl<T: Element> From<Tensor<T>> for ArrayD<T> {
    fn from(tensor: Tensor<T>) -> Self {
        tensor.into_array()
    }
}

impl<T: Element> fmt::Debug for Tensor<T> {
    /// The shape and the first few elements.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SHOWN: usize = 6;
        write!(f, "Tensor<{}>{:?} [", T::NAME, self.shape())?;
        for (i, value) in self.as_slice().iter().take(SHOWN).enumerate() {
            let separator = if i == 0 { "" } else { ", " };
            match f.precision() {
                Some(precision) => write!(f, "{separator}{value:.precision$}")?,
                None => write!(f, "{separator}{value}")?,
            }
        }
        f.write_str(if self.len() > SHOWN { ", ...]" } else { "]" })
    }
}

impl<T: Element> AbsDiffEq for Tensor<T> {
    type Epsilon = T;

    fn default_epsilon() -> T {
        T::default_epsilon()
    }

    fn abs_diff_eq(&self, other: &Self, epsilon: T) -> bool {
        self.all_close(other, |a, b| a.abs_diff_eq(b, epsilon))
    }
}

impl<T: Element> RelativeEq for Tensor<T> {
    fn default_max_relative() -> T {
        T::default_max_relative()
    }

    fn relative_eq(&self, other: &Self, epsilon: T, max_relative: T) -> bool {
        self.all_close(other, |a, b| a.relative_eq(b, epsilon, max_relative))
    }
}

impl<T: Element> UlpsEq for Tensor<T> {
    fn default_max_ulps() -> u32 {
        T::default_max_ulps()
    }

    fn ulps_eq(&self, other: &Self, epsilon: T, max_ulps: u32) -> bool {
        self.all_close(other, |a, b| a.ulps_eq(b, epsilon, max_ulps))
    }
}

impl<T: Element> Tensor<T> {
    /// Whether the shapes agree and `close` holds for every pair of elements.
    fn all_close(&self, other: &Self, close: impl Fn(&T, &T) -> bool) -> bool {
        self.shape() == other.shape()
            && self.as_slice().iter().zip(other.as_slice()).all(|(a, b)| close(a, b))
    }
}
