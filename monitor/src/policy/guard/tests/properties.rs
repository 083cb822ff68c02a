//! What holds of any process.

use proptest::prelude::*;

use super::*;

fn path() -> impl Strategy<Value = Option<String>> {
    let folder = prop::sample::select(table::FOLDERS.to_vec());
    let program = prop::sample::select(table::PROGRAMS.to_vec());
    let known = (folder, program).prop_map(|(folder, program)| {
        Some(format!("{}/{}", folder.path, program.names[0]).replace('*', "x"))
    });
    prop_oneof![Just(None), known, "(/[a-z.]{0,6}){0,4}".prop_map(Some)]
}

fn tri() -> impl Strategy<Value = Option<bool>> {
    prop::option::of(any::<bool>())
}

fn provenance() -> impl Strategy<Value = Provenance> {
    let file = prop::sample::select(vec![HostFile::Own, HostFile::Replaced, HostFile::Other]);
    let uid = || prop::sample::select(vec![0, 1, SERVICE, USER, 65534]);
    let unit = prop::option::of(prop::sample::select(vec![
        "dbus.service",
        "session-3.scope",
        "web.service",
    ]));
    let uids = prop::option::of((uid(), uid()).prop_map(|(real, saved)| Uids { real, saved }));
    (file, uids, tri(), tri(), unit, any::<bool>(), any::<bool>()).prop_map(
        |(file, uids, namespace, root, unit, of_user, contained)| Provenance {
            file,
            uids,
            initial_user_namespace: namespace,
            host_root: root,
            identity: Some(Identity {
                unit: unit.map(str::to_owned),
                container: contained.then(|| "c".to_owned()),
                of_user,
                ..Identity::default()
            }),
        },
    )
}

proptest! {
    /// Whatever else is known: what is never acted on is refused, no user's process is
    /// ever guarded, and no file that another user can write.
    #[test]
    fn no_user_can_have_a_process_guarded(
        pid in prop_oneof![0_u32..5, Just(800), Just(900), 5_u32..2000],
        kernel_thread: bool,
        builtin: bool,
        program in path(),
        provenance in provenance(),
        lineage in prop::collection::vec(1_u32..2000, 0..6),
    ) {
        let guard = Guard { lineage: lineage.clone(), ..guard(builtin) };
        let candidate = Candidate {
            pid,
            kernel_thread,
            program: program.as_deref(),
            ..candidate("", &provenance)
        };
        let verdict = guard.check(&candidate);
        if pid <= 2 || kernel_thread || lineage.contains(&pid) {
            prop_assert!(verdict.is_err());
        } else if verdict == GUARDED {
            let uids = provenance.uids.unwrap();
            let identity = provenance.identity.as_ref().unwrap();
            prop_assert!(builtin && program.is_some_and(|program| is_listed(&program)));
            prop_assert!(uids.real == uids.saved && ![USER, 65534].contains(&uids.real));
            prop_assert!(provenance.file != HostFile::Other && identity.container.is_none());
            prop_assert!(provenance.initial_user_namespace == Some(true));
            prop_assert!(uids.real == 0 || identity.unit.as_deref() == Some("dbus.service"));
        }
    }
}
