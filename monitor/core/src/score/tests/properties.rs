//! What holds for any summary.

use proptest::prelude::*;

use super::*;

fn any_summary() -> impl Strategy<Value = Summary> {
    let code = (
        prop::array::uniform17(0_u32..500),
        prop::array::uniform17(0_u32..200),
        0.0..1.0,
        1.0..100.0,
        prop::collection::btree_map(any_mark(), 1_u32..200, 0..30),
    );
    let shape = (
        0_u32..5,
        0_u32..9,
        0.0..20.0,
        any::<bool>(),
        0.0..1e9,
        0_u32..3,
    );
    let rest = (
        0.0..5000.0,
        prop::option::of(0.0..1e9),
        prop::array::uniform3(0_u32..50),
        0.0..7200.0,
        any::<[bool; 4]>(),
        prop::sample::select(Place::ALL.to_vec()),
    );
    (code, shape, rest).prop_map(|(code, shape, rest)| {
        let (mix, mixing, mixing_share, hot_lines, marks) = code;
        let (pushes, submissions, messages, related, received, accepted) = shape;
        let (data_lines, io, rounding_modes, burning_seconds, flags, place) = rest;
        let [pool, stratum, hidden, poses] = flags;
        let rounded = rounding_modes.iter().sum();
        Summary {
            marks,
            code: Code {
                mix: Mix::from_counts(mix),
                mixing: Mix::from_counts(mixing),
                mixing_share,
                hot_lines,
                data_lines,
                places: BTreeMap::from([(place, 1.0)]),
                mixing_places: BTreeMap::from([(place, 1.0)]),
                ..summary(&[]).code
            },
            time: CpuTime {
                burning_seconds,
                ..summary(&[]).time
            },
            system: SystemUse {
                io,
                ..summary(&[]).system
            },
            rounding: Rounding {
                modes: rounding_modes,
                rounded,
                switches: rounded + 10,
            },
            disguise: Disguise { hidden, poses },
            network: Network {
                shape: Shape {
                    looks: 3,
                    pushes,
                    submissions,
                    messages_per_second: messages,
                    related,
                    received_per_cpu_second: received,
                    accepted,
                    ..Shape::default()
                },
                pool,
                stratum,
            },
            ..summary(&[])
        }
    })
}

fn any_mark() -> impl Strategy<Value = Mark> {
    prop_oneof![
        (1_u32..64).prop_filter_map("moves nothing", |by| Mark::rotate_right(64, by)),
        (1_u32..32).prop_filter_map("moves nothing", |by| Mark::rotate_right(32, by)),
        (1_u8..18).prop_map(Mark::constant),
    ]
}

proptest! {
    /// Every number that moves the score is a line that a person sees.
    #[test]
    fn the_lines_add_up_to_the_score(summary in any_summary()) {
        let model = Model::shipped().unwrap();
        let (found, evidence) = model.explain(&summary);
        prop_assert_eq!(found, model.assess(&summary));
        let sum: f64 = evidence.iter().map(|line| line.log_odds).sum();
        prop_assert!((sum - found.log_odds).abs() < 1e-9, "{sum} {found:?} {evidence:?}");
        prop_assert!((logistic(sum) - found.score).abs() < 1e-9);
        for line in &evidence {
            prop_assert!(!line.text.is_empty(), "{evidence:?}");
        }
    }

    /// No hash is a miner without a connection, a list or hiding, unless it only mines.
    #[test]
    fn without_a_way_out_nothing_mines(summary in any_summary()) {
        let alone = Summary {
disguise: Disguise {
hidden: false,
poses: false,
},
network: Network {
shape: Shape { looks: 3, ..Shape::default() },
pool: false,
stratum: false,
},
..summary
};
        let found = assess(&alone);
        prop_assert!(found.score < 0.8 || found.mining_only, "{found:?}");
    }
}
