//! How a case's window slides, in one or two dimensions.

use striate::{Accuracy, Geometry2d, Padding, Window2d};

use crate::check::Check;
use crate::fixtures::Case;

/// The options of a window; one-dimensional ones have a height of 1.
#[derive(Clone, Copy)]
pub struct Slide {
    pub kernel: [usize; 2],
    pub strides: [usize; 2],
    pub dilation: [usize; 2],
    pub padding: Padding,
    pub ceil_mode: bool,
    /// Whole numbers are summed exactly, but only by plain sums.
    pub accuracy: Accuracy,
    /// What the padding comes to, whatever it is called: `[top, left]` and `[bottom, right]`.
    resolved: [[usize; 2]; 2],
}

impl Slide {
    pub fn of(case: &Case) -> Self {
        let resolved = [case.pair("pads_begin", 0), case.pair("pads_end", 0)];
        let [[top, left], [bottom, right]] = resolved;
        let padding = match case.text("padding") {
            Some("same") => Padding::Same,
            Some("valid") => Padding::Valid,
            Some("causal") => Padding::Causal,
            _ => Padding::Explicit { top, bottom, left, right },
        };
        Slide {
            kernel: case.pair("kernel", 1),
            strides: case.pair("strides", 1),
            dilation: case.pair("dilations", 1),
            padding,
            ceil_mode: case.flag("ceil_mode"),
            accuracy: if case.is_tagged("integer_data") { Accuracy::Strict } else { Accuracy::Fast },
            resolved,
        }
    }

    /// The padding in numbers, whatever it is called.
    pub fn explicit(&self) -> Padding {
        let [[top, left], [bottom, right]] = self.resolved;
        Padding::Explicit { top, bottom, left, right }
    }

    pub fn window(&self) -> Window2d {
        Window2d::new(self.kernel)
            .strides(self.strides)
            .dilation(self.dilation)
            .padding(self.padding)
            .ceil_mode(self.ceil_mode)
            .accuracy(self.accuracy)
    }

    /// The geometry must come to the padding that the case states.
    pub fn check(&self, check: &mut Check<'_>, geometry: &Geometry2d) {
        let ((top, bottom), (left, right)) = (geometry.rows().padding(), geometry.cols().padding());
        check.require("geometry", "other padding", [[top, left], [bottom, right]] == self.resolved);
    }
}
