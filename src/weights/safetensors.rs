//! The safetensors format: the length of a list as 8 bytes, the list in JSON, the tensors' numbers.

use std::collections::HashMap;
use std::fmt;
use std::io::{self, Read, Write};

use safetensors::tensor::{Dtype, Metadata, TensorInfo};
use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, Visitor};

use super::archive::{Entry, FORMATS};
use super::number::{Number, failed};
use super::write::Item;
use crate::memory::reserve;
use crate::{Element, Result};

/// The format's own limit for the list.
const LONGEST_LIST: u64 = 100_000_000;
/// The bytes before the list.
const START: u64 = 8;

/// The tensors of a file of `length` bytes whose first eight say that the list has `list` bytes.
pub(super) fn entries(source: &mut impl Read, list: u64, length: u64) -> Result<Vec<(String, Entry)>> {
    if list > LONGEST_LIST {
        let got = format_args!("another one (as safetensors, its list would have {list} bytes)");
        return Err(failed(&format!("a file of weights: {FORMATS}"), got));
    }
    let numbers = START + list;
    let Some(rest) = length.checked_sub(numbers) else {
        let got = format_args!("{list} bytes in a file of {length}");
        return Err(failed("a safetensors list within the file", got));
    };
    let mut bytes = Vec::new();
    reserve(&mut bytes, "read", &[list as usize])?;
    let read = source.take(numbers).read_to_end(&mut bytes);
    read.map_err(|error| failed("a safetensors list", error))?;
    let json = bytes.get(START as usize..).unwrap_or_default();
    let List(mut tensors) =
        serde_json::from_slice(json).map_err(|error| failed("a safetensors list", error))?;
    tensors.sort_by_key(|(_, info)| info.data_offsets);
    // Checks that the tensors lie side by side, each as long as its shape says.
    let checked = Metadata::new(None, tensors.clone());
    let checked = checked.map_err(|error| failed("a safetensors list that makes sense", error))?;
    if checked.data_len() as u64 != rest {
        let expected = format!("{} bytes of numbers, as the list says", checked.data_len());
        return Err(failed(&expected, rest));
    }
    Ok(tensors.into_iter().map(|(name, info)| (name, entry(info, numbers))).collect())
}

fn entry(info: TensorInfo, start: u64) -> Entry {
    let number = match info.dtype {
        Dtype::F16 => Number::F16,
        Dtype::BF16 => Number::BF16,
        Dtype::F32 => Number::F32,
        Dtype::F64 => Number::F64,
        Dtype::U64 => Number::U64,
        other => Number::Other(other.to_string()),
    };
    let place = start + info.data_offsets.0 as u64;
    Entry { number, big_endian: false, columns_first: false, shape: info.shape, place }
}

/// The list, in its own order. Unlike a map, it shows names that come twice.
struct List(Vec<(String, TensorInfo)>);

impl<'de> Deserialize<'de> for List {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        struct Names;

        impl<'de> Visitor<'de> for Names {
            type Value = List;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of tensors")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> std::result::Result<List, A::Error> {
                let (mut list, mut names) = (Vec::new(), std::collections::HashSet::new());
                while let Some(name) = map.next_key::<String>()? {
                    if !names.insert(name.clone()) {
                        return Err(A::Error::custom(format_args!("{name:?} twice")));
                    }
                    if name == "__metadata__" {
                        map.next_value::<Option<HashMap<String, String>>>()?;
                    } else {
                        list.push((name, map.next_value()?));
                    }
                }
                Ok(List(list))
            }
        }

        deserializer.deserialize_map(Names)
    }
}

/// Writes a file of these tensors, whose names differ.
pub(super) fn write<T: Element>(out: &mut dyn Write, items: &[Item<T>]) -> io::Result<()> {
    let mut items: Vec<&Item<T>> = items.iter().collect();
    // As the format's own writer: wide numbers first, so that each tensor is aligned to its numbers.
    items.sort_by_key(|item| std::cmp::Reverse(item.number().bytes()));
    let mut end = 0;
    let list = items.iter().map(|item| {
        let dtype = match item.number() {
            Number::F32 => Dtype::F32,
            Number::F64 => Dtype::F64,
            _ => Dtype::U64,
        };
        let start = end;
        end += item.len() * dtype.bitsize() / 8;
        (item.name.clone(), TensorInfo { dtype, shape: item.shape().to_vec(), data_offsets: (start, end) })
    });
    let list = Metadata::new(None, list.collect()).map_err(|error| io::Error::other(error.to_string()))?;
    let mut list = serde_json::to_vec(&list)?;
    list.resize(list.len().next_multiple_of(8), b' ');
    if list.len() as u64 > LONGEST_LIST {
        return Err(io::Error::other("a list of more than 100 MB"));
    }
    out.write_all(&(list.len() as u64).to_le_bytes())?;
    out.write_all(&list)?;
    items.iter().try_for_each(|item| item.write_values(out))
}
