//! Files that lie: an error each, and neither a panic nor a model that is half written.

use std::io::Cursor;

use proptest::prelude::*;
use striate::weights::{Archive, Transfer};
use striate::{Dense, ErrorKind, Layer, Rng, Sequential, sequential, weights};

use crate::folder::Folder;

/// A safetensors file with this list and so many bytes of numbers.
fn file(list: &str, numbers: usize) -> Vec<u8> {
    [&(list.len() as u64).to_le_bytes(), list.as_bytes(), &vec![0; numbers]].concat()
}

fn entry(name: &str, dtype: &str, shape: &str, offsets: &str) -> String {
    format!(r#""{name}":{{"dtype":"{dtype}","shape":{shape},"data_offsets":{offsets}}}"#)
}

fn open(bytes: &[u8]) -> striate::Result<Archive> {
    Archive::new(Cursor::new(bytes.to_vec()))
}

/// Opens a file and reads all its tensors.
fn read(bytes: &[u8]) -> striate::Result<()> {
    let mut archive = open(bytes)?;
    let names: Vec<String> = archive.names().map(str::to_string).collect();
    names.iter().try_for_each(|name| archive.read::<f32>(name).map(drop))
}

#[test]
fn lists_that_contradict_the_file_are_errors() {
    let good = format!("{{{}}}", entry("x", "F32", "[2]", "[0,8]"));
    read(&file(&good, 8)).unwrap();
    for (case, list, numbers) in [
        ("too short", good.clone(), 7),
        ("too long", good.clone(), 9),
        ("no numbers", good.clone(), 0),
        (
            "a hole",
            format!("{{{},{}}}", entry("x", "F32", "[1]", "[0,4]"), entry("y", "F32", "[1]", "[8,12]")),
            12,
        ),
        (
            "an overlap",
            format!("{{{},{}}}", entry("x", "F32", "[2]", "[0,8]"), entry("y", "F32", "[2]", "[4,12]")),
            12,
        ),
        (
            "two in one place",
            format!("{{{},{}}}", entry("x", "F32", "[2]", "[0,8]"), entry("y", "F32", "[2]", "[0,8]")),
            8,
        ),
        (
            "one name twice",
            format!("{{{},{}}}", entry("x", "F32", "[1]", "[0,4]"), entry("x", "F32", "[1]", "[4,8]")),
            8,
        ),
        (
            "one name twice, spelled otherwise",
            format!("{{{},{}}}", entry("x", "F32", "[1]", "[0,4]"), entry(r"\u0078", "F32", "[1]", "[4,8]")),
            8,
        ),
        ("backwards", format!("{{{}}}", entry("x", "F32", "[2]", "[8,0]")), 8),
        ("beyond the end", format!("{{{}}}", entry("x", "F32", "[2]", "[1000000,1000008]")), 8),
        ("another size", format!("{{{}}}", entry("x", "F32", "[3]", "[0,8]")), 8),
        (
            "a size that overflows",
            format!("{{{}}}", entry("x", "F32", "[4294967296,4294967296,4]", "[0,8]")),
            8,
        ),
        ("bytes that overflow", format!("{{{}}}", entry("x", "F64", "[2305843009213693953]", "[0,8]")), 8),
        ("offsets that overflow", format!("{{{}}}", entry("x", "F32", "[2]", "[0,18446744073709551616]")), 8),
        (
            "offsets at the edge",
            format!("{{{}}}", entry("x", "F32", "[2]", "[18446744073709551608,18446744073709551615]")),
            8,
        ),
        (
            "a hidden overflow",
            format!("{{{}}}", entry("x", "F32", "[0,9223372036854775807,9223372036854775807]", "[0,0]")),
            0,
        ),
        ("negative", format!("{{{}}}", entry("x", "F32", "[-2]", "[0,8]")), 8),
        ("no such type", format!("{{{}}}", entry("x", "F33", "[2]", "[0,8]")), 8),
        ("whole numbers", format!("{{{}}}", entry("x", "I64", "[1]", "[0,8]")), 8),
        ("no JSON", "weights".to_string(), 8),
        ("another JSON", "[1, 2]".to_string(), 8),
        ("no end", good[..20].to_string(), 8),
        ("nothing", String::new(), 0),
        ("nested too deeply", "[".repeat(100_000), 0),
        ("metadata of another type", r#"{"__metadata__":{"a":1}}"#.to_string(), 0),
    ] {
        let error = read(&file(&list, numbers)).map_err(|error| error.kind());
        let kinds = [Err(ErrorKind::File), Err(ErrorKind::Size)];
        assert!(kinds.contains(&error), "{case}: {error:?}");
    }
}

#[test]
fn lists_of_any_length_are_refused_before_memory_is_asked_for() {
    for length in [100, 100_000_000, 100_000_001, 1 << 40, u64::MAX - 7, u64::MAX] {
        let bytes = [&length.to_le_bytes()[..], b"{}"].concat();
        assert_eq!(open(&bytes).unwrap_err().kind(), ErrorKind::File, "{length}");
    }
}

/// A model, and a file of its weights in every format.
fn samples() -> (Sequential, Vec<Vec<u8>>) {
    let folder = Folder::new("samples");
    let mut model: Sequential = sequential![Dense::new(2), Dense::new(1)];
    model.build(&[1, 3], &mut Rng::seed(1)).unwrap();
    let mut files = Vec::new();
    for name in ["model.safetensors", "model.npz"] {
        weights::save(&model, folder.file(name)).unwrap();
        files.push(std::fs::read(folder.file(name)).unwrap());
    }
    let mut one: Dense = Dense::new(2).use_bias(false);
    one.build(&[1, 3], &mut Rng::seed(1)).unwrap();
    weights::save(&one, folder.file("one.npy")).unwrap();
    files.push(std::fs::read(folder.file("one.npy")).unwrap());
    (model, files)
}

#[test]
fn files_cut_anywhere_are_errors() {
    let (_, files) = samples();
    for file in files {
        read(&file).unwrap();
        for end in 0..file.len() {
            assert!(read(&file[..end]).is_err(), "cut at {end} of {}", file.len());
        }
    }
}

#[test]
fn a_file_that_breaks_while_it_is_read_leaves_the_model_as_it_was() {
    let folder = Folder::new("breaks");
    let (mut model, mut files) = samples();
    let before: Vec<_> = model.params().into_iter().map(|(_, param)| param.value().clone()).collect();
    // The last number of the last array in the .npz: its sum no longer fits.
    let npz = &mut files[1];
    let at = npz.windows(4).rposition(|bytes| bytes == b"PK\x01\x02").unwrap();
    let first = npz.windows(4).position(|bytes| bytes == b"PK\x01\x02").unwrap();
    assert!(first <= at);
    npz[first - 1] ^= 1;
    let path = folder.file("model.npz");
    std::fs::write(&path, npz).unwrap();
    for partial in [false, true] {
        let error = Transfer::new().partial(partial).load(&mut model, &path).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::File, "{error}");
        let after: Vec<_> = model.params().into_iter().map(|(_, param)| param.value().clone()).collect();
        assert_eq!(after, before);
    }
}

#[test]
fn types_that_are_no_floats_are_listed() {
    let folder = Folder::new("types");
    let path = folder.file("model.safetensors");
    let list =
        format!("{{{},{}}}", entry("kernel", "I32", "[1,2]", "[0,8]"), entry("bias", "F32", "[2]", "[8,16]"));
    std::fs::write(&path, file(&list, 16)).unwrap();
    let mut dense: Dense = Dense::new(2);
    dense.build(&[1, 1], &mut Rng::seed(1)).unwrap();
    let error = weights::load(&mut dense, &path).unwrap_err();
    assert!(error.got().contains("kernel ([1, 2], but I32 [1, 2] in the file)"), "{error}");
    let report = Transfer::new().partial(true).load(&mut dense, &path).unwrap();
    assert_eq!((report.loaded.len(), report.mismatched.len()), (1, 1));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    /// The fuzzers in `fuzz/` do this for longer.
    #[test]
    fn changed_files_never_panic(which in 0_usize..3, at in any::<prop::sample::Index>(), byte in any::<u8>(),
                                 cut in any::<prop::sample::Index>()) {
        thread_local!(static FILES: Vec<Vec<u8>> = samples().1);
        let mut file = FILES.with(|files| files[which].clone());
        let at = at.index(file.len());
        file[at] = byte;
        let _ = read(&file);
        file.truncate(cut.index(file.len()));
        let _ = read(&file);
    }

    #[test]
    fn noise_is_an_error(mut bytes in prop::collection::vec(any::<u8>(), 0..200), start in 0_usize..4) {
        let magic: [&[u8]; 4] = [b"", b"PK\x03\x04", b"\x93NUMPY\x01\x00", &[20, 0, 0, 0, 0, 0, 0, 0]];
        bytes.splice(0..0, magic[start].iter().copied());
        prop_assert!(read(&bytes).is_err());
    }
}
