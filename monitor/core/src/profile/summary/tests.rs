//! The form that a summary has in a recording.

use super::*;
use crate::isa::{CLASSES, marks::Kind};

/// Each member as a recording has it, whatever struct it is of here.
#[test]
fn a_summary_is_one_flat_object() {
    let rotation = Mark::rotate_right(32, 7).unwrap();
    assert_eq!(rotation.kind(), Some(Kind::Rotate));
    let summary = Summary {
        samples: 41,
        code: Code {
            mix: Mix::from_counts([3; CLASSES]),
            mixing_share: 0.5,
            mixing: Mix::from_counts([2; CLASSES]),
            mixing_places: BTreeMap::from([(Place::Anonymous, 1.0)]),
            kernel_share: 0.25,
            undecodable_share: 0.125,
            concentration: 0.75,
            hot_lines: 9.5,
            hottest: Some((u64::MAX, 0.25)),
            places: BTreeMap::from([(Place::File, 0.5), (Place::Unread, 0.5)]),
            data_lines: 12.0,
        },
        time: CpuTime {
            steadiness: 1.0,
            flatness: 0.875,
            since_ns: 7,
            cores: 1.5,
            span_ns: u64::MAX,
            burning_seconds: 3.0,
        },
        threads: Threads {
            sampled: 4,
            twins: 3,
        },
        system: SystemUse {
            voluntary: 1.25,
            io: Some(4096.0),
            faults: 2.5,
        },
        rounding: Rounding {
            switches: 10,
            rounded: 6,
            modes: [1, 2, 3],
        },
        marks: BTreeMap::from([(rotation, 5)]),
        disguise: Disguise {
            hidden: true,
            poses: true,
        },
        network: Network {
            pool: true,
            stratum: true,
            shape: Shape::pool_like(),
        },
    };
    let json = serde_json::to_value(&summary).unwrap();
    let mut names: Vec<&String> = json.as_object().unwrap().keys().collect();
    names.sort_unstable();
    assert_eq!(
        names,
        [
            "burning_seconds",
            "concentration",
            "cores",
            "data_lines",
            "faults_per_cpu_second",
            "flatness",
            "hidden",
            "hot_lines",
            "hottest",
            "io_per_cpu_second",
            "kernel_share",
            "marks",
            "mix",
            "mixing",
            "mixing_places",
            "mixing_share",
            "places",
            "pool",
            "poses",
            "rounded",
            "rounding_modes",
            "samples",
            "shape",
            "since_ns",
            "span_ns",
            "steadiness",
            "stratum",
            "switches",
            "threads",
            "twins",
            "undecodable_share",
            "voluntary_per_cpu_second",
        ]
    );
    let text = serde_json::to_string(&summary).unwrap();
    assert_eq!(serde_json::from_str::<Summary>(&text).unwrap(), summary);
    assert_eq!(serde_json::from_value::<Summary>(json).unwrap(), summary);
}
