//! Sockets on loopback and in a folder of the test's own.

use std::io::Write as _;
use std::net::TcpStream;

use super::*;

fn one(text: &str) -> Result<Socket, BindError> {
    let sockets = bind(&[text.parse().unwrap()])?;
    Ok(sockets.into_iter().next().unwrap())
}

/// What `bind` says to this address.
#[track_caller]
fn check_error(text: &str, parts: &[&str]) {
    let message = one(text).unwrap_err().to_string();
    for part in parts {
        assert!(message.contains(part), "no {part:?} in {message}");
    }
}

#[test]
fn a_port_in_use_names_the_address_and_what_to_do() {
    let held = one("127.0.0.1:0").unwrap();
    check_error(
        &held.address(),
        &[&held.address(), "holds port", "--web.listen-address"],
    );
}

#[test]
fn an_address_of_another_host_is_told_so() {
    check_error("192.0.2.1:1", &["192.0.2.1:1", "ip addr"]);
}

#[test]
fn every_address_is_of_both_versions() {
    let Kind::Tcp(listener) = one(":0").unwrap().0 else {
        panic!("no TCP")
    };
    let port = listener.local_addr().unwrap().port();
    TcpStream::connect(("127.0.0.1", port)).unwrap();
}

#[test]
fn both_versions_side_by_side() {
    let port = TcpListener::bind("0.0.0.0:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let all = [format!("[::]:{port}"), format!("0.0.0.0:{port}")];
    let all = all.map(|text| text.parse().unwrap());
    match bind(&all) {
        Ok(sockets) => assert_eq!(sockets.len(), 2),
        // Another process was given the port meanwhile, or there is no IPv6.
        Err(error) => assert!(
            !error.to_string().contains("[::]") || error.cause.kind() != io::ErrorKind::AddrInUse,
            "{error}"
        ),
    }
}

#[test]
fn a_socket_file_has_its_rights_and_goes_with_its_socket() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("u.sock");
    let address = format!("unix:{}", path.display());
    let socket = one(&address).unwrap();
    assert_eq!(socket.address(), address);
    let mode = fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, MODE);
    UnixStream::connect(&path).unwrap();
    // A process answers there.
    check_error(&address, &[&address, "something answers"]);
    drop(socket);
    assert!(!path.exists());
}

#[test]
fn a_file_that_a_dead_daemon_left_is_replaced_and_others_are_not() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("u.sock");
    let address = format!("unix:{}", path.display());
    // Closed, and its file still there: as after a kill.
    drop(UnixListener::bind(&path).unwrap());
    assert!(path.exists());
    let socket = one(&address).unwrap();
    UnixStream::connect(&path).unwrap();
    drop(socket);

    fs::File::create(&path)
        .unwrap()
        .write_all(b"precious")
        .unwrap();
    check_error(&address, &["no socket"]);
    assert_eq!(fs::read(&path).unwrap(), b"precious");
}

#[test]
fn a_file_of_another_socket_is_not_removed() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("u.sock");
    let socket = one(&format!("unix:{}", path.display())).unwrap();
    fs::rename(&path, home.path().join("moved")).unwrap();
    let _another = UnixListener::bind(&path).unwrap();
    drop(socket);
    assert!(path.exists());
}

#[test]
fn a_folder_that_is_not_there_is_told() {
    check_error("unix:/nowhere/at/all/u.sock", &["make its folder"]);
}
