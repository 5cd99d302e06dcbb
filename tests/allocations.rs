//! Inference into a tensor that is there already asks for no memory, whatever the algorithm: scratch is kept, and so are
//! packed weights.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use striate::{Accuracy, Conv2D, Layer, Padding, Result, Rng, Tensor};

thread_local! {
    static REQUESTS: Cell<usize> = const { Cell::new(0) };
}

/// The system's allocator, counting what this thread asks for.
struct Counting;

// SAFETY: everything is passed on to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let _ = REQUESTS.try_with(|requests| requests.set(requests.get() + 1));
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
    });
}
