//! What can go wrong: one error type that always says which operation failed, what it expected and what it got.

use std::borrow::Cow;
use std::fmt;

/// The result of a fallible operation of this crate.
pub type Result<T> = std::result::Result<T, Error>;

/// The kind of mistake behind an [`Error`], for programs that decide by it.
///
/// ```
/// use striate::{ErrorKind, Window2d};
/// let kind = |window: Window2d| window.output_size([4, 4]).unwrap_err().kind();
/// assert_eq!(kind(Window2d::new(5)), ErrorKind::Shape);
/// assert_eq!(kind(Window2d::new(3).strides(0)), ErrorKind::Argument);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// An array has the wrong rank or an axis of the wrong size.
    Shape,
    /// An option has a value that makes no sense, such as a stride of zero.
    Argument,
    /// A size does not fit in memory or in an integer.
    Size,
    /// A layer was used before [`Layer::build`](crate::Layer::build).
    NotBuilt,
    /// A [`Tape`](crate::Tape) does not hold what the layer saved on it.
    Tape,
    /// A number is outside its domain: a label beyond the classes, a loss that is not finite.
    Value,
    /// A file cannot be read or written, or does not hold what it should.
    File,
}

/// A failed operation: which one, in which layer, what it expected and what it got.
///
/// ```
/// use striate::{ErrorKind, Tensor};
/// let error = Tensor::<f32>::zeros(&[2, 3])?.reshape(&[7]).unwrap_err();
/// assert_eq!(error.kind(), ErrorKind::Shape);
/// assert_eq!(error.to_string(), "reshape: expected a shape of 6 elements, got [7]");
/// # Ok::<(), striate::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error(Box<Failure>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Failure {
    kind: ErrorKind,
    layer: Option<String>,
    operation: Cow<'static, str>,
    expected: String,
    got: String,
}

impl Error {
    /// An error of `kind` in `operation`, which expected one thing and got another.
    ///
    /// ```
    /// use striate::{Error, ErrorKind};
    /// let error = Error::new(ErrorKind::Argument, "blur", "a radius of 1 or more", 0);
    /// assert_eq!(error.to_string(), "blur: expected a radius of 1 or more, got 0");
    /// ```
    pub fn new(
        kind: ErrorKind,
        operation: impl Into<Cow<'static, str>>,
        expected: impl fmt::Display,
        got: impl fmt::Display,
    ) -> Self {
        Error(Box::new(Failure {
            kind,
            layer: None,
            operation: operation.into(),
            expected: expected.to_string(),
            got: got.to_string(),
        }))
    }

    /// [`ErrorKind::Shape`] with the offending shape.
    pub(crate) fn shape(operation: &'static str, expected: impl fmt::Display, got: &[usize]) -> Self {
        Self::new(ErrorKind::Shape, operation, expected, format_args!("{got:?}"))
    }

    /// [`ErrorKind::Argument`].
    pub(crate) fn argument(
        operation: &'static str,
        expected: impl fmt::Display,
        got: impl fmt::Display,
    ) -> Self {
        Self::new(ErrorKind::Argument, operation, expected, got)
    }

    /// [`ErrorKind::Size`].
    pub(crate) fn size(operation: &'static str, expected: impl fmt::Display, got: impl fmt::Display) -> Self {
        Self::new(ErrorKind::Size, operation, expected, got)
    }

    /// [`ErrorKind::Value`].
    pub(crate) fn value(
        operation: &'static str,
        expected: impl fmt::Display,
        got: impl fmt::Display,
    ) -> Self {
        Self::new(ErrorKind::Value, operation, expected, got)
    }

    /// [`ErrorKind::NotBuilt`] for a layer of this kind.
    ///
    /// ```
    /// let error = striate::Error::not_built("scale");
    /// assert_eq!(error.to_string(), "scale: expected a built layer (call build first), got one without weights");
    /// ```
    pub fn not_built(layer: &'static str) -> Self {
        Self::new(ErrorKind::NotBuilt, layer, "a built layer (call build first)", "one without weights")
    }

    /// The same error with the place of the layer it came from; containers call it on the way up, so that the
    /// path reads from the outside in.
    ///
    /// ```
    /// let error = striate::Error::not_built("dense").in_layer("1").in_layer("head");
    /// assert_eq!(error.layer(), Some("head.1"));
    /// ```
    #[must_use]
    pub fn in_layer(mut self, name: impl fmt::Display) -> Self {
        self.0.layer = Some(match self.0.layer.take() {
            None => name.to_string(),
            Some(inner) => format!("{name}.{inner}"),
        });
        self
    }

    /// The kind of mistake.
    ///
    /// ```
    /// let error = striate::Window2d::new(3).output_size([28, 2]).unwrap_err();
    /// assert_eq!(error.kind(), striate::ErrorKind::Shape);
    /// ```
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// The path of the layer inside its containers, outermost first; `None` outside a container.
    ///
    /// ```
    /// use striate::{Dense, Flatten, Layer, Sequential, Tensor, sequential};
    /// let model: Sequential = sequential![Flatten::new(), Dense::new(2)];
    /// let error = model.forward(&Tensor::zeros(&[1, 3])?).unwrap_err();    // not built
    /// assert_eq!(error.layer(), Some("1"));
    /// # Ok::<(), striate::Error>(())
    /// ```
    pub fn layer(&self) -> Option<&str> {
        self.0.layer.as_deref()
    }

    /// The operation that failed.
    ///
    /// ```
    /// let error = striate::Window2d::new(3).output_size([28, 2]).unwrap_err();
    /// assert_eq!(error.operation(), "window");
    /// ```
    pub fn operation(&self) -> &str {
        &self.0.operation
    }

    /// What the operation expected.
    ///
    /// ```
    /// let error = striate::Window2d::new(3).output_size([28, 2]).unwrap_err();
    /// assert_eq!(error.expected(), "a padded width of at least 3 (the window's)");
    /// ```
    pub fn expected(&self) -> &str {
        &self.0.expected
    }

    /// What it got instead.
    ///
    /// ```
    /// let error = striate::Window2d::new(3).output_size([28, 2]).unwrap_err();
    /// assert_eq!(error.got(), "2");
    /// ```
    pub fn got(&self) -> &str {
        &self.0.got
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Failure { layer, operation, expected, got, .. } = &*self.0;
        match layer {
            Some(layer) => write!(f, "layer {layer}: {operation}: expected {expected}, got {got}"),
            None => write!(f, "{operation}: expected {expected}, got {got}"),
        }
    }
}

impl std::error::Error for Error {}
