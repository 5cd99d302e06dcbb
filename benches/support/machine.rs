//! What this machine can do at most: fused multiply-adds a second, and bytes a second of each level of memory.

#![allow(unsafe_code)] // to call functions compiled for the instructions that the machine turns out to have

#[cfg(target_arch = "aarch64")]
use std::arch::aarch64::*;
#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::*;
use std::hint::black_box;
use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

/// The limits of so many threads together.
#[derive(Clone, Debug)]
pub struct Machine {
    /// The widest instructions there are.
    pub instructions: &'static str,
    /// Operations a second on single-precision numbers; a fused multiply-add is two.
    pub flops: f64,
    /// Sizes of data in bytes, from small to large, and how many bytes of such data are read or written a second.
    pub bandwidths: Vec<(usize, f64)>,
}

/// For each of these there are machines whose nearest memory that holds so many bytes is another one.
const SIZES: [usize; 5] = [16 << 10, 256 << 10, 2 << 20, 16 << 20, 256 << 20];

/// How often each limit is measured, and for how long: the highest counts. Short tries fit between the turns that the
/// system gives to other programs.
const TRIES: usize = 30;
const TRY: Duration = Duration::from_millis(2);

/// Bytes of data to go through between two looks at the clock.
const BYTES_A_CALL: usize = 1 << 18;
/// Rounds of multiply-adds between two looks at the clock.
const ROUNDS_A_CALL: usize = 2_000;

impl Machine {
    /// Measures, for about two seconds.
    pub fn measure(threads: usize) -> Machine {
        let kernels = Kernels::widest();
        Machine {
            instructions: kernels.instructions,
            flops: kernels.flops(threads),
            bandwidths: SIZES.map(|size| (size, kernels.bandwidth(threads, size))).to_vec(),
        }
    }
}

/// How much a second all threads do together, when a call of `make()`'s result does `amount`.
fn rate<F: FnMut()>(threads: usize, amount: f64, make: impl Fn() -> F + Sync) -> f64 {
    let start = Barrier::new(threads);
    let tries = || {
        let mut call = make();
        call();
        [(); TRIES].map(|()| {
            start.wait();
            let (mut calls, clock) = (0_u32, Instant::now());
            while clock.elapsed() < TRY {
                call();
                calls += 1;
            }
            f64::from(calls) * amount / clock.elapsed().as_secs_f64()
        })
    };
    let rates: Vec<[f64; TRIES]> = thread::scope(|scope| {
        let running: Vec<_> = (0..threads).map(|_| scope.spawn(tries)).collect();
        running.into_iter().filter_map(|thread| thread.join().ok()).collect()
    });
    let together = |i: usize| rates.iter().map(|tries| tries[i]).sum::<f64>();
    (0..TRIES).map(together).fold(0.0, f64::max)
}

/// What keeps a processor as busy as it can be, compiled for some instructions.
struct Kernels {
    instructions: &'static str,
    /// Goes so many rounds, each a multiply-add in every one of some chains. Within a chain each waits for its
    /// predecessor; there are enough chains to keep all units at work meanwhile, and few enough that compilers hold all in
    /// registers.
    chains: fn(rounds: usize) -> f32,
    flops_a_round: usize,
    /// Writes half of each number to where it belongs. (The standard library's copying is not what computing
    /// kernels do: some processors have instructions for it.)
    halve: fn(from: &[f32], to: &mut [f32]),
}

impl Kernels {
    /// For the widest instructions that the processor has.
    #[cfg(target_arch = "x86_64")]
    fn widest() -> Kernels {
        if is_x86_feature_detected!("avx512f") {
            return Kernels {
                instructions: "AVX-512",
                // SAFETY: the processor has the instructions that the function is compiled for.
                chains: |rounds| unsafe { avx512_chains(rounds) },
                flops_a_round: 2 * 12 * 16,
                // SAFETY: as above.
                halve: |from, to| unsafe { avx512_halve(from, to) },
            };
        }
        if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
            return Kernels {
                instructions: "AVX2 and FMA",
                // SAFETY: the processor has the instructions that the function is compiled for.
                chains: |rounds| unsafe { avx2_chains(rounds) },
                flops_a_round: 2 * 12 * 8,
                // SAFETY: as above.
                halve: |from, to| unsafe { avx2_halve(from, to) },
            };
        }
        Kernels {
            instructions: "SSE2",
            // SAFETY: every x86-64 processor has SSE2.
            chains: |rounds| unsafe { sse2_chains(rounds) },
            flops_a_round: 2 * 12 * 4,
            halve: baseline_halve,
        }
    }

    #[cfg(target_arch = "aarch64")]
    fn widest() -> Kernels {
        Kernels {
            instructions: "NEON",
            // SAFETY: every 64-bit Arm processor that the standard library is built for has NEON.
            chains: |rounds| unsafe { neon_chains(rounds) },
            flops_a_round: 2 * 16 * 4,
            halve: baseline_halve,
        }
    }

    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    fn widest() -> Kernels {
        Kernels {
            instructions: "none in particular",
            chains: plain_chains,
            flops_a_round: 2 * 12,
            halve: baseline_halve,
        }
    }

    /// Operations a second.
    fn flops(&self, threads: usize) -> f64 {
        let chains = self.chains;
        rate(threads, (ROUNDS_A_CALL * self.flops_a_round) as f64, || {
            move || {
                black_box(chains(black_box(ROUNDS_A_CALL)));
            }
        })
    }

    /// Bytes read and written a second, when each thread goes through its own part of so many bytes.
    fn bandwidth(&self, threads: usize, size: usize) -> f64 {
        let halve = self.halve;
        let numbers = (size / threads / 2 / size_of::<f32>()).max(1);
        let repetitions = (BYTES_A_CALL / size).max(1);
        rate(threads, (2 * numbers * size_of::<f32>() * repetitions) as f64, || {
            let (from, mut to) = (vec![1.0; numbers], vec![2.0; numbers]);
            move || {
                for _ in 0..repetitions {
                    halve(black_box(&from), black_box(&mut to));
                }
            }
        })
    }
}

macro_rules! halve {
    ($(#[$attribute:meta])* $name:ident) => {
        $(#[$attribute])*
        fn $name(from: &[f32], to: &mut [f32]) {
            for (to, from) in to.iter_mut().zip(from) {
                *to = 0.5 * from;
            }
        }
    };
}

macro_rules! chains {
    ($(#[$attribute:meta])* $name:ident, $count:literal, $splat:expr, $first:expr, |$sum:ident, $factor:ident| $next:expr) => {
        $(#[$attribute])*
        fn $name(rounds: usize) -> f32 {
            let ($factor, start) = ($splat(black_box(0.5)), $splat(black_box(1.0)));
            let mut sums = [start; $count];
            for _ in 0..rounds {
                for sum in &mut sums {
                    let $sum = *sum;
                    *sum = $next;
                }
            }
            let mut total = 0.0;
            for sum in sums {
                total += $first(sum);
            }
            total
        }
    };
}

halve! { baseline_halve }

#[cfg(target_arch = "x86_64")]
halve! {
    #[target_feature(enable = "avx512f")]
    avx512_halve
}

#[cfg(target_arch = "x86_64")]
halve! {
    #[target_feature(enable = "avx2")]
    avx2_halve
}

#[cfg(target_arch = "x86_64")]
chains! {
    #[target_feature(enable = "avx512f")]
    avx512_chains, 12, _mm512_set1_ps, _mm512_cvtss_f32, |sum, factor| _mm512_fmadd_ps(sum, factor, factor)
}

#[cfg(target_arch = "x86_64")]
chains! {
    #[target_feature(enable = "avx2,fma")]
    avx2_chains, 12, _mm256_set1_ps, _mm256_cvtss_f32, |sum, factor| _mm256_fmadd_ps(sum, factor, factor)
}

#[cfg(target_arch = "x86_64")]
chains! {
    #[target_feature(enable = "sse2")]
    sse2_chains, 12, _mm_set1_ps, _mm_cvtss_f32, |sum, factor| _mm_add_ps(_mm_mul_ps(sum, factor), factor)
}

#[cfg(target_arch = "aarch64")]
chains! {
    #[target_feature(enable = "neon")]
    neon_chains, 16, vdupq_n_f32, vgetq_lane_f32::<0>, |sum, factor| vfmaq_f32(factor, sum, factor)
}

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
chains! { plain_chains, 12, |x: f32| x, |x: f32| x, |sum, factor| sum * factor + factor }
