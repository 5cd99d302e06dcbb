//! The types of number that files hold, and the way from their bytes to elements and back.

use std::fmt;
use std::io::{self, Read, Write};

use crate::memory::reserve;
use crate::{Element, Error, ErrorKind, Result};

/// How a file stores a number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Number {
    F16,
    // NumPy has no such type.
    #[cfg_attr(not(feature = "safetensors"), allow(dead_code))]
    BF16,
    F32,
    F64,
    U64,
    /// Any other type, by its name in the file.
    Other(String),
}

impl Number {
    /// The bytes of one number; `None` for those that are not read.
    pub(super) fn bytes(&self) -> Option<usize> {
        match self {
            Number::F16 | Number::BF16 => Some(2),
            Number::F32 => Some(4),
            Number::F64 | Number::U64 => Some(8),
            Number::Other(_) => None,
        }
    }

    /// Whether weights may be stored so.
    pub(super) fn is_float(&self) -> bool {
        matches!(self, Number::F16 | Number::BF16 | Number::F32 | Number::F64)
    }

    /// How the elements of a tensor are stored.
    pub(super) fn of<T: Element>() -> Self {
        if size_of::<T>() == size_of::<f32>() { Number::F32 } else { Number::F64 }
    }
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Number::F16 => "f16",
            Number::BF16 => "bf16",
            Number::F32 => "f32",
            Number::F64 => "f64",
            Number::U64 => "u64",
            Number::Other(name) => name,
        })
    }
}

/// The numbers of one tensor, ready to be read.
pub(super) struct Stream<'a> {
    pub(super) source: &'a mut dyn Read,
    pub(super) number: &'a Number,
    pub(super) len: usize,
    pub(super) big_endian: bool,
    /// Whether the file is known to be long enough for `len` numbers: then memory for all is reserved at once.
    pub(super) certain: bool,
}

impl Stream<'_> {
    /// The floats, as `T`.
    pub(super) fn floats<T: Element>(self) -> Result<Vec<T>> {
        match self.number {
            Number::F16 => self.numbers(|bytes| narrow(half(u16::from_le_bytes(bytes)))),
            Number::BF16 => self.numbers(|bytes| {
                narrow(f64::from(f32::from_bits(u32::from(u16::from_le_bytes(bytes)) << 16)))
            }),
            Number::F32 => self.numbers(|bytes| narrow(f64::from(f32::from_le_bytes(bytes)))),
            Number::F64 => self.numbers(|bytes| narrow(f64::from_le_bytes(bytes))),
            other => Err(failed("floats: f16, bf16, f32 or f64", other)),
        }
    }

    /// The whole numbers.
    pub(super) fn counts(self) -> Result<Vec<u64>> {
        match self.number {
            Number::U64 => self.numbers(|bytes| Ok(u64::from_le_bytes(bytes))),
            other => Err(failed("whole numbers, u64", other)),
        }
    }

    /// All numbers, each of `N` bytes that `convert` takes in little-endian order. Memory grows with what has come.
    fn numbers<N: Copy, const B: usize>(self, convert: impl Fn([u8; B]) -> Result<N>) -> Result<Vec<N>> {
        const PIECE: usize = 1 << 16;
        let mut numbers = Vec::new();
        if self.certain {
            reserve(&mut numbers, "read", &[self.len])?;
        }
        let mut bytes = vec![0; PIECE];
        while numbers.len() < self.len {
            let count = (self.len - numbers.len()).min(PIECE / B);
            let bytes = &mut bytes[..count * B];
            self.source.read_exact(bytes).map_err(|e| failed("a tensor's numbers", e))?;
            let more = numbers.try_reserve(count);
            more.map_err(|_| Error::size("read", "a size that fits in memory", self.len))?;
            for chunk in bytes.as_chunks_mut::<B>().0 {
                if self.big_endian {
                    chunk.reverse();
                }
                numbers.push(convert(*chunk)?);
            }
        }
        Ok(numbers)
    }
}

/// Writes elements in little-endian order.
pub(super) fn write_floats<T: Element>(out: &mut dyn Write, values: &[T]) -> io::Result<()> {
    match Number::of::<T>() {
        Number::F32 => write_numbers(out, values, |x| (x.to_double() as f32).to_le_bytes()),
        _ => write_numbers(out, values, |x| x.to_double().to_le_bytes()),
    }
}

/// Writes numbers, each as the bytes that `convert` makes of it.
pub(super) fn write_numbers<N: Copy, const B: usize>(
    out: &mut dyn Write,
    values: &[N],
    convert: impl Fn(N) -> [u8; B],
) -> io::Result<()> {
    const PIECE: usize = 1 << 13;
    let mut bytes = Vec::with_capacity(PIECE * B);
    for piece in values.chunks(PIECE) {
        bytes.clear();
        piece.iter().for_each(|&value| bytes.extend_from_slice(&convert(value)));
        out.write_all(&bytes)?;
    }
    Ok(())
}

/// The value as `T`, unless it is too large for that.
fn narrow<T: Element>(value: f64) -> Result<T> {
    let narrowed = T::of(value);
    if narrowed.is_finite() || !value.is_finite() {
        return Ok(narrowed);
    }
    Err(Error::value("read", format_args!("numbers that fit {}", T::NAME), format_args!("{value:e}")))
}

/// The value of a half-precision number (IEEE 754 binary16): 1 bit for the sign, 5 for the exponent, 10 for the fraction.
fn half(bits: u16) -> f64 {
    let fraction = f64::from(bits & 0x3ff);
    let magnitude = match (bits >> 10) & 0x1f {
        0 => fraction / f64::from(1 << 24),
        31 if fraction == 0.0 => f64::INFINITY,
        31 => f64::NAN,
        exponent => (1024.0 + fraction) * 2_f64.powi(i32::from(exponent) - 25),
    };
    if bits >> 15 == 1 { -magnitude } else { magnitude }
}

/// The error that reading what was `expected` ended in.
pub(super) fn failed(expected: &str, got: impl fmt::Display) -> Error {
    Error::new(ErrorKind::File, "read", expected, got)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read<T: Element>(number: Number, bytes: &[u8], len: usize, big_endian: bool) -> Result<Vec<T>> {
        Stream { source: &mut &bytes[..], number: &number, len, big_endian, certain: true }.floats()
    }

    #[test]
    fn half_precision_is_read_exactly() {
        let cases = [
            (0x0000, 0.0),
            (0x8000, -0.0),
            (0x0001, 2.0_f64.powi(-24)),
            (0x03ff, 1023.0 / 16_777_216.0),
            (0x0400, 2.0_f64.powi(-14)),
            (0x3555, 1365.0 / 4096.0),
            (0x3c00, 1.0),
            (0xc000, -2.0),
            (0x7bff, 65504.0),
            (0x7c00, f64::INFINITY),
            (0xfc00, f64::NEG_INFINITY),
        ];
        for (bits, value) in cases {
            assert_eq!(half(bits).to_bits(), value.to_bits(), "{bits:#06x}");
        }
        assert!(half(0x7e01).is_nan());
        let bits: Vec<u8> = cases.iter().flat_map(|(bits, _)| u16::to_be_bytes(*bits)).collect();
        let values: Vec<f64> = read(Number::F16, &bits, cases.len(), true).unwrap();
        assert_eq!(values, cases.map(|(_, value)| value));
    }

    #[test]
    fn every_type_is_read_in_either_order_and_precision() {
        let value = -1.5_f64;
        let forms: [(Number, Vec<u8>); 4] = [
            (Number::F16, 0xbe00_u16.to_le_bytes().to_vec()),
            (Number::BF16, 0xbfc0_u16.to_le_bytes().to_vec()),
            (Number::F32, (-1.5_f32).to_le_bytes().to_vec()),
            (Number::F64, value.to_le_bytes().to_vec()),
        ];
        for (number, bytes) in forms {
            let big: Vec<u8> = bytes.iter().rev().copied().collect();
            assert_eq!(read::<f64>(number.clone(), &bytes, 1, false).unwrap(), [value]);
            assert_eq!(read::<f32>(number.clone(), &big, 1, true).unwrap(), [value as f32]);
            assert_eq!(read::<f32>(number, &bytes, 2, false).unwrap_err().kind(), ErrorKind::File);
        }
    }

    #[test]
    fn numbers_too_large_for_the_model_are_errors() {
        let bytes = [1e39_f64.to_le_bytes(), f64::INFINITY.to_le_bytes()].concat();
        assert_eq!(read::<f32>(Number::F64, &bytes, 2, false).unwrap_err().kind(), ErrorKind::Value);
        assert_eq!(read::<f32>(Number::F64, &bytes[8..], 1, false).unwrap(), [f32::INFINITY]);
        assert_eq!(read::<f64>(Number::F64, &bytes, 2, false).unwrap(), [1e39, f64::INFINITY]);
    }

    #[test]
    fn memory_is_not_asked_for_before_the_numbers_come() {
        let source = &mut &[0_u8; 100][..];
        let len = 1 << (usize::BITS - 14);
        let lie = Stream { source, number: &Number::F32, len, big_endian: false, certain: false };
        assert_eq!(lie.floats::<f32>().unwrap_err().kind(), ErrorKind::File);
    }

    #[test]
    fn written_numbers_come_back() {
        let values: Vec<f64> = (0..20_000).map(|i| f64::from(i).sin()).collect();
        let mut bytes = Vec::new();
        write_floats(&mut bytes, &values).unwrap();
        assert_eq!(read::<f64>(Number::F64, &bytes, values.len(), false).unwrap(), values);
    }
}
