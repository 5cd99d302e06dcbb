//! Which instruction set the kernels use.

use std::fmt;
use std::str::FromStr;
use std::sync::atomic::{AtomicU8, Ordering};

use super::SimdElement;
use crate::{Error, ErrorKind, Result};

/// An instruction set that kernels exist for, from the slowest to the fastest.
///
/// ```
/// assert_eq!("avx2".parse(), Ok(striate::Isa::Avx2));
/// assert!("mmx".parse::<striate::Isa>().is_err());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Isa {
    /// Plain Rust that runs everywhere; called `scalar` in [`STRIATE_ISA`](isa).
    Scalar,
    /// WebAssembly compiled with `-C target-feature=+simd128`: vectors of 4 `f32`.
    Simd128,
    /// 64-bit ARM: vectors of 4 `f32`, with FMA.
    Neon,
    /// x86-64 with AVX2 and FMA: vectors of 8 `f32`.
    Avx2,
    /// x86-64 with AVX-512F: vectors of 16 `f32`.
    Avx512,
}

impl Isa {
    /// Every instruction set, whether this machine has it or not.
    pub const ALL: [Isa; 5] = [Isa::Scalar, Isa::Simd128, Isa::Neon, Isa::Avx2, Isa::Avx512];

    /// Whether this machine has it.
    ///
    /// ```
    /// assert!(striate::Isa::Scalar.is_available());
    /// ```
    pub fn is_available(self) -> bool {
        f32::vectors(self).isa == self
    }

    fn name(self) -> &'static str {
        match self {
            Isa::Scalar => "scalar",
            Isa::Simd128 => "simd128",
            Isa::Neon => "neon",
            Isa::Avx2 => "avx2",
            Isa::Avx512 => "avx512",
        }
    }
}

impl fmt::Display for Isa {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Isa {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        let found = Self::ALL.into_iter().find(|isa| isa.name().eq_ignore_ascii_case(name));
        found.ok_or_else(|| {
            let names = Self::ALL.map(Self::name).join(", ");
            Error::new(ErrorKind::Argument, "isa", format_args!("one of {names}"), format_args!("{name:?}"))
        })
    }
}

/// The chosen instruction set as an index into `Isa::ALL`, or `UNKNOWN`.
static CHOSEN: AtomicU8 = AtomicU8::new(UNKNOWN);
const UNKNOWN: u8 = u8::MAX;

/// The instruction set that kernels use: the fastest that this machine has, unless the environment variable
/// `STRIATE_ISA` (`scalar`, `simd128`, `neon`, `avx2` or `avx512`, read once) or [`force_isa`] says otherwise. A `STRIATE_ISA` that is
/// misspelt or that the machine does not have is passed over.
///
/// ```
/// assert!(striate::isa().is_available());
/// ```
pub fn isa() -> Isa {
    match Isa::ALL.get(usize::from(CHOSEN.load(Ordering::Relaxed))) {
        Some(&isa) => isa,
        None => {
            let isa = detect();
            // Two threads that come here at the same time find the same; what one has forced meanwhile stays.
            match CHOSEN.compare_exchange(UNKNOWN, isa as u8, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => isa,
                Err(forced) => Isa::ALL.get(usize::from(forced)).copied().unwrap_or(isa),
            }
        }
    }
}

fn detect() -> Isa {
    let wanted = std::env::var("STRIATE_ISA").ok().and_then(|name| name.parse::<Isa>().ok());
    let best = || Isa::ALL.into_iter().rev().find(|isa| isa.is_available());
    wanted.filter(|isa| isa.is_available()).or_else(best).unwrap_or(Isa::Scalar)
}

/// Makes kernels use `isa` from now on, in the whole process: for tests and for measurements. Layers that have
/// already prepared their weights for another instruction set go on using that one for them.
///
/// # Errors
/// [`ErrorKind::Argument`] if this machine does not have it.
///
/// ```standalone_crate
/// use striate::Isa;
/// let before = striate::isa();
/// striate::force_isa(Isa::Scalar)?;
/// assert_eq!(striate::isa(), Isa::Scalar);
/// striate::force_isa(before)?;
/// # Ok::<(), striate::Error>(())
/// ```
pub fn force_isa(isa: Isa) -> Result<()> {
    if !isa.is_available() {
        return Err(Error::argument("force_isa", "an instruction set of this machine", isa));
    }
    CHOSEN.store(isa as u8, Ordering::Relaxed);
    Ok(())
}
