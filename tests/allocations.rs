//! Inference into a tensor that is there already asks for no memory, whatever the algorithm: scratch is kept, and so are
//! packed weights. A step of training asks for lists of names and shapes alone: the memory of feature maps, gradients and
//! all else with elements is that of the step before.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use striate::train::{Adam, Loss, Optimizer, Sgd, SoftmaxCrossEntropy, Targets};
use striate::{
    Accuracy, Activation, AvgPool2D, BatchNorm, Conv2D, Dense, Dropout, Flatten, GlobalAvgPool2D, Layer,
    MaxPool2D, Padding, Residual, Result, Rng, Sequential, Tape, Tensor, sequential,
};

thread_local! {
    static REQUESTS: Cell<usize> = const { Cell::new(0) };
    static LARGEST: Cell<usize> = const { Cell::new(0) };
}

/// The system's allocator, counting what this thread asks for.
struct Counting;

// SAFETY: everything is passed on to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let _ = REQUESTS.try_with(|requests| requests.set(requests.get() + 1));
        let _ = LARGEST.try_with(|largest| largest.set(largest.get().max(layout.size())));
        // SAFETY: as for the caller.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: as for the caller.
        unsafe { System.dealloc(memory, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

fn requests(mut f: impl FnMut() -> Result<()>) -> usize {
    let before = REQUESTS.get();
    f().unwrap();
    REQUESTS.get() - before
}

/// The largest piece of memory that is asked for.
fn largest(mut f: impl FnMut() -> Result<()>) -> usize {
    LARGEST.set(0);
    f().unwrap();
    LARGEST.get()
}

/// Bytes below which a list is not worth keeping: results as small go through the allocator, too.
const LIST: usize = 16 << 10;

#[test]
fn repeated_training_asks_for_no_memory_for_elements() {
    let conv = |filters| Conv2D::new(filters, 3).padding(Padding::Same).use_bias(false);
    let relu = |filters| conv(filters).use_bias(true).activation(Activation::Relu);
    let models: [(&str, Sequential); 3] = [
        ("convolutions and pooling", {
            let features = sequential![relu(32), MaxPool2D::new(2), relu(48).strides(2), AvgPool2D::new(2)];
            sequential![features, Flatten::new(), Dense::new(300), Dropout::new(0.5), Dense::new(10)]
        }),
        ("residual blocks", {
            let block = || Residual::new(sequential![conv(32), BatchNorm::new(), Activation::Relu, conv(32)]);
            sequential![relu(32), block(), BatchNorm::new(), block(), GlobalAvgPool2D::new(), Dense::new(10)]
        }),
        ("depthwise", sequential![relu(24), relu(24).groups(24), GlobalAvgPool2D::new(), Dense::new(10)]),
    ];
    let (x, labels) = (Tensor::full(&[8, 24, 24, 3], 0.5).unwrap(), Targets::Labels((0..8).collect()));
    assert!(largest(|| Tensor::<f32>::zeros(&[LIST]).map(drop)) >= LIST, "counts nothing");
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
    pool.install(|| {
        for (what, mut model) in models {
            model.build(x.shape(), &mut Rng::seed(1)).unwrap();
            for mut optimizer in
                [Box::new(Sgd::new(0.01).momentum(0.9)) as Box<dyn Optimizer>, Box::new(Adam::new(0.001))]
            {
                let mut step = || {
                    let mut tape = Tape::new();
                    let scores = model.forward_train(x.clone(), &mut tape)?;
                    let (_, grad) = SoftmaxCrossEntropy::new().value_and_grad(&scores, &labels)?;
                    model.backward_params(grad, &mut tape)?;
                    let mut params = model.params_mut();
                    optimizer.step(&mut params)?;
                    params.iter_mut().for_each(|(_, param)| param.clear_grad());
                    Ok(())
                };
                step().unwrap();
                step().unwrap();
                for _ in 0..3 {
                    let bytes = largest(&mut step);
                    assert!(bytes < LIST, "{what}: {bytes} bytes at once");
                }
            }
        }
    });
}

#[test]
fn a_gradient_larger_than_all_that_is_kept_has_the_memory_of_the_one_before() {
    let (mut layer, x) = (Dense::<f32>::new(8200), Tensor::full(&[1, 4100], 0.5).unwrap());
    layer.build(x.shape(), &mut Rng::seed(1)).unwrap();
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
    pool.install(|| {
        let mut step = || {
            let mut tape = Tape::new();
            let grad = layer.forward_train(x.clone(), &mut tape)?;
            layer.backward_params(grad, &mut tape)?;
            layer.params_mut().into_iter().for_each(|(_, param)| param.clear_grad());
            Ok(())
        };
        assert!(largest(&mut step) > 128 << 20);
        assert!(largest(&mut step) < LIST);
    });
}

#[test]
fn repeated_inference_asks_for_no_memory() {
    let conv = |filters, kernel: usize| Conv2D::<f32>::new(filters, kernel).padding(Padding::Same);
    let layers = [
        ("few channels", 3, conv(8, 3)),
        ("implicit GEMM", 24, conv(24, 3).accuracy(Accuracy::Strict)),
        ("in place", 24, conv(32, 1)),
        ("with a stride", 24, conv(16, 3).strides(2)),
        ("patches", 4, conv(8, 2).dilation(9)),
        ("Winograd", 64, conv(64, 3)),
        ("depthwise", 24, conv(24, 3).groups(24)),
        ("depthwise with a stride", 24, conv(24, 3).groups(24).strides(2)),
        ("grouped", 24, conv(24, 3).groups(6)),
    ];
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
    pool.install(|| {
        for (what, channels, mut layer) in layers {
            let shape = [1, 20, 21, channels];
            layer.build(&shape, &mut Rng::seed(1)).unwrap();
            let (x, mut out) = (Tensor::full(&shape, 0.5).unwrap(), Tensor::default());
            assert!(requests(|| layer.forward_into(&x, &mut out)) > 0, "{what}: counts nothing");
            assert_eq!(requests(|| layer.forward_into(&x, &mut out)), 0, "{what}");
        }
        let mut pooled: Sequential = sequential![conv(32, 3), MaxPool2D::new(2)];
        let shape = [1, 150, 150, 3];
        pooled.build(&shape, &mut Rng::seed(1)).unwrap();
        let (x, mut out) = (Tensor::full(&shape, 0.5).unwrap(), Tensor::default());
        pooled.forward_into(&x, &mut out).unwrap();
        assert!(largest(|| pooled.forward_into(&x, &mut out)) < LIST, "pooled in strips");
    });
}
