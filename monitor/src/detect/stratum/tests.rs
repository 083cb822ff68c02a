//! Who is watched when; no socket is needed for that.

use super::*;
use crate::{host::connections::Connections, telemetry::metrics::Metrics};
use unjack_core::profile::Summary;

const SECOND: u64 = 1_000_000_000;
/// Who serves others.
const SERVER: u32 = 50;
/// From this id on they only nearly hash.
const NEARLY: u32 = 100;
const SHARE: &[u8] = br#"{"id":4,"method":"mining.submit","params":["user.1","6f"]}"#;
const JOB: &[u8] = br#"{"id":null,"method":"mining.notify","params":["6f"]}"#;

fn process(tgid: u32) -> Process {
    Process { tgid, start_ns: 1 }
}

fn connection(cookie: u64) -> Observation {
    Observation {
        cookie,
        peer: "192.0.2.7:3333".parse().unwrap(),
        outward: true,
        sent: 0,
        received: 0,
        segments_out: 0,
        segments_in: 0,
        since_sent_ms: 0,
        since_received_ms: 0,
        rtt_us: 0,
    }
}

/// What is to be seen, and who was looked at.
struct Eyes<F> {
    now_ns: u64,
    images: Option<u32>,
    connections: F,
    looked: Vec<u32>,
}

impl<F: Fn(u32) -> Vec<Observation>> Sight for Eyes<F> {
    fn images(&self, _: Process) -> Option<u32> {
        self.images
    }

    fn cpu_ns(&self, _: Process) -> u64 {
        self.now_ns
    }

    fn connections(&mut self, process: Process) -> Option<Connections> {
        self.looked.push(process.tgid);
        Some(Connections {
            parent: 0,
            time_ns: self.now_ns,
            kept: (self.connections)(process.tgid),
            serves: process.tgid == SERVER,
            listens: process.tgid == SERVER,
        })
    }

    fn relatives(&mut self, _: Process) -> Vec<Process> {
        Vec::new()
    }
}

/// A daemon's ears, and one second after another.
struct World {
    stratum: Stratum,
    second: u64,
    /// How many images all processes together have executed.
    images: u32,
    metrics: Metrics,
}

impl World {
    fn new() -> Self {
        let metrics = Metrics::new("").unwrap();
        Self {
            stratum: Stratum::new(true, metrics.traffic.clone()),
            second: 1000,
            images: 0,
            metrics,
        }
    }

    /// A second in which these are suspected, the first burning most; who was
    /// looked at.
    fn tick(
        &mut self,
        suspects: &[u32],
        connections: impl Fn(u32) -> Vec<Observation>,
    ) -> Vec<u32> {
        self.second += 1;
        let now_ns = self.second * SECOND;
        for (n, tgid) in suspects.iter().enumerate() {
            let suspicion = if *tgid < NEARLY {
                Suspicion::Hashes
            } else {
                Suspicion::Nearly
            };
            let cores = 1.0 / (n + 1) as f64;
            self.stratum
                .suspect(process(*tgid), cores, suspicion, now_ns);
        }
        let mut eyes = Eyes {
            now_ns,
            images: Some(self.images),
            connections,
            looked: Vec::new(),
        };
        self.stratum.turn(now_ns, true, &mut eyes);
        eyes.looked
    }

    /// Another call in the same second: who is looked at.
    fn again(&mut self, suspects: &[u32]) -> Vec<u32> {
        self.second -= 1;
        self.tick(suspects, |_| Vec::new())
    }

    /// All processes are gone.
    fn end(&mut self) {
        let mut eyes = Eyes {
            now_ns: 0,
            images: None,
            connections: |_| Vec::new(),
            looked: Vec::new(),
        };
        self.stratum.turn(0, true, &mut eyes);
        assert!(eyes.looked.is_empty());
    }

    /// A packet is sent, so many seconds after the last.
    fn hear(&mut self, later: u64, cookie: u64, bytes: &[u8]) {
        self.second += later;
        self.stratum
            .hear(&Payload::new(cookie, self.second * SECOND, bytes));
    }

    fn heard(&self, tgid: u32) -> bool {
        self.stratum.was_heard(process(tgid))
    }

    fn watched(&self) -> Vec<u64> {
        let mut cookies: Vec<u64> = self.stratum.cookies().into_iter().collect();
        cookies.sort_unstable();
        cookies
    }
}

#[test]
fn those_that_burn_most_are_first_then_all_in_turn() {
    let mut world = World::new();
    let none = |_| Vec::new();
    let most = u32::try_from(LOOKS_AT_ONCE).unwrap();
    let suspects: Vec<u32> = (1..=most + 2).map(|n| NEARLY + n).collect();
    let (first, rest) = suspects.split_at(LOOKS_AT_ONCE);
    assert_eq!(world.tick(&suspects, none), first);
    assert_eq!(world.tick(&suspects, none), rest);
    assert_eq!(world.tick(&suspects, none), [0_u32; 0]);
    world.second += NEARLY_EVERY_NS / SECOND;
    assert_eq!(world.tick(&suspects, none), first);
}

#[test]
fn what_hashes_is_looked_at_every_second_for_a_minute_and_every_other_later() {
    let mut world = World::new();
    let mut looks = |ticks: u64| {
        let looked = |_| world.tick(&[1], |_| Vec::new()).len();
        (0..ticks).map(looked).sum::<usize>()
    };
    let new = NEW_NS / SECOND;
    assert_eq!(looks(new) as u64, new);
    assert_eq!(looks(60), 30);
}

#[test]
fn no_process_is_looked_at_where_that_is_not_wanted() {
    let mut world = World::new();
    world.stratum.enabled = false;
    assert_eq!(world.tick(&[1], |_| vec![connection(7)]), [0_u32; 0]);
    assert_eq!(world.watched(), [0_u64; 0]);
}

#[test]
fn nothing_is_watched_when_no_process_is_suspected_any_more() {
    let mut world = World::new();
    world.tick(&[1], |_| vec![connection(7)]);
    assert_eq!(world.watched(), [7]);
    world.tick(&[], |_| vec![connection(7)]);
    assert_eq!(world.watched(), [7]);
    world.second += HOLD_NS / SECOND;
    world.tick(&[], |_| vec![connection(7)]);
    assert_eq!(world.watched(), [0_u64; 0]);
}

#[test]
fn who_was_heard_is_remembered_and_watched_no_more() {
    let mut world = World::new();
    world.tick(&[1], |_| vec![connection(7)]);
    for bytes in [JOB, b"{}", JOB] {
        world.hear(1, 7, bytes);
    }
    world.hear(1, 8, SHARE);
    world.hear(0, 7, SHARE);
    assert!(!world.heard(1));
    world.hear(1, 7, SHARE);
    world.hear(0, 7, SHARE);
    assert!(world.heard(1) && !world.heard(2));
    let said = |tgid, text: &str| {
        let mut detection = Detection::decreed(&Summary::default());
        let line = Evidence::new(EvidenceKind::Stratum, "it speaks".to_owned(), 10.0);
        detection.evidence = vec![line];
        world.stratum.explain(process(tgid), &mut detection);
        let expected = Evidence::new(EvidenceKind::Stratum, text.to_owned(), 10.0);
        assert_eq!(
            detection.evidence,
            [expected],
            "the text is another, the weight is not"
        );
    };
    said(2, "it speaks");
    let text = "speaks Stratum on a socket of its own: mining.submit to 192.0.2.7:3333";
    said(1, text);
    assert_eq!(world.metrics.traffic.heard.get(), 1);
    // How its connections behave is still looked at.
    assert_eq!(world.tick(&[1], |_| vec![connection(7)]), [1]);
    assert_eq!(world.watched(), [0_u64; 0]);
    assert!(world.heard(1));
    assert_eq!(world.stratum.shape(process(1)).looks, 2);
    world.end();
    assert!(!world.heard(1));
    assert!(world.stratum.shape(process(1)).is_unknown());
}

#[test]
fn a_shared_socket_is_each_suspects_that_holds_it() {
    let mut world = World::new();
    world.tick(&[1, 2, 3], |tgid| {
        vec![connection(if tgid == 3 { 8 } else { 7 })]
    });
    world.hear(1, 7, SHARE);
    world.hear(1, 7, SHARE);
    let heard = [1, 2, 3].map(|tgid| world.heard(tgid));
    assert_eq!(heard, [true, true, false]);
}

#[test]
fn a_socket_that_was_closed_is_watched_no_more() {
    let mut world = World::new();
    world.tick(&[1], |_| vec![connection(7), connection(8)]);
    world.tick(&[1], |_| vec![connection(8)]);
    assert_eq!(world.watched(), [8]);
}

#[test]
fn beyond_the_bound_the_longest_watched_make_room() {
    let mut world = World::new();
    let all = u64::from(WATCHED_SOCKETS);
    world.tick(&[1], |_| (0..all).map(connection).collect());
    let connections = |tgid| match tgid {
        1 => (0..all).map(connection).collect(),
        _ => vec![connection(all)],
    };
    world.tick(&[1, 2], connections);
    assert_eq!(world.watched().len() as u64, all);
    assert!(!world.watched().contains(&all));
    assert_eq!(world.metrics.traffic.unwatched.get(), 1);
    for _ in 0..=TURN_NS / SECOND {
        world.tick(&[1, 2], connections);
    }
    assert_eq!(world.watched().len() as u64, all);
    assert!(world.watched().contains(&all));
}

#[test]
fn who_serves_others_is_not_listened_to() {
    let mut world = World::new();
    world.tick(&[SERVER], |_| vec![connection(7)]);
    assert_eq!(world.watched(), [0_u64; 0]);
}

#[test]
fn who_executes_another_image_has_said_nothing() {
    let mut world = World::new();
    world.tick(&[1], |_| vec![connection(7)]);
    world.hear(1, 7, SHARE);
    world.hear(1, 7, SHARE);
    assert!(world.heard(1));
    world.stratum.executes(process(1));
    assert!(!world.heard(1));
    // What it had sent may still be on its way.
    world.hear(1, 7, SHARE);
    assert!(!world.heard(1));
}

#[test]
fn an_exec_of_which_nothing_was_told_is_one_too() {
    let mut world = World::new();
    world.tick(&[1], |_| vec![connection(7)]);
    world.hear(1, 7, SHARE);
    world.hear(1, 7, SHARE);
    assert!(world.heard(1));
    world.images = 1;
    world.tick(&[1], |_| vec![connection(7)]);
    assert!(!world.heard(1));
}

#[test]
fn whatever_is_sent_in_between_makes_it_other_data() {
    let mut world = World::new();
    world.tick(&[1], |_| vec![connection(7)]);
    // What is no message at all is counted by the kernel.
    for foreign in 1..5 {
        world.second += 200;
        let mut payload = Payload::new(7, world.second * SECOND, SHARE);
        payload.foreign = foreign;
        world.stratum.hear(&payload);
        assert!(!world.heard(1));
    }
    for _ in 0..5 {
        world.hear(1, 7, SHARE);
        world.hear(1, 7, b"{\"time\":1,\"level\":\"info\"}");
        assert!(!world.heard(1));
    }
    world.hear(1, 7, SHARE);
    world.hear(1, 7, SHARE);
    assert!(world.heard(1));
}

#[test]
fn one_message_is_not_enough_nor_are_many_at_once() {
    let mut world = World::new();
    world.tick(&[1], |_| vec![connection(7)]);
    for _ in 0..9 {
        world.hear(0, 7, SHARE);
    }
    assert!(!world.heard(1));
}

#[test]
fn those_that_nearly_hash_come_last_and_make_room_at_once() {
    let mut world = World::new();
    let near = [NEARLY, NEARLY + 1, NEARLY + 2, NEARLY + 3];
    let all = u64::from(WATCHED_SOCKETS);
    let connections = |tgid: u32| match tgid {
        1 => vec![connection(all)],
        NEARLY => (0..all).map(connection).collect(),
        _ => Vec::new(),
    };
    world.tick(&near, connections);
    let suspects = [near.as_slice(), &[1]].concat();
    assert_eq!(world.tick(&suspects, connections), [1]);
    assert_eq!(world.watched().len() as u64, all);
    assert!(world.watched().contains(&all));
}

#[test]
fn the_second_call_of_a_tick_looks_at_new_suspects_alone() {
    let mut world = World::new();
    assert_eq!(world.tick(&[1], |_| Vec::new()), [1]);
    assert_eq!(world.again(&[1, 2]), [2]);
    assert_eq!(world.again(&[1, 2]), [0_u32; 0]);
    assert_eq!(world.tick(&[1, 2], |_| Vec::new()), [1, 2]);
}
