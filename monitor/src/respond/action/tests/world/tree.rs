//! The host's cgroups, as an action reads and writes them.

use super::*;

impl Folders for Host {
    fn layout(&self) -> &Layout {
        &self.layout
    }

    fn membership(&self, pid: u32) -> io::Result<Membership> {
        if !self.procs.borrow().contains_key(&pid) {
            return Err(errno(libc::ESRCH));
        }
        let path = |mount: &str| {
            let place = self.place(mount, pid);
            place[mount.len()..].to_owned()
        };
        let text = format!("1:cpu:{}\n0::{}\n", path("/cpu"), path("/v2"));
        Ok(Membership::parse(text.as_bytes()))
    }

    fn read(&self, file: &Path) -> io::Result<String> {
        let dir = file.parent().unwrap().to_owned();
        let name = file.file_name().unwrap().to_str().unwrap();
        let unified = dir.starts_with("/v2");
        if !self.dirs.borrow().contains(&dir) && !["/v2", "/cpu"].map(Path::new).contains(&&*dir) {
            return Err(errno(libc::ENOENT));
        }
        if name == "cgroup.procs" && self.is_threaded(&dir) {
            return Err(errno(libc::EOPNOTSUPP));
        }
        if ["cgroup.procs", "cgroup.threads"].contains(&name) {
            let places = self.places.borrow();
            let is_in = |place: &Path| {
                let mut below = place.ancestors().take_while(|at| *at != dir);
                place.starts_with(&dir) && below.all(|at| self.is_threaded(at))
            };
            let inside = places.iter().filter(|(_, place)| is_in(place));
            let pids: Vec<_> = inside.map(|((_, pid), _)| pid.to_string()).collect();
            return Ok(pids.join("\n"));
        }
        if let Some(text) = self.files.borrow().get(file) {
            return Ok(text.clone());
        }
        match (name, unified) {
            ("cgroup.freeze", true) => Ok("0\n".to_owned()),
            ("cgroup.events", true) => Ok("frozen 1\n".to_owned()),
            ("cgroup.type", true) if dir == Path::new("/v2") => Err(errno(libc::ENOENT)),
            ("cgroup.type", true) => Ok(format!("{}\n", self.kind(&dir))),
            ("cgroup.subtree_control", true) => Ok(String::new()),
            ("cpu.max", true) => Ok("max 100000\n".to_owned()),
            ("cpu.cfs_quota_us", false) => Ok("-1\n".to_owned()),
            ("cpu.cfs_period_us", false) => Ok("100000\n".to_owned()),
            _ => Err(errno(libc::ENOENT)),
        }
    }

    fn write(&self, file: &Path, text: &str) -> io::Result<()> {
        let dir = file.parent().unwrap().to_owned();
        let name = file.file_name().unwrap().to_str().unwrap();
        assert_ne!(self.deadly, Some(name), "the daemon dies");
        if self.broken == Some(name) || self.stuck == Some((name, text)) {
            return Err(errno(libc::EBUSY));
        }
        if ["cgroup.procs", "cgroup.threads"].contains(&name) {
            let pid: u32 = text.parse().unwrap();
            let mount = if dir.starts_with("/v2") {
                "/v2"
            } else {
                "/cpu"
            };
            if !self.dirs.borrow().contains(&dir) && dir != Path::new(mount) {
                return Err(errno(libc::ENOENT));
            }
            if mount == "/v2" && !self.is_threaded(&dir) && dir != Path::new(mount) {
                if self.kind(&dir) == "domain invalid" {
                    return Err(errno(libc::EOPNOTSUPP));
                }
                let control = dir.join("cgroup.subtree_control");
                let hands = self.files.borrow().get(&control).cloned();
                if hands.is_some_and(|text| text == "+cpu") && self.kind(&dir) == "domain" {
                    return Err(errno(libc::EBUSY));
                }
            }
            let mut places = self.places.borrow_mut();
            let place = places
                .get_mut(&(mount.into(), pid))
                .ok_or(errno(libc::ESRCH))?;
            if self.fugitive != Some(pid) {
                *place = dir;
            }
            if self.slippery == Some(pid) {
                self.procs.borrow_mut().get_mut(&pid).unwrap().image = OTHER;
            }
            return Ok(());
        }
        if name == "cgroup.kill" {
            let places = self.places.borrow();
            let inside = places.iter().filter(|(_, place)| place.starts_with(&dir));
            let pids: Vec<u32> = inside.map(|((_, pid), _)| *pid).collect();
            drop(places);
            for pid in pids {
                self.end(pid);
            }
            return Ok(());
        }
        self.files
            .borrow_mut()
            .insert(file.to_owned(), text.to_owned());
        Ok(())
    }

    fn make(&self, dir: &Path) -> io::Result<()> {
        let new = self.dirs.borrow_mut().insert(dir.to_owned());
        new.then_some(()).ok_or(errno(libc::EEXIST))
    }

    fn remove(&self, dir: &Path) -> io::Result<()> {
        if self.places.borrow().values().any(|place| place == dir) {
            return Err(errno(libc::EBUSY));
        }
        let was = self.dirs.borrow_mut().remove(dir);
        was.then_some(()).ok_or(errno(libc::ENOENT))
    }

    fn exists(&self, dir: &Path) -> bool {
        self.dirs.borrow().contains(dir)
    }

    fn is_roots(&self, dir: &Path) -> bool {
        !self.delegated.iter().any(|of| dir.starts_with(of))
    }

    fn is_delegated(&self, dir: &Path) -> bool {
        self.marked.iter().any(|marked| dir == Path::new(marked))
    }

    fn below(&self, dir: &Path) -> io::Result<Vec<PathBuf>> {
        let dirs = self.dirs.borrow();
        let below = dirs.iter().filter(|below| below.parent() == Some(dir));
        Ok(below.cloned().collect())
    }
}
