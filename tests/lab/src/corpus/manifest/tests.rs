use super::super::place;
use super::*;

const XZ: &str = r#"
[[program]]
name = "xz -9"
label = "other"
source = "Debian xz-utils"
apt = ["xz-utils"]
run = "xz -9 --stdout big"
"#;

const MINER: &str = r#"
[[program]]
name = "sha256d"
label = "miner"
family = "sha256d"
source = "the workload program"
run = '"$WORKLOAD" --threads {threads} --duty {duty} sha256d'
variants = true
"#;

fn fault(text: &str) -> String {
    let read = parse(text).and_then(|programs| check(&programs));
    format!("{:#}", read.unwrap_err())
}

#[test]
fn a_program_is_recorded_once_or_in_every_variant() {
    let programs = parse(&format!("{XZ}{MINER}")).unwrap();
    check(&programs).unwrap();
    let subjects: Vec<_> = programs.iter().flat_map(Program::subjects).collect();
    let stems: Vec<_> = subjects.iter().map(Subject::stem).collect();
    assert_eq!(
        stems,
        [
            "xz_-9",
            "sha256d@t1d100",
            "sha256d@t2d100",
            "sha256d@t1d30",
            "sha256d@t1d10"
        ]
    );
    assert_eq!(subjects[0].run(), "xz -9 --stdout big");
    assert_eq!(
        subjects[2].run(),
        r#""$WORKLOAD" --threads 2 --duty 100 sha256d"#
    );
}

#[test]
fn what_cannot_be_is_refused_with_its_name() {
    for (change, to, complaint) in [
        ("family = \"sha256d\"", "", "a miner needs a family"),
        ("family = \"sha256d\"", "family = \"md5\"", "family `md5`"),
        ("label = \"miner\"", "label = \"other\"", "only a miner"),
        ("variants = true", "", "`run` has {threads}"),
        ("--duty {duty}", "", "`run` lacks {duty}"),
        ("name = \"sha256d\"", "name = \"SHA\"", "`SHA`: its name"),
        ("the workload program", " ", "its source is empty"),
        ("variants", "variant", "unknown field"),
        ("label = \"miner\"", "label = \"minor\"", "unknown variant"),
    ] {
        let said = fault(&MINER.replace(change, to));
        assert!(said.contains(complaint), "{change} to {to}: {said}");
    }
}

#[test]
fn a_miner_in_webassembly_names_its_algorithm() {
    let family = |name: &str| MINER.replace("family = \"sha256d\"", &format!("family = {name:?}"));
    check(&parse(&family("wasm-cryptonight")).unwrap()).unwrap();
    assert!(fault(&family("wasm-")).contains("family `wasm-`"));
}

#[test]
fn two_programs_never_share_a_recording() {
    let other = XZ.replace("xz -9", "xz_-9");
    assert!(fault(&format!("{XZ}{other}")).contains("not unique"));
}

#[test]
fn a_filter_takes_patterns_names_of_files_and_labels() {
    let programs = parse(&format!("{XZ}{MINER}")).unwrap();
    let wanted = |names: &[&str], label| {
        let names: Vec<_> = names.iter().map(|&name| name.to_owned()).collect();
        let filter = Filter::new(&names, label).unwrap();
        programs
            .iter()
            .map(|program| filter.wants(program))
            .collect::<Vec<_>>()
    };
    assert_eq!(wanted(&[], None), [true, true]);
    assert_eq!(wanted(&["xz*"], None), [true, false]);
    assert_eq!(wanted(&["xz_-9", "sha*"], None), [true, true]);
    assert_eq!(wanted(&[], Some(Label::Miner)), [false, true]);
    assert_eq!(wanted(&["xz*"], Some(Label::Miner)), [false, false]);
}

#[test]
fn the_manifests_of_the_repository_are_sound() {
    load(&place::manifests()).unwrap();
}
