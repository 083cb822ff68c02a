//! A process that has the pid of an ended miner is not the miner. Here miners
//! end while they are being killed, and their pids go to others at once:
//! 10,000 times, at the kernel's own pids, by the code that carries orders out.

use std::collections::HashMap;
use std::fs;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use monitor::host;
use monitor::policy::config::Scope;
use monitor::policy::guard::Guard;
use monitor::policy::only::Only;
use monitor::respond::action::hold_manager::HoldManager;
use monitor::respond::action::store::Store;
use monitor::{
    policy::refusal::Refusal,
    respond::action::{
        ActionKind, ActionRequest, ActionResult, Outcome, Signals, System, carry_out, stop_briefly,
    },
};
use rustix::process::{Pid, PidfdFlags, WaitId, WaitIdOptions, pidfd_open, waitid};
use tests::host::{eventually, take_turn};
use tests::{Daemon, Workload};
use unjack_core::event::Process;

/// Pids that must come to mean another process while an order is out on them.
const REUSES: usize = 10_000;
/// The same on a host with few pids, where they come round by themselves.
const ROUNDS: usize = 4_000;
/// Processes judged at a time.
const BATCH: usize = 64;
/// What the kernel gives out next is one more than this says.
const LAST_PID: &str = "/proc/sys/kernel/ns_last_pid";

/// An idle process, killed when dropped.
struct Idle(Child);

impl Idle {
    fn spawn(image: &Path) -> Self {
        let mut command = Command::new(image);
        command.arg("600").stdin(Stdio::null());
        Self(command.spawn().expect("a process"))
    }

    /// The same with the pid that another had a moment ago; none if another process
    /// got it.
    fn with_pid(image: &Path, pid: u32) -> Option<Self> {
        fs::write(LAST_PID, (pid - 1).to_string()).expect("pids can be chosen");
        Some(Self::spawn(image)).filter(|idle| idle.0.id() == pid)
    }

    fn order(&self, deed: ActionKind) -> ActionRequest {
        let seen = host::ProcHandle::open_pid(self.0.id()).expect("it lives");
        let tick = 1_000_000_000 / rustix::param::clock_ticks_per_second();
        ActionRequest {
            process: Process {
                tgid: self.0.id(),
                start_ns: seen.start_ticks().expect("it lives") * tick,
            },
            image: seen.image().expect("it has one"),
            deed,
            scope: Scope::Process,
        }
    }

    /// Checks that it was not ended, stopped or continued.
    fn assert_untouched(&self) {
        let pid = Pid::from_child(&self.0);
        let fd = pidfd_open(pid, PidfdFlags::empty()).expect("it is ours");
        let any = WaitIdOptions::EXITED
            | WaitIdOptions::STOPPED
            | WaitIdOptions::CONTINUED
            | WaitIdOptions::NOHANG
            | WaitIdOptions::NOWAIT;
        let status = waitid(WaitId::PidFd(fd.as_fd()), any).expect("it is ours");
        assert!(status.is_none(), "an innocent was signalled: {status:?}");
    }

    fn end(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Drop for Idle {
    fn drop(&mut self) {
        self.end();
    }
}

/// Carries orders out, one after the other, on a thread of its own: a new
/// thread would take the pid that is to be given again.
struct Executioner {
    orders: Sender<(ActionRequest, Duration)>,
    done: Receiver<ActionResult>,
    _thread: JoinHandle<()>,
}

impl Executioner {
    fn start(state: PathBuf) -> Self {
        let (orders, taken) = channel::<(ActionRequest, Duration)>();
        let (told, done) = channel();
        let guard = Guard {
            lineage: vec![std::process::id()],
            allow: Arc::default(),
            listed: Arc::default(),
            builtin: true,
            only: Only::default(),
        };
        let hold_manager = HoldManager::new(Store::new(state), false);
        let thread = thread::spawn(move || {
            let system = System::new(Arc::default());
            for (number, (order, delay)) in taken.into_iter().enumerate() {
                let began = Instant::now();
                while began.elapsed() < delay {
                    std::hint::spin_loop();
                }
                // Half of them as where evidence is taken: stopped first, which takes
                // a line on disk, and let go on.
                if number % 2 == 0 {
                    let _ = stop_briefly(&order, &guard.lineage, &system, &hold_manager);
                }
                let done = carry_out(&order, &guard, &system, &hold_manager);
                told.send(done).expect("somebody listens");
            }
        });
        Self {
            orders,
            done,
            _thread: thread,
        }
    }
}

/// The image of the one that comes is that of the one that went: only the time
/// of its start tells them apart.
#[test]
fn ten_thousand_pids_are_reused_while_orders_are_out_and_nobody_else_is_signalled() {
    let _turn = take_turn();
    let home = tempfile::tempdir().expect("a temporary directory");
    let image = home.path().join("idle");
    fs::copy("/bin/sleep", &image).expect("a copy");
    let executioner = Executioner::start(home.path().join("state"));
    let (mut reused, mut outcomes) = (0, HashMap::<String, usize>::new());
    let mut seed = 1_u64;
    while reused < REUSES {
        let judged: Vec<Idle> = (0..BATCH).map(|_| Idle::spawn(&image)).collect();
        // /proc tells starts apart by ticks of 10 ms; a judged process has
        // burned for longer.
        thread::sleep(Duration::from_millis(20));
        for (at, mut idle) in judged.into_iter().enumerate() {
            let grace = Duration::from_millis(if at % 2 == 0 { 0 } else { 5 });
            let order = idle.order(ActionKind::Kill { grace });
            // Anywhere between before the end and well after the next start.
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let delay = Duration::from_micros((seed >> 33) % 2500);
            executioner.orders.send((order, delay)).expect("it listens");
            // Some orders are carried out before the end.
            thread::sleep(Duration::from_micros((seed >> 17) % 1500));
            idle.end();
            let innocent = Idle::with_pid(&image, order.process.tgid);
            let done = executioner.done.recv().expect("it answers");
            *outcomes.entry(format!("{:?}", done.outcome)).or_default() += 1;
            match done.outcome {
                Outcome::Gone | Outcome::Refused(Refusal::Vanished) => {}
                other => panic!("neither gone nor refused: {other:?}"),
            }
            if let Some(innocent) = innocent {
                innocent.assert_untouched();
                reused += 1;
            }
        }
    }
    eprintln!("{reused} pids reused: {outcomes:?}");
    // Not all the one way: the orders were out while it happened.
    assert!(outcomes.values().all(|count| *count > 100), "{outcomes:?}");
    assert_eq!(outcomes.len(), 2, "{outcomes:?}");
}

/// That the check above can fail: a signal by number hits the innocent.
#[test]
fn a_signal_by_number_would_be_seen() {
    let _turn = take_turn();
    let image = Path::new("/bin/sleep");
    for signal in [rustix::process::Signal::STOP, rustix::process::Signal::TERM] {
        let mut gone = Idle::spawn(image);
        let pid = gone.0.id();
        gone.end();
        let innocent = eventually("the pid is had again", Duration::from_secs(10), || {
            Idle::with_pid(image, pid).ok_or_else(|| "somebody else has it".to_owned())
        });
        innocent.assert_untouched();
        rustix::process::kill_process(Pid::from_child(&innocent.0), signal).expect("it is ours");
        thread::sleep(Duration::from_millis(100));
        let seen = std::panic::catch_unwind(|| innocent.assert_untouched());
        assert!(seen.is_err(), "{signal:?} was not seen");
    }
}

fn check_refused(order: &ActionRequest, expected: Refusal) {
    let home = tempfile::tempdir().expect("a temporary directory");
    let executioner = Executioner::start(home.path().join("state"));
    let sent = executioner.orders.send((*order, Duration::ZERO));
    sent.expect("it listens");
    let done = executioner.done.recv().expect("it answers");
    assert_eq!(done.outcome, Outcome::Refused(expected));
}

#[test]
fn an_order_on_a_process_that_has_ended_is_refused() {
    let _turn = take_turn();
    let mut idle = Idle::spawn(Path::new("/bin/sleep"));
    let order = idle.order(ActionKind::Freeze);
    idle.end();
    check_refused(&order, Refusal::Vanished);
}

#[test]
fn an_order_on_a_process_that_executes_another_image_by_now_is_refused() {
    let _turn = take_turn();
    let mut command = Command::new("/bin/sh");
    command.args(["-c", "read go; exec sleep 600"]);
    let child = command.stdin(Stdio::piped()).spawn().expect("a process");
    let mut idle = Idle(child);
    let system = System::new(Arc::default());
    let identity = || system.identify(idle.0.id()).expect("it lives");
    // spawn returns when the shell is there.
    let before = identity();
    let order = idle.order(ActionKind::Kill {
        grace: Duration::ZERO,
    });
    assert_eq!(before.image, order.image);
    drop(idle.0.stdin.take());
    let limit = Duration::from_secs(10);
    let after = eventually("it executes another image", limit, || {
        let now = system.identify(idle.0.id()).expect("it lives");
        if now.image == before.image {
            Err(format!("{now:?}"))
        } else {
            Ok(now)
        }
    });
    assert_eq!(after.start_ticks, before.start_ticks, "the same process");
    check_refused(&order, Refusal::Replaced);
    idle.assert_untouched();
}

/// `kernel.pid_max`, as it was once this is dropped.
struct FewPids(String);

impl FewPids {
    const FILE: &str = "/proc/sys/kernel/pid_max";

    fn new(most: u32) -> Self {
        let before = fs::read_to_string(Self::FILE).expect("a limit");
        fs::write(Self::FILE, most.to_string()).expect("the limit is ours");
        Self(before)
    }
}

impl Drop for FewPids {
    fn drop(&mut self) {
        let _ = fs::write(Self::FILE, &self.0);
    }
}

/// The whole daemon, on a host whose pids come round every few seconds.
#[test]
fn where_pids_are_few_and_miners_are_being_killed_all_others_end_by_themselves() {
    let _turn = take_turn();
    let home = tempfile::tempdir().expect("a temporary directory");
    let image = home.path().join("miner");
    fs::copy(tests::host::workload(), &image).expect("a copy");
    let (state, deny) = (
        home.path().join("state"),
        format!("exe={}", image.display()),
    );
    let state = state.display().to_string();
    let flags = [
        "--action",
        "kill",
        "--max-kills",
        "1000",
        "--max-kills-per-image",
        "1000",
    ];
    let mine = ["--state-dir", &state, "--min-score", "1", "--deny", &deny];
    let daemon = Daemon::start(&[&flags[..], &mine].concat());
    let _few = FewPids::new(2048);
    let start = || Workload::spawn(Command::new(&image).arg("sha256d"));
    let mut miners: Vec<Workload> = (0..4).map(|_| start()).collect();
    let (mut used, mut reused, mut killed) = (HashMap::<u32, u32>::new(), 0, 0);
    while reused < ROUNDS || killed < 8 {
        for _ in 0..100 {
            let mut child = Command::new("/bin/true").spawn().expect("a process");
            let before = used.entry(child.id()).or_default();
            reused += usize::from(*before > 0);
            *before += 1;
            let status = child.wait().expect("it is ours");
            assert!(status.success(), "an innocent was signalled: {status}");
        }
        for miner in &mut miners {
            if miner.ended().is_some() {
                killed += 1;
                *miner = start();
                *used.entry(miner.pid()).or_default() += 1;
            }
        }
    }
    let gone = daemon.events_of("action");
    assert!(
        gone.iter().all(|event| event["outcome"] == "gone"),
        "{gone:?}"
    );
}
