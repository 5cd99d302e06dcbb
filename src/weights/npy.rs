//! NumPy's `.npy` format: a magic string, a Python dictionary of three entries, the array's numbers.

use std::io::{self, Read, Write};

use super::archive::Entry;
use super::number::{Number, failed};
use super::write::Item;
use crate::memory::len_of;
use crate::{Element, Result};

const MAGIC: [u8; 6] = *b"\x93NUMPY";
/// More than a dictionary of 32 axes takes; NumPy itself reads no more than 10,000 bytes.
const LONGEST_LIST: usize = 1 << 16;

/// What a file of `length` bytes holds; `source` stands at its start, and in the end where the numbers begin.
pub(super) fn entry(source: &mut dyn Read, length: u64) -> Result<Entry> {
    let io = |error| failed("the start of a .npy file", error);
    let mut start = [0; 8];
    source.read_exact(&mut start).map_err(io)?;
    let [magic @ .., major, _minor] = start;
    if magic != MAGIC {
        return Err(failed("the start of a .npy file", format_args!("{magic:02x?}")));
    }
    let mut size = [0; 4];
    let bytes = match major {
        1 => 2,
        2 | 3 => 4,
        other => return Err(failed("version 1, 2 or 3 of .npy", other)),
    };
    source.read_exact(&mut size[..bytes]).map_err(io)?;
    let size = u32::from_le_bytes(size) as usize;
    if size > LONGEST_LIST {
        return Err(failed("64 KiB of .npy header at most", format_args!("{size} bytes")));
    }
    let mut text = vec![0; size];
    source.read_exact(&mut text).map_err(io)?;
    let mut entry = Parser { text: &text }.entry()?;
    entry.place = (start.len() + bytes + size) as u64;
    check_length(&entry, length)?;
    Ok(entry)
}

/// Checks that numbers of this shape fill the rest of the file.
fn check_length(entry: &Entry, length: u64) -> Result<()> {
    let len = len_of("read", &entry.shape)? as u64;
    let rest = length.saturating_sub(entry.place);
    match entry.number.bytes() {
        Some(bytes) if len.checked_mul(bytes as u64) != Some(rest) => {
            Err(failed(&format!("{len} numbers of {}", entry.number), format_args!("{rest} bytes")))
        }
        _ => Ok(()),
    }
}

/// Reads the dictionary, `{'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }`, from left to right.
struct Parser<'a> {
    text: &'a [u8],
}

impl Parser<'_> {
    fn entry(mut self) -> Result<Entry> {
        let (mut number, mut columns_first, mut shape) = (None, None, None);
        self.expect(b'{')?;
        while !self.skip(b'}') {
            let key = self.string()?;
            self.expect(b':')?;
            let fresh = match &key[..] {
                "descr" => number.replace(self.string()?).is_none(),
                "fortran_order" => columns_first.replace(self.boolean()?).is_none(),
                "shape" => shape.replace(self.tuple()?).is_none(),
                _ => false,
            };
            if !fresh {
                return Err(failed("descr, fortran_order and shape, each once", format_args!("{key:?}")));
            }
            if !self.skip(b',') {
                self.expect(b'}')?;
                break;
            }
        }
        let (Some(descr), Some(columns_first), Some(shape)) = (number, columns_first, shape) else {
            return Err(failed("descr, fortran_order and shape", "less"));
        };
        let (big_endian, number) = number_of(&descr);
        Ok(Entry { number, big_endian, columns_first, shape, place: 0 })
    }

    /// The next character that is not white space, without passing it.
    fn peek(&mut self) -> Option<u8> {
        self.text = self.text.trim_ascii_start();
        self.text.first().copied()
    }

    /// Passes this character, if it comes next.
    fn skip(&mut self, character: u8) -> bool {
        let there = self.peek() == Some(character);
        if there {
            self.text = &self.text[1..];
        }
        there
    }

    fn expect(&mut self, character: u8) -> Result<()> {
        if self.skip(character) { Ok(()) } else { Err(self.stuck(&format!("{:?}", char::from(character)))) }
    }

    /// Passes all characters for which `inside` holds.
    fn run(&mut self, inside: impl Fn(&u8) -> bool) -> &[u8] {
        let end = self.text.iter().position(|c| !inside(c)).unwrap_or(self.text.len());
        let (run, rest) = self.text.split_at(end);
        self.text = rest;
        run
    }

    fn string(&mut self) -> Result<String> {
        let quote = match self.peek() {
            Some(quote @ (b'\'' | b'"')) => quote,
            _ => return Err(self.stuck("a string")),
        };
        self.expect(quote)?;
        let string = String::from_utf8_lossy(self.run(|&c| c != quote)).into_owned();
        self.expect(quote)?;
        Ok(string)
    }

    fn boolean(&mut self) -> Result<bool> {
        self.peek();
        match self.run(u8::is_ascii_alphabetic) {
            b"True" => Ok(true),
            b"False" => Ok(false),
            _ => Err(self.stuck("True or False")),
        }
    }

    /// A tuple of whole numbers: `()`, `(3,)`, `(3, 4)`.
    fn tuple(&mut self) -> Result<Vec<usize>> {
        let mut numbers = Vec::new();
        self.expect(b'(')?;
        while !self.skip(b')') {
            self.peek();
            let digits = self.run(u8::is_ascii_digit);
            let number = std::str::from_utf8(digits).ok().and_then(|digits| digits.parse().ok());
            numbers.push(number.ok_or_else(|| self.stuck("a size that fits in memory"))?);
            if !self.skip(b',') {
                self.expect(b')')?;
                break;
            }
        }
        Ok(numbers)
    }

    fn stuck(&self, expected: &str) -> crate::Error {
        let next = String::from_utf8_lossy(&self.text[..self.text.len().min(20)]);
        failed(&format!("{expected} in a .npy header"), format_args!("{next:?}"))
    }
}

/// What NumPy's description of a type means: whether the largest byte comes first, and the type.
fn number_of(descr: &str) -> (bool, Number) {
    let (big_endian, kind) = match descr.split_at_checked(1) {
        Some((">", kind)) => (true, kind),
        Some(("<" | "|", kind)) => (false, kind),
        // In the order of the machine that wrote it, which NumPy does not write.
        _ => (false, ""),
    };
    let number = match kind {
        "f2" => Number::F16,
        "f4" => Number::F32,
        "f8" => Number::F64,
        "u8" => Number::U64,
        _ => Number::Other(format!("numbers of type {descr}")),
    };
    (big_endian, number)
}

/// Writes a file of one array.
pub(super) fn write<T: Element>(out: &mut dyn Write, item: &Item<T>) -> io::Result<()> {
    /// NumPy aligns the numbers to as many bytes.
    const ALIGNED: usize = 64;
    let descr = match item.number() {
        Number::F32 => "<f4",
        Number::F64 => "<f8",
        _ => "<u8",
    };
    let axes: String = item.shape().iter().map(|n| format!("{n}, ")).collect();
    let mut list =
        format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': ({}), }}", axes.trim_end());
    let before = MAGIC.len() + 4;
    let end = (before + list.len() + 1).next_multiple_of(ALIGNED);
    list.extend(std::iter::repeat_n(' ', end - before - list.len() - 1));
    list.push('\n');
    let size = u16::try_from(list.len()).map_err(|_| io::Error::other("too many axes for a .npy file"))?;
    out.write_all(&MAGIC)?;
    out.write_all(&[1, 0])?;
    out.write_all(&size.to_le_bytes())?;
    out.write_all(list.as_bytes())?;
    item.write_values(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Tensor;

    fn file(version: u8, header: &str, numbers: &[u8]) -> Vec<u8> {
        let size = header.len().to_le_bytes();
        let size = if version == 1 { &size[..2] } else { &size[..4] };
        [&MAGIC[..], &[version, 0], size, header.as_bytes(), numbers].concat()
    }

    fn parse(bytes: &[u8]) -> Result<Entry> {
        entry(&mut &bytes[..], bytes.len() as u64)
    }

    #[test]
    fn every_way_to_write_the_header_is_read() {
        for (version, header, shape, number, columns_first) in [
            (
                1,
                "{'descr': '<f4', 'fortran_order': False, 'shape': (1, 2), }\n",
                &[1, 2][..],
                Number::F32,
                false,
            ),
            (2, r#"{"shape":(2,),"fortran_order":True,"descr":">f4"}"#, &[2], Number::F32, true),
            (3, " { 'descr' : '<f8' , 'fortran_order' : False , 'shape' : ( ) } ", &[], Number::F64, false),
            (1, "{'descr': '<f2', 'fortran_order': False, 'shape': (4,)}", &[4], Number::F16, false),
        ] {
            let entry = parse(&file(version, header, &[0; 8])).unwrap();
            assert_eq!(
                (entry.shape.as_slice(), entry.number, entry.columns_first),
                (shape, number, columns_first)
            );
            assert_eq!(entry.big_endian, header.contains('>'));
        }
    }

    #[test]
    fn files_that_lie_are_errors() {
        let header = |shape: &str| format!("{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}}}");
        let good = file(1, &header("(2,)"), &[0; 8]);
        for end in 0..good.len() {
            assert!(parse(&good[..end]).is_err(), "cut at {end}");
        }
        for bytes in [
            file(4, &header("(2,)"), &[0; 8]),
            file(1, &header("(3,)"), &[0; 8]),
            file(1, &header("(1,)"), &[0; 8]),
            file(1, &header("(-2,)"), &[0; 8]),
            file(1, &header("(2"), &[0; 8]),
            file(1, &header("2"), &[0; 8]),
            file(1, &header("(99999999999999999999,)"), &[0; 8]),
            file(1, &header("(4294967296, 4294967296)"), &[0; 8]),
            file(1, &header("(4611686018427387904,)"), &[0; 8]),
            file(1, "{'descr': '<f4', 'fortran_order': False}", &[0; 8]),
            file(1, "{'descr': '<f4', 'descr': '<f4', 'fortran_order': False, 'shape': (2,)}", &[0; 8]),
            file(1, "{'descr': '<f4', 'fortran_order': 0, 'shape': (2,)}", &[0; 8]),
            file(1, "{'descr': [('x', '<f4')], 'fortran_order': False, 'shape': (2,)}", &[0; 8]),
            file(1, "", &[]),
            [&MAGIC[..], &[2, 0], &[0xff; 4], &[b' '; 100]].concat(),
        ] {
            assert!(parse(&bytes).is_err(), "{}", String::from_utf8_lossy(&bytes));
        }
    }

    #[test]
    fn written_headers_are_read() {
        for shape in [&[][..], &[3], &[2, 3], &[1; 32], &[0, 5]] {
            let mut bytes = Vec::new();
            write(&mut bytes, &Item::floats("x", Tensor::<f64>::zeros(shape).unwrap())).unwrap();
            let entry = parse(&bytes).unwrap();
            assert_eq!((entry.shape.as_slice(), entry.place % 64), (shape, 0));
        }
    }
}
