//! rten: an ONNX model of one node, optimised, with prepacked weights and a thread pool of its own.

use std::sync::Arc;

use rten::{ModelOptions, RunOptions, ThreadPool};
use rten_tensor::NdTensor;
use rten_tensor::prelude::*;

use super::{Layer, Prepared, Setup};
use crate::Result;
use crate::data::{self, Role};

pub fn prepare(name: &str, layer: &Layer, setup: &Setup) -> Result<Prepared> {
    let model = ModelOptions::with_all_ops()
        .prepack_weights(true)
        .load_file(setup.models.join(format!("{name}.onnx")))?;
    let pool = Arc::new(ThreadPool::with_num_threads(setup.threads));
    let [n, h, w, c] = layer.input();
    let x = data::tensor(Role::Input, &[n, h, w, c])?;
    let x = NdTensor::from_data([n, c, h, w], data::channels_first(&x)?);
    let run = move || {
        let options = RunOptions::default().with_thread_pool(Some(Arc::clone(&pool)));
        Ok(model.run_one(x.view().into(), Some(options))?)
    };
    Prepared::new(run, |y| {
        let y: rten_tensor::Tensor<f32> = y.try_into()?;
        Ok(y.to_vec())
    })
}
