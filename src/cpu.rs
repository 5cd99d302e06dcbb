//! What the kernels run on.

use std::fmt;

use crate::kernels::matmul::MR;
use crate::{Element, Isa, isa};

/// What the kernels use: see [`cpu`].
///
/// ```
/// let pool = rayon::ThreadPoolBuilder::new().num_threads(3).build()?;
/// let cpu: striate::Cpu = pool.install(striate::cpu);
/// assert!(cpu.to_string().ends_with(", 3 threads"));
/// # Ok::<(), rayon::ThreadPoolBuildError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Cpu {
    isa: Isa,
    threads: usize,
}

/// What the kernels use at the moment, on the calling thread: for reports, and to see whether it is what was meant.
///
/// ```
/// let cpu = striate::cpu();
/// assert_eq!(cpu.isa(), striate::isa());
/// println!("{cpu}");    // avx2: vectors of 8 f32 or 4 f64, register tiles of 6x16 or 6x8, 2 threads
/// # assert!(cpu.to_string().starts_with(&format!("{}: vectors of {} f32", cpu.isa(), cpu.lanes::<f32>())));
/// ```
pub fn cpu() -> Cpu {
    Cpu { isa: isa(), threads: rayon::current_num_threads() }
}

impl Cpu {
    /// The instruction set.
    ///
    /// ```
    /// assert!(striate::cpu().isa().is_available());
    /// ```
    pub fn isa(&self) -> Isa {
        self.isa
    }

    /// The numbers of a vector.
    ///
    /// ```
    /// let cpu = striate::cpu();
    /// assert_eq!(cpu.lanes::<f32>(), 2 * cpu.lanes::<f64>());
    /// ```
    pub fn lanes<T: Element>(&self) -> usize {
        T::lanes(self.isa)
    }

    /// The sums that matrix products, and convolutions with them, keep in registers: rows (positions of the output) and
    /// columns (filters).
    ///
    /// ```
    /// let (rows, columns) = striate::cpu().tile::<f32>();
    /// assert_eq!(rows, 6);
    /// assert_eq!(columns % striate::cpu().lanes::<f32>(), 0);
    /// ```
    pub fn tile<T: Element>(&self) -> (usize, usize) {
        let vectors = T::vectors(self.isa);
        (MR, vectors.panel * vectors.lanes)
    }

    /// The threads of the current [rayon] pool.
    ///
    /// ```
    /// let pool = rayon::ThreadPoolBuilder::new().num_threads(3).build()?;
    /// assert_eq!(pool.install(|| striate::cpu().threads()), 3);
    /// # Ok::<(), rayon::ThreadPoolBuildError>(())
    /// ```
    pub fn threads(&self) -> usize {
        self.threads
    }
}

impl fmt::Display for Cpu {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ((rows, single), (_, double)) = (self.tile::<f32>(), self.tile::<f64>());
        write!(
            f,
            "{}: vectors of {} f32 or {} f64, register tiles of {rows}x{single} or {rows}x{double}, {} {}",
            self.isa,
            self.lanes::<f32>(),
            self.lanes::<f64>(),
            self.threads,
            if self.threads == 1 { "thread" } else { "threads" },
        )
    }
}
