//! Hosts we do not have, judged from what they would show.

use super::judge::*;
use super::limits::*;
use super::*;

const ROOT: Caps = Caps(0x1ff_ffff_ffff);
const NO_PROCESS: Caps = Caps(0);

#[track_caller]
fn check(check: &Check, status: Status, found: &str) {
    assert_eq!(check.status, status, "{check:?}");
    assert!(check.found.contains(found), "{check:?}");
    assert_eq!(check.remedy.is_none(), status == Status::Ok, "{check:?}");
}

#[test]
fn architectures() {
    check(&arch("x86_64"), Status::Ok, "x86_64");
    check(&arch("aarch64"), Status::Ok, "aarch64");
    check(&arch("riscv64"), Status::Fail, "riscv64");
}

#[test]
fn btf_present_absent_and_damaged() {
    check(
        &btf(&Ok(0xeb9f_u16.to_ne_bytes())),
        Status::Ok,
        "/sys/kernel/btf/vmlinux",
    );
    check(&btf(&Ok([0x7f, b'E'])), Status::Fail, "something else");
    check(
        &btf(&Err("No such file".to_owned())),
        Status::Fail,
        "No such file",
    );
}

#[test]
fn capabilities_of_status() {
    let status = "Name:\tx\nCapPrm:\t000001ffffffffff\nCapEff:\t000000c000000000\n";
    assert_eq!(Caps::parse(status), Caps(0xc0_0000_0000));
    assert_eq!(Caps::parse("Name:\tx\n"), NO_PROCESS);
}

#[test]
fn capabilities_to_load() {
    check(&load_caps(ROOT), Status::Ok, "");
    check(&load_caps(Caps(1 << 38 | 1 << 39)), Status::Ok, "");
    check(&load_caps(Caps(1 << 21)), Status::Ok, "CAP_SYS_ADMIN");
    check(&load_caps(Caps(1 << 39)), Status::Fail, "no CAP_PERFMON");
    check(
        &load_caps(NO_PROCESS),
        Status::Fail,
        "no CAP_BPF, no CAP_PERFMON",
    );
}

#[test]
fn capabilities_to_act() {
    check(&act_caps(ROOT), Status::Ok, "");
    let enough = 1 << 1 | 1 << 5 | 1 << 12 | 1 << 19;
    check(&act_caps(Caps(enough)), Status::Ok, "");
    check(
        &act_caps(Caps(enough & !(1 << 12))),
        Status::Warn,
        "no CAP_NET_ADMIN",
    );
    check(
        &act_caps(Caps(1 << 2 | 1 << 5)),
        Status::Warn,
        "no CAP_SYS_PTRACE",
    );
    check(&act_caps(NO_PROCESS), Status::Warn, "no CAP_KILL");
}

#[test]
fn namespaces() {
    check(
        &namespace(&PID_NAMESPACE, Some("pid:[4026531836]")),
        Status::Ok,
        "host",
    );
    check(
        &namespace(&PID_NAMESPACE, Some("pid:[4026532201]")),
        Status::Fail,
        "4026532201",
    );
    check(&namespace(&PID_NAMESPACE, None), Status::Warn, "unknown");
    let cgroup = |link| namespace(&CGROUP_NAMESPACE, Some(link));
    check(&cgroup("cgroup:[4026531835]"), Status::Ok, "host");
    check(&cgroup("cgroup:[4026532300]"), Status::Fail, "not the host");
    check(
        &namespace(&USER_NAMESPACE, Some("user:[4026531837]")),
        Status::Ok,
        "host",
    );
    check(
        &namespace(&USER_NAMESPACE, Some("user:[4026532000]")),
        Status::Fail,
        "user:",
    );
}

#[test]
fn lockdown_modes() {
    check(
        &lockdown(Some("[none] integrity confidentiality")),
        Status::Ok,
        "none",
    );
    check(
        &lockdown(Some("none [integrity] confidentiality")),
        Status::Ok,
        "integrity",
    );
    check(
        &lockdown(Some("none integrity [confidentiality]")),
        Status::Fail,
        "confidentiality",
    );
    check(&lockdown(None), Status::Warn, "unknown");
}

#[test]
fn jit_on_off_and_unknown() {
    check(&jit(Some("1")), Status::Ok, "on");
    check(&jit(Some("0")), Status::Warn, "off");
    check(&jit(None), Status::Warn, "unknown");
}

#[test]
fn perf_paranoia_matters_without_capabilities_only() {
    check(&perf_paranoid(Some("4"), ROOT), Status::Ok, "4");
    check(
        &perf_paranoid(Some("2"), NO_PROCESS),
        Status::Warn,
        "refused",
    );
    check(&perf_paranoid(Some("-1"), NO_PROCESS), Status::Ok, "-1");
    check(&perf_paranoid(None, ROOT), Status::Warn, "perf events");
}

#[test]
fn pmus() {
    let devices = |names: &[&str]| Ok(names.iter().map(|name| (*name).to_owned()).collect());
    check(&pmu(&devices(&["software", "cpu"])), Status::Ok, "cycles");
    check(
        &pmu(&devices(&["cpu_atom", "cpu_core"])),
        Status::Ok,
        "cpu_core",
    );
    check(&pmu(&devices(&["armv8_pmuv3_0"])), Status::Ok, "armv8");
    check(
        &pmu(&devices(&["software", "tracepoint", "cpum"])),
        Status::Warn,
        "cpu-clock",
    );
    check(&pmu(&Err(PMU_UNKNOWN)), Status::Warn, "unknown");
}

#[test]
fn security_modules() {
    check(
        &bpf_lsm(Some("lockdown,capability,bpf")),
        Status::Ok,
        "active",
    );
    check(
        &bpf_lsm(Some("capability,apparmor")),
        Status::Warn,
        "not active",
    );
    check(&bpf_lsm(None), Status::Warn, "unknown");
}

#[test]
fn cgroup_layouts() {
    const V1: &str = "32 31 0:29 / /sys/fs/cgroup/cpu rw,relatime - cgroup cgroup rw,cpu";
    const V2: &str = "38 31 0:35 / /sys/fs/cgroup rw shared:4 - cgroup2 cgroup2 rw";
    check(&cgroups(V2), Status::Ok, "v2");
    check(&cgroups(&format!("{V1}\n{V2}")), Status::Ok, "hybrid");
    check(&cgroups(V1), Status::Warn, "v1 only");
    check(&cgroups(""), Status::Warn, "not mounted");
}

#[test]
fn sampling_rates() {
    check(&sample_rate(Some("100000")), Status::Ok, "100000");
    check(&sample_rate(Some("99")), Status::Ok, "99");
    check(&sample_rate(Some("50")), Status::Warn, "refused");
    check(&sample_rate(None), Status::Warn, "unknown");
}

#[test]
fn cpu_controllers() {
    const V1: &str = "32 31 0:29 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu,cpuacct";
    const OTHER: &str = "32 31 0:29 / /sys/fs/cgroup/cpuset rw - cgroup cgroup rw,cpuset";
    check(
        &cpu_controller(V1, None),
        Status::Ok,
        "v1, at /sys/fs/cgroup/cpu",
    );
    check(&cpu_controller("", Some("cpuset cpu io")), Status::Ok, "v2");
    check(
        &cpu_controller(OTHER, Some("cpuset io")),
        Status::Warn,
        "throttled",
    );
    check(&cpu_controller("", None), Status::Warn, "none");
}

#[test]
fn somewhere_to_keep_bans() {
    const BPF: &str = "40 31 0:37 / /sys/fs/bpf rw shared:7 - bpf bpf rw,mode=700";
    check(&bpf_filesystem(BPF), Status::Ok, "/sys/fs/bpf");
    check(&bpf_filesystem(""), Status::Warn, "not mounted");
}

#[test]
fn hidden_processes() {
    let proc =
        |options: &str| format!("22 27 0:21 / /proc rw,relatime shared:5 - proc proc {options}");
    check(&hidepid(&proc("rw"), NO_PROCESS), Status::Ok, "all");
    check(
        &hidepid(&proc("rw,hidepid=invisible"), NO_PROCESS),
        Status::Warn,
        "invisible",
    );
    check(
        &hidepid(&proc("rw,gid=4,hidepid=2"), ROOT),
        Status::Ok,
        "CAP_SYS_PTRACE",
    );
    check(&hidepid("", ROOT), Status::Warn, "not found");
}

#[test]
fn text_has_a_line_a_check_and_its_remedy_below() {
    let checks = [
        Check::ok("kernel", "Linux 6.1"),
        Check::fail("BTF", "not found", "boot another"),
    ];
    assert_eq!(
        render_text(&checks),
        "ok    kernel  Linux 6.1\nFAIL  BTF     not found\n              remedy: boot another\n"
    );
    assert!(fatal(&checks) && !fatal(&checks[..1]));
}

#[test]
fn programs_of_another_root_are_told() {
    for (same, expected) in [
        (Some(true), Status::Ok),
        (Some(false), Status::Warn),
        (None, Status::Warn),
    ] {
        for caps in [Caps(0), Caps(u64::MAX)] {
            assert_eq!(judge::programs(same, caps).status, expected, "{same:?}");
        }
    }
    // A capability that is there is no remedy.
    let remedy = |caps| judge::programs(None, caps).remedy.unwrap();
    assert_eq!(remedy(Caps(0)), "give unjack CAP_SYS_PTRACE");
    assert!(!remedy(Caps(u64::MAX)).contains("CAP_"));
    // Without root it cannot be told.
    assert_ne!(is_hosts("/usr"), Some(false));
    assert_eq!(is_hosts("/no-such-folder"), None);
}

#[test]
fn json_names_status_in_lower_case() {
    let json = serde_json::to_string(&Check::ok("kernel", "Linux 6.1")).unwrap();
    assert_eq!(
        json,
        r#"{"name":"kernel","status":"ok","found":"Linux 6.1","remedy":null}"#
    );
}

#[test]
fn this_host_is_looked_at_whole() {
    let checks = checks();
    let names: std::collections::HashSet<_> = checks.iter().map(|check| check.name).collect();
    assert_eq!(names.len(), checks.len(), "one name each");
    for check in &checks {
        assert!(!check.found.is_empty(), "{check:?}");
        assert_eq!(
            check.remedy.is_none(),
            check.status == Status::Ok,
            "{check:?}"
        );
    }
}
