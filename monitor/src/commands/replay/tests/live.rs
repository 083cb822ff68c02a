//! A recording is judged as the host was.

use super::*;

/// What is known of a process that mines at a pool.
fn at_pool() -> Heard {
    Heard {
        shape: Shape::pool_like(),
        ..Heard::default()
    }
}

/// A live host on which the same is known of every process.
struct Host(Heard);

impl Witnesses for Host {
    fn heard(&self, _: &Subject) -> Heard {
        self.0
    }
}

/// The probes of a host where these lives are lived, a second at a time.
struct Lives<'a> {
    lives: &'a [Life],
    second: u64,
}

impl Source for Lives<'_> {
    type Error = std::convert::Infallible;

    fn events(&mut self, take: &mut dyn FnMut(Input<'_>)) -> Result<(), Self::Error> {
        for life in self.lives {
            let process = process(life.number);
            if self.second == life.seconds.end {
                let event = Event::Exit {
                    process,
                    cpu_ns: life.cpu_ns(self.second - 1),
                    parent: 0,
                    comm: [0; COMM_BYTES],
                };
                take(Input::Event(&event, None));
            }
            if !life.seconds.contains(&self.second) {
                continue;
            }
            for (n, sample) in life.samples(self.second).into_iter().enumerate() {
                if n == 50 && life.restless {
                    let exec = Event::Exec {
                        process,
                        time_ns: sample.time_ns,
                        image: sample.image,
                    };
                    take(Input::Event(&exec, None));
                }
                take(Input::Event(&Event::Sample(sample), None));
            }
        }
        Ok(())
    }

    fn counters(&mut self, visit: &mut dyn FnMut(bool, &TaskSlot)) {
        let lives = self.lives.iter();
        for life in lives.filter(|life| life.seconds.contains(&self.second)) {
            let slot = TaskSlot {
                tid: process(life.number).tgid,
                tgid: process(life.number).tgid,
                start_ns: 1,
                group_ns: life.cpu_ns(self.second),
                ..TaskSlot::default()
            };
            visit(false, &slot);
        }
    }
}

/// Records what the collector takes in.
struct Records(RecordingEncoder);

impl Tap for Records {
    fn taken(&mut self, taken: Taken<'_>, collector: &mut Collector) {
        self.0.taken(collector, taken.event, taken.exited.as_ref());
    }
}

/// What a live detector says of these lives and what a replay of the recording that
/// was made meanwhile says, where every process mines at a pool.
fn live_and_replayed(lives: &[Life], seconds: u64, flags: &[&str]) -> [Vec<String>; 2] {
    live_and_replayed_of(lives, seconds, flags, at_pool())
}

/// The same where this is known of every process.
fn live_and_replayed_of(
    lives: &[Life],
    seconds: u64,
    flags: &[&str],
    heard: Heard,
) -> [Vec<String>; 2] {
    let config = config(flags);
    let thresholds = config.policy.thresholds();
    let lists = Lists::default();
    let mut collector =
        Collector::new(unjack_core::isa::Arch::X86_64, thresholds.patience_ns).with_remains();
    let detector = Detector::new(Model::shipped().unwrap(), thresholds, SAMPLE_HZ);
    let mut pipeline = Pipeline::new(detector, Host(heard), Cadence::default());
    let mut policy = Policy {
        config: &config,
        lists: &lists,
    };
    let mut records = Records(RecordingEncoder::new(&header(), u64::MAX));
    let told = |now_ns: u64, detections: &[(Process, Detection)]| -> Vec<String> {
        let detections = detections.iter();
        detections
            .map(|(process, detection)| format!("{now_ns} {process:?} {detection:?}"))
            .collect()
    };
    let mut live = Vec::new();
    let mut host = Lives { lives, second: 0 };
    while host.second < seconds {
        let Ok(()) = pipeline.drain(&mut host, &mut collector, &mut records);
        let now_ns = BEGUN + (host.second + 1) * SECOND;
        pipeline.tick(now_ns, &mut host, &mut collector, |_, _| {});
        let detections = pipeline.judge(&mut collector, &mut policy);
        live.extend(told(now_ns, &detections));
        let known = |_: &mut Subject| Known {
            heard,
            ..Known::default()
        };
        records
            .0
            .tick(now_ns, collector.subjects(), |_| true, known);
        host.second += 1;
    }
    records.0.end(Why::Done);
    let recording = records.0.take();
    let (header, reader) = Reader::new(&recording[..]).unwrap();
    let mut again = Vec::new();
    let mut replay = Replay::new(&header, reader, &config, &lists).unwrap();
    while let Some(detections) = replay.second().unwrap() {
        again.extend(told(replay.acts.now_ns(), &detections));
    }
    [live, again]
}

#[test]
fn a_replay_gives_the_verdicts_of_the_live_court_word_for_word() {
    let lives = [
        // A miner, honest work, a thread that hashes among many,
        life(1, 0..40, 1, 0),
        life(2, 0..40, 0, 2),
        Life {
            hz: 20,
            ..life(3, 0..40, 1, 12)
        },
        // one that burns little, one that executes itself over and over,
        Life {
            hz: 5,
            ..life(4, 3..40, 1, 0)
        },
        Life {
            restless: true,
            ..life(5, 0..40, 1, 0)
        },
    ];
    // and a new process of one image every two seconds.
    let relay = (0..18).map(|n| Life {
        image: 99,
        ..life(10 + n, u64::from(n) * 2..u64::from(n) * 2 + 2, 1, 0)
    });
    let lives: Vec<Life> = lives.into_iter().chain(relay).collect();
    let [live, again] = live_and_replayed(&lives, 40, &[]);
    assert_eq!(live, again);
    for what in [
        "tgid: 4294967294,",
        "thread: Some(",
        "processes of one image",
    ] {
        assert!(
            live.iter().any(|said| said.contains(what)),
            "{what}: {live:#?}"
        );
    }
}

/// How often a live detector and its replay say that nothing explains a hash.
fn unexplained(flags: &[&str], heard: Heard) -> usize {
    let lives = [life(1, 0..40, 1, 0)];
    let [live, again] = live_and_replayed_of(&lives, 40, flags, heard);
    assert_eq!(live, again);
    let said = |said: &&String| said.contains("unexplained: true");
    live.iter().filter(said).count()
}

#[test]
fn what_nothing_explains_is_reported_once_live_and_in_a_replay() {
    const AFTER: [&str; 2] = ["--unexplained-after", "20s"];
    let none = Heard::default();
    let serves = Heard {
        shape: Shape {
            looks: 3,
            accepted: 1,
            received_per_cpu_second: 100.0,
            ..Shape::default()
        },
        ..none
    };
    assert_eq!(unexplained(&AFTER, none), 1);
    assert_eq!(unexplained(&AFTER, serves), 0);
    assert_eq!(unexplained(&[], none), 0, "40 s are less than 10 minutes");
    let never = ["--unexplained-after", "0"];
    assert_eq!(unexplained(&never, none), 0);
}

#[test]
fn a_replay_tells_how_many_are_unexplained() {
    let lives = [life(1, 0..40, 1, 0)];
    let recording = recording_of(&lives, 40, Shape::default());
    let report = judged(&recording, &["--unexplained-after", "20s"]);
    let recorded: Vec<bool> = report
        .verdicts
        .iter()
        .map(|it| it.verdict.unexplained)
        .collect();
    assert_eq!(recorded, [false, true]);
    assert!(report.verdicts.iter().all(|it| it.action.is_none()));
    assert_eq!((report.total.hashing, report.total.unexplained), (1, 1));
    let allowed = judged(
        &recording,
        &["--unexplained-after", "20s", "--allow", "exe=/opt/1"],
    );
    assert_eq!((allowed.total.hashing, allowed.total.unexplained), (1, 0));
    let text = report.render();
    for said in [
        "CPU seconds so far, and nothing explains it\n",
        "total: 0 miners, 1 that only hashes, 1 of them unexplained; 0 acted on\n",
        "--patience 120s --unexplained-after 20s",
    ] {
        assert!(text.contains(said), "{said}: {text}");
    }
    let json = serde_json::to_value(&report).unwrap();
    assert_eq!(json["policy"]["unexplained_after_seconds"], 20.0);
    assert_eq!(json["verdicts"][0].get("unexplained"), None);
    assert_eq!(json["verdicts"][1]["unexplained"], true);
}

fn lives() -> impl Strategy<Value = Vec<Life>> {
    let one = (
        0..20_u64,
        1..25_u64,
        0..3_u32,
        0..3_u32,
        1..40_u64,
        0..3_u64,
        any::<bool>(),
    );
    prop::collection::vec(one, 1..6).prop_map(|lives| {
        (1..)
            .zip(lives)
            .map(
                |(number, (from, long, hashing, honest, hz, image, restless))| Life {
                    hz,
                    image,
                    restless,
                    ..life(number, from..from + long, hashing, honest)
                },
            )
            .collect()
    })
}

fn miners(report: &Report) -> BTreeSet<u32> {
    let entries = report.verdicts.iter();
    entries
        .filter(|entry| entry.verdict.verdict == "miner")
        .map(|entry| entry.verdict.pid)
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn whatever_happens_replay_and_live_agree(lives in lives()) {
        let [live, again] = live_and_replayed(&lives, 30, &[]);
        prop_assert_eq!(live, again);
    }

    #[test]
    fn a_replay_is_the_same_every_time_and_a_higher_score_only_loses_miners(
        lives in lives(),
        scores in (0.0..1.0_f64, 0.0..1.0_f64),
    ) {
        let recording = recording(&lives, 30);
        let (low, high) = (scores.0.min(scores.1), scores.0.max(scores.1));
        let at = |score: f64| judged(&recording, &["--min-score", &score.to_string()]);
        let (few, many) = (at(high), at(low));
        prop_assert_eq!(at(high).render(), few.render());
        prop_assert!(miners(&few).is_subset(&miners(&many)));
    }

    #[test]
    fn an_allowed_user_is_reported_and_spared(lives in lives()) {
        let recording = recording(&lives, 30);
        let spared = judged(&recording, &["--allow", "user=1"]);
        let plain = judged(&recording, &[]);
        prop_assert_eq!(miners(&spared), miners(&plain));
        for entry in &spared.verdicts {
            let first = entry.verdict.pid == process(1).tgid;
            let reason = entry.action.map(|act| act.reason);
            prop_assert_eq!(reason == Some("allowed"), first && entry.verdict.verdict == "miner");
        }
    }

    #[test]
    fn a_hostile_recording_is_an_error_or_a_report(
        lives in lives(),
        at in any::<prop::sample::Index>(),
        with in prop::sample::select(vec![
            "18446744073709551615", "0", "-1", "null", "\"\\u0000\\u202e\"", "[]", "1e300", "}",
        ]),
    ) {
        // One number of a whole recording is another.
        let recording = String::from_utf8(recording(&lives, 12)).unwrap();
        let numbers: Vec<(usize, &str)> = recording
            .match_indices(|c: char| c.is_ascii_digit())
            .collect();
        let (from, _) = *at.get(&numbers);
        let to = recording[from..].find(|c: char| !c.is_ascii_digit()).unwrap() + from;
        let damaged = format!("{}{with}{}", &recording[..from], &recording[to..]);
        if let Ok(report) = replay(damaged.as_bytes(), &config(&[]), &Lists::default(), |_| {}) {
            prop_assert!(report.verdicts.len() <= lives.len() * 4);
            let forged = report.render().contains('\u{202e}');
            prop_assert!(!forged);
        }
    }
}
