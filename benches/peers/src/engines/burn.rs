//! burn-flex, the backend of Burn for processors, called without the tensors that Burn wraps around it; channels first.

use std::hint::black_box;

use burn_backend::ops::{ConvOptions, FloatTensorOps, ModuleOps};
use burn_backend::{Shape, TensorData, TensorMetadata};
use burn_flex::{Flex, FlexTensor};

use super::{Layer, Prepared, Setup, kernel_shape};
use crate::Result;
use crate::data::{self, Role};
use crate::suite::{Conv, Pool, PoolKind};

pub fn prepare(_: &str, layer: &Layer, _: &Setup) -> Result<Prepared> {
    let [n, h, w, c] = layer.input();
    let x = data::channels_first(&data::tensor(Role::Input, &[n, h, w, c])?)?;
    let x = tensor(x, [n, c, h, w]);
    match *layer {
        Layer::Conv(conv) => {
            let (kernel, bias, options) = weights(&conv)?;
            prepared(move || Flex::conv2d(x.clone(), kernel.clone(), Some(bias.clone()), options.clone()))
        }
        Layer::Training(conv) => training(&conv, x),
        Layer::Pool(pool) => prepared(move || pooled(x.clone(), &pool, [n, c, h, w])),
        Layer::Network(..) => Err("it reads no ONNX files".into()),
        Layer::Step(..) => Err("only striate and PyTorch are set to train whole networks".into()),
    }
}

fn training(conv: &Conv, x: FlexTensor) -> Result<Prepared> {
    let (kernel, bias, options) = weights(conv)?;
    let y = Flex::conv2d(x.clone(), kernel.clone(), Some(bias.clone()), options.clone());
    let [n, filters, h, w] = y.shape().dims();
    let grad = data::channels_first(&data::tensor(Role::Gradient, &[n, h, w, filters])?)?;
    let grad = tensor(grad, [n, filters, h, w]);
    let step = move || {
        let [x, kernel, grad] = [&x, &kernel, &grad].map(FlexTensor::clone);
        black_box(Flex::conv2d(x.clone(), kernel.clone(), Some(bias.clone()), options.clone()));
        let dx = Flex::conv2d_x_backward(x.clone(), kernel.clone(), grad.clone(), options.clone());
        let dkernel = Flex::conv2d_weight_backward(x.clone(), kernel, grad.clone(), options.clone());
        Ok([dx, dkernel, Flex::conv2d_bias_backward(x, bias.clone(), grad)])
    };
    Prepared::new(step, |grads| {
        Ok(grads.into_iter().flat_map(|y| y.into_data().iter::<f32>().collect::<Vec<_>>()).collect())
    })
}

fn prepared(mut run: impl FnMut() -> FlexTensor + 'static) -> Result<Prepared> {
    Prepared::new(move || Ok(run()), |y| Ok(y.into_data().iter::<f32>().collect()))
}

fn tensor<const RANK: usize>(numbers: Vec<f32>, shape: [usize; RANK]) -> FlexTensor {
    FlexTensor::from_data(TensorData::new(numbers, shape))
}

fn weights(conv: &Conv) -> Result<(FlexTensor, FlexTensor, ConvOptions<2>)> {
    let shape @ [kh, kw, channels, filters] = kernel_shape(conv);
    let kernel = data::filters_first(&data::tensor(Role::Kernel, &shape)?)?;
    let bias = data::tensor(Role::Bias, &[filters])?.into_vec();
    let [top, bottom, left, right] = conv.pads;
    let options = ConvOptions {
        stride: [conv.stride; 2],
        padding: [(top, bottom), (left, right)],
        dilation: [conv.dilation; 2],
        groups: conv.groups,
    };
    Ok((tensor(kernel, [filters, channels, kh, kw]), tensor(bias, [filters]), options))
}

fn pooled(x: FlexTensor, pool: &Pool, [n, c, h, w]: [usize; 4]) -> FlexTensor {
    let (size, stride, pad) = ([pool.size; 2], [pool.stride; 2], [pool.pad; 2]);
    match pool.kind {
        PoolKind::Max => Flex::max_pool2d(x, size, stride, pad, [1; 2], false),
        PoolKind::Average => Flex::avg_pool2d(x, size, stride, pad, [1; 2], false, false),
        PoolKind::GlobalAverage => Flex::adaptive_avg_pool2d(x, [1; 2]),
        PoolKind::GlobalMax => Flex::float_max_dim(Flex::float_reshape(x, Shape::new([n, c, h * w])), 2),
    }
}
