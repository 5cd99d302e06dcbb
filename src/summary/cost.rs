//! What one layer costs, and how far it sees.

use std::fmt;

/// What one layer costs for one input shape.
///
/// ```
/// use striate::{Conv2D, Layer};
/// let conv: Conv2D = Conv2D::new(200, 5);
/// assert_eq!(conv.cost(&[1, 104, 154, 3])?.params, 15_200);
/// # Ok::<(), striate::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cost {
    /// Weights that training changes.
    pub params: usize,
    /// Weights that it does not.
    pub frozen_params: usize,
    /// Multiplications of the forward pass with weights, those with padding included.
    pub multiplications: u64,
    /// Bytes that the layer saves on the tape in training.
    pub saved_bytes: usize,
    /// Which part of the input one position of the output sees.
    pub reach: Reach,
}

impl Cost {
    /// The cost of this layer and of `next`, which works on its output.
    pub(crate) fn then(self, next: Cost) -> Cost {
        Cost {
            params: self.params.saturating_add(next.params),
            frozen_params: self.frozen_params.saturating_add(next.frozen_params),
            multiplications: self.multiplications.saturating_add(next.multiplications),
            saved_bytes: self.saved_bytes.saturating_add(next.saved_bytes),
            reach: self.reach.then(next.reach),
        }
    }

    /// The cost of this layer and of `other`, which works on the same input.
    pub(crate) fn beside(self, other: Cost) -> Cost {
        Cost { reach: self.reach.beside(other.reach), ..self.then(other) }
    }
}

/// Which part of its input one position of a layer's output sees: its receptive field.
///
/// ```
/// use striate::Reach;
/// assert_eq!(Reach::Window { extent: [5, 3], strides: [1, 1] }.to_string(), "5x3");
/// assert_eq!(Reach::Everything.to_string(), "all");
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Reach {
    /// The same position only: activations, dropout.
    #[default]
    Pointwise,
    /// A window: convolution and pooling.
    Window {
        /// `[height, width]` from the window's first tap to its last.
        extent: [usize; 2],
        /// `[height, width]` that the window moves by.
        strides: [usize; 2],
    },
    /// Everything: dense layers, global pooling.
    Everything,
}

impl Reach {
    /// The reach of two layers in a row, this one first: along each axis, windows of extents `a` and `b` with strides
    /// `s` and `t` make one of extent `a + (b - 1) * s` with stride `s * t`. Sizes saturate.
    ///
    /// ```
    /// use striate::Reach;
    /// let conv = Reach::Window { extent: [3, 3], strides: [1, 1] };
    /// let pool = Reach::Window { extent: [2, 2], strides: [2, 2] };
    /// assert_eq!(conv.then(pool).then(conv), Reach::Window { extent: [8, 8], strides: [2, 2] });
    /// assert_eq!(conv.then(Reach::Everything).then(Reach::Pointwise), Reach::Everything);
    /// ```
    #[must_use]
    pub fn then(self, next: Reach) -> Reach {
        match (self, next) {
            (Reach::Everything, _) | (_, Reach::Everything) => Reach::Everything,
            (Reach::Pointwise, other) | (other, Reach::Pointwise) => other,
            (Reach::Window { extent: a, strides: s }, Reach::Window { extent: b, strides: t }) => {
                Reach::Window {
                    extent: [0, 1].map(|axis| {
                        a[axis].saturating_add(b[axis].saturating_sub(1).saturating_mul(s[axis]))
                    }),
                    strides: [0, 1].map(|axis| s[axis].saturating_mul(t[axis])),
                }
            }
        }
    }
}

impl Reach {
    /// What two layers see that work on the same input: the larger window, along each axis.
    ///
    /// ```
    /// use striate::Reach;
    /// let (tall, wide) = (Reach::Window { extent: [5, 1], strides: [1, 1] }, Reach::Window { extent: [1, 3], strides: [1, 1] });
    /// assert_eq!(tall.beside(wide).to_string(), "5x3");
    /// ```
    #[must_use]
    pub fn beside(self, other: Reach) -> Reach {
        match (self, other) {
            (Reach::Everything, _) | (_, Reach::Everything) => Reach::Everything,
            (Reach::Pointwise, other) | (other, Reach::Pointwise) => other,
            (Reach::Window { extent: a, strides: s }, Reach::Window { extent: b, strides: t }) => {
                Reach::Window {
                    extent: [0, 1].map(|axis| a[axis].max(b[axis])),
                    strides: [0, 1].map(|axis| s[axis].max(t[axis])),
                }
            }
        }
    }
}

impl fmt::Display for Reach {
    /// Height and width, such as `5x5`, or `all`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reach::Pointwise => f.write_str("1x1"),
            Reach::Window { extent: [height, width], .. } => write!(f, "{height}x{width}"),
            Reach::Everything => f.write_str("all"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window(extent: usize, stride: usize) -> Reach {
        Reach::Window { extent: [extent, extent], strides: [stride, stride] }
    }

    #[test]
    fn receptive_fields_compose_as_in_vgg() {
        let (conv, pool) = (window(3, 1), window(2, 2));
        let vgg = [conv, conv, pool, conv, conv, pool, conv, conv, conv, pool];
        let mut fields = Vec::new();
        vgg.iter().fold(Reach::Pointwise, |field, &next| {
            fields.push(field.then(next));
            field.then(next)
        });
        let sizes = [3, 5, 6, 10, 14, 16, 24, 32, 40, 44]; // Araujo et al., 2019, and by hand
        for (field, size) in fields.iter().zip(sizes) {
            assert!(
                matches!(field, Reach::Window { extent, .. } if *extent == [size; 2]),
                "{field}, not {size}"
            );
        }
        assert_eq!(fields[9], window(44, 8));
    }

    #[test]
    fn reach_treats_axes_alone_and_saturates() {
        let flat = Reach::Window { extent: [1, 5], strides: [1, 3] };
        let tall = Reach::Window { extent: [4, 2], strides: [2, 1] };
        assert_eq!(flat.then(tall), Reach::Window { extent: [4, 8], strides: [2, 3] });
        let huge = window(usize::MAX, usize::MAX);
        assert_eq!(huge.then(huge), huge);
        assert_eq!(window(0, 0).then(window(0, 0)), window(0, 0));
        assert_eq!((flat.to_string(), Reach::Everything.to_string()), ("1x5".to_string(), "all".to_string()));
    }
}
