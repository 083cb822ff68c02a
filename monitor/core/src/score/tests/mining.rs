//! What makes a miner of a hash, and what explains a hash otherwise.

use super::*;

#[test]
fn what_a_connection_says_depends_on_how_it_behaves() {
    let with = |change: fn(&mut Shape)| {
        let mut summary = connected(&mixing(&SHA256_SCALAR));
        change(&mut summary.network.shape);
        said(&summary, EvidenceKind::Connections).map_or(0.0, |(log_odds, _)| log_odds)
    };
    let full = with(|_| ());
    assert!(full >= 5.0, "{full}");
    // A web server that is asked something every few seconds: nothing comes unasked.
    assert!(with(|shape| shape.pushes = 0).abs() < f64::EPSILON);
    // One push, and nothing that is brought back.
    assert!(with(|shape| (shape.pushes, shape.submissions) = (1, 0)) < full / 2.0);
    // Notices come unasked, too: they are not enough to be a miner.
    let notices = with(|shape| (shape.pushes, shape.submissions) = (50, 0));
    assert!(notices <= 3.0, "{notices}");
    // As many messages as a login server gets, each of which it hashes for.
    assert!(with(|shape| shape.messages_per_second = 10.0).abs() < f64::EPSILON);
    // The runner of a CI job has it.
    assert!(with(|shape| shape.related = true) <= 2.0);
}

#[test]
fn a_listening_socket_is_no_excuse() {
    let mut summary = connected(&mixing(&SHA256_SCALAR));
    let before = assess(&summary);
    summary.network.shape.listens = true;
    assert_eq!(assess(&summary), before);
    // Nor is one that it sends itself a little on.
    summary.network.shape.accepted = 3;
    assert!(assess(&summary).score >= 0.8, "{:?}", assess(&summary));
}

#[test]
fn data_that_flows_excuses_only_where_it_is_hashed() {
    let flow = |data_lines| Summary {
        code: Code {
            data_lines,
            ..connected(&mixing(&SHA256_SCALAR)).code
        },
        system: SystemUse {
            io: Some(300e6),
            ..connected(&mixing(&SHA256_SCALAR)).system
        },
        ..connected(&mixing(&SHA256_SCALAR))
    };
    assert!(assess(&flow(1000.0)).score < 0.8);
    assert!(log_odds(&flow(1000.0), Witness::Flows) < 0.0);
    // Read for show: the code goes on hashing the same lines.
    assert!(assess(&flow(3.0)).score >= 0.8);
    // However it comes in.
    let received = Summary {
        code: Code {
            data_lines: 1000.0,
            ..mixing(&SHA256_SCALAR).code
        },
        network: Network {
            shape: Shape {
                received_per_cpu_second: 300e6,
                ..Shape::pool_like()
            },
            ..mixing(&SHA256_SCALAR).network
        },
        ..mixing(&SHA256_SCALAR)
    };
    assert!(log_odds(&received, Witness::Flows) < 0.0);
}

#[test]
fn page_faults_are_no_excuse() {
    let before = connected(&mixing(&SHA256_SCALAR));
    let after = Summary {
        system: SystemUse {
            faults: 344e3,
            ..before.system
        },
        ..before.clone()
    };
    assert_eq!(assess(&before), assess(&after));
}

#[test]
fn long_hashing_alone_is_no_mining() {
    let hours = Summary {
        time: CpuTime {
            burning_seconds: 7200.0,
            ..unconnected(&mixing(&SHA256_SCALAR)).time
        },
        ..unconnected(&mixing(&SHA256_SCALAR))
    };
    assert!(assess(&hours).score < 0.8, "{:?}", assess(&hours));
    assert!(log_odds(&hours, Witness::Long) > 0.0);
    let minute = Summary {
        time: CpuTime {
            burning_seconds: 60.0,
            ..hours.time
        },
        ..hours
    };
    assert!(log_odds(&minute, Witness::Long).abs() < f64::EPSILON);
}

/// `RandomX` as a node has it, which verifies blocks.
fn verifying() -> Summary {
    let light = [
        (Rotate, 3),
        (Shift, 3),
        (Xor, 32),
        (Logic, 4),
        (Add, 17),
        (Multiply, 22),
        (Float, 3),
        (Prefetch, 3),
        (Branch, 1),
        (Move, 13),
    ];
    let mut node = unconnected(&mixing(&light));
    node.network.shape.received_per_cpu_second = 4e3;
    node
}

#[test]
fn a_node_that_verifies_is_no_miner() {
    let found = assess(&verifying());
    assert!(found.mining_only && found.score < 0.5, "{found:?}");
    // A pool sends a hundredth of that.
    let mut miner = verifying();
    miner.network.shape.received_per_cpu_second = 40.0;
    assert!(assess(&miner).score >= 0.8);
}

#[test]
fn data_clients_and_blocks_explain_a_hash_and_nothing_else_does() {
    let explained = |summary: &Summary| assess(summary).explained;
    let hash = unconnected(&mixing(&SHA256_SCALAR));
    assert!(!explained(&hash));
    assert!(!explained(&connected(&hash)));
    let flow = |data_lines| Summary {
        code: Code {
            data_lines,
            ..hash.code.clone()
        },
        system: SystemUse {
            io: Some(300e6),
            ..hash.system
        },
        ..hash.clone()
    };
    assert!(explained(&flow(1000.0)));
    assert!(!explained(&flow(3.0)), "read for show");
    let clients = |accepted, received| {
        let mut server = hash.clone();
        server.network.shape.listens = true;
        server.network.shape.accepted = accepted;
        server.network.shape.received_per_cpu_second = received;
        server
    };
    assert!(explained(&clients(3, 1000.0)));
    assert!(!explained(&clients(0, 0.0)), "nothing but listens");
    assert!(explained(&verifying()));
    // What explains a hash of general use does not explain one that only mines.
    let mut miner = verifying();
    miner.network.shape.received_per_cpu_second = 40.0;
    miner.network.shape.accepted = 3;
    assert!(!explained(&miner));
}

#[test]
fn a_pool_on_the_list_alone_is_nothing() {
    let ordinary = summary(&[(Add, 30), (Float, 28), (Branch, 17), (Move, 25)]);
    let pool = Summary {
        network: Network {
            pool: true,
            stratum: true,
            shape: Shape::pool_like(),
        },
        ..ordinary
    };
    assert!(assess(&pool).score < 0.8, "{:?}", assess(&pool));
    let nothing = Summary {
        network: Network {
            pool: true,
            ..summary(&[]).network
        },
        ..summary(&[])
    };
    assert_eq!(assess(&nothing), Assessment::default());
}

#[test]
fn stratum_and_a_listed_pool_each_make_a_miner_of_a_hash() {
    let hashing = unconnected(&mixing(&SHA256_SCALAR));
    let stratum = Summary {
        network: Network {
            stratum: true,
            ..hashing.network
        },
        ..hashing.clone()
    };
    let pool = Summary {
        network: Network {
            pool: true,
            ..hashing.network
        },
        ..hashing
    };
    assert!(assess(&stratum).score >= 0.8);
    assert!(assess(&pool).score >= 0.8);
    assert!(said(&stratum, EvidenceKind::Stratum).is_some());
    assert!(said(&pool, EvidenceKind::Pool).is_some());
}
