use super::*;

const HOSTS: &str = "127.0.0.1 localhost\n192.0.2.9 Pool.Example.org pool # x\n\
                     2001:db8::9 pool\n0.0.0.0 blocked.example\n::1 six\nbad line\n";

fn parse(text: &str) -> Result<Pools, (usize, String)> {
    Pools::parse(text, Some(HOSTS))
}

#[track_caller]
fn check(list: &str, to: &str, expected: Option<&str>) {
    let pools = parse(list).unwrap();
    let to: SocketAddr = to.parse().unwrap();
    assert_eq!(pools.find(to), expected, "{to} in {list:?}");
    // What the kernel does with what it is given comes to the same.
    let address = octets(to.ip());
    let longest = pools
        .compiled()
        .iter()
        .filter(|(prefix, _)| Prefix::of(address, prefix.bits) == *prefix)
        .max_by_key(|(prefix, _)| prefix.bits);
    let listed = longest.is_some_and(|(_, ports)| {
        let valid = &ports.ports[..ports.count as usize];
        valid.is_empty() || valid.contains(&to.port())
    });
    assert_eq!(
        listed,
        expected.is_some(),
        "in the kernel: {to} in {list:?}"
    );
}

#[track_caller]
fn check_bad(list: &str, line: usize, problem: &str) {
    let (at, why) = parse(list).unwrap_err();
    assert_eq!(at, line, "{list:?}: {why}");
    assert!(why.contains(problem), "{why}");
}

#[test]
fn an_address_with_and_without_a_port() {
    check("192.0.2.7 xmr pool", "192.0.2.7:80", Some("xmr pool"));
    check("192.0.2.7", "192.0.2.8:80", None);
    check("192.0.2.7:3333 p", "192.0.2.7:3333", Some("p"));
    check("192.0.2.7:3333 p", "192.0.2.7:3334", None);
    check("2001:db8::7 p", "[2001:db8::7]:1", Some("p"));
    check("[2001:db8::7]:3333 p", "[2001:db8::7]:3333", Some("p"));
    check("[2001:db8::7]:3333 p", "[2001:db8::7]:1", None);
}

#[test]
fn a_mapped_address_is_the_same_as_its_own() {
    check("192.0.2.7 p", "[::ffff:192.0.2.7]:80", Some("p"));
    check("::ffff:192.0.2.7 p", "192.0.2.7:80", Some("p"));
}

#[test]
fn prefixes_and_what_lies_in_them() {
    let list = "192.0.2.0/24 wide\n192.0.2.128/25:3333 narrow\n192.0.2.200:4444 one\n";
    check(list, "192.0.2.1:1", Some("wide"));
    check(list, "192.0.2.129:3333", Some("narrow"));
    check(list, "192.0.2.129:1", Some("wide"));
    check(list, "192.0.2.200:4444", Some("one"));
    check(list, "192.0.2.200:3333", Some("narrow"));
    check(list, "192.0.2.200:5", Some("wide"));
    check(list, "192.0.3.200:4444", None);
    let ports = "198.51.100.0/24:1\n198.51.100.0/25:2\n198.51.100.1:3";
    check(ports, "198.51.100.1:1", Some(""));
    check(ports, "198.51.100.1:2", Some(""));
    check(ports, "198.51.100.1:4", None);
    check(ports, "198.51.100.200:2", None);
    check("[2001:db8::/32]:3333 p", "[2001:db8:1::1]:3333", Some("p"));
}

#[test]
fn host_names_are_looked_up_in_the_hosts_file_only_if_allowed() {
    check(
        "pool.example.ORG:3333",
        "192.0.2.9:3333",
        Some("pool.example.ORG"),
    );
    check("pool p", "[2001:db8::9]:1", Some("p"));
    check("elsewhere.example", "192.0.2.9:1", None);
    assert_eq!(parse("elsewhere.example\npool").unwrap().unresolved, 1);
    let pools = Pools::parse("pool", None).unwrap();
    assert_eq!((pools.len(), pools.unresolved), (0, 1));
}

/// Lists that block hosts lead their names to this host.
#[test]
fn a_name_that_leads_to_this_host_is_not_listed() {
    for name in ["localhost", "blocked.example", "six"] {
        assert!(parse(name).unwrap().is_empty(), "{name}");
    }
}

#[test]
fn a_bad_line_is_told_by_its_number() {
    check_bad(
        "192.0.2.7\n\n192.0.2.256\n",
        3,
        "no address, prefix or host name",
    );
    check_bad("192.0.2", 1, "no address");
    check_bad("192.0.2.1/24", 1, "write 192.0.2.0/24");
    check_bad("0.0.0.0/0", 1, "from 8 to 32");
    check_bad("::/0", 1, "from 16 to 128");
    check_bad("192.0.2.0/33", 1, "from 8 to 32");
    check_bad("pool.example/24", 1, "no address");
    check_bad("192.0.2.7:0", 1, "no port");
    check_bad("192.0.2.7:65536", 1, "no port");
    check_bad("192.0.2.7:", 1, "no port");
    check_bad("[2001:db8::7", 1, "no ']'");
    check_bad("[2001:db8::7]3333", 1, "after ']'");
    check_bad("po\x1b[2Jol", 1, "no address");
    check_bad("-", 1, "no address");
    check_bad("192.0.2.7 a\u{202e}b", 1, "cannot be seen");
}

#[test]
fn more_ports_than_fit_are_told() {
    let lines: Vec<String> = (1..=POOL_PORTS)
        .map(|port| format!("192.0.2.7:{port}\n"))
        .collect();
    let mut list = lines.concat();
    assert_eq!(parse(&list).unwrap().len(), 1);
    list += "192.0.2.0/24:9999\n";
    check_bad(&list, POOL_PORTS, "more than 14 ports");
    list += "192.0.2.7\n";
    assert!(parse(&list).is_ok());
}

/// Whatever pieces a text is made of, it is a list or an error in one of its
/// lines, and what it says of an address is what the kernel is given.
#[test]
fn any_text_is_a_list_or_an_error_in_one_of_its_lines() {
    let pieces = [
        "192.0.2.",
        "7",
        "0",
        "/24",
        "/",
        ":",
        "3333",
        "[",
        "]",
        "::",
        "2001:db8::",
        "pool",
        " ",
        "\n",
        "#",
        "é",
        "\0",
        "a.b",
        "ffff:",
    ];
    let mut state = 1_u64;
    let mut lists = 0;
    for _ in 0..50_000 {
        let mut text = String::new();
        for _ in 0..(state >> 40) % 12 {
            // Numerical Recipes' generator: any will do.
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            text += pieces[usize::try_from(state >> 33).unwrap() % pieces.len()];
        }
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        match parse(&text) {
            Ok(pools) => {
                lists += 1;
                assert_eq!(pools.compiled().len(), pools.len());
            }
            Err((line, _)) => assert!((1..=text.lines().count()).contains(&line), "{text:?}"),
        }
    }
    assert!(lists > 1000, "only {lists} were lists");
}
