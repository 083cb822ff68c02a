//! Is it mining? What speaks for and against that, besides what is executed.
//!
//! Every weight here is set, not fitted, each with the reason beside it, and none is
//! chosen by a row of the corpus: what a witness is worth follows from what it would
//! cost a miner to fake it, and from what honest programs do. Log-odds throughout.
//!
//! A general-purpose hash alone is no mining: passwords, checksums, signatures and
//! tests hash at full speed for minutes. Mining is work that comes from outside, and
//! results that leave, on a connection that looks like a miner's; or an algorithm that
//! serves nothing but mining.

use super::{
    evidence::EvidenceKind,
    features::{View, percent},
    witness::Witness,
};
use crate::isa::Class;

/// Before anything is known: most programs that hash do not mine. Code alone can make
/// it certain to [`CODE_MOST`] that this is a hash, which is then not enough.
const PRIOR: f64 = -6.0;
/// The most that code can say for mining, and against it: that something is certainly
/// a hash, or certainly none, is all that it can tell.
pub(super) const CODE_MOST: f64 = 4.0;
/// See [`CODE_MOST`].
pub(super) const CODE_LEAST: f64 = -8.0;
/// An algorithm that was made for mining and serves nothing else. It takes back the
/// prior: what is certain by its code is then a miner.
const MINING_ONLY: f64 = 6.0;
/// A node that verifies what it receives, with an algorithm that only mines: more than
/// can be said for mining by the algorithm.
const VERIFIES: f64 = -8.0;
/// Bytes received per CPU second from which a node verifies what it receives: a header
/// and a share of a block for each of some hundred hashes. A pool sends a miner a
/// hundredth of that.
const BLOCKS: f64 = 1000.0;
/// Looks that show what a node receives: of what it received before the first nothing
/// is known.
const NODE_LOOKS: u32 = 3;
/// Share of floating point in the code up to which `RandomX` is in light mode, which
/// derives each item of the dataset anew. A miner would lose nine tenths of its rate
/// by it (`RandomX` documentation, "Light mode").
const LIGHT_FLOAT: f64 = 0.06;

/// A push: work that comes unasked on a connection that the process began. Each, …
const PUSH: f64 = 2.0;
/// … and a message that it sends unasked, where there were pushes.
const SUBMISSION: f64 = 1.0;
/// The most that pushes can say alone: notices of all kinds come unasked, and what only
/// receives brings no results.
const PUSHES_MOST: f64 = 3.0;
/// The most that the shape of a connection can say.
const CONNECTION_MOST: f64 = 6.0;
/// The same of a connection that is another process's, of its session or its parent's:
/// the runner of a CI job has a connection to its server, too.
const RELATED_MOST: f64 = 2.0;
/// The same of a process that it started: a runner starts its jobs, not the other way.
const CHILD_MOST: f64 = 5.0;
/// Messages per second up to which a connection is like a miner's, …
const QUIET: f64 = 1.0;
/// … and from which it is like that of a server which hashes for each of them.
const BUSY: f64 = 8.0;

/// Stratum that it speaks itself: nothing but mining speaks a miner's half.
const STRATUM: f64 = 10.0;
/// A connection to a pool on the operator's list. Pools share addresses with others,
/// so that it is less than certain; the operator asked for it to count.
const POOL: f64 = 4.5;
/// The most that all of its connections can say together: what is no hash by its code
/// is not made a miner by them.
const NETWORK_MOST: f64 = 10.0;
/// Hidden from /proc, or posing as a kernel thread: honest programs do not.
const HIDING: f64 = 3.0;
/// Code that a script or page had generated, which hashes on and on. Honest scripts
/// leave that to a library.
const GENERATED: f64 = 1.0;
/// Doublings of [`MINUTE`] that count, for what hashes without a pause: checks and
/// challenges are over by then.
const LONG_MOST: f64 = 1.25;
/// Seconds from which duration counts: proof-of-work gates of web sites take up to a
/// minute.
const MINUTE: f64 = 60.0;
/// From this share of its seconds on the burn is without a pause.
const STEADY: f64 = 0.9;

/// Data that flows past what is hashed. A general-purpose hash has it from somewhere.
const FLOWS: f64 = -4.0;
/// Bytes per CPU second from which data flows: a twentieth of what the slowest
/// checksum takes in.
const FLOW: f64 = 5e6;
/// Cache lines of data (8 KiB) from which the code works on what flows: a miner moves
/// data for show cheaply, but its code goes on hashing the same one or two lines.
const FLOW_LINES: f64 = 128.0;
/// Connections that others began and on which data comes: little, as a miner can
/// connect to itself.
const SERVES: f64 = -2.0;

/// What takes a reason: its log-odds, its kind, and its words, which are made only if
/// they are read.
pub(super) type Line<'a> = &'a mut dyn FnMut(f64, EvidenceKind, &dyn Fn() -> String);

/// Calls `line` with each reason.
pub(super) fn lines(view: &View<'_>, line: Line<'_>) {
    let summary = view.summary;
    let mut say = |log_odds: f64, witness: Witness, text: &dyn Fn() -> String| {
        if log_odds != 0.0 {
            line(log_odds, EvidenceKind::Witness(witness), text);
        }
    };
    say(PRIOR, Witness::Prior, &|| {
        "most programs that hash do not mine".to_owned()
    });
    if view.mining_only {
        say(MINING_ONLY, Witness::MiningOnly, &|| {
            "the algorithm is used only for mining".to_owned()
        });
        if verifies(view) {
            say(VERIFIES, Witness::Verifies, &|| {
                format!(
                    "it verifies blocks, as a node does: it receives {:.1} KB per CPU second, \
                     and RandomX runs in light mode",
                    summary.network.shape.received_per_cpu_second / 1e3
                )
            });
        }
    } else {
        if summary.essence_place(crate::profile::Place::Anonymous) > 0.5 {
            say(
                GENERATED * f64::from(u8::from(long(view) > 0.0)),
                Witness::Generated,
                &|| {
                    "it has hashed for more than a minute in code generated at run time (a \
                     script or web page)"
                        .to_owned()
                },
            );
        }
        say(long(view), Witness::Long, &|| {
            format!(
                "it has been hashing without a pause for {:.0} s",
                summary.time.burning_seconds
            )
        });
        if flows(view) {
            say(FLOWS, Witness::Flows, &|| {
                format!(
                    "it hashes data that it reads or transfers: {:.1} MB read, written, sent and \
                     received per CPU second",
                    flow(view) / 1e6
                )
            });
        }
        if serves(view) {
            say(SERVES, Witness::Serves, &|| {
                format!(
                    "it serves clients: they send it data on {} connections that they opened",
                    summary.network.shape.accepted
                )
            });
        }
    }
    let connection = connection(view);
    let network = [
        (summary.network.stratum, STRATUM),
        (summary.network.pool, POOL),
    ];
    let network = connection
        + network
            .into_iter()
            .filter(|(is, _)| *is)
            .map(|(_, w)| w)
            .sum::<f64>();
    if connection != 0.0 {
        line(connection, EvidenceKind::Connections, &|| {
            connection_text(view)
        });
    }
    if summary.network.stratum {
        line(STRATUM, EvidenceKind::Stratum, &|| {
            "it speaks Stratum, as miners do with a pool".to_owned()
        });
    }
    if summary.network.pool {
        line(POOL, EvidenceKind::Pool, &|| {
            "it connected to a pool of --pools".to_owned()
        });
    }
    if network > NETWORK_MOST {
        line(
            NETWORK_MOST - network,
            EvidenceKind::Witness(Witness::NetworkBound),
            &|| format!("limit: the lines about its connections count {NETWORK_MOST:+.0} in total"),
        );
    }
    let hides = [
        (summary.disguise.hidden, "the host's /proc does not show it"),
        (summary.disguise.poses, "it poses as a kernel thread"),
    ];
    if let Some((_, text)) = hides.into_iter().find(|(hides, _)| *hides) {
        line(HIDING, EvidenceKind::Witness(Witness::Hiding), &|| {
            text.to_owned()
        });
    }
}

/// What the shape of its connections is worth.
fn connection(view: &View<'_>) -> f64 {
    let shape = &view.summary.network.shape;
    if shape.pushes == 0 {
        return 0.0;
    }
    let most = match (shape.related, shape.child) {
        (false, _) => CONNECTION_MOST,
        (true, true) => CHILD_MOST,
        (true, false) => RELATED_MOST,
    };
    let pushes = PUSH * f64::from(shape.pushes);
    let seen = match shape.submissions {
        0 => pushes.min(PUSHES_MOST),
        submissions => pushes + SUBMISSION * f64::from(submissions),
    };
    let quiet = (BUSY - shape.messages_per_second) / (BUSY - QUIET);
    seen.min(most) * quiet.clamp(0.0, 1.0)
}

fn connection_text(view: &View<'_>) -> String {
    let shape = &view.summary.network.shape;
    let whose = match (shape.related, shape.child) {
        (false, _) => "it has",
        (true, true) => "a process that it started has",
        (true, false) => "a related process has",
    };
    format!(
        "{whose} a connection that behaves like one to a pool: in {:.0} s, it received {} small \
         messages and sent {} without a request",
        shape.age_seconds, shape.pushes, shape.submissions
    )
}

/// How much its duration says.
fn long(view: &View<'_>) -> f64 {
    if view.summary.time.steadiness < STEADY {
        return 0.0;
    }
    let minutes = view.summary.time.burning_seconds / MINUTE;
    minutes.max(1.0).log2().min(LONG_MOST)
}

/// Bytes per CPU second that go in and out, however they do.
fn flow(view: &View<'_>) -> f64 {
    let summary = view.summary;
    let network =
        summary.network.shape.received_per_cpu_second + summary.network.shape.sent_per_cpu_second;
    summary.system.io.unwrap_or(0.0) + network
}

/// An algorithm with a scratchpad works on more data than that by design.
fn flows(view: &View<'_>) -> bool {
    !view.memory_hard && flow(view) >= FLOW && view.summary.code.data_lines >= FLOW_LINES
}

fn serves(view: &View<'_>) -> bool {
    let shape = &view.summary.network.shape;
    shape.accepted > 0 && shape.received_per_cpu_second > 0.0
}

fn verifies(view: &View<'_>) -> bool {
    is_light(view) && view.summary.network.shape.received_per_cpu_second >= BLOCKS
}

/// `RandomX` in the mode in which a node verifies.
fn is_light(view: &View<'_>) -> bool {
    view.randomx && view.summary.essence().share(Class::Float) <= LIGHT_FLOAT
}

/// Looks at the connections before which nothing is said by the algorithm alone: one,
/// and of what may be a node as many as show what it receives.
pub(super) fn looks(view: &View<'_>) -> u32 {
    match (view.mining_only, is_light(view)) {
        (false, _) => 0,
        (true, false) => 1,
        (true, true) => NODE_LOOKS,
    }
}

/// Whether anything other than mining explains why it hashes: what speaks against mining
/// besides the prior.
pub(super) fn explained(view: &View<'_>) -> bool {
    if view.mining_only {
        verifies(view)
    } else {
        flows(view) || serves(view)
    }
}

/// What is told and not weighed: where the code lies, how it burns.
pub(super) fn told(view: &View<'_>, line: &mut dyn FnMut(EvidenceKind, String)) {
    use crate::profile::Place;
    let summary = view.summary;
    let places = [
        (
            Place::System,
            "is a program or library of the host, installed by root",
        ),
        (
            Place::Anonymous,
            "runs from memory without a file (generated or unpacked)",
        ),
        (Place::Memfd, "runs from a file that exists only in memory"),
        (Place::Deleted, "runs from a file that was deleted"),
        (Place::Unread, "could not be looked up yet"),
    ];
    for (place, what) in places {
        let share = summary.essence_place(place);
        if share >= 0.1 {
            line(
                EvidenceKind::Place,
                format!("{} of its code {what}", percent(share)),
            );
        }
    }
    if let Some(rate) = summary.system.io
        && !flows(view)
    {
        line(
            EvidenceKind::Note,
            format!("{:.1} MB read and written per CPU second", rate / 1e6),
        );
    }
    if summary.system.faults >= 100.0 {
        line(
            EvidenceKind::Note,
            format!("{:.0} page faults per CPU second", summary.system.faults),
        );
    }
    let Some(kib) = view.data_kib() else {
        return twins(view, line);
    };
    line(
        EvidenceKind::Note,
        format!("its hashing code works on {kib:.1} KiB of data"),
    );
    twins(view, line);
}

fn twins(view: &View<'_>, line: &mut dyn FnMut(EvidenceKind, String)) {
    let summary = view.summary;
    if summary.time.flatness > STEADY && summary.time.steadiness > STEADY {
        line(
            EvidenceKind::Note,
            "its CPU use is nearly the same every second".to_owned(),
        );
    }
    if summary.threads.twins > 1 {
        line(
            EvidenceKind::Note,
            format!("{} threads do the same work", summary.threads.twins),
        );
    }
}
