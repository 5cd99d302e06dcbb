//! Well-known networks, built from this crate's layers: to train, to load weights into, or to read how they are written.
//!
//! | network | for pictures of | parameters | source |
//! |---|---|---|---|
//! | [`lenet5`] | 32x32x1 | 61,706 | LeCun et al., 1998 |
//! | [`vgg11`], [`vgg16`] | 224x224x3 | 132,863,336; 138,357,544 | Simonyan and Zisserman, 2014 |
//! | [`resnet18`], [`resnet34`], [`resnet50`] | 224x224x3 | 11,689,512; 21,797,672; 25,557,032 | He et al., 2016 |
//! | [`mobilenet_v1`] | 224x224x3 | 4,231,976 | Howard et al., 2017 |
//! | [`mobilenet_v2`] | 224x224x3 | 3,504,872 | Sandler et al., 2018 |
//! | [`squeezenet1_0`], [`squeezenet1_1`] | 224x224x3 | 1,248,424; 1,235,496 | Iandola et al., 2016 |
//!
//! The counts are those of torchvision (MobileNetV1: of Keras), for 1000 classes (LeNet-5: for 10), without the moving means
//! and variances. Pictures may have other sizes, except for LeNet-5. The outputs are scores, to be put into
//! [`SoftmaxCrossEntropy`](crate::train::SoftmaxCrossEntropy) or [`Activation::Softmax`].
//!
//! ```
//! use striate::{Sequential, models};
//! let model: Sequential = models::resnet18(1000);
//! let summary = model.summary(&[1, 224, 224, 3])?;
//! assert_eq!(summary.params(), 11_689_512);
//! # Ok::<(), striate::Error>(())
//! ```

mod lenet;
mod mobilenet;
mod resnet;
mod squeezenet;
mod vgg;

pub use lenet::lenet5;
pub use mobilenet::{mobilenet_v1, mobilenet_v2};
pub use resnet::{resnet18, resnet34, resnet50};
pub use squeezenet::{squeezenet1_0, squeezenet1_1};
pub use vgg::{vgg11, vgg16};

use crate::{Activation, BatchNorm, Conv2D, Element, Padding, RunningVariance};

/// A convolution that keeps the size of maps, as far as its stride does, with PyTorch's padding.
fn conv<T: Element>(filters: usize, kernel: usize, stride: usize) -> Conv2D<T> {
    Conv2D::new(filters, kernel).strides(stride).padding(Padding::all(kernel / 2))
}

/// The same with a rectifier.
fn conv_relu<T: Element>(filters: usize, kernel: usize) -> Conv2D<T> {
    conv(filters, kernel, 1).activation(Activation::Relu)
}

/// Batch normalisation as PyTorch's.
fn batch_norm<T: Element>() -> BatchNorm<T> {
    BatchNorm::new().momentum(0.9).epsilon(1e-5).running_variance(RunningVariance::Unbiased)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Layer, Sequential};

    #[test]
    fn parameters_are_as_many_as_published() {
        type Network = fn(usize) -> Sequential;
        let networks: [(Network, usize, u64); 9] = [
            (vgg11, 0, 132_863_336),
            (vgg16, 0, 138_357_544),
            (resnet18, 9_600, 11_689_512),
            (resnet34, 17_024, 21_797_672),
            (resnet50, 53_120, 25_557_032),
            (mobilenet_v1, 21_888, 4_231_976),
            (mobilenet_v2, 34_112, 3_504_872),
            (squeezenet1_0, 0, 1_248_424),
            (squeezenet1_1, 0, 1_235_496),
        ];
        for (network, states, params) in networks {
            let (model, input) = (network(1000), [2, 224, 224, 3]);
            let cost = model.cost(&input).unwrap();
            assert_eq!((cost.params as u64, cost.frozen_params), (params, states));
            assert_eq!(model.output_shape(&input).unwrap(), [2, 1000]);
            assert_eq!(model.summary(&input).unwrap().params(), params);
            // Pictures of another size, and other classes.
            assert_eq!(network(7).output_shape(&[1, 160, 192, 3]).unwrap(), [1, 7]);
        }
        assert_eq!(Layer::<f32>::cost(&lenet5(10), &[1, 32, 32, 1]).unwrap().params, 61_706);
    }

    #[test]
    fn multiplications_are_as_many_as_published() {
        // Without those of normalisation, which the literature does not count: at inference there are none.
        let convolutions = |model: Sequential| -> u64 {
            let summary = model.summary(&[1, 224, 224, 3]).unwrap();
            let rows = summary.rows().iter().filter(|row| row.kind != "BatchNorm");
            rows.map(|row| row.cost.multiplications).sum()
        };
        assert_eq!(convolutions(resnet18(1000)), 1_814_073_344);
        assert_eq!(convolutions(resnet50(1000)), 4_089_184_256);
        assert_eq!(convolutions(vgg16(1000)), 15_470_264_320);
        assert_eq!(convolutions(mobilenet_v1(1000)), 568_740_352);
        assert_eq!(convolutions(mobilenet_v2(1000)), 300_774_272);
    }

    #[test]
    fn a_whole_network_learns_and_folds() {
        use crate::train::{Loss, SoftmaxCrossEntropy};
        use crate::{Rng, Tape, Tensor};
        let (mut model, shape) = (squeezed(), [2, 24, 24, 3]);
        model.build(&shape, &mut Rng::seed(1)).unwrap();
        let x = (0..2 * 24 * 24 * 3).map(|i| (i as f64 * 0.37).sin()).collect();
        let (x, mut tape) = (Tensor::from_vec(&shape, x).unwrap(), Tape::new());
        let y = model.forward_train(x.clone(), &mut tape).unwrap();
        let (_, grad) = SoftmaxCrossEntropy::new().value_and_grad(&y, &[0, 2].into()).unwrap();
        model.backward_params(grad, &mut tape).unwrap();
        assert!(tape.is_empty());
        assert!(model.params().iter().all(|(_, param)| param.is_state() || param.grad().is_some()));

        let want = model.forward(&x).unwrap();
        model.for_inference().unwrap();
        approx::assert_abs_diff_eq!(model.forward(&x).unwrap(), want, epsilon = 1e-10);
        assert!(model.params().iter().all(|(name, _)| !name.contains("gamma")));
    }

    /// The blocks of three networks, narrow.
    fn squeezed() -> Sequential<f64> {
        let mut model = Sequential::new().with(conv(4, 3, 2).use_bias(false)).with(batch_norm());
        resnet::basic_block(&mut model, 8, 2, true);
        resnet::bottleneck(&mut model, 4, 1, true);
        mobilenet::inverted_residual(&mut model, 16, 6, 16, 1);
        squeezenet::fire(&mut model, 4, 8);
        model.with(crate::GlobalAvgPool2D::new()).with(crate::Dense::new(3))
    }
}
