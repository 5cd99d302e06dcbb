//! [`DepthToSpace`] and [`SpaceToDepth`].

use crate::layer::{Layer, Saved, Tape};
use crate::ops::{self, BlockOrder, check_shape, depth_shape, space_shape};
use crate::{Cost, Element, Reach, Result, Tensor};

/// One of the two layers: `$to` forward, `$from` back; for the examples, the shapes of an input and its output with blocks
/// of 2x2, and what the numbers 0 to 7 become in the order of `ChannelsFirst`.
macro_rules! block_layer {
    (
        $(#[$doc:meta])* $layer:ident, $name:literal, $shape:ident, $to:path, $from:path, $reach:expr,
        $input:literal => $output:literal, $first:literal
    ) => {
        $(#[$doc])*
        #[derive(Clone, Debug)]
        pub struct $layer {
            block: usize,
            order: BlockOrder,
        }

        impl $layer {
            /// Blocks of `block x block` positions.
            ///
            /// ```
            #[doc = concat!("use striate::{Layer, ", $name, "};")]
            #[doc = concat!("let shape = Layer::<f32>::output_shape(&", $name, "::new(2), &", $input, ")?;")]
            #[doc = concat!("assert_eq!(shape, ", $output, ");")]
            /// # Ok::<(), striate::Error>(())
            /// ```
            pub fn new(block: usize) -> Self {
                $layer { block, order: BlockOrder::default() }
            }

            /// Where in the channels the positions of a block are. Default [`BlockOrder::ChannelsLast`].
            ///
            /// ```
            #[doc = concat!("use striate::{BlockOrder, Layer, Tensor, ", $name, "};")]
            #[doc = concat!("let x = Tensor::from_vec(&", $input, ", (0_u8..8).map(f32::from).collect())?;")]
            #[doc = concat!("let y = ", $name, "::new(2).order(BlockOrder::ChannelsFirst).forward(&x)?;")]
            #[doc = concat!("assert_eq!(y.as_slice(), ", $first, ");")]
            /// # Ok::<(), striate::Error>(())
            /// ```
            #[must_use]
            pub fn order(mut self, order: BlockOrder) -> Self {
                self.order = order;
                self
            }
        }

        impl<T: Element> Layer<T> for $layer {
            fn kind(&self) -> &'static str {
                $name
            }

            fn output_shape(&self, input: &[usize]) -> Result<Vec<usize>> {
                Ok($shape($name, input, self.block)?.to_vec())
            }

            fn forward(&self, x: &Tensor<T>) -> Result<Tensor<T>> {
                Layer::<T>::output_shape(self, x.shape())?;
                Ok($to(x.view4()?, self.block, self.order)?.into())
            }

            fn forward_train(&mut self, x: Tensor<T>, tape: &mut Tape<T>) -> Result<Tensor<T>> {
                let y = self.forward(&x)?;
                tape.push($name, Saved::Shape(x.shape().to_vec()));
                Ok(y)
            }

            fn backward(&mut self, grad: Tensor<T>, tape: &mut Tape<T>) -> Result<Tensor<T>> {
                let input = tape.pop_shape($name)?;
                let output = $shape($name, &input, self.block)?;
                check_shape($name, "an output gradient", grad.shape(), &output)?;
                Ok($from(grad.view4()?, self.block, self.order)?.into())
            }

            fn cost(&self, input: &[usize]) -> Result<Cost> {
                $shape($name, input, self.block)?;
                Ok(Cost { saved_bytes: size_of_val(input), reach: ($reach)(self.block), ..Cost::default() })
            }
        }
    };
}

block_layer! {
    /// Every position as a block of positions: `[batch, height, width, b * b * channels]` becomes
    /// `[batch, height * b, width * b, channels]`, as [`ops::depth_to_space`]. After a convolution it enlarges maps.
    /// TensorFlow's `depth_to_space`; PyTorch's `PixelShuffle` with another [`order`](Self::order).
    ///
    /// # Errors
    /// If the area of the block does not divide the channels.
    ///
    /// ```
    /// use striate::{DepthToSpace, Layer};
    /// let shape = Layer::<f32>::output_shape(&DepthToSpace::new(2), &[1, 8, 8, 12])?;
    /// assert_eq!(shape, [1, 16, 16, 3]);
    /// # Ok::<(), striate::Error>(())
    /// ```
    DepthToSpace, "DepthToSpace", space_shape, ops::depth_to_space, ops::space_to_depth, |_| Reach::Pointwise,
    "[1, 1, 1, 8]" => "[1, 2, 2, 2]", "[0.0, 4.0, 1.0, 5.0, 2.0, 6.0, 3.0, 7.0]"
}

block_layer! {
    /// Every block of positions as one position: `[batch, height, width, channels]` becomes
    /// `[batch, height / b, width / b, b * b * channels]`, as [`ops::space_to_depth`]. TensorFlow's `space_to_depth`; PyTorch's
    /// `PixelUnshuffle` with another [`order`](Self::order).
    ///
    /// # Errors
    /// If the block does not divide the maps.
    ///
    /// ```
    /// use striate::{Layer, SpaceToDepth};
    /// let shape = Layer::<f32>::output_shape(&SpaceToDepth::new(2), &[1, 16, 16, 3])?;
    /// assert_eq!(shape, [1, 8, 8, 12]);
    /// # Ok::<(), striate::Error>(())
    /// ```
    SpaceToDepth, "SpaceToDepth", depth_shape, ops::space_to_depth, ops::depth_to_space, |block| Reach::Window { extent: [block; 2], strides: [block; 2] },
    "[1, 2, 2, 2]" => "[1, 1, 1, 8]", "[0.0, 2.0, 4.0, 6.0, 1.0, 3.0, 5.0, 7.0]"
}
