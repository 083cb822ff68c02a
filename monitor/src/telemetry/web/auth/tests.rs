//! Logins, with hashes of the least cost.

use super::*;
use crate::telemetry::{metrics::Metrics, web::file::tests::hash};

struct Door {
    logins: Logins,
    metrics: Metrics,
    users: BTreeMap<String, String>,
}

fn door() -> Door {
    let metrics = Metrics::new("test").unwrap();
    let users = [("alice", "right"), ("bob", "b:b")];
    Door {
        logins: Logins::new(metrics.web.clone()),
        metrics,
        users: users
            .map(|(user, password)| (user.to_owned(), hash(password)))
            .into(),
    }
}

fn run<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(1)
        .build()
        .unwrap()
        .block_on(future)
}

fn basic(login: &str) -> HeaderValue {
    HeaderValue::from_str(&format!("Basic {}", STANDARD.encode(login))).unwrap()
}

impl Door {
    async fn accepts(&self, header: Option<&HeaderValue>) -> bool {
        self.logins.accept(&self.users, header).await
    }

    #[track_caller]
    fn check_count(&self, series: &str, expected: u32) {
        let text = self.metrics.render().unwrap();
        let line = format!("unjack_web_{series} {expected}\n");
        assert!(text.contains(&line), "no {line} in {text}");
    }
}

#[test]
fn only_a_user_with_his_own_password() {
    let door = door();
    run(async {
        for (login, expected) in [
            ("alice:right", true),
            ("bob:b:b", true),
            ("alice:wrong", false),
            ("alice:", false),
            ("alice:b:b", false),
            ("carol:right", false),
            (":right", false),
            (":", false),
            ("alice", false),
            ("", false),
        ] {
            assert_eq!(door.accepts(Some(&basic(login))).await, expected, "{login}");
        }
        for header in [
            "Basic",
            "Basic !",
            "Bearer YWxpY2U6cmlnaHQ=",
            "alice:right",
            "",
        ] {
            let header = HeaderValue::from_str(header).unwrap();
            assert!(!door.accepts(Some(&header)).await, "{header:?}");
        }
        assert!(
            door.accepts(Some(&HeaderValue::from_static("basic  YWxpY2U6cmlnaHQ=")))
                .await
        );
        assert!(!door.accepts(None).await);
    });
    door.check_count("logins_total{outcome=\"accepted\"}", 3);
    door.check_count("logins_total{outcome=\"absent\"}", 8);
}

#[test]
fn a_password_is_checked_once_however_many_come_with_it() {
    let door = door();
    run(async {
        let right = basic("alice:right");
        let mut many = Vec::new();
        for _ in 0..100 {
            many.push(door.accepts(Some(&right)));
        }
        for one in many {
            assert!(one.await);
        }
        for _ in 0..10 {
            assert!(!door.accepts(Some(&basic("carol:right"))).await);
        }
    });
    door.check_count("password_checks_total", 2);
}

#[test]
fn a_flood_of_wrong_passwords_pushes_no_right_one_out() {
    let door = door();
    run(async {
        assert!(door.accepts(Some(&basic("alice:right"))).await);
        for n in 0..MAX_REFUSED + 20 {
            assert!(!door.accepts(Some(&basic(&format!("alice:{n}")))).await);
        }
        let sizes = {
            let known = lock(&door.logins.known);
            (known.accepted.len(), known.refused.len())
        };
        assert_eq!(sizes, (1, MAX_REFUSED));
        door.check_count("password_checks_total", 85);
        assert!(door.accepts(Some(&basic("alice:right"))).await);
    });
    door.check_count("password_checks_total", 85);
}

#[test]
fn a_new_password_counts_at_once() {
    let mut door = door();
    run(async {
        assert!(door.accepts(Some(&basic("alice:right"))).await);
        door.users.insert("alice".to_owned(), hash("new"));
        assert!(!door.accepts(Some(&basic("alice:right"))).await);
        assert!(door.accepts(Some(&basic("alice:new"))).await);
        door.users.remove("alice");
        assert!(!door.accepts(Some(&basic("alice:new"))).await);
    });
}

#[test]
fn an_unknown_user_costs_what_a_known_one_costs_and_has_no_password() {
    let users = [
        ("a".to_owned(), hash("x")),
        ("b".to_owned(), bcrypt::hash("x", 6).unwrap()),
    ];
    let nobody = nobody(&users.into());
    assert_eq!(cost(&nobody), Some(6));
    for password in ["", "x"] {
        assert!(!bcrypt::verify(password, &nobody).unwrap());
    }
}
