//! tract: an ONNX model of one node, optimised for its input's shape; its matrix products on so many threads.

use tract_linalg::multithread::{self, Executor};
use tract_onnx::prelude::*;

use super::{Layer, Prepared, Setup};
use crate::data::{self, Role};

pub fn prepare(name: &str, layer: &Layer, setup: &Setup) -> crate::Result<Prepared> {
    if setup.threads > 1 {
        multithread::set_default_executor(Executor::multithread(setup.threads));
    }
    let [n, h, w, c] = layer.input();
    let model = tract_onnx::onnx()
        .model_for_path(setup.models.join(format!("{name}.onnx")))?
        .with_input_fact(0, f32::fact([n, c, h, w]).into())?
        .into_optimized()?
        .into_runnable()?;
    let x = data::tensor(Role::Input, &[n, h, w, c])?;
    let x: TValue = Tensor::from_shape(&[n, c, h, w], &data::channels_first(&x)?)?.into();
    Prepared::new(
        move || Ok(model.run(tvec!(x.clone()))?),
        |y| Ok(y[0].to_plain_array_view::<f32>()?.iter().copied().collect()),
    )
}
