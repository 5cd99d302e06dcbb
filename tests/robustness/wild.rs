//! Arguments that make sense, and arguments that do not.

use proptest::collection::vec;
use proptest::prelude::*;
use striate::{
    Activation, AdaptiveAvgPool1D, AdaptiveAvgPool2D, AdaptiveMaxPool2D, AvgPool1D, AvgPool2D, AvgPool3D,
    BatchNorm, BlockOrder, ChannelMaxPool, Conv1D, Conv1DTranspose, Conv2D, Conv2DTranspose, Conv3D,
    Conv3DTranspose, Crop2D, Dense, DepthToSpace, DepthwiseConv2D, Dropout, Flatten, GlobalAvgPool2D,
    GlobalAvgPool3D, GlobalMaxPool1D, GlobalMaxPool2D, GroupNorm, Initializer, InstanceNorm, Interpolation,
    Join, Layer, LayerNorm, LocalResponseNorm, LpPool2D, MaxPool1D, MaxPool2D, MaxPool3D, PReLU, Pad2D,
    PadMode, Padding, Padding3d, Parallel, Residual, Rng, RunningVariance, SeparableConv2D, Sequential,
    Size2d, SpaceToDepth, SpatialDropout, Tensor, UpSample2D, Window2d,
};

/// A length: mostly a small one, else one that no memory holds.
pub fn length() -> impl Strategy<Value = usize> {
    prop_oneof![
        32 => 1..=3_usize,
        4 => 0..=9_usize,
        1 => (33..usize::BITS).prop_map(|bit| 1 << bit),
        1 => (1_usize << 33..=usize::MAX, 0..31_u32).prop_map(|(n, shift)| (n >> shift).max(1 << 33)),
        1 => prop_oneof![Just(usize::MAX), Just(isize::MAX as usize), Just(usize::MAX / 8)],
    ]
}

/// A number that arrays do not grow with: mostly a small one, else any.
pub fn count() -> impl Strategy<Value = usize> {
    prop_oneof![
        2 => length(),
        1 => (any::<usize>(), 0..usize::BITS).prop_map(|(n, shift)| n >> shift),
    ]
}

fn lengths() -> impl Strategy<Value = Size2d> {
    [length(), length()].prop_map(Size2d)
}

fn counts() -> impl Strategy<Value = Size2d> {
    prop_oneof![4 => Just(Size2d([1, 1])), 1 => [count(), count()].prop_map(Size2d)]
}

/// A number: mostly a usual one, else anything.
pub fn number() -> impl Strategy<Value = f64> {
    prop_oneof![
        8 => -2.0..2.0_f64,
        1 => Just(0.0),
        1 => Just(1.0),
        1 => Just(f64::NAN),
        1 => Just(f64::INFINITY),
        1 => any::<f64>(),
    ]
}

pub fn padding() -> impl Strategy<Value = Padding> {
    prop_oneof![
        Just(Padding::Valid),
        Just(Padding::Same),
        Just(Padding::Causal),
        Just(Padding::all(1)),
        [length(), length(), length(), length()].prop_map(|[top, bottom, left, right]| Padding::Explicit {
            top,
            bottom,
            left,
            right
        }),
    ]
}

/// Any shape of any rank.
pub fn shape() -> impl Strategy<Value = Vec<usize>> {
    prop_oneof![8 => vec(length(), 4), 1 => vec(length(), 3), 1 => vec(length(), 5), 2 => vec(length(), 0..=6)]
}

/// A shape of few elements: mostly feature maps.
pub fn small_shape() -> impl Strategy<Value = Vec<usize>> {
    let axis = || prop_oneof![12 => 1..=6_usize, 1 => Just(0)];
    prop_oneof![
        6 => vec(axis(), 4),
        1 => vec(axis(), 2),
        2 => vec(axis(), 3),
        2 => vec(axis(), 5),
        1 => vec(axis(), 0..=5),
    ]
}

/// Tensors, some of them with NaN and infinity inside.
pub fn tensor() -> impl Strategy<Value = Tensor> {
    (small_shape(), any::<u64>(), prop_oneof![8 => Just(None), 1 => number().prop_map(Some)]).prop_map(
        |(shape, seed, strange)| {
            let rng = &mut Rng::seed(seed);
            let mut tensor: Tensor = crate::common::normal_tensor(rng, &shape);
            if let (Some(strange), Some(first)) = (strange, tensor.as_mut_slice().first_mut()) {
                *first = strange as f32;
            }
            tensor
        },
    )
}

pub fn activation() -> impl Strategy<Value = Activation> {
    use Activation::*;
    prop_oneof![
        6 => proptest::sample::select(crate::common::plain_activations()),
        1 => number().prop_map(|negative_slope| LeakyRelu { negative_slope }),
        1 => number().prop_map(|alpha| Elu { alpha }),
        1 => number().prop_map(|alpha| Celu { alpha }),
        1 => number().prop_map(|beta| Softplus { beta }),
        1 => (number(), number()).prop_map(|(min, max)| HardTanh { min, max }),
        1 => (number(), number()).prop_map(|(threshold, value)| Threshold { threshold, value }),
    ]
}

pub fn initializer() -> impl Strategy<Value = Initializer> {
    use Initializer::*;
    prop_oneof![
        proptest::sample::select(vec![Zeros, Ones, GlorotUniform, HeNormal, LecunUniform, LecunNormal]),
        number().prop_map(Constant),
        (number(), number()).prop_map(|(min, max)| RandomUniform { min, max }),
        (number(), number()).prop_map(|(mean, stddev)| RandomNormal { mean, stddev }),
        (number(), number()).prop_map(|(mean, stddev)| TruncatedNormal { mean, stddev }),
    ]
}

pub fn window() -> impl Strategy<Value = Window2d> {
    (lengths(), counts(), counts(), padding(), any::<bool>(), count()).prop_map(
        |(kernel, strides, dilation, padding, ceil, groups)| {
            let window = Window2d::new(kernel).strides(strides).dilation(dilation).padding(padding);
            window.ceil_mode(ceil).groups(groups)
        },
    )
}

type Boxed = Box<dyn Layer>;

fn boxed(layer: impl Layer + 'static) -> Boxed {
    Box::new(layer)
}

fn conv() -> impl Strategy<Value = Boxed> {
    let weights = (length(), activation(), any::<bool>(), initializer());
    (weights, lengths(), counts(), counts(), padding(), count()).prop_map(
        |((filters, activation, bias, initializer), kernel, strides, dilation, padding, groups)| {
            let conv = Conv2D::new(filters, kernel).strides(strides).dilation(dilation).padding(padding);
            let conv = conv.groups(groups).activation(activation).use_bias(bias);
            boxed(conv.kernel_initializer(initializer))
        },
    )
}

fn pool() -> impl Strategy<Value = Boxed> {
    let average = (any::<bool>(), any::<bool>(), proptest::option::of(count()));
    (lengths(), counts(), counts(), padding(), any::<bool>(), average).prop_map(
        |(size, strides, dilation, padding, ceil, (average, include, divisor))| {
            if !average {
                let pool = MaxPool2D::new(size).strides(strides).dilation(dilation);
                return boxed(pool.padding(padding).ceil_mode(ceil));
            }
            let pool = AvgPool2D::new(size).strides(strides).dilation(dilation).padding(padding);
            let pool = pool.ceil_mode(ceil).count_include_pad(include);
            boxed(divisor.map_or(pool.clone(), |divisor| pool.divisor_override(divisor)))
        },
    )
}

/// A layer with any options.
pub fn layer() -> impl Strategy<Value = Boxed> {
    let dense = (length(), activation(), any::<bool>(), initializer());
    prop_oneof![
        4 => conv(),
        4 => pool(),
        2 => dense.prop_map(|(units, activation, bias, initializer)| boxed(
            Dense::new(units).activation(activation).use_bias(bias).bias_initializer(initializer)
        )),
        1 => any::<bool>().prop_map(|keep| boxed(GlobalMaxPool2D::new().keepdims(keep))),
        1 => any::<bool>().prop_map(|keep| boxed(GlobalAvgPool2D::new().keepdims(keep))),
        1 => (length(), count()).prop_map(|(pool, strides)| boxed(ChannelMaxPool::new(pool).strides(strides))),
        1 => number().prop_map(|rate| boxed(Dropout::new(rate))),
        1 => Just(()).prop_map(|()| boxed(Flatten::new())),
        1 => activation().prop_map(boxed),
        2 => norm(),
        2 => resampling(),
        1 => branches(),
        3 => relatives(),
        3 => other_dimensions(),
        2 => rarer(),
    ]
}

/// Relatives of `Conv2D` over maps.
fn relatives() -> impl Strategy<Value = Boxed> {
    let options = (length(), activation(), any::<bool>(), proptest::option::of(counts()));
    (0..3, options, lengths(), counts(), counts(), padding(), count()).prop_map(
        |(kind, (filters, activation, bias, extra), kernel, strides, dilation, padding, groups)| match kind {
            0 => {
                let conv = DepthwiseConv2D::new(kernel).strides(strides).dilation(dilation).padding(padding);
                boxed(conv.depth_multiplier(filters).activation(activation).use_bias(bias))
            }
            1 => {
                let conv = SeparableConv2D::new(filters, kernel).strides(strides).dilation(dilation);
                boxed(conv.padding(padding).depth_multiplier(groups).activation(activation).use_bias(bias))
            }
            _ => {
                let conv = Conv2DTranspose::new(filters, kernel).strides(strides).dilation(dilation);
                let conv = conv.padding(padding).groups(groups).activation(activation).use_bias(bias);
                boxed(extra.map_or(conv.clone(), |extra| conv.output_padding(extra)))
            }
        },
    )
}

fn padding3d() -> impl Strategy<Value = Padding3d> {
    let explicit = [length(), length(), length(), length(), length(), length()];
    prop_oneof![
        padding().prop_map(Padding3d::from),
        explicit.prop_map(|n| Padding3d::explicit((n[0], n[1]), (n[2], n[3]), (n[4], n[5]))),
    ]
}

/// Layers over sequences and volumes.
fn other_dimensions() -> impl Strategy<Value = Boxed> {
    let sizes = [length(), length(), length()];
    let steps = prop_oneof![4 => Just([1, 1, 1]), 1 => [count(), count(), count()]];
    let options = (length(), activation(), any::<bool>(), pad_mode());
    (0..13, sizes, steps.clone(), steps, padding3d(), padding(), options, count()).prop_map(
        |(kind, size, strides, dilation, around, padding, (filters, activation, flag, mode), n)| match kind {
            0 => {
                let conv = Conv1D::new(filters, size[0]).strides(strides[0]).dilation(dilation[0]).groups(n);
                boxed(conv.padding(padding).padding_mode(mode).activation(activation).use_bias(flag))
            }
            1 => {
                let conv = Conv1DTranspose::new(filters, size[0]).strides(strides[0]).dilation(dilation[0]);
                boxed(conv.padding(padding).activation(activation).use_bias(flag))
            }
            2 | 3 => {
                let conv = Conv3D::new(filters, size).strides(strides).dilation(dilation).padding(around);
                boxed(conv.padding_mode(mode).activation(activation).use_bias(flag).groups(n))
            }
            4 => boxed(MaxPool1D::new(size[0]).strides(strides[0]).padding(padding).ceil_mode(flag)),
            5 => boxed(AvgPool1D::new(size[0]).strides(strides[0]).padding(padding).count_include_pad(flag)),
            6 => boxed(
                MaxPool3D::new(size).strides(strides).dilation(dilation).padding(around).ceil_mode(flag),
            ),
            7 => boxed(AvgPool3D::new(size).strides(strides).padding(around).count_include_pad(flag)),
            8 => boxed(AvgPool3D::new(size).divisor_override(n)),
            9 => boxed(GlobalMaxPool1D::new().keepdims(flag)),
            10 => boxed(GlobalAvgPool3D::new().keepdims(flag)),
            11 => {
                let conv = Conv3DTranspose::new(filters, size).strides(strides).dilation(dilation);
                boxed(conv.padding(around).activation(activation).use_bias(flag))
            }
            _ => boxed(AdaptiveAvgPool1D::new(n)),
        },
    )
}

/// Rearrangements, rectifiers with weights, other kinds of pooling.
fn rarer() -> impl Strategy<Value = Boxed> {
    (0..7, lengths(), count(), number(), padding(), any::<bool>()).prop_map(
        |(kind, size, n, number, padding, flag)| match kind {
            0 => boxed(DepthToSpace::new(n).order(BlockOrder::ChannelsFirst)),
            1 => boxed(SpaceToDepth::new(n)),
            2 => boxed(AdaptiveMaxPool2D::new(size)),
            3 => boxed(LpPool2D::new(number, size).padding(padding).ceil_mode(flag)),
            4 => boxed(SpatialDropout::new(number)),
            5 if flag => boxed(PReLU::new().single()),
            5 => boxed(PReLU::new().per_channel()),
            _ => boxed(PReLU::new()),
        },
    )
}

fn norm() -> impl Strategy<Value = Boxed> {
    let options = (prop_oneof![8 => Just(1e-3), 1 => number()], any::<bool>(), any::<bool>());
    let batch = (prop_oneof![8 => 0.0..1.0_f64, 1 => number()], any::<bool>(), any::<bool>());
    let local = [number(), number(), number()];
    (0..5, options, batch, (count(), local)).prop_map(
        |(kind, (epsilon, center, scale), batch, (n, local))| {
            let (momentum, frozen, biased) = batch;
            let variance = if biased { RunningVariance::Biased } else { RunningVariance::Unbiased };
            let norm = BatchNorm::new().momentum(momentum).frozen(frozen).running_variance(variance);
            match kind {
                0 => boxed(norm.epsilon(epsilon).center(center).scale(scale)),
                1 => boxed(LayerNorm::new().axes(n).epsilon(epsilon).center(center).scale(scale)),
                2 => boxed(GroupNorm::new(n).epsilon(epsilon).center(center).scale(scale)),
                3 => boxed(InstanceNorm::new().epsilon(epsilon).center(center).scale(scale)),
                _ => boxed(LocalResponseNorm::new(n).alpha(local[0]).beta(local[1]).k(local[2])),
            }
        },
    )
}

fn pad_mode() -> impl Strategy<Value = PadMode> {
    let named = vec![PadMode::Zeros, PadMode::Reflect, PadMode::Replicate, PadMode::Circular];
    prop_oneof![4 => proptest::sample::select(named), 1 => number().prop_map(PadMode::Constant)]
}

/// Padding, cropping, enlarging, adaptive averages, and convolution that pads with something.
fn resampling() -> impl Strategy<Value = Boxed> {
    let how = proptest::sample::select(vec![
        Interpolation::Nearest,
        Interpolation::Bilinear,
        Interpolation::BilinearAligned,
    ]);
    let amounts = [count(), count(), count(), count()];
    (0..5, padding(), pad_mode(), lengths(), how, amounts).prop_map(|(kind, padding, mode, size, how, n)| {
        match kind {
            0 => boxed(Pad2D::new(padding).mode(mode)),
            1 => boxed(Crop2D::new((n[0], n[1]), (n[2], n[3]))),
            2 => boxed(UpSample2D::new(size).interpolation(how)),
            3 => boxed(AdaptiveAvgPool2D::new(size)),
            _ => boxed(Conv2D::new(2, size).padding(padding).padding_mode(mode)),
        }
    })
}

/// Branches that fit each other, or not.
fn branches() -> impl Strategy<Value = Boxed> {
    let join = proptest::sample::select(vec![Join::Add, Join::Multiply, Join::Concat]);
    (join, 0..4, length(), activation()).prop_map(|(join, count, filters, activation)| {
        let conv = || Conv2D::new(filters, 1).activation(activation);
        match count {
            0 => boxed(Parallel::new(join)),
            1 => boxed(Parallel::new(join).with(conv()).with(conv())),
            2 => boxed(Parallel::new(join).with(GlobalAvgPool2D::new().keepdims(true)).with(activation)),
            _ => boxed(Residual::new(conv())),
        }
    })
}

/// A few layers in a row.
pub fn model() -> impl Strategy<Value = Sequential> {
    /// A box of a layer as a layer.
    #[derive(Debug)]
    struct Unboxed(Boxed);

    impl Layer for Unboxed {
        fn kind(&self) -> &'static str {
            self.0.kind()
        }
        fn build(&mut self, input: &[usize], rng: &mut Rng) -> striate::Result<()> {
            self.0.build(input, rng)
        }
        fn output_shape(&self, input: &[usize]) -> striate::Result<Vec<usize>> {
            self.0.output_shape(input)
        }
        fn forward(&self, x: &Tensor) -> striate::Result<Tensor> {
            self.0.forward(x)
        }
        fn forward_train(&mut self, x: Tensor, tape: &mut striate::Tape) -> striate::Result<Tensor> {
            self.0.forward_train(x, tape)
        }
        fn backward(&mut self, grad: Tensor, tape: &mut striate::Tape) -> striate::Result<Tensor> {
            self.0.backward(grad, tape)
        }
        fn cost(&self, input: &[usize]) -> striate::Result<striate::Cost> {
            self.0.cost(input)
        }
    }

    vec(layer(), 0..=5).prop_map(|layers| {
        layers.into_iter().fold(Sequential::new(), |model, layer| model.with(Unboxed(layer)))
    })
}
