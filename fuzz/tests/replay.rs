//! Every input that the fuzzers start from or once failed on, through the same functions; and the seeds are what their
//! generator makes.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

use antiphon_fuzz::{TARGETS, seeds};

fn folder(name: &str, target: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name).join(target)
}

/// The files of a folder, by their names; none where there is no such folder.
fn inputs(folder: &Path) -> io::Result<BTreeMap<String, Vec<u8>>> {
    let mut inputs = BTreeMap::new();
    if folder.exists() {
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            inputs.insert(name, fs::read(path)?);
        }
    }
    Ok(inputs)
}

#[test]
fn every_kept_input_passes() {
    let mut failed = Vec::new();
    for (target, play) in TARGETS {
        let seeds = inputs(&folder("corpus", target)).unwrap();
        assert!(!seeds.is_empty(), "{target} has seeds");
        for (name, bytes) in seeds.into_iter().chain(inputs(&folder("regressions", target)).unwrap()) {
            if std::panic::catch_unwind(|| play(&bytes)).is_err() {
                failed.push(format!("{target}: {name}"));
            }
        }
    }
    assert_eq!(failed, Vec::<String>::new());
}

#[test]
fn the_seeds_are_those_of_the_generator() {
    for (target, made) in seeds::all() {
        let kept = inputs(&folder("corpus", target)).unwrap();
        let stale: Vec<_> =
            made.keys().chain(kept.keys()).filter(|name| made.get(*name) != kept.get(*name)).collect();
        assert!(stale.is_empty(), "{target}: run `cargo run -p antiphon-fuzz --example seed` for {stale:?}");
    }
}

#[test]
fn every_target_has_its_folder_and_its_program() {
    for (target, _) in TARGETS {
        let program = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("fuzz_targets/{target}.rs"));
        let source = fs::read_to_string(&program).unwrap();
        assert!(source.contains(&format!("antiphon_fuzz::{target}::play")), "{}", program.display());
    }
}
