//! candle: `candle_nn::Conv2d`, and the tensors' pooling, channels first.

use candle_core::{Device, Tensor, Var};
use candle_nn::{Conv2d, Conv2dConfig, Module};

use super::{Layer, Prepared, Setup, kernel_shape};
use crate::Result;
use crate::data::{self, Role};
use crate::suite::{Conv, Pool, PoolKind};

pub fn prepare(_: &str, layer: &Layer, _: &Setup) -> Result<Prepared> {
    let [n, h, w, c] = layer.input();
    let x = data::channels_first(&data::tensor(Role::Input, &[n, h, w, c])?)?;
    let x = Tensor::from_vec(x, (n, c, h, w), &Device::Cpu)?;
    match *layer {
        Layer::Conv(conv) => {
            let layer = convolution(&conv)?;
            prepared(move || layer.forward(&x))
        }
        Layer::Training(conv) => training(&conv, &x),
        Layer::Pool(Pool { kind: PoolKind::Average, pad: 1.., .. }) => {
            Err("average pooling has no padding".into())
        }
        Layer::Pool(pool) => prepared(move || pooled(&x, &pool)),
        Layer::Network(..) => Err("it reads no ONNX files".into()),
        Layer::Step(..) => Err("only striate and PyTorch are set to train whole networks".into()),
    }
}

fn prepared(mut run: impl FnMut() -> candle_core::Result<Tensor> + 'static) -> Result<Prepared> {
    Prepared::new(move || Ok(run()?), |y| Ok(y.flatten_all()?.to_vec1()?))
}

/// The gradients of the sum of outputs times their gradient.
fn training(conv: &Conv, x: &Tensor) -> Result<Prepared> {
    let layer = convolution(conv)?;
    let (x, kernel) = (Var::from_tensor(x)?, Var::from_tensor(layer.weight())?);
    let bias = Var::from_tensor(layer.bias().ok_or("a layer without a bias")?)?;
    let layer = Conv2d::new(kernel.as_tensor().clone(), Some(bias.as_tensor().clone()), *layer.config());
    let (n, filters, h, w) = layer.forward(&x)?.dims4()?;
    let grad = data::channels_first(&data::tensor(Role::Gradient, &[n, h, w, filters])?)?;
    let grad = Tensor::from_vec(grad, (n, filters, h, w), &Device::Cpu)?;
    let step = move || {
        let grads = (layer.forward(&x)? * &grad)?.sum_all()?.backward()?;
        let grad = |of: &Var| grads.get(of).cloned().ok_or("no gradient");
        Ok(vec![grad(&x)?, grad(&kernel)?, grad(&bias)?])
    };
    Prepared::new(step, |grads| {
        let numbers = grads.iter().map(|grad| Ok(grad.flatten_all()?.to_vec1()?));
        Ok(numbers.collect::<Result<Vec<Vec<f32>>>>()?.concat())
    })
}

fn convolution(conv: &Conv) -> Result<Conv2d> {
    let [pad, ..] = conv.pads;
    if conv.pads != [pad; 4] {
        return Err("the same padding on all sides is all there is".into());
    }
    let shape @ [kh, kw, channels, filters] = kernel_shape(conv);
    let kernel = data::filters_first(&data::tensor(Role::Kernel, &shape)?)?;
    let kernel = Tensor::from_vec(kernel, (filters, channels, kh, kw), &Device::Cpu)?;
    let bias = Tensor::from_vec(data::tensor(Role::Bias, &[filters])?.into_vec(), filters, &Device::Cpu)?;
    let config = Conv2dConfig {
        padding: pad,
        stride: conv.stride,
        dilation: conv.dilation,
        groups: conv.groups,
        ..Conv2dConfig::default()
    };
    Ok(Conv2d::new(kernel, Some(bias), config))
}

fn pooled(x: &Tensor, pool: &Pool) -> candle_core::Result<Tensor> {
    match pool.kind {
        PoolKind::Max if pool.pad > 0 => {
            // Repeating the edge adds nothing to a maximum over windows that reach it.
            let x = x.pad_with_same(2, pool.pad, pool.pad)?.pad_with_same(3, pool.pad, pool.pad)?;
            x.max_pool2d_with_stride(pool.size, pool.stride)
        }
        PoolKind::Max => x.max_pool2d_with_stride(pool.size, pool.stride),
        PoolKind::Average => x.avg_pool2d_with_stride(pool.size, pool.stride),
        PoolKind::GlobalAverage => x.flatten_from(2)?.mean(2),
        PoolKind::GlobalMax => x.flatten_from(2)?.max(2),
    }
}
