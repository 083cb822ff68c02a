//! Imports point one way: a test that reads the sources.
//!
//! Between folders only from later to earlier ones in [`FOLDERS`]. Within a folder
//! modules of one parent, each with all below it, import one another in no circle.
//! A module and those below it are one thing in several files and may name each
//! other. Code of tests may name anything: it builds what it needs with the whole
//! crate.

mod source;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use self::source::{Module, Sources, read};

/// The folders in the order of the data's way: each may import from those before
/// it, and all from the crate `unjack_core`.
const FOLDERS: [&str; 7] = [
    "kernel",
    "host",
    "detect",
    "policy",
    "respond",
    "telemetry",
    "commands",
];
/// Imports followed from a name to where it is defined: through so many files that
/// only hand it on.
const MAX_HOPS: usize = 8;

/// The module that a path leads into: that of the file which defines what it
/// names.
fn defined_in(sources: &Sources, path: &Module) -> Module {
    let mut path = path.clone();
    for _ in 0..MAX_HOPS {
        let (module, rest) = (0..=path.len())
            .rev()
            .map(|length| path.split_at(length))
            .find(|(module, _)| sources.contains_key(*module))
            .expect("the root is a module");
        let handed_on = rest.first().and_then(|name| {
            let stands_for = sources[module].imported.get(name)?;
            (stands_for != &path).then(|| [&stands_for[..], &rest[1..]].concat())
        });
        match handed_on {
            Some(next) => path = next,
            None => return module.to_vec(),
        }
    }
    panic!("{path:?} is handed on in a circle");
}

/// Who imports whom, by the files that define things.
fn arrows(sources: &Sources) -> BTreeSet<(Module, Module)> {
    let mut arrows = BTreeSet::new();
    for (module, source) in sources.iter().filter(|(module, _)| !module.is_empty()) {
        for path in &source.named {
            let to = defined_in(sources, path);
            if !to.is_empty() && to != *module {
                arrows.insert((module.clone(), to));
            }
        }
    }
    arrows
}

/// Arrows from an earlier folder to a later one, and modules outside all folders.
fn backward(sources: &Sources) -> Vec<String> {
    let place = |module: &Module| FOLDERS.iter().position(|folder| *folder == module[0]);
    let outside = sources
        .keys()
        .filter(|module| !module.is_empty() && place(module).is_none())
        .map(|module| format!("{} is in no folder", module.join("/")));
    let back = arrows(sources)
        .into_iter()
        .filter(|(from, to)| place(from) < place(to))
        .map(|(from, to)| format!("{} imports {}", from.join("/"), to.join("/")));
    outside.chain(back).collect()
}

/// Modules of one parent that import one another in a circle, a line an arrow.
fn circles(sources: &Sources) -> Vec<String> {
    let mut siblings: BTreeMap<(Module, Module), String> = BTreeMap::new();
    for (from, to) in arrows(sources) {
        let alike = from.iter().zip(&to).take_while(|(a, b)| a == b).count();
        if alike < from.len().min(to.len()) {
            let pair = (from[..=alike].to_vec(), to[..=alike].to_vec());
            let text = format!("{} imports {}", from.join("/"), to.join("/"));
            siblings.entry(pair).or_insert(text);
        }
    }
    let reaches = |from: &Module, to: &Module| {
        let (mut seen, mut next) = (BTreeSet::new(), vec![from]);
        while let Some(module) = next.pop() {
            if module == to {
                return true;
            }
            if seen.insert(module) {
                let further = siblings.keys().filter(|(from, _)| from == module);
                next.extend(further.map(|(_, to)| to));
            }
        }
        false
    };
    siblings
        .iter()
        .filter(|((from, to), _)| reaches(to, from))
        .map(|(_, text)| text.clone())
        .collect()
}

fn crate_sources(folder: &str) -> Sources {
    read(&Path::new(env!("CARGO_MANIFEST_DIR")).join(folder))
}

#[test]
fn imports_point_from_later_folders_to_earlier_ones() {
    let found = backward(&crate_sources("src"));
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn modules_of_one_parent_import_one_another_in_no_circle() {
    for folder in ["src", "core/src"] {
        let sources = crate_sources(folder);
        assert!(arrows(&sources).len() > 30, "{folder} was not read");
        let found = circles(&sources);
        assert!(found.is_empty(), "{folder}: {}", found.join("\n"));
    }
}

/// A crate of these files, each with its path and text.
fn example(files: &[(&str, &str)]) -> Sources {
    let home = tempfile::tempdir().unwrap();
    for (path, text) in files {
        let path = home.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    read(home.path())
}

#[track_caller]
fn check(files: &[(&str, &str)], back: &[&str], circle: &[&str]) {
    let files = [&[("lib.rs", "")], files].concat();
    let sources = example(&files);
    assert_eq!(backward(&sources), back, "back");
    assert_eq!(circles(&sources), circle, "circles");
}

#[test]
fn an_arrow_that_is_turned_is_found() {
    let guard = ("policy/guard.rs", "pub struct Guard;");
    let right = "use crate::{policy::guard::Guard, kernel};";
    check(&[guard, ("respond/kill.rs", right)], &[], &[]);
    let back = ["detect/detector imports policy/guard"];
    check(&[guard, ("detect/detector.rs", right)], &back, &[]);
    let inline = "fn f(guard: &crate::policy::guard::Guard) {}";
    check(&[guard, ("detect/detector.rs", inline)], &back, &[]);
    let nested = "use std::fmt; use super::super::policy::{guard::{self as g}};";
    check(&[guard, ("detect/detector.rs", nested)], &back, &[]);
}

#[test]
fn a_name_that_is_handed_on_is_where_it_is_defined() {
    let files = [
        (
            "policy.rs",
            "mod guard; mod kin; pub use self::guard::Guard;",
        ),
        ("policy/guard.rs", "use super::kin::Kin; pub struct Guard;"),
        ("policy/kin.rs", "use super::Guard; pub struct Kin;"),
    ];
    let circle = [
        "policy/guard imports policy/kin",
        "policy/kin imports policy/guard",
    ];
    check(&files, &[], &circle);
}

#[test]
fn tests_comments_and_texts_are_no_imports() {
    let text = r##"
        //! [`crate::policy::guard`]
        /* use crate::policy::guard; */
        const A: &str = "use crate::policy::guard; \" crate::policy::guard";
        const B: &[u8] = br#"use crate::policy::guard;"#;
        const C: [char; 2] = ['"', '\''];
        fn f<'a>(it: &'a str) {}
        #[cfg(test)]
        mod tests { use crate::policy::guard; }
        #[cfg(test)]
        mod more;
    "##;
    let files = [
        ("policy/guard.rs", ""),
        ("detect/detector.rs", text),
        ("detect/detector/more.rs", "use crate::policy::guard;"),
    ];
    check(&files, &[], &[]);
}

#[test]
fn a_module_and_those_below_it_may_name_each_other() {
    let files = [
        (
            "host/maps.rs",
            "mod file; use self::file::File; struct Maps;",
        ),
        ("host/maps/file.rs", "use super::Maps; pub struct File;"),
    ];
    check(&files, &[], &[]);
}

#[test]
fn a_file_outside_all_folders_is_found() {
    check(&[("other.rs", "")], &["other is in no folder"], &[]);
}
