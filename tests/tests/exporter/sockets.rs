//! Where the daemon listens: several places, files, and systemd's sockets.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::process::Command;

use rustix::process::Signal;
use tests::daemon::{command, free_address, without_settings};
use tests::host::{eventually, output, share_turn, unjack};
use tests::{Daemon, Workload};

use super::{NOTICE, home};

fn get_by_file(path: &Path) -> Result<String, String> {
    let exchange = || -> std::io::Result<String> {
        let mut stream = UnixStream::connect(path)?;
        stream.set_read_timeout(Some(NOTICE))?;
        stream.write_all(b"GET /m HTTP/1.0\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    };
    exchange().map_err(|error| error.to_string())
}

#[test]
fn several_addresses_and_a_file_are_served_alike() {
    let _turn = share_turn();
    let home = home();
    let path = home.path().join("u.sock");
    // A daemon that was killed left it.
    drop(UnixListener::bind(&path).expect("it is ours"));
    let other = free_address();
    let (file, other_text) = (format!("unix:{}", path.display()), other.to_string());
    let flags = [
        "--web.listen-address",
        &file,
        "--web.listen-address",
        &other_text,
        "--web.telemetry-path",
        "/m",
    ];
    let mut daemon = Daemon::start(&flags);
    for address in [daemon.address, other] {
        let metrics = tests::metrics::get(address, "/m").expect("it answers");
        assert!(metrics.contains("unjack_build_info"));
        assert!(tests::metrics::get(address, "/metrics").is_err());
    }
    let answer = get_by_file(&path).expect("it answers");
    assert!(answer.contains("unjack_build_info"), "{answer}");
    let mode = fs::metadata(&path)
        .expect("it is there")
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o660);

    // A second daemon does not take it away.
    let mut second = command(&unjack());
    let answer = output(second.args(["run", "--web.listen-address", &file]));
    let message = String::from_utf8_lossy(&answer.stderr);
    assert_eq!(answer.status.code(), Some(1), "{message}");
    assert!(
        message.contains(&file) && message.contains("something answers"),
        "{message}"
    );
    assert!(get_by_file(&path).is_ok());

    assert!(daemon.stop(Signal::TERM).success());
    assert!(!path.exists(), "the file of the socket is left");
}

#[test]
fn systemds_sockets_are_taken_over() {
    let _turn = share_turn();
    let home = home();
    let path = home.path().join("u.sock");
    let holder = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = holder.local_addr().expect("it has one");
    drop(holder);
    // What systemd does, in short: sockets from descriptor 3 on, and then exec.
    let start = format!(
        "import os, socket, sys\n\
         t = socket.create_server(('127.0.0.1', {}))\n\
         u = socket.socket(socket.AF_UNIX); u.bind('{}'); u.listen()\n\
         a, b = os.dup(t.fileno()), os.dup(u.fileno())\n\
         os.dup2(a, 3); os.dup2(b, 4)\n\
         os.environ.update(LISTEN_FDS='2', LISTEN_PID=str(os.getpid()))\n\
         os.execv(sys.argv[1], sys.argv[1:])\n",
        address.port(),
        path.display()
    );
    let mut python = Command::new("python3");
    without_settings(&mut python);
    python.args(["-c", &start]).arg(unjack());
    python.args(["run", "--web.systemd-socket", "--web.telemetry-path", "/m"]);
    let _daemon = Workload::spawn(&mut python);
    eventually("the daemon serves systemd's socket", NOTICE * 3, || {
        tests::metrics::get(address, "/-/ready")
    });
    assert!(
        get_by_file(&path)
            .expect("it answers")
            .contains("unjack_build_info")
    );

    let answer = output(command(&unjack()).args(["run", "--web.systemd-socket"]));
    let message = String::from_utf8_lossy(&answer.stderr);
    assert_eq!(answer.status.code(), Some(1), "{message}");
    assert!(
        message.contains("0 sockets") && message.contains(".socket unit"),
        "{message}"
    );
}
