use super::*;
use crate::setup::packages::{Extras, Proof};

fn nightly(name: &str, llvm: u32, source: bool) -> Nightly {
    Nightly {
        name: name.to_owned(),
        llvm,
        source,
    }
}

/// A machine that has everything: rustup with a ready nightly, bpf-linker.
fn ready() -> Facts {
    Facts {
        privilege: Privilege::Root,
        apt: Some(Apt {
            fresh: true,
            updated: false,
            unknown: vec![],
            release: "bookworm".to_owned(),
        }),
        rustup: Some(Rustup {
            nightlies: vec![nightly("nightly", 22, true)],
            debian_linked: false,
            unreachable: false,
        }),
        debian: false,
        linker: true,
        llvm: true,
        recorded: Some("nightly".to_owned()),
        absent: vec![],
    }
}

/// A machine with cargo from rustup and nothing else of ours.
fn fresh() -> Facts {
    let mut facts = ready();
    facts.rustup = Some(Rustup {
        nightlies: vec![],
        debian_linked: false,
        unreachable: false,
    });
    facts.linker = false;
    facts.llvm = false;
    facts.recorded = None;
    facts
}

fn named(name: &str) -> Toolchain {
    Toolchain::Named(name.to_owned())
}

fn debian_and_llvm() -> Vec<Package> {
    [DEBIAN_COMPILER, &[LLVM]].concat()
}

#[track_caller]
fn check(facts: &Facts, route: Route, toolchain: &Toolchain, steps: &[Step]) {
    let plan = plan(facts, route).unwrap();
    assert_eq!(
        plan,
        Plan {
            toolchain: toolchain.clone(),
            steps: steps.to_vec()
        }
    );
}

#[track_caller]
fn check_blocked(facts: &Facts, route: Route, must_say: &[&str]) {
    let message = plan(facts, route).unwrap_err().to_string();
    for words in must_say {
        assert!(message.contains(words), "{words:?} is not in: {message}");
    }
}

#[test]
fn everything_there() {
    check(&ready(), Route::Auto, &named("nightly"), &[]);
    check(&ready(), Route::Rustup, &named("nightly"), &[]);
}

#[test]
fn everything_there_and_no_root_is_still_nothing_to_do() {
    let facts = Facts {
        privilege: Privilege::None,
        apt: None,
        ..ready()
    };
    check(&facts, Route::Auto, &named("nightly"), &[]);
}

#[test]
fn fresh_machine_with_rustup() {
    let pinned = PINNED_NIGHTLY.to_owned();
    check(
        &fresh(),
        Route::Auto,
        &named(PINNED_NIGHTLY),
        &[
            Step::Install(vec![LLVM]),
            Step::RustupInstall(pinned),
            Step::BuildLinker,
        ],
    );
}

#[test]
fn fresh_machine_with_old_lists_fetches_them_first() {
    let mut facts = fresh();
    facts.apt.as_mut().unwrap().fresh = false;
    assert_eq!(
        plan(&facts, Route::Auto).unwrap().steps[0],
        Step::UpdateLists
    );
}

#[test]
fn fresh_machine_without_rustup_takes_debians_compiler() {
    let facts = Facts {
        rustup: None,
        ..fresh()
    };
    check(
        &facts,
        Route::Auto,
        &Toolchain::Directory(DEBIAN_DIR),
        &[Step::Install(debian_and_llvm()), Step::BuildLinker],
    );
}

#[test]
fn rustup_out_of_reach_falls_back_to_debian() {
    let mut facts = fresh();
    facts.rustup.as_mut().unwrap().unreachable = true;
    check(
        &facts,
        Route::Auto,
        &named(DEBIAN_NAME),
        &[
            Step::Install(debian_and_llvm()),
            Step::RustupLink,
            Step::BuildLinker,
        ],
    );
}

#[test]
fn nightly_without_source_gets_it() {
    let mut facts = ready();
    facts.rustup.as_mut().unwrap().nightlies = vec![nightly("nightly", 22, false)];
    check(
        &facts,
        Route::Auto,
        &named("nightly"),
        &[Step::RustupSource("nightly".to_owned())],
    );
}

#[test]
fn nightly_too_new_for_the_linker_is_passed_over() {
    let mut facts = ready();
    facts.rustup.as_mut().unwrap().nightlies = vec![nightly("nightly", 23, true)];
    let pinned = PINNED_NIGHTLY.to_owned();
    check(
        &facts,
        Route::Auto,
        &named(PINNED_NIGHTLY),
        &[Step::RustupInstall(pinned)],
    );
}

#[test]
fn what_is_there_comes_before_what_must_be_fetched() {
    let mut facts = ready();
    facts.debian = true;
    facts.rustup.as_mut().unwrap().nightlies = vec![nightly("nightly", 22, false)];
    check(
        &facts,
        Route::Auto,
        &named(DEBIAN_NAME),
        &[Step::RustupLink],
    );
}

#[test]
fn a_recorded_toolchain_that_works_is_kept() {
    let mut facts = ready();
    facts.debian = true;
    facts.rustup.as_mut().unwrap().debian_linked = true;
    facts.recorded = Some(DEBIAN_NAME.to_owned());
    check(&facts, Route::Auto, &named(DEBIAN_NAME), &[]);

    let rustup = facts.rustup.as_mut().unwrap();
    rustup.nightlies = vec![
        nightly("nightly", 22, true),
        nightly("nightly-2026-05-20", 22, true),
    ];
    facts.recorded = Some("nightly".to_owned());
    check(&facts, Route::Auto, &named("nightly"), &[]);
    facts.recorded = Some("nightly-2026-05-20".to_owned());
    check(&facts, Route::Auto, &named("nightly-2026-05-20"), &[]);
}

#[test]
fn a_recorded_toolchain_that_is_gone_is_replaced() {
    let facts = Facts {
        recorded: Some("nightly-2020-01-01".to_owned()),
        ..ready()
    };
    check(&facts, Route::Auto, &named("nightly"), &[]);
}

#[test]
fn the_debian_route_is_taken_although_a_nightly_is_ready() {
    let packages = DEBIAN_COMPILER.to_vec();
    check(
        &ready(),
        Route::Debian,
        &named(DEBIAN_NAME),
        &[Step::Install(packages), Step::RustupLink],
    );
}

#[test]
fn the_rustup_route_never_takes_debians_compiler() {
    let mut facts = fresh();
    facts.debian = true;
    facts.recorded = Some(DEBIAN_NAME.to_owned());
    assert_eq!(
        plan(&facts, Route::Rustup).unwrap().toolchain,
        named(PINNED_NIGHTLY)
    );
    facts.rustup = None;
    check_blocked(
        &facts,
        Route::Rustup,
        &["https://rustup.rs", "--route debian"],
    );
}

#[test]
fn no_root_names_the_packages_and_the_commands() {
    let facts = Facts {
        privilege: Privilege::None,
        ..fresh()
    };
    check_blocked(
        &facts,
        Route::Auto,
        &[
            "LLVM 22",
            "as root",
            "apt-get install --no-install-recommends llvm-22-dev\n",
        ],
    );
}

#[test]
fn no_apt_names_what_is_lacking() {
    let facts = Facts {
        apt: None,
        ..fresh()
    };
    check_blocked(&facts, Route::Auto, &["no apt", "llvm-22-dev", "LLVM 22"]);
}

#[test]
fn a_package_that_apt_does_not_know_is_looked_for_once_and_then_explained() {
    let mut facts = Facts {
        rustup: None,
        ..fresh()
    };
    facts.apt.as_mut().unwrap().unknown = vec!["rustc-web", "stress-ng"];
    assert_eq!(
        plan(&facts, Route::Auto).unwrap().steps[0],
        Step::UpdateLists
    );
    facts.apt.as_mut().unwrap().updated = true;
    check_blocked(
        &facts,
        Route::Auto,
        &["offer rustc-web (", "bookworm-security"],
    );
}

#[test]
fn an_unknown_package_that_is_not_needed_does_not_matter() {
    let mut facts = fresh();
    facts.apt.as_mut().unwrap().unknown = vec!["rustc-web"];
    facts.apt.as_mut().unwrap().updated = true;
    assert!(plan(&facts, Route::Auto).is_ok());
}

#[test]
fn a_program_that_is_only_unpacked_needs_no_root() {
    let taken = Extras::Tests
        .packages()
        .iter()
        .find(|package| package.is_taken())
        .copied()
        .unwrap();
    assert!(matches!(taken.proof, Proof::Taken("promtool", _)));
    let facts = Facts {
        privilege: Privilege::None,
        absent: vec![taken],
        ..ready()
    };
    check(&facts, Route::Auto, &named("nightly"), &[Step::Take(taken)]);
}

#[test]
fn what_tests_lack_is_installed_in_one_go_with_the_rest() {
    let absent: Vec<Package> = Extras::Tests
        .packages()
        .iter()
        .filter(|package| !package.is_taken())
        .copied()
        .collect();
    let facts = Facts {
        absent: absent.clone(),
        linker: false,
        llvm: false,
        ..ready()
    };
    let packages = [&[LLVM], absent.as_slice()].concat();
    check(
        &facts,
        Route::Auto,
        &named("nightly"),
        &[Step::Install(packages), Step::BuildLinker],
    );
}
