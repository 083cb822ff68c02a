//! Named cases: the three layouts, and what paths mean.

use super::{identity::*, *};

const V2: &str = "25 30 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n";
const HYBRID: &str = "31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw,mode=755\n\
    32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw shared:8 - cgroup cgroup rw,cpu,cpuacct\n\
    37 31 0:34 / /sys/fs/cgroup/freezer rw - cgroup cgroup rw,freezer\n\
    40 31 0:37 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,xattr,name=systemd\n\
    41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n";
const IN_HYBRID: &str = "9:name=systemd:/system.slice/a.service\n6:freezer:/\n\
    2:cpu,cpuacct:/system.slice\n0::/system.slice/a.service\n";
const ID: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

/// Without the unified tree, as before systemd 226.
fn v1() -> String {
    let lines = HYBRID.lines().filter(|line| !line.contains("cgroup2"));
    lines.collect::<Vec<_>>().join("\n")
}

#[track_caller]
fn check(mounts: &str, member: &str, cpu: Option<(Kind, &str)>, freezer: Option<(Kind, &str)>) {
    let layout = Layout::parse(mounts.as_bytes());
    let member = Membership::parse(member.as_bytes());
    let found = |site: Option<Site>| site.map(|site| (site.kind, site.dir));
    let expected = |site: Option<(Kind, &str)>| site.map(|(kind, dir)| (kind, dir.into()));
    assert_eq!(found(layout.cpu(&member)), expected(cpu));
    assert_eq!(found(layout.freezer(&member)), expected(freezer));
}

#[test]
fn on_version_2_all_is_in_the_unified_tree() {
    let at = Some((Kind::Unified, "/sys/fs/cgroup/user.slice/x"));
    check(V2, "0::/user.slice/x\n", at, at);
    let root = Some((Kind::Unified, "/sys/fs/cgroup/"));
    check(V2, "0::/\n", root, root);
}

#[test]
fn on_hybrid_cpu_is_limited_in_its_own_tree_and_freezing_is_unified() {
    check(
        HYBRID,
        IN_HYBRID,
        Some((Kind::Cpu, "/sys/fs/cgroup/cpu,cpuacct/system.slice")),
        Some((
            Kind::Unified,
            "/sys/fs/cgroup/unified/system.slice/a.service",
        )),
    );
}

#[test]
fn on_version_1_each_has_its_own_tree() {
    check(
        &v1(),
        IN_HYBRID,
        Some((Kind::Cpu, "/sys/fs/cgroup/cpu,cpuacct/system.slice")),
        Some((Kind::Freezer, "/sys/fs/cgroup/freezer/")),
    );
}

#[test]
fn without_a_tree_there_is_no_place() {
    check(
        "31 23 0:28 / /sys rw - sysfs sysfs rw\n",
        IN_HYBRID,
        None,
        None,
    );
    check("", "", None, None);
    check("cgroup\n- -\n1 2 3 - cgroup2\n", "x\n1:cpu\n", None, None);
}

/// An engine mounts a container's own cgroups over the host's that were given
/// to it.
#[test]
fn a_mount_under_another_shows_nothing() {
    let over = "95 31 0:44 / /sys/fs/cgroup rw - tmpfs tmpfs rw\n\
        96 95 0:38 /docker/a /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n";
    let covered = format!("23 1 0:2 / / rw - ext4 /dev/a rw\n{HYBRID}{over}");
    let inside = Some((Kind::Unified, "/sys/fs/cgroup/unified/b"));
    check(&covered, "0::/docker/a/b\n", inside, inside);
    check(&covered, IN_HYBRID, None, None);
    let twice = format!("{V2}26 25 0:26 /docker/a /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n");
    check(&twice, "0::/system.slice\n", None, None);
}

/// A host that runs from its initramfs.
#[test]
fn the_first_mount_of_all_lies_on_itself_and_over_nothing() {
    let mounts = "1 1 0:2 / / rw - rootfs none rw\n\
        20 1 0:19 / /sys rw - sysfs sys rw\n\
        23 20 0:22 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n";
    let at = Some((Kind::Unified, "/sys/fs/cgroup/x"));
    check(mounts, "0::/x\n", at, at);
}

/// What a container without a namespace of its own sees.
#[test]
fn a_mount_of_a_part_shows_only_that_part() {
    let part = "25 30 0:26 /docker/a /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n";
    let inside = Some((Kind::Unified, "/sys/fs/cgroup/b"));
    check(part, "0::/docker/a/b\n", inside, inside);
    check(part, "0::/system.slice\n", None, None);
    let both = format!("{part}{V2}");
    let all = Some((Kind::Unified, "/sys/fs/cgroup/system.slice"));
    check(&both, "0::/system.slice\n", all, all);
}

#[test]
fn a_path_out_of_the_namespace_leads_nowhere() {
    check(V2, "0::/../other\n", None, None);
    check(V2, "0::/a/../../etc\n", None, None);
}

#[test]
fn mount_points_are_unescaped() {
    let at = Some((Kind::Unified, "/mnt/a b\\c/x"));
    let mounts = "25 30 0:26 / /mnt/a\\040b\\134c rw - cgroup2 cgroup2 rw\n";
    check(mounts, "0::/x\n", at, at);
}

#[test]
fn a_site_has_sites_above_it() {
    let layout = Layout::parse(V2.as_bytes());
    let member = Membership::parse(b"0::/a/b.scope/c\n");
    let site = layout.cpu(&member).unwrap();
    let above = site.above("/a/b.scope").unwrap();
    assert_eq!(above.dir, Path::new("/sys/fs/cgroup/a/b.scope"));
    assert_eq!(site.above("/a/b.scope/c"), Some(site.clone()));
    assert_eq!(site.above("/elsewhere"), None);
}

#[test]
fn all_sites_are_found_the_telling_ones_first() {
    let layout = Layout::parse(HYBRID.as_bytes());
    let sites = layout.sites(&Membership::parse(IN_HYBRID.as_bytes()));
    let kinds: Vec<_> = sites.iter().map(|site| site.kind).collect();
    assert_eq!(
        kinds,
        [Kind::Unified, Kind::Other, Kind::Cpu, Kind::Freezer]
    );
}

#[track_caller]
fn means(path: &str, unit: Option<&str>, container: Option<&str>, pod: Option<&str>) {
    let found = Identity::of([path]);
    assert_eq!(found.unit.as_deref(), unit, "{path}");
    assert_eq!(found.container.as_deref(), container, "{path}");
    assert_eq!(found.pod.as_deref(), pod, "{path}");
}

#[test]
fn units_of_the_system() {
    let unit = Some("backup.service");
    means("/system.slice/backup.service", unit, None, None);
    means("/system.slice/backup.service/worker", unit, None, None);
    means(
        "/a.slice/a-b.slice/vm-1.scope",
        Some("vm-1.scope"),
        None,
        None,
    );
    means("/system.slice", None, None, None);
    means("/", None, None, None);
    means("", None, None, None);
    means("/init.scope", Some("init.scope"), None, None);
}

/// Any user can run a unit of any name under the user's own manager, and root in a
/// container can make any cgroup below its own.
#[test]
fn a_unit_that_any_user_could_have_made_is_none() {
    let own = "/user.slice/user-1000.slice/user@1000.service";
    let manager = Some("user@1000.service");
    means(&format!("{own}/backup.service"), manager, None, None);
    means(
        &format!("{own}/user.slice/libpod-{ID}.scope"),
        manager,
        None,
        None,
    );
    means(
        &format!("/docker/{ID}/system.slice/backup.service"),
        None,
        Some(ID),
        None,
    );
    means("/mine/backup.service", None, None, None);
    means("/../system.slice/backup.service", None, None, None);
}

#[test]
fn containers_of_every_engine() {
    for path in [
        format!("/docker/{ID}"),
        format!("/libpod_parent/libpod-{ID}"),
        format!("/libpod_parent/libpod-{ID}/container"),
        format!("/kubepods/{ID}"),
        format!("/system.slice/x.slice:cri-containerd:{ID}"),
        format!("/machine/crio-{ID}"),
    ] {
        means(&path, None, Some(ID), None);
    }
    for engine in ["docker", "libpod", "cri-containerd", "crio", "nerdctl"] {
        let scope = format!("{engine}-{ID}.scope");
        means(
            &format!("/system.slice/{scope}"),
            Some(&scope),
            Some(ID),
            None,
        );
    }
    means("/lxc.payload.web/init", None, Some("web"), None);
    means("/lxc/web", None, Some("web"), None);
}

#[test]
fn what_is_no_container() {
    means(
        &format!("/machine.slice/libpod-conmon-{ID}"),
        None,
        None,
        None,
    );
    means(&format!("/docker/{}", &ID[1..]), None, None, None);
    means(&format!("/x{ID}"), None, None, None);
    means("/lxc.monitor.web", None, None, None);
    means(&format!("/docker/é{}", &ID[1..]), None, None, None);
}

/// The one inside is of the outer one's making.
#[test]
fn of_nested_containers_a_rule_sees_the_outer() {
    let other = ID.replace('0', "f");
    means(
        &format!("/docker/{ID}/docker/{other}"),
        None,
        Some(ID),
        None,
    );
}

#[test]
fn pods() {
    let uid = "12345678-9abc-def0-1234-56789abcdef0";
    let pod = format!("/kubepods/burstable/pod{uid}/{ID}");
    means(&pod, None, Some(ID), Some(uid));
    let under = uid.replace('-', "_");
    let scope = format!("cri-containerd-{ID}.scope");
    let pod = format!("/kubepods.slice/kubepods-burstable-pod{under}.slice/{scope}");
    means(&pod, Some(&scope), Some(ID), Some(uid));
    means(&format!("/podium{uid}"), None, None, None);
}

#[test]
fn what_one_path_does_not_tell_another_may() {
    let found = Identity::of(["/", "/system.slice/a.service", "/system.slice/b.service"]);
    assert_eq!(found.unit.as_deref(), Some("a.service"));
}

#[track_caller]
fn bounded(path: &str, expected: Option<&str>) {
    assert_eq!(boundary(path), expected, "{path}");
}

#[test]
fn the_smallest_container_service_or_scope_bounds_an_action() {
    bounded("/system.slice/a.service/w", Some("/system.slice/a.service"));
    bounded("/a.slice/b.scope", Some("/a.slice/b.scope"));
    let docker = format!("/docker/{ID}");
    bounded(&docker, Some(&docker));
    bounded(&format!("{docker}/init.scope"), Some(&docker));
    let inner = format!("{docker}/system.slice/a.service");
    bounded(&inner, Some(&inner));
    let own = "/user.slice/user-1.slice/user@1.service/app.slice/x.service";
    bounded(own, Some(own));
}

#[test]
fn what_others_share_bounds_nothing() {
    for path in [
        "/",
        "",
        "/system.slice",
        "/init.scope",
        "/user.slice/user-1.slice/user@1.service/init.scope",
        "/user.slice/user-1.slice/user@1.service/session.slice",
        "/docker",
        "/mine",
        "/../x.service",
        "/.service",
    ] {
        bounded(path, None);
    }
    bounded(&format!("/machine.slice/libpod-conmon-{ID}.scope"), None);
}

#[test]
fn cgroups_of_every_layout() {
    let check = |text: &[u8], path: &str| assert_eq!(path_to_match(text).as_deref(), Some(path));
    check(
        b"0::/user.slice/a\\x2db.scope\n",
        "/user.slice/a\\x2db.scope",
    );
    check(b"4:cpu,cpuacct:/ci\n1:name=systemd:/x\n0::/\n", "/ci");
    check(b"4:cpu:/ci\n0::/pod/c1\n", "/pod/c1");
    check(b"0::/a/\xff\n", "/a/\u{fffd}");
    assert_eq!(path_to_match(b""), None);
}
